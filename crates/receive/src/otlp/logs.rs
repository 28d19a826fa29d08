//! Log records of OTLP. Those that carry a call's messages become its texts, those that judge it
//! evaluations; the others are kept as what was logged during their span.

use std::collections::{HashMap, HashSet};

use andon_model::{
    Contents, Evaluation, EvaluationSource, Judgement, LOOSE_PLACES, LooseTexts, MetricType, Part,
    RawContent, RawText, Span, SpanId, TraceId, UnixNanos,
};

use super::{
    export::Rejections,
    traces::{span_id, trace_id},
    wire::{LogRecord, LogsRequest},
};
use crate::{
    intake::{Batch, Reason},
    normalise::{self, Event},
    value::{KeyValue, Value, some_text, utf8},
};

const EVALUATION: &str = "gen_ai.evaluation.result";

/// Records of one span, in the order of their times and then of their arrival.
#[derive(Default)]
struct OfSpan {
    messages: Vec<Event>,
    logged: Vec<(UnixNanos, Option<String>, RawText)>,
}

pub(super) fn observe(request: LogsRequest, rejections: &mut Rejections) -> Batch {
    let mut batch = Batch::default();
    let mut spans: HashMap<(TraceId, SpanId), OfSpan> = HashMap::new();
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    for record in scopes.flat_map(|scope| scope.log_records) {
        let (Some(trace), Some(span)) = (trace_id(&record.trace_id), span_id(&record.span_id))
        else {
            // Of no trace: there is no page for those.
            rejections.count_silently(Reason::NotKept);
            continue;
        };
        let time_ns = match (record.time_unix_nano, record.observed_time_unix_nano) {
            (0, 0) => Span::now_ns(),
            (0, observed) => observed,
            (time, _) => time,
        };
        let name = name(&record);
        let of_span = spans.entry((trace, span)).or_default();
        if name == EVALUATION {
            match judgement(&record, trace, span, time_ns) {
                Some(judgement) => batch.evaluations.push(judgement),
                None => rejections.count_silently(Reason::NotKept),
            }
        } else if normalise::is_message(&name) {
            let LogRecord { attributes, body, .. } = record;
            of_span.messages.push(Event { time_ns, name, attributes, body });
        } else if let Some(text) = record.body.as_ref().and_then(|body| body.value.as_ref()) {
            let severity = some_text(&record.severity_text);
            of_span.logged.push((time_ns, severity, RawText::new(text.to_words())));
        }
    }
    for ((trace_id, span_id), of_span) in spans {
        let times = of_span.messages.iter().map(|event| event.time_ns);
        let times = times.chain(of_span.logged.iter().map(|(time_ns, ..)| *time_ns));
        let time_ns = times.min().unwrap_or_default();
        let contents = of_span.into_contents();
        if !contents.is_empty() {
            batch.texts.push(LooseTexts { trace_id, span_id, time_ns, contents });
        }
    }
    batch
}

/// The event's name is in a field of its own, or in an attribute where an older library sent it.
fn name(record: &LogRecord) -> String {
    if !record.event_name.is_empty() {
        return utf8(&record.event_name).into_owned();
    }
    attribute(&record.attributes, "event.name").map(Value::to_words).unwrap_or_default()
}

fn attribute<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == name.as_bytes())?.value()
}

impl OfSpan {
    fn into_contents(mut self) -> Vec<RawContent> {
        self.messages.sort_by_key(|event| event.time_ns);
        self.logged.sort_by_key(|(time_ns, ..)| *time_ns);
        let mut placed = Placed::default();
        for event in &self.messages {
            let said = normalise::messages_of(std::slice::from_ref(event)).into_vec();
            place(event.time_ns, said, &mut placed);
        }
        for (time_ns, severity, text) in self.logged {
            let mut logged = Contents::default();
            logged.push(Part::Log, severity.as_deref(), text);
            place(time_ns, logged.into_vec(), &mut placed);
        }
        placed.contents
    }
}

#[derive(Default)]
struct Placed {
    contents: Vec<RawContent>,
    taken: HashSet<(Part, u32)>,
}

/// Gives texts of one moment their places: by its microsecond, and behind what has that place.
fn place(time_ns: UnixNanos, said: Vec<RawContent>, among: &mut Placed) {
    // It comes round after half an hour, and a call is over by then.
    let mut idx = LOOSE_PLACES | ((time_ns / 1_000) as u32 & (LOOSE_PLACES - 1));
    for mut content in said {
        while !among.taken.insert((content.part, idx)) {
            idx = idx.wrapping_add(1) | LOOSE_PLACES;
        }
        content.idx = idx;
        among.contents.push(content);
    }
}

/// Source: OpenTelemetry's GenAI conventions, event `gen_ai.evaluation.result`.
fn judgement(
    record: &LogRecord,
    trace_id: TraceId,
    span_id: SpanId,
    time_ns: UnixNanos,
) -> Option<Judgement> {
    let get = |name| attribute(&record.attributes, name);
    let evaluator = get("gen_ai.evaluation.name").map(Value::to_words)?;
    let score = get("gen_ai.evaluation.score.value").and_then(Value::as_f64);
    let label = get("gen_ai.evaluation.score.label").map(Value::to_words);
    let reason = get("gen_ai.evaluation.explanation").map(Value::to_words);
    let metric_type = match (&score, &label) {
        (Some(_), _) => MetricType::Score,
        (None, Some(_)) => MetricType::Categorical,
        (None, None) => return None,
    };
    let evaluation = Evaluation {
        trace_id,
        span_id,
        time_ns,
        evaluator,
        version: None,
        metric_type,
        score,
        label,
        reason: None,
        source: EvaluationSource::Sdk,
        duration_ns: None,
    };
    Some(Judgement { evaluation, reason: reason.map(RawText::new) })
}
