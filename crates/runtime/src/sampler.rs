//! Chooses the next token.
//!
//! The order of the steps is llama.cpp's: penalties, top-k, top-p, min-p, temperature, draw. They
//! are done here because its sampler chain builds and walks a list of the whole vocabulary for
//! each token (262,144 entries for Gemma); here the vocabulary is passed over once, and only the
//! `top_k` best go on.

use std::collections::{HashMap, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::llama::{Grammar, Token};
use crate::options::Sampling;

pub(crate) struct Sampler {
    sampling: Sampling,
    random: StdRng,
    grammar: Option<Grammar>,
    /// The tokens that penalties look at, the newest last.
    recent: VecDeque<Token>,
    /// The row of logits with penalties, kept to save allocations.
    logits: Vec<f32>,
    candidates: Vec<(Token, f32)>,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling, grammar: Option<Grammar>) -> Self {
        let seed = sampling.seed.unwrap_or_else(rand::random);
        Self {
            sampling,
            random: StdRng::seed_from_u64(seed),
            grammar,
            recent: VecDeque::new(),
            logits: Vec::new(),
            candidates: Vec::new(),
        }
    }

    pub(crate) fn has_grammar(&self) -> bool {
        self.grammar.is_some()
    }

    /// Tells the penalties of a token that stands in the text.
    pub(crate) fn remember(&mut self, token: Token) {
        if self.sampling.repeat_last_n == 0 {
            return;
        }
        if self.recent.len() >= self.sampling.repeat_last_n {
            self.recent.pop_front();
        }
        self.recent.push_back(token);
    }

    /// The next token; none if the grammar allows nothing more.
    pub(crate) fn next(&mut self, logits: &[f32]) -> Option<Token> {
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        self.penalise();
        let mut token = self.choose()?;
        if let Some(grammar) = &mut self.grammar
            && !grammar.allows(token)
        {
            // Asking the grammar about every token is slow, so only when the free choice is wrong.
            let mut all: Vec<(Token, f32)> = (0..).zip(self.logits.iter().copied()).collect();
            grammar.filter(&mut all);
            for (slot, (_, logit)) in self.logits.iter_mut().zip(all) {
                *slot = logit;
            }
            token = self.choose()?;
        }
        if let Some(grammar) = &mut self.grammar
            && !grammar.accept(token)
        {
            return None;
        }
        self.remember(token);
        Some(token)
    }

    fn penalise(&mut self) {
        let Sampling { repeat_penalty, presence_penalty, frequency_penalty, .. } = self.sampling;
        let neutral = repeat_penalty == 1.0 && presence_penalty == 0.0 && frequency_penalty == 0.0;
        if neutral || repeat_penalty <= 0.0 {
            return;
        }
        let mut counts: HashMap<Token, f32> = HashMap::new();
        for &token in &self.recent {
            *counts.entry(token).or_default() += 1.0;
        }
        for (token, count) in counts {
            let Some(logit) = usize::try_from(token).ok().and_then(|t| self.logits.get_mut(t))
            else {
                continue;
            };
            // A negative logit is divided the other way round, or it would rise.
            *logit = if *logit <= 0.0 { *logit * repeat_penalty } else { *logit / repeat_penalty };
            *logit -= count * frequency_penalty + presence_penalty;
        }
    }

    fn choose(&mut self) -> Option<Token> {
        if self.sampling.temperature <= 0.0 || self.sampling.top_k == 1 {
            return best(&self.logits);
        }
        take_best(&self.logits, self.sampling.top_k, &mut self.candidates);
        let sampling = &self.sampling;
        let highest = self.candidates.first()?.1;
        if sampling.top_p < 1.0 {
            keep_probable(&mut self.candidates, sampling.top_p);
        }
        if sampling.min_p > 0.0 {
            let floor = highest + sampling.min_p.min(1.0).ln();
            self.candidates.retain(|&(_, logit)| logit >= floor);
        }
        let weights: Vec<f32> = self
            .candidates
            .iter()
            .map(|&(_, logit)| ((logit - highest) / sampling.temperature).exp())
            .collect();
        let mut rest = self.random.random::<f32>() * weights.iter().sum::<f32>();
        for (&(token, _), weight) in self.candidates.iter().zip(&weights) {
            rest -= weight;
            if rest <= 0.0 {
                return Some(token);
            }
        }
        self.candidates.first().map(|&(token, _)| token)
    }
}

fn best(logits: &[f32]) -> Option<Token> {
    let mut highest = f32::NEG_INFINITY;
    let mut token = None;
    for (index, &logit) in (0..).zip(logits) {
        if logit > highest {
            highest = logit;
            token = Some(index);
        }
    }
    token
}

