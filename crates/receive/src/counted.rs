//! One call to a model may be told several times: by Andon's own capture, by an SDK, by a framework
//! around that SDK, by a workflow that adds up what is in it. Its tokens count once, with the span that
//! is nearest to the model; the others keep theirs as attributes, which nothing adds up.

use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use andon_model::{
    AttributeValue, LlmKind, Observation, Span, SpanId, TraceId, UnixNanos, canonical_model,
};

/// Spans above counted calls that are remembered; their own spans end after them, seconds in most cases.
const MOST_ABOVE: usize = 32_768;
/// Captured calls that are remembered, for apps that do not hand their trace on.
const MOST_CALLS: usize = 2_048;
/// Clocks are of one machine; what surrounds a call is measured a little outside of it.
const SLACK_NS: u64 = 20_000_000;

/// The span that a call was counted with.
pub const COUNTED_IN: &str = "andon.counted_in";

/// What has been counted lately. Shared by all that record spans.
#[derive(Default)]
pub struct CountedCalls(Mutex<Known>);

#[derive(Default)]
struct Known {
    above: HashSet<(TraceId, SpanId)>,
    order: VecDeque<(TraceId, SpanId)>,
    calls: VecDeque<Call>,
}

/// A call that Andon itself saw, at the runtime's door.
struct Call {
    trace_id: TraceId,
    span_id: SpanId,
    start_ns: UnixNanos,
    end_ns: UnixNanos,
    /// As it is compared.
    model: Option<String>,
    response_id: Option<String>,
    tokens: (Option<u64>, Option<u64>),
    /// The span that told of it as well; it may be sent again.
    told_by: Option<SpanId>,
}

impl CountedCalls {
    /// Remembers calls that Andon saw itself.
    pub fn note<'a>(&self, spans: impl IntoIterator<Item = &'a Span>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for span in spans {
            if is_call(span) {
                known.put_above(span);
                known.put_call(span);
            }
        }
    }

    /// Takes the tokens from spans whose call is counted elsewhere.
    pub(crate) fn settle(&self, observations: &mut [Observation]) {
        // What is within another span began after it, or with it, and ended before it.
        let mut order: Vec<usize> = (0..observations.len()).collect();
        order.sort_by_key(|at| {
            let span = &observations[*at].span;
            (Reverse(span.start_ns), span.end_ns())
        });
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for at in order {
            let span = &mut observations[at].span;
            known.lead_up(span);
            if span.input_tokens.is_none() && span.output_tokens.is_none() {
                continue;
            }
            if known.is_above(span) {
                uncount(span, None);
            } else if let Some(by) = known.same_call(span) {
                uncount(span, Some(by));
            } else {
                known.put_above(span);
            }
        }
    }
}

impl Known {
    fn is_above(&self, span: &Span) -> bool {
        self.above.contains(&(span.trace_id, span.span_id))
    }

    /// Whoever is above a span that is above a counted call is so, too.
    fn lead_up(&mut self, span: &Span) {
        if self.is_above(span) {
            self.put_above(span);
        }
    }

    fn put_above(&mut self, span: &Span) {
        let Some(parent) = span.parent_id else { return };
        let key = (span.trace_id, parent);
        if self.above.insert(key) {
            self.order.push_back(key);
        }
        if self.order.len() > MOST_ABOVE
            && let Some(oldest) = self.order.pop_front()
        {
            self.above.remove(&oldest);
        }
    }

    fn put_call(&mut self, span: &Span) {
        if self.calls.len() == MOST_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(Call {
            trace_id: span.trace_id,
            span_id: span.span_id,
            start_ns: span.start_ns,
            end_ns: span.end_ns(),
            model: span.model.as_deref().map(canonical_model),
            response_id: response_id(span),
            tokens: (span.input_tokens, span.output_tokens),
            told_by: None,
        });
    }

    /// A call that Andon saw within a span's time or in its trace, of the same model, and with the same
    /// answer's id or the same counts. In its trace, since some apps make a span of a call afterwards. One call is the same as one span.
    fn same_call(&mut self, span: &Span) -> Option<SpanId> {
        let id = response_id(span);
        let tokens = (span.input_tokens, span.output_tokens);
        let is_same = |call: &Call| {
            let within = call.trace_id == span.trace_id
                || call.start_ns.saturating_add(SLACK_NS) >= span.start_ns
                    && call.end_ns <= span.end_ns().saturating_add(SLACK_NS);
            let same_model =
                [&span.model, &span.model_requested].into_iter().flatten().any(|name| {
                    call.model.as_ref().is_some_and(|model| *model == canonical_model(name))
                });
            let same_answer = match (&call.response_id, &id) {
                (Some(theirs), Some(ours)) => theirs == ours,
                _ => call.tokens == tokens,
            };
            let is_free = call.told_by.is_none_or(|other| other == span.span_id);
            is_free && within && same_model && same_answer
        };
        let place = self.calls.iter().rposition(is_same)?;
        let call = &mut self.calls[place];
        call.told_by = Some(span.span_id);
        Some(call.span_id)
    }
}

/// Whether a span is one call of a model, and not something around calls.
pub(crate) fn is_call(span: &Span) -> bool {
    matches!(span.llm_kind, Some(LlmKind::Llm | LlmKind::Embedding) | None)
        && (span.input_tokens.is_some() || span.output_tokens.is_some())
}

fn response_id(span: &Span) -> Option<String> {
    match span.attributes.get("gen_ai.response.id") {
        Some(AttributeValue::Text(id)) => Some(id.clone()),
        _ => None,
    }
}

