//! For how many people a machine is enough: people who ask, read the answer for a while, and ask again.

use std::{collections::HashMap, sync::Arc};

use andon_diagnose::KeepAlive;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;

use crate::{
    Lack, Served,
    figures::{Spread, median, quantile},
    simulate::{Course, Job, Station, simulate},
    what_if::{ENOUGH, Models, Past, seconds},
};

const NS: f64 = 1e9;
/// A longer pause is somebody who has left.
const LONGEST_THINKING_NS: u64 = 30 * 60 * 1_000_000_000;
const ENOUGH_PAUSES: usize = 10;
/// What is taken where no pauses are known.
const ASSUMED_THINK_S: f64 = 60.0;
/// Time that is played for each number of people, and the beginning that does not count.
const PLAYED_S: f64 = 4.0 * 3600.0;
const WARM_UP_S: f64 = 600.0;
const MOST_PEOPLE: usize = 1_024;
/// So many of all answers have to begin in time.
const IN_TIME: f64 = 0.9;
/// Any number: the same calls give the same answer.
const SEED: u64 = 0x0061_6e64_6f6e;

/// What is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PeopleQuestion {
    /// Seconds after which nine of ten answers are to have begun.
    pub wait_s: f64,
    /// Seconds between an answer and the next question; `None`: as recorded.
    pub think_s: Option<f64>,
    /// Calls that compute at once; `None`: as it was.
    pub parallel: Option<usize>,
}

/// Where the time between an answer and the next question is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThinkTime {
    /// From the pauses within sessions.
    Recorded,
    /// As it was asked for.
    Asked,
    /// Too few pauses are known.
    Assumed,
}

/// For how many people a runtime is enough.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct People {
    /// The most for whom nine of ten answers begin in time; 0 where it is too slow for one, `None` where
    /// nothing can be said.
    pub most: Option<u32>,
    /// `most` is where the search ended: it is enough for more.
    pub or_more: bool,
    pub lack: Option<Lack>,
    pub wait_s: f64,
    /// The middle of the pauses.
    pub think_s: f64,
    pub think_from: ThinkTime,
    /// Calls that compute at once.
    pub parallel: usize,
    /// In the order of people.
    pub points: Vec<PeoplePoint>,
}

/// How it is for so many people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct PeoplePoint {
    pub people: u32,
    /// Nanoseconds until the first token, for half and for nine of ten.
    pub first_p50_ns: f64,
    pub first_p90_ns: f64,
    pub total_p50_ns: f64,
    pub answers_per_minute: f64,
    /// Share of the time in which something ran.
    pub busy: f64,
}

/// `calls` of one runtime, as for [`what_if`](crate::what_if).
pub fn people(
    calls: &[Served],
    told: KeepAlive,
    had_to_make_room: bool,
    question: &PeopleQuestion,
) -> People {
    let pauses = pauses(calls);
    let (think_from, pauses) = match question.think_s {
        Some(think_s) => (ThinkTime::Asked, vec![think_s]),
        None if pauses.len() >= ENOUGH_PAUSES => (ThinkTime::Recorded, pauses),
        None => (ThinkTime::Assumed, vec![ASSUMED_THINK_S]),
    };
    let past = Past::of(calls, told, had_to_make_room);
    let mut answer = People {
        most: None,
        or_more: false,
        lack: None,
        wait_s: question.wait_s,
        think_s: median(pauses.clone()).unwrap_or_default(),
        think_from,
        parallel: question.parallel.unwrap_or(past.beside.most),
        points: Vec::new(),
    };
    if calls.len() < ENOUGH {
        answer.lack = Some(Lack::Calls);
        return answer;
    }
    let mut models = Models::default();
    let jobs = jobs(calls, &past, &mut models);
    let station = past.station(&models, question.parallel);
    let spread = think_from == ThinkTime::Recorded;
    let crowd = Crowd { station: &station, jobs: &jobs, pauses: &pauses, spread };
    answer.search(&crowd);
    answer
}

impl People {
    /// Doubles until it is too many, and then halves what is between.
    fn search(&mut self, crowd: &Crowd<'_>) {
        let limit_ns = self.wait_s * NS;
        let (mut enough, mut too_many) = (0, None);
        let mut count = 1;
        loop {
            let point = crowd.of(count);
            self.points.push(point);
            // Where nobody got an answer, nothing was in time.
            if point.answers_per_minute > 0.0 && point.first_p90_ns <= limit_ns {
                enough = count;
            } else {
                too_many = Some(count);
            }
            count = match too_many {
                None if count >= MOST_PEOPLE => break,
                None => count * 2,
                Some(many) if many - enough <= 1 => break,
                Some(many) => enough.midpoint(many),
            };
        }
        self.points.sort_by_key(|point| point.people);
        self.most = u32::try_from(enough).ok();
        self.or_more = too_many.is_none();
    }
}

/// Seconds between an answer and the next question of the same session.
fn pauses(calls: &[Served]) -> Vec<f64> {
    let mut ends: HashMap<&Arc<str>, u64> = HashMap::new();
    let mut pauses = Vec::new();
    for call in calls {
        let Some(session) = &call.session else { continue };
        if let Some(end) = ends.insert(session, call.ended_ns()) {
            let pause = call.arrived_ns.saturating_sub(end);
            if call.arrived_ns > end && pause <= LONGEST_THINKING_NS {
                pauses.push(pause as f64 / NS);
            }
        }
    }
    pauses
}