/// The `count` highest (0: all), highest first.
fn take_best(logits: &[f32], count: usize, out: &mut Vec<(Token, f32)>) {
    out.clear();
    let possible = |&(_, logit): &(Token, f32)| logit > f32::NEG_INFINITY;
    let descending = |a: &(Token, f32), b: &(Token, f32)| b.1.total_cmp(&a.1);
    if count == 0 || count >= logits.len() {
        out.extend((0..).zip(logits.iter().copied()).filter(possible));
        out.sort_unstable_by(descending);
        return;
    }
    // Collect what beats the worst kept one, and thin out when twice as many as needed are there.
    let mut floor = f32::NEG_INFINITY;
    for (token, &logit) in (0..).zip(logits) {
        if logit > floor {
            out.push((token, logit));
            if out.len() == 2 * count {
                out.select_nth_unstable_by(count - 1, descending);
                out.truncate(count);
                floor = out.iter().map(|c| c.1).fold(f32::INFINITY, f32::min);
            }
        }
    }
    out.sort_unstable_by(descending);
    out.truncate(count);
}

/// Keeps the fewest candidates whose probabilities reach `share` together, at least one.
fn keep_probable(candidates: &mut Vec<(Token, f32)>, share: f32) {
    let Some(&(_, highest)) = candidates.first() else { return };
    let total: f32 = candidates.iter().map(|&(_, logit)| (logit - highest).exp()).sum();
    let mut sum = 0.0;
    let enough = candidates.iter().position(|&(_, logit)| {
        sum += (logit - highest).exp() / total;
        sum >= share
    });
    if let Some(last) = enough {
        candidates.truncate(last + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling() -> Sampling {
        Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: Some(7),
        }
    }

    fn shares(sampling: Sampling, logits: &[f32]) -> Vec<f32> {
        let mut counts = vec![0.0; logits.len()];
        let mut sampler = Sampler::new(sampling, None);
        for _ in 0..4000 {
            counts[usize::try_from(sampler.next(logits).unwrap()).unwrap()] += 1.0 / 4000.0;
        }
        counts
    }

    #[test]
    fn temperature_zero_takes_the_highest() {
        let greedy = Sampling { temperature: 0.0, ..sampling() };
        assert_eq!(
            shares(greedy, &[0.0, 3.0, 2.9]),
            [0.0, 1.0, 0.0].map(|s: f32| {
                if s > 0.0 { (0..4000).fold(0.0, |sum, _| sum + 1.0 / 4000.0) } else { 0.0 }
            })
        );
    }

    #[test]
    fn draws_follow_the_probabilities() {
        // exp: 1, e, e²; shares 0.090, 0.245, 0.665.
        let shares = shares(sampling(), &[0.0, 1.0, 2.0]);
        for (share, expected) in shares.iter().zip([0.090, 0.245, 0.665]) {
            assert!((share - expected).abs() < 0.03, "{shares:?}");
        }
    }

    #[test]
    fn limits_cut_the_tail() {
        let logits = [0.0, 1.0, 2.0];
        assert_eq!(shares(Sampling { top_k: 2, ..sampling() }, &logits)[0], 0.0);
        assert_eq!(shares(Sampling { top_p: 0.9, ..sampling() }, &logits)[0], 0.0);
        assert_eq!(shares(Sampling { min_p: 0.2, ..sampling() }, &logits)[0], 0.0);
    }

    #[test]
    fn repetition_is_penalised_whatever_the_sign() {
        let sampling = Sampling { temperature: 0.0, repeat_penalty: 2.0, ..sampling() };
        for logits in [[1.5, 1.0], [-1.0, -1.5]] {
            let mut sampler = Sampler::new(sampling.clone(), None);
            assert_eq!(sampler.next(&logits), Some(0));
            assert_eq!(sampler.next(&logits), Some(1));
        }
    }

    #[test]
    fn best_ones_are_found_among_many() {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let logits: Vec<f32> = (0..10_000).map(|i| ((i * 7919) % 10_000) as f32).collect();
        let mut out = Vec::new();
        take_best(&logits, 40, &mut out);
        let found: Vec<f32> = out.iter().map(|c| c.1).collect();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let expected: Vec<f32> = (9_960..10_000).rev().map(|i| i as f32).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_same_seed_gives_the_same_text() {
        let run = || {
            let mut sampler = Sampler::new(sampling(), None);
            (0..50).map(|_| sampler.next(&[0.0, 1.0, 2.0, 1.5])).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
