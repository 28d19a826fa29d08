//! The neutral data of Andon. Every dialect is decoded into these types and every page is drawn
//! from them; this crate does no I/O and knows no wire format.
//!
//! What a newcomer gets wrong: text that came from a prompt or an answer is never a `String` here
//! until `andon-privacy` has looked at it. Before that it is a [`RawText`], which can be neither
//! serialised nor printed.

mod attribute;
mod content;
mod id;
mod live;
pub mod media;
mod memory;
mod metric;
mod named;
mod naming;
mod policy;
mod propagation;
mod raw;
mod sample;
mod span;
mod time;

pub use attribute::{AttributeValue, Attributes};
pub use content::{
    Content, Evaluation, EvaluationSource, LOOSE_PLACES, MetricType, Part, WHOLE_TRACE,
};
pub use id::{IdError, RequestId, SpanId, TraceId};
pub use live::{LiveCall, Phase};
pub use memory::{ModelEvent, ModelEventKind, UnloadReason};
pub use metric::{MetricKind, MetricPoint, Temporality};
pub use named::Named;
pub use naming::{canonical_model, host_of, is_loopback};
pub use policy::{Policy, PolicyError};
pub use propagation::{PropagationError, TraceContext, baggage};
pub use raw::{
    Contents, Holds, Judgement, LooseTexts, Observation, RawAttribute, RawContent, RawMetric,
    RawText,
};
pub use sample::{DeviceKind, DeviceSample, HostSample, ProcessSample};
pub use span::{Cause, LlmKind, PARTIAL, Source, Span, SpanKind, Status, Timings};
pub use time::UnixNanos;
