//! The machine over a stretch of time: its samples put together in steps, those of its parts as well,
//! and what each process used. Whatever the length, memory is that of the answer.

mod devices;

use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

use andon_model::{HostSample, ProcessSample, UnixNanos};
use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, new_null_array},
    compute::cast,
    datatypes::{DataType, Float64Type, Int64Type},
};

use self::devices::Devices;
use super::Shared;
use crate::{
    Machine, MachineQuery, ProcessUse, StoreError,
    aggregate::step_of,
    segment::{HOST, Visit, of_host, times_of},
    table::{Row, Table},
};

/// Steps when no number of points was asked for.
const DEFAULT_POINTS: usize = 120;
/// Processes told apart at a time; with more, those that used least are let go.
const MOST_PROCESSES: usize = 20_000;
const PROCESS_COLUMNS: [&str; 5] = ["time_ns", "pid", "started_ns", "cpu_cores", "rss_bytes"];
/// Counted, not measured: its mean says nothing.
const SUMMED: &str = "oom_kills";

impl Shared {
    pub(super) fn machine(&self, query: &MachineQuery) -> Result<Machine, StoreError> {
        let points = if query.points == 0 { DEFAULT_POINTS } else { query.points };
        let step_ns = step_of(query.from_ns, query.to_ns, points).unwrap_or(1).max(1);
        let grid = Grid::new(query, step_ns);
        let mut steps = Steps::new(grid);
        let mut is_partial =
            self.visit_samples(query, Table::Hosts, &mut |batch| steps.add(batch))?;
        let mut uses = Uses::new(query);
        is_partial |= self.visit_samples(query, Table::Processes, &mut |batch| uses.add(batch))?;
        let mut devices = Devices::new(grid);
        is_partial |= self.visit_samples(query, Table::Devices, &mut |batch| devices.add(batch))?;
        Ok(Machine {
            from_ns: query.from_ns,
            to_ns: query.to_ns,
            step_ns,
            processes: uses.most(steps.looks, query.top),
            is_partial: is_partial || uses.has_let_go || devices.has_left_out,
            devices: devices.uses(),
            mean: steps.samples(Slot::mean),
            peak: steps.samples(|slot, _| slot.peak),
        })
    }

    /// Whether a file could not be read.
    fn visit_samples(
        &self,
        query: &MachineQuery,
        table: Table,
        take: &mut dyn FnMut(&RecordBatch),
    ) -> Result<bool, StoreError> {
        let Some(last_ns) = query.to_ns.checked_sub(1) else { return Ok(false) };
        let (hot, segments) = {
            let state = self.read();
            (state.hot.batches(table), Arc::clone(&state.segments))
        };
        let (host, mut has_failed) = (query.host.as_deref(), false);
        for segment in segments.iter().filter(|segment| {
            segment.info.table == table && segment.info.overlaps(query.from_ns, last_ns)
        }) {
            query.interrupt.check()?;
            let visit = Visit::between(query.from_ns, last_ns);
            let read = segment.visit(visit, &mut |batch| {
                take(&of_host(batch, host));
                match query.interrupt.is_raised() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            if let Err(error) = read {
                self.note_unreadable(&error);
                has_failed = true;
            }
        }
        hot.iter().for_each(|batch| take(&of_host(batch, host)));
        query.interrupt.check()?;
        Ok(has_failed)
    }
}

/// The steps that a time is divided into.
#[derive(Debug, Clone, Copy)]
struct Grid {
    from_ns: UnixNanos,
    to_ns: UnixNanos,
    step_ns: u64,
    first: u64,
    count: usize,
}

impl Grid {
    fn new(query: &MachineQuery, step_ns: u64) -> Self {
        let (from_ns, to_ns) = (query.from_ns, query.to_ns);
        let first = from_ns / step_ns;
        let count = to_ns.div_ceil(step_ns).saturating_sub(first) as usize;
        Self { from_ns, to_ns, step_ns, first, count }
    }

    /// `None` outside of the time.
    fn step(&self, time: i64) -> Option<usize> {
        let time = time.unsigned_abs();
        let is_asked = (self.from_ns..self.to_ns).contains(&time);
        is_asked.then(|| (time / self.step_ns - self.first) as usize)
    }

    fn begin_ns(&self, step: usize) -> UnixNanos {
        (self.first + step as u64) * self.step_ns
    }
}

/// One figure of one step.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    sum: f64,
    count: u32,
    peak: f64,
}

impl Slot {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.peak = if self.count == 0 { value } else { self.peak.max(value) };
        self.count += 1;
    }

