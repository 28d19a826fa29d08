//! What a request says of machines, by the names of the semantic conventions: today's
//! (<https://opentelemetry.io/docs/specs/semconv/system/system-metrics/>) and those that the Collector's
//! `hostmetricsreceiver` and `opentelemetry-instrumentation-system-metrics` keep to, which are older.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use andon_model::UnixNanos;
use prost::Message;

use super::super::wire::{Metric, MetricsRequest, NumberPoint, Resource};
use crate::value::{KeyValue, Value, utf8};

/// As many as a machine's name may have where it is kept.
const MOST_HOST_CHARS: usize = 255;
/// Names of CPUs, disks and interfaces; what is longer is none.
const MOST_NAME_BYTES: usize = 64;
/// No machine has more bytes of anything, and sums of so much are still numbers.
const MOST: f64 = 1e18;
/// What the Collector on Linux counts pages and major faults in: gopsutil multiplies all that it takes
/// from `/proc/vmstat` by it (`mem/mem_linux.go`, `SwapMemoryWithContext`), faults too.
const PAGE_BYTES: f64 = 4_096.0;
/// In the names of the Collector's scopes (`…/hostmetricsreceiver/internal/scraper/pagingscraper`).
const COLLECTOR: &str = "hostmetricsreceiver";

/// A program on a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sender {
    pub(super) host: String,
    /// Of all that its resource says: two programs on a machine differ in something.
    resource: u64,
}

/// All that a request says by one program.
pub(super) struct Told {
    pub(super) sender: Sender,
    pub(super) points: Vec<Point>,
}

/// One figure of a machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) what: What,
    /// The CPU, disk or interface that it is of; empty where it is of the whole machine.
    pub(super) of: Box<str>,
    pub(super) time_ns: UnixNanos,
    /// When what it counts began; 0 where nothing is said.
    pub(super) start_ns: UnixNanos,
    pub(super) value: f64,
    /// It counts since the point before and not since the beginning.
    pub(super) is_delta: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Seconds since boot.
    CpuTime(Mode),
    /// Share of a CPU's time, or of all CPUs' where none is named; 0 to 1.
    CpuShare(Mode),
    Memory(Memory),
    Counted(Counter),
    Level(Level),
}

/// What a CPU was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    User,
    Nice,
    System,
    Interrupt,
    SoftInterrupt,
    Steal,
    Wait,
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Memory {
    Bytes(State),
    /// Of the whole, 0 to 1.
    Share(State),
    Limit,
    /// What the kernel calls available.
    Available,
}

/// What memory was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum State {
    Used,
    Free,
    Cached,
    Buffered,
    Inactive,
    Available,
    Total,
}

/// What only grows; bytes, and faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Counter {
    DiskRead,
    DiskWrite,
    Receive,
    Send,
    SwapIn,
    SwapOut,
    MajorFaults,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Level {
    Cpus,
    Load1m,
    SwapUsed,
    /// The rest of swap.
    SwapFree,
}

/// By sender, those that are no machine's or say nothing of one left out.
pub(super) fn told(request: &MetricsRequest) -> Vec<Told> {
    let mut all: BTreeMap<Sender, Vec<Point>> = BTreeMap::new();
    for resource in &request.resource_metrics {
        let mut points = Vec::new();
        for scope in &resource.scope_metrics {
            let name = scope.scope.as_ref().map(|scope| utf8(&scope.name));
            let is_collector = name.is_some_and(|name| name.contains(COLLECTOR));
            for metric in &scope.metrics {
                points.extend(points_of(metric, is_collector));
            }
        }
        if !points.is_empty()
            && let Some(sender) = resource.resource.as_ref().and_then(Sender::of)
        {
            all.entry(sender).or_default().append(&mut points);
        }
    }
    all.into_iter().map(|(sender, points)| Told { sender, points }).collect()
}

impl Sender {
    fn of(resource: &Resource) -> Option<Self> {
        let host = text(&resource.attributes, &["host.name"])
            .or_else(|| text(&resource.attributes, &["host.id"]))?;
        let is_name = |c: char| !c.is_control() && !c.is_whitespace();
        if !host.chars().all(is_name) || host.chars().count() > MOST_HOST_CHARS {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        resource.encode_to_vec().hash(&mut hasher);
        Some(Self { host: host.into_owned(), resource: hasher.finish() })
    }
}

/// The first of these that is there and says something.
fn text<'a>(attributes: &'a [KeyValue], names: &[&str]) -> Option<Cow<'a, str>> {
    let value = |name: &&str| {
        let found = attributes.iter().find(|attribute| attribute.key.as_ref() == name.as_bytes());
        let text = match found?.value()? {
            Value::Text(text) => utf8(text),
            other => other.to_words().into(),
        };
        Some(text).filter(|text| !text.is_empty())
    };
    names.iter().find_map(value)
}

fn points_of(metric: &Metric, is_collector: bool) -> Vec<Point> {
    let name = utf8(&metric.name);
    if !name.starts_with("system.") {
        return Vec::new();
    }
    let gauge = metric.gauge.iter().flat_map(|gauge| &gauge.data_points).map(|of| (of, None));
    let sum = metric.sum.iter().flat_map(|sum| {
        let temporality = Some(sum.aggregation_temporality);
        sum.data_points.iter().map(move |of| (of, temporality))
    });
    let read = |(of, temporality)| point(&name, of, temporality, is_collector);
    gauge.chain(sum).filter_map(read).collect()
}

