//! What LLM Observability says of a span, in the normaliser's words. The same parts come inside the
//! application's span (ddtrace 4.x: `meta_struct["_llmobs"]`) and as events of their own (all others).
//!
//! Everything becomes attributes under OpenTelemetry's names, so that one normaliser decides what is a
//! column, what is somebody's text and what is protected. What has no such name is under `dd.`.
//!
//! Source: `LLMObsSpanEvent` and `_llmobs_span_event` in ddtrace (`ddtrace/llmobs/_llmobs.py`),
//! `llmobs/span_processor.js` in dd-trace, and recorded calls.

use andon_model::{RawText, Source, Span, SpanId, Status, TraceId};
use serde_json::{Map, Value as Json, json};

use super::apm::{any_trace_id, attribute, span_id, text_attribute};
use crate::{
    normalise::Incoming,
    value::{KeyValue, Value},
};

/// Tags that are kept of one span, and the bytes of one.
const MAX_TAGS: usize = 64;
const MAX_TAG_BYTES: usize = 512;

/// Tags that say again what a field says, or what sent the span.
const SAID_AGAIN: [&str; 14] = [
    "agent_service",
    "ddtrace.version",
    "dd-trace.version",
    "decorator",
    "env",
    "error",
    "error_type",
    "language",
    "ml_app",
    "service",
    "session_id",
    "source",
    "user_id",
    "version",
];

/// Metrics that OpenTelemetry has a name for.
const METRICS: [(&str, &str); 11] = [
    ("input_tokens", "gen_ai.usage.input_tokens"),
    ("prompt_tokens", "gen_ai.usage.prompt_tokens"),
    ("output_tokens", "gen_ai.usage.output_tokens"),
    ("completion_tokens", "gen_ai.usage.completion_tokens"),
    ("total_tokens", "gen_ai.usage.total_tokens"),
    ("cache_read_input_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ("cache_write_input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
    ("reasoning_output_tokens", "gen_ai.usage.reasoning.output_tokens"),
    ("reasoning_tokens", "gen_ai.usage.reasoning_tokens"),
    // Seconds.
    ("time_to_first_token", "gen_ai.response.time_to_first_chunk"),
    ("total_cost", "gen_ai.usage.cost"),
];

/// Metadata that fills a column, where nothing else does.
const METADATA: [(&str, &str); 9] = [
    ("model", "gen_ai.request.model"),
    ("provider", "gen_ai.provider.name"),
    ("endpoint", "gen_ai.openai.api_base"),
    ("stream", "gen_ai.request.stream"),
    ("finish_reason", "gen_ai.response.finish_reason"),
    ("stop_reason", "gen_ai.response.stop_reason"),
    ("user_id", "user.id"),
    ("session_id", "session.id"),
    ("conversation_id", "gen_ai.conversation.id"),
];

/// What is said of one span.
pub(super) struct Said {
    /// LLM Observability's own id of the trace. From 3.10 on its lower half is another number than that
    /// of the trace of the same calls.
    pub(super) trace_id: Option<TraceId>,
    pub(super) ml_app: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) failed: bool,
    name: Option<String>,
    session_id: Option<String>,
    meta: Map<String, Json>,
    metrics: Map<String, Json>,
}

/// A span of LLM Observability that came by itself.
pub(super) struct Event {
    pub(super) said: Said,
    /// That of the application's trace, where it is said; else LLM Observability's.
    pub(super) trace_id: TraceId,
    /// Whether it is said.
    pub(super) is_certain: bool,
    pub(super) span_id: SpanId,
    parent_id: Option<SpanId>,
    start_ns: u64,
    duration_ns: u64,
    /// Bytes that it is about.
    pub(super) weight: usize,
}

