//! A span of an application, in the normaliser's words. Datadog's own names for what the model has a
//! field for become that field; what says something to Datadog's servers alone goes.

use std::collections::HashMap;

use andon_model::{Source, Span, SpanId, SpanKind, Status, TraceId};
use bytes::Bytes;
use serde_json::Value as Json;

use super::{item::Item, wire::WireSpan};
use crate::{
    intake::Reason,
    normalise::{Event, Incoming},
    value::{AnyValue, KeyValue, Value, utf8},
};

/// Characters of what one span says for all of its chunk: one text could become a hundred thousand.
const MAX_SHARED_CHARS: usize = 200;
/// Links and events that are kept of one span.
const MAX_LINKS: usize = 16;
const MAX_EVENTS: usize = 128;

/// Types whose resource is a statement, with somebody's values in it.
const STATEMENTS: [&str; 10] = [
    "sql",
    "cassandra",
    "redis",
    "valkey",
    "memcached",
    "mongodb",
    "elasticsearch",
    "opensearch",
    "dynamodb",
    "graphql",
];

/// Names without `_dd.` that say something to Datadog alone.
const NOISE: [&str; 8] = [
    "_sampling_priority_v1",
    "_sampling_priority_rate_v1",
    "_top_level",
    "_trace_root",
    "llmobs_parent_id",
    "llmobs_trace_id",
    "runtime-id",
    "service",
];

/// A chunk's span: what came for the normaliser, and what LLM Observability says of it.
pub(super) struct Read {
    pub(super) incoming: Incoming,
    /// `meta_struct["_llmobs"]`.
    pub(super) said: Option<Json>,
    /// LLM Observability knows this span, so that an event of it may come by itself.
    pub(super) is_llm: bool,
    /// The trace's other id, which evaluations name.
    pub(super) llm_trace: Option<TraceId>,
    /// Documents of it that cannot be read.
    lost: usize,
}

/// What one span of a chunk says for all of them.
#[derive(Default)]
struct Shared {
    /// The upper halves of trace ids, by the lower ones.
    upper: HashMap<u64, u64>,
    env: Option<String>,
    host: Option<String>,
    pid: Option<u32>,
    /// By the service.
    versions: HashMap<String, String>,
}

/// Reads the spans of a chunk; one that is none is counted, and the rest stay. `sender`: attributes of
/// what sent them.
pub(super) fn chunk(
    spans: Vec<Option<WireSpan>>,
    sender: &[KeyValue],
    rejected: &mut Vec<Reason>,
) -> Vec<Read> {
    let mut shared = Shared::default();
    spans.iter().flatten().for_each(|span| shared.look_at(span));
    let mut all = Vec::new();
    for span in spans {
        match span.ok_or(Reason::Unreadable).and_then(|span| read(span, &shared, sender)) {
            Ok(read) => {
                rejected.extend(std::iter::repeat_n(Reason::Unreadable, read.lost));
                all.push(read);
            }
            Err(reason) => rejected.push(reason),
        }
    }
    all
}

impl Shared {
    fn look_at(&mut self, span: &WireSpan) {
        for (name, value) in &span.meta {
            let text = || {
                let text: String = utf8(value).chars().take(MAX_SHARED_CHARS).collect();
                Some(text).filter(|text| !text.is_empty())
            };
            match name.as_ref() {
                b"_dd.p.tid" => {
                    if let Some(upper) = upper(&utf8(value)) {
                        self.upper.insert(span.trace_id, upper);
                    }
                }
                b"env" => self.env = self.env.take().or_else(text),
                b"_dd.hostname" => self.host = text().or(self.host.take()),
                b"host" => self.host = self.host.take().or_else(text),
                b"version" => {
                    if let Some(version) = text() {
                        self.versions.insert(span.service.clone(), version);
                    }
                }
                _ => {}
            }
        }
        let pid = span.metrics.iter().find(|(name, _)| name == "process_id");
        let pid = pid.and_then(|(_, pid)| u32::try_from(pid.as_u64()?).ok());
        self.pid = self.pid.or(pid);
    }

    fn trace_id(&self, lower: u64) -> TraceId {
        trace_id(self.upper.get(&lower).copied().unwrap_or(0), lower)
    }
}

/// The upper half of a trace id: 16 hexadecimal digits.
fn upper(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| digits)
}

pub(super) fn trace_id(upper: u64, lower: u64) -> TraceId {
    TraceId::from_bytes((u128::from(upper) << 64 | u128::from(lower)).to_be_bytes())
}

