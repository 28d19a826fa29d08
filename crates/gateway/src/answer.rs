//! What a call answers: the reply, its counts, its times; and the events of a streamed answer.

use andon_model::{Phase, RequestId, SpanId, Timings, TraceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ErrorCode, live::PhaseEvent};

/// Times of one call in milliseconds; unknown is null. `andon_ms` is what is left of the total:
/// gateway, proxy, network and masking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct TimingsMs {
    pub queue_ms: Option<f64>,
    pub load_ms: Option<f64>,
    pub prompt_ms: Option<f64>,
    pub ttft_ms: Option<f64>,
    pub generate_ms: Option<f64>,
    pub andon_ms: Option<f64>,
    pub total_ms: Option<f64>,
}

fn milliseconds(ns: u64) -> f64 {
    (ns / 1_000) as f64 / 1_000.0
}

impl TimingsMs {
    pub(crate) fn new(timings: &Timings, total_ns: u64) -> Self {
        let mut this = Self {
            queue_ms: timings.queue_ns.map(milliseconds),
            load_ms: timings.load_ns.map(milliseconds),
            prompt_ms: timings.prompt_eval_ns.map(milliseconds),
            ttft_ms: timings.ttft_ns.map(milliseconds),
            generate_ms: timings.eval_ns.map(milliseconds),
            andon_ms: None,
            total_ms: None,
        };
        this.set_total(total_ns);
        this
    }

    /// Sets the total as this part of the way saw it, and what is left of it.
    pub(crate) fn set_total(&mut self, total_ns: u64) {
        let total = milliseconds(total_ns);
        let known: f64 = [self.queue_ms, self.load_ms, self.prompt_ms, self.generate_ms]
            .into_iter()
            .flatten()
            .sum();
        self.total_ms = Some(total);
        self.andon_ms = Some(((total - known).max(0.0) * 1_000.0).round() / 1_000.0);
    }

    /// The `Server-Timing` header (W3C «Server Timing»); unknown phases are left out.
    pub(crate) fn server_timing(&self) -> String {
        let ms = |value: Option<f64>| value.unwrap_or(0.0);
        format!(
            "queue;dur={}, load;dur={}, prompt;dur={}, generate;dur={}, andon;dur={}",
            ms(self.queue_ms),
            ms(self.load_ms),
            ms(self.prompt_ms),
            ms(self.generate_ms),
            ms(self.andon_ms)
        )
    }
}

/// A whole answer, as JSON and as the last event of a stream.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ChatAnswer {
    pub reply: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub thinking: Option<String>,
    pub eval_count: Option<u64>,
    pub prompt_eval_count: Option<u64>,
    pub prompt_cached_count: Option<u64>,
    /// Time spent writing the answer, in milliseconds. Passed on as it came where the proxy is not
    /// Andon's, so it may have a fraction.
    #[schema(value_type = Option<f64>)]
    pub duration_ms: Option<u64>,
    pub request_id: RequestId,
    pub trace_id: TraceId,
    /// The span of the call to the model; feedback goes there.
    pub span_id: Option<SpanId>,
    /// The model that answered. A proxy that is not Andon's does not say it.
    pub model: Option<String>,
    pub model_requested: Option<String>,
    pub finish_reason: Option<String>,
    pub cold_start: bool,
    /// Something the caller should know, in words: another model answered, for example.
    pub note: Option<String>,
    pub timings: TimingsMs,
}

/// The first event of a streamed answer. A proxy that is not Andon's knows less.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ChatStart {
    pub trace_id: TraceId,
    pub request_id: RequestId,
    /// The span of the call to the model.
    pub span_id: Option<SpanId>,
    pub model_requested: Option<String>,
    pub timeout_ms: Option<u64>,
}

/// A piece of the answer, or of what the model thought.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TextPiece {
    pub text: String,
}

/// A failed call, as JSON and as the last event of a stream.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChatFailure {
    /// In words.
    pub error: String,
    pub code: ErrorCode,
    /// What the call was doing when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub phase: Option<Phase>,
    /// What the part behind answered: its own JSON, or words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after_s: Option<u64>,
    pub timings: TimingsMs,
    pub trace_id: TraceId,
    pub request_id: RequestId,
    /// The question, from the proxy to whoever asked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub prompt: Option<String>,
    /// Empty; there for clients of the original proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub output: Option<String>,
}

/// How a call ends.
pub(crate) type Ending = Result<ChatAnswer, Box<ChatFailure>>;

/// What the events of a streamed answer hold, by their names. Only describes them: each is sent by
/// itself, `done` or `error` last.
#[derive(Debug, utoipa::ToSchema)]
pub struct ChatEvents {
    pub start: ChatStart,
    pub phase: PhaseEvent,
    pub thinking: TextPiece,
    pub token: TextPiece,
    pub done: ChatAnswer,
    pub error: ChatFailure,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_phase_explains_is_andons() {
        let timings =
            Timings { queue_ns: Some(2_000_000), eval_ns: Some(5_000_000), ..Timings::default() };
        let ms = TimingsMs::new(&timings, 8_500_000);
        assert_eq!(ms.andon_ms, Some(1.5));
        assert_eq!(
            ms.server_timing(),
            "queue;dur=2, load;dur=0, prompt;dur=0, generate;dur=5, andon;dur=1.5"
        );
    }
}
