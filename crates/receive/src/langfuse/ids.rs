//! Langfuse's ids are texts that clients choose: UUIDs by its older SDKs, OpenTelemetry's by newer ones.

use andon_model::{SpanId, TraceId};

/// A UUID or an id of OpenTelemetry is itself; any other text has an id of its own.
pub(super) fn trace(id: &str) -> TraceId {
    id.replace('-', "").parse().unwrap_or_else(|_| TraceId::named(id))
}

/// A UUID is twice as long as a span's id: as any other text it has an id of its own.
pub(super) fn observation(id: &str) -> SpanId {
    id.parse().unwrap_or_else(|_| SpanId::named(id))
}

/// Of the span that stands for a trace itself, which has a name, an input and an output there.
pub(super) fn root(id: &str) -> SpanId {
    SpanId::named(&format!("trace {id}"))
}
