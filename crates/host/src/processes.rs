//! The processes of the machine, from one look to the next.
//!
//! A look reads one small file per process, and more only for those that are reported: the ones
//! that used most CPU, the ones that hold most memory, and always Andon itself and the runtime.
//! A process is its number *and* its time of birth, so a number used again is a new process.

use std::collections::HashMap;
use std::fs::File;
use std::time::{Duration, Instant};

use andon_model::{ProcessSample, UnixNanos};

use crate::command;
use crate::files::{FileReader, ProcessPath, Roots};
use crate::parse::{ProcessStat, Traffic, process_io, process_stat};
use crate::rates::Elapsed;
use crate::role::{self, ROLE_ANDON, ROLE_RUNTIME};
use crate::throttling::Throttling;

/// Processes looked at in one sample; what is beyond is counted, not read.
const MAX_PROCESSES: usize = 8192;

/// Files kept open from look to look, which costs a third of opening them anew; a process has 1024
/// to itself on most systems, and most of ours are for connections.
const MAX_KEPT_FILES: usize = 256;

/// Less CPU than this is idle.
const CPU_NOISE_CORES: f64 = 0.01;

/// A smaller change of memory since a process was last reported is none.
const RSS_NOISE_BYTES: u64 = 1 << 20;

/// Even one that does not change is reported this often, so that a reader of any half minute
/// sees it.
const REPORT_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// A program can take another's place under the same name, so a command is read again after so
/// many looks, and once at the look after the first: that one may have met a fork before its exec.
const DESCRIBE_EVERY_LOOKS: u64 = 30;

/// One that was idle at so many looks is read at every other one: most of a machine's processes sleep,
/// and what such a one used is spread over two looks when it wakes.
const LONG_IDLE_LOOKS: u32 = 10;

/// What the kernel counts in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Units {
    pub(crate) ticks_per_s: u64,
    pub(crate) page_bytes: u64,
}

#[derive(Debug)]
struct Process {
    /// `/proc/<pid>/stat`; the kernel ties it to this process, not to its number.
    stat_file: Option<File>,
    started_ticks: u64,
    /// Worked out once: the kernel's boot time moves with the wall clock, an identity must not.
    started_ns: UnixNanos,
    name: String,
    command: String,
    /// By its command; a pid that Andon was told of counts as well.
    is_runtime: bool,
    /// The look at which the command is to be read (again).
    describe_at: u64,
    cpu_ticks: u64,
    /// When its numbers were read.
    read_at: Instant,
    idle_looks: u32,
    cpu_cores: f64,
    major_faults: u64,
    /// Unknown at the first look.
    major_faults_per_s: Option<f64>,
    rss_bytes: u64,
    threads: u32,
    io: Option<(Instant, Traffic)>,
    /// Of a runtime.
    throttling: Throttling,
    /// The look at which its groups are to be found (again).
    groups_at: u64,
    reported: Option<Reported>,
    first_look: u64,
    look: u64,
}

#[derive(Debug, Clone, Copy)]
struct Reported {
    at: Instant,
    cpu_cores: f64,
    rss_bytes: u64,
}

#[derive(Debug)]
struct Rank {
    pid: u32,
    cpu_cores: f64,
    rss_bytes: u64,
}

/// When a look happens, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) at: Instant,
    pub(crate) time_ns: UnixNanos,
    /// Since the look before; `None` for the first, which has no rates.
    pub(crate) elapsed: Option<Elapsed>,
    pub(crate) boot_time_s: u64,
    pub(crate) machine_cpus: u32,
    pub(crate) runtime_pids: &'a [u32],
    /// Bytes on GPUs by process, as far as they are known.
    pub(crate) gpu_memory: &'a HashMap<u32, u64>,
}

#[derive(Debug)]
pub(crate) struct Processes {
    roots: Roots,
    path: ProcessPath,
    units: Units,
    own_pid: u32,
    known: HashMap<u32, Process>,
    /// Reused from look to look.
    pids: Vec<u32>,
    ranking: Vec<Rank>,
    chosen: Vec<u32>,
    kept_files: usize,
    look: u64,
}

