//! How many tokens a prompt should have: learned per model from the prompts that came before. A
//! runtime that counts far fewer has left some of it out without saying so, as Ollama does with the
//! oldest messages when they do not fit.
//!
//! The estimate is linear in the prompt's bytes (ASCII and others apart: Japanese takes more tokens
//! a byte than English), its messages, and a constant; fitted by least squares with the usual
//! values as its beginning (ridge regression). Where an earlier prompt is the start of this one, its
//! true count is taken and only the rest estimated.

use std::collections::{HashMap, VecDeque};

use andon_model::RawContent;

use super::memory::learned;

/// Prompts that an estimate rests on.
const MOST_SAMPLES: usize = 64;
/// Tokens an ASCII byte, another byte, a message, a prompt: typical of today's tokenizers.
const USUAL: [f64; 4] = [0.26, 0.25, 5.0, 4.0];
/// How firmly the usual values are held, in squared units of each: a few prompts outweigh them.
const HELD: [f64; 4] = [4e5, 4e5, 40.0, 4.0];
/// The relative error of an estimate without samples, and the least of one with them.
const UNTRIED: f64 = 0.4;
const LEAST_ERROR: f64 = 0.01;
/// So many prompts are needed before their own scatter is believed.
const ENOUGH: usize = 4;

/// What of a prompt decides its length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape([f64; 4]);

impl Shape {
    pub(super) fn of(contents: &[RawContent]) -> Self {
        let (mut ascii, mut other) = (0, 0);
        for content in contents {
            let bytes = content.text.expose().as_bytes();
            let plain = bytes.iter().filter(|byte| byte.is_ascii()).count();
            ascii += plain;
            other += bytes.len() - plain;
        }
        Self([ascii as f64, other as f64, contents.len() as f64, 1.0])
    }

    fn minus(self, start: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] - start.0[at]))
    }

    fn times(self, weights: [f64; 4]) -> f64 {
        self.0.iter().zip(weights).map(|(value, weight)| value * weight).sum()
    }
}

/// Tokens, and how far off that may be (two standard errors).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub(super) tokens: f64,
    pub(super) error: f64,
}

#[derive(Default)]
pub(super) struct Lengths {
    models: HashMap<String, Samples>,
}

#[derive(Default)]
struct Samples {
    last: VecDeque<(Shape, f64)>,
    /// Fitted to them; empty until the first.
    fit: Option<([f64; 4], f64)>,
    learnt: u64,
}

impl Lengths {
    /// `start`: the shape and the true tokens of an earlier prompt that this one begins with.
    pub(super) fn estimate(
        &self,
        model: &str,
        shape: Shape,
        start: Option<(Shape, u64)>,
    ) -> Estimate {
        let (weights, relative) =
            self.models.get(model).and_then(|samples| samples.fit).unwrap_or((USUAL, UNTRIED));
        let (known, rest) = match start {
            // What a template puts after the last message is in both counts.
            Some((start, tokens)) => (tokens as f64, shape.minus(start)),
            None => (0.0, shape),
        };
        let rest = rest.times(weights).max(0.0);
        Estimate { tokens: known + rest, error: 2.0 * relative * rest + 8.0 }
    }

    /// Learns from a prompt that was read whole.
    pub(super) fn learn(&mut self, model: &str, shape: Shape, tokens: u64) {
        let samples = learned(&mut self.models, model.to_owned());
        samples.last.push_back((shape, tokens as f64));
        if samples.last.len() > MOST_SAMPLES {
            samples.last.pop_front();
        }
        samples.learnt += 1;
        // Once there are many, one more moves little.
        if samples.last.len() < MOST_SAMPLES / 2 || samples.learnt.is_multiple_of(16) {
            samples.fit = Some(fit(samples.last.make_contiguous()));
        }
    }
}

/// Weights, and the relative standard error of their estimates.
fn fit(samples: &[(Shape, f64)]) -> ([f64; 4], f64) {
    let (mut matrix, mut right) = ([[0.0; 4]; 4], [0.0; 4]);
    for at in 0..4 {
        matrix[at][at] = HELD[at];
        right[at] = HELD[at] * USUAL[at];
    }
    for (Shape(shape), tokens) in samples {
        // A relative error is what matters: a long prompt must not outweigh all others.
        let weight = 1e4 / tokens.max(16.0);
        for row in 0..4 {
            for column in 0..4 {
                matrix[row][column] += weight * shape[row] * shape[column];
            }
            right[row] += weight * shape[row] * tokens;
        }
    }
    let weights = solve(matrix, right).unwrap_or(USUAL);
    let off = |(shape, tokens): &(Shape, f64)| (shape.times(weights) - tokens) / tokens.max(16.0);
    let squares: f64 = samples.iter().map(|sample| off(sample).powi(2)).sum();
    // Each weight that was fitted takes away one prompt's worth of certainty.
    let error = (squares / samples.len().saturating_sub(3).max(1) as f64).sqrt();
    let error = if samples.len() < ENOUGH { error.max(UNTRIED / 2.0) } else { error };
    (weights, error.max(LEAST_ERROR))
}

