//! One runtime as a queue: calls arrive, wait for a slot, load their model if it is not in memory, read
//! and write, and share the machine with whoever computes beside them.
//!
//! Times are seconds from the beginning. The rules are those of Ollama's scheduler and of Andon's own
//! runtime, as far as they are told: first come, first served; a model leaves when nobody has asked for
//! it for as long as the last call said, or when another one needs its room.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
};

use crate::beside::Gain;

/// A call that is to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Job {
    pub(crate) at_s: f64,
    pub(crate) model: usize,
    /// How long its model is kept afterwards.
    pub(crate) keep_s: f64,
    /// By itself.
    pub(crate) read_s: f64,
    pub(crate) write_s: f64,
    /// Beside the runtime: network, the app.
    pub(crate) rest_s: f64,
}

/// The runtime.
#[derive(Debug, Clone)]
pub(crate) struct Station {
    /// Calls that compute at once.
    pub(crate) slots: usize,
    pub(crate) gain: Gain,
    /// How long each model takes to load.
    pub(crate) load_s: Vec<f64>,
    /// Models that fit into memory together.
    pub(crate) at_once: usize,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Done {
    pub(crate) job: Job,
    pub(crate) waited_s: f64,
    /// It was the one that loaded the model.
    pub(crate) loaded: bool,
    /// Until its first token.
    pub(crate) first_s: f64,
    pub(crate) total_s: f64,
}

/// All that happened.
#[derive(Debug, Default)]
pub(crate) struct Course {
    pub(crate) done: Vec<Done>,
    /// Time in which something ran.
    pub(crate) busy_s: f64,
    pub(crate) end_s: f64,
}

/// Lets the calls come; each that is done may bring another one (`next`), which is how people behave.
pub(crate) fn simulate(
    station: &Station,
    jobs: impl IntoIterator<Item = Job>,
    next: &mut dyn FnMut(&Done) -> Option<Job>,
) -> Course {
    let mut run = Run {
        station,
        now: 0.0,
        coming: jobs.into_iter().map(|job| Reverse(Coming(job))).collect(),
        waiting: VecDeque::new(),
        running: Vec::new(),
        resident: Vec::new(),
        course: Course::default(),
    };
    while run.step(next) {}
    run.course.end_s = run.now;
    run.course
}

/// Ordered by arrival.
struct Coming(Job);

impl PartialEq for Coming {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Coming {}

impl PartialOrd for Coming {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Coming {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.at_s.total_cmp(&other.0.at_s)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Load,
    Read,
    Write,
}

struct Running {
    job: Job,
    phase: Phase,
    /// Of the phase, by itself.
    left_s: f64,
    waited_s: f64,
    loaded: bool,
    first_s: f64,
}

struct Resident {
    model: usize,
    calls: usize,
    ready_s: f64,
    used_s: f64,
    until_s: f64,
}

struct Run<'a> {
    station: &'a Station,
    now: f64,
    coming: BinaryHeap<Reverse<Coming>>,
    waiting: VecDeque<Job>,
    running: Vec<Running>,
    resident: Vec<Resident>,
    course: Course,
}

impl Run<'_> {
    /// Goes to whatever happens next; false when nothing more does.
    fn step(&mut self, next: &mut dyn FnMut(&Done) -> Option<Job>) -> bool {
        let arrival = self.coming.peek().map(|Reverse(coming)| coming.0.at_s.max(self.now));
        let rate = self.rate();
        let pace = |it: &Running| if it.phase == Phase::Load { 1.0 } else { rate };
        let ends = self.running.iter().map(|it| self.now + it.left_s / pace(it));
        let end = ends.min_by(f64::total_cmp);
        let Some(until) = [arrival, end].into_iter().flatten().min_by(f64::total_cmp) else {
            return false;
        };
        if !self.running.is_empty() {
            self.course.busy_s += until - self.now;
        }
        for running in &mut self.running {
            running.left_s -= (until - self.now) * pace(running);
        }
        self.now = until;
        self.go_on(next);
        while self.coming.peek().is_some_and(|Reverse(coming)| coming.0.at_s <= self.now) {
            self.waiting.extend(self.coming.pop().map(|Reverse(coming)| coming.0));
        }
        self.start();
        true
    }

