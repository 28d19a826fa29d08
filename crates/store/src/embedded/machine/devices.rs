//! The machine's parts over a stretch of time, in the steps of the rest of the answer.

use std::collections::HashMap;

use andon_model::{DeviceKind, Named};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, TypedDictionaryArray,
    },
    datatypes::Int32Type,
};

use super::{Grid, Slot, numbers};
use crate::{DevicePoint, DeviceUse, segment::times_of, table::Table};

/// Told apart of one kind. Of each by itself, so that a machine of many CPUs still shows its GPUs.
const MOST_OF_A_KIND: usize = 256;

/// What is put together in steps.
#[derive(Debug, Clone, Copy)]
enum Figure {
    Utilization,
    MemoryUsed,
    MemoryTotal,
    Frequency,
    Temperature,
    Power,
    PowerLimit,
    Throttled,
}

/// By place of [`Figure`].
const COLUMNS: [&str; 8] = [
    "utilization",
    "memory_used_bytes",
    "memory_total_bytes",
    "frequency_hz",
    "temperature_c",
    "power_w",
    "power_limit_w",
    "throttled",
];
const BANDWIDTH: &str = "memory_bandwidth_bytes_per_s";

struct Device {
    kind: DeviceKind,
    id: String,
    name: Option<String>,
    bandwidth: Option<f64>,
    /// The steps in which it was looked at.
    is_seen: Vec<bool>,
    /// By figure, then by step; empty for what it never told, which is most.
    slots: [Vec<Slot>; COLUMNS.len()],
}

/// What was seen of each part.
pub(super) struct Devices {
    grid: Grid,
    devices: Vec<Device>,
    places: HashMap<(DeviceKind, String), usize>,
    pub(super) has_left_out: bool,
}

type Words<'a> = TypedDictionaryArray<'a, Int32Type, StringArray>;

impl Devices {
    pub(super) fn new(grid: Grid) -> Self {
        Self { grid, devices: Vec::new(), places: HashMap::new(), has_left_out: false }
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) {
        let column = |name| batch.column_by_name(name);
        let (Some(times), Some(kinds), Some(ids)) = (
            times_of(batch, Table::Devices.time_column()),
            column("kind").and_then(words),
            column("id").and_then(words),
        ) else {
            return;
        };
        let names = column("name").and_then(words);
        let figures = COLUMNS.map(|name| column(name).and_then(numbers));
        let bandwidths = column(BANDWIDTH).and_then(numbers);
        // A batch writes each word once: its number is enough to know a part again.
        let mut known: HashMap<(i32, i32), Option<usize>> = HashMap::new();
        for row in 0..batch.num_rows() {
            let Some(step) = self.grid.step(times.value(row)) else { continue };
            let place = *known
                .entry((kinds.keys().value(row), ids.keys().value(row)))
                .or_insert_with(|| self.place_of(word(&kinds, row), word(&ids, row)));
            let Some(device) = place.and_then(|place| self.devices.get_mut(place)) else {
                continue;
            };
            device.see(self.grid, step, &figures, row);
            if device.name.is_none() {
                device.name = names.as_ref().and_then(|names| word(names, row)).map(str::to_owned);
            }
            device.bandwidth = device.bandwidth.or_else(|| number(&bandwidths, row));
        }
    }

    /// `None` for a kind that this version does not know, and for one too many.
    fn place_of(&mut self, kind: Option<&str>, id: Option<&str>) -> Option<usize> {
        let (kind, id) = (DeviceKind::from_name(kind?)?, id?.to_owned());
        if let Some(place) = self.places.get(&(kind, id.clone())) {
            return Some(*place);
        }
        if self.devices.iter().filter(|device| device.kind == kind).count() >= MOST_OF_A_KIND {
            self.has_left_out = true;
            return None;
        }
        self.places.insert((kind, id.clone()), self.devices.len());
        self.devices.push(Device {
            kind,
            id,
            name: None,
            bandwidth: None,
            is_seen: vec![false; self.grid.count],
            slots: Default::default(),
        });
        Some(self.devices.len() - 1)
    }

    /// By kind, then by id; `cpu2` before `cpu10`.
    pub(super) fn uses(mut self) -> Vec<DeviceUse> {
        let place = |kind| DeviceKind::ALL.iter().position(|known| *known == kind);
        self.devices.sort_by(|one, other| {
            let of_kind = place(one.kind).cmp(&place(other.kind));
            of_kind.then_with(|| numbered(&one.id).cmp(&numbered(&other.id)))
        });
        let grid = self.grid;
        self.devices.into_iter().map(|device| device.used(grid)).collect()
    }
}

impl Device {
    fn see(
        &mut self,
        grid: Grid,
        step: usize,
        figures: &[Option<Float64Array>; COLUMNS.len()],
        row: usize,
    ) {
        self.is_seen[step] = true;
        for (slots, figure) in self.slots.iter_mut().zip(figures) {
            let Some(value) = number(figure, row) else { continue };
            if slots.is_empty() {
                slots.resize(grid.count, Slot::default());
            }
            slots[step].add(value);
        }
    }

    fn used(self, grid: Grid) -> DeviceUse {
        let seen = (0..grid.count).filter(|step| self.is_seen[*step]);
        DeviceUse {
            points: seen.map(|step| self.point(grid, step)).collect(),
            kind: self.kind,
            id: self.id,
            name: self.name,
            memory_bandwidth_bytes_per_s: self.bandwidth,
        }
    }

    fn point(&self, grid: Grid, step: usize) -> DevicePoint {
        let slot = |figure: Figure| {
            self.slots[figure as usize].get(step).filter(|slot| slot.count > 0).copied()
        };
        let mean = |figure| slot(figure).map(|slot| slot.sum / f64::from(slot.count));
        let peak = |figure| slot(figure).map(|slot| slot.peak);
        let bytes = |figure| mean(figure).map(|bytes| bytes.round() as u64);
        DevicePoint {
            time_ns: grid.begin_ns(step),
            utilization: mean(Figure::Utilization),
            utilization_peak: peak(Figure::Utilization),
            memory_used_bytes: bytes(Figure::MemoryUsed),
            memory_total_bytes: bytes(Figure::MemoryTotal),
            frequency_hz: mean(Figure::Frequency),
            temperature_c: mean(Figure::Temperature),
            temperature_peak_c: peak(Figure::Temperature),
            power_w: mean(Figure::Power),
            power_limit_w: mean(Figure::PowerLimit),
            throttled: mean(Figure::Throttled),
        }
    }
}

fn words(column: &ArrayRef) -> Option<Words<'_>> {
    column.as_dictionary_opt::<Int32Type>()?.downcast_dict()
}

fn word<'a>(words: &Words<'a>, row: usize) -> Option<&'a str> {
    let keys = words.keys();
    let key = keys.is_valid(row).then(|| keys.value(row))?;
    Some(words.values().value(usize::try_from(key).ok()?))
}

fn number(column: &Option<Float64Array>, row: usize) -> Option<f64> {
    column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

/// An id without the number at its end, and that number.
fn numbered(id: &str) -> (&str, u64, &str) {
    let stem = id.trim_end_matches(|last: char| last.is_ascii_digit());
    (stem, id[stem.len()..].parse().unwrap_or(0), id)
}
