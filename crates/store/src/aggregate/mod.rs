//! Questions for numbers: how many spans, how long they took, what they used, told apart by what
//! they have in common and by time.
//!
//! One way for all of them: rows, whether spans or the rollups of an hour of spans, are added up in
//! a [`tally`]; percentiles come out of sketches that add up as well. So it makes no difference to
//! an answer which of both it was made of.

mod answer;
mod question;
mod rollup;
mod sketch;
mod sums;
mod tally;

pub use self::{
    answer::{Aggregation, Distribution, Figures, Group, HeatColumn, HeatMap, Point},
    question::{AggregateQuery, Dimension, HeatMapQuery, Order, Population},
};
pub(crate) use self::{
    question::{is_of_rollups, step_of},
    rollup::{HOUR_NS, ROLLUP_SUMS, Rolling, Rollup, VERSION},
    sketch::Sketch,
    sums::SPAN_COLUMNS,
    tally::{Key, Tally, tops},
};
