//! How far the simulation is off: learned from the earlier calls, asked about the later ones.

use andon_diagnose::KeepAlive;
use andon_model::UnixNanos;
use serde::Serialize;

use crate::{
    Served, Spread,
    figures::median,
    simulate::{Done, Job, simulate},
    what_if::{ENOUGH, Models, Past, seconds},
};

const NS: f64 = 1e9;
const DAY_NS: u64 = 86_400_000_000_000;
/// Calls that are held back, at least.
const ENOUGH_HELD_BACK: usize = 10;

/// Predictions against what was measured, of calls that were held back. Errors are relative: 0.1 is a
/// tenth too much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Check {
    pub learned_calls: u64,
    pub held_back_calls: u64,
    /// Calls from here on were held back: the last day, or the last third where there is no second day.
    #[schema(value_type = u64)]
    pub held_back_from_ns: UnixNanos,
    pub total_p50_error: f64,
    pub total_p95_error: f64,
    /// The middle of all calls' errors, whatever their sign.
    pub call_error: f64,
}

/// `None` where there are too few calls, or none of the same models.
pub(crate) fn check(calls: &[Served], told: KeepAlive, had_to_make_room: bool) -> Option<Check> {
    let at = held_back_from(calls)?;
    let (learned, held_back) = calls.split_at(at);
    let past = Past::of(learned, told, had_to_make_room);
    let begin_ns = held_back.first()?.arrived_ns;
    let mut models = Models::default();
    let (mut jobs, mut real) = (Vec::new(), Vec::new());
    for call in held_back {
        let Some(pace) = past.paces.of_model(&call.model) else { continue };
        let Some(read_ns) = pace.read_ns(call.read) else { continue };
        let Some(write_ns) = pace.write_ns(call.written) else { continue };
        jobs.push(Job {
            at_s: call.arrived_ns.saturating_sub(begin_ns) as f64 / NS,
            model: models.place(&call.model),
            keep_s: seconds(call.keep_alive.unwrap_or(past.kept)),
            read_s: read_ns / NS,
            write_s: write_ns / NS,
            rest_s: pace.rest_ns / NS,
        });
        real.push(call.total_ns() as f64 / NS);
    }
    if jobs.len() < ENOUGH_HELD_BACK {
        return None;
    }
    let mut done = simulate(&past.station(&models, None), jobs, &mut |_| None).done;
    // As they arrived, which is the order of what was measured.
    done.sort_by(|a, b| a.job.at_s.total_cmp(&b.job.at_s));
    let told: Vec<f64> = done.iter().map(|done: &Done| done.total_s).collect();
    let error = |told: f64, real: f64| told / real.max(f64::MIN_POSITIVE) - 1.0;
    let each = told.iter().zip(&real).map(|(told, real)| error(*told, *real).abs());
    let call_error = median(each.collect())?;
    let (of_told, of_real) = (Spread::of(told)?, Spread::of(real)?);
    Some(Check {
        learned_calls: learned.len() as u64,
        held_back_calls: done.len() as u64,
        held_back_from_ns: begin_ns,
        total_p50_error: error(of_told.p50, of_real.p50),
        total_p95_error: error(of_told.p95, of_real.p95),
        call_error,
    })
}

/// Where the last day begins that has enough calls, if there is enough before it; else the last third.
fn held_back_from(calls: &[Served]) -> Option<usize> {
    let last = calls.last()?.arrived_ns;
    let day = last - last % DAY_NS;
    let of_day = calls.partition_point(|call| call.arrived_ns < day);
    if of_day >= ENOUGH && calls.len() - of_day >= ENOUGH_HELD_BACK {
        return Some(of_day);
    }
    let third = calls.len() * 2 / 3;
    (third >= ENOUGH && calls.len() - third >= ENOUGH_HELD_BACK).then_some(third)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::tests::{SECOND, served};

    #[test]
    fn a_machine_that_stays_the_same_is_foretold_and_one_that_slows_down_is_not() {
        let calls: Vec<_> = (0..60).map(|at| served(at * 20, "m")).collect();
        let steady = check(&calls, KeepAlive::default(), false).unwrap();
        assert_eq!((steady.learned_calls, steady.held_back_calls), (40, 20));
        assert!(steady.total_p50_error.abs() < 1e-6 && steady.call_error < 1e-6, "{steady:?}");
        let mut slower = calls;
        for call in &mut slower[40..] {
            call.write_ns = 8 * SECOND;
        }
        let off = check(&slower, KeepAlive::default(), false).unwrap();
        assert!((off.total_p50_error + 2.0 / 3.0).abs() < 1e-6, "{off:?}");
    }

    #[test]
    fn the_last_day_is_held_back_where_there_is_one() {
        let day = 86_400;
        let mut calls: Vec<_> = (0..60).map(|at| served(at * 20, "m")).collect();
        calls.extend((0..12).map(|at| served(day + at * 20, "m")));
        let check = check(&calls, KeepAlive::default(), false).unwrap();
        assert_eq!((check.learned_calls, check.held_back_from_ns), (60, day * SECOND));
    }

    #[test]
    fn too_few_are_not_checked() {
        let calls: Vec<_> = (0..29).map(|at| served(at * 20, "m")).collect();
        assert_eq!(check(&calls, KeepAlive::default(), false), None);
    }
}
