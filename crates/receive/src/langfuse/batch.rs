//! Batches of events: `POST /api/public/ingestion`, which Langfuse's SDKs before its third send, and the
//! filters and integrations that were written for these.
//!
//! Source: Langfuse's public API (`ingestion`), and what its Python SDK 2 and its JavaScript SDK 3 were
//! seen to send. The latter sends an update before what it updates, where that holds an image.

use std::fmt;

use andon_model::{Judgement, Span, TraceId, UnixNanos};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::{Value as Json, json, value::RawValue};

use super::{
    memory::Event,
    said::{Said, nanoseconds},
    score::{self, Score},
};

/// Events of one batch. Clients send 15 to some hundreds.
const MAX_EVENTS: usize = 10_000;

/// A request. Its events are read one by one, so that one which is wrong costs no other.
#[derive(Deserialize)]
pub(super) struct Request<'a> {
    #[serde(borrow, deserialize_with = "bounded")]
    batch: Vec<&'a RawValue>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    public_key: Option<Json>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    id: Json,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// What a batch held, and what is to be said of each of its events.
#[derive(Default)]
pub(super) struct Read {
    pub(super) events: Vec<Event>,
    pub(super) scores: Vec<Judgement>,
    /// Logs of the SDK itself, which nobody would look for here.
    pub(super) not_kept: u64,
    successes: Vec<Json>,
    errors: Vec<Json>,
}

impl Request<'_> {
    pub(super) fn of(bytes: &Bytes) -> Result<Request<'_>, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Of which app's key it is, where the request says that.
    pub(super) fn public_key(&self) -> Option<&str> {
        self.metadata.as_ref()?.public_key.as_ref()?.as_str()
    }

    pub(super) fn read(&self) -> Read {
        let mut read = Read::default();
        for event in &self.batch {
            read.event(event);
        }
        read
    }
}

impl Read {
    /// In Langfuse's own form: some may be taken and others not.
    pub(super) fn answer(self) -> Json {
        json!({"successes": self.successes, "errors": self.errors})
    }

    pub(super) fn wrong(&self) -> u64 {
        self.errors.len() as u64
    }

    fn event(&mut self, raw: &RawValue) {
        let envelope: Envelope = match serde_json::from_str(raw.get()) {
            Ok(envelope) => envelope,
            Err(error) => return self.refuse(Json::Null, &format!("it is no event: {error}")),
        };
        let id = envelope.id.clone();
        match self.take(envelope) {
            Ok(()) => self.successes.push(json!({"id": id, "status": 201})),
            Err(what) => self.refuse(id, &what),
        }
    }

    fn refuse(&mut self, id: Json, message: &str) {
        let error = "Invalid request data";
        self.errors.push(json!({"id": id, "status": 400, "message": message, "error": error}));
    }

    fn take(&mut self, envelope: Envelope) -> Result<(), String> {
        let kind = envelope.kind.as_str();
        let time = envelope.timestamp.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        let seen_ns = time.and_then(nanoseconds).unwrap_or_else(Span::now_ns);
        let body = envelope.body.ok_or("it has no body")?.get();
        let read = |error: serde_json::Error| format!("its body: {error}");
        match kind {
            "sdk-log" => self.not_kept += 1,
            "score-create" => {
                let mut score: Score = serde_json::from_str(body).map_err(read)?;
                score.timestamp = score.timestamp.or(envelope.timestamp);
                self.scores.push(score::judgement(score)?);
            }
            "trace-create" => {
                let said = serde_json::from_str(body).map_err(read)?;
                self.events.push(trace(said, || own_id(&envelope.id, body), seen_ns));
            }
            _ => {
                let (of, is_update) = of_observation(kind)
                    .ok_or_else(|| format!("nothing is known of events of the type {kind:?}"))?;
                let mut said: Said = serde_json::from_str(body).map_err(read)?;
                if !is_update && said.id.is_none() {
                    said.id = Some(own_id(&envelope.id, body));
                }
                self.events.push(observation(said, of, is_update, seen_ns)?);
            }
        }
        Ok(())
    }
}