/// A trace id as LLM Observability writes it: 32 hexadecimal digits, or a number of any length.
pub(super) fn any_trace_id(text: &str) -> Option<TraceId> {
    if text.len() == 32
        && let Ok(id) = text.parse()
    {
        return Some(id);
    }
    // ddtrace 2.x writes it in hexadecimal without zeros before it.
    let is_short = !text.is_empty() && text.len() <= 32;
    let hexadecimal = || u128::from_str_radix(text, 16).ok().filter(|_| is_short);
    let number: u128 = text.parse().ok().or_else(hexadecimal)?;
    (number != 0).then(|| TraceId::from_bytes(number.to_be_bytes()))
}

pub(super) fn span_id(number: u64) -> Option<SpanId> {
    (number != 0).then(|| SpanId::from_bytes(number.to_be_bytes()))
}

/// A copy that does not keep the request's body.
pub(super) fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

pub(super) fn attribute(name: impl Into<Bytes>, value: Value) -> KeyValue {
    KeyValue { key: name.into(), value: Some(AnyValue { value: Some(value) }) }
}

pub(super) fn text_attribute(name: impl Into<Bytes>, text: impl Into<Bytes>) -> KeyValue {
    attribute(name, Value::Text(text.into()))
}

fn read(from: WireSpan, shared: &Shared, sender: &[KeyValue]) -> Result<Read, Reason> {
    if from.trace_id == 0 {
        return Err(Reason::TraceId);
    }
    let id = span_id(from.span_id).ok_or(Reason::SpanId)?;
    let service = if from.service.is_empty() { "unknown_service" } else { &from.service };
    let mut span = Span::new(shared.trace_id(from.trace_id), service, from.name);
    span.span_id = id;
    span.parent_id = span_id(from.parent_id);
    span.source = Source::Datadog;
    if from.start > 0 {
        (span.start_ns, span.duration_ns) = (from.start, from.duration);
    }
    span.env.clone_from(&shared.env);
    span.host.clone_from(&shared.host);
    span.pid = shared.pid;
    span.version = shared.versions.get(&from.service).cloned();
    span.status = if from.failed { Status::Error } else { Status::Unset };
    let mut read = Read {
        incoming: Incoming { span, attributes: Vec::new(), events: Vec::new(), message: None },
        said: None,
        is_llm: from.kind == "llm",
        llm_trace: None,
        lost: 0,
    };
    read.resource(from.resource, &from.kind);
    if !from.kind.is_empty() {
        read.add(text_attribute("span.type", from.kind));
    }
    read.incoming.attributes.extend_from_slice(sender);
    for (name, value) in from.meta {
        read.meta(name, value);
    }
    for (name, value) in &from.metrics {
        read.metric(name, value);
    }
    for (name, bytes) in from.structs {
        read.structure(name, bytes);
    }
    if let Some(links) = &from.links {
        read.links(&links.to_json());
    }
    for event in from.events.as_ref().and_then(Item::list).unwrap_or_default() {
        read.event(&event.to_json());
    }
    Ok(read)
}

impl Read {
    fn add(&mut self, attribute: KeyValue) {
        self.incoming.attributes.push(attribute);
    }

    /// An agent would take the values out of a statement; here it is protected as one that
    /// OpenTelemetry sends.
    fn resource(&mut self, resource: String, kind: &str) {
        if resource.is_empty() {
            return;
        }
        if !STATEMENTS.contains(&kind) {
            self.incoming.span.resource = Some(resource);
            return;
        }
        let verb = resource.split_whitespace().next().unwrap_or_default();
        self.incoming.span.resource = Some(verb.chars().take(32).collect());
        self.add(text_attribute("db.query.text", resource));
    }