    /// How fast each call that computes does so, against one alone.
    fn rate(&self) -> f64 {
        let computing = self.running.iter().filter(|it| it.phase != Phase::Load).count().max(1);
        self.station.gain.of(computing) / computing as f64
    }

    /// Takes calls whose phase has ended to the next one.
    fn go_on(&mut self, next: &mut dyn FnMut(&Done) -> Option<Job>) {
        /// What is left by rounding.
        const NOTHING_S: f64 = 1e-9;
        let mut at = 0;
        while at < self.running.len() {
            let running = &mut self.running[at];
            if running.left_s > NOTHING_S {
                at += 1;
                continue;
            }
            match running.phase {
                Phase::Load => (running.phase, running.left_s) = (Phase::Read, running.job.read_s),
                Phase::Read => {
                    running.first_s = self.now - running.job.at_s;
                    (running.phase, running.left_s) = (Phase::Write, running.job.write_s);
                }
                Phase::Write => {
                    let ended = self.running.swap_remove(at);
                    self.end(&ended, next);
                }
            }
        }
    }

    fn end(&mut self, ended: &Running, next: &mut dyn FnMut(&Done) -> Option<Job>) {
        if let Some(model) = self.resident.iter_mut().find(|it| it.model == ended.job.model) {
            model.calls -= 1;
            (model.used_s, model.until_s) = (self.now, self.now + ended.job.keep_s);
        }
        let done = Done {
            job: ended.job,
            waited_s: ended.waited_s,
            loaded: ended.loaded,
            first_s: ended.first_s,
            total_s: self.now - ended.job.at_s + ended.job.rest_s,
        };
        self.coming.extend(next(&done).map(|job| Reverse(Coming(job))));
        self.course.done.push(done);
    }

    fn start(&mut self) {
        let now = self.now;
        self.resident.retain(|it| it.calls > 0 || it.until_s > now);
        while self.running.len() < self.station.slots {
            let Some(&job) = self.waiting.front() else { return };
            let Some((load_s, loaded)) = self.have(job.model) else { return };
            self.waiting.pop_front();
            self.running.push(Running {
                job,
                phase: Phase::Load,
                left_s: load_s,
                waited_s: now - job.at_s,
                loaded,
                first_s: 0.0,
            });
        }
    }

