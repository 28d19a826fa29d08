//! What the machine is, for the first lines that Andon prints and for `andon doctor`.

use crate::cgroup::{Cgroup, CgroupLimits};
use crate::files::{FileReader, Roots};
use crate::parse;
use crate::processes::Units;

/// The machine as seen from here. Unknown is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    pub host_name: Option<String>,
    /// CPUs that can be used: the machine's, or what the cgroup allows where that is less.
    pub cpu_count: Option<u32>,
    /// Bytes that can be used: the machine's, or the cgroup's limit where that is less.
    pub memory_total: Option<u64>,
    pub memory_available: Option<u64>,
    /// Name and release, such as `Linux 6.1.0`.
    pub kernel: Option<String>,
    /// Only limits that bind: below what the machine has.
    pub cgroup: CgroupLimits,
}

/// Looks once; reads a handful of small files.
pub fn machine() -> Machine {
    machine_at(&Roots::default())
}

fn machine_at(roots: &Roots) -> Machine {
    let mut reader = FileReader::new();
    let cpus = reader
        .read_text(&roots.proc.join("stat"))
        .and_then(parse::cpu_ticks)
        .map(|ticks| ticks.online_cpus)
        .filter(|cpus| *cpus > 0)
        .or_else(available_cpus);
    let memory = reader.read_text(&roots.proc.join("meminfo")).and_then(parse::memory);
    let mut cgroup = Cgroup::find(roots, &mut reader);
    cgroup.keep_binding(cpus.unwrap_or(u32::MAX), memory.map_or(u64::MAX, |memory| memory.total));
    let limits = cgroup.limits();
    let left_in_cgroup = limits
        .memory_bytes
        .zip(cgroup.memory_used(&mut reader))
        .map(|(limit, used)| limit.saturating_sub(used));
    let available = memory
        .map(|memory| left_in_cgroup.map_or(memory.available, |left| left.min(memory.available)));
    let mut kernel_file = |name: &str| {
        let text = reader.read_text(&roots.proc.join("sys/kernel").join(name))?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let (system, release) = (kernel_file("ostype"), kernel_file("osrelease"));
    Machine {
        host_name: kernel_file("hostname"),
        cpu_count: cgroup.cpu_count().or(cpus),
        memory_total: limits.memory_bytes.or(memory.map(|memory| memory.total)),
        memory_available: available,
        kernel: system.zip(release).map(|(system, release)| format!("{system} {release}")),
        cgroup: limits,
    }
}

/// How often the kernel has ended a process for want of memory since boot; `None` where it does not
/// count.
pub fn oom_kills() -> Option<u64> {
    let mut reader = FileReader::new();
    let counters = reader.read_text(&Roots::default().proc.join("vmstat"))?;
    parse::named_number(counters, "oom_kill")
}

/// Bytes of memory that a process has at this moment; `None` where it has ended.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let mut reader = FileReader::new();
    let sizes = reader.read_text(&Roots::default().proc.join(format!("{pid}/statm")))?;
    let pages: u64 = sizes.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * units().page_bytes)
}

fn available_cpus() -> Option<u32> {
    std::thread::available_parallelism().ok().and_then(|count| u32::try_from(count.get()).ok())
}

#[cfg(unix)]
pub(crate) fn units() -> Units {
    Units {
        ticks_per_s: rustix::param::clock_ticks_per_second().max(1),
        page_bytes: rustix::param::page_size() as u64,
    }
}

/// Never used: there is no `/proc` to read. These are what Linux mostly has.
#[cfg(not(unix))]
pub(crate) fn units() -> Units {
    Units { ticks_per_s: 100, page_bytes: 4096 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    #[test]
    fn a_container_s_limits_are_what_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        create_dir_all(roots.proc.join("self")).unwrap();
        create_dir_all(roots.proc.join("sys/kernel")).unwrap();
        create_dir_all(roots.sys.join("fs/cgroup")).unwrap();
        write(roots.proc.join("stat"), "cpu 1 1 1 1\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\n").unwrap();
        write(roots.proc.join("meminfo"), "MemTotal: 8000 kB\nMemAvailable: 6000 kB\n").unwrap();
        write(roots.proc.join("self/cgroup"), "0::/\n").unwrap();
        write(roots.proc.join("sys/kernel/hostname"), "box\n").unwrap();
        write(roots.proc.join("sys/kernel/ostype"), "Linux\n").unwrap();
        write(roots.proc.join("sys/kernel/osrelease"), "6.1.0\n").unwrap();
        write(roots.sys.join("fs/cgroup/cpu.max"), "150000 100000\n").unwrap();
        write(roots.sys.join("fs/cgroup/memory.max"), "4096000\n").unwrap();
        write(roots.sys.join("fs/cgroup/memory.current"), "1096000\n").unwrap();
        let machine = machine_at(&roots);
        assert_eq!(machine.host_name.as_deref(), Some("box"));
        assert_eq!(machine.kernel.as_deref(), Some("Linux 6.1.0"));
        assert_eq!((machine.cpu_count, machine.cgroup.cpu_cores), (Some(2), Some(1.5)));
        assert_eq!(machine.memory_total, Some(4_096_000));
        assert_eq!(machine.memory_available, Some(3_000_000));
    }

    #[test]
    fn without_proc_only_the_cpu_count_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let machine = machine_at(&Roots::below(folder.path()));
        assert_eq!(machine.memory_total, None);
        assert_eq!(machine.host_name, None);
        assert!(machine.cpu_count.is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_real_machine_is_known() {
        let machine = machine();
        assert!(machine.cpu_count.unwrap() >= 1);
        assert!(machine.memory_total.unwrap() > machine.memory_available.unwrap());
        assert!(machine.kernel.unwrap().starts_with("Linux "));
    }
}
