//! What the machine did while a model answered: CPU, memory, disk and network of the host, the
//! processes that used most of it, and its parts (each CPU, GPUs, temperatures, energy), once a second
//! and cheaply enough to leave on.
//!
//! Everything is read from `/proc` and `/sys`, and of NVIDIA's GPUs from the library of their driver.
//! On a system without `/proc` the crate compiles and says so: [`Sample::host`] is `None`, and there
//! are no processes and no parts.
//!
//! What a newcomer gets wrong: inside a cgroup with a limit below the machine's (a container),
//! [`HostSample`](andon_model::HostSample) describes the *cgroup* in that respect. `cpu_count`
//! and `cpu_busy_cores` belong together, and so do `memory_total_bytes` and `memory_used_bytes`;
//! disks, network, swap, steal, faults and parts stay the machine's. Only cgroup v2 is looked at for
//! that; what holds a runtime back is known of either version.
//!
//! Rates come from the monotonic clock, so a wall clock that jumps bends the time stamps but
//! never a rate.

mod bandwidth;
mod cgroup;
mod clock;
mod command;
mod counters;
mod devices;
mod disk;
mod files;
mod limits;
mod machine;
mod nearby;
mod parse;
mod port;
mod priority;
mod processes;
mod rates;
mod role;
mod sampler;
mod throttling;

pub use bandwidth::memory_bytes_per_s;
pub use cgroup::CgroupLimits;
pub use clock::{ClockState, clock_check};
pub use disk::{DiskSpace, disk_free};
pub use limits::raise_open_files;
pub use machine::{Machine, machine, oom_kills, resident_bytes};
pub use nearby::{is_own_address, runtime_in_container};
pub use port::port_holder;
pub use priority::give_way;
pub use role::{ROLE_ANDON, ROLE_RUNTIME};
pub use sampler::{Config, RuntimePids, Sample, Sampler, spawn};

use thiserror::Error;

/// Why something about the machine could not be found out.
#[derive(Debug, Error)]
pub enum HostError {
    #[error("cannot ask for the free space at {path}")]
    DiskFree { path: std::path::PathBuf, source: std::io::Error },
    #[error("cannot start the thread that samples the machine")]
    SamplerThread { source: std::io::Error },
    #[error("{what} is not supported on this system")]
    Unsupported { what: &'static str },
}
