//! From a body to what is kept of it, durably.

use std::collections::HashSet;

use andon_model::{LlmKind, Observation, PARTIAL, SpanId, TraceId};
use bytes::Bytes;
use serde_json::Value as Json;

use super::{
    Datadog, apm, evaluations,
    http::Wrong,
    llm::{self, Said},
    memory::Half,
    wire::{self, Version},
};
use crate::{
    intake::{Batch, Protocol, Reason, Refused},
    normalise::{self, Incoming, Origin},
    value::KeyValue,
};

/// Spans of one request of LLM Observability; clients send a thousand at most.
const MAX_LLM_SPANS: usize = 20_000;

/// What a request came to.
#[derive(Default)]
struct Gathered {
    spans: Vec<Observation>,
    /// Spans that were put together with what is remembered: each once, or a request that names one of
    /// them in a hundred thousand places would become as many copies.
    joined: HashSet<(TraceId, SpanId)>,
    halves: Vec<Half>,
    rejected: Vec<Reason>,
    /// Something was learned that evaluations may wait for.
    news: bool,
}

impl Datadog {
    pub(super) async fn keep_traces(
        &self,
        version: Version,
        is_json: bool,
        body: Bytes,
        sender: &[KeyValue],
    ) -> Result<(), Wrong> {
        let mut gathered = Gathered::default();
        // Some clients ask with nothing whether there is an agent.
        if !body.is_empty() {
            wire::read(version, is_json, &body, |chunk| {
                let mut rejected = Vec::new();
                for read in apm::chunk(chunk, sender, &mut rejected) {
                    self.gather(read, &mut gathered);
                }
                gathered.rejected.append(&mut rejected);
            })?;
        }
        // Nothing is a part of it any more, and what waits to be durable is long in coming.
        drop(body);
        Ok(self.keep(gathered).await?)
    }

    fn gather(&self, read: apm::Read, gathered: &mut Gathered) {
        let apm::Read { mut incoming, said, is_llm, llm_trace, .. } = read;
        if let Some(llm) = llm_trace {
            self.memory.learn_trace(llm, incoming.span.trace_id);
            gathered.news = true;
        }
        let ids = (incoming.span.trace_id, incoming.span.span_id);
        if let Some(said) = said.and_then(Said::read) {
            said.add_to(&mut incoming);
            self.memory.learn_whole(&incoming, &said);
            gathered.news = true;
        } else if !gathered.joined.contains(&ids) {
            self.join(is_llm, &mut incoming, gathered);
        }
        gathered.spans.push(observe(incoming));
    }

    fn join(&self, is_llm: bool, incoming: &mut Incoming, gathered: &mut Gathered) {
        let ids = (incoming.span.trace_id, incoming.span.span_id);
        if is_llm {
            gathered.joined.insert(ids);
            let half = self.memory.join_apm(incoming);
            if !half.has_event {
                keep_back(incoming);
                // Where the store can replace it, however much comes before its event does.
                incoming.span.attributes.set(PARTIAL, true);
                // Its event says what it was; that it was about a model is known.
                incoming.span.llm_kind.get_or_insert(LlmKind::Workflow);
            }
            gathered.halves.push(half);
            gathered.news = true;
        } else if let Some(event) = self.memory.event_of(incoming) {
            gathered.joined.insert(ids);
            event.said.add_to(incoming);
        }
    }

    /// A list of events with a span each, or one event with several.
    pub(super) async fn keep_llm_spans(&self, body: Bytes) -> Result<(), Wrong> {
        let read = wire::json(&body)?;
        drop(body);
        let events = match read {
            Json::Array(events) => events,
            one => vec![one],
        };
        let mut gathered = Gathered { news: true, ..Gathered::default() };
        let mut is_known = events.is_empty();
        for mut event in events {
            // Not by its index, which panics where an event is no object.
            let spans = event.get_mut("spans").map(Json::take);
            let Some(Json::Array(spans)) = spans else { continue };
            is_known = true;
            for span in spans {
                if gathered.spans.len() >= MAX_LLM_SPANS {
                    gathered.rejected.push(Reason::TooLarge);
                    continue;
                }
                let Some(event) = llm::Event::read(span) else {
                    gathered.rejected.push(Reason::SpanId);
                    continue;
                };
                if !gathered.joined.insert((event.trace_id, event.span_id)) {
                    gathered.rejected.push(Reason::SpanId);
                    continue;
                }
                let (incoming, half) = self.memory.join_event(event);
                gathered.halves.push(half);
                gathered.spans.push(observe(incoming));
            }
        }
        if !is_known {
            return Err(Wrong::Without("spans"));
        }
        Ok(self.keep(gathered).await?)
    }

    async fn keep(&self, gathered: Gathered) -> Result<(), Refused> {
        let Gathered { spans, halves, rejected, news, .. } = gathered;
        for reason in rejected {
            self.intake.reject(Protocol::Datadog, reason, 1);
        }
        let mut evaluations = Vec::new();
        if news {
            self.memory.tell();
            evaluations = self.memory.found_late();
        }
        let again = evaluations.clone();
        let batch = Batch { spans, evaluations, ..Batch::default() };
        if let Err(refused) = self.intake.keep(Protocol::Datadog, batch).await {
            // Found again with the next span of any call.
            again.into_iter().for_each(|judgement| self.memory.remember_late(judgement));
            return Err(refused);
        }
        let completed = self.memory.completed(&halves);
        let spans: Vec<_> = completed.into_iter().map(observe).collect();
        self.intake.keep(Protocol::Datadog, Batch { spans, ..Batch::default() }).await
    }

    pub(super) async fn keep_evaluations(&self, body: &Bytes) -> Result<(), Wrong> {
        let mut rejected = Vec::new();
        let read = evaluations::read(&wire::json(body)?, &mut rejected);
        let mut evaluations = read.ok_or(Wrong::Without("evaluations"))?;
        for reason in rejected {
            self.intake.reject(Protocol::Datadog, reason, 1);
        }
        let permit = self.waiting.try_acquire();
        let late = evaluations.resolve(&self.memory, permit.is_ok()).await;
        drop(permit);
        let mut all = evaluations.found;
        all.extend(late.iter().cloned());
        let batch = Batch { evaluations: all, ..Batch::default() };
        self.intake.keep(Protocol::Datadog, batch).await?;
        late.into_iter().for_each(|judgement| self.memory.remember_late(judgement));
        // A span may have come while they were stored.
        self.keep(Gathered { news: true, ..Gathered::default() }).await?;
        match evaluations.lost {
            0 => Ok(()),
            lost => Err(Wrong::Unjoined(lost)),
        }
    }
}

fn observe(incoming: Incoming) -> Observation {
    normalise::observe(&Origin::default(), incoming)
}

/// The half without the words of its failure, which quote what was asked: its event has the texts to compare
/// them with, and the words as well. What kind of failure it is stays.
fn keep_back(incoming: &mut Incoming) {
    incoming.message = None;
    incoming.attributes.retain(|attribute| {
        !matches!(attribute.key.as_ref(), b"error.message" | b"error.msg" | b"error.stack")
    });
}
