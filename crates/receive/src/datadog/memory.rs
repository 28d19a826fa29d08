//! What is remembered of calls that LLM Observability knows, since it says in several requests what is
//! one span: the application's span in a trace, an event of its own by ddtrace 2.x, 3.x and dd-trace,
//! and evaluations that name the span by another trace id.
//!
//! Each part is handed on and durable before it is acknowledged; nothing waits here for another part.
//! What comes second is put together with what came first and handed on as the whole, under the trace
//! id and span id that the first had: the store keeps the later of two, as long as the first is in its
//! memory. An application's span without its event is marked ([`andon_model::PARTIAL`]) and stays there for
//! two hours; an event without its application's span stays an hour at most, and less in a flood, since many
//! senders have no such spans. So the order does not matter, and a part that is sent again takes nothing
//! away. A second part that comes after a restart of Andon stands for the whole.
//!
//! What a newcomer gets wrong: an event says the application's trace id, too (`_dd.apm_trace_id`, all
//! clients from 3.10 on and dd-trace; in 2.x both ids are one). So an event that comes first is under the
//! right trace from the start. Where a sender leaves it out, LLM Observability's id stands for it until
//! the partner is known.
//!
//! Bounded in number, age and bytes; the oldest goes first. Texts in here are as they came, and are
//! neither written nor logged.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use andon_model::{Judgement, SpanId, TraceId};

use super::{
    apm::own,
    llm::{self, Said},
};
use crate::{
    normalise::{self, Incoming},
    value::{AnyValue, ArrayValue, KeyValue, KeyValueList, Value},
};

/// Spans that are remembered.
const MAX_SPANS: usize = 10_000;
/// What they may take together. An estimate: of texts it is exact.
const MAX_BYTES: usize = 64 << 20;
/// A larger event is not remembered: it would push out all others. Clients cut theirs at 5 MB.
const MAX_EVENT_BYTES: usize = 8 << 20;
/// A larger span of an application is not, either: its texts are in the event.
const MAX_APM_BYTES: usize = 256 << 10;
/// A call's event comes when it ends, and its trace when all of it has ended.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Of traces only the two ids are remembered, and much longer: people judge an answer hours later.
const MAX_TRACES: usize = 50_000;
const MAX_TRACE_AGE: Duration = Duration::from_secs(24 * 3_600);
/// Evaluations whose span had not come when they were stored.
const MAX_LATE: usize = 1_000;

/// Ways to forgotten spans by their tags that may be there, besides as many as there are to others.
const MOST_STALE: usize = 1_024;

/// Of a span: the upper half of its trace ids, which both of them share, and its own id.
type Key = ([u8; 8], SpanId);

/// Of an app where one is named, and a tag's name and value, hashed with a secret: spans have a dozen tags
/// each, and hardly any is ever asked for.
type Tag = u64;

/// Memory of what came; clones are of the same.
#[derive(Clone)]
pub(super) struct Memory {
    inner: Arc<Mutex<Inner>>,
    /// Tells those who wait for a span that some have come.
    news: Arc<tokio::sync::watch::Sender<u64>>,
}

#[derive(Default)]
struct Inner {
    spans: HashMap<Key, Entry>,
    /// The youngest span with a tag: of an app, and of any. Those that are forgotten since are among them.
    tagged: HashMap<Tag, Key>,
    /// Tags of all spans that are remembered.
    tags: usize,
    hasher: RandomState,
    /// From LLM Observability's trace ids to those of applications.
    traces: HashMap<TraceId, TraceId>,
    /// When each came; also how they are found again to be forgotten.
    spans_by_age: VecDeque<(Instant, Key)>,
    traces_by_age: VecDeque<(Instant, TraceId)>,
    bytes: usize,
    /// Evaluations that are stored under the id that they name, by that.
    late: VecDeque<Judgement>,
}

#[derive(Default)]
struct Entry {
    trace_id: Option<TraceId>,
    tags: Vec<Tag>,
    /// The application's span, before it is normalised.
    apm: Option<Arc<Incoming>>,
    event: Option<Arc<llm::Event>>,
    bytes: usize,
}

/// A span that was handed on with only one part, to be looked at again once it is stored.
#[derive(Clone, Copy)]
pub(super) struct Half {
    key: Key,
    pub(super) has_event: bool,
}

fn key(trace_id: &TraceId, span_id: SpanId) -> Key {
    let mut upper = [0; 8];
    upper.copy_from_slice(&trace_id.as_bytes()[..8]);
    (upper, span_id)
}

