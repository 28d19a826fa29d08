//! What the machine did during a stretch of time, from the samples of the last minutes.

use std::{collections::VecDeque, sync::Arc};

use andon_model::{HostSample, ProcessSample, UnixNanos};

use crate::call::total;

/// Looks that are remembered: at one a second, a quarter of an hour.
const MOST_LOOKS: usize = 900;
/// A look speaks of the time since the one before. No longer than this, or half as long again as that
/// one did: in between nobody looked, or the machine slept.
const LONGEST_LOOK_NS: u64 = 2_500_000_000;
/// And no longer than this: the mean of more says nothing of a call.
const LONGEST_MEAN_NS: u64 = 15_000_000_000;
/// A process that is not reported for longer has ended.
const GONE_AFTER_NS: u64 = 35_000_000_000;
const RUNTIME: &str = "runtime";
const ANDON: &str = "andon";

/// The last minutes of one machine.
#[derive(Default)]
pub(crate) struct Machine {
    looks: VecDeque<Look>,
    runtimes: Vec<RuntimeProcess>,
    /// Bytes that a process has now, where it can be asked.
    resident_bytes: Option<fn(u32) -> Option<u64>>,
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
    /// Since the one before.
    since_ns: u64,
    /// Of how much of that it speaks.
    covers_ns: u64,
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
    pub(crate) steal: Option<f64>,
    pub(crate) throttled: Option<f64>,
    pub(crate) memory_pressure: Option<f64>,
    pub(crate) io_pressure: Option<f64>,
    pub(crate) swap_in: Option<f64>,
    pub(crate) major_faults: Option<f64>,
    pub(crate) disk_read: Option<f64>,
    pub(crate) others: f64,
    pub(crate) busiest: Option<(Arc<str>, f64)>,
    /// At the end.
    pub(crate) memory_used: u64,
    pub(crate) memory_total: u64,
}

impl Machine {
    /// One whose processes can be asked for their memory at any time.
    pub(crate) fn asked(resident_bytes: fn(u32) -> Option<u64>) -> Self {
        Self { resident_bytes: Some(resident_bytes), ..Self::default() }
    }

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
        let last = self.looks.back();
        let since_ns = last.map_or(LONGEST_LOOK_NS, |last| host.time_ns - last.time_ns);
        let as_before = last.map_or(0, |last| last.since_ns.saturating_mul(3) / 2);
        self.looks.push_back(Look {
            time_ns: host.time_ns,
            since_ns,
            covers_ns: since_ns.min(as_before.clamp(LONGEST_LOOK_NS, LONGEST_MEAN_NS)),
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
        for look in self.looks.range(first..) {
            let begin = look.time_ns.saturating_sub(look.covers_ns);
            if begin >= to_ns {
                break;
            }
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
        let seen = self.looks.iter().filter(within).map(|look| look.runtime_rss).max();
        // A quick load is over before the next look.
        let is_due = self.looks.back().is_some_and(|last| last.time_ns < to_ns);
        let after = if is_due { seen.max(self.runtime_memory_now()) } else { seen };
        Some((before.runtime_rss, after?))
    }

    fn runtime_memory_now(&self) -> Option<u64> {
        let resident_bytes = self.resident_bytes?;
        Some(total(self.runtimes.iter().filter_map(|process| resident_bytes(process.pid))))
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
    steal: Mean,
    major_faults: Mean,
    disk_read: Mean,
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
        sum.others += look.others * weight;
        sum.memory_used = host.memory_used_bytes;
        sum.memory_total = host.memory_total_bytes;
        self.steal.add(host.cpu_steal_cores, weight);
        self.major_faults.add(host.major_faults_per_s, weight);
        self.disk_read.add(host.disk_read_bytes_per_s, weight);
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
            steal: self.steal.get(),
            major_faults: self.major_faults.get(),
            disk_read: self.disk_read.get(),
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

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_look_speaks_of_the_time_since_the_last_one_if_that_is_their_rhythm() {
        let mut machine = Machine::default();
        let mut note = |second: u64| {
            let sample = HostSample {
                time_ns: second * S,
                cpu_steal_cores: Some(second as f64),
                ..HostSample::default()
            };
            machine.note(&sample, &[]);
        };
        // Every ten seconds; then nothing for a while, every second, and nothing again.
        [1_000, 1_010, 1_020, 1_030, 1_130, 1_131, 1_132, 1_140].into_iter().for_each(&mut note);
        let steal = |from: u64, to: u64| machine.during(from * S, to * S).map(|it| it.steal);
        assert_eq!(steal(1_001, 1_005), None, "whether there is a rhythm was not known yet");
        assert_eq!(steal(1_012, 1_018), Some(Some(1_020.0)));
        assert_eq!(steal(1_015, 1_025), Some(Some(1_025.0)));
        assert_eq!(steal(1_040, 1_110), None, "nobody looked");
        assert_eq!(steal(1_116, 1_120), Some(Some(1_130.0)));
        assert_eq!(steal(1_133, 1_137), None);
        assert_eq!(steal(1_138, 1_139), Some(Some(1_140.0)));
    }

    #[test]
    fn what_a_machine_does_not_tell_is_no_nothing() {
        let mut machine = Machine::default();
        let tells = |time_ns, disk| HostSample {
            time_ns,
            disk_read_bytes_per_s: disk,
            ..HostSample::default()
        };
        machine.note(&tells(S, None), &[]);
        assert_eq!(machine.during(0, S).unwrap().disk_read, None);
        machine.note(&tells(2 * S, Some(8.0)), &[]);
        assert_eq!(machine.during(0, 2 * S).unwrap().disk_read, Some(8.0));
    }

    #[test]
    fn a_load_that_is_over_before_the_next_look_is_asked_for_its_memory() {
        let mut machine = Machine::asked(|pid| (pid == 7).then_some(300));
        let runtime = |pid, rss_bytes| ProcessSample {
            time_ns: 10 * S,
            pid,
            started_ns: 1,
            name: "ollama".to_owned(),
            command: "ollama serve".to_owned(),
            role: Some(RUNTIME.to_owned()),
            cpu_cores: 0.0,
            rss_bytes,
            threads: 1,
            read_bytes_per_s: None,
            write_bytes_per_s: None,
            major_faults_per_s: None,
            cpu_throttled: None,
            gpu_memory_bytes: None,
            host: None,
        };
        let look = |second: u64| HostSample { time_ns: second * S, ..HostSample::default() };
        machine.note(&look(10), &[runtime(7, 20), runtime(8, 5)]);
        assert_eq!(machine.runtime_memory(10 * S, 10 * S + S / 2), Some((25, 300)));
        assert_eq!(machine.runtime_memory(9 * S, 10 * S), None, "nobody looked before");
        machine.note(&look(11), &[runtime(7, 200), runtime(8, 5)]);
        assert_eq!(machine.runtime_memory(10 * S, 10 * S + S / 2), Some((25, 205)));
        assert_eq!(machine.runtime_memory(10 * S, 12 * S), Some((25, 300)), "it goes on");
    }
}