/// What is created or updated: `generation`, `span`, and in later versions the kinds of observations that
/// its OpenTelemetry attributes have.
fn of_observation(kind: &str) -> Option<(&str, bool)> {
    let (of, is_update) = match kind.strip_suffix("-create") {
        Some(of) => (of, false),
        None => (kind.strip_suffix("-update")?, true),
    };
    let known = [
        "span",
        "generation",
        "event",
        "observation",
        "agent",
        "tool",
        "chain",
        "retriever",
        "evaluator",
        "embedding",
        "guardrail",
    ];
    known.contains(&of).then_some((of, is_update))
}

/// For what has no id: the event's, or one made of the body, so that the same sent again is the same.
fn own_id(event: &Json, body: &str) -> String {
    let of_event = event.as_str().filter(|id| !id.is_empty());
    of_event.map_or_else(|| TraceId::named(body).to_string(), str::to_owned)
}

fn trace(mut said: Said, own_id: impl FnOnce() -> String, seen_ns: UnixNanos) -> Event {
    let id = said.id.take().unwrap_or_else(own_id);
    Event::Trace { id, said, seen_ns }
}

fn observation(
    mut said: Said,
    of: &str,
    is_update: bool,
    seen_ns: UnixNanos,
) -> Result<Event, String> {
    let id = said.id.take().ok_or("it does not say the id of what it updates")?;
    if of != "observation" {
        said.kind = Some(of.to_owned());
    }
    // Nothing else is in its trace, then.
    let trace_id = said.trace_id.take().unwrap_or_else(|| id.clone());
    Ok(Event::Observation { id, trace_id, said, is_update, seen_ns })
}

/// A list of events that ends with an error where there are too many, instead of filling memory.
fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'de RawValue>, D::Error> {
    struct Events;
    impl<'de> Visitor<'de> for Events {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX_EVENTS} events")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
            let mut events = Vec::new();
            while let Some(event) = all.next_element()? {
                if events.len() == MAX_EVENTS {
                    return Err(A::Error::invalid_length(MAX_EVENTS + 1, &self));
                }
                events.push(event);
            }
            Ok(events)
        }
    }
    deserializer.deserialize_seq(Events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &Json) -> Read {
        let bytes = Bytes::from(json.to_string());
        Request::of(&bytes).unwrap().read()
    }

    #[test]
    fn each_event_is_answered_by_itself() {
        let read = read(&json!({"batch": [
            {"id": "1", "type": "trace-create", "timestamp": "2026-12-01T04:42:11Z",
             "body": {"id": "t", "name": "n"}},
            {"id": "2", "type": "generation-create", "body": {"id": "g", "traceId": "t"}},
            {"id": "3", "type": "generation-create", "body": {"id": "g", "name": [1]}},
            {"id": "4", "type": "no-such", "body": {}},
            {"id": "5", "type": "span-update", "body": {"output": 1}},
            {"id": "6", "type": "score-create", "body": {"traceId": "t", "name": "q", "value": 1}},
            {"id": "7", "type": "score-create", "body": {"name": "q", "value": 1}},
            {"id": "8", "type": "sdk-log", "body": {"log": "x"}},
            {"id": "9", "type": "span-create"},
            5
        ]}));
        assert_eq!((read.events.len(), read.scores.len(), read.not_kept), (2, 1, 1));
        let answer = read.answer();
        let ids = |name: &str| {
            let all = answer[name].as_array().unwrap().iter();
            all.map(|one| one["id"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ids("successes"), ["1", "2", "6", "8"]);
        assert_eq!(ids("errors"), ["3", "4", "5", "7", "9", "-"]);
        let said = answer["errors"].to_string();
        for why in ["expected a text", "no-such", "id of what it updates", "traceId", "no body"] {
            assert!(said.contains(why), "{why}: {said}");
        }
    }

    #[test]
    fn more_events_than_may_be_are_refused() {
        let batch: Vec<_> = (0..=MAX_EVENTS).collect();
        let bytes = Bytes::from(json!({"batch": batch}).to_string());
        let error = Request::of(&bytes).err().unwrap().to_string();
        assert!(error.contains("at most 10000 events"), "{error}");
    }
}
