//! One sample a second of the machine and its processes.
//!
//! [`Sampler`] is the measuring itself, to be called from a thread that may wait for the kernel;
//! [`spawn`] runs one on a thread of its own and hands the samples over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use andon_model::{DeviceSample, HostSample, ProcessSample, UnixNanos};
use tokio::sync::mpsc;

use crate::HostError;
use crate::cgroup::Cgroup;
use crate::counters::{Counters, Rates};
use crate::devices::{self, Devices};
use crate::files::{FileReader, Roots};
use crate::machine::units;
use crate::parse::{self, Memory};
use crate::processes::{Look, Processes, Units};
use crate::rates::Elapsed;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const DEFAULT_TOP: usize = 10;
const MAX_TOP: usize = 200;

/// Runtime processes that a caller may name at once.
const MAX_RUNTIME_PIDS: usize = 64;

/// The processes that run a model for Andon, as their starter knows them. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct RuntimePids(Arc<Mutex<Vec<u32>>>);

impl RuntimePids {
    /// Replaces the list; beyond 64 the rest is ignored.
    pub fn set(&self, pids: &[u32]) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.clear();
        list.extend(pids.iter().take(MAX_RUNTIME_PIDS));
    }

    fn copy_to(&self, pids: &mut Vec<u32>) {
        pids.clear();
        pids.extend(self.0.lock().unwrap_or_else(PoisonError::into_inner).iter());
    }
}

#[derive(Debug, Clone)]
pub struct Config {
    /// Between two samples of [`spawn`]; not below 100 ms.
    pub interval: Duration,
    /// So many processes by CPU and so many by memory; not above 200.
    pub top: usize,
    pub runtime_pids: RuntimePids,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: DEFAULT_INTERVAL, top: DEFAULT_TOP, runtime_pids: RuntimePids::default() }
    }
}

/// One look at the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// `None` on a system without `/proc`.
    pub host: Option<HostSample>,
    /// Andon, the runtime, and the processes that used most. One that idles and holds as much
    /// memory as when it was last reported is left out, for up to half a minute.
    pub processes: Vec<ProcessSample>,
    /// Processes that were not looked at, because the machine has too many.
    pub processes_left_out: usize,
    /// CPUs, GPUs, temperatures and energy meters, as far as they are there and say something. Of more
    /// than 32 CPUs each has its turn, and temperatures are in every fifth look only.
    pub devices: Vec<DeviceSample>,
}

/// Measures. Each [`sample`](Self::sample) covers the time since the one before (the first: since
/// [`new`](Self::new)); call it about once a second, from one thread.
#[derive(Debug)]
pub struct Sampler {
    roots: Roots,
    config: Config,
    units: Units,
    reader: FileReader,
    cgroup: Cgroup,
    processes: Processes,
    devices: Devices,
    runtime_pids: Vec<u32>,
    before: Option<(Instant, Counters)>,
}

/// What a sampler begins with, beside where it looks.
pub(crate) struct Begin {
    pub(crate) own_pid: u32,
    pub(crate) now: Instant,
    pub(crate) gpus: devices::Open,
}

impl Sampler {
    pub fn new(config: Config) -> Self {
        let (own_pid, gpus) = (std::process::id(), devices::open_nvml as devices::Open);
        let begin = Begin { own_pid, now: Instant::now(), gpus };
        Self::at(Roots::default(), units(), config, begin)
    }

    pub(crate) fn at(roots: Roots, units: Units, config: Config, begin: Begin) -> Self {
        let mut reader = FileReader::new();
        let cgroup = Cgroup::find(&roots, &mut reader);
        let processes = Processes::new(&roots, units, begin.own_pid);
        let devices = Devices::new(&roots, begin.gpus);
        let mut sampler = Self {
            roots,
            config,
            units,
            reader,
            cgroup,
            processes,
            devices,
            runtime_pids: Vec::new(),
            before: None,
        };
        sampler.begin(begin.now);
        sampler
    }

    /// Takes the sample that the first rates are reckoned from.
    fn begin(&mut self, now: Instant) {
        let cpus = self.counters().map_or(1, |counters| counters.cpu.online_cpus);
        if let Some(memory) = self.memory() {
            self.cgroup.keep_binding(cpus, memory.total);
        }
        self.sample_at(now, 0);
    }

