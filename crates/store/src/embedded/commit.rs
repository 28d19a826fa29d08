//! From the log into memory: what was written is made visible, and then acknowledged.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use andon_model::{Span, TraceId, UnixNanos};

use super::{Shared, seal::Jobs};
use crate::{hot::Hot, log::Sink, record::Stored, segment::Segment, table::Table};

/// So small a part of a generation may go over into the next one.
const CARRIED_SHARE: usize = 4;

/// Takes committed records in, and begins a new generation when there are enough.
pub(super) struct Intake {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Arc<Jobs>,
}

impl Sink<Stored> for Intake {
    fn committed(&mut self, records: Vec<Stored>, sequence: u64) -> bool {
        let changed = self.shared.take_in(records);
        if !changed.is_empty() {
            // An error says that nobody listens.
            let _ = self.shared.changes.send(changed.into());
        }
        self.freeze(sequence, false)
    }

    fn idle(&mut self, sequence: u64, is_wanted: bool) -> bool {
        self.freeze(sequence, is_wanted)
    }
}

impl Intake {
    /// Hands a full generation to the sealer. `true` closes the log file, so that the generation is
    /// all of the log up to it.
    fn freeze(&self, sequence: u64, is_wanted: bool) -> bool {
        let mut state = self.shared.write();
        if !(is_wanted || state.hot.is_due(&self.shared.config)) {
            return false;
        }
        // Somebody who waits for all to be in segments wants to find it there.
        let most_carried = if is_wanted { 0 } else { self.shared.most_carried() };
        let Some(frozen) = state.hot.freeze(most_carried) else { return false };
        drop(state);
        self.jobs.give(frozen, sequence);
        true
    }
}

impl Shared {
    /// Bytes that one generation may leave to the next.
    pub(super) fn most_carried(&self) -> usize {
        self.config.hot_bytes / CARRIED_SHARE
    }

    /// Makes records visible, and names the traces that they changed.
    pub(super) fn take_in(&self, records: Vec<Stored>) -> Vec<TraceId> {
        let _turn = self.turn();
        let known = self.recall(&records);
        let mut state = self.write();
        for (id, spans) in known {
            state.hot.traces.recall(id, &spans);
        }
        let mut changed = Vec::new();
        for stored in records {
            state.hot.apply(stored, &mut changed);
        }
        self.hot_bytes.store(state.hot.bytes(), Ordering::Relaxed);
        drop(state);
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// What segments hold of the traces that these records add spans to.
    fn recall(&self, records: &[Stored]) -> Vec<(TraceId, Vec<Span>)> {
        let (starts, segments) = {
            let state = self.read();
            (new_traces(records, &state.hot), Arc::clone(&state.segments))
        };
        recall(starts, &segments, self.config.late_window.as_nanos() as u64, &mut |error| {
            self.note_unreadable(&error);
        })
    }
}

/// Traces of the records of which memory does not know everything, and when they began.
fn new_traces(records: &[Stored], hot: &Hot) -> HashMap<TraceId, UnixNanos> {
    let mut starts = HashMap::new();
    // Spans of a trace come together.
    let mut last = None;
    for stored in records {
        let (Stored::Spans(batch) | Stored::Carried(batch)) = stored else { continue };
        for span in &batch.spans {
            let is_complete = match last {
                Some((id, is_complete)) if id == span.trace_id => is_complete,
                _ => hot.traces.is_complete(span.trace_id),
            };
            last = Some((span.trace_id, is_complete));
            if !is_complete {
                let start = starts.entry(span.trace_id).or_insert(span.start_ns);
                *start = span.start_ns.min(*start);
            }
        }
    }
    starts
}

/// Spans of a trace lie within a window of time: only segments of that window are asked.
fn recall(
    starts: HashMap<TraceId, UnixNanos>,
    segments: &[Arc<Segment>],
    window_ns: u64,
    failed: &mut dyn FnMut(crate::StoreError),
) -> Vec<(TraceId, Vec<Span>)> {
    let of_table = |table| {
        let segments = segments.iter().filter(move |segment| segment.info.table == table);
        segments.map(Arc::as_ref).collect::<Vec<&Segment>>()
    };
    let (spans, traces) = (of_table(Table::Spans), of_table(Table::Traces));
    let mut known = Vec::new();
    if spans.is_empty() {
        return known;
    }
    for (id, start_ns) in starts {
        let (from_ns, to_ns) =
            (start_ns.saturating_sub(window_ns), start_ns.saturating_add(window_ns));
        // The trace may have begun a window before its span that is nearest to the new one.
        if !has_row(&traces, id, from_ns.saturating_sub(window_ns), to_ns) {
            continue;
        }
        let mut found = Vec::new();
        for segment in spans.iter().filter(|segment| segment.info.overlaps(from_ns, to_ns)) {
            match segment.rows_of::<Span>(id) {
                Ok(rows) => found.extend(rows),
                Err(error) => failed(error),
            }
        }
        if !found.is_empty() {
            known.push((id, found));
        }
    }
    known
}

/// Whether the trace can have a row in the list. One that has spans in segments has; a filter that
/// lets one in a hundred through for nothing then costs no look into the spans.
fn has_row(traces: &[&Segment], id: TraceId, from_ns: UnixNanos, to_ns: UnixNanos) -> bool {
    let mut near = traces.iter().filter(|segment| segment.info.overlaps(from_ns, to_ns));
    near.any(|segment| segment.may_hold(id).unwrap_or(true))
}
