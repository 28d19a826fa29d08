//! What the machine did: one host sample, and some samples of processes and of parts, a second.

use serde::{Deserialize, Serialize};

use crate::{UnixNanos, named::named};

/// One look at the whole machine. Rates are per second since the sample before; what the kernel does
/// not say is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct HostSample {
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    pub cpu_count: u32,
    /// Cores at work (user, system, irq, steal); 1.0 = one core.
    pub cpu_busy_cores: f64,
    pub cpu_iowait_cores: Option<f64>,
    pub cpu_steal_cores: Option<f64>,
    pub memory_total_bytes: u64,
    /// Total minus what the kernel calls available.
    pub memory_used_bytes: u64,
    pub swap_total_bytes: Option<u64>,
    pub swap_used_bytes: Option<u64>,
    pub disk_read_bytes_per_s: Option<f64>,
    pub disk_write_bytes_per_s: Option<f64>,
    pub network_receive_bytes_per_s: Option<f64>,
    pub network_send_bytes_per_s: Option<f64>,
    pub major_faults_per_s: Option<f64>,
    pub cpu_user_cores: Option<f64>,
    pub cpu_system_cores: Option<f64>,
    /// Tasks that ran or waited to run, averaged over a minute.
    pub load_1m: Option<f64>,
    /// File cache; the kernel gives it back when memory is wanted.
    pub memory_cached_bytes: Option<u64>,
    pub swap_in_bytes_per_s: Option<f64>,
    pub swap_out_bytes_per_s: Option<f64>,
    /// Share of the time in which some task waited for a CPU, 0 to 1 (pressure stall information,
    /// <https://docs.kernel.org/accounting/psi.html>).
    pub cpu_pressure: Option<f64>,
    /// The same, for memory to come back from where it was put.
    pub memory_pressure: Option<f64>,
    /// Share of the time in which nothing could run for want of memory.
    pub memory_stall: Option<f64>,
    pub io_pressure: Option<f64>,
    pub io_stall: Option<f64>,
    /// Share of the time in which the limit on our CPU time held tasks back, 0 to 1.
    pub cpu_throttled: Option<f64>,
    /// Processes that the kernel ended for want of memory since the sample before.
    pub oom_kills: Option<u64>,
    /// The machine that it is a sample of; the one that Andon runs on where nothing is said.
    pub host: Option<String>,
}

/// One look at one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProcessSample {
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    pub pid: u32,
    /// When the process began; with `pid` it names a process even after the number was reused.
    #[schema(value_type = u64)]
    pub started_ns: UnixNanos,
    pub name: String,
    /// Command line with secrets removed.
    pub command: String,
    /// What it is to Andon: `andon`, `runtime` or nothing.
    #[serde(default)]
    pub role: Option<String>,
    /// Cores used since the sample before; 1.0 = one core.
    pub cpu_cores: f64,
    pub rss_bytes: u64,
    pub threads: u32,
    /// Bytes read from storage per second since the sample before; unknown when not permitted.
    #[serde(default)]
    pub read_bytes_per_s: Option<f64>,
    #[serde(default)]
    pub write_bytes_per_s: Option<f64>,
    /// Pages that had to come from a disk, per second since the last look at it: of a model's weights
    /// that did not stay in memory, for example.
    #[serde(default)]
    pub major_faults_per_s: Option<f64>,
    /// Share of the scheduler's periods in which a limit on CPU time held it back, 0 to 1: of its
    /// container, or its service. Of a runtime only, and unknown where nothing limits it.
    #[serde(default)]
    pub cpu_throttled: Option<f64>,
    /// Held by it on all GPUs together; unknown without NVIDIA's driver, or where that does not tell.
    #[serde(default)]
    pub gpu_memory_bytes: Option<u64>,
    /// The machine that it is a sample of; the one that Andon runs on where nothing is said.
    #[serde(default)]
    pub host: Option<String>,
}

named! {
    /// Which part of the machine a sample is of.
    #[derive(Default)]
    pub enum DeviceKind {
        /// One logical CPU.
        #[default]
        Cpu = "cpu",
        Gpu = "gpu",
        /// One sensor.
        Temperature = "temperature",
        /// One meter.
        Energy = "energy",
    }
}

/// One look at one part of the machine. What a part does not have, or does not say, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct DeviceSample {
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    pub kind: DeviceKind,
    /// The same from look to look and from start to start: `cpu3`, a GPU's UUID or PCI address, a
    /// sensor's chip and place, a meter's folder (`intel-rapl:0`).
    pub id: String,
    /// What people call it: a product, a sensor's label, `package-0`.
    pub name: Option<String>,
    /// Share of the time at work, 0 to 1. Of a CPU since it was last reported, with stolen time and
    /// without waiting for disks (`/proc/stat`); of a GPU as its driver says.
    pub utilization: Option<f64>,
    /// Of a GPU's own memory; of one that is part of the CPU, what is set aside for it.
    pub memory_used_bytes: Option<u64>,
    pub memory_total_bytes: Option<u64>,
    /// Clock at this moment: of a CPU's core, a GPU's compute units. A CPU's is looked for now and
    /// then only, because asking wakes it up.
    pub frequency_hz: Option<f64>,
    pub temperature_c: Option<f64>,
    /// Power drawn: of an energy meter the mean since it was last reported.
    pub power_w: Option<f64>,
    /// What the power is held to.
    pub power_limit_w: Option<f64>,
    /// The most that a GPU's memory can move: the width of its bus by its highest clock, twice a cycle.
    pub memory_bandwidth_bytes_per_s: Option<f64>,
    /// Whether heat or power holds the clock down: of a GPU at this moment (NVML's reasons), of a CPU
    /// at some time since it was last asked (`thermal_throttle/core_throttle_count`).
    pub throttled: Option<bool>,
    /// The machine that it is a sample of; the one that Andon runs on where nothing is said.
    pub host: Option<String>,
}