impl Processes {
    pub(crate) fn new(roots: &Roots, units: Units, own_pid: u32) -> Self {
        Self {
            path: ProcessPath::new(&roots.proc),
            roots: roots.clone(),
            units,
            own_pid,
            known: HashMap::new(),
            pids: Vec::new(),
            ranking: Vec::new(),
            chosen: Vec::new(),
            kept_files: 0,
            look: 0,
        }
    }

    /// Reads every process. Returns how many were left out because there are too many.
    pub(crate) fn look(&mut self, look: &Look<'_>, reader: &mut FileReader) -> usize {
        self.look += 1;
        self.kept_files = 0;
        let left_out = self.list(look.runtime_pids);
        let pids = std::mem::take(&mut self.pids);
        for pid in &pids {
            self.read(*pid, look, reader);
        }
        self.pids = pids;
        let current = self.look;
        self.known.retain(|_, process| process.look == current);
        left_out
    }

    /// The processes worth reporting from the last look.
    pub(crate) fn report(
        &mut self,
        top: usize,
        look: &Look<'_>,
        reader: &mut FileReader,
    ) -> Vec<ProcessSample> {
        self.choose(top, look);
        let chosen = std::mem::take(&mut self.chosen);
        let mut samples = Vec::with_capacity(chosen.len());
        for pid in &chosen {
            if let Some(sample) = self.sample(*pid, look, reader) {
                samples.push(sample);
            }
        }
        self.chosen = chosen;
        samples
    }

