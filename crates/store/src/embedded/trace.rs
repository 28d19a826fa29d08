//! One trace, from wherever its rows are.

use std::collections::{BTreeMap, HashMap, HashSet};

use andon_model::{
    Content, Evaluation, LOOSE_PLACES, Part, Span, SpanId, TraceId, UnixNanos, WHOLE_TRACE,
};

use super::Shared;
use crate::{Config, StoreError, Trace, hot::HotTrace, segment::Segment, table::Table};

impl Shared {
    pub(super) fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        let (hot, segments) = {
            let state = self.read();
            (state.hot.trace(id), std::sync::Arc::clone(&state.segments))
        };
        let mut gathered = Gathered::new(&self.config);
        for segment in segments.iter() {
            if let Err(error) = gathered.add_segment(segment, id) {
                self.note_unreadable(&error);
            }
        }
        gathered.add_hot(hot);
        Ok(gathered.into_trace(id))
    }
}

/// Collects one trace within its limits. The later of two with the same place counts.
struct Gathered {
    spans_most: usize,
    text_bytes_most: usize,
    text_bytes: usize,
    spans: HashMap<SpanId, Span>,
    contents: BTreeMap<(SpanId, u8, u32), Content>,
    evaluations: BTreeMap<(UnixNanos, SpanId, String), Evaluation>,
    omitted: u64,
}

impl Gathered {
    fn new(config: &Config) -> Self {
        Self {
            spans_most: config.spans_per_trace,
            text_bytes_most: config.trace_text_bytes,
            text_bytes: 0,
            spans: HashMap::new(),
            contents: BTreeMap::new(),
            evaluations: BTreeMap::new(),
            omitted: 0,
        }
    }

    fn add_segment(&mut self, segment: &Segment, id: TraceId) -> Result<(), StoreError> {
        match segment.info.table {
            Table::Spans => segment.rows_of(id)?.into_iter().for_each(|span| self.add_span(span)),
            Table::Contents => {
                segment.rows_of(id)?.into_iter().for_each(|content| self.add_content(content));
            }
            Table::Evaluations => {
                segment.rows_of(id)?.into_iter().for_each(|judged| self.add_evaluation(judged));
            }
            Table::Traces
            | Table::Hosts
            | Table::Processes
            | Table::Rollups
            | Table::Metrics
            | Table::Devices
            | Table::ModelEvents => {}
        }
        Ok(())
    }

    fn add_hot(&mut self, hot: HotTrace) {
        hot.spans.into_iter().for_each(|span| self.add_span(span));
        hot.contents.into_iter().for_each(|content| self.add_content(content));
        hot.evaluations.into_iter().for_each(|evaluation| self.add_evaluation(evaluation));
    }

    fn add_span(&mut self, span: Span) {
        if self.spans.len() < self.spans_most || self.spans.contains_key(&span.span_id) {
            self.spans.insert(span.span_id, span);
        } else {
            self.omitted += 1;
        }
    }

    fn add_content(&mut self, content: Content) {
        if self.text_bytes + content.text.len() > self.text_bytes_most {
            self.omitted += 1;
            return;
        }
        self.text_bytes += content.text.len();
        let key = (content.span_id, part_rank(content.part), content.idx);
        if let Some(replaced) = self.contents.insert(key, content) {
            self.text_bytes -= replaced.text.len();
        }
    }

    fn add_evaluation(&mut self, evaluation: Evaluation) {
        let key = (evaluation.time_ns, evaluation.span_id, evaluation.evaluator.clone());
        if self.evaluations.len() < self.spans_most || self.evaluations.contains_key(&key) {
            self.evaluations.insert(key, evaluation);
        } else {
            self.omitted += 1;
        }
    }

    /// Some libraries send a call's messages with its span and once more apart from it.
    fn leave_out_what_is_told_twice(&mut self) {
        let with_span = |key: &(SpanId, u8, u32)| key.2 < LOOSE_PLACES;
        let told = self.contents.keys().filter(|key| with_span(key));
        let told: HashSet<_> = told.map(|(span, part, _)| (*span, *part)).collect();
        self.contents.retain(|key, _| with_span(key) || !told.contains(&(key.0, key.1)));
    }

    fn into_trace(mut self, trace_id: TraceId) -> Option<Trace> {
        self.leave_out_what_is_told_twice();
        let known =
            !(self.spans.is_empty() && self.contents.is_empty() && self.evaluations.is_empty());
        let mut spans: Vec<_> = self.spans.into_values().collect();
        spans.sort_by_key(|span| (span.start_ns, span.span_id));
        let root = spans.iter().find(|span| span.parent_id.is_none()).or(spans.first());
        let root = root.map(|span| span.span_id);
        // What judges the whole trace is shown where it begins.
        for evaluation in self.evaluations.values_mut() {
            if evaluation.span_id == WHOLE_TRACE {
                evaluation.span_id = root.unwrap_or(WHOLE_TRACE);
            }
        }
        known.then(|| Trace {
            trace_id,
            spans,
            contents: self.contents.into_values().collect(),
            evaluations: self.evaluations.into_values().collect(),
            omitted: self.omitted,
        })
    }
}

/// The order in which texts are handed out within a span.
fn part_rank(part: Part) -> u8 {
    match part {
        Part::System => 0,
        Part::Document => 1,
        Part::Input => 2,
        Part::Tool => 3,
        Part::Thinking => 4,
        Part::Output => 5,
        Part::Log => 6,
    }
}