fn uncount(span: &mut Span, by: Option<SpanId>) {
    let counts = [
        ("gen_ai.usage.input_tokens", &mut span.input_tokens),
        ("gen_ai.usage.output_tokens", &mut span.output_tokens),
        ("gen_ai.usage.cache_read.input_tokens", &mut span.cached_tokens),
        ("gen_ai.usage.reasoning.output_tokens", &mut span.reasoning_tokens),
    ];
    for (name, count) in counts {
        if let Some(count) = count.take() {
            span.attributes.set(name, count);
        }
    }
    if let Some(cost) = span.cost.take() {
        span.cost_currency = None;
        span.attributes.set("gen_ai.usage.cost", cost);
    }
    let within = "a span within";
    span.attributes.set(COUNTED_IN, by.map_or_else(|| within.to_owned(), |id| id.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn call(trace: TraceId, parent: Option<SpanId>, from: u64, to: u64) -> Span {
        let mut span = Span::new(trace, "s", "chat m");
        span.parent_id = parent;
        (span.start_ns, span.duration_ns) = (from * SECOND, (to - from) * SECOND);
        span.llm_kind = Some(LlmKind::Llm);
        span.model = Some("m:latest".to_owned());
        (span.input_tokens, span.output_tokens) = (Some(26), Some(8));
        span
    }

    fn settle(known: &CountedCalls, spans: Vec<Span>) -> Vec<Option<u64>> {
        let mut all: Vec<Observation> = spans.into_iter().map(Observation::from).collect();
        known.settle(&mut all);
        all.into_iter().map(|seen| seen.span.input_tokens).collect()
    }

    #[test]
    fn a_captured_call_counts_and_the_sdk_above_it_does_not() {
        let known = CountedCalls::default();
        let trace = TraceId::random();
        let sdk = call(trace, None, 10, 20);
        let mut http = Span::new(trace, "s", "POST");
        (http.parent_id, http.start_ns) = (Some(sdk.span_id), 11 * SECOND);
        known.note([&call(trace, Some(http.span_id), 12, 19)]);
        assert_eq!(settle(&known, vec![sdk.clone(), http.clone()]), [None, None]);
        // In two requests as well, what ended first first.
        let known = CountedCalls::default();
        known.note([&call(trace, Some(http.span_id), 12, 19)]);
        settle(&known, vec![http]);
        assert_eq!(settle(&known, vec![sdk]), [None]);
    }

    #[test]
    fn a_call_without_its_trace_is_known_by_time_model_and_answer() {
        let known = CountedCalls::default();
        known.note([&call(TraceId::random(), None, 12, 19)]);
        let mut other = call(TraceId::random(), None, 10, 20);
        other.model = Some("n".to_owned());
        let mut more = call(TraceId::random(), None, 10, 20);
        more.output_tokens = Some(9);
        let later = call(TraceId::random(), None, 30, 40);
        let same = call(TraceId::random(), None, 10, 20);
        let again = call(TraceId::random(), None, 10, 20);
        let counts = settle(&known, vec![other, more, later, same.clone()]);
        assert_eq!(counts, [Some(26), Some(26), Some(26), None]);
        // One that looks the same was another call; the same one may come again.
        assert_eq!(settle(&known, vec![again]), [Some(26)]);
        assert_eq!(settle(&known, vec![same]), [None]);
    }

    #[test]
    fn what_is_around_calls_does_not_count() {
        let known = CountedCalls::default();
        let trace = TraceId::random();
        let mut workflow = call(trace, None, 0, 30);
        workflow.llm_kind = Some(LlmKind::Workflow);
        let framework = call(trace, Some(workflow.span_id), 1, 20);
        let sdk = call(trace, Some(framework.span_id), 2, 19);
        assert_eq!(settle(&known, vec![workflow, framework, sdk]), [None, None, Some(26)]);
    }

    #[test]
    fn the_way_up_is_found_in_whatever_order_spans_come_and_however_coarse_clocks_are() {
        let known = CountedCalls::default();
        let trace = TraceId::random();
        let sdk = call(trace, None, 10, 20);
        // All begin in the same tick; none of those between has tokens.
        let mut between = vec![sdk.clone()];
        for end in [19, 18, 17] {
            let mut span = Span::new(trace, "s", "POST");
            (span.start_ns, span.duration_ns) = (10 * SECOND, (end - 10) * SECOND);
            span.parent_id = between.last().map(|above| above.span_id);
            between.push(span);
        }
        let parent = between.last().map(|span| span.span_id);
        known.note([&call(trace, parent, 10, 16)]);
        // Those around it first, and the SDK's span in a request of its own.
        settle(&known, between[1..].to_vec());
        assert_eq!(settle(&known, vec![sdk]), [None]);
        let trace = TraceId::random();
        let framework = call(trace, None, 30, 40);
        let within = call(trace, Some(framework.span_id), 30, 39);
        assert_eq!(settle(&known, vec![framework, within]), [None, Some(26)]);
    }

    #[test]
    fn what_nothing_within_it_told_counts() {
        let known = CountedCalls::default();
        let trace = TraceId::random();
        // As the article's program has it: made when the answer was there.
        let mut workflow = call(trace, None, 20, 20);
        workflow.llm_kind = Some(LlmKind::Workflow);
        assert_eq!(settle(&known, vec![workflow.clone()]), [Some(26)]);
        known.note([&call(trace, None, 12, 19)]);
        assert_eq!(settle(&known, vec![workflow]), [None]);
    }

    #[test]
    fn memory_is_bounded() {
        let known = CountedCalls::default();
        let parent = Some(SpanId::random());
        for _ in 0..MOST_ABOVE + 10 {
            known.note([&call(TraceId::random(), parent, 0, 1)]);
        }
        let known = known.0.lock().unwrap();
        assert_eq!((known.above.len(), known.order.len()), (MOST_ABOVE, MOST_ABOVE));
        assert_eq!(known.calls.len(), MOST_CALLS);
    }
}
