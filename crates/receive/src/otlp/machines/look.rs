//! One program's points, put together to looks at its machine. A look's points come in one request or in
//! several, and many looks may come in one; each counter knows since when it counts, so that what comes
//! late is in the next look and nothing is lost.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use andon_model::{HostSample, UnixNanos};

use super::{
    LONGEST_SILENCE,
    devices::{is_outer_interface, is_whole_disk},
    points::{Counter, Level, Memory, Mode, Point, State, What},
};

/// Points further apart are of two looks. The Collector asks one part of the machine after the other.
const LOOK_NS: u64 = 500_000_000;
/// A sample sooner than this after the one before waits for the next look: one a second, with what a
/// timer is off by.
const SHORTEST_PAUSE_NS: u64 = 900_000_000;
/// A rate over less time than this is reckoned as if it were this long, as the sampler does.
const SHORTEST_RATE_NS: u64 = 100_000_000;
/// Two points of one kind may overlap by this: of two programs that count the same, they do by more.
const OVERLAP_NS: u64 = 1_000_000;
/// Figures of one machine: with eight modes a thousand CPUs, and their disks and interfaces.
const MOST_FIGURES: usize = 8_192;
/// After so many looks in a row that lacked something, what they lacked is given up: a CPU that was
/// taken out, for one.
const MOST_INCOMPLETE: u32 = 3;

#[derive(Clone, Copy)]
struct Mark {
    time_ns: UnixNanos,
    value: f64,
}

/// One figure over time.
struct Track {
    /// Where a rate is reckoned from.
    base: Mark,
    last: Mark,
    /// It came since the look before.
    is_new: bool,
}

impl Track {
    fn begin(point: &Point, is_new: bool) -> Self {
        let last = Mark { time_ns: point.time_ns, value: point.value };
        // What has been counted since a known time is a rate at once.
        let is_known = point.is_delta && (1..point.time_ns).contains(&point.start_ns);
        let base = if is_known { Mark { time_ns: point.start_ns, value: 0.0 } } else { last };
        Self { base, last, is_new }
    }

    /// Whether it is something new.
    fn add(&mut self, point: &Point) -> bool {
        let last = self.last;
        if point.time_ns <= last.time_ns {
            return false;
        }
        let mut value = point.value;
        if point.is_delta {
            let is_said = (1..point.time_ns).contains(&point.start_ns);
            let start_ns = if is_said { point.start_ns } else { last.time_ns };
            if start_ns.saturating_add(OVERLAP_NS) < last.time_ns {
                return false;
            }
            // Nothing is known of the time between the two.
            self.base.time_ns += start_ns.saturating_sub(last.time_ns);
            value += last.value;
        }
        self.last = Mark { time_ns: point.time_ns, value };
        let has_restarted =
            !point.is_delta && (value < last.value || point.start_ns > last.time_ns);
        if has_restarted {
            self.base = self.last;
        }
        self.is_new = true;
        true
    }

    /// Per second; `None` of a counter that has just begun, or begun anew.
    fn rate(&self) -> Option<f64> {
        let ns = self.last.time_ns.saturating_sub(self.base.time_ns);
        let seconds = ns.max(SHORTEST_RATE_NS) as f64 / 1e9;
        (ns > 0).then(|| (self.last.value - self.base.value) / seconds)
    }
}

/// What there is room for.
struct Room {
    figures: usize,
    /// What is heard of for the first time and was measured before this was the rest of a look that
    /// seemed complete: the next one waits for it.
    complete_until_ns: UnixNanos,
}

