//! Which traces are kept where not all are. By rules: what failed, what was slow and what somebody
//! evaluated stays; of the rest one trace in so many, whose spans say that they stand for as many.
//!
//! What is decided is decided for a trace: by its id, so that every request and every Andon decides alike,
//! and from the first span on that makes it worth keeping. Spans of it that came before, in requests of
//! their own, may be gone by then; nothing is held back to wait for what may still come.
//!
//! Source of the decision by id: OpenTelemetry's «TraceState: Probability Sampling», whose randomness is
//! the last seven bytes of a trace's id.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use andon_model::{Observation, Span, Status, TraceId};

use crate::intake::Batch;

/// Traces that are remembered as worth keeping, of those that chance would leave out.
const MOST_TRACES: usize = 1 << 16;
/// Of the randomness in an id.
const BITS: u32 = 56;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplingRules {
    /// One trace in so many is kept; 1 keeps all.
    pub one_in: u64,
    /// Failed spans are kept, with what comes with them and after them.
    pub keep_errors: bool,
    /// So are spans that took longer.
    pub keep_slower_than: Option<Duration>,
}

impl Default for SamplingRules {
    fn default() -> Self {
        Self { one_in: 1, keep_errors: true, keep_slower_than: Some(Duration::from_secs(5)) }
    }
}

/// The rules, and the traces that they have found.
#[derive(Debug, Default)]
pub(crate) struct Sampling {
    rules: SamplingRules,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    traces: HashSet<TraceId>,
    order: VecDeque<TraceId>,
}

impl Found {
    fn remember(&mut self, trace: TraceId) {
        if self.traces.insert(trace) {
            self.order.push_back(trace);
        }
        if self.order.len() > MOST_TRACES
            && let Some(oldest) = self.order.pop_front()
        {
            self.traces.remove(&oldest);
        }
    }
}

impl Sampling {
    pub(crate) fn new(rules: SamplingRules) -> Self {
        Self { rules, found: Mutex::default() }
    }

    /// Takes out what is not to be kept.
    pub(crate) fn apply(&self, batch: &mut Batch) -> Batch {
        let mut left_out = Batch::default();
        if self.rules.one_in <= 1 {
            return left_out;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for judgement in &batch.evaluations {
            found.remember(judgement.evaluation.trace_id);
        }
        for seen in batch.spans.iter().filter(|seen| self.is_worth_keeping(&seen.span)) {
            // All of its kind are here, so that it stands for itself, drawn or not.
            found.remember(seen.span.trace_id);
        }
        left_out.spans = batch.spans.extract_if(.., |seen| !self.keep(seen, &found)).collect();
        let is_kept = |trace| found.traces.contains(&trace) || self.is_drawn(trace);
        left_out.texts = batch.texts.extract_if(.., |texts| !is_kept(texts.trace_id)).collect();
        left_out
    }

    fn keep(&self, seen: &mut Observation, found: &Found) -> bool {
        if found.traces.contains(&seen.span.trace_id) {
            return true;
        }
        let is_drawn = self.is_drawn(seen.span.trace_id);
        if is_drawn {
            seen.span.adjusted_count = Some(self.rules.one_in);
        }
        is_drawn
    }

    fn is_worth_keeping(&self, span: &Span) -> bool {
        let is_slow = |most: Duration| u128::from(span.duration_ns) > most.as_nanos();
        self.rules.keep_errors && span.status == Status::Error
            || self.rules.keep_slower_than.is_some_and(is_slow)
    }

    /// Whether a trace's own chance is the one in so many.
    fn is_drawn(&self, trace: TraceId) -> bool {
        let mut last = [0; 8];
        last[1..].copy_from_slice(&trace.as_bytes()[9..]);
        let all = 1_u64 << BITS;
        u64::from_be_bytes(last) >= all - all / self.rules.one_in.max(1)
    }
}

#[cfg(test)]
mod tests {
    use andon_model::{Contents, Judgement, LooseTexts, MetricType, Part, RawText};