fn jobs(calls: &[Served], past: &Past, models: &mut Models) -> Vec<Job> {
    let job = |(call, slowed): (&Served, &f64)| Job {
        at_s: 0.0,
        model: models.place(&call.model),
        keep_s: seconds(call.keep_alive.unwrap_or(past.kept)),
        read_s: call.read_ns as f64 / slowed / NS,
        write_s: call.write_ns as f64 / slowed / NS,
        rest_s: call.rest_ns as f64 / NS,
    };
    calls.iter().zip(&past.slowed).map(job).collect()
}

struct Crowd<'a> {
    station: &'a Station,
    /// Questions that are drawn from.
    jobs: &'a [Job],
    pauses: &'a [f64],
    /// Pauses differ as recorded; else around one of them, as independent arrivals do.
    spread: bool,
}

impl Crowd<'_> {
    fn of(&self, people: usize) -> PeoplePoint {
        let mut random = StdRng::seed_from_u64(SEED);
        let draws: Vec<_> = (0..people).map(|_| self.pause(&mut random)).collect();
        let firsts: Vec<_> =
            draws.into_iter().map(|at_s| self.question(at_s, &mut random)).collect();
        let course = simulate(self.station, firsts, &mut |done| {
            let at_s = done.job.at_s + done.total_s + self.pause(&mut random);
            (at_s < PLAYED_S).then(|| self.question(at_s, &mut random))
        });
        point(people, &course)
    }

    fn question(&self, at_s: f64, random: &mut StdRng) -> Job {
        Job { at_s, ..self.jobs[random.random_range(0..self.jobs.len())] }
    }

    fn pause(&self, random: &mut StdRng) -> f64 {
        let pause = self.pauses[random.random_range(0..self.pauses.len())];
        match self.spread {
            true => pause,
            // Exponential, by inversion.
            false => -pause * (1.0 - random.random::<f64>()).ln(),
        }
    }
}

fn point(people: usize, course: &Course) -> PeoplePoint {
    let counted = || course.done.iter().filter(|done| done.job.at_s >= WARM_UP_S);
    let firsts: Vec<_> = counted().map(|done| done.first_s * NS).collect();
    let totals = Spread::of(counted().map(|done| done.total_s * NS).collect());
    PeoplePoint {
        people: u32::try_from(people).unwrap_or(u32::MAX),
        answers_per_minute: firsts.len() as f64 * 60.0 / (PLAYED_S - WARM_UP_S),
        first_p50_ns: median(firsts.clone()).unwrap_or(0.0),
        first_p90_ns: quantile(firsts, IN_TIME).unwrap_or(0.0),
        total_p50_ns: totals.map_or(0.0, |totals| totals.p50),
        busy: course.busy_s / course.end_s.max(f64::MIN_POSITIVE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::tests::served;

    fn ask(calls: &[Served], question: PeopleQuestion) -> People {
        people(calls, KeepAlive::default(), false, &question)
    }

    fn calls() -> Vec<Served> {
        (0..30).map(|at| served(at * 20, "m")).collect()
    }

    #[test]
    fn more_people_wait_longer_and_the_number_is_where_the_limit_is_reached() {
        let question = PeopleQuestion { wait_s: 10.0, think_s: Some(60.0), parallel: None };
        let answer = ask(&calls(), question);
        let most = answer.most.unwrap();
        // 3 s of work in 63 s: 21 people keep it busy without a pause.
        assert!((15..=24).contains(&most), "{answer:?}");
        let of = |people| answer.points.iter().find(|point| point.people == people).unwrap();
        assert!(of(most).first_p90_ns <= 10e9 && of(most + 1).first_p90_ns > 10e9);
        assert!(answer.points.windows(2).all(|two| two[0].busy <= two[1].busy + 0.05));
        let stricter = ask(&calls(), PeopleQuestion { wait_s: 2.0, ..question });
        assert!(stricter.most.unwrap() < most);
        assert_eq!(ask(&calls(), question), answer);
    }

    #[test]
    fn a_machine_that_is_too_slow_for_one_is_enough_for_nobody() {
        let question = PeopleQuestion { wait_s: 0.5, think_s: Some(60.0), parallel: None };
        assert_eq!(ask(&calls(), question).most, Some(0));
    }

    #[test]
    fn pauses_are_those_within_sessions() {
        let session = |at, name: &str| Served { session: Some(name.into()), ..served(at, "m") };
        let mut calls: Vec<_> = (0..12).map(|at| session(at * 30, "a")).collect();
        calls.push(session(100_000, "a"));
        calls.extend((0..10).map(|at| served(100_100 + at * 9, "m")));
        let answer = ask(&calls, PeopleQuestion { wait_s: 10.0, ..PeopleQuestion::default() });
        assert_eq!((answer.think_from, answer.think_s), (ThinkTime::Recorded, 27.0));
        let assumed = ask(&self::calls(), PeopleQuestion { wait_s: 10.0, ..Default::default() });
        assert_eq!((assumed.think_from, assumed.think_s), (ThinkTime::Assumed, 60.0));
        assert_eq!(ask(&calls[..9], PeopleQuestion::default()).lack, Some(Lack::Calls));
    }
}
