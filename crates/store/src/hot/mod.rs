//! What is in the log and not yet in segments: in memory, bounded, and made anew from the log at
//! each start.
//!
//! Rows gather in a generation. When it is large or old enough it is frozen and written out as
//! segments, while the next one takes in what comes. A trace may have spans in both, and in segments
//! besides; the index of traces knows of all spans of the traces that it holds.

mod buffer;
mod carry;
mod digest;
mod traces;
mod view;

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Instant,
};

use andon_model::{
    Content, DeviceSample, Evaluation, HostSample, MetricPoint, ModelEvent, ProcessSample, Span,
    TraceId,
};
use andon_privacy::SpanBatch;
use arrow::array::RecordBatch;

pub(crate) use traces::{Counts, HotPage, Superseded, TraceIndex, count, summary_of};

use self::buffer::Buffer;
use crate::{
    Config,
    record::Stored,
    table::{Row, Table},
};

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// In a segment.
    Sealed,
    /// In memory, in this generation at this place.
    Hot { generation: u32, place: u32 },
}

impl At {
    fn is_in(self, wanted: u32) -> bool {
        matches!(self, Self::Hot { generation, .. } if generation == wanted)
    }
}

/// The rows of one generation.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) generation: u32,
    pub(crate) spans: Buffer<Span>,
    pub(crate) contents: Buffer<Content>,
    pub(crate) evaluations: Buffer<Evaluation>,
    pub(crate) hosts: Buffer<HostSample>,
    pub(crate) processes: Buffer<ProcessSample>,
    pub(crate) metrics: Buffer<MetricPoint>,
    pub(crate) devices: Buffer<DeviceSample>,
    pub(crate) model_events: Buffer<ModelEvent>,
    /// Places of spans of which more is to come.
    partial: BTreeSet<u32>,
    since: Option<Instant>,
}

/// A generation that is to be written out.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) rows: Arc<Rows>,
    /// What it left to the next one, to be written to the log again before its own files go.
    pub(crate) carried: Vec<SpanBatch>,
}

impl Rows {
    fn new(generation: u32) -> Self {
        Self {
            generation,
            spans: Buffer::default(),
            contents: Buffer::default(),
            evaluations: Buffer::default(),
            hosts: Buffer::default(),
            processes: Buffer::default(),
            metrics: Buffer::default(),
            devices: Buffer::default(),
            model_events: Buffer::default(),
            partial: BTreeSet::new(),
            since: None,
        }
    }

