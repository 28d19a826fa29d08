//! Events of a span: messages, exceptions, the first token, and what an app noted.

use andon_model::{Span, UnixNanos};
use serde_json::Value as Json;

use super::{
    Fields, RawAttributes,
    messages::{Reader, Side},
    table::{self, Field},
};
use crate::value::{AnyValue, KeyValue, Value};

/// Something at one moment of a span.
pub(crate) struct Event {
    pub(crate) time_ns: UnixNanos,
    pub(crate) name: String,
    pub(crate) attributes: Vec<KeyValue>,
    /// A log record has one.
    pub(crate) body: Option<AnyValue>,
}

/// Events that are kept of one span; the rest are counted.
const MAX_KEPT: usize = 32;

/// Names of events that carry one message each, with the role that the name implies.
const MESSAGES: [(&str, &str, Side); 4] = [
    ("gen_ai.system.message", "system", Side::Input),
    ("gen_ai.user.message", "user", Side::Input),
    ("gen_ai.assistant.message", "assistant", Side::Input),
    ("gen_ai.tool.message", "tool", Side::Input),
];
const CHOICE: &str = "gen_ai.choice";
/// All of a call in one event: its attributes are those of a span.
const DETAILS: &str = "gen_ai.client.inference.operation.details";
const PROMPT: &str = "gen_ai.content.prompt";
const COMPLETION: &str = "gen_ai.content.completion";
/// One a piece of a streamed answer: only the first of them says something.
const CHUNKS: [&str; 3] =
    ["llm.content.completion.chunk", "gen_ai.content.completion.chunk", "First Token Stream Event"];

/// What events say of a field comes after what attributes do, whose places are below this.
pub(super) const PLACES: u8 = 100;

pub(crate) fn is_message(name: &str) -> bool {
    name == CHOICE
        || name == DETAILS
        || name == PROMPT
        || name == COMPLETION
        || MESSAGES.iter().any(|(known, ..)| *known == name)
}

/// Fields that an event's attributes are for, behind those of the span itself.
pub(super) fn offer<'a>(event: &'a Event, fields: &mut Fields<'a>) {
    let is_exception = event.name == "exception";
    if event.name != DETAILS && !is_exception {
        return;
    }
    for attribute in &event.attributes {
        let (Some(value), Ok(name)) = (attribute.value(), std::str::from_utf8(&attribute.key))
        else {
            continue;
        };
        if let Some((field, place)) = table::field_of(name)
            && is_exception == matches!(field, Field::ErrorType | Field::ErrorMessage)
        {
            fields.offer(field, place + PLACES, name, value);
        }
    }
}

/// The messages of one side that events carry.
pub(super) fn messages(events: &[Event], reader: &mut Reader<'_>) {
    for event in events {
        message(event, reader);
    }
}

/// One message, where the event is one of the reader's side.
pub(crate) fn message(event: &Event, reader: &mut Reader<'_>) {
    let attribute = |name: &str| {
        let found = event.attributes.iter().find(|attribute| attribute.key == name.as_bytes());
        found.and_then(KeyValue::value)
    };
    let whole = match (event.name.as_str(), reader.side) {
        (PROMPT, Side::Input) => attribute("gen_ai.prompt"),
        (COMPLETION, Side::Output) => attribute("gen_ai.completion"),
        _ => None,
    };
    if let Some(value) = whole {
        return reader.text(&value.to_words());
    }
    if event.name == CHOICE && reader.side == Side::Output {
        let mut said = body(event);
        if said.get("message").is_none_or(|message| !message.is_object()) {
            said = serde_json::json!({ "message": said });
        }
        default_role(&mut said["message"], "assistant");
        return reader.messages(&said);
    }
    let known = MESSAGES.iter().find(|(name, _, side)| *name == event.name && *side == reader.side);
    if let Some((_, role, _)) = known {
        let mut said = body(event);
        default_role(&mut said, role);
        reader.messages(&said);
    }
}

/// What an event says: the body of a log record, or the attributes of a span's event.
fn body(event: &Event) -> Json {
    if let Some(value) = event.body.as_ref().and_then(|body| body.value.as_ref()) {
        return match value {
            Value::Text(text) => serde_json::from_slice(text)
                .unwrap_or_else(|_| serde_json::json!({"content": String::from_utf8_lossy(text)})),
            other => other.to_json(),
        };
    }
    let entry = |attribute: &KeyValue| {
        let name = String::from_utf8_lossy(&attribute.key).into_owned();
        let value = attribute.value().map_or(Json::Null, |value| match value {
            // JSON in a text, where it is an object or a list.
            Value::Text(text) if text.starts_with(b"{") || text.starts_with(b"[") => {
                serde_json::from_slice(text).unwrap_or_else(|_| value.to_json())
            }
            other => other.to_json(),
        });
        (name, value)
    };
    Json::Object(event.attributes.iter().map(entry).collect())
}

fn default_role(message: &mut Json, role: &str) {
    if let Json::Object(map) = message {
        map.entry("role").or_insert_with(|| role.into());
    }
}

/// Events that are no messages, as numbered attributes.
pub(super) fn keep(events: &[Event], span: &mut Span, raw: &mut RawAttributes) {
    let mut kept = 0;
    for event in events {
        if CHUNKS.contains(&event.name.as_str()) {
            let since = event.time_ns.checked_sub(span.start_ns);
            span.timings.ttft_ns = span.timings.ttft_ns.or(since);
            continue;
        }
        if is_message(&event.name) {
            continue;
        }
        kept += 1;
        if kept > MAX_KEPT {
            continue;
        }
        let at = kept - 1;
        raw.set(format!("event.{at}.name"), event.name.as_str().into());
        raw.set(format!("event.{at}.time_ns"), event.time_ns.into());
        for attribute in &event.attributes {
            let (Some(value), Ok(name)) = (attribute.value(), std::str::from_utf8(&attribute.key))
            else {
                continue;
            };
            raw.event(at, name, value);
        }
    }
    if kept > MAX_KEPT {
        span.attributes.set("event.omitted", (kept - MAX_KEPT) as u64);
    }
}

impl RawAttributes {
    /// As [`Self::add`], by the name that the event has for it.
    fn event(&mut self, at: usize, name: &str, value: &Value) {
        let full = format!("event.{at}.{name}");
        match value {
            Value::Bool(_) | Value::Int(_) | Value::Double(_) => self.add(full, value),
            other => {
                let text = super::names::tidy(name, other.to_words());
                match super::names::holds(name, &text) {
                    None => self.set(full, text.into()),
                    Some(holds) => self.hold(full, text, holds),
                }
            }
        }
    }
}
