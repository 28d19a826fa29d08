//! The text formats of the kernel. Each function takes the whole file and skips lines that it
//! does not understand: a newer kernel adds fields and never takes the old ones away.

/// Clock ticks of all CPUs since boot, and what else `/proc/stat` tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    /// User, nice, system, irq, softirq and steal. (Guest time is inside user time already.)
    pub(crate) busy: u64,
    /// User and nice.
    pub(crate) user: u64,
    /// System, irq and softirq.
    pub(crate) system: u64,
    pub(crate) iowait: u64,
    pub(crate) steal: u64,
    pub(crate) online_cpus: u32,
    /// Unix seconds; the kernel works it out anew from the wall clock each time.
    pub(crate) boot_time_s: u64,
}

pub(crate) fn cpu_ticks(text: &str) -> Option<CpuTicks> {
    let mut ticks = CpuTicks::default();
    let mut found = false;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(label) = words.next() else { continue };
        if label == "cpu" {
            let mut field = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            let (user, nice, system, _idle) = (field(), field(), field(), field());
            let (iowait, irq, softirq, steal) = (field(), field(), field(), field());
            ticks.busy =
                [user, nice, system, irq, softirq, steal].into_iter().fold(0, u64::saturating_add);
            ticks.user = user.saturating_add(nice);
            ticks.system = system.saturating_add(irq).saturating_add(softirq);
            ticks.iowait = iowait;
            ticks.steal = steal;
            found = true;
        } else if label.strip_prefix("cpu").is_some_and(is_number) {
            ticks.online_cpus = ticks.online_cpus.saturating_add(1);
        } else if label == "btime" {
            ticks.boot_time_s = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        }
    }
    found.then_some(ticks)
}

/// Clock ticks of one logical CPU since it was first there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CoreTicks {
    pub(crate) number: u32,
    /// As of the whole machine: waiting for a disk is not busy, stolen time is.
    pub(crate) busy: u64,
    /// Busy, idle or waiting for a disk.
    pub(crate) total: u64,
}

/// Some of the logical CPUs in `/proc/stat`: those whose place among all gives `turn` when it is divided
/// by `every`.
pub(crate) fn core_ticks(text: &str, every: usize, turn: usize, cores: &mut Vec<CoreTicks>) {
    cores.clear();
    // They come first, before lines that are long.
    let lines = text.lines().map_while(|line| line.strip_prefix("cpu"));
    let of_one = lines.filter_map(|line| line.split_once(' '));
    let numbered = of_one.filter_map(|(number, ticks)| Some((number.parse().ok()?, ticks)));
    for (place, (number, ticks)) in numbered.enumerate() {
        if place % every.max(1) != turn {
            continue;
        }
        let mut words = ticks.split_ascii_whitespace();
        let mut field = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let [user, nice, system, idle, iowait, irq, softirq, steal] = [0; 8].map(|_: u8| field());
        let busy =
            [user, nice, system, irq, softirq, steal].into_iter().fold(0, u64::saturating_add);
        let total = busy.saturating_add(idle).saturating_add(iowait);
        cores.push(CoreTicks { number, busy, total });
    }
}

/// Bytes, from `/proc/meminfo`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) total: u64,
    pub(crate) available: u64,
    pub(crate) cached: u64,
    pub(crate) swap_total: u64,
    pub(crate) swap_free: u64,
}

pub(crate) fn memory(text: &str) -> Option<Memory> {
    let mut memory = Memory::default();
    for line in text.lines() {
        let Some((label, rest)) = line.split_once(':') else { continue };
        let field = match label {
            "MemTotal" => &mut memory.total,
            "MemAvailable" => &mut memory.available,
            "Cached" => &mut memory.cached,
            "SwapTotal" => &mut memory.swap_total,
            "SwapFree" => &mut memory.swap_free,
            _ => continue,
        };
        let kibibytes = rest.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
        *field = kibibytes.unwrap_or(0u64).saturating_mul(1024);
    }
    (memory.total > 0).then_some(memory)
}

/// A number from a file of `name value` lines (`/proc/vmstat`, a cgroup's `cpu.stat`).
pub(crate) fn named_number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (label, value) = line.split_once(' ')?;
        if label == name { value.trim().parse().ok() } else { None }
    })
}

/// Microseconds since boot in which tasks waited for something, from `/proc/pressure/…`
/// (<https://docs.kernel.org/accounting/psi.html>).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    /// At least one task waited.
    pub(crate) some_us: u64,
    /// All that had work did.
    pub(crate) full_us: u64,
}

/// Kernels before 5.13 have no `full` line for the CPU.
pub(crate) fn pressure(text: &str) -> Option<Pressure> {
    let total = |label: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(label))?;
        line.rsplit_once("total=")?.1.trim().parse().ok()
    };
    Some(Pressure { some_us: total("some")?, full_us: total("full").unwrap_or(0) })
}

