//! What is usual for a model on this machine: medians of the last calls, so that a few odd ones move
//! nothing.

use std::collections::VecDeque;

use andon_model::{Phase, Status};

use crate::call::Call;

const MOST: usize = 64;
/// Below these, a phase says more of the call than of the pace.
const LEAST_READ: u64 = 8;
const LEAST_WRITTEN: u64 = 4;
/// So many make something usual.
const ENOUGH: usize = 3;
/// And so many what is asked and answered, which differ more.
const ENOUGH_CALLS: usize = 5;
/// A prompt's pace is compared with prompts of up to so many times its length.
const ALIKE: u64 = 4;
/// A long prompt, or answer, is so many times the usual one.
pub(crate) const LONG: u64 = 2;
/// Answers differ; a long one is far beyond nine of ten, and not by a few words.
const FAR_OUT: f64 = 1.5;
const LEAST_EXCESS_TOKENS: u64 = 32;

/// Of one model at one runtime.
#[derive(Default)]
pub(crate) struct Usual {
    reads: Recent<Pace>,
    writes: Recent<Pace>,
    loads_ns: Recent<u64>,
    read_tokens: Recent<u64>,
    written_tokens: Recent<u64>,
    rests_ns: Recent<u64>,
}

#[derive(Clone, Copy)]
struct Pace {
    tokens: u64,
    ns: u64,
    /// Nothing else kept the machine busy.
    calm: bool,
}

impl Pace {
    fn ns_per_token(self) -> f64 {
        self.ns as f64 / self.tokens as f64
    }
}

impl Usual {
    /// `calm`: nothing is known that slowed the call down.
    pub(crate) fn learn(&mut self, call: Call<'_>, calm: bool) {
        if call.0.status == Status::Error {
            return;
        }
        let read = call.read();
        if let (Some(tokens), Some(ns)) = (read, call.ns(Phase::Prompt).filter(|ns| *ns > 0)) {
            if tokens >= LEAST_READ {
                self.reads.push(Pace { tokens, ns, calm });
            }
            self.read_tokens.push(tokens);
        }
        if let Some(tokens) = call.0.output_tokens {
            if let Some(ns) = call.ns(Phase::Generate).filter(|ns| *ns > 0)
                && tokens >= LEAST_WRITTEN
            {
                self.writes.push(Pace { tokens, ns, calm });
            }
            self.written_tokens.push(tokens);
        }
        if let Some(ns) = call.loaded_ns() {
            self.loads_ns.push(ns);
        }
        if let Some(ns) = call.rest_ns() {
            self.rests_ns.push(ns);
        }
    }

    /// Nanoseconds a token, for a prompt of which so many are read.
    pub(crate) fn ns_per_token_read(&self, tokens: u64) -> Option<f64> {
        if tokens < LEAST_READ {
            return None;
        }
        let alike = |pace: &Pace| {
            pace.tokens <= tokens.saturating_mul(ALIKE) && pace.tokens >= tokens / ALIKE
        };
        median_pace(&self.reads, alike).or_else(|| median_pace(&self.reads, |_| true))
    }

    pub(crate) fn ns_per_token_written(&self, tokens: u64) -> Option<f64> {
        (tokens >= LEAST_WRITTEN).then(|| median_pace(&self.writes, |_| true)).flatten()
    }

    pub(crate) fn load_ns(&self) -> Option<u64> {
        median(self.loads_ns.iter().copied().collect(), ENOUGH)
    }

    pub(crate) fn read_tokens(&self) -> Option<u64> {
        median(self.read_tokens.iter().copied().collect(), ENOUGH_CALLS)
    }

    pub(crate) fn written_tokens(&self) -> Option<u64> {
        median(self.written_tokens.iter().copied().collect(), ENOUGH_CALLS)
    }

    /// An answer that is longer than nine of ten.
    pub(crate) fn long_answer_tokens(&self) -> Option<u64> {
        let mut all: Vec<u64> = self.written_tokens.iter().copied().collect();
        if all.len() < ENOUGH_CALLS {
            return None;
        }
        all.sort_unstable();
        all.get(all.len() * 9 / 10).copied()
    }

    /// The usual length of an answer, if this one is far longer.
    pub(crate) fn exceeded_by(&self, tokens: u64) -> Option<u64> {
        let (middle, long) = (self.written_tokens()?, self.long_answer_tokens()?);
        let is_long = tokens >= middle.saturating_mul(LONG)
            && tokens as f64 >= long as f64 * FAR_OUT
            && tokens >= middle.saturating_add(LEAST_EXCESS_TOKENS);
        is_long.then_some(middle)
    }

    pub(crate) fn rest_ns(&self) -> Option<u64> {
        median(self.rests_ns.iter().copied().collect(), ENOUGH)
    }
}

/// Of the calm ones, if there are enough.
fn median_pace(paces: &Recent<Pace>, fits: impl Fn(&Pace) -> bool) -> Option<f64> {
    let of = |only_calm: bool| {
        let chosen = paces.iter().filter(|pace| fits(pace) && (pace.calm || !only_calm));
        median_float(chosen.map(|pace| pace.ns_per_token()).collect())
    };
    of(true).or_else(|| of(false))
}

fn median_float(mut values: Vec<f64>) -> Option<f64> {
    if values.len() < ENOUGH {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    Some(values[values.len() / 2])
}

fn median(mut values: Vec<u64>, enough: usize) -> Option<u64> {
    if values.len() < enough {
        return None;
    }
    values.sort_unstable();
    Some(values[values.len() / 2])
}

/// The last few.
struct Recent<T>(VecDeque<T>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Recent<T> {
    fn push(&mut self, value: T) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}