impl Said {
    pub(super) fn read(json: Json) -> Option<Self> {
        let Json::Object(mut map) = json else { return None };
        let text = |value: Option<&Json>| {
            let text = value.and_then(Json::as_str).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let mut object = |name: &str| match map.remove(name) {
            Some(Json::Object(object)) => object,
            _ => Map::new(),
        };
        let (meta, metrics) = (object("meta"), object("metrics"));
        let tags = map.remove("tags").map(tags).unwrap_or_default();
        let tagged = |name: &str| tags.iter().find(|(key, _)| key == name);
        let tagged = |name| tagged(name).map(|(_, value)| value.clone());
        Some(Self {
            trace_id: map.get("trace_id").and_then(Json::as_str).and_then(any_trace_id),
            ml_app: text(map.get("ml_app")).or_else(|| tagged("ml_app")),
            session_id: text(map.get("session_id")).or_else(|| tagged("session_id")),
            name: text(map.get("name")),
            failed: map.get("status").is_some_and(|status| status == "error"),
            tags,
            meta,
            metrics,
        })
    }

    /// Of this tag, if it has it.
    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        let found = self.tags.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn meta(&self, outer: &str, inner: &str) -> Option<&Json> {
        // 4.x nests what was one name with a dot before.
        let nested = self.meta.get(outer).and_then(|nested| nested.get(inner));
        nested.or_else(|| self.meta.get(&format!("{outer}.{inner}"))).filter(|it| !it.is_null())
    }

    fn meta_text(&self, name: &str) -> Option<&str> {
        let text = self.meta.get(name).and_then(Json::as_str);
        text.filter(|text| !text.is_empty())
    }

    fn metadata(&self) -> impl Iterator<Item = (&String, &Json)> {
        let metadata = self.meta.get("metadata").and_then(Json::as_object);
        metadata.into_iter().flatten().filter(|(_, value)| !value.is_null())
    }

    /// Adds all of it to what the application's span has. Of one name the last attribute counts, so this
    /// comes before what the tracer made of it.
    pub(super) fn add_to(&self, incoming: &mut Incoming) {
        // The same, where the application's span has it.
        let has_stack = incoming.attributes.iter().any(|it| it.key == "error.stack");
        let stack = self.meta("error", "stack").filter(|_| !has_stack);
        let list = &mut incoming.attributes;
        let mut text = |name: &'static str, text: Option<&str>| {
            list.extend(text.map(|text| text_attribute(name, text.to_owned())));
        };
        text("gen_ai.operation.name", self.meta("span", "kind").and_then(Json::as_str));
        text("gen_ai.application_name", self.ml_app.as_deref());
        text("gen_ai.conversation.id", self.session_id.as_deref());
        text("user.id", self.tag("user_id").or(self.tag("usr.id")));
        text("error.type", self.meta("error", "type").and_then(Json::as_str));
        text("error.stack", stack.and_then(Json::as_str));
        let trace_id = self.trace_id.map(|id| id.to_string());
        text("dd.llmobs.trace_id", trace_id.as_deref());
        let name = self.name.as_deref().filter(|name| *name != incoming.span.name);
        text("dd.llmobs.name", name);
        self.add_metadata(list);
        // `custom` is written where a model is not known.
        let known = |name| self.meta_text(name).filter(|text| *text != "custom");
        for (name, at) in
            [("gen_ai.request.model", "model_name"), ("gen_ai.provider.name", "model_provider")]
        {
            list.extend(known(at).map(|text| text_attribute(name, text.to_owned())));
        }
        self.add_metrics(list);
        self.add_texts(list);
        for (key, value) in &self.tags {
            if !value.is_empty() && !SAID_AGAIN.contains(&key.as_str()) {
                list.push(text_attribute(format!("dd.tags.{key}"), value.clone()));
            }
        }
        self.add_failure(incoming);
    }

    /// Parameters have OpenTelemetry's names. Words are protected there.
    fn add_metadata(&self, list: &mut Vec<KeyValue>) {
        for (key, value) in self.metadata() {
            let known = METADATA.iter().chain(&METRICS).find(|(name, _)| name == key);
            match known {
                Some((_, name)) if value.is_string() || value.is_number() || value.is_boolean() => {
                    list.push(attribute(*name, value.clone().into()));
                }
                // A failure's words, and what is for Datadog alone.
                _ if key == "error" || key == "_dd" => {}
                // Said as a metric already.
                _ if self.metrics.get(key) == Some(value) => {}
                _ => {
                    let parameter = crate::normalise::parameter_of(key).map(str::to_owned);
                    let name = parameter.unwrap_or_else(|| format!("dd.metadata.{key}"));
                    list.push(attribute(name, value.clone().into()));
                }
            }
        }
    }

    fn add_metrics(&self, list: &mut Vec<KeyValue>) {
        for (key, value) in &self.metrics {
            let Some(number) = value.as_f64() else { continue };
            let whole = number.fract() == 0.0 && number.abs() < 9e15;
            let value = if whole { Value::Int(number as i64) } else { Value::Double(number) };
            match METRICS.iter().find(|(known, _)| known == key) {
                Some((_, name)) => list.push(attribute(*name, value)),
                None => list.push(attribute(format!("dd.metrics.{key}"), value)),
            }
        }
    }

    fn add_texts(&self, list: &mut Vec<KeyValue>) {
        let sides = [
            ("input", "user", "gen_ai.input.messages", "input.value"),
            ("output", "assistant", "gen_ai.output.messages", "output.value"),
        ];
        for (side, role, messages_name, value_name) in sides {
            let Some(of_side) = self.meta.get(side) else { continue };
            if let Some(messages) = of_side["messages"].as_array().filter(|all| !all.is_empty()) {
                let messages: Json = messages.iter().flat_map(|one| message(one, role)).collect();
                list.push(attribute(messages_name, messages.into()));
            } else if let Some(documents) = of_side["documents"].as_array() {
                if side == "output" {
                    let documents = Json::from(documents.clone()).to_string();
                    list.push(text_attribute("gen_ai.retrieval.documents", documents));
                } else {
                    // What is embedded.
                    let texts: Json = documents.iter().map(|one| one["text"].clone()).collect();
                    list.push(text_attribute(messages_name, texts.to_string()));
                }
            }
            match &of_side["value"] {
                Json::Null => {}
                Json::String(text) => list.push(text_attribute(value_name, text.clone())),
                other => list.push(text_attribute(value_name, other.to_string())),
            }
        }
        if let Some(definitions) = self.meta.get("tool_definitions").filter(|it| it.is_array()) {
            list.push(text_attribute("gen_ai.tool.definitions", definitions.to_string()));
        }
        let prompt = &self.meta.get("input").unwrap_or(&Json::Null)["prompt"];
        for part in ["id", "version"] {
            if let Some(text) = prompt[part].as_str() {
                list.push(text_attribute(format!("dd.prompt.{part}"), text.to_owned()));
            }
        }
    }

