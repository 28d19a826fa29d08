//! What a model takes: a load, a token that is read, a token that is written.

use std::{collections::HashMap, sync::Arc};

use crate::{Served, figures::median};

/// Fewer say nothing.
pub(crate) const ENOUGH: usize = 3;
/// A pace of fewer tokens is one of the call.
const LEAST_READ: u64 = 8;
const LEAST_WRITTEN: u64 = 4;

/// Medians over the calls to one model, in nanoseconds. A long prompt is read at another pace than a
/// short one, so reading is known by length, in steps of four.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pace {
    by_length: Vec<Option<f64>>,
    read: Option<f64>,
    write: Option<f64>,
    pub(crate) load_ns: Option<f64>,
    /// Time of a call that no phase explains.
    pub(crate) rest_ns: f64,
}

impl Pace {
    /// `alone`: for each call how many times as fast it would have been by itself.
    fn of<'a>(calls: impl Iterator<Item = (&'a Served, f64)>) -> Self {
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        let (mut loads, mut rests) = (Vec::new(), Vec::new());
        for (call, slowed) in calls {
            if call.read >= LEAST_READ && call.read_ns > 0 {
                reads.push((call.read, call.read_ns as f64 / slowed / call.read as f64));
            }
            if call.written >= LEAST_WRITTEN && call.write_ns > 0 {
                writes.push(call.write_ns as f64 / slowed / call.written as f64);
            }
            loads.extend(call.load_ns.map(|ns| ns as f64));
            rests.push(call.rest_ns as f64);
        }
        let of_length = |step: u32| {
            let alike = reads.iter().filter(|(tokens, _)| step_of(*tokens) == step);
            enough(alike.map(|(_, pace)| *pace).collect())
        };
        let longest = reads.iter().map(|(tokens, _)| step_of(*tokens)).max();
        Self {
            by_length: longest.map_or_else(Vec::new, |last| (0..=last).map(of_length).collect()),
            read: enough(reads.iter().map(|(_, pace)| *pace).collect()),
            write: enough(writes),
            load_ns: median(loads),
            rest_ns: median(rests).unwrap_or(0.0),
        }
    }

    pub(crate) fn read_ns(&self, tokens: u64) -> Option<f64> {
        let known = self.by_length.get(step_of(tokens) as usize).copied().flatten();
        Some(known.or(self.read)? * tokens as f64)
    }

    pub(crate) fn write_ns(&self, tokens: u64) -> Option<f64> {
        Some(self.write? * tokens as f64)
    }
}

fn step_of(tokens: u64) -> u32 {
    tokens.max(1).ilog2() / 2
}

fn enough(values: Vec<f64>) -> Option<f64> {
    if values.len() < ENOUGH { None } else { median(values) }
}

/// What each model takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paces(HashMap<Arc<str>, Pace>);

impl Paces {
    /// `slowed`: for each call how many times longer its tokens took than they would have by themselves.
    pub(crate) fn of(calls: &[Served], slowed: &[f64]) -> Self {
        let mut by_model: HashMap<Arc<str>, Vec<(&Served, f64)>> = HashMap::new();
        for (call, slowed) in calls.iter().zip(slowed) {
            by_model.entry(Arc::clone(&call.model)).or_default().push((call, *slowed));
        }
        Self(by_model.into_iter().map(|(name, of)| (name, Pace::of(of.into_iter()))).collect())
    }

    pub(crate) fn of_model(&self, name: &str) -> Option<&Pace> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::tests::{SECOND, served};

    #[test]
    fn a_long_prompt_has_a_pace_of_its_own() {
        let mut calls: Vec<_> = (0..6).map(|at| served(at, "m")).collect();
        for long in &mut calls[3..] {
            (long.read, long.read_ns) = (10_000, 400 * SECOND);
        }
        let paces = Paces::of(&calls, &[1.0; 6]);
        let pace = paces.of_model("m").unwrap();
        assert_eq!(pace.read_ns(100), Some(1e9));
        assert_eq!(pace.read_ns(10_000), Some(400e9));
        // Nothing of this length is known: all calls together.
        assert!(pace.read_ns(1_000).is_some());
        assert_eq!(pace.write_ns(10), Some(1e9));
        assert_eq!(pace.load_ns, None);
    }

    #[test]
    fn two_calls_are_not_enough() {
        let paces = Paces::of(&[served(0, "m"), served(9, "m")], &[1.0; 2]);
        assert_eq!(paces.of_model("m").unwrap().read_ns(100), None);
        assert!(paces.of_model("other").is_none());
    }
}