    /// What happened since the last call. Reads some files per process; may wait for the kernel,
    /// so it has no place on an async thread.
    pub fn sample(&mut self) -> Sample {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let time_ns = UnixNanos::try_from(since_epoch.as_nanos()).unwrap_or(UnixNanos::MAX);
        self.sample_at(Instant::now(), time_ns)
    }

    pub(crate) fn sample_at(&mut self, at: Instant, time_ns: UnixNanos) -> Sample {
        let Some(counters) = self.counters() else {
            let (processes, devices) = (Vec::new(), Vec::new());
            return Sample { host: None, processes, processes_left_out: 0, devices };
        };
        let before = self.before.replace((at, counters));
        let elapsed = before.map(|(before, _)| Elapsed::new(at.saturating_duration_since(before)));
        let host = before
            .zip(elapsed)
            .and_then(|((_, before), elapsed)| self.host(&before, &counters, elapsed, time_ns));
        self.config.runtime_pids.copy_to(&mut self.runtime_pids);
        let mut devices = self.devices.look(at, time_ns, &mut self.reader);
        if elapsed.is_none() {
            devices.clear();
        }
        let look = Look {
            at,
            time_ns,
            elapsed,
            boot_time_s: counters.cpu.boot_time_s,
            machine_cpus: counters.cpu.online_cpus,
            runtime_pids: &self.runtime_pids,
            gpu_memory: self.devices.gpu_memory(),
        };
        let processes_left_out = self.processes.look(&look, &mut self.reader);
        let processes = if elapsed.is_some() {
            self.processes.report(self.config.top.min(MAX_TOP), &look, &mut self.reader)
        } else {
            Vec::new()
        };
        Sample { host, processes, processes_left_out, devices }
    }

    fn counters(&mut self) -> Option<Counters> {
        Counters::read(&self.roots, &self.cgroup, &mut self.reader, self.devices.cores())
    }

    fn memory(&mut self) -> Option<Memory> {
        self.reader.read_text(&self.roots.proc.join("meminfo")).and_then(parse::memory)
    }

    fn host(
        &mut self,
        before: &Counters,
        now: &Counters,
        elapsed: Elapsed,
        time_ns: UnixNanos,
    ) -> Option<HostSample> {
        let memory = self.memory()?;
        let load_1m =
            self.reader.read_text(&self.roots.proc.join("loadavg")).and_then(parse::load_1m);
        let limits = self.cgroup.limits();
        let used = self
            .cgroup
            .memory_used(&mut self.reader)
            .unwrap_or(memory.total.saturating_sub(memory.available));
        Some(HostSample {
            time_ns,
            cpu_count: self.cgroup.cpu_count().unwrap_or(now.cpu.online_cpus.max(1)),
            load_1m,
            memory_total_bytes: limits.memory_bytes.unwrap_or(memory.total),
            memory_used_bytes: used,
            memory_cached_bytes: Some(memory.cached),
            swap_total_bytes: Some(memory.swap_total),
            swap_used_bytes: Some(memory.swap_total.saturating_sub(memory.swap_free)),
            ..Rates { before, now, elapsed, units: self.units }.sample()
        })
    }
}

/// Samples on a thread of its own until the receiver is dropped. A receiver that is `capacity`
/// samples behind loses the newest ones; the next that it takes covers the time of its own
/// interval only, so no rate is wrong for it.
pub fn spawn(config: Config, capacity: usize) -> Result<mpsc::Receiver<Sample>, HostError> {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    std::thread::Builder::new()
        .name("andon-host".to_owned())
        .spawn(move || run(config, &sender))
        .map_err(|source| HostError::SamplerThread { source })?;
    Ok(receiver)
}

fn run(config: Config, sender: &mpsc::Sender<Sample>) {
    let interval = config.interval.max(SHORTEST_INTERVAL);
    let mut sampler = Sampler::new(config);
    let mut lost: u64 = 0;
    let mut next = Instant::now();
    loop {
        // From a fixed beat, so that samples do not wander; after a long sleep the beat is anew.
        next = (next + interval).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        if sender.is_closed() {
            return;
        }
        match sender.try_send(sampler.sample()) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return,
            Err(mpsc::error::TrySendError::Full(_)) => {
                lost += 1;
                if lost.is_power_of_two() {
                    tracing::warn!(lost, "nobody takes the samples of the machine fast enough");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