    fn meta(&mut self, name: Bytes, value: Bytes) {
        let Ok(known) = std::str::from_utf8(&name) else { return };
        let span = &mut self.incoming.span;
        match known {
            "span.kind" => {
                span.kind = match utf8(&value).to_ascii_lowercase().as_str() {
                    "server" => SpanKind::Server,
                    "client" => SpanKind::Client,
                    "producer" => SpanKind::Producer,
                    "consumer" => SpanKind::Consumer,
                    _ => SpanKind::Internal,
                };
            }
            // Of the chunk, and taken from it.
            "env" | "host" | "version" | "language" => {}
            // A tag that an app sets, beside the span's own field.
            "error" => {
                if value.eq_ignore_ascii_case(b"true") || value == "1" {
                    span.status = Status::Error;
                }
            }
            "gen_ai.application.name" => {
                self.add(text_attribute("gen_ai.application_name", value));
            }
            "_dd.code_origin.frames.0.file" => self.add(text_attribute("code.file.path", value)),
            "_dd.code_origin.frames.0.method" => {
                self.add(text_attribute("code.function.name", value));
            }
            "_dd.code_origin.frames.0.line" => {
                if let Ok(line) = utf8(&value).parse() {
                    self.add(attribute("code.line.number", Value::Int(line)));
                }
            }
            "_dd.span_links" => {
                if let Ok(links) = serde_json::from_slice::<Json>(&value) {
                    self.links(&links);
                }
            }
            "events" => match serde_json::from_slice::<Json>(&value) {
                Ok(Json::Array(events)) => events.iter().for_each(|event| self.event(event)),
                _ => self.add(text_attribute(name, value)),
            },
            "_dd.p.llmobs_trace_id" | "llmobs_trace_id" => {
                self.llm_trace = any_trace_id(&utf8(&value)).or(self.llm_trace);
            }
            "_dd.llmobs.submitted" | "_dd.llmobs.artificial_gen_ai_tags" => self.is_llm = true,
            // Its own service where an integration's has another name, such as `requests`.
            "_dd.base_service" | "_dd.origin" => self.add(text_attribute(name, value)),
            noise if noise.starts_with("_dd.") || NOISE.contains(&noise) => {}
            _ => self.add(text_attribute(name, value)),
        }
    }

    fn metric(&mut self, name: &Bytes, value: &Item) {
        let Ok(known) = std::str::from_utf8(name) else { return };
        // The pid is the chunk's.
        if known == "process_id" || known.starts_with("_dd.") || NOISE.contains(&known) {
            return;
        }
        if let Some(value) = value.to_value() {
            self.add(attribute(name.clone(), value));
        }
    }

    /// A document beside the texts. What LLM Observability says is looked at further on; others, such
    /// as stacks, are kept in JSON.
    fn structure(&mut self, name: Bytes, packed: Bytes) {
        let json = match Item::unpack(&packed) {
            Ok(item) => item.to_json(),
            Err(error) => {
                tracing::debug!(%error, "a document of a span cannot be read");
                self.lost += 1;
                return;
            }
        };
        if name == "_llmobs" {
            self.is_llm = true;
            self.said = Some(json);
            return;
        }
        let name = format!("meta_struct.{}", utf8(&name));
        self.add(text_attribute(name, json.to_string()));
    }

    fn links(&mut self, links: &Json) {
        for (at, link) in links.as_array().into_iter().flatten().take(MAX_LINKS).enumerate() {
            let lower = &link["trace_id"];
            let trace = match (lower.as_u64(), lower.as_str()) {
                (Some(lower), _) => {
                    Some(trace_id(link["trace_id_high"].as_u64().unwrap_or(0), lower))
                }
                (None, Some(text)) => any_trace_id(text),
                (None, None) => None,
            };
            let linked = match (link["span_id"].as_u64(), link["span_id"].as_str()) {
                (Some(number), _) => span_id(number),
                // In JSON it is hexadecimal.
                (None, Some(text)) => text.parse().ok(),
                (None, None) => None,
            };
            if let (Some(trace), Some(linked)) = (trace, linked) {
                let attributes = &mut self.incoming.span.attributes;
                attributes.set(format!("link.{at}.trace_id"), trace.to_string());
                attributes.set(format!("link.{at}.span_id"), linked.to_string());
            }
        }
    }

    fn event(&mut self, event: &Json) {
        let Some(name) = event["name"].as_str() else { return };
        if self.incoming.events.len() >= MAX_EVENTS {
            return;
        }
        let value = |value: &Json| Value::from(plain(value));
        let attributes = event["attributes"].as_object();
        let attributes = attributes.into_iter().flatten().filter(|(_, value)| !value.is_null());
        self.incoming.events.push(Event {
            time_ns: event["time_unix_nano"].as_u64().unwrap_or_default(),
            name: name.to_owned(),
            attributes: attributes
                .map(|(name, given)| attribute(name.clone(), value(given)))
                .collect(),
            body: None,
        });
    }
}

/// A value of an event's attribute: bare in JSON, and else `{"type": 0, "string_value": "x"}`.
fn plain(value: &Json) -> Json {
    let Json::Object(map) = value else { return value.clone() };
    if let Some(values) = map.get("array_value") {
        let values = values["values"].as_array().into_iter().flatten();
        return values.map(plain).collect();
    }
    let names = ["string_value", "bool_value", "int_value", "double_value"];
    let found = names.iter().find_map(|name| map.get(*name));
    found.cloned().unwrap_or_else(|| value.clone())
}
