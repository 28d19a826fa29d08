//! Calls that ran at the same time, and what that did to their pace.

use crate::{Served, figures::median};

/// Calls that are looked at behind one; no runtime computes more at a time.
const MOST_BESIDE: usize = 256;
/// Calls that were alone, or beside others, for most of their time.
const ALONE: f64 = 0.1;
const BESIDE: f64 = 0.7;
/// So many of each make a comparison.
const ENOUGH: usize = 5;
/// Less is two clocks that disagree, and no second slot.
const LEAST_OVERLAP_NS: u64 = 100_000_000;

/// How calls of one runtime shared the machine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Beside {
    /// For each call the mean number of others that computed while it did.
    pub(crate) others: Vec<f64>,
    /// The most calls that ever computed at once; at least 1.
    pub(crate) most: usize,
    pub(crate) gain: Gain,
}

/// What a runtime does with several calls at once, against one alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gain {
    /// Tokens a second of two calls together, one alone being 1; `None` where it was not seen.
    pub(crate) of_two: Option<f64>,
}

impl Gain {
    /// Of `count` calls together. Each further call adds what the second did, which is too much where a
    /// machine's bandwidth is used up; where nothing was seen they share what one has.
    pub(crate) fn of(self, count: usize) -> f64 {
        let count = count.max(1) as f64;
        let each = self.of_two.map_or(0.0, |two| two - 1.0);
        (1.0 + each * (count - 1.0)).clamp(1.0 / count, count)
    }
}

/// `calls` in the order in which they arrived.
pub(crate) fn beside(calls: &[Served]) -> Beside {
    let mut order: Vec<_> = (0..calls.len()).collect();
    let worked: Vec<_> = calls.iter().map(Served::worked).collect();
    order.sort_unstable_by_key(|at| worked[*at].0);
    let mut overlaps = vec![0_u64; calls.len()];
    let mut most = 1;
    for (place, &one) in order.iter().enumerate() {
        let mut at_once = 1;
        let earliest_end = worked[one].1;
        for &other in order.iter().skip(place + 1).take(MOST_BESIDE) {
            if worked[other].0 >= worked[one].1 {
                break;
            }
            let ns = worked[one].1.min(worked[other].1) - worked[other].0;
            overlaps[one] = overlaps[one].saturating_add(ns);
            overlaps[other] = overlaps[other].saturating_add(ns);
            // At the end of the one all of these still run that began before it and end after it.
            let lasts = worked[other].1 >= earliest_end && ns >= LEAST_OVERLAP_NS;
            at_once += usize::from(lasts);
        }
        most = most.max(at_once);
    }
    let share = |(overlap, (from, to)): (u64, &(u64, u64))| {
        overlap as f64 / to.saturating_sub(*from).max(1) as f64
    };
    let others: Vec<f64> = overlaps.into_iter().zip(&worked).map(share).collect();
    let gain = Gain { of_two: gain_of_two(calls, &others) };
    Beside { others, most, gain }
}

/// How many times longer each call's tokens took than they would have alone.
pub(crate) fn slowed(beside: &Beside) -> Vec<f64> {
    let of = |others: &f64| {
        let two = 2.0 / beside.gain.of(2);
        // Between alone and two at once by the share of the time; beyond that by their number.
        (1.0 + (two - 1.0) * others).max(1.0)
    };
    beside.others.iter().map(of).collect()
}

/// From the pace of writing, which is the same for any length.
fn gain_of_two(calls: &[Served], others: &[f64]) -> Option<f64> {
    let mut models: Vec<_> = calls.iter().map(|call| &call.model).collect();
    models.sort_unstable();
    models.dedup();
    let pace = |model, wanted: &dyn Fn(f64) -> bool| {
        let of_model = calls.iter().zip(others).filter(|(call, others)| {
            &call.model == model && call.written >= 4 && call.write_ns > 0 && wanted(**others)
        });
        let paces: Vec<_> =
            of_model.map(|(call, _)| call.write_ns as f64 / call.written as f64).collect();
        (paces.len() >= ENOUGH).then(|| median(paces)).flatten()
    };
    let of_model = |model| {
        let alone = pace(model, &|others| others < ALONE)?;
        let together = pace(model, &|others| (BESIDE..1.5).contains(&others))?;
        Some((2.0 * alone / together).clamp(0.5, 2.0))
    };
    median(models.into_iter().filter_map(of_model).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::tests::{SECOND, served};

    #[test]
    fn calls_one_after_the_other_were_alone() {
        let calls: Vec<_> = (0..5).map(|at| served(at * 10, "m")).collect();
        let beside = beside(&calls);
        assert_eq!((beside.most, beside.gain.of_two), (1, None));
        assert_eq!(beside.others, [0.0; 5]);
        assert_eq!(slowed(&beside), [1.0; 5]);
    }

    #[test]
    fn what_two_at_once_come_to_is_measured() {
        // Alone 3 s; two at once 4.5 s each: 1.33 times as much together.
        let mut calls: Vec<_> = (0..6).map(|at| served(at * 100, "m")).collect();
        for pair in 0..4 {
            for _ in 0..2 {
                let mut call = served(1_000 + pair * 100, "m");
                (call.read_ns, call.write_ns) = (SECOND * 3 / 2, 3 * SECOND);
                calls.push(call);
            }
        }
        let beside = beside(&calls);
        assert_eq!(beside.most, 2);
        assert!((beside.gain.of_two.unwrap() - 4.0 / 3.0).abs() < 1e-9);
        assert!((slowed(&beside)[13] - 1.5).abs() < 1e-9);
        assert_eq!((beside.gain.of(1), Gain { of_two: None }.of(4)), (1.0, 1.0));
    }

    #[test]
    fn three_that_never_run_at_the_same_moment_are_two() {
        let mut calls = [served(0, "m"), served(2, "m"), served(4, "m")];
        for call in &mut calls {
            (call.read_ns, call.write_ns) = (SECOND, 2 * SECOND);
        }
        assert_eq!(beside(&calls).most, 2);
    }
}