    /// Fills `pids`: first those that must not be missed, then the folder's.
    fn list(&mut self, runtime_pids: &[u32]) -> usize {
        self.pids.clear();
        self.pids.push(self.own_pid);
        self.pids.extend(runtime_pids);
        let always = self.pids.len();
        let Ok(entries) = std::fs::read_dir(&self.roots.proc) else { return 0 };
        let mut left_out = 0;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if self.pids[..always].contains(&pid) {
                continue;
            }
            if self.pids.len() < MAX_PROCESSES {
                self.pids.push(pid);
            } else {
                left_out += 1;
            }
        }
        left_out
    }

    fn read(&mut self, pid: u32, look: &Look<'_>, reader: &mut FileReader) {
        if self.rests(pid) {
            return;
        }
        let Some(file) = self.read_stat(pid, reader) else { return };
        let Some(stat) = process_stat(reader.content()) else { return };
        if stat.is_zombie {
            return;
        }
        let is_known =
            self.known.get(&pid).is_some_and(|known| known.started_ticks == stat.started_ticks);
        if !is_known {
            let born = self.newborn(&stat, look);
            self.known.insert(pid, born);
        }
        let Some(process) = self.known.get_mut(&pid) else { return };
        let since = look.at.saturating_duration_since(process.read_at);
        // It may have rested at the look before.
        let elapsed = look.elapsed.map(|last| if is_known { Elapsed::new(since) } else { last });
        process.major_faults_per_s =
            elapsed.map(|elapsed| elapsed.rate(process.major_faults, stat.major_faults));
        process.major_faults = stat.major_faults;
        process.cpu_cores = elapsed.map_or(0.0, |elapsed| {
            let ticks_per_s = elapsed.rate(process.cpu_ticks, stat.cpu_ticks);
            // The kernel's numbers are not all of one instant: no more than the machine has.
            (ticks_per_s / self.units.ticks_per_s as f64).min(f64::from(look.machine_cpus.max(1)))
        });
        let is_idle = process.cpu_ticks == stat.cpu_ticks;
        process.idle_looks = if is_idle { process.idle_looks.saturating_add(1) } else { 0 };
        process.read_at = look.at;
        process.cpu_ticks = stat.cpu_ticks;
        process.rss_bytes = stat.rss_pages.saturating_mul(self.units.page_bytes);
        process.threads = stat.threads;
        process.look = self.look;
        if self.kept_files < MAX_KEPT_FILES {
            process.stat_file = Some(file);
            self.kept_files += 1;
        }
        if !is_known || process.name.as_bytes() != stat.name {
            process.name = String::from_utf8_lossy(stat.name).into_owned();
            process.describe_at = self.look;
        }
        if process.describe_at <= self.look && role::may_be_runtime(&process.name) {
            self.describe(pid, reader);
        }
    }

    /// Whether a process sleeps for so long that it need not be read at this look.
    fn rests(&mut self, pid: u32) -> bool {
        let Some(process) = self.known.get_mut(&pid) else { return false };
        // By number, so that each look reads half of them.
        let is_its_turn = (self.look + u64::from(pid)).is_multiple_of(2);
        let rests = process.idle_looks >= LONG_IDLE_LOOKS && !is_its_turn;
        if rests {
            process.look = self.look;
            self.kept_files += usize::from(process.stat_file.is_some());
        }
        rests
    }

    /// Leaves the process's numbers in `reader`; returns the file they came from.
    fn read_stat(&mut self, pid: u32, reader: &mut FileReader) -> Option<File> {
        let kept = self.known.get_mut(&pid).and_then(|process| process.stat_file.take());
        if let Some(file) = kept
            && reader.fill(&file)
        {
            return Some(file);
        }
        let file = self.path.with(pid, "stat", |path| File::open(path).ok())?;
        reader.fill(&file).then_some(file)
    }

    /// A process that was not there at the last look began since then, so all of its CPU time and its
    /// faults belong to this one; at the first look nothing is known about when that was.
    fn newborn(&self, stat: &ProcessStat<'_>, look: &Look<'_>) -> Process {
        let since_boot_ns = u128::from(stat.started_ticks) * 1_000_000_000
            / u128::from(self.units.ticks_per_s.max(1));
        let started_ns = u128::from(look.boot_time_s) * 1_000_000_000 + since_boot_ns;
        Process {
            stat_file: None,
            started_ticks: stat.started_ticks,
            started_ns: UnixNanos::try_from(started_ns).unwrap_or(UnixNanos::MAX),
            name: String::new(),
            command: String::new(),
            is_runtime: false,
            describe_at: self.look,
            cpu_ticks: if look.elapsed.is_some() { 0 } else { stat.cpu_ticks },
            read_at: look.at,
            idle_looks: 0,
            cpu_cores: 0.0,
            major_faults: if look.elapsed.is_some() { 0 } else { stat.major_faults },
            major_faults_per_s: None,
            rss_bytes: 0,
            threads: 0,
            io: None,
            throttling: Throttling::default(),
            groups_at: self.look,
            reported: None,
            first_look: self.look,
            look: self.look,
        }
    }

    /// Reads the command line: what it is to Andon, and what may be kept of it.
    fn describe(&mut self, pid: u32, reader: &mut FileReader) {
        let bytes = self
            .path
            .with(pid, "cmdline", |path| reader.read_up_to(path, command::MAX_COMMAND_BYTES));
        let arguments = bytes.map(command::arguments).unwrap_or_default();
        let Some(process) = self.known.get_mut(&pid) else { return };
        process.is_runtime = role::is_runtime(&arguments);
        process.command = command::without_secrets(&arguments);
        let is_first = process.describe_at == process.first_look;
        process.describe_at = self.look + if is_first { 1 } else { DESCRIBE_EVERY_LOOKS };
    }

    fn role(&self, pid: u32, process: &Process, look: &Look<'_>) -> Option<&'static str> {
        if pid == self.own_pid {
            Some(ROLE_ANDON)
        } else if process.is_runtime || look.runtime_pids.contains(&pid) {
            Some(ROLE_RUNTIME)
        } else {
            None
        }
    }

    /// The busiest, the largest, those with a role or memory of a GPU, and those that have just come
    /// to rest: a reader would go on believing them busy.
    fn choose(&mut self, top: usize, look: &Look<'_>) {
        self.ranking.clear();
        self.chosen.clear();
        for (pid, process) in &self.known {
            let (cpu_cores, rss_bytes) = (process.cpu_cores, process.rss_bytes);
            self.ranking.push(Rank { pid: *pid, cpu_cores, rss_bytes });
            let came_to_rest = cpu_cores < CPU_NOISE_CORES
                && process.reported.is_some_and(|reported| reported.cpu_cores >= CPU_NOISE_CORES);
            let is_on_gpu = look.gpu_memory.contains_key(pid);
            if self.role(*pid, process, look).is_some() || is_on_gpu || came_to_rest {
                self.chosen.push(*pid);
            }
        }
        self.ranking.sort_unstable_by(|one, other| other.cpu_cores.total_cmp(&one.cpu_cores));
        let busiest =
            self.ranking.iter().take(top).filter(|rank| rank.cpu_cores >= CPU_NOISE_CORES);
        self.chosen.extend(busiest.map(|rank| rank.pid));
        self.ranking.sort_unstable_by_key(|rank| std::cmp::Reverse(rank.rss_bytes));
        // The kernel's own threads have no memory.
        let largest = self.ranking.iter().take(top).filter(|rank| rank.rss_bytes > 0);
        self.chosen.extend(largest.map(|rank| rank.pid));
        self.chosen.sort_unstable();
        self.chosen.dedup();
    }

    fn sample(
        &mut self,
        pid: u32,
        look: &Look<'_>,
        reader: &mut FileReader,
    ) -> Option<ProcessSample> {
        let process = self.known.get(&pid)?;
        let role = self.role(pid, process, look);
        if role.is_none() && !is_news(process, look.at) {
            return None;
        }
        if process.describe_at <= self.look {
            self.describe(pid, reader);
        }
        let io = self
            .path
            .with(pid, "io", |path| reader.read_text(path))
            .and_then(process_io)
            .map(|traffic| (look.at, traffic));
        let process = self.known.get_mut(&pid)?;
        let mut cpu_throttled = None;
        if role == Some(ROLE_RUNTIME) {
            if process.groups_at <= self.look {
                // It may be moved to another one.
                process.groups_at = self.look + DESCRIBE_EVERY_LOOKS;
                let groups = self.path.with(pid, "cgroup", |path| reader.read_text(path));
                process.throttling.find(groups.unwrap_or_default(), &self.roots);
            }
            cpu_throttled = process.throttling.look(reader);
        }
        let io_before = std::mem::replace(&mut process.io, io);
        let rates = io_before.zip(io).map(|((before, old), (at, new))| {
            let elapsed = Elapsed::new(at.saturating_duration_since(before));
            (elapsed.rate(old.inward, new.inward), elapsed.rate(old.outward, new.outward))
        });
        process.reported = Some(Reported {
            at: look.at,
            cpu_cores: process.cpu_cores,
            rss_bytes: process.rss_bytes,
        });
        Some(ProcessSample {
            time_ns: look.time_ns,
            pid,
            started_ns: process.started_ns,
            name: process.name.clone(),
            command: process.command.clone(),
            role: role.map(str::to_owned),
            cpu_cores: process.cpu_cores,
            rss_bytes: process.rss_bytes,
            threads: process.threads,
            read_bytes_per_s: rates.map(|(read, _)| read),
            write_bytes_per_s: rates.map(|(_, written)| written),
            major_faults_per_s: process.major_faults_per_s,
            cpu_throttled,
            gpu_memory_bytes: look.gpu_memory.get(&pid).copied(),
            host: None,
        })
    }
}

/// Whether a reader who holds on to the last report of this process would be wrong by now.
fn is_news(process: &Process, now: Instant) -> bool {
    let Some(reported) = process.reported else { return true };
    let is_idle = process.cpu_cores < CPU_NOISE_CORES && reported.cpu_cores < CPU_NOISE_CORES;
    !is_idle
        || process.rss_bytes.abs_diff(reported.rss_bytes) >= RSS_NOISE_BYTES
        || now.saturating_duration_since(reported.at) >= REPORT_AT_LEAST_EVERY
}
