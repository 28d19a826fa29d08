//! What the machine did during a stretch of time, from the samples of the last minutes.

use std::{collections::VecDeque, sync::Arc};

use andon_model::{HostSample, ProcessSample, UnixNanos};

use crate::call::total;

/// Looks that are remembered: at one a second, a quarter of an hour.
const MOST_LOOKS: usize = 900;
/// A look speaks of the time since the one before, and no longer than this.
const LONGEST_LOOK_NS: u64 = 2_500_000_000;
/// A process that is not reported for longer has ended.
const GONE_AFTER_NS: u64 = 35_000_000_000;
const RUNTIME: &str = "runtime";
const ANDON: &str = "andon";

/// The last minutes of one machine.
#[derive(Default)]
pub(crate) struct Machine {
    looks: VecDeque<Look>,
    runtimes: Vec<RuntimeProcess>,
}

/// A process of a runtime as it was last seen: one that idles is reported now and then only.
struct RuntimeProcess {
    pid: u32,
    started_ns: UnixNanos,
    rss: u64,
    seen_ns: UnixNanos,
}

struct Look {
    time_ns: UnixNanos,
    host: HostSample,
    /// Cores of programs that are neither Andon nor the runtime.
    others: f64,
    busiest: Option<(Arc<str>, f64)>,
    runtime_rss: u64,
    /// Share of the time that a limit held the runtime back, or ourselves where nothing is known of it.
    throttled: Option<f64>,
}

/// A stretch of time, averaged.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct During {
    pub(crate) from_ns: UnixNanos,
    pub(crate) to_ns: UnixNanos,
    pub(crate) cpu_count: u32,
    pub(crate) steal: f64,
    pub(crate) throttled: Option<f64>,
    pub(crate) memory_pressure: Option<f64>,
    pub(crate) io_pressure: Option<f64>,
    pub(crate) swap_in: Option<f64>,
    pub(crate) major_faults: f64,
    pub(crate) disk_read: f64,
    pub(crate) others: f64,
    pub(crate) busiest: Option<(Arc<str>, f64)>,
    /// At the end.
    pub(crate) memory_used: u64,
    pub(crate) memory_total: u64,
}

impl Machine {
    /// The processes are those seen at the same moment.
    pub(crate) fn note(&mut self, host: &HostSample, processes: &[ProcessSample]) {
        // A clock that was set back: what was seen before says nothing of now.
        if self.looks.back().is_some_and(|last| last.time_ns >= host.time_ns) {
            self.looks.clear();
            self.runtimes.clear();
        }
        self.note_runtimes(host.time_ns, processes);
        if self.looks.len() == MOST_LOOKS {
            self.looks.pop_front();
        }
        let is = |process: &&ProcessSample, role| process.role.as_deref() == Some(role);
        let of_others = || processes.iter().filter(|it| !is(it, RUNTIME) && !is(it, ANDON));
        let of_runtimes = processes.iter().filter(|it| is(it, RUNTIME));
        let throttled = of_runtimes.filter_map(|it| it.cpu_throttled).reduce(f64::max);
        let busiest = of_others().max_by(|a, b| a.cpu_cores.total_cmp(&b.cpu_cores));
        self.looks.push_back(Look {
            time_ns: host.time_ns,
            throttled: throttled.or(host.cpu_throttled),
            host: host.clone(),
            others: of_others().map(|process| process.cpu_cores).sum(),
            busiest: busiest.map(|process| (Arc::from(process.name.as_str()), process.cpu_cores)),
            runtime_rss: total(self.runtimes.iter().map(|process| process.rss)),
        });
    }

    fn note_runtimes(&mut self, now: UnixNanos, processes: &[ProcessSample]) {
        for process in processes.iter().filter(|it| it.role.as_deref() == Some(RUNTIME)) {
            let seen = RuntimeProcess {
                pid: process.pid,
                started_ns: process.started_ns,
                rss: process.rss_bytes,
                seen_ns: now,
            };
            let is_same =
                |it: &&mut RuntimeProcess| it.pid == seen.pid && it.started_ns == seen.started_ns;
            match self.runtimes.iter_mut().find(is_same) {
                Some(known) => *known = seen,
                None => self.runtimes.push(seen),
            }
        }
        self.runtimes.retain(|process| now - process.seen_ns <= GONE_AFTER_NS);
    }