/// `temporality`: as OTLP says it, of a sum.
fn point(
    name: &str,
    of: &NumberPoint,
    temporality: Option<i32>,
    is_collector: bool,
) -> Option<Point> {
    const DELTA: i32 = 1;
    const CUMULATIVE: i32 = 2;
    let value = of.as_double.or(of.as_int.map(|number| number as f64))?;
    let (what, part) = what(name, &of.attributes)?;
    let is_counted = matches!(what, What::CpuTime(_) | What::Counted(_));
    let fits = match temporality {
        Some(DELTA) => is_counted,
        Some(CUMULATIVE) => true,
        _ => !is_counted,
    };
    let scale = match what {
        What::Counted(Counter::MajorFaults) if is_collector => 1.0 / PAGE_BYTES,
        What::Counted(Counter::SwapIn | Counter::SwapOut) if !is_collector => PAGE_BYTES,
        _ => 1.0,
    };
    let is_sound = (0.0..=MOST).contains(&value) && of.time_unix_nano > 0;
    (fits && is_sound && part.len() <= MOST_NAME_BYTES).then(|| Point {
        what,
        of: part.into(),
        time_ns: of.time_unix_nano,
        start_ns: of.start_time_unix_nano,
        value: value * scale,
        is_delta: temporality == Some(DELTA),
    })
}

/// What a point is about, and of which part of the machine.
fn what<'a>(name: &str, attributes: &'a [KeyValue]) -> Option<(What, Cow<'a, str>)> {
    let get = |names: &[&str]| text(attributes, names);
    let cpu = || get(&["cpu", "cpu.logical_number", "system.cpu.logical_number"]);
    let device = || get(&["device", "system.device", "network.interface.name"]);
    let whole = |what| Some((what, Cow::default()));
    match name {
        "system.cpu.time" => Some((What::CpuTime(mode(get)?), cpu().unwrap_or_default())),
        "system.cpu.utilization" => Some((What::CpuShare(mode(get)?), cpu().unwrap_or_default())),
        "system.cpu.logical.count" => whole(What::Level(Level::Cpus)),
        "system.cpu.load_average.1m" => whole(What::Level(Level::Load1m)),
        "system.memory.usage" => whole(What::Memory(Memory::Bytes(state(get)?))),
        "system.memory.utilization" => whole(What::Memory(Memory::Share(state(get)?))),
        "system.memory.limit" => whole(What::Memory(Memory::Limit)),
        "system.memory.linux.available" | "system.linux.memory.available" => {
            whole(What::Memory(Memory::Available))
        }
        // Python's has the older name, and bytes whatever its unit says.
        "system.paging.usage" | "system.swap.usage" => {
            let state = get(&["state", "system.paging.state"])?;
            let level = if state == "used" { Level::SwapUsed } else { Level::SwapFree };
            let part = format!("{} {state}", device().unwrap_or_default());
            Some((What::Level(level), part.into()))
        }
        "system.paging.operations" | "system.paging.faults" => {
            // Minor ones never wait for a disk; of operations they are files and no swap.
            let kind = get(&["type", "system.paging.fault.type", "system.paging.type"])?;
            let counter = match name {
                "system.paging.faults" => Counter::MajorFaults,
                _ => counter(get, Counter::SwapIn, Counter::SwapOut)?,
            };
            (kind == "major").then_some((What::Counted(counter), Cow::default()))
        }
        "system.disk.io" => {
            let counter = counter(get, Counter::DiskRead, Counter::DiskWrite)?;
            Some((What::Counted(counter), device().unwrap_or_default()))
        }
        "system.network.io" => {
            let counter = counter(get, Counter::Receive, Counter::Send)?;
            Some((What::Counted(counter), device().unwrap_or_default()))
        }
        _ => None,
    }
}

/// Guests' time is in the user's already.
fn mode<'a>(get: impl Fn(&[&str]) -> Option<Cow<'a, str>>) -> Option<Mode> {
    Some(match &*get(&["state", "cpu.mode", "system.cpu.state"])? {
        "user" => Mode::User,
        "nice" => Mode::Nice,
        "system" | "kernel" => Mode::System,
        "interrupt" | "irq" => Mode::Interrupt,
        "softirq" => Mode::SoftInterrupt,
        "steal" => Mode::Steal,
        "wait" | "iowait" => Mode::Wait,
        "idle" => Mode::Idle,
        _ => return None,
    })
}

/// The kernel's own structures are in the others already.
fn state<'a>(get: impl Fn(&[&str]) -> Option<Cow<'a, str>>) -> Option<State> {
    Some(match &*get(&["state", "system.memory.state"])? {
        "used" => State::Used,
        "free" => State::Free,
        "cached" => State::Cached,
        "buffered" | "buffers" => State::Buffered,
        "inactive" => State::Inactive,
        "available" => State::Available,
        "total" => State::Total,
        _ => return None,
    })
}

fn counter<'a>(
    get: impl Fn(&[&str]) -> Option<Cow<'a, str>>,
    inward: Counter,
    outward: Counter,
) -> Option<Counter> {
    let names =
        ["direction", "disk.io.direction", "network.io.direction", "system.paging.direction"];
    match &*get(&names)? {
        "read" | "receive" | "in" | "page_in" => Some(inward),
        "write" | "transmit" | "out" | "page_out" => Some(outward),
        _ => None,
    }
}