    use super::*;

    fn sampling(one_in: u64) -> Sampling {
        Sampling::new(SamplingRules { one_in, ..SamplingRules::default() })
    }

    fn span(trace: TraceId) -> Observation {
        Observation::from(Span::new(trace, "shop", "GET /"))
    }

    fn left(sampling: &Sampling, spans: Vec<Observation>) -> Vec<Option<u64>> {
        let mut batch = Batch { spans, ..Batch::default() };
        sampling.apply(&mut batch);
        batch.spans.into_iter().map(|seen| seen.span.adjusted_count).collect()
    }

    #[test]
    fn all_is_kept_where_nothing_is_said() {
        let spans: Vec<_> = (0..100).map(|_| span(TraceId::random())).collect();
        assert_eq!(left(&Sampling::default(), spans), vec![None; 100]);
    }

    #[test]
    fn the_kept_ones_stand_for_about_as_many_as_came() {
        let sampling = sampling(10);
        let spans: Vec<_> = (0..20_000).map(|_| span(TraceId::random())).collect();
        let stands_for: u64 = left(&sampling, spans).into_iter().flatten().sum();
        // Five standard deviations of a binomial of 20,000 at 0.1 are 212 traces.
        assert!((17_880..=22_120).contains(&stands_for), "{stands_for}");
    }

    #[test]
    fn a_trace_is_kept_or_not_in_each_of_its_requests() {
        let sampling = sampling(4);
        for trace in (0..200).map(|_| TraceId::random()) {
            let first = left(&sampling, vec![span(trace), span(trace)]);
            assert_eq!(left(&sampling, vec![span(trace), span(trace)]), first);
            assert!(first.is_empty() || first == [Some(4), Some(4)], "{first:?}");
        }
    }

    /// One that chance leaves out.
    fn undrawn(sampling: &Sampling) -> TraceId {
        std::iter::repeat_with(TraceId::random).find(|trace| !sampling.is_drawn(*trace)).unwrap()
    }

    #[test]
    fn errors_and_slow_ones_are_kept_with_what_comes_with_them_and_after() {
        let sampling = sampling(1_000);
        let (failed, slow, dull) = (undrawn(&sampling), undrawn(&sampling), undrawn(&sampling));
        let mut error = span(failed);
        error.span.status = Status::Error;
        let mut long = span(slow);
        long.span.duration_ns = 6_000_000_000;
        let came = vec![span(failed), error, long, span(dull)];
        // They stand for themselves: all of their kind are here.
        assert_eq!(left(&sampling, came), [None, None, None]);
        assert_eq!(left(&sampling, vec![span(slow), span(dull)]), [None]);
    }

    #[test]
    fn what_was_evaluated_is_kept_and_so_are_its_texts() {
        let sampling = sampling(1_000);
        let (judged, dull) = (undrawn(&sampling), undrawn(&sampling));
        let of = span(judged);
        let score =
            Judgement::by_sdk(judged, of.span.span_id, 0, "helpful".to_owned(), MetricType::Score);
        let text = |trace_id| {
            let mut contents = Contents::default();
            contents.push(Part::Input, None, RawText::new("why?"));
            let span_id = andon_model::SpanId::random();
            LooseTexts { trace_id, span_id, time_ns: 0, contents: contents.into_vec() }
        };
        let mut batch = Batch {
            spans: vec![of, span(dull)],
            texts: vec![text(judged), text(dull)],
            evaluations: vec![score],
            ..Batch::default()
        };
        assert_eq!(sampling.apply(&mut batch).spans_and_texts(), 2);
        assert_eq!((batch.spans.len(), batch.texts.len(), batch.evaluations.len()), (1, 1, 1));
        assert_eq!(batch.texts[0].trace_id, judged);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut found = Found::default();
        for _ in 0..MOST_TRACES + 10 {
            found.remember(TraceId::random());
        }
        assert_eq!((found.traces.len(), found.order.len()), (MOST_TRACES, MOST_TRACES));
    }
}
