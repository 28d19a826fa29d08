//! The list's traces, newest last, bounded in number, in spans and in frames.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::Bound,
};

use andon_model::{Cause, Span, Status, TraceId, UnixNanos};
use serde::Serialize;

use super::{
    digest::{Digest, Digester},
    view::{Roles, View},
};
use crate::{
    Config, Cursor, FacetCount, Facets, TracePage, TraceQuery, log::Position, record::Stored,
};

/// Frames remembered per remembered span: its own, and about as many texts and evaluations.
const FRAMES_PER_SPAN: usize = 2;

/// Why a frame is put into the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// It was written just now, or is replayed.
    All,
    /// It is older than the list reaches: only what belongs to traces in the list counts.
    KnownOnly,
}

#[derive(Debug)]
pub(crate) struct TraceIndex {
    entries: HashMap<TraceId, Entry>,
    order: BTreeSet<(UnixNanos, TraceId)>,
    digester: Digester,
    spans: usize,
    frames: usize,
    limits: Limits,
    /// The newest file that may hold traces which are not in the list.
    unlisted_through: Option<u64>,
}

#[derive(Debug)]
struct Limits {
    traces: usize,
    spans: usize,
    spans_per_trace: usize,
    page_rows: usize,
    facet_values: usize,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) digests: Vec<Digest>,
    /// Spans beyond the limit of one trace.
    pub(super) uncounted_spans: u64,
    pub(super) start_ns: UnixNanos,
    pub(super) end_ns: UnixNanos,
    pub(super) roles: Roles,
    frames: Vec<Position>,
}

/// A vector begins with room for four, and most traces of apps have one span in one frame.
fn push<T>(all: &mut Vec<T>, one: T) {
    if all.len() < 4 {
        all.reserve_exact(1);
    }
    all.push(one);
}