    /// Takes the model into use: how long until it is there, and whether it has to be loaded. `None`
    /// while all others that fill the memory are in use.
    fn have(&mut self, model: usize) -> Option<(f64, bool)> {
        if let Some(known) = self.resident.iter_mut().find(|it| it.model == model) {
            known.calls += 1;
            return Some(((known.ready_s - self.now).max(0.0), false));
        }
        while self.resident.len() >= self.station.at_once.max(1) {
            let idle = self.resident.iter().enumerate().filter(|(_, it)| it.calls == 0);
            let oldest = idle.min_by(|(_, a), (_, b)| a.used_s.total_cmp(&b.used_s))?.0;
            self.resident.swap_remove(oldest);
        }
        let load_s = self.station.load_s.get(model).copied().unwrap_or(0.0);
        let ready_s = self.now + load_s;
        self.resident.push(Resident { model, calls: 1, ready_s, used_s: self.now, until_s: 0.0 });
        Some((load_s, true))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn station(slots: usize, of_two: Option<f64>) -> Station {
        Station { slots, gain: Gain { of_two }, load_s: vec![4.0, 4.0], at_once: 2 }
    }

    fn job(at_s: f64, model: usize) -> Job {
        Job { at_s, model, keep_s: 60.0, read_s: 1.0, write_s: 2.0, rest_s: 0.5 }
    }

    fn totals(station: &Station, jobs: &[Job]) -> Vec<f64> {
        let mut done = simulate(station, jobs.iter().copied(), &mut |_| None).done;
        done.sort_by(|a, b| a.job.at_s.total_cmp(&b.job.at_s));
        done.iter().map(|done| (done.total_s * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn the_first_call_loads_and_a_later_one_only_after_the_keep_alive() {
        let jobs = [job(0.0, 0), job(10.0, 0), job(100.0, 0)];
        assert_eq!(totals(&station(1, None), &jobs), [7.5, 3.5, 7.5]);
    }

    #[test]
    fn with_one_slot_calls_wait_and_with_two_they_share() {
        let jobs = [job(0.0, 0), job(20.0, 0), job(20.0, 0)];
        assert_eq!(totals(&station(1, None), &jobs), [7.5, 3.5, 6.5]);
        assert_eq!(totals(&station(2, None), &jobs), [7.5, 6.5, 6.5]);
        // Two together do one and a half times as much.
        assert_eq!(totals(&station(2, Some(1.5)), &jobs), [7.5, 4.5, 4.5]);
    }

    #[test]
    fn a_model_that_needs_the_room_of_another_pushes_it_out() {
        let jobs = [job(0.0, 0), job(10.0, 1), job(20.0, 0)];
        let small = Station { at_once: 1, ..station(1, None) };
        assert_eq!(totals(&small, &jobs), [7.5; 3]);
        assert_eq!(totals(&station(1, None), &jobs), [7.5, 7.5, 3.5]);
    }

    #[test]
    fn who_comes_while_the_model_loads_waits_for_the_same_load() {
        let course = simulate(&station(2, Some(2.0)), [job(0.0, 0), job(1.0, 0)], &mut |_| None);
        assert_eq!(course.done.iter().filter(|done| done.loaded).count(), 1);
        assert_eq!(totals(&station(2, Some(2.0)), &[job(0.0, 0), job(1.0, 0)]), [7.5, 6.5]);
    }

    #[test]
    fn an_answer_may_bring_the_next_question() {
        let mut left = 3;
        let course = simulate(&station(1, None), [job(0.0, 0)], &mut |done| {
            left -= 1;
            (left > 0).then(|| job(done.job.at_s + done.total_s + 5.0, 0))
        });
        assert_eq!(course.done.len(), 3);
        assert!((course.busy_s - (7.0 + 3.0 + 3.0)).abs() < 1e-6, "{course:?}");
    }

    proptest! {
        /// Whatever comes is done once, none before its own work, and the machine is never busier than
        /// the work that there was.
        #[test]
        fn nothing_is_lost_and_nothing_is_faster_than_alone(
            times in proptest::collection::vec((0.0..500.0_f64, 0..2_usize, 0.0..5.0_f64), 1..60),
            slots in 1..5_usize,
            of_two in proptest::option::of(0.5..2.0_f64),
        ) {
            let jobs: Vec<_> = times
                .iter()
                .map(|(at_s, model, write_s)| Job { write_s: *write_s, ..job(*at_s, *model) })
                .collect();
            let course = simulate(&station(slots, of_two), jobs.clone(), &mut |_| None);
            prop_assert_eq!(course.done.len(), jobs.len());
            for done in &course.done {
                let alone = done.job.read_s + done.job.write_s + done.job.rest_s;
                prop_assert!(done.total_s >= alone - 1e-6);
                prop_assert!(done.first_s <= done.total_s + 1e-6);
            }
            let loads = course.done.iter().filter(|done| done.loaded).count() as f64;
            let work: f64 = jobs.iter().map(|job| job.read_s + job.write_s).sum();
            // Two that share at worst do half as much as one.
            prop_assert!(course.busy_s <= work * 8.0 + loads * 4.0 + 1e-6);
        }
    }
}
