//! Spans of what is known of traces and observations: under the attributes that Langfuse's newer SDKs
//! send by OpenTelemetry, which [`normalise`] reads.

use std::{borrow::Cow, sync::Arc};

use andon_model::{PARTIAL, Source, Span, SpanId, UnixNanos};
use bytes::Bytes;
use serde_json::{Map, Value as Json, json, value::RawValue};

use super::{
    ids, media,
    memory::{Observed, Trace},
    said::Said,
};
use crate::{
    normalise::{Incoming, Origin},
    value::{AnyValue, KeyValue, Value},
};

/// A key that Langfuse made up says nothing; one that somebody chose is the app's name.
const MADE_UP: &str = "pk-lf-";

/// Of all that one key sends.
pub(super) fn origin(public_key: &str) -> Origin {
    let is_name = !public_key.is_empty() && !public_key.starts_with(MADE_UP);
    let service = if is_name { public_key } else { "langfuse" };
    let mut attributes = Attributes::default();
    attributes.text("service.name", Some(service));
    Origin { attributes: attributes.0 }
}

pub(super) fn of_observation(trace: &Trace, span_id: SpanId, observed: &Observed) -> Incoming {
    let said = &observed.said;
    let kind = said.kind.as_deref().unwrap_or("span").to_ascii_lowercase();
    let before = trace.before.get(&span_id);
    let start_ns = before.map_or_else(|| start(observed), |before| before.start_ns);
    let start_ns = said.start_time.unwrap_or(start_ns);
    let parent_id = said.parent_observation_id.as_deref().map(ids::observation);
    let root = trace.said.as_ref().map(|_| ids::root(&trace.id));
    let mut span = Span {
        trace_id: trace.trace_id,
        span_id,
        parent_id: parent_id.or(root),
        start_ns,
        duration_ns: said.end_time.unwrap_or(start_ns).saturating_sub(start_ns),
        name: name(said, before, &kind),
        source: Source::Otlp,
        ..Span::default()
    };
    if said.end_time.is_none() && kind != "event" {
        span.attributes.set(PARTIAL, true);
    }
    let mut all = Attributes::default();
    all.inherited(trace);
    all.text("langfuse.observation.id", Some(&observed.id));
    all.text("langfuse.observation.type", Some(&kind));
    all.raw("langfuse.observation.input", said.input.as_deref());
    all.raw("langfuse.observation.output", said.output.as_deref());
    all.text("langfuse.observation.model.name", said.model.as_deref());
    all.json("langfuse.observation.model.parameters", parameters(said));
    all.json("langfuse.observation.usage_details", usage(said));
    all.json("langfuse.observation.cost_details", costs(said));
    all.text("langfuse.observation.completion_start_time", said.completion_start_time.as_deref());
    all.text("langfuse.observation.level", said.level.as_deref());
    all.text("langfuse.observation.status_message", said.status_message.as_deref());
    all.text("langfuse.observation.prompt.name", said.prompt_name.as_deref());
    all.text("langfuse.observation.prompt.version", said.prompt_version.as_deref());
    all.text("langfuse.version", said.version.as_deref());
    all.environment(said);
    all.metadata("langfuse.observation.metadata", said.metadata.as_deref());
    Incoming { span, attributes: all.0, events: Vec::new(), message: None }
}

/// The span that stands for a trace itself.
pub(super) fn of_trace(trace: &Trace, said: &Said) -> Incoming {
    let span_id = ids::root(&trace.id);
    let before = trace.before.get(&span_id);
    // What the store knew of it was in this span's time.
    let known = trace.before.values();
    let starts = trace.observations.values().map(start).chain(known.clone().map(|it| it.start_ns));
    let own = said.start_time.or(said.timestamp).unwrap_or(trace.seen_ns);
    let start_ns = starts.fold(own, UnixNanos::min);
    let ends = trace.observations.values().filter_map(|observed| observed.said.end_time);
    let ends = ends.chain(known.map(|it| it.end_ns()));
    let end_ns = ends.chain(trace.ended_ns).chain(said.end_time).max().unwrap_or(start_ns);
    let mut span = Span {
        trace_id: trace.trace_id,
        span_id,
        start_ns,
        duration_ns: end_ns.saturating_sub(start_ns),
        name: name(said, before, "trace"),
        source: Source::Otlp,
        ..Span::default()
    };
    // Its client may add to it at any time: one trace may be a whole chat.
    span.attributes.set(PARTIAL, true);
    let mut all = Attributes::default();
    all.inherited(trace);
    all.text("langfuse.observation.type", Some("workflow"));
    all.raw("langfuse.trace.input", said.input.as_deref());
    all.raw("langfuse.trace.output", said.output.as_deref());
    all.raw("langfuse.trace.tags", said.tags.as_deref());
    all.text("langfuse.observation.level", said.level.as_deref());
    all.text("langfuse.observation.status_message", said.status_message.as_deref());
    all.text("langfuse.version", said.version.as_deref());
    all.metadata("langfuse.trace.metadata", said.metadata.as_deref());
    Incoming { span, attributes: all.0, events: Vec::new(), message: None }
}

fn name(said: &Said, before: Option<&Arc<Span>>, otherwise: &str) -> String {
    let before = before.map(|before| before.name.clone());
    said.name.clone().or(before).unwrap_or_else(|| otherwise.to_owned())
}

