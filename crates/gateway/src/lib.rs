//! The way of a question: gateway, proxy, queue, runtime; and the recorder that all of them share.
//!
//! A request never waits for telemetry: what was seen goes through a bounded channel
//! ([`recorder`]) and is dropped, counted, when that is full. What a newcomer gets wrong: a call
//! ends in many ways (answered, failed, timed out, client gone because the future was dropped), and
//! each of them must leave a span, so spans are finished by guards, not by the last line of a
//! function.

mod answer;
mod capture;
mod error;
mod failure;
mod gateway;
mod headers;
mod live;
mod proxy;
mod queue;
mod recorder;
mod request;
mod response;
mod runtime;
mod sse;

pub use answer::{ChatAnswer, ChatEvents, ChatFailure, ChatStart, TextPiece, TimingsMs};
pub use capture::{Admitted, Capture, CaptureConfig, Denied, Door, Entrance};
pub use error::{ChatError, ErrorCode};
pub use gateway::{Gateway, GatewayConfig, ProxyLink};
pub use headers::{REQUEST_ID, TRACE_ID};
pub use live::{LiveCalls, PhaseEvent};
pub use proxy::{Proxy, ProxyConfig};
pub use recorder::{DropCounts, Recorded, Recorder, RecorderConfig};
pub use request::{ChatRequest, Role, Turn};
pub use runtime::{
    Crash, DetectError, DiscoveredModel, Experts, Hours, HoursError, HttpClient, KeepError, Kept,
    KeptState, MOST_KEPT, ModelKeeper, ModelOf, OllamaLog, RuntimeCatalog, RuntimeInfo,
    RuntimeKind, RuntimeLoad, RuntimeMemory, RuntimeState, RuntimeTarget, ToKeep, WrittenHours,
    detect, follow_progress, http_client, list_models,
};

use serde::{Deserialize, Serialize};

/// A route of the chat page and the model behind it, as the original application had them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `/chat`, for example.
    pub path: String,
    pub model: String,
    /// Output limit in tokens, sent as `num_predict`.
    #[serde(default = "Route::default_max_tokens")]
    pub max_tokens: u32,
}

impl Route {
    fn default_max_tokens() -> u32 {
        40
    }

    /// The original's two routes.
    pub fn defaults() -> Vec<Self> {
        [("/chat", "tinyllama:latest"), ("/granite", "granite3.2:2b")]
            .into_iter()
            .map(|(path, model)| Self {
                path: path.to_owned(),
                model: model.to_owned(),
                max_tokens: Self::default_max_tokens(),
            })
            .collect()
    }
}