    /// `None` where no look speaks of that time.
    pub(crate) fn during(&self, from_ns: UnixNanos, to_ns: UnixNanos) -> Option<During> {
        let mut sums = Sums::default();
        let first = self.looks.partition_point(|look| look.time_ns <= from_ns);
        let mut before = first.checked_sub(1).map(|last| self.looks[last].time_ns);
        for look in self.looks.range(first..) {
            let since = before.map_or(LONGEST_LOOK_NS, |before| look.time_ns - before);
            let begin = look.time_ns.saturating_sub(since.min(LONGEST_LOOK_NS));
            if begin >= to_ns {
                break;
            }
            before = Some(look.time_ns);
            let overlap = look.time_ns.min(to_ns).saturating_sub(begin.max(from_ns));
            if overlap > 0 {
                sums.add(look, overlap as f64);
            }
        }
        sums.average(from_ns, to_ns)
    }

    /// The runtime's memory just before `from_ns`, and the most of it until a second after `to_ns`.
    pub(crate) fn runtime_memory(
        &self,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Option<(u64, u64)> {
        const A_SECOND: u64 = 1_000_000_000;
        let before = self.looks.iter().rev().find(|look| look.time_ns <= from_ns)?;
        let within =
            |look: &&Look| look.time_ns > from_ns && look.time_ns <= to_ns.saturating_add(A_SECOND);
        let after = self.looks.iter().filter(within).map(|look| look.runtime_rss).max()?;
        Some((before.runtime_rss, after))
    }

    /// Processes that the kernel ended for want of memory in that time.
    pub(crate) fn oom_kills(&self, from_ns: UnixNanos, to_ns: UnixNanos) -> u64 {
        let within = |look: &&Look| (from_ns..=to_ns).contains(&look.time_ns);
        total(self.looks.iter().filter(within).filter_map(|look| look.host.oom_kills))
    }

    /// Bytes of memory that nobody uses, as last seen.
    pub(crate) fn free_memory(&self) -> Option<u64> {
        let host = &self.looks.back()?.host;
        Some(host.memory_total_bytes.saturating_sub(host.memory_used_bytes))
    }
}

#[derive(Default)]
struct Sums {
    weight: f64,
    during: During,
    throttled: Mean,
    memory_pressure: Mean,
    io_pressure: Mean,
    swap_in: Mean,
    processes: Vec<(Arc<str>, f64)>,
}

#[derive(Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, value: Option<f64>, weight: f64) {
        if let Some(value) = value {
            self.sum += value * weight;
            self.weight += weight;
        }
    }

    fn get(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

impl Sums {
    fn add(&mut self, look: &Look, weight: f64) {
        let (sum, host) = (&mut self.during, &look.host);
        sum.cpu_count = sum.cpu_count.max(host.cpu_count);
        sum.steal += host.cpu_steal_cores * weight;
        sum.major_faults += host.major_faults_per_s * weight;
        sum.disk_read += host.disk_read_bytes_per_s * weight;
        sum.others += look.others * weight;
        sum.memory_used = host.memory_used_bytes;
        sum.memory_total = host.memory_total_bytes;
        self.throttled.add(look.throttled, weight);
        self.memory_pressure.add(host.memory_pressure, weight);
        self.io_pressure.add(host.io_pressure, weight);
        self.swap_in.add(host.swap_in_bytes_per_s, weight);
        if let Some((name, cores)) = &look.busiest {
            match self.processes.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += cores * weight,
                None => self.processes.push((Arc::clone(name), cores * weight)),
            }
        }
        self.weight += weight;
    }

    fn average(self, from_ns: UnixNanos, to_ns: UnixNanos) -> Option<During> {
        let weight = self.weight;
        if weight <= 0.0 {
            return None;
        }
        let sum = self.during;
        let busiest = self.processes.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        Some(During {
            from_ns,
            to_ns,
            steal: sum.steal / weight,
            major_faults: sum.major_faults / weight,
            disk_read: sum.disk_read / weight,
            others: sum.others / weight,
            busiest: busiest.map(|(name, sum)| (name, sum / weight)),
            throttled: self.throttled.get(),
            memory_pressure: self.memory_pressure.get(),
            io_pressure: self.io_pressure.get(),
            swap_in: self.swap_in.get(),
            ..sum
        })
    }
}