    /// Rows of a table. Those of `traces` are made by the index, rollups when they are asked for.
    pub(crate) fn batches(&self, table: Table) -> Vec<RecordBatch> {
        match table {
            Table::Spans => self.spans.batches(),
            Table::Contents => self.contents.batches(),
            Table::Evaluations => self.evaluations.batches(),
            Table::Hosts => self.hosts.batches(),
            Table::Processes => self.processes.batches(),
            Table::Metrics => self.metrics.batches(),
            Table::Devices => self.devices.batches(),
            Table::ModelEvents => self.model_events.batches(),
            Table::Traces | Table::Rollups => Vec::new(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.spans.bytes()
            + self.contents.bytes()
            + self.evaluations.bytes()
            + self.hosts.bytes()
            + self.processes.bytes()
            + self.metrics.bytes()
            + self.devices.bytes()
            + self.model_events.bytes()
    }

    fn at(&self, place: u32) -> At {
        At::Hot { generation: self.generation, place }
    }

    fn is_empty(&self) -> bool {
        self.spans.is_empty()
            && self.contents.is_empty()
            && self.evaluations.is_empty()
            && self.hosts.is_empty()
            && self.processes.is_empty()
            && self.metrics.is_empty()
            && self.devices.is_empty()
            && self.model_events.is_empty()
    }
}

/// Both generations, and the index of their traces.
#[derive(Debug)]
pub(crate) struct Hot {
    active: Rows,
    frozen: Option<Arc<Rows>>,
    pub(crate) traces: TraceIndex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    New,
    /// In the place of the one before.
    Again,
    /// Not at all: the one before stays.
    Kept,
}

impl Hot {
    pub(crate) fn new(config: &Config) -> Self {
        Self { active: Rows::new(1), frozen: None, traces: TraceIndex::new(config) }
    }

    /// Takes in one record and names the traces that it changed. What segments hold of them must be
    /// known before ([`TraceIndex::recall`]).
    pub(crate) fn apply(&mut self, stored: Stored, changed: &mut Vec<TraceId>) {
        self.active.since.get_or_insert_with(Instant::now);
        let active = &mut self.active;
        match stored {
            Stored::Spans(batch) => self.add_batch(batch, changed),
            Stored::Carried(batch) => self.add_carried(batch, changed),
            Stored::Evaluations(evaluations) => {
                for evaluation in evaluations {
                    let (id, time_ns) = (evaluation.trace_id, evaluation.time_ns);
                    let place = active.evaluations.push(evaluation);
                    let at = active.at(place);
                    self.traces.add_evaluation(id, time_ns, at, active.generation);
                    changed.push(id);
                }
            }
            Stored::Host(samples) => {
                for sample in samples {
                    active.hosts.push(sample);
                }
            }
            Stored::Processes(samples) => {
                for sample in samples {
                    active.processes.push(sample);
                }
            }
            Stored::Metrics(points) => {
                for point in points {
                    active.metrics.push(point);
                }
            }
            Stored::Devices(samples) => {
                for sample in samples {
                    active.devices.push(sample);
                }
            }
            Stored::ModelEvents(events) => {
                for event in events {
                    active.model_events.push(event);
                }
            }
        }
    }

    fn add_batch(&mut self, batch: SpanBatch, changed: &mut Vec<TraceId>) {
        // Texts go the way of their span: they take the place of those before, or stay out.
        let (mut again, mut kept) = (HashSet::new(), HashSet::new());
        let mut ids = Vec::with_capacity(batch.spans.len());
        // Those that come without their span have nothing that would say that they came before.
        let is_loose = batch.spans.is_empty();
        for span in batch.spans {
            let (trace_id, span_id) = (span.trace_id, span.span_id);
            if ids.last() != Some(&trace_id) {
                ids.push(trace_id);
            }
            match self.add_span(span) {
                Added::New => {}
                Added::Again => drop(again.insert(span_id)),
                Added::Kept => drop(kept.insert(span_id)),
            }
        }
        for content in batch.contents {
            if kept.contains(&content.span_id) {
                continue;
            }
            if ids.last() != Some(&content.trace_id) {
                ids.push(content.trace_id);
            }
            let is_again = is_loose || again.contains(&content.span_id);
            self.add_content(content, is_again);
        }
        ids.sort_unstable();
        ids.dedup();
        ids.iter().for_each(|id| self.traces.derive(*id));
        changed.extend(ids);
    }

    /// A span of the active generation is replaced when it is sent again. One that is in a segment,
    /// or on its way there, stays as it is.
    fn add_span(&mut self, span: Span) -> Added {
        let active = &mut self.active;
        let at = active.at(active.spans.next_place());
        let added = match self.traces.add_span(&span, at, active.generation) {
            None => Added::New,
            Some(At::Hot { generation, place }) if generation == active.generation => {
                active.spans.replace(place);
                active.partial.remove(&place);
                Added::Again
            }
            Some(_) => return Added::Kept,
        };
        let is_partial = carry::is_partial(&span);
        let place = active.spans.push(span);
        if is_partial {
            active.partial.insert(place);
        }
        added
    }

    fn add_content(&mut self, content: Content, is_again: bool) {
        let active = &mut self.active;
        let at = active.at(active.contents.next_place());
        let replaced = self.traces.add_content(&content, at, active.generation, is_again);
        match replaced {
            Some(At::Hot { generation, place }) if generation == active.generation => {
                active.contents.replace(place);
            }
            Some(_) | None => {}
        }
        active.contents.push(content);
    }

    /// Memory of rows and index.
    pub(crate) fn bytes(&self) -> usize {
        let frozen = self.frozen.as_ref().map_or(0, |rows| rows.bytes());
        self.active.bytes() + frozen + self.traces.bytes()
    }

    /// Whether the active generation is to be written out.
    pub(crate) fn is_due(&self, config: &Config) -> bool {
        let is_old = self.active.since.is_some_and(|since| since.elapsed() >= config.segment_age);
        is_old || self.active.bytes() + self.traces.bytes() >= config.hot_bytes
    }

    /// Begins a new generation; the one until now is to be written out. `None` while another one is
    /// on its way, or when there is nothing to write. Spans of which more is to come, of at most so many
    /// bytes, go over into the new one.
    pub(crate) fn freeze(&mut self, most_carried_bytes: usize) -> Option<Frozen> {
        if self.frozen.is_some() || self.active.is_empty() {
            return None;
        }
        let next = Rows::new(self.active.generation + 1);
        let mut old = std::mem::replace(&mut self.active, next);
        let carried = self.carry_from(&mut old, most_carried_bytes);
        if !carried.is_empty() {
            self.active.since = Some(Instant::now());
        }
        let rows = Arc::new(old);
        self.frozen = Some(Arc::clone(&rows));
        Some(Frozen { rows, carried })
    }

    /// The frozen generation is in segments.
    pub(crate) fn sealed(&mut self) {
        if let Some(rows) = self.frozen.take() {
            self.traces.sealed(rows.generation);
        }
    }

    /// Rows in memory of a table, each once.
    pub(crate) fn batches(&self, table: Table) -> Vec<RecordBatch> {
        let frozen = self.frozen.iter().flat_map(|rows| rows.batches(table));
        frozen.chain(self.active.batches(table)).collect()
    }

    pub(crate) fn spans(&self) -> u64 {
        let frozen = self.frozen.as_ref().map_or(0, |rows| rows.spans.len());
        (self.active.spans.len() + frozen) as u64
    }

    /// The rows in memory of one trace.
    pub(crate) fn trace(&self, id: TraceId) -> HotTrace {
        let Some(places) = self.traces.places_of(id) else { return HotTrace::default() };
        HotTrace {
            spans: self.rows_at(&places.spans, |rows| &rows.spans),
            contents: self.rows_at(&places.contents, |rows| &rows.contents),
            evaluations: self.rows_at(&places.evaluations, |rows| &rows.evaluations),
        }
    }

    fn rows_at<R: Row>(&self, places: &[At], buffer: fn(&Rows) -> &Buffer<R>) -> Vec<R> {
        let generations = self.frozen.iter().map(Arc::as_ref).chain([&self.active]);
        generations
            .flat_map(|rows| {
                let own = |at: &At| match at {
                    At::Hot { generation, place } if *generation == rows.generation => Some(*place),
                    At::Hot { .. } | At::Sealed => None,
                };
                buffer(rows).rows_at(&places.iter().filter_map(own).collect::<Vec<_>>())
            })
            .collect()
    }
}

/// Rows of one trace.
#[derive(Debug, Default)]
pub(crate) struct HotTrace {
    pub(crate) spans: Vec<Span>,
    pub(crate) contents: Vec<Content>,
    pub(crate) evaluations: Vec<Evaluation>,
}