impl TraceIndex {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeSet::new(),
            digester: Digester::default(),
            spans: 0,
            frames: 0,
            limits: Limits {
                traces: config.listed_traces,
                spans: config.listed_spans,
                spans_per_trace: config.spans_per_trace,
                page_rows: config.page_rows,
                facet_values: config.facet_values,
            },
            unlisted_through: None,
        }
    }

    /// Takes in one frame; the traces that it changed.
    pub(crate) fn apply(&mut self, at: Position, stored: &Stored, pass: Pass) -> Vec<TraceId> {
        let mut changed = HashSet::new();
        match stored {
            Stored::Spans(batch) => {
                for span in &batch.spans {
                    if self.touch(span.trace_id, span.start_ns, at, pass) {
                        self.add_span(span, at.segment);
                        changed.insert(span.trace_id);
                    }
                }
                for content in &batch.contents {
                    if self.touch(content.trace_id, content.time_ns, at, pass) {
                        changed.insert(content.trace_id);
                    }
                }
            }
            Stored::Evaluations(evaluations) => {
                for evaluation in evaluations {
                    if self.touch(evaluation.trace_id, evaluation.time_ns, at, pass) {
                        changed.insert(evaluation.trace_id);
                    }
                }
            }
            Stored::Host(_) | Stored::Processes(_) => {}
        }
        changed.iter().for_each(|id| self.derive(*id));
        self.evict();
        changed.into_iter().collect()
    }

    /// Makes sure of an entry and remembers that the frame belongs to it.
    fn touch(&mut self, id: TraceId, time_ns: UnixNanos, at: Position, pass: Pass) -> bool {
        if pass == Pass::KnownOnly && !self.entries.contains_key(&id) {
            self.note_unlisted(at.segment);
            return false;
        }
        let order = &mut self.order;
        let entry = self.entries.entry(id).or_insert_with(|| {
            order.insert((time_ns, id));
            Entry { start_ns: time_ns, end_ns: time_ns, ..Entry::default() }
        });
        if entry.frames.last() != Some(&at) {
            push(&mut entry.frames, at);
            self.frames += 1;
        }
        true
    }

    fn add_span(&mut self, span: &Span, segment: u64) {
        let Some(entry) = self.entries.get_mut(&span.trace_id) else { return };
        let known = entry.digests.iter().position(|digest| digest.span_id == span.span_id);
        match known {
            // Replay reads newer files first: what is known may be the later one.
            Some(place) if entry.digests[place].segment <= segment => {
                entry.digests[place] = self.digester.digest(span, segment);
            }
            Some(_) => {}
            None if entry.digests.len() < self.limits.spans_per_trace => {
                push(&mut entry.digests, self.digester.digest(span, segment));
                self.spans += 1;
            }
            None => entry.uncounted_spans += 1,
        }
    }

    fn derive(&mut self, id: TraceId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.digests.is_empty() {
            return;
        }
        entry.roles = Roles::of(&entry.digests);
        let old_start_ns = entry.start_ns;
        entry.start_ns =
            entry.digests.iter().map(|digest| digest.start_ns).min().unwrap_or(old_start_ns);
        entry.end_ns = entry.digests.iter().map(|digest| digest.end_ns).max().unwrap_or(0);
        if entry.start_ns != old_start_ns {
            self.order.remove(&(old_start_ns, id));
            self.order.insert((entry.start_ns, id));
        }
    }

    fn evict(&mut self) {
        while self.is_over() {
            let Some((_, id)) = self.order.pop_first() else { break };
            if let Some(entry) = self.entries.remove(&id) {
                self.spans -= entry.digests.len();
                self.frames -= entry.frames.len();
                let newest = entry.frames.iter().map(|frame| frame.segment).max();
                newest.into_iter().for_each(|segment| self.note_unlisted(segment));
            }
        }
    }

    fn is_over(&self) -> bool {
        self.entries.len() > self.limits.traces
            || self.spans > self.limits.spans
            || self.frames > self.limits.spans * FRAMES_PER_SPAN
    }

    /// From now on a trace that is not in the list is looked for in files up to this one.
    pub(crate) fn note_unlisted(&mut self, segment: u64) {
        self.unlisted_through = self.unlisted_through.max(Some(segment));
    }

    pub(crate) fn unlisted_through(&self) -> Option<u64> {
        self.unlisted_through
    }

    /// Forgets what was in files with a sequence below this.
    pub(crate) fn removed(&mut self, before: u64) {
        let mut gone = Vec::new();
        let mut shrunk = Vec::new();
        for (id, entry) in &mut self.entries {
            if entry.frames.iter().all(|frame| frame.segment >= before) {
                continue;
            }
            let (spans, frames) = (entry.digests.len(), entry.frames.len());
            entry.digests.retain(|digest| digest.segment >= before);
            entry.frames.retain(|frame| frame.segment >= before);
            self.spans -= spans - entry.digests.len();
            self.frames -= frames - entry.frames.len();
            if entry.frames.is_empty() {
                gone.push((entry.start_ns, *id));
            } else {
                shrunk.push(*id);
            }
        }
        for key in gone {
            self.order.remove(&key);
            self.entries.remove(&key.1);
        }
        shrunk.into_iter().for_each(|id| self.derive(id));
        self.unlisted_through = self.unlisted_through.filter(|segment| *segment >= before);
    }

    /// Where a trace's frames are, in the order in which they were written; `None` when it is not
    /// in the list.
    pub(crate) fn frames_of(&self, id: TraceId) -> Option<Vec<Position>> {
        let mut frames = self.entries.get(&id)?.frames.clone();
        frames.sort_unstable();
        frames.dedup();
        Some(frames)
    }

    pub(crate) fn traces(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn spans(&self) -> u64 {
        self.spans as u64
    }

    pub(crate) fn page(&self, query: &TraceQuery) -> TracePage {
        let limit = match query.limit {
            0 => self.limits.page_rows,
            asked => asked.min(self.limits.page_rows),
        };
        let mut counts = Counts::default();
        let mut page = TracePage::default();
        let mut last = None;
        for key in self.keys(query).rev() {
            let view = self.entries.get(&key.1).and_then(|entry| View::new(key.1, entry));
            let Some(view) = view.filter(|view| view.matches(&query.filter)) else { continue };
            page.total_matched += 1;
            counts.add(&view);
            if query.cursor.is_some_and(|cursor| *key >= (cursor.start_ns, cursor.trace_id)) {
                continue;
            }
            if page.traces.len() < limit {
                page.traces.push(view.summary());
                last = Some(Cursor { start_ns: key.0, trace_id: key.1 });
            } else if page.next_cursor.is_none() {
                page.next_cursor = last.map(|cursor| cursor.to_string());
            }
        }
        page.facets = counts.facets(self.limits.facet_values);
        page
    }

    fn keys(
        &self,
        query: &TraceQuery,
    ) -> impl DoubleEndedIterator<Item = &(UnixNanos, TraceId)> + use<'_> {
        let lowest = |time_ns| (time_ns, TraceId::from_bytes([0; 16]));
        let from_ns = query.from_ns.unwrap_or(0);
        let to_ns = query.to_ns.map(|to_ns| to_ns.max(from_ns));
        let end = to_ns.map_or(Bound::Unbounded, |to_ns| Bound::Excluded(lowest(to_ns)));
        // An excluded end that equals an included start is an empty range, not a panic.
        self.order.range((Bound::Included(lowest(from_ns)), end))
    }
}

#[derive(Default)]
struct Counts<'a> {
    service: HashMap<&'a str, u64>,
    model: HashMap<&'a str, u64>,
    cause: HashMap<Cause, u64>,
    status: HashMap<Status, u64>,
}

impl<'a> Counts<'a> {
    fn add(&mut self, view: &View<'a>) {
        *self.service.entry(view.service()).or_default() += 1;
        if let Some(model) = view.model() {
            *self.model.entry(model).or_default() += 1;
        }
        if let Some(cause) = view.cause() {
            *self.cause.entry(cause).or_default() += 1;
        }
        *self.status.entry(view.status()).or_default() += 1;
    }

    fn facets(self, most: usize) -> Facets {
        Facets {
            cause: ranked(self.cause, most, name_of),
            service: ranked(self.service, most, |service| (*service).to_owned()),
            model: ranked(self.model, most, |model| (*model).to_owned()),
            status: ranked(self.status, most, name_of),
        }
    }
}

fn ranked<T>(counts: HashMap<T, u64>, most: usize, name: fn(&T) -> String) -> Vec<FacetCount> {
    let mut ranked: Vec<_> = counts
        .iter()
        .map(|(value, count)| FacetCount { value: name(value), count: *count })
        .collect();
    ranked.sort_by(|left, right| {
        right.count.cmp(&left.count).then_with(|| left.value.cmp(&right.value))
    });
    ranked.truncate(most);
    ranked
}

/// A unit variant's name in JSON. MessagePack writes such a variant as its name, too.
fn name_of<T: Serialize>(variant: &T) -> String {
    let name = rmp_serde::to_vec_named(variant).ok();
    name.and_then(|bytes| rmp_serde::from_slice(&bytes).ok()).unwrap_or_default()
}
