//! What may be asked.

use andon_model::{LlmKind, Named as _, UnixNanos};
use serde::Deserialize;

use super::{Key, rollup::HOUR_NS};
use crate::{
    Interrupt,
    query::{Filter, Test, TextField},
};

/// A question for numbers about spans.
#[derive(Debug, Clone, Default)]
pub struct AggregateQuery {
    /// Spans that began at or after this.
    pub from_ns: UnixNanos,
    /// Spans that began before this.
    pub to_ns: UnixNanos,
    pub filter: Filter,
    pub of: Population,
    /// What the groups are told apart by; all are one group when it is empty.
    pub by: Vec<Dimension>,
    /// Points in time that are wanted, about; 0 puts all times together.
    pub points: usize,
    /// Groups that are wanted.
    pub top: usize,
    /// Which groups come first.
    pub order: Order,
    /// Ends the question when it is raised.
    pub interrupt: Interrupt,
}

/// A question for how many spans took how long, over time.
#[derive(Debug, Clone, Default)]
pub struct HeatMapQuery {
    pub from_ns: UnixNanos,
    pub to_ns: UnixNanos,
    pub filter: Filter,
    pub of: Population,
    /// Columns that are wanted, about.
    pub points: usize,
    /// Rows that there are at most.
    pub rows: usize,
    /// Ends the question when it is raised.
    pub interrupt: Interrupt,
}

/// Which spans are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Population {
    /// Calls to models.
    #[default]
    Calls,
    /// Spans without a parent.
    Roots,
    All,
}

/// What groups are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    Service,
    Name,
    /// What an LLM application did: `llm`, `tool`, `retrieval`, …
    Operation,
    Model,
    Status,
    Cause,
}

/// What groups are sorted by; the largest come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Count,
    Errors,
    /// All durations together.
    Duration,
    /// Read and written.
    Tokens,
}

const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;
const DAY_NS: u64 = 24 * HOUR_NS;
/// Steps of time that people count in.
const STEPS: [u64; 19] = [
    SECOND_NS,
    2 * SECOND_NS,
    5 * SECOND_NS,
    10 * SECOND_NS,
    30 * SECOND_NS,
    MINUTE_NS,
    2 * MINUTE_NS,
    5 * MINUTE_NS,
    10 * MINUTE_NS,
    15 * MINUTE_NS,
    30 * MINUTE_NS,
    HOUR_NS,
    2 * HOUR_NS,
    3 * HOUR_NS,
    6 * HOUR_NS,
    12 * HOUR_NS,
    DAY_NS,
    7 * DAY_NS,
    28 * DAY_NS,
];

/// The shortest step by which a stretch of time has no more points than wanted, or all of it.
pub(crate) fn step_of(from_ns: UnixNanos, to_ns: UnixNanos, points: usize) -> Option<u64> {
    let range_ns = to_ns.saturating_sub(from_ns);
    let fits = |step: &u64| range_ns.div_ceil(*step) <= points as u64;
    // Days, however many: rollups know of no less than hours.
    let longest = || {
        let step_ns = range_ns.div_ceil(points.max(1) as u64);
        step_ns.checked_next_multiple_of(DAY_NS).unwrap_or(u64::MAX / DAY_NS * DAY_NS)
    };
    (points > 0).then(|| STEPS.into_iter().find(fits).unwrap_or_else(longest))
}

impl Dimension {
    pub(crate) fn key(self) -> Key {
        Key::Word(match self {
            Self::Service => "service",
            Self::Name => "name",
            Self::Operation => "llm_kind",
            Self::Model => "model",
            Self::Status => "status",
            Self::Cause => "cause",
        })
    }
}

impl Population {
    /// The operations that are in it; `None` for any.
    pub(crate) fn operations(self) -> Option<[&'static str; 2]> {
        matches!(self, Self::Calls).then(|| [LlmKind::Llm.name(), LlmKind::Embedding.name()])
    }
}

/// Whether rollups keep apart what this filter tells apart.
pub(crate) fn is_of_rollups(filter: &Filter) -> bool {
    filter.terms.iter().all(|term| match &term.test {
        Test::Status(_) | Test::Cause(_) => true,
        Test::Text(field, _) => matches!(field, TextField::Service | TextField::Model),
        Test::Anywhere(_) | Test::Duration { .. } | Test::Content(_) | Test::Attribute(..) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_as_many_as_wanted() {
        assert_eq!(step_of(0, DAY_NS, 288), Some(5 * MINUTE_NS));
        assert_eq!(step_of(0, DAY_NS, 287), Some(10 * MINUTE_NS));
        assert_eq!(step_of(0, 30 * DAY_NS, 120), Some(6 * HOUR_NS));
        assert_eq!(step_of(0, 1, 1), Some(SECOND_NS));
        assert_eq!(step_of(5, 5, 10), Some(SECOND_NS));
        assert_eq!(step_of(0, DAY_NS, 0), None);
        let half = step_of(0, u64::MAX, 2).unwrap();
        assert!(half > u64::MAX / 2 && half.is_multiple_of(DAY_NS));
        assert!(step_of(0, u64::MAX, 1).unwrap().is_multiple_of(DAY_NS));
    }
}
