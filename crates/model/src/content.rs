//! What is kept of prompts and answers, and what was said about them.

use serde::{Deserialize, Serialize};

use crate::{Policy, SpanId, TraceId, UnixNanos, named::named};

named! {
    /// Which part of a call a text was.
    pub enum Part {
        Input = "input",
        Output = "output",
        System = "system",
        Tool = "tool",
        Document = "document",
        /// What a model thought before it answered.
        Thinking = "thinking",
        /// What an app wrote into its log meanwhile.
        Log = "log",
    }
}

/// Places from here on are of texts that came without their span, by the time at which they were said:
/// they come in several requests, and one of them again must have the same place.
pub const LOOSE_PLACES: u32 = 1 << 31;

/// One text as it was kept. Made by `andon-privacy` alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Content {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    pub part: Part,
    #[serde(default)]
    pub role: Option<String>,
    /// Place within its part, from 0.
    pub idx: u32,
    /// As kept: with `mask:N` the first N characters and then the notice.
    pub text: String,
    pub policy: Policy,
    /// Characters (Unicode scalar values) of the text before it was protected.
    pub original_length: u64,
    /// Characters at the start of `text` that are the original's own; what follows is the notice.
    pub kept_length: u64,
}

/// The span of an evaluation of a whole trace. No id that is made at random is this one.
pub const WHOLE_TRACE: SpanId = SpanId::from_bytes([0xff; 8]);

named! {
    /// What an evaluation says.
    pub enum MetricType {
        Score = "score",
        Categorical = "categorical",
        Boolean = "boolean",
    }
}

named! {
    /// Who evaluated.
    pub enum EvaluationSource {
        Builtin = "builtin",
        Judge = "judge",
        Human = "human",
        Sdk = "sdk",
    }
}

/// A judgement about one span: a thumb under an answer, a score, a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evaluation {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    pub evaluator: String,
    #[serde(default)]
    pub version: Option<String>,
    pub metric_type: MetricType,
    #[serde(default)]
    pub score: Option<f64>,
    #[serde(default)]
    pub label: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
    pub source: EvaluationSource,
    #[serde(default)]
    pub duration_ns: Option<u64>,
}
