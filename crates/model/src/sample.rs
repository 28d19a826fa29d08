//! What the machine did: one host sample and some process samples a second.

use serde::{Deserialize, Serialize};

use crate::UnixNanos;

/// One look at the whole machine. Rates are per second since the sample before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostSample {
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    pub cpu_count: u32,
    /// Cores at work (user, system, irq, steal); 1.0 = one core.
    pub cpu_busy_cores: f64,
    pub cpu_iowait_cores: f64,
    pub cpu_steal_cores: f64,
    pub memory_total_bytes: u64,
    /// Total minus what the kernel calls available.
    pub memory_used_bytes: u64,
    pub swap_total_bytes: u64,
    pub swap_used_bytes: u64,
    pub disk_read_bytes_per_s: f64,
    pub disk_write_bytes_per_s: f64,
    pub network_receive_bytes_per_s: f64,
    pub network_send_bytes_per_s: f64,
    pub major_faults_per_s: f64,
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
}
