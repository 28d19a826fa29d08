//! Spans of OTLP.

use andon_model::{RawText, Source, Span, SpanId, SpanKind, Status, TraceId};
use bytes::Bytes;
use prost::Message;

use super::{
    export::{Rejections, Shared},
    wire::{self, TracesRequest},
};
use crate::{
    intake::{Batch, Reason},
    normalise::{self, Event, Incoming, Origin},
    value::{some_text, utf8},
};

/// Links that are kept of one span.
const MAX_LINKS: usize = 16;

pub(super) fn observe(request: TracesRequest, rejections: &mut Rejections) -> Batch {
    let mut batch = Batch::default();
    let mut shared = Shared::new();
    for resource in request.resource_spans {
        let from = resource.resource.unwrap_or_default();
        let bytes = from.encoded_len();
        let origin = Origin { attributes: from.attributes };
        for scope in resource.scope_spans {
            let named = scope.scope.unwrap_or_default();
            let bytes = bytes + named.encoded_len();
            for span in scope.spans {
                if !shared.take(1, bytes) {
                    rejections.add(Reason::TooLarge);
                    continue;
                }
                match incoming(span, &named) {
                    Ok(incoming) => batch.spans.push(normalise::observe(&origin, incoming)),
                    Err(reason) => rejections.add(reason),
                }
            }
        }
    }
    batch
}

/// An id of all its bytes, not all of them 0.
pub(super) fn trace_id(bytes: &Bytes) -> Option<TraceId> {
    let bytes: [u8; 16] = bytes.as_ref().try_into().ok()?;
    (bytes != [0; 16]).then(|| TraceId::from_bytes(bytes))
}

/// As [`trace_id`].
pub(super) fn span_id(bytes: &Bytes) -> Option<SpanId> {
    let bytes: [u8; 8] = bytes.as_ref().try_into().ok()?;
    (bytes != [0; 8]).then(|| SpanId::from_bytes(bytes))
}

fn incoming(from: wire::Span, scope: &wire::Scope) -> Result<Incoming, Reason> {
    let trace_id = trace_id(&from.trace_id).ok_or(Reason::TraceId)?;
    let span_id = span_id(&from.span_id).ok_or(Reason::SpanId)?;
    let mut span = Span {
        trace_id,
        span_id,
        parent_id: self::span_id(&from.parent_span_id),
        service: "unknown_service".to_owned(),
        name: utf8(&from.name).into_owned(),
        ..Span::default()
    };
    span.source = Source::Otlp;
    span.kind = match from.kind {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    };
    // A start that is not said is the end's, and that of both is now.
    let (start, end) = (from.start_time_unix_nano, from.end_time_unix_nano);
    span.start_ns = match (start, end) {
        (0, 0) => Span::now_ns(),
        (0, end) => end,
        (start, _) => start,
    };
    span.duration_ns = end.saturating_sub(span.start_ns);
    let status = from.status.unwrap_or_default();
    span.status = match status.code {
        1 => Status::Ok,
        2 => Status::Error,
        _ => Status::Unset,
    };
    if let Some(name) = some_text(&scope.name) {
        span.attributes.set("otel.scope.name", name);
    }
    if let Some(version) = some_text(&scope.version) {
        span.attributes.set("otel.scope.version", version);
    }
    if from.dropped_attributes_count > 0 {
        let count = u64::from(from.dropped_attributes_count);
        span.attributes.set("otel.dropped_attributes_count", count);
    }
    if let Some(state) = some_text(&from.trace_state) {
        span.attributes.set("otel.trace_state", state);
    }
    for (at, link) in from.links.iter().take(MAX_LINKS).enumerate() {
        if let (Some(trace), Some(linked)) =
            (self::trace_id(&link.trace_id), self::span_id(&link.span_id))
        {
            span.attributes.set(format!("link.{at}.trace_id"), trace.to_string());
            span.attributes.set(format!("link.{at}.span_id"), linked.to_string());
        }
    }
    let event = |event: wire::Event| Event {
        time_ns: event.time_unix_nano,
        name: utf8(&event.name).into_owned(),
        attributes: event.attributes,
        body: None,
    };
    Ok(Incoming {
        span,
        attributes: from.attributes,
        events: from.events.into_iter().map(event).collect(),
        message: some_text(&status.message).map(RawText::new),
    })
}
