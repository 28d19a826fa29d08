//! Made-up telemetry, the same for the same seed: for benches, demos and tests.
//!
//! A [`Recipe`] says how much, over how many days, up to which moment; its [`Generator`] yields one
//! trace after the other in the order of their starts, in the same memory whatever their number.
//! The same recipe gives the same spans and texts on every machine and in every run.
//!
//! What a newcomer gets wrong: nothing here may ask the clock, the system's random numbers, or a
//! float's logarithm. And whoever changes a draw changes all that follows; tests that pin a hash
//! must then be pinned anew, on purpose.

mod agent;
mod apm;
mod call;
mod capture;
mod catalog;
mod chat;
mod contents;
mod ending;
mod failure;
mod random;
mod rhythm;
mod session;
mod shop;
mod squeeze;
mod text;
mod world;

use andon_model::{Observation, UnixNanos};

use crate::{
    contents::Contents,
    random::Random,
    rhythm::{Moment, Rhythm},
    session::Sessions,
    world::{Trace, World},
};

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// Spans in all, exactly.
    pub spans: u64,
    /// The time that they fill: at least a day, at most ten years.
    pub days: u32,
    pub seed: u64,
    /// Where that time ends. No span ends later.
    pub end_ns: UnixNanos,
    /// Texts of prompts and answers in all, spread over the calls to models; within two per cent
    /// where there are some hundreds of calls. A call has at most 200.
    pub contents: u64,
}

impl Recipe {
    pub fn generate(&self) -> Generator {
        let rhythm = Rhythm::new(self.end_ns, self.days, self.seed);
        let conversations = self.spans / SPANS_PER_CONVERSATION_TRACE;
        let sessions = Sessions::new(conversations, rhythm.length_ns());
        Generator {
            arrivals: Random::new(self.seed, 1),
            world: World::new(Random::new(self.seed, 2), sessions),
            contents: Contents::new(Random::new(self.seed, 3), self.contents, self.spans),
            rhythm,
            spans: self.spans,
            made: 0,
            before: 0,
        }
    }
}

/// Kinds of traces, and how many in a hundred.
const KINDS: [(u64, Kind); 4] = [
    (44, Kind { make: chat::trace, lasts_ns: 40 * SECOND }),
    (24, Kind { make: capture::trace, lasts_ns: 90 * SECOND }),
    (7, Kind { make: agent::trace, lasts_ns: 150 * SECOND }),
    (25, Kind { make: apm::trace, lasts_ns: 3 * SECOND }),
];
/// About so many spans come for each trace that belongs to a conversation.
const SPANS_PER_CONVERSATION_TRACE: u64 = 14;
const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy)]
struct Kind {
    make: fn(&mut World, &Moment) -> Trace,
    /// Long ones of it last so long.
    lasts_ns: u64,
}

/// Yields traces in the order of their start, oldest first: all spans of one with their texts, a
/// parent before its children. The last one is cut where there are spans enough.
pub struct Generator {
    arrivals: Random,
    world: World,
    contents: Contents,
    rhythm: Rhythm,
    spans: u64,
    made: u64,
    /// Spans of the trace before.
    before: u64,
}

impl Iterator for Generator {
    type Item = Vec<Observation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.made == self.spans {
            return None;
        }
        let moment = self.rhythm.moment(&mut self.arrivals, self.made, self.before, self.spans);
        let mut trace = (self.kind(&moment).make)(&mut self.world, &moment);
        let left = self.spans - self.made;
        trace.observations.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        squeeze::into(&mut trace, &moment);
        self.contents.fill(&mut trace);
        self.before = trace.len() as u64;
        self.made += self.before;
        Some(trace.observations)
    }
}

impl Generator {
    /// Near the end of all time only what will be over by then.
    fn kind(&mut self, moment: &Moment) -> Kind {
        let drawn = KINDS[self.arrivals.weighted(KINDS.iter().map(|(weight, _)| *weight))].1;
        if drawn.lasts_ns < moment.left_ns { drawn } else { KINDS[3].1 }
    }
}

#[cfg(test)]
mod tests;
