//! One unit of work, of any dialect.

use serde::{Deserialize, Serialize};

use crate::{
    AttributeValue, Attributes, RequestId, SpanId, TraceId, UnixNanos, named::named, time,
};

/// The attribute of a span of which more is to come: its call goes on, or another protocol tells the other
/// half of it. The whole comes under the same ids and takes its place.
pub const PARTIAL: &str = "andon.partial";

/// A unit of work. Field names are the columns of the `spans` table; unknown is `None`,
/// never 0 or empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Span {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_id: Option<SpanId>,
    #[schema(value_type = u64)]
    pub start_ns: UnixNanos,
    pub duration_ns: u64,
    pub service: String,
    pub env: Option<String>,
    pub version: Option<String>,
    pub host: Option<String>,
    pub pid: Option<u32>,
    pub name: String,
    pub resource: Option<String>,
    pub kind: SpanKind,
    pub llm_kind: Option<LlmKind>,
    pub status: Status,
    pub error_type: Option<String>,
    /// In words; protected.
    pub error_message: Option<String>,
    pub http_method: Option<String>,
    pub http_route: Option<String>,
    pub http_status: Option<u16>,
    pub provider: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    pub model_requested: Option<String>,
    pub endpoint: Option<String>,
    pub stream: Option<bool>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    /// Part of `input_tokens` that the runtime took from its cache.
    pub cached_tokens: Option<u64>,
    /// Part of `output_tokens` that was thinking.
    pub reasoning_tokens: Option<u64>,
    pub finish_reason: Option<String>,
    pub timings: Timings,
    pub context_length: Option<u64>,
    pub model_digest: Option<String>,
    pub cost: Option<f64>,
    pub cost_currency: Option<String>,
    pub cause: Option<Cause>,
    pub ml_app: Option<String>,
    pub session_id: Option<String>,
    pub user_id: Option<String>,
    pub request_id: Option<RequestId>,
    pub source: Source,
    #[schema(value_type = std::collections::BTreeMap<String, AttributeValue>)]
    pub attributes: Attributes,
    /// So many spans it stands for, where others of their kind were left out at the door; for itself
    /// alone where nothing is said. OpenTelemetry's word for the inverse of a probability.
    pub adjusted_count: Option<u64>,
}

/// Of no trace, and at no time.
impl Default for Span {
    fn default() -> Self {
        Self {
            trace_id: TraceId::from_bytes([0; 16]),
            span_id: SpanId::from_bytes([0; 8]),
            parent_id: None,
            start_ns: 0,
            duration_ns: 0,
            service: String::new(),
            env: None,
            version: None,
            host: None,
            pid: None,
            name: String::new(),
            resource: None,
            kind: SpanKind::Internal,
            llm_kind: None,
            status: Status::Unset,
            error_type: None,
            error_message: None,
            http_method: None,
            http_route: None,
            http_status: None,
            provider: None,
            model: None,
            model_requested: None,
            endpoint: None,
            stream: None,
            input_tokens: None,
            output_tokens: None,
            cached_tokens: None,
            reasoning_tokens: None,
            finish_reason: None,
            timings: Timings::default(),
            context_length: None,
            model_digest: None,
            cost: None,
            cost_currency: None,
            cause: None,
            ml_app: None,
            session_id: None,
            user_id: None,
            request_id: None,
            source: Source::Gateway,
            attributes: Attributes::new(),
            adjusted_count: None,
        }
    }
}

impl Span {
    /// A span of `service` called `name` that starts now.
    pub fn new(trace_id: TraceId, service: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            trace_id,
            span_id: SpanId::random(),
            start_ns: Self::now_ns(),
            service: service.into(),
            name: name.into(),
            ..Self::default()
        }
    }

    /// The wall clock, UTC nanoseconds.
    pub fn now_ns() -> UnixNanos {
        time::now()
    }

    pub fn end_ns(&self) -> UnixNanos {
        self.start_ns.saturating_add(self.duration_ns)
    }
}

/// Where the time of a call to a model went, in nanoseconds; unknown is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Timings {
    pub queue_ns: Option<u64>,
    pub load_ns: Option<u64>,
    pub prompt_eval_ns: Option<u64>,
    /// From the start of the call to its first token.
    pub ttft_ns: Option<u64>,
    pub eval_ns: Option<u64>,
    /// The longest gap between two tokens.
    pub stall_ns: Option<u64>,
}

named! {
    /// OpenTelemetry's span kinds.
    pub enum SpanKind {
        Server = "server",
        Client = "client",
        Internal = "internal",
        Producer = "producer",
        Consumer = "consumer",
    }
}

named! {
    /// What an LLM application did in this span.
    pub enum LlmKind {
        Workflow = "workflow",
        Agent = "agent",
        Task = "task",
        Tool = "tool",
        Llm = "llm",
        Embedding = "embedding",
        Retrieval = "retrieval",
    }
}

named! {
    #[schema(as = SpanStatus)]
    pub enum Status {
        Ok = "ok",
        Error = "error",
        Unset = "unset",
    }
}

named! {
    /// How Andon came to know of a span.
    pub enum Source {
        Gateway = "gateway",
        Capture = "capture",
        Otlp = "otlp",
        Datadog = "datadog",
        Rum = "rum",
    }
}

named! {
    /// Why a call was slow or failed. The list is DESIGN's and grows only at its end.
    pub enum Cause {
        None = "none",
        ColdStart = "cold_start",
        KeepAliveExpired = "keep_alive_expired",
        Evicted = "evicted",
        OptionsChanged = "options_changed",
        Queue = "queue",
        LongPrompt = "long_prompt",
        PromptCacheLost = "prompt_cache_lost",
        LongAnswer = "long_answer",
        CpuStarved = "cpu_starved",
        Steal = "steal",
        Throttled = "throttled",
        MemoryPressure = "memory_pressure",
        PartlyOnCpu = "partly_on_cpu",
        SlowDisk = "slow_disk",
        ParallelGeneration = "parallel_generation",
        Network = "network",
        SlowApp = "slow_app",
        Timeout = "timeout",
        RuntimeDown = "runtime_down",
        OutOfMemory = "out_of_memory",
        ModelMissing = "model_missing",
        QueueFull = "queue_full",
        ClientGone = "client_gone",
        ContextExceeded = "context_exceeded",
        PromptCut = "prompt_cut",
        Unknown = "unknown",
    }
}

impl Cause {
    /// Whether the model was not in memory, for whatever reason.
    pub fn is_load(self) -> bool {
        matches!(
            self,
            Self::ColdStart | Self::KeepAliveExpired | Self::Evicted | Self::OptionsChanged
        )
    }
}