/// The average over a minute, from `/proc/loadavg`.
pub(crate) fn load_1m(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok().filter(|load: &f64| load.is_finite())
}

/// Bytes in and out since boot: read and written for disks, received and sent for networks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) inward: u64,
    pub(crate) outward: u64,
}

/// The unit of `/proc/diskstats`, whatever the sectors of the disk itself are.
const SECTOR_BYTES: u64 = 512;

/// What sits on top of other disks, in memory, or in a drive: counting it would count twice.
const STACKED_DISKS: [&str; 9] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "bcache", "drbd"];

/// Sum over whole disks; partitions are left out.
pub(crate) fn disks(text: &str) -> Traffic {
    let mut sum = Traffic::default();
    let mut disk = "";
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(2);
        let Some(name) = words.next() else { continue };
        if STACKED_DISKS.iter().any(|prefix| name.starts_with(prefix))
            || is_partition(name, disk)
            || is_nvme_path(name)
        {
            continue;
        }
        disk = name;
        let numbers = [0; 7].map(|_: u8| words.next().and_then(|word| word.parse::<u64>().ok()));
        let (Some(read), Some(written)) = (numbers[2], numbers[6]) else { continue };
        sum.inward = sum.inward.saturating_add(read.saturating_mul(SECTOR_BYTES));
        sum.outward = sum.outward.saturating_add(written.saturating_mul(SECTOR_BYTES));
    }
    sum
}

/// `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`; the kernel lists a disk before its partitions. (A
/// machine may have `xvda1` with no `xvda`: then that is the whole disk.)
fn is_partition(name: &str, disk: &str) -> bool {
    if disk.is_empty() {
        return false;
    }
    let Some(rest) = name.strip_prefix(disk) else { return false };
    if disk.ends_with(|last: char| last.is_ascii_digit()) {
        rest.strip_prefix('p').is_some_and(is_number)
    } else {
        is_number(rest)
    }
}

/// `nvme0c1n1` is one road to `nvme0n1`, which counts for all of its roads.
fn is_nvme_path(name: &str) -> bool {
    name.strip_prefix("nvme")
        .map(|rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()))
        .is_some_and(|rest| rest.starts_with('c'))
}

/// Interfaces whose bytes also go through another one, or never leave the machine.
const INNER_INTERFACES: [&str; 14] = [
    "veth", "docker", "br-", "virbr", "vnet", "bond", "team", "tun", "tap", "wg", "cni", "flannel",
    "cali", "dummy",
];

pub(crate) fn networks(text: &str) -> Traffic {
    let mut sum = Traffic::default();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let name = name.trim();
        let is_vlan = name.contains('.');
        let is_inner = INNER_INTERFACES.iter().any(|prefix| name.starts_with(prefix));
        if name == "lo" || is_vlan || is_inner {
            continue;
        }
        let mut words = rest.split_ascii_whitespace();
        let received = words.next().and_then(|word| word.parse::<u64>().ok());
        let sent = words.nth(7).and_then(|word| word.parse::<u64>().ok());
        let (Some(received), Some(sent)) = (received, sent) else { continue };
        sum.inward = sum.inward.saturating_add(received);
        sum.outward = sum.outward.saturating_add(sent);
    }
    sum
}

/// One line of `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessStat<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) is_zombie: bool,
    /// Pages that had to come from a disk, since it began.
    pub(crate) major_faults: u64,
    pub(crate) cpu_ticks: u64,
    pub(crate) threads: u32,
    /// Ticks after boot.
    pub(crate) started_ticks: u64,
    pub(crate) rss_pages: u64,
}

/// The name stands in brackets and may hold brackets and spaces itself, so the last one closes it.
pub(crate) fn process_stat(line: &[u8]) -> Option<ProcessStat<'_>> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let name = line.get(open + 1..close)?;
    let rest = std::str::from_utf8(&line[close + 1..]).ok()?;
    // Counted from the state, which proc(5) calls field 3.
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let major_faults = fields.nth(8)?.parse().ok()?;
    let user: u64 = fields.nth(1)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let threads = fields.nth(4)?.parse().ok()?;
    let started_ticks = fields.nth(1)?.parse().ok()?;
    let rss_pages = fields.nth(1)?.parse::<i64>().ok()?;
    Some(ProcessStat {
        name,
        is_zombie: state == "Z" || state == "X",
        major_faults,
        cpu_ticks: user.saturating_add(system),
        threads,
        started_ticks,
        rss_pages: u64::try_from(rss_pages).unwrap_or(0),
    })
}

/// Bytes that a process caused to be read from and written to storage (`/proc/<pid>/io`).
pub(crate) fn process_io(text: &str) -> Option<Traffic> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (label, value) = line.split_once(':')?;
            if label == name { value.trim().parse::<u64>().ok() } else { None }
        })
    };
    Some(Traffic { inward: field("read_bytes")?, outward: field("write_bytes")? })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
