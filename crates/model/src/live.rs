//! Calls that run now.

use serde::{Deserialize, Serialize};

use crate::{RequestId, SpanId, TraceId, UnixNanos};

/// What a call to a model is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waiting for its turn.
    Queue,
    /// The runtime is loading the model.
    Load,
    /// The runtime is reading the prompt.
    Prompt,
    /// The runtime is writing the answer.
    Generate,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Load => "load",
            Self::Prompt => "prompt",
            Self::Generate => "generate",
        }
    }
}

/// One call that runs now. Holds no text of prompt or answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LiveCall {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub request_id: Option<RequestId>,
    pub service: String,
    pub route: String,
    pub model: String,
    #[schema(value_type = u64)]
    pub start_ns: UnixNanos,
    pub phase: Phase,
    #[schema(value_type = u64)]
    pub phase_since_ns: UnixNanos,
    /// 1 = next in line; only while `phase` is `queue`.
    pub queue_position: Option<u32>,
    /// Share of the model that is loaded, 0 to 1, where the runtime says it.
    pub load_progress: Option<f64>,
    /// Prompt tokens read so far, cached ones included.
    pub prompt_done: Option<u64>,
    pub prompt_total: Option<u64>,
    /// Prompt tokens taken from the runtime's cache.
    pub prompt_cached: Option<u64>,
    /// The part of the prompt that was another one before, so that the cache after it was of no use:
    /// `system`, `message 3`; known of captured calls, once somebody looks.
    pub prompt_parted_at: Option<String>,
    /// Pieces of the answer received so far; a runtime sends about one token a piece.
    pub tokens: u64,
    pub tokens_per_s: Option<f64>,
    /// Milliseconds until this phase ends, as far as known.
    pub eta_ms: Option<u64>,
    /// Whether `eta_ms` rests on the runtime's own progress.
    pub eta_exact: bool,
}
