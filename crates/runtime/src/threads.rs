//! How many threads to compute with.
//!
//! llama.cpp's threads wait for each other by spinning. One thread more than there are free cores
//! costs far more than it gives: on two cores beside two busy processes, two threads gave 6
//! tokens/s and one gave 22. So the number follows what other processes leave free, measured
//! from `/proc` four times a second and applied between two decode calls.

use std::collections::VecDeque;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// Samples that a decision looks back over: one second.
const WINDOW: usize = 4;
/// Part of a core that others may use of one that still counts as free. A machine is never quite
/// idle, and a thread that loses a third of a core now and then is still a gain.
const TOLERANCE: f64 = 0.35;

/// The number of threads that fits the machine now. Cheap to ask, cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ThreadAdvice {
    threads: Arc<AtomicU32>,
}

impl ThreadAdvice {
    /// Starts to measure. `limit` is the user's; the cores this process may use bound it too.
    pub(crate) fn start(limit: Option<u32>) -> Self {
        let cores = allowed_cores();
        let most = limit.unwrap_or(cores).clamp(1, cores.max(1));
        let threads = Arc::new(AtomicU32::new(most));
        let advice = Self { threads: Arc::clone(&threads) };
        if most > 1 && read_sample().is_some() {
            let measure = move || measure_forever(cores, most, &threads);
            if let Err(error) = thread::Builder::new().name("cpu-watch".into()).spawn(measure) {
                tracing::warn!(%error, "cannot watch the CPU; the number of threads stays fixed");
            }
        }
        advice
    }

    pub(crate) fn now(&self) -> u32 {
        self.threads.load(Ordering::Relaxed)
    }
}

/// Cores this process may use: affinity and cgroup quota counted.
fn allowed_cores() -> u32 {
    thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
}

fn measure_forever(cores: u32, most: u32, threads: &AtomicU32) {
    let mut samples: VecDeque<Sample> = VecDeque::with_capacity(WINDOW + 1);
    let mut chooser = Chooser { most, current: most, raise_votes: 0 };
    loop {
        // Its thread dies with the process; there is nothing to clean up.
        thread::sleep(SAMPLE_EVERY);
        let Some(sample) = read_sample() else { continue };
        if let Some(oldest) = samples.front()
            && let Some(busy) = sample.busy_others_since(oldest)
        {
            let host = f64::from(sample.cores);
            let free = (host - busy).min(f64::from(cores));
            threads.store(chooser.next(free), Ordering::Relaxed);
        }
        samples.push_back(sample);
        if samples.len() > WINDOW {
            samples.pop_front();
        }
    }
}

/// Turns measurements into a number that does not flutter.
#[derive(Debug)]
struct Chooser {
    most: u32,
    current: u32,
    raise_votes: u8,
}

impl Chooser {
    /// Goes down at once, since each moment with too many is dear; up only when two measurements
    /// agree.
    fn next(&mut self, free_cores: f64) -> u32 {
        let wanted = fitting(free_cores, self.most);
        if wanted <= self.current {
            self.current = wanted;
            self.raise_votes = 0;
        } else {
            self.raise_votes += 1;
            if self.raise_votes >= 2 {
                self.current = wanted;
                self.raise_votes = 0;
            }
        }
        self.current
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn fitting(free_cores: f64, most: u32) -> u32 {
    (free_cores + TOLERANCE).floor().clamp(1.0, f64::from(most)) as u32
}

/// Clock ticks: of all processes on all cores, and of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    cores: u32,
    total: u64,
    busy: u64,
    own: u64,
}

impl Sample {
    /// Cores that others kept busy since `earlier`; none if no time passed.
    #[expect(clippy::cast_precision_loss, reason = "tick differences are small")]
    fn busy_others_since(&self, earlier: &Self) -> Option<f64> {
        let total = self.total.checked_sub(earlier.total).filter(|&ticks| ticks > 0)?;
        let own = self.own.saturating_sub(earlier.own);
        let others = self.busy.saturating_sub(earlier.busy).saturating_sub(own);
        Some(others as f64 / total as f64 * f64::from(self.cores))
    }
}

fn read_sample() -> Option<Sample> {
    let host = fs::read_to_string("/proc/stat").ok()?;
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    parse_sample(&host, &own)
}

fn parse_sample(host: &str, own: &str) -> Option<Sample> {
    let mut lines = host.lines();
    let first = lines.next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = first.split_whitespace().take(8).map_while(|t| t.parse().ok()).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal] = ticks.try_into().ok()?;
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let cores = u32::try_from(lines.take_while(is_core).count()).ok()?;
    // What the hypervisor takes away is not free either.
    let busy = user + nice + system + irq + softirq + steal;
    // The command's name may hold spaces and brackets: count from behind the last one.
    let mut fields = own.rsplit_once(')')?.1.split_whitespace().skip(11);
    let own = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Sample { cores, total: busy + idle + iowait, busy, own })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_from_proc() {
        let host = "cpu  100 10 50 800 20 5 5 10 0 0\ncpu0 1 2\ncpu1 1 2\nintr 5\n";
        let own = "42 (a (b) c) S 1 1 1 0 -1 4194560 0 0 0 0 70 30 0 0 20 0 4 0 100";
        let sample = parse_sample(host, own);
        assert_eq!(sample, Some(Sample { cores: 2, total: 1000, busy: 180, own: 100 }));
        assert_eq!(parse_sample("nonsense", own), None);
        assert_eq!(parse_sample(host, ""), None);
    }

    #[test]
    fn own_work_does_not_count_as_others() {
        let earlier = Sample { cores: 2, total: 0, busy: 0, own: 0 };
        let later = Sample { cores: 2, total: 200, busy: 150, own: 100 };
        assert_eq!(later.busy_others_since(&earlier), Some(0.5));
        assert_eq!(earlier.busy_others_since(&earlier), None);
    }

    #[test]
    fn threads_fit_what_is_free() {
        for (free, expected) in
            [(2.0, 2), (1.8, 2), (1.5, 1), (1.0, 1), (0.67, 1), (0.0, 1), (-0.5, 1), (9.0, 2)]
        {
            assert_eq!(fitting(free, 2), expected, "{free} free");
        }
    }

    #[test]
    fn goes_down_at_once_and_up_after_two_votes() {
        let mut chooser = Chooser { most: 4, current: 4, raise_votes: 0 };
        assert_eq!(chooser.next(1.2), 1);
        assert_eq!(chooser.next(4.0), 1);
        assert_eq!(chooser.next(4.0), 4);
        assert_eq!(chooser.next(1.0), 1);
        assert_eq!(chooser.next(3.0), 1);
        assert_eq!(chooser.next(1.0), 1);
        assert_eq!(chooser.next(3.0), 1);
    }

    #[test]
    fn this_machine_can_be_measured() {
        if cfg!(target_os = "linux") {
            assert!(read_sample().is_some());
        }
    }
}
