//! What is asked about the machine over a stretch of time, and the answer.

use andon_model::{HostSample, UnixNanos};
use serde::Serialize;

use crate::Interrupt;

/// A question about the machine.
#[derive(Debug, Clone, Default)]
pub struct MachineQuery {
    pub from_ns: UnixNanos,
    /// Not included.
    pub to_ns: UnixNanos,
    /// Points in time that are wanted, about.
    pub points: usize,
    /// Processes that are wanted at most.
    pub top: usize,
    /// Ends the question when it is raised.
    pub interrupt: Interrupt,
}

/// The machine over a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Machine {
    #[schema(value_type = u64)]
    pub from_ns: UnixNanos,
    #[schema(value_type = u64)]
    pub to_ns: UnixNanos,
    pub step_ns: u64,
    /// Means of the samples in each step that has some; `time_ns` is where the step begins, and
    /// `oom_kills` all of the step.
    pub mean: Vec<HostSample>,
    /// The greatest of the same samples, each figure by itself.
    pub peak: Vec<HostSample>,
    /// Those that used most of the CPU, and those that held most of the memory.
    pub processes: Vec<ProcessUse>,
    /// Something was left out: a file could not be read, or there were too many processes.
    pub is_partial: bool,
}

/// What one process used.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ProcessUse {
    pub pid: u32,
    #[schema(value_type = u64)]
    pub started_ns: UnixNanos,
    pub name: String,
    /// Command line with secrets removed.
    pub command: String,
    /// What it is to Andon: `andon`, `runtime` or nothing.
    pub role: Option<String>,
    /// Mean over the whole time in which the machine was looked at.
    pub cpu_cores: f64,
    pub cpu_cores_peak: f64,
    pub rss_bytes_peak: u64,
    pub threads_peak: u32,
    #[schema(value_type = u64)]
    pub first_seen_ns: UnixNanos,
    #[schema(value_type = u64)]
    pub last_seen_ns: UnixNanos,
}
