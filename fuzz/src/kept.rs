//! What was kept, and when two such are the same.

use std::collections::HashSet;

use andon_model::{Content, Evaluation, LOOSE_PLACES, MetricPoint, Span, UnixNanos};

/// All that a keeper got, protected.
#[derive(Default)]
pub struct Kept {
    pub spans: Vec<Span>,
    pub contents: Vec<Content>,
    pub evaluations: Vec<Evaluation>,
    pub metrics: Vec<MetricPoint>,
    /// Bytes of the texts that were handed on, before they were protected.
    pub weight: usize,
}

/// Clocks are set; what is so near to now was taken from one.
const SLACK_NS: u64 = 2_000_000_000;

/// Tells what took its time from the clock: requests may leave it out.
pub(crate) struct Clock {
    from: UnixNanos,
    to: UnixNanos,
}

impl Clock {
    pub(crate) fn new(from: UnixNanos, to: UnixNanos) -> Self {
        Self { from: from.saturating_sub(SLACK_NS), to: to.saturating_add(SLACK_NS) }
    }

    fn has(&self, time_ns: UnixNanos) -> bool {
        (self.from..=self.to).contains(&time_ns)
    }

    /// Whether a text's place was made of the time.
    fn has_place(&self, place: u32) -> bool {
        let micros = |time_ns: UnixNanos| (time_ns / 1_000) as u32;
        let since = (place & !LOOSE_PLACES).wrapping_sub(micros(self.from)) & !LOOSE_PLACES;
        let window = ((self.to - self.from) / 1_000) as u32;
        place >= LOOSE_PLACES && since <= window
    }
}

impl Kept {
    /// Leaves out what cannot be the same twice, and sorts the rest: Andon promises no order.
    pub(crate) fn forget(&mut self, clock: &Clock) {
        // Which of several spans a call counts with is decided by their times.
        if self.spans.iter().any(|span| clock.has(span.start_ns) || clock.has(span.end_ns())) {
            self.spans.clear();
            self.contents.clear();
        }
        // One such place may have pushed its neighbours on.
        let is_placed = |text: &&Content| clock.has(text.time_ns) || clock.has_place(text.idx);
        let placed = self.contents.iter().filter(is_placed);
        let placed: HashSet<_> = placed.map(|text| (text.trace_id, text.span_id)).collect();
        self.contents.retain(|text| {
            text.idx < LOOSE_PLACES || !placed.contains(&(text.trace_id, text.span_id))
        });
        self.contents.sort_by(|a, b| {
            let key = |text: &Content| (text.trace_id, text.span_id, text.part as u8, text.idx);
            key(a).cmp(&key(b)).then_with(|| a.text.cmp(&b.text))
        });
        for evaluation in &mut self.evaluations {
            if clock.has(evaluation.time_ns) {
                evaluation.time_ns = 0;
            }
        }
        for point in &mut self.metrics {
            if clock.has(point.time_ns) {
                point.time_ns = 0;
            }
            point.start_ns = point.start_ns.filter(|time| !clock.has(*time));
        }
        self.metrics.sort_by_cached_key(|point| format!("{point:?}"));
    }

    pub(crate) fn assert_same(&self, other: &Self) {
        same("spans", &self.spans, &other.spans);
        same("texts", &self.contents, &other.contents);
        same("evaluations", &self.evaluations, &other.evaluations);
        same("metrics", &self.metrics, &other.metrics);
    }
}

/// A number that is none is not equal to itself, but is written the same way.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, first: &[T], second: &[T]) {
    if first != second {
        assert_eq!(format!("{first:#?}"), format!("{second:#?}"), "{what}, the same sent twice");
    }
}
