//! Evaluations of LLM Observability. They name a span by LLM Observability's trace id, which from 3.10
//! on is another one than that of the application's trace, or by a tag of the span; and they are often a
//! second earlier than the span itself (seen with ddtrace 4.16).
//!
//! So one whose span is not known yet is not answered at once: for [`PATIENCE`] its request waits for
//! the span, and then it is stored in the right trace and answered. Clients wait 5 s. If the span does
//! not come in that time (a call within a longer trace, which is sent as a whole when it ends; or any of
//! dd-trace, which has one connection for all and sends the span only after the answer), the
//! evaluation is stored under the trace id that it names, since nothing may be acknowledged that is not
//! durable; and once more in the right trace when its span comes. In a trace it is seen once; in the
//! table of evaluations the first row stays, of a trace that has no spans. One that names a tag has no id
//! to be stored under: it is refused, and the client says so in its log.
//!
//! Source: `LLMObsEvaluationMetricEvent` in ddtrace (`ddtrace/llmobs/_eval_metric.py`).

use std::time::Duration;

use andon_model::{Judgement, MetricType, RawText, Span, SpanId, TraceId};
use serde_json::Value as Json;

use super::{
    apm::{any_trace_id, span_id},
    memory::Memory,
};
use crate::intake::Reason;

/// How long a request waits for its spans.
const PATIENCE: Duration = Duration::from_secs(2);
/// Requests that wait at a time; further ones are answered at once.
pub(super) const MAX_WAITING: usize = 32;
/// Clients send a thousand at most.
const MAX_EVALUATIONS: usize = 5_000;
/// Characters of a name or class, and of a reason; the store keeps less. Some wait in memory.
const MAX_NAME_CHARS: usize = 500;
const MAX_REASON_CHARS: usize = 4_000;

/// What an evaluation is about.
enum About {
    Span(TraceId, SpanId),
    Tag { key: String, value: String, ml_app: Option<String> },
}

/// An evaluation before its span is known.
struct Pending {
    about: About,
    judgement: Judgement,
}

/// The evaluations of a request.
#[derive(Default)]
pub(super) struct Evaluations {
    pending: Vec<Pending>,
    pub(super) found: Vec<Judgement>,
    /// Evaluations by tags of spans that nobody knows.
    pub(super) lost: u64,
}

/// Reads a body. `None`: it is none of evaluations.
pub(super) fn read(json: &Json, rejected: &mut Vec<Reason>) -> Option<Evaluations> {
    let metrics = json["data"]["attributes"]["metrics"].as_array()?;
    let mut evaluations = Evaluations::default();
    for (at, metric) in metrics.iter().enumerate() {
        match pending(metric) {
            Ok(pending) if at < MAX_EVALUATIONS => evaluations.pending.push(pending),
            Ok(_) => rejected.push(Reason::TooLarge),
            Err(reason) => rejected.push(reason),
        }
    }
    Some(evaluations)
}

fn pending(metric: &Json) -> Result<Pending, Reason> {
    let most = |value: &Json, chars: usize| {
        let text = value.as_str().filter(|text| !text.is_empty())?;
        Some(text.chars().take(chars).collect::<String>())
    };
    let text = |value: &Json| most(value, MAX_NAME_CHARS);
    let join_on = &metric["join_on"];
    // Version 1 has the ids beside all else.
    let of_span = if join_on["span"].is_object() { &join_on["span"] } else { metric };
    let tag = &join_on["tag"];
    let ml_app = text(&metric["ml_app"]);
    let about = match (text(&tag["key"]), tag["value"].as_str()) {
        (Some(key), Some(value)) => About::Tag { key, value: value.to_owned(), ml_app },
        _ => {
            let trace = of_span["trace_id"].as_str().and_then(any_trace_id);
            let id = &of_span["span_id"];
            let id = id.as_u64().or_else(|| id.as_str()?.parse().ok());
            let id = id.and_then(span_id).ok_or(Reason::SpanId)?;
            About::Span(trace.ok_or(Reason::TraceId)?, id)
        }
    };
    let evaluator = text(&metric["label"]).ok_or(Reason::Unreadable)?;
    let score = || metric["score_value"].as_f64().or(metric["numerical_value"].as_f64());
    let (metric_type, score, label) = match metric["metric_type"].as_str() {
        Some("score") => (MetricType::Score, Some(score().ok_or(Reason::Unreadable)?), None),
        Some("categorical") => {
            let class = text(&metric["categorical_value"]).ok_or(Reason::Unreadable)?;
            (MetricType::Categorical, None, Some(class))
        }
        Some("boolean") => {
            let value = metric["boolean_value"].as_bool().ok_or(Reason::Unreadable)?;
            (MetricType::Boolean, Some(f64::from(u8::from(value))), Some(value.to_string()))
        }
        // JSON and texts have no column.
        _ => return Err(Reason::NotKept),
    };
    // `pass` or `fail`, beside a number.
    let label = label.or_else(|| text(&metric["assessment"]));
    let time_ns = metric["timestamp_ms"].as_u64().map(|time| time.saturating_mul(1_000_000));
    let (trace_id, span_id) = match &about {
        About::Span(trace, span) => (*trace, *span),
        About::Tag { .. } => (TraceId::from_bytes([0; 16]), SpanId::from_bytes([0; 8])),
    };
    let time_ns = time_ns.unwrap_or_else(Span::now_ns);
    let mut judgement = Judgement::by_sdk(trace_id, span_id, time_ns, evaluator, metric_type);
    (judgement.evaluation.score, judgement.evaluation.label) = (score, label);
    judgement.reason = most(&metric["reasoning"], MAX_REASON_CHARS).map(RawText::new);
    Ok(Pending { about, judgement })
}

impl Evaluations {
    /// Finds the spans that are known, and waits for the others where it may. What is not found in
    /// that time stays in `late`, under the id that it names.
    pub(super) async fn resolve(&mut self, memory: &Memory, may_wait: bool) -> Vec<Judgement> {
        // Before the first look, so that nothing is missed between it and the wait.
        let mut news = memory.news();
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            self.look(memory);
            let waits = may_wait && !self.pending.is_empty();
            if !waits || tokio::time::timeout_at(until, news.changed()).await.is_err() {
                break;
            }
        }
        let mut late = Vec::new();
        for Pending { about, judgement } in self.pending.drain(..) {
            match about {
                About::Span(..) => late.push(judgement),
                About::Tag { .. } => self.lost += 1,
            }
        }
        late
    }

    fn look(&mut self, memory: &Memory) {
        let pending = std::mem::take(&mut self.pending);
        for mut one in pending {
            let ids = match &one.about {
                About::Span(trace, span) => memory.trace_of(*trace, *span).map(|id| (id, *span)),
                About::Tag { key, value, ml_app } => memory.tagged((key, value), ml_app.as_deref()),
            };
            match ids {
                Some((trace_id, span_id)) => {
                    let evaluation = &mut one.judgement.evaluation;
                    (evaluation.trace_id, evaluation.span_id) = (trace_id, span_id);
                    self.found.push(one.judgement);
                }
                None => self.pending.push(one),
            }
        }
    }
}