    fn mean(self, column: &str) -> f64 {
        if column == SUMMED { self.sum } else { self.sum / f64::from(self.count.max(1)) }
    }
}

/// The host's samples in steps of time, column by column: a column that a version adds needs nothing
/// here.
struct Steps {
    grid: Grid,
    /// By column of the table, then by step.
    slots: Vec<Vec<Slot>>,
    looks: u64,
}

impl Steps {
    fn new(grid: Grid) -> Self {
        let columns = Table::Hosts.schema().fields().len();
        Self { grid, slots: vec![vec![Slot::default(); grid.count]; columns], looks: 0 }
    }

    fn add(&mut self, batch: &RecordBatch) {
        let Some(times) = times_of(batch, Table::Hosts.time_column()) else { return };
        let steps: Vec<_> = times.values().iter().map(|time| self.grid.step(*time)).collect();
        self.looks += steps.iter().flatten().count() as u64;
        for (field, slots) in Table::Hosts.schema().fields().iter().zip(&mut self.slots) {
            if field.name() == HOST {
                continue;
            }
            let Some(values) = batch.column_by_name(field.name()).and_then(numbers) else {
                continue;
            };
            for (value, step) in values.iter().zip(&steps) {
                if let (Some(value), Some(step)) = (value, step) {
                    slots[*step].add(value);
                }
            }
        }
    }

    /// The steps that have samples, as rows again.
    fn samples(&self, figure: impl Fn(Slot, &str) -> f64) -> Vec<HostSample> {
        let schema = Table::Hosts.schema();
        let time_column = Table::Hosts.time_column();
        let time_slots = schema.index_of(time_column).map(|column| &self.slots[column]);
        let Ok(time_slots) = time_slots else { return Vec::new() };
        let kept: Vec<_> =
            (0..time_slots.len()).filter(|step| time_slots[*step].count > 0).collect();
        let begins = kept.iter().map(|step| self.grid.begin_ns(*step) as i64);
        let begins = Int64Array::from_iter_values(begins);
        let columns = schema.fields().iter().zip(&self.slots).map(|(field, slots)| {
            if field.name() == time_column {
                return Arc::new(begins.clone()) as ArrayRef;
            }
            let is_whole = field.data_type() == &DataType::Int64;
            let value = |step: &usize| {
                let slot = slots[*step];
                let value = (slot.count > 0).then(|| figure(slot, field.name()))?;
                Some(if is_whole { value.round() } else { value })
            };
            if field.name() == HOST {
                return new_null_array(field.data_type(), kept.len());
            }
            let values: ArrayRef = Arc::new(kept.iter().map(value).collect::<Float64Array>());
            cast(&values, field.data_type()).unwrap_or(values)
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect());
        batch.map(|batch| HostSample::read_all(&batch)).unwrap_or_default()
    }
}

fn numbers(column: &ArrayRef) -> Option<Float64Array> {
    let values = cast(column, &DataType::Float64).ok()?;
    values.as_primitive_opt::<Float64Type>().cloned()
}

/// What each process used.
struct Uses {
    from_ns: UnixNanos,
    to_ns: UnixNanos,
    /// By number and start, which together name a process.
    by_process: HashMap<(u32, UnixNanos), ProcessUse>,
    has_let_go: bool,
}

impl Uses {
    fn new(query: &MachineQuery) -> Self {
        let (from_ns, to_ns) = (query.from_ns, query.to_ns);
        Self { from_ns, to_ns, by_process: HashMap::new(), has_let_go: false }
    }