    /// Programs say it in three ways: the span's status, an error among its metadata, or a tag.
    fn add_failure(&self, incoming: &mut Incoming) {
        let text = |value: &Json| match value {
            Json::String(text) => Some(text.clone()),
            Json::Null | Json::Bool(_) => None,
            other => Some(other.to_string()),
        };
        let metadata = self.meta.get("metadata").and_then(|metadata| metadata.get("error"));
        let metadata = metadata.filter(|error| !matches!(error, Json::Null | Json::Bool(false)));
        let metadata = metadata.filter(|error| error.as_str() != Some(""));
        let said = self.meta("error", "message");
        if self.failed || metadata.is_some() || said.is_some() {
            let message = said.and_then(text).or_else(|| metadata.and_then(text));
            incoming.span.status = Status::Error;
            incoming.message = message.map(RawText::new).or(incoming.message.take());
        }
    }
}

/// A message as the conventions write it; results of tools are messages of their own.
fn message(json: &Json, role: &str) -> Vec<Json> {
    let said = json["role"].as_str().filter(|role| !role.is_empty());
    let mut message = json.clone();
    let mut all = Vec::new();
    if let Json::Object(map) = &mut message {
        map.insert("role".to_owned(), said.unwrap_or(role).into());
        map.entry("content").or_insert("".into());
        if let Some(Json::Array(results)) = map.remove("tool_results") {
            let result = |one: Json| json!({"role": "tool", "content": one["result"]});
            all.extend(results.into_iter().map(result));
        }
    }
    all.insert(0, message);
    all
}

/// A map in 4.x, and else a list of `key:value`, whose values may hold further colons.
fn tags(json: Json) -> Vec<(String, String)> {
    let text = |value: Json| match value {
        Json::String(text) => Some(text),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    };
    let pairs: Vec<(String, String)> = match json {
        Json::Object(map) => {
            map.into_iter().filter_map(|(key, value)| Some((key, text(value)?))).collect()
        }
        Json::Array(all) => {
            let pair = |tag: Json| {
                let (key, value) = tag.as_str()?.split_once(':')?;
                Some((key.to_owned(), value.to_owned()))
            };
            all.into_iter().filter_map(pair).collect()
        }
        _ => Vec::new(),
    };
    let is_short = |(key, value): &(String, String)| key.len() + value.len() <= MAX_TAG_BYTES;
    pairs.into_iter().filter(is_short).take(MAX_TAGS).collect()
}

impl Event {
    /// `None`: it names no span.
    pub(super) fn read(json: Json) -> Option<Self> {
        let weight = 512 + weight(&json);
        let id = |value: &Json| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let span = span_id(id(&json["span_id"])?)?;
        let trace = |value: &Json| value.as_str().and_then(any_trace_id);
        let apm = trace(&json["_dd"]["apm_trace_id"]).or_else(|| trace(&json["_dd"]["trace_id"]));
        let trace_id = apm.or_else(|| trace(&json["trace_id"]))?;
        let parent_id = id(&json["parent_id"]).and_then(span_id);
        let start_ns = json["start_ns"].as_u64().unwrap_or_default();
        let duration = &json["duration"];
        let duration = duration.as_u64().or_else(|| duration.as_f64().map(|number| number as u64));
        Some(Self {
            trace_id,
            is_certain: apm.is_some(),
            span_id: span,
            parent_id,
            start_ns,
            duration_ns: duration.unwrap_or_default(),
            weight,
            said: Said::read(json)?,
        })
    }

    /// As a span of its own, while the application's has not come.
    pub(super) fn alone(&self, trace_id: TraceId) -> Incoming {
        let tag = |name| self.said.tag(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let service = tag("service").or_else(|| self.said.ml_app.clone());
        let service = service.unwrap_or_else(|| "unknown_service".to_owned());
        let name = self.said.name.clone().unwrap_or_else(|| "llm".to_owned());
        let mut span = Span::new(trace_id, service, name);
        span.span_id = self.span_id;
        span.parent_id = self.parent_id;
        span.source = Source::Datadog;
        if self.start_ns > 0 {
            (span.start_ns, span.duration_ns) = (self.start_ns, self.duration_ns);
        }
        (span.env, span.version) = (tag("env"), tag("version"));
        let mut incoming =
            Incoming { span, attributes: Vec::new(), events: Vec::new(), message: None };
        self.said.add_to(&mut incoming);
        incoming
    }
}

/// Bytes of texts, and what each value takes beside.
fn weight(json: &Json) -> usize {
    64 + match json {
        Json::String(text) => text.len(),
        Json::Array(all) => all.iter().map(weight).sum(),
        Json::Object(map) => map.iter().map(|(key, value)| key.len() + weight(value)).sum(),
        _ => 0,
    }
}
