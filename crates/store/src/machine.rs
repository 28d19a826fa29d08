//! What is asked about the machine over a stretch of time, and the answer.

use andon_model::{DeviceKind, HostSample, UnixNanos};
use serde::Serialize;

use crate::Interrupt;

/// A question about the machine.
#[derive(Debug, Clone, Default)]
pub struct MachineQuery {
    /// The machine; the one that Andon runs on where none is named.
    pub host: Option<String>,
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
    /// The machine's parts, by kind and id, in the same steps.
    pub devices: Vec<DeviceUse>,
    /// Something was left out: a file could not be read, or there were too many processes or parts.
    pub is_partial: bool,
}

/// One part of the machine over the time.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DeviceUse {
    pub kind: DeviceKind,
    pub id: String,
    /// What people call it, as it was said first.
    pub name: Option<String>,
    /// Of a GPU: what its memory can move at most.
    pub memory_bandwidth_bytes_per_s: Option<f64>,
    /// The steps that have samples of it.
    pub points: Vec<DevicePoint>,
}

/// A part in one step: means of its samples, and the greatest where it says so. What none of them
/// told is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DevicePoint {
    /// Where the step begins.
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    /// 0 to 1, as its peak.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub utilization: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub utilization_peak: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub memory_used_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub memory_total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub frequency_hz: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub temperature_c: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub temperature_peak_c: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub power_w: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub power_limit_w: Option<f64>,
    /// Share of the looks at which heat or power held its clock down, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub throttled: Option<f64>,
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
    /// Pages that had to come from a disk.
    pub major_faults_per_s_peak: Option<f64>,
    /// On all GPUs together.
    pub gpu_memory_bytes_peak: Option<u64>,
    #[schema(value_type = u64)]
    pub first_seen_ns: UnixNanos,
    #[schema(value_type = u64)]
    pub last_seen_ns: UnixNanos,
}
