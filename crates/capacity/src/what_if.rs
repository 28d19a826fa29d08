//! What would have been with another setting: the recorded calls arrive once more.

use std::{collections::HashMap, sync::Arc};

use andon_diagnose::KeepAlive;
use serde::Serialize;

use crate::{
    Check, Served, Spread,
    beside::{Beside, beside, slowed},
    check::check,
    keep::{at_once, kept},
    pace::Paces,
    simulate::{Course, Done, Job, Station, simulate},
};

/// Fewer calls say nothing.
pub(crate) const ENOUGH: usize = 20;
/// Calls with another number of threads that make their pace known.
const ENOUGH_WITH_THREADS: usize = 5;
const NS: f64 = 1e9;
/// A call that waited less did not wait.
const LEAST_WAIT_S: f64 = 0.1;

/// How a runtime could be set. What is `None` stays as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Setting {
    /// How long a model is kept after each call.
    pub keep_alive: Option<KeepAlive>,
    /// Calls that compute at once.
    pub parallel: Option<usize>,
    /// The model that answers all calls.
    pub model: Option<String>,
    pub threads: Option<u64>,
}

/// Why nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// Too few calls that say where their time went.
    Calls,
    /// Too few calls to the model that is to answer.
    Model,
    /// Too few calls with this number of threads.
    Threads,
}

/// How the calls fared.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Fared {
    pub calls: u64,
    /// Nanoseconds until the first token.
    pub first_ns: Spread,
    /// Nanoseconds until the end.
    pub total_ns: Spread,
    /// Calls that loaded their model.
    pub loads: u64,
    /// Calls that waited for others.
    pub waited: u64,
    /// Share of the time in which something ran, 0 to 1.
    pub busy: f64,
}

/// Another setting against the one that was.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct WhatIf {
    /// What was measured.
    pub recorded: Option<Fared>,
    /// The same setting, simulated: what another setting is to be compared with.
    pub as_it_is: Option<Fared>,
    /// The other setting, simulated.
    pub then: Option<Fared>,
    pub lack: Option<Lack>,
    /// How far the simulation is off on calls that it had not seen.
    pub check: Option<Check>,
    /// Calls that computed at once, at most, as recorded.
    pub parallel: usize,
    /// Tokens a second of two calls together, one alone being 1; `None` where it was not seen and they
    /// are assumed to share what one has.
    pub two_at_once: Option<f64>,
    /// Models that had room together, as far as is known.
    pub models_at_once: Option<usize>,
    /// Nanoseconds that a model is kept for where a call says nothing: as told, or as the calls show
    /// where that is something else; `None`: for ever.
    pub kept_ns: Option<u64>,
}

/// `calls` of one runtime in the order in which they arrived; `told` is what the runtime is said to keep
/// a model for where a call says nothing; `had_to_make_room`: a model was pushed out by another one.
pub fn what_if(
    calls: &[Served],
    told: KeepAlive,
    had_to_make_room: bool,
    setting: &Setting,
) -> WhatIf {
    let past = Past::of(calls, told, had_to_make_room);
    let mut answer = WhatIf {
        recorded: recorded(calls, &past.beside),
        as_it_is: None,
        then: None,
        lack: None,
        check: None,
        parallel: past.beside.most,
        two_at_once: past.beside.gain.of_two,
        models_at_once: past.at_once,
        kept_ns: match past.kept {
            KeepAlive::For(ns) => Some(ns),
            KeepAlive::Always => None,
        },
    };
    if calls.len() < ENOUGH {
        answer.lack = Some(Lack::Calls);
        return answer;
    }
    answer.as_it_is = past.play(calls, &Setting::default()).ok();
    match past.play(calls, setting) {
        Ok(outcome) => answer.then = Some(outcome),
        Err(lack) => answer.lack = Some(lack),
    }
    answer.check = check(calls, told, had_to_make_room);
    answer
}

/// What was learned from calls.
pub(crate) struct Past {
    pub(crate) beside: Beside,
    pub(crate) slowed: Vec<f64>,
    pub(crate) paces: Paces,
    pub(crate) at_once: Option<usize>,
    /// For how long a model is kept where a call says nothing.
    pub(crate) kept: KeepAlive,
}

impl Past {
    pub(crate) fn of(calls: &[Served], told: KeepAlive, had_to_make_room: bool) -> Self {
        let beside = beside(calls);
        let slowed = slowed(&beside);
        let paces = Paces::of(calls, &slowed);
        let (at_once, kept) = (at_once(calls, had_to_make_room), kept(calls, told));
        Self { at_once, beside, slowed, paces, kept }
    }