    fn add(&mut self, batch: &RecordBatch) {
        let [time, pid, started, cpu, rss] = PROCESS_COLUMNS.map(|name| batch.column_by_name(name));
        let whole = |column: Option<&ArrayRef>| {
            column.and_then(|column| column.as_primitive_opt::<Int64Type>().cloned())
        };
        let (Some(time), Some(pid), Some(started), Some(cpu), Some(rss)) =
            (whole(time), whole(pid), whole(started), cpu.and_then(numbers), whole(rss))
        else {
            return;
        };
        let threads = whole(batch.column_by_name("threads"));
        let faults = batch.column_by_name("major_faults_per_s").and_then(numbers);
        let gpu_memory = whole(batch.column_by_name("gpu_memory_bytes"));
        for row in 0..batch.num_rows() {
            let time_ns = time.value(row).unsigned_abs();
            if !(self.from_ns..self.to_ns).contains(&time_ns) {
                continue;
            }
            let number = u32::try_from(pid.value(row)).unwrap_or_default();
            let key = (number, started.value(row).unsigned_abs());
            let entry = self.by_process.entry(key);
            let process = entry.or_insert_with(|| first_seen(batch, row, time_ns));
            // A sum until all are seen.
            process.cpu_cores += cpu.value(row);
            process.cpu_cores_peak = process.cpu_cores_peak.max(cpu.value(row));
            process.rss_bytes_peak = process.rss_bytes_peak.max(rss.value(row).unsigned_abs());
            let count = threads.as_ref().map_or(0, |threads| threads.value(row));
            process.threads_peak =
                process.threads_peak.max(u32::try_from(count).unwrap_or_default());
            let faults = faults.as_ref().filter(|faults| faults.is_valid(row));
            let faults = faults.map(|faults| faults.value(row));
            process.major_faults_per_s_peak = greater(process.major_faults_per_s_peak, faults);
            let held = gpu_memory.as_ref().filter(|held| held.is_valid(row));
            let held = held.map(|held| held.value(row).unsigned_abs());
            process.gpu_memory_bytes_peak = process.gpu_memory_bytes_peak.max(held);
            process.first_seen_ns = process.first_seen_ns.min(time_ns);
            process.last_seen_ns = process.last_seen_ns.max(time_ns);
        }
        self.let_go();
    }

    fn let_go(&mut self) {
        if self.by_process.len() <= MOST_PROCESSES {
            return;
        }
        self.has_let_go = true;
        let mut used: Vec<_> = self.by_process.values().map(|process| process.cpu_cores).collect();
        used.sort_unstable_by(f64::total_cmp);
        let middle = used[used.len() / 2];
        self.by_process.retain(|_, process| process.cpu_cores > middle || process.role.is_some());
    }

    /// `top` by CPU and as many by memory, in the order of CPU.
    fn most(&self, looks: u64, top: usize) -> Vec<ProcessUse> {
        let mut all: Vec<_> = self.by_process.values().collect();
        all.sort_unstable_by_key(|process| std::cmp::Reverse(process.rss_bytes_peak));
        let place: HashMap<_, _> =
            all.iter().enumerate().map(|(at, it)| ((it.pid, it.started_ns), at)).collect();
        all.sort_unstable_by(|one, other| {
            (other.cpu_cores.total_cmp(&one.cpu_cores))
                .then(other.rss_bytes_peak.cmp(&one.rss_bytes_peak))
                .then(one.pid.cmp(&other.pid))
        });
        let is_shown = |(at, process): &(usize, &ProcessUse)| {
            *at < top || place[&(process.pid, process.started_ns)] < top || process.role.is_some()
        };
        let mean = |process: &ProcessUse| ProcessUse {
            cpu_cores: process.cpu_cores / looks.max(1) as f64,
            ..process.clone()
        };
        all.into_iter()
            .enumerate()
            .filter(is_shown)
            .take(3 * top)
            .map(|(_, process)| mean(process))
            .collect()
    }
}

fn greater(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

fn first_seen(batch: &RecordBatch, row: usize, time_ns: UnixNanos) -> ProcessUse {
    let sample = ProcessSample::read(batch, &[row]).into_iter().next();
    let (pid, started_ns, name, command, role) = sample
        .map_or_else(Default::default, |it| (it.pid, it.started_ns, it.name, it.command, it.role));
    ProcessUse {
        pid,
        started_ns,
        name,
        command,
        role,
        cpu_cores: 0.0,
        cpu_cores_peak: 0.0,
        rss_bytes_peak: 0,
        threads_peak: 0,
        major_faults_per_s_peak: None,
        gpu_memory_bytes_peak: None,
        first_seen_ns: time_ns,
        last_seen_ns: time_ns,
    }
}
