//! What is kept in memory: for the newest traces what their rows in the list need, and for
//! everything where its frames are. Whole spans, texts and samples are read back from the log.
//!
//! This side is simple on purpose: it is bounded, and rebuilt from the log at each start.

mod digest;
mod samples;
mod traces;
mod view;

pub(crate) use samples::SampleIndex;
pub(crate) use traces::{Pass, TraceIndex};
