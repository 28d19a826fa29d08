//! What the kernel counts since boot, and what became of it between two looks.

use andon_model::HostSample;

use crate::cgroup::Cgroup;
use crate::devices::Cores;
use crate::files::{FileReader, Roots};
use crate::parse::{self, CpuTicks, Pressure, Traffic};
use crate::processes::Units;
use crate::rates::Elapsed;

/// Counters since boot, of which two make rates. `None` where the kernel does not count.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) cpu: CpuTicks,
    /// Under our cgroup's CPU limit, where there is one.
    cgroup_cpu_us: Option<u64>,
    throttled_us: Option<u64>,
    disk: Option<Traffic>,
    network: Option<Traffic>,
    major_faults: Option<u64>,
    swapped_in_pages: Option<u64>,
    swapped_out_pages: Option<u64>,
    oom_kills: Option<u64>,
    cpu_pressure: Option<Pressure>,
    memory_pressure: Option<Pressure>,
    io_pressure: Option<Pressure>,
}

impl Counters {
    /// `None` on a system without `/proc`. Notes the ticks of each CPU besides, which are in the same
    /// file.
    pub(crate) fn read(
        roots: &Roots,
        cgroup: &Cgroup,
        reader: &mut FileReader,
        cores: &mut Cores,
    ) -> Option<Self> {
        let proc = &roots.proc;
        let text = reader.read_text(&proc.join("stat"))?;
        let cpu = parse::cpu_ticks(text)?;
        cores.note(text, cpu.online_cpus);
        let mut counters = Self {
            cpu,
            cgroup_cpu_us: cgroup.cpu_used_us(reader),
            throttled_us: cgroup.throttled_us(reader),
            disk: reader.read_text(&proc.join("diskstats")).map(parse::disks),
            // Our own network namespace, which is what a container sees of the network.
            network: reader.read_text(&proc.join("net/dev")).map(parse::networks),
            ..Self::default()
        };
        if let Some(text) = reader.read_text(&proc.join("vmstat")) {
            let number = |name| parse::named_number(text, name);
            counters.major_faults = number("pgmajfault");
            counters.swapped_in_pages = number("pswpin");
            counters.swapped_out_pages = number("pswpout");
            counters.oom_kills = number("oom_kill");
        }
        let mut pressure =
            |of: &str| reader.read_text(&proc.join("pressure").join(of)).and_then(parse::pressure);
        counters.cpu_pressure = pressure("cpu");
        counters.memory_pressure = pressure("memory");
        counters.io_pressure = pressure("io");
        Some(counters)
    }
}

/// Two looks and the time between them.
pub(crate) struct Rates<'a> {
    pub(crate) before: &'a Counters,
    pub(crate) now: &'a Counters,
    pub(crate) elapsed: Elapsed,
    pub(crate) units: Units,
}

impl Rates<'_> {
    /// A sample with everything in it that is counted over time, and nothing else.
    pub(crate) fn sample(&self) -> HostSample {
        let (io, memory) =
            (self.pressure(|it| it.io_pressure), self.pressure(|it| it.memory_pressure));
        HostSample {
            cpu_busy_cores: self.busy_cores(),
            cpu_user_cores: Some(self.cores(|cpu| cpu.user)),
            cpu_system_cores: Some(self.cores(|cpu| cpu.system)),
            cpu_iowait_cores: Some(self.cores(|cpu| cpu.iowait)),
            cpu_steal_cores: Some(self.cores(|cpu| cpu.steal)),
            cpu_throttled: self.share(|it| it.throttled_us),
            cpu_pressure: self.pressure(|it| it.cpu_pressure).some,
            memory_pressure: memory.some,
            memory_stall: memory.full,
            io_pressure: io.some,
            io_stall: io.full,
            disk_read_bytes_per_s: self.rate(|it| Some(it.disk?.inward)),
            disk_write_bytes_per_s: self.rate(|it| Some(it.disk?.outward)),
            network_receive_bytes_per_s: self.rate(|it| Some(it.network?.inward)),
            network_send_bytes_per_s: self.rate(|it| Some(it.network?.outward)),
            major_faults_per_s: self.rate(|it| it.major_faults),
            swap_in_bytes_per_s: self.paged(|it| it.swapped_in_pages),
            swap_out_bytes_per_s: self.paged(|it| it.swapped_out_pages),
            oom_kills: self.both(|it| it.oom_kills).map(|(before, now)| now.saturating_sub(before)),
            ..HostSample::default()
        }
    }

    fn both<T>(&self, field: impl Fn(&Counters) -> Option<T>) -> Option<(T, T)> {
        field(self.before).zip(field(self.now))
    }

    fn rate(&self, field: impl Fn(&Counters) -> Option<u64>) -> Option<f64> {
        self.both(field).map(|(before, now)| self.elapsed.rate(before, now))
    }

    fn cores(&self, ticks: impl Fn(&CpuTicks) -> u64) -> f64 {
        let rate = self.elapsed.rate(ticks(&self.before.cpu), ticks(&self.now.cpu));
        (rate / self.units.ticks_per_s as f64).min(f64::from(self.now.cpu.online_cpus.max(1)))
    }

    /// Of our cgroup where that is limited.
    fn busy_cores(&self) -> f64 {
        match self.both(|it| it.cgroup_cpu_us) {
            Some((before, now)) => self.elapsed.rate(before, now) / 1e6,
            None => self.cores(|cpu| cpu.busy),
        }
    }

    fn share(&self, field: impl Fn(&Counters) -> Option<u64>) -> Option<f64> {
        self.both(field).map(|(before, now)| self.elapsed.share(before, now))
    }

    fn paged(&self, pages: impl Fn(&Counters) -> Option<u64>) -> Option<f64> {
        Some(self.rate(pages)? * self.units.page_bytes as f64)
    }

    fn pressure(&self, field: impl Fn(&Counters) -> Option<Pressure>) -> Waited {
        let Some((before, now)) = self.both(field) else { return Waited::default() };
        let share = |before, now| Some(self.elapsed.share(before, now));
        Waited {
            some: share(before.some_us, now.some_us),
            full: share(before.full_us, now.full_us),
        }
    }
}

/// Shares of the time in which some task, or all of them, waited.
#[derive(Default)]
struct Waited {
    some: Option<f64>,
    full: Option<f64>,
}