impl Memory {
    pub(super) fn new() -> Self {
        let news = Arc::new(tokio::sync::watch::Sender::new(0));
        Self { inner: Arc::default(), news }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked left a map that is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears when something was learned after this.
    pub(super) fn news(&self) -> tokio::sync::watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Says to those who wait that something was learned.
    pub(super) fn tell(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Which trace the applications' spans of one of LLM Observability's traces are in.
    pub(super) fn learn_trace(&self, llm: TraceId, apm: TraceId) {
        self.lock().learn_trace(llm, apm, Instant::now());
    }

    /// An application's span that carries what LLM Observability says within itself.
    pub(super) fn learn_whole(&self, incoming: &Incoming, said: &Said) {
        let (trace_id, span_id) = (incoming.span.trace_id, incoming.span.span_id);
        let mut inner = self.lock();
        let now = Instant::now();
        let entry = inner.entry(key(&trace_id, span_id), now);
        entry.trace_id = Some(trace_id);
        inner.describe(key(&trace_id, span_id), said);
        if let Some(llm) = said.trace_id {
            inner.learn_trace(llm, trace_id, now);
        }
    }

    /// An application's span of which an event may come, or has. Puts the event's words into it.
    pub(super) fn join_apm(&self, incoming: &mut Incoming) -> Half {
        let trace_id = incoming.span.trace_id;
        let key = key(&trace_id, incoming.span.span_id);
        let mut inner = self.lock();
        let now = Instant::now();
        let bytes = weight(incoming);
        if bytes <= MAX_APM_BYTES {
            let part = Arc::new(copy(incoming));
            let entry = inner.entry(key, now);
            // Sent again: the last counts.
            let before = entry.apm.replace(part).map_or(0, |before| weight(&before));
            entry.bytes = (entry.bytes + bytes).saturating_sub(before);
            inner.bytes = (inner.bytes + bytes).saturating_sub(before);
        }
        let entry = inner.entry(key, now);
        entry.trace_id = Some(trace_id);
        let event = entry.event.clone();
        if let Some(llm) = event.as_ref().and_then(|event| event.said.trace_id) {
            inner.learn_trace(llm, trace_id, now);
        }
        inner.shrink(now);
        drop(inner);
        if let Some(event) = &event {
            event.said.add_to(incoming);
        }
        Half { key, has_event: event.is_some() }
    }

    /// The event of a span that does not look as if it had one: older tracers do not mark them.
    pub(super) fn event_of(&self, incoming: &Incoming) -> Option<Arc<llm::Event>> {
        let inner = self.lock();
        let key = key(&incoming.span.trace_id, incoming.span.span_id);
        inner.spans.get(&key)?.event.clone()
    }

    /// An event, together with the application's span where that has come.
    pub(super) fn join_event(&self, event: llm::Event) -> (Incoming, Half) {
        let event = Arc::new(event);
        let named = event.said.trace_id.unwrap_or(event.trace_id);
        let key = key(&event.trace_id, event.span_id);
        let mut inner = self.lock();
        let now = Instant::now();
        if event.weight <= MAX_EVENT_BYTES {
            let entry = inner.entry(key, now);
            let before = entry.event.replace(Arc::clone(&event)).map_or(0, |before| before.weight);
            entry.bytes = (entry.bytes + event.weight).saturating_sub(before);
            inner.bytes = (inner.bytes + event.weight).saturating_sub(before);
        }
        inner.describe(key, &event.said);
        let entry = inner.entry(key, now);
        let trace_id = *entry.trace_id.get_or_insert(event.trace_id);
        let apm = entry.apm.clone();
        // Without the other id, or the partner, it is not known in which trace it is.
        if event.is_certain || apm.is_some() {
            inner.learn_trace(named, trace_id, now);
        }
        inner.shrink(now);
        drop(inner);
        let incoming = match &apm {
            Some(apm) => {
                let mut incoming = copy(apm);
                event.said.add_to(&mut incoming);
                incoming
            }
            None => event.alone(trace_id),
        };
        (incoming, Half { key, has_event: true })
    }

    /// Of spans that were stored as halves, those whose other half came meanwhile: two requests at once
    /// may be stored in either order, and the whole has to be the last.
    pub(super) fn completed(&self, halves: &[Half]) -> Vec<Incoming> {
        let inner = self.lock();
        let mut whole = Vec::new();
        for half in halves {
            let Some(entry) = inner.spans.get(&half.key) else { continue };
            let (Some(apm), Some(event)) = (&entry.apm, &entry.event) else { continue };
            whole.push((half.has_event, Arc::clone(apm), Arc::clone(event)));
        }
        drop(inner);
        let missing = whole.into_iter().filter(|(has_event, ..)| !has_event);
        let put_together = |(_, apm, event): (bool, Arc<Incoming>, Arc<llm::Event>)| {
            let mut incoming = copy(&apm);
            event.said.add_to(&mut incoming);
            incoming
        };
        missing.map(put_together).collect()
    }

    /// The trace of a span that is named by LLM Observability's trace id.
    pub(super) fn trace_of(&self, named: TraceId, span_id: SpanId) -> Option<TraceId> {
        let inner = self.lock();
        let of_span = inner.spans.get(&key(&named, span_id)).and_then(|entry| entry.trace_id);
        of_span.or_else(|| inner.traces.get(&named).copied())
    }

    /// The youngest span with a tag, of an app where one is named.
    pub(super) fn tagged(
        &self,
        (name, value): (&str, &str),
        ml_app: Option<&str>,
    ) -> Option<(TraceId, SpanId)> {
        let inner = self.lock();
        let tag = inner.tag(ml_app, name, value);
        let key = inner.tagged.get(&tag)?;
        let entry = inner.spans.get(key).filter(|entry| entry.tags.contains(&tag))?;
        Some((entry.trace_id?, key.1))
    }

    /// Remembers an evaluation that was stored under the id that it names.
    pub(super) fn remember_late(&self, judgement: Judgement) {
        let mut inner = self.lock();
        if inner.late.len() >= MAX_LATE {
            inner.late.pop_front();
        }
        inner.late.push_back(judgement);
    }

    /// Evaluations of spans that have come by now, under the ids of these.
    pub(super) fn found_late(&self) -> Vec<Judgement> {
        let mut inner = self.lock();
        if inner.late.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let waiting = std::mem::take(&mut inner.late);
        for mut judgement in waiting {
            let named = judgement.evaluation.trace_id;
            let of_span = inner.spans.get(&key(&named, judgement.evaluation.span_id));
            let of_span = of_span.and_then(|entry| entry.trace_id);
            match of_span.or_else(|| inner.traces.get(&named).copied()) {
                None => inner.late.push_back(judgement),
                // It was stored where it belongs.
                Some(trace_id) if trace_id == named => {}
                Some(trace_id) => {
                    judgement.evaluation.trace_id = trace_id;
                    found.push(judgement);
                }
            }
        }
        found
    }
}

impl Inner {
    fn entry(&mut self, key: Key, now: Instant) -> &mut Entry {
        let by_age = &mut self.spans_by_age;
        self.spans.entry(key).or_insert_with(|| {
            by_age.push_back((now, key));
            Entry::default()
        })
    }

    fn tag(&self, ml_app: Option<&str>, name: &str, value: &str) -> Tag {
        self.hasher.hash_one((ml_app, name, value))
    }

    fn describe(&mut self, key: Key, said: &Said) {
        self.forget_tags(key);
        let apps = [said.ml_app.as_deref(), None];
        // Where no app is named, both are of any.
        let apps = if apps[0].is_some() { &apps[..] } else { &apps[1..] };
        let tags = said.tags.iter().flat_map(|tag| apps.iter().map(move |app| (*app, tag)));
        let tags = tags.map(|(app, (name, value))| self.tag(app, name, value)).collect();
        let Some(entry) = self.spans.get_mut(&key) else { return };
        entry.tags = tags;
        let bytes = entry.tags_bytes();
        entry.bytes += bytes;
        self.bytes += bytes;
        self.tags += entry.tags.len();
        self.tagged.extend(entry.tags.iter().map(|tag| (*tag, key)));
        self.shrink(Instant::now());
    }

    /// What finds the tags stays until it is more than half of all: a look for each would cost more than all
    /// else that is done for a span here.
    fn forget_tags(&mut self, key: Key) {
        let Some(entry) = self.spans.get_mut(&key) else { return };
        let bytes = entry.tags_bytes();
        entry.bytes = entry.bytes.saturating_sub(bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.tags -= std::mem::take(&mut entry.tags).len();
        if self.tagged.len() > 2 * self.tags + MOST_STALE {
            let spans = &self.spans;
            self.tagged.retain(|tag, key| spans.get(key).is_some_and(|it| it.tags.contains(tag)));
        }
    }

    fn learn_trace(&mut self, llm: TraceId, apm: TraceId, now: Instant) {
        if self.traces.insert(llm, apm).is_none() {
            self.traces_by_age.push_back((now, llm));
        }
        while let Some((came, oldest)) = self.traces_by_age.front().copied()
            && (self.traces.len() > MAX_TRACES || now.duration_since(came) > MAX_TRACE_AGE)
        {
            self.traces.remove(&oldest);
            self.traces_by_age.pop_front();
        }
    }

    fn shrink(&mut self, now: Instant) {
        while let Some((came, oldest)) = self.spans_by_age.front().copied()
            && (self.spans.len() > MAX_SPANS
                || self.bytes > MAX_BYTES
                || now.duration_since(came) > MAX_AGE)
        {
            self.spans_by_age.pop_front();
            self.forget_tags(oldest);
            if let Some(entry) = self.spans.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(entry.bytes);
            }
        }
    }
}

impl Entry {
    /// In the list, and in what finds it.
    fn tags_bytes(&self) -> usize {
        self.tags.len() * (size_of::<Tag>() + 2 * size_of::<(Tag, Key)>())
    }
}

/// A copy that keeps nothing of a request's body, and lasts as long as it is remembered.
fn copy(of: &Incoming) -> Incoming {
    let events = of.events.iter().map(|event| normalise::Event {
        time_ns: event.time_ns,
        name: event.name.clone(),
        attributes: event.attributes.iter().map(copy_attribute).collect(),
        body: None,
    });
    Incoming {
        span: of.span.clone(),
        attributes: of.attributes.iter().map(copy_attribute).collect(),
        events: events.collect(),
        message: of.message.clone(),
    }
}

fn copy_attribute(of: &KeyValue) -> KeyValue {
    KeyValue { key: own(&of.key), value: of.value.as_ref().map(copy_any) }
}

fn copy_any(of: &AnyValue) -> AnyValue {
    let value = of.value.as_ref().map(|value| match value {
        Value::Text(text) => Value::Text(own(text)),
        Value::Bytes(bytes) => Value::Bytes(own(bytes)),
        Value::Array(array) => {
            Value::Array(ArrayValue { values: array.values.iter().map(copy_any).collect() })
        }
        Value::Map(map) => {
            Value::Map(KeyValueList { values: map.values.iter().map(copy_attribute).collect() })
        }
        Value::Bool(_) | Value::Int(_) | Value::Double(_) => value.clone(),
    });
    AnyValue { value }
}

/// Bytes that a copy takes, about.
fn weight(of: &Incoming) -> usize {
    let attributes = |all: &[KeyValue]| all.iter().map(weight_of).sum::<usize>();
    let events =
        of.events.iter().map(|event| 128 + event.name.len() + attributes(&event.attributes));
    1024 + of.span.attributes.weight() + attributes(&of.attributes) + events.sum::<usize>()
}

fn weight_of(of: &KeyValue) -> usize {
    fn any(of: &AnyValue) -> usize {
        64 + match &of.value {
            Some(Value::Text(bytes) | Value::Bytes(bytes)) => bytes.len(),
            Some(Value::Array(array)) => array.values.iter().map(any).sum(),
            Some(Value::Map(map)) => map.values.iter().map(weight_of).sum(),
            _ => 0,
        }
    }
    32 + of.key.len() + of.value.as_ref().map_or(0, any)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(at: u64, text: &str) -> llm::Event {
        let event = llm::Event::read(json!({
            "trace_id": format!("{at:032x}"), "span_id": at, "tags": [format!("at:{at}"), "all:1"],
            "ml_app": "app", "meta": {"input": {"value": text}}, "name": "call",
        }));
        event.unwrap()
    }

    #[test]
    fn it_forgets_the_oldest_and_never_grows_without_limit() {
        let memory = Memory::new();
        for at in 1..=MAX_SPANS as u64 + 100 {
            memory.join_event(event(at, "x"));
        }
        let inner = memory.lock();
        assert_eq!((inner.spans.len(), inner.spans_by_age.len()), (MAX_SPANS, MAX_SPANS));
        assert_eq!(inner.tags, 4 * MAX_SPANS);
        assert!(inner.tagged.len() <= 8 * MAX_SPANS + MOST_STALE, "{}", inner.tagged.len());
        assert!(inner.bytes <= MAX_BYTES);
        drop(inner);
        assert_eq!(memory.tagged(("at", "1"), Some("app")), None);
        let youngest = MAX_SPANS as u64 + 100;
        let found = memory.tagged(("all", "1"), None).unwrap();
        assert_eq!(found.1, SpanId::from_bytes(youngest.to_be_bytes()));
        assert_eq!(memory.tagged(("all", "1"), Some("another")), None);
        for at in 1..=20 {
            memory.join_event(event(at, &"x".repeat(MAX_EVENT_BYTES - 4096)));
        }
        let inner = memory.lock();
        assert!(inner.bytes <= MAX_BYTES && inner.spans.len() < 20, "{}", inner.bytes);
        let counted: usize = inner.spans.values().map(|entry| entry.bytes).sum();
        assert_eq!(counted, inner.bytes);
    }

    #[test]
    fn what_comes_again_is_counted_once() {
        let memory = Memory::new();
        for _ in 0..100 {
            let (mut incoming, _) = memory.join_event(event(7, "x"));
            memory.join_apm(&mut incoming);
        }
        let inner = memory.lock();
        assert_eq!((inner.spans.len(), inner.spans_by_age.len(), inner.traces.len()), (1, 1, 1));
        let entry = &inner.spans[&inner.spans_by_age[0].1];
        let parts = entry.apm.as_ref().map_or(0, |apm| weight(apm));
        let parts = parts + entry.event.as_ref().map_or(0, |event| event.weight);
        assert_eq!(inner.bytes, parts + entry.tags_bytes());
    }
}
