//! Log records of OTLP. Those that carry a call's messages become its texts, those that judge it
//! evaluations; the others are kept as what was logged during their span.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use andon_model::{
    Contents, Judgement, LOOSE_PLACES, LooseTexts, MetricType, Part, RawContent, RawText, Span,
    SpanId, TraceId, UnixNanos,
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

pub(super) fn observe(
    request: LogsRequest,
    places: &Mutex<Places>,
    rejections: &mut Rejections,
) -> Batch {
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
    let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
    for ((trace_id, span_id), of_span) in spans {
        let times = of_span.messages.iter().map(|event| event.time_ns);
        let times = times.chain(of_span.logged.iter().map(|(time_ns, ..)| *time_ns));
        let time_ns = times.min().unwrap_or_default();
        let contents = of_span.into_contents((trace_id, span_id), &mut places);
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
    fn into_contents(mut self, of: (TraceId, SpanId), places: &mut Places) -> Vec<RawContent> {
        self.messages.sort_by_key(|event| event.time_ns);
        self.logged.sort_by_key(|(time_ns, ..)| *time_ns);
        let mut contents = Vec::new();
        for event in &self.messages {
            let said = normalise::messages_of(std::slice::from_ref(event)).into_vec();
            contents.extend(place(of, event.time_ns, said, places));
        }
        for (time_ns, severity, text) in self.logged {
            let mut logged = Contents::default();
            logged.push(Part::Log, severity.as_deref(), text);
            contents.extend(place(of, time_ns, logged.into_vec(), places));
        }
        contents
    }
}

/// Gives texts of one moment their places: by its microsecond, and behind what has that place already.
fn place(
    of: (TraceId, SpanId),
    time_ns: UnixNanos,
    said: Vec<RawContent>,
    places: &mut Places,
) -> Vec<RawContent> {
    // It comes round after half an hour, and a call is over by then.
    let first = LOOSE_PLACES | ((time_ns / 1_000) as u32 & (LOOSE_PLACES - 1));
    let placed = said.into_iter().map(|mut content| {
        content.idx = places.place((of.0, of.1, content.part, first), &content.text);
        content
    });
    placed.collect()
}

/// Which text has which place, for a while: clocks may tick so slowly that two messages in two requests are
/// of one moment, and a request may come again.
#[derive(Default)]
pub(crate) struct Places {
    taken: HashMap<Place, u64>,
    order: VecDeque<Place>,
}

type Place = (TraceId, SpanId, Part, u32);

/// Places that are remembered.
const MOST_PLACES: usize = 1 << 16;
/// Texts of one moment that stand side by side. Where more come, each goes where its hash says: to look
/// for a free place behind all others would take as long as there are texts, for each of them.
const MOST_NEIGHBOURS: u32 = 64;

impl Places {
    /// The place itself where the text has it or nobody has, else the next one.
    fn place(&mut self, (trace, span, part, first): Place, text: &RawText) -> u32 {
        let mut hasher = DefaultHasher::new();
        text.expose().hash(&mut hasher);
        let hash = hasher.finish();
        let (mut idx, mut tries) = (first, 0);
        while let Some(known) = self.taken.get(&(trace, span, part, idx)) {
            if *known == hash {
                return idx;
            }
            tries += 1;
            let next = if tries == MOST_NEIGHBOURS { hash as u32 } else { idx.wrapping_add(1) };
            idx = next | LOOSE_PLACES;
        }
        let place = (trace, span, part, idx);
        self.taken.insert(place, hash);
        self.order.push_back(place);
        if self.order.len() > MOST_PLACES
            && let Some(oldest) = self.order.pop_front()
        {
            self.taken.remove(&oldest);
        }
        idx
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
    let mut judgement = Judgement::by_sdk(trace_id, span_id, time_ns, evaluator, metric_type);
    (judgement.evaluation.score, judgement.evaluation.label) = (score, label);
    judgement.reason = reason.map(RawText::new);
    Some(judgement)
}
