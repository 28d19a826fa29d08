//! What a call answers: the reply, its counts, its times; and the events of a streamed answer.

use andon_model::{RequestId, SpanId, Timings, TraceId};
use serde::{Deserialize, Serialize};

/// Times of one call in milliseconds; unknown is null. `andon_ms` is what is left of the total:
/// gateway, proxy, network and masking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
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
        let phases = [
            ("queue", self.queue_ms),
            ("load", self.load_ms),
            ("prompt", self.prompt_ms),
            ("generate", self.generate_ms),
            ("andon", self.andon_ms),
        ];
        phases
            .into_iter()
            .map(|(name, ms)| format!("{name};dur={}", ms.unwrap_or(0.0)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// A whole answer, as JSON and as the last event of a stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChatAnswer {
    pub reply: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    pub eval_count: Option<u64>,
    pub prompt_eval_count: Option<u64>,
    #[serde(default)]
    pub prompt_cached_count: Option<u64>,
    /// Time spent writing the answer, in milliseconds.
    pub duration_ms: Option<u64>,
    pub request_id: RequestId,
    pub trace_id: TraceId,
    /// The span of the call to the model; feedback goes there.
    #[serde(default)]
    pub span_id: Option<SpanId>,
    pub model: String,
    pub model_requested: String,
    pub finish_reason: Option<String>,
    #[serde(default)]
    pub cold_start: bool,
    /// Something the caller should know, in words: another model answered, for example.
    #[serde(default)]
    pub note: Option<String>,
    #[serde(default)]
    pub timings: TimingsMs,
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