/// Figures of one kind, each of the whole machine or of a part.
struct Table<K>(HashMap<(K, Box<str>), Track>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash + Copy> Table<K> {
    /// Whether it is something new; `None` where there is no room.
    fn add(&mut self, key: K, point: &Point, room: &Room) -> Option<bool> {
        if let Some(track) = self.0.get_mut(&(key, point.of.clone())) {
            return Some(track.add(point));
        }
        if room.figures == 0 {
            return None;
        }
        let is_new = point.time_ns > room.complete_until_ns;
        self.0.insert((key, point.of.clone()), Track::begin(point, is_new));
        Some(true)
    }

    /// What came since the look before.
    fn recent(&self) -> impl Iterator<Item = (K, &str, &Track)> {
        let recent = self.0.iter().filter(|(_, track)| track.is_new);
        recent.map(|((key, of), track)| (*key, &**of, track))
    }

    fn has_recent(&self) -> bool {
        self.recent().next().is_some()
    }

    /// All that was ever there has come, and there is something.
    fn is_complete(&self) -> bool {
        !self.0.is_empty() && self.0.values().all(|track| track.is_new)
    }

    /// Where some have come, the others are gone; where none has, its time is yet to come.
    fn give_up_missing(&mut self) {
        if self.has_recent() {
            self.0.retain(|_, track| track.is_new);
        }
    }

    /// From here on for the next look.
    fn advance(&mut self, now_ns: UnixNanos) {
        let oldest_ns = now_ns.saturating_sub(LONGEST_SILENCE.as_nanos() as u64);
        self.0.retain(|_, track| track.last.time_ns >= oldest_ns);
        for track in self.0.values_mut() {
            track.base = track.last;
            track.is_new = false;
        }
    }
}

/// What a program has told of its machine.
#[derive(Default)]
pub(super) struct Looks {
    cpu_time: Table<Mode>,
    cpu_share: Table<Mode>,
    memory: Table<Memory>,
    counted: Table<Counter>,
    levels: Table<Level>,
    /// When the look that is under way began.
    begun_ns: Option<UnixNanos>,
    newest_ns: UnixNanos,
    /// The last one that was complete.
    complete_ns: Option<UnixNanos>,
    incomplete: u32,
    /// A figure that a sample cannot be without had no room.
    is_too_much: bool,
}

impl Looks {
    /// The latest time of a point; 0 before the first.
    pub(super) fn newest_ns(&self) -> UnixNanos {
        self.newest_ns
    }

    /// The samples that are complete now, in the order of time.
    pub(super) fn take(&mut self, mut points: Vec<Point>) -> Vec<HostSample> {
        points.sort_by_key(|point| point.time_ns);
        let mut samples = Vec::new();
        for point in points {
            if self.begun_ns.is_some_and(|begun| point.time_ns > begun.saturating_add(LOOK_NS)) {
                samples.extend(self.end());
            }
            let silence = point.time_ns.saturating_sub(self.newest_ns);
            if self.newest_ns > 0 && u128::from(silence) > LONGEST_SILENCE.as_nanos() {
                *self = Self::default();
            }
            self.add(&point);
        }
        samples.extend(self.settle());
        samples
    }

    fn add(&mut self, point: &Point) {
        let held = [self.cpu_time.0.len(), self.cpu_share.0.len(), self.memory.0.len()];
        let held = held.iter().sum::<usize>() + self.counted.0.len() + self.levels.0.len();
        let room = &Room {
            figures: MOST_FIGURES.saturating_sub(held),
            complete_until_ns: self.complete_ns.map_or(0, |ns| ns.saturating_add(LOOK_NS)),
        };
        let added = match point.what {
            What::CpuTime(mode) => self.cpu_time.add(mode, point, room),
            // The kernel's own counts are better than what a program made of them.
            What::CpuShare(_) if !self.cpu_time.0.is_empty() => return,
            What::CpuShare(mode) => self.cpu_share.add(mode, point, room),
            What::Memory(of) => self.memory.add(of, point, room),
            What::Counted(counter) => self.counted.add(counter, point, room).or(Some(false)),
            What::Level(level) => self.levels.add(level, point, room).or(Some(false)),
        };
        self.is_too_much |= added.is_none();
        if added == Some(true) {
            self.begun_ns.get_or_insert(point.time_ns);
            self.newest_ns = self.newest_ns.max(point.time_ns);
        }
    }

    /// A later look has begun.
    fn end(&mut self) -> Option<HostSample> {
        self.begun_ns = None;
        if self.is_complete() {
            return self.settle();
        }
        self.incomplete += 1;
        if self.incomplete >= MOST_INCOMPLETE {
            self.incomplete = 0;
            self.cpu_time.give_up_missing();
            self.cpu_share.give_up_missing();
            self.memory.give_up_missing();
        }
        None
    }

    fn is_complete(&self) -> bool {
        let has_cpu = match self.cpu_time.0.is_empty() {
            true => self.cpu_share.is_complete(),
            false => self.cpu_time.is_complete(),
        };
        has_cpu && self.memory.is_complete() && !self.is_too_much
    }

    /// A sample, if CPU and memory are there. The first look gives none: its rates begin with it.
    fn settle(&mut self) -> Option<HostSample> {
        let pause = self.complete_ns.map(|before| self.newest_ns.saturating_sub(before));
        if !self.is_complete() || pause.is_some_and(|pause| pause < SHORTEST_PAUSE_NS) {
            return None;
        }
        let sample = pause.and_then(|_| self.sample());
        let now_ns = self.newest_ns;
        self.cpu_time.advance(now_ns);
        self.cpu_share.advance(now_ns);
        self.memory.advance(now_ns);
        self.counted.advance(now_ns);
        self.levels.advance(now_ns);
        (self.complete_ns, self.begun_ns, self.incomplete) = (Some(now_ns), None, 0);
        sample
    }

    fn sample(&self) -> Option<HostSample> {
        let cpu = self.cpu()?;
        let (total, used) = self.memory()?;
        let disk = |counter| {
            let disks: HashSet<&str> = self.counted.0.keys().map(|(_, of)| &**of).collect();
            self.per_second(counter, |name| is_whole_disk(name, &disks))
        };
        let network = |counter| self.per_second(counter, is_outer_interface);
        let machine = |counter| self.per_second(counter, |_| true);
        let (swap_used, swap_free) = (self.level(Level::SwapUsed), self.level(Level::SwapFree));
        Some(HostSample {
            time_ns: self.newest_ns,
            cpu_count: cpu.count,
            cpu_busy_cores: cpu.busy(),
            cpu_iowait_cores: cpu.cores(&[Mode::Wait]),
            cpu_steal_cores: cpu.cores(&[Mode::Steal]),
            cpu_user_cores: cpu.cores(&[Mode::User, Mode::Nice]),
            cpu_system_cores: cpu.cores(&[Mode::System, Mode::Interrupt, Mode::SoftInterrupt]),
            load_1m: self.level(Level::Load1m),
            memory_total_bytes: total as u64,
            memory_used_bytes: used as u64,
            memory_cached_bytes: self.memory_of(Memory::Bytes(State::Cached)).map(|it| it as u64),
            swap_total_bytes: swap_used.zip(swap_free).map(|(used, free)| (used + free) as u64),
            swap_used_bytes: swap_used.map(|used| used as u64),
            disk_read_bytes_per_s: disk(Counter::DiskRead),
            disk_write_bytes_per_s: disk(Counter::DiskWrite),
            network_receive_bytes_per_s: network(Counter::Receive),
            network_send_bytes_per_s: network(Counter::Send),
            major_faults_per_s: machine(Counter::MajorFaults),
            swap_in_bytes_per_s: machine(Counter::SwapIn),
            swap_out_bytes_per_s: machine(Counter::SwapOut),
            ..HostSample::default()
        })
    }

    /// Of all parts that count.
    fn per_second(&self, counter: Counter, counts: impl Fn(&str) -> bool) -> Option<f64> {
        let of = self.counted.recent().filter(|(key, of, _)| *key == counter && counts(of));
        of.filter_map(|(_, _, track)| track.rate()).reduce(|sum, rate| sum + rate)
    }

    fn level(&self, level: Level) -> Option<f64> {
        let of = self.levels.recent().filter(|(key, ..)| *key == level);
        of.map(|(_, _, track)| track.last.value).reduce(|sum, value| sum + value)
    }

    /// `None` where a CPU's counters have begun anew, or how many there are is not to be known.
    fn cpu(&self) -> Option<Cpu> {
        let is_counted = !self.cpu_time.0.is_empty();
        let table = if is_counted { &self.cpu_time } else { &self.cpu_share };
        let mut cores = HashMap::new();
        let mut names = HashSet::new();
        for (mode, name, track) in table.recent() {
            let value = if is_counted { track.rate()? } else { track.last.value.min(1.0) };
            *cores.entry(mode).or_insert(0.0) += value;
            names.insert(name);
        }
        let is_whole = names.contains("");
        // It changes hardly ever, and may come less often.
        let told = self.levels.0.get(&(Level::Cpus, Box::default())).map(|it| it.last.value);
        // In a second all of them together spend so many.
        let all = || cores.values().sum::<f64>();
        let spent = (is_counted && cores.contains_key(&Mode::Idle)).then(all);
        let named = (!is_whole).then_some(names.len() as f64);
        let count = told.or(named).or(spent).map(|count| count.round()).filter(|it| *it >= 1.0)?;
        if is_whole && !is_counted {
            cores.values_mut().for_each(|share| *share *= count);
        }
        Some(Cpu { count: count as u32, cores })
    }

    fn memory_of(&self, of: Memory) -> Option<f64> {
        let track = self.memory.0.get(&(of, Box::default()))?;
        track.is_new.then_some(track.last.value)
    }

    /// Total and used bytes. Parts add up to the whole nearly: what is available is cached as well, and
    /// senders differ in whether they call it used. So the parts are the last to be asked.
    fn memory(&self) -> Option<(f64, f64)> {
        use State::{Available, Buffered, Cached, Free, Inactive, Total, Used};
        let bytes = |state| self.memory_of(Memory::Bytes(state));
        let share = |state| self.memory_of(Memory::Share(state)).filter(|share| *share > 0.0);
        let available = || self.memory_of(Memory::Available).or(bytes(Available));
        let by_share = || {
            let both = |state| bytes(state).zip(share(state));
            let all = [Used, Free, Cached, Buffered, Inactive, Available].into_iter();
            let largest = all.filter_map(both).max_by(|(_, a), (_, b)| a.total_cmp(b));
            largest.map(|(bytes, share)| bytes / share)
        };
        let rest = || [Cached, Buffered, Inactive].into_iter().filter_map(bytes).sum::<f64>();
        let by_parts = || Some(bytes(Used)? + bytes(Free)? + rest());
        let by_two = || Some(bytes(Used)? + bytes(Available)?);
        let total = self.memory_of(Memory::Limit).or(bytes(Total)).or_else(by_share);
        let total = total.or_else(by_two).or_else(by_parts).filter(|total| *total >= 1.0)?;
        let used = available().map(|free| total - free).or(bytes(Used));
        let used = used.or_else(|| Some(share(Used)? * total));
        let used = used.or_else(|| Some(total - bytes(Free)? - rest()))?;
        Some((total.round(), used.clamp(0.0, total).round()))
    }
}

/// Cores by what they were doing.
struct Cpu {
    count: u32,
    cores: HashMap<Mode, f64>,
}

impl Cpu {
    /// In these modes together; `None` where none of them is told.
    fn cores(&self, modes: &[Mode]) -> Option<f64> {
        let told = modes.iter().filter_map(|mode| self.cores.get(mode).copied());
        told.reduce(|sum, cores| sum + cores).map(|cores| cores.clamp(0.0, f64::from(self.count)))
    }

    /// What is said to be work; where only the rest is, what that leaves.
    fn busy(&self) -> f64 {
        use Mode::{Idle, Interrupt, Nice, SoftInterrupt, Steal, System, User, Wait};
        let work = self.cores(&[User, Nice, System, Interrupt, SoftInterrupt, Steal]);
        let rest = || self.cores(&[Idle, Wait]).unwrap_or_default();
        work.unwrap_or_else(|| f64::from(self.count) - rest())
    }
}