    /// A call as it would be with the setting, from its own times where it keeps its model.
    fn job(
        &self,
        call: &Served,
        slowed: f64,
        setting: &Setting,
        of_threads: f64,
    ) -> Result<Job, Lack> {
        let keep = setting.keep_alive.or(call.keep_alive).unwrap_or(self.kept);
        let job = Job {
            at_s: 0.0,
            model: 0,
            keep_s: seconds(keep),
            read_s: call.read_ns as f64 / slowed / NS * of_threads,
            write_s: call.write_ns as f64 / slowed / NS * of_threads,
            rest_s: call.rest_ns as f64 / NS,
        };
        let Some(model) = setting.model.as_deref().filter(|model| **model != *call.model) else {
            return Ok(job);
        };
        let pace = self.paces.of_model(model).ok_or(Lack::Model)?;
        let read_s = pace.read_ns(call.read).ok_or(Lack::Model)? / NS;
        let write_s = pace.write_ns(call.written).ok_or(Lack::Model)? / NS;
        Ok(Job { read_s, write_s, ..job })
    }

    fn play(&self, calls: &[Served], setting: &Setting) -> Result<Fared, Lack> {
        let of_threads = self.of_threads(calls, setting.threads)?;
        let first_ns = calls.first().map_or(0, |call| call.arrived_ns);
        let mut models = Models::default();
        let mut jobs = Vec::with_capacity(calls.len());
        for ((call, slowed), of_threads) in calls.iter().zip(&self.slowed).zip(of_threads) {
            let model = setting.model.as_deref().unwrap_or(&call.model);
            jobs.push(Job {
                at_s: call.arrived_ns.saturating_sub(first_ns) as f64 / NS,
                model: models.place(model),
                ..self.job(call, *slowed, setting, of_threads)?
            });
        }
        let station = self.station(&models, setting.parallel);
        Ok(outcome(&simulate(&station, jobs, &mut |_| None)))
    }

    pub(crate) fn station(&self, models: &Models, parallel: Option<usize>) -> Station {
        let load_s = |name: &Arc<str>| {
            let pace = self.paces.of_model(name);
            pace.and_then(|pace| pace.load_ns).unwrap_or(0.0) / NS
        };
        Station {
            slots: parallel.unwrap_or(self.beside.most).max(1),
            gain: self.beside.gain,
            load_s: models.names.iter().map(load_s).collect(),
            at_once: self.at_once.unwrap_or(usize::MAX),
        }
    }

    /// For each call how many times longer it takes with that many threads, by the pace of writing of
    /// other calls that had them.
    fn of_threads(&self, calls: &[Served], threads: Option<u64>) -> Result<Vec<f64>, Lack> {
        let Some(threads) = threads else { return Ok(vec![1.0; calls.len()]) };
        let pace = |model: &str, wanted: Option<u64>| {
            let alike = calls.iter().zip(&self.slowed).filter(|(call, _)| {
                *call.model == *model && call.threads == wanted && call.written > 0
            });
            let paces: Vec<_> = alike
                .map(|(call, slowed)| call.write_ns as f64 / slowed / call.written as f64)
                .collect();
            (paces.len() >= ENOUGH_WITH_THREADS).then(|| crate::figures::median(paces)).flatten()
        };
        let mut known: HashMap<(Arc<str>, Option<u64>), Option<f64>> = HashMap::new();
        let ratio = |call: &Served| {
            if call.threads == Some(threads) {
                return Ok(1.0);
            }
            let key = (Arc::clone(&call.model), call.threads);
            let ratio = known.entry(key).or_insert_with(|| {
                Some(pace(&call.model, Some(threads))? / pace(&call.model, call.threads)?)
            });
            ratio.ok_or(Lack::Threads)
        };
        calls.iter().map(ratio).collect()
    }
}

/// Models by number.
#[derive(Default)]
pub(crate) struct Models {
    names: Vec<Arc<str>>,
}

impl Models {
    pub(crate) fn place(&mut self, name: &str) -> usize {
        self.names.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        })
    }
}

pub(crate) fn seconds(keep: KeepAlive) -> f64 {
    match keep {
        KeepAlive::For(ns) => ns as f64 / NS,
        KeepAlive::Always => f64::INFINITY,
    }
}

fn outcome(course: &Course) -> Fared {
    let of = |value: fn(&Done) -> f64| {
        let values = course.done.iter().map(|done| value(done) * NS).collect();
        Spread::of(values).unwrap_or(Spread { p50: 0.0, p95: 0.0 })
    };
    let count = |is: fn(&Done) -> bool| course.done.iter().filter(|done| is(done)).count() as u64;
    Fared {
        calls: course.done.len() as u64,
        first_ns: of(|done| done.first_s),
        total_ns: of(|done| done.total_s),
        loads: count(|done| done.loaded),
        waited: count(|done| done.waited_s >= LEAST_WAIT_S),
        busy: course.busy_s / course.end_s.max(f64::MIN_POSITIVE),
    }
}