/// Gaussian elimination with pivoting; `None` for a singular matrix.
fn solve(mut matrix: [[f64; 4]; 4], mut right: [f64; 4]) -> Option<[f64; 4]> {
    for column in 0..4 {
        let size = |row: &usize| matrix[*row][column].abs();
        let pivot = (column..4).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        if matrix[column][column].abs() < 1e-9 {
            return None;
        }
        for row in column + 1..4 {
            let factor = matrix[row][column] / matrix[column][column];
            let above = matrix[column];
            for (value, above) in matrix[row].iter_mut().zip(above) {
                *value -= factor * above;
            }
            right[row] -= factor * right[column];
        }
    }
    let mut solved = [0.0; 4];
    for row in (0..4).rev() {
        let known: f64 = (row + 1..4).map(|at| matrix[row][at] * solved[at]).sum();
        solved[row] = (right[row] - known) / matrix[row][row];
    }
    Some(solved)
}

#[cfg(test)]
mod tests {
    use andon_model::{Part, RawText};

    use super::{super::memory::MOST_MODELS, *};

    fn prompt(texts: &[String]) -> Vec<RawContent> {
        let content = |text: &String| RawContent {
            part: Part::Input,
            role: Some("user".to_owned()),
            idx: 0,
            text: RawText::new(text.as_str()),
        };
        texts.iter().map(content).collect()
    }

    /// A stand-in for a tokenizer: a token for each four letters begun of a word, one for each
    /// character beyond ASCII and a half, and the template's own.
    fn tokens(contents: &[RawContent]) -> u64 {
        let of = |text: &str| -> f64 {
            text.split(' ')
                .map(|word| {
                    let ascii = word.chars().filter(char::is_ascii).count();
                    let other = word.chars().count() - ascii;
                    ascii.div_ceil(4) as f64 + other as f64 * 0.7
                })
                .sum()
        };
        contents.iter().map(|one| of(one.text.expose()) + 4.0).sum::<f64>().round() as u64 + 3
    }

    /// Words of changing lengths, the same for the same seed; some are Japanese.
    fn text(mut seed: u64, words: usize) -> String {
        let mut next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize
        };
        let word = |draw: usize| match draw % 5 {
            0 => "雪の多い町".to_owned(),
            _ => "transformers"[..1 + draw % 12].to_owned(),
        };
        (0..words).map(|_| word(next())).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn after_a_few_prompts_the_estimate_is_close() {
        let mut lengths = Lengths::default();
        for seed in 0..20 {
            let contents = prompt(&[text(seed, 20 + 30 * seed as usize)]);
            lengths.learn("m", Shape::of(&contents), tokens(&contents));
        }
        for seed in 100..120 {
            let contents = prompt(&[text(seed, 400), text(seed + 1, 30)]);
            let (shape, truth) = (Shape::of(&contents), tokens(&contents) as f64);
            let estimate = lengths.estimate("m", shape, None);
            let off = (estimate.tokens - truth).abs();
            assert!(off <= estimate.error && estimate.error < 0.15 * truth, "{estimate:?} {truth}");
        }
    }

    #[test]
    fn the_start_of_a_prompt_that_is_known_leaves_only_the_rest_to_guess() {
        let lengths = Lengths::default();
        let start = prompt(&[text(1, 2_000)]);
        let whole = prompt(&[text(1, 2_000), text(2, 10)]);
        let known = Some((Shape::of(&start), tokens(&start)));
        let estimate = lengths.estimate("m", Shape::of(&whole), known);
        assert!((estimate.tokens - tokens(&whole) as f64).abs() <= estimate.error);
        assert!(estimate.error < 0.02 * estimate.tokens, "{estimate:?}");
    }

    #[test]
    fn nothing_that_a_runtime_says_breaks_the_estimate() {
        let mut lengths = Lengths::default();
        let shape = Shape::of(&prompt(&[text(1, 50)]));
        for tokens in [0, 1, u64::MAX, 0, 7] {
            lengths.learn("m", shape, tokens);
            lengths.learn("m", Shape::of(&[]), tokens);
        }
        assert!(lengths.estimate("m", shape, None).tokens.is_finite());
        for model in 0..2 * MOST_MODELS {
            lengths.learn(&model.to_string(), shape, 10);
        }
        assert!(lengths.models.len() <= MOST_MODELS);
    }
}