/// Where an update came before what it updates, no start is known yet.
fn start(observed: &Observed) -> UnixNanos {
    let said = &observed.said;
    let seen = said.end_time.map_or(observed.seen_ns, |end| end.min(observed.seen_ns));
    said.start_time.unwrap_or(seen)
}

#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn push(&mut self, name: impl Into<Bytes>, value: Value) {
        self.0.push(KeyValue { key: name.into(), value: Some(AnyValue { value: Some(value) }) });
    }

    fn text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.push(name, Value::Text(Bytes::copy_from_slice(text.as_bytes())));
        }
    }

    /// As it is written; images are named.
    fn raw(&mut self, name: &'static str, raw: Option<&RawValue>) {
        if let Some(raw) = raw {
            self.text(name, Some(&media::named(raw.get())));
        }
    }

    fn json(&mut self, name: &'static str, json: Option<Json>) {
        self.text(name, json.map(|json| json.to_string()).as_deref());
    }

    /// What is said of the trace, and meant for all that is in it.
    fn inherited(&mut self, trace: &Trace) {
        if trace.id.len() != 32 {
            self.text("langfuse.trace.id", Some(&trace.id));
        }
        let Some(said) = &trace.said else { return };
        self.text("langfuse.session.id", said.session_id.as_deref());
        self.text("langfuse.user.id", said.user_id.as_deref());
        self.text("service.version", said.release.as_deref());
        self.environment(said);
    }

    fn environment(&mut self, said: &Said) {
        let named = said.environment.as_deref().filter(|name| *name != "default");
        self.text("deployment.environment.name", named);
    }

    /// An attribute for each name, where it is an object.
    fn metadata(&mut self, name: &'static str, raw: Option<&RawValue>) {
        let Some(raw) = raw else { return };
        let text = media::named(raw.get());
        match serde_json::from_str::<Json>(&text) {
            Ok(Json::Object(map)) => {
                for (key, value) in map {
                    self.push(format!("{name}.{key}"), Value::from(value));
                }
            }
            Ok(Json::String(text)) => self.text(name, Some(&text)),
            _ => self.text(name, Some(&text)),
        }
    }
}

fn object(raw: Option<&RawValue>) -> Option<Map<String, Json>> {
    serde_json::from_str(raw?.get()).ok().filter(|map: &Map<_, _>| !map.is_empty())
}

/// Under the names that APIs have for them. The Python SDK makes a text of each fraction.
fn parameters(said: &Said) -> Option<Json> {
    let map = object(said.model_parameters.as_deref())?;
    let number = |value: Json| match value.as_str().and_then(|text| text.parse::<f64>().ok()) {
        Some(number) if number.is_finite() => json!(number),
        _ => value,
    };
    let all = map.into_iter().map(|(name, value)| (snake_case(&name).into_owned(), number(value)));
    Some(Json::Object(all.collect()))
}

fn snake_case(name: &str) -> Cow<'_, str> {
    if !name.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    let mut snake = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    Cow::Owned(snake)
}

/// Counts of tokens: `usageDetails` where there are any, in Langfuse's names or OpenAI's, or the older
/// `usage`, which may count something else than tokens.
fn usage(said: &Said) -> Option<Json> {
    if let Some(mut details) = object(said.usage_details.as_deref()) {
        let within = |details: &Map<String, Json>, names: [&str; 2], name: &str| {
            names.iter().find_map(|of| details.get(*of)?.get(name)).cloned()
        };
        let of_input = ["prompt_tokens_details", "input_tokens_details"];
        let of_output = ["completion_tokens_details", "output_tokens_details"];
        let cached = within(&details, of_input, "cached_tokens");
        let reasoning = within(&details, of_output, "reasoning_tokens");
        let inner = [("cached_tokens", cached), ("reasoning_tokens", reasoning)];
        for (name, count) in inner {
            if let Some(count) = count {
                details.entry(name).or_insert(count);
            }
        }
        return Some(Json::Object(details));
    }
    let usage = object(said.usage.as_deref())?;
    let unit = usage.get("unit").and_then(Json::as_str).unwrap_or("TOKENS");
    if unit != "TOKENS" {
        return None;
    }
    let names = [
        ("input", ["input", "promptTokens", "prompt_tokens"]),
        ("output", ["output", "completionTokens", "completion_tokens"]),
        ("total", ["total", "totalTokens", "total_tokens"]),
    ];
    Some(Json::Object(first_of_each(&usage, names)))
}

/// In USD.
fn costs(said: &Said) -> Option<Json> {
    if let Some(details) = object(said.cost_details.as_deref()) {
        return Some(Json::Object(details));
    }
    let usage = object(said.usage.as_deref())?;
    let names =
        [("input", ["inputCost"; 3]), ("output", ["outputCost"; 3]), ("total", ["totalCost"; 3])];
    Some(Json::Object(first_of_each(&usage, names))).filter(|costs| *costs != json!({}))
}

fn first_of_each(from: &Map<String, Json>, names: [(&str, [&str; 3]); 3]) -> Map<String, Json> {
    let one = |(name, called): (&str, [&str; 3])| {
        let value = called.iter().find_map(|called| from.get(*called).filter(|it| !it.is_null()));
        value.map(|value| (name.to_owned(), value.clone()))
    };
    names.into_iter().filter_map(one).collect()
}