/// What the calls themselves say.
fn recorded(calls: &[Served], beside: &Beside) -> Option<Fared> {
    let of = |value: fn(&Served) -> u64| {
        Spread::of(calls.iter().map(|call| value(call) as f64).collect())
    };
    let worked = |(call, others): (&Served, &f64)| {
        let load = call.load_ns.unwrap_or(0);
        (call.read_ns.saturating_add(call.write_ns)) as f64 / (1.0 + others) + load as f64
    };
    let busy_ns: f64 = calls.iter().zip(&beside.others).map(worked).sum();
    let from = calls.first()?.arrived_ns;
    let to = calls.iter().map(Served::ended_ns).max()?;
    Some(Fared {
        calls: calls.len() as u64,
        first_ns: of(Served::first_ns)?,
        total_ns: of(Served::total_ns)?,
        loads: calls.iter().filter(|call| call.load_ns.is_some()).count() as u64,
        waited: calls.iter().filter(|call| call.queue_ns as f64 >= LEAST_WAIT_S * NS).count()
            as u64,
        busy: (busy_ns / to.saturating_sub(from).max(1) as f64).min(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::tests::{SECOND, served};

    /// A call each ten minutes, each of which loads: the model is kept for five.
    fn lonely() -> Vec<Served> {
        let call = |at: u64| Served { load_ns: Some(6 * SECOND), ..served(at * 600, "m") };
        (0..30).map(call).collect()
    }

    fn ask(calls: &[Served], setting: Setting) -> WhatIf {
        what_if(calls, KeepAlive::default(), false, &setting)
    }

    #[test]
    fn a_longer_keep_alive_saves_the_loads() {
        let keep_alive = Some(KeepAlive::For(900 * SECOND));
        let answer = ask(&lonely(), Setting { keep_alive, ..Setting::default() });
        let (recorded, is, then) =
            (answer.recorded.unwrap(), answer.as_it_is.unwrap(), answer.then.unwrap());
        assert_eq!((recorded.loads, is.loads, then.loads), (30, 30, 1));
        assert_eq!((recorded.total_ns.p50, is.total_ns.p50.round()), (9e9, 9e9));
        assert_eq!(then.total_ns.p50.round(), 3e9);
        assert_eq!(answer.lack, None);
    }

    #[test]
    fn more_at_once_ends_the_waiting() {
        // Pairs that arrive together, of which the second waits for the first.
        let mut calls = Vec::new();
        for at in 0..15 {
            calls.push(served(at * 60, "m"));
            calls.push(Served { queue_ns: 3 * SECOND, ..served(at * 60, "m") });
        }
        let answer = ask(&calls, Setting { parallel: Some(2), ..Setting::default() });
        assert_eq!((answer.parallel, answer.two_at_once), (1, None));
        assert_eq!((answer.as_it_is.unwrap().waited, answer.then.unwrap().waited), (15, 0));
    }

    #[test]
    fn another_model_is_reckoned_with_its_own_pace() {
        let mut calls = lonely();
        for at in 0..5 {
            let fast = served(at * 600 + 300, "fast");
            calls.push(Served { read_ns: SECOND / 10, write_ns: SECOND / 5, ..fast });
        }
        calls.sort_by_key(|call| call.arrived_ns);
        let model = |name: &str| Setting { model: Some(name.to_owned()), ..Setting::default() };
        let then = ask(&calls, model("fast")).then.unwrap();
        assert!((then.total_ns.p50 / 3e8 - 1.0).abs() < 1e-6, "{then:?}");
        assert_eq!(ask(&calls, model("unknown")).lack, Some(Lack::Model));
    }

    #[test]
    fn threads_are_reckoned_from_calls_that_had_them_only() {
        let mut calls = lonely();
        let setting = Setting { threads: Some(1), ..Setting::default() };
        assert_eq!(ask(&calls, setting.clone()).lack, Some(Lack::Threads));
        for call in &mut calls[..6] {
            (call.threads, call.read_ns, call.write_ns) = (Some(1), 2 * SECOND, 4 * SECOND);
        }
        let then = ask(&calls, setting).then.unwrap();
        assert_eq!(then.total_ns.p50.round(), 12e9);
    }

    #[test]
    fn few_calls_say_nothing() {
        let answer = ask(&lonely()[..5], Setting::default());
        assert_eq!((answer.lack, answer.then), (Some(Lack::Calls), None));
        assert_eq!(ask(&[], Setting::default()).recorded, None);
    }
}
