//! Which attribute of which convention becomes what. Where a span carries several of one field, the
//! first name of the list wins.
//!
//! Sources: OpenTelemetry's semantic conventions (GenAI, HTTP, general; current names before deprecated
//! ones), OpenInference's `spec/semantic_conventions.md`, OpenLLMetry's `semconv-ai`, Langfuse's
//! OpenTelemetry attributes, and what recorded exports of each really carry.

use std::{collections::HashMap, sync::LazyLock};

/// What a span is asked for, whatever it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    /// What was done, as one word of its convention.
    Operation,
    Provider,
    ModelRequested,
    Model,
    Endpoint,
    SystemInstructions,
    InputMessages,
    OutputMessages,
    /// Texts of a span that is no call of a model, or of one whose messages are nowhere else.
    PlainInput,
    PlainOutput,
    ToolDefinitions,
    /// All parameters in one JSON object.
    Parameters,
    InputTokens,
    OutputTokens,
    TotalTokens,
    CachedTokens,
    ReasoningTokens,
    /// All counts in one JSON object.
    Usage,
    FinishReason,
    SessionId,
    UserId,
    MlApp,
    Stream,
    /// Seconds from the start of the call.
    FirstTokenSeconds,
    /// A time.
    FirstTokenAt,
    ErrorType,
    ErrorMessage,
    /// `ERROR` where the span says so by an attribute.
    Level,
    Cost,
    CostDetails,
    HttpMethod,
    HttpRoute,
    HttpStatus,
    ToolArguments,
    ToolResult,
    Documents,
    Query,
    Service,
    Env,
    Version,
    Host,
    Pid,
    /// The library that sent it.
    Sdk,
}

impl Field {
    pub(crate) const COUNT: usize = Self::Sdk as usize + 1;

    /// What it becomes, as the documentation says it.
    #[cfg(test)]
    fn becomes(self) -> &'static str {
        match self {
            Self::Operation => "`llm_kind`",
            Self::Provider => "`provider`, in lower case",
            Self::ModelRequested => "`model_requested`",
            Self::Model => "`model`",
            Self::Endpoint => "`endpoint`",
            Self::SystemInstructions => "contents, part `system`",
            Self::InputMessages => "contents, parts `system`, `input`, `tool`",
            Self::OutputMessages => "contents, parts `output`, `thinking`, `tool`; `finish_reason`",
            Self::PlainInput => "contents, part `input`, where no messages are",
            Self::PlainOutput => "contents, part `output`, where no messages are",
            Self::ToolDefinitions => "contents, part `tool`; `andon.request.tools`",
            Self::Parameters => "`gen_ai.request.…`, one attribute each",
            Self::InputTokens => "`input_tokens`",
            Self::OutputTokens => "`output_tokens`",
            Self::TotalTokens => "the side that is not said",
            Self::CachedTokens => "`cached_tokens`",
            Self::ReasoningTokens => "`reasoning_tokens`",
            Self::Usage => "all counts of tokens",
            Self::FinishReason => "`finish_reason`, the first one",
            Self::SessionId => "`session_id`",
            Self::UserId => "`user_id`",
            Self::MlApp => "`ml_app`",
            Self::Stream => "`stream`",
            Self::FirstTokenSeconds => "`ttft_ns`, of streams",
            Self::FirstTokenAt => "`ttft_ns`",
            Self::ErrorType => "`error_type`; `status` where it is not set",
            Self::ErrorMessage => "`error_message`, where the status has none",
            Self::Level => "`status`, where it is `ERROR`",
            Self::Cost | Self::CostDetails => "`cost` in USD; 0 is unknown",
            Self::HttpMethod => "`http_method`",
            Self::HttpRoute => "`http_route`",
            Self::HttpStatus => "`http_status`",
            Self::ToolArguments => "contents, part `input`",
            Self::ToolResult => "contents, part `output`",
            Self::Documents => "contents, part `document`",
            Self::Query => "contents, part `input`",
            Self::Service => "`service`",
            Self::Env => "`env`",
            Self::Version => "`version`",
            Self::Host => "`host`",
            Self::Pid => "`pid`",
            Self::Sdk => "how far counts are believed",
        }
    }

    /// Texts of prompts, answers and tools, which leave the attributes.
    pub(crate) const CONTENT: [Self; 11] = [
        Self::SystemInstructions,
        Self::InputMessages,
        Self::OutputMessages,
        Self::PlainInput,
        Self::PlainOutput,
        Self::ToolDefinitions,
        Self::Parameters,
        Self::ToolArguments,
        Self::ToolResult,
        Self::Documents,
        Self::Query,
    ];

    pub(crate) fn is_content(self) -> bool {
        Self::CONTENT.contains(&self)
    }
}

pub(crate) const FIELDS: &[(Field, &[&str])] = &[
    (
        Field::Operation,
        &[
            "gen_ai.operation.name",
            "openinference.span.kind",
            "langfuse.observation.type",
            "llm.request.type",
            "traceloop.span.kind",
        ],
    ),
    (Field::Provider, &["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"]),
    (
        Field::ModelRequested,
        &["gen_ai.request.model", "llm.request.model_name", "llm.request.model"],
    ),
    (
        Field::Model,
        &[
            "gen_ai.response.model",
            "llm.response.model_name",
            "llm.response.model",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
            "langfuse.observation.model.name",
        ],
    ),
    (Field::Endpoint, &["gen_ai.openai.api_base", "llm.openai.api_base"]),
    (Field::SystemInstructions, &["gen_ai.system_instructions"]),
    (
        Field::InputMessages,
        &["gen_ai.input.messages", "gen_ai.prompt", "langfuse.observation.input"],
    ),
    (
        Field::OutputMessages,
        &["gen_ai.output.messages", "gen_ai.completion", "langfuse.observation.output"],
    ),
    (Field::PlainInput, &["input.value", "traceloop.entity.input", "langfuse.trace.input"]),
    (Field::PlainOutput, &["output.value", "traceloop.entity.output", "langfuse.trace.output"]),
    (Field::ToolDefinitions, &["gen_ai.tool.definitions"]),
    (Field::Parameters, &["llm.invocation_parameters", "langfuse.observation.model.parameters"]),
    (
        Field::InputTokens,
        &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"],
    ),
    (
        Field::OutputTokens,
        &[
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
        ],
    ),
    (
        Field::TotalTokens,
        &["gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"],
    ),
    (
        Field::CachedTokens,
        &[
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "llm.token_count.prompt_details.cache_read",
        ],
    ),
    (
        Field::ReasoningTokens,
        &[
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "llm.usage.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
        ],
    ),
    (Field::Usage, &["langfuse.observation.usage_details"]),
    (
        Field::FinishReason,
        &[
            "gen_ai.response.finish_reasons",
            "gen_ai.response.finish_reason",
            "gen_ai.response.stop_reason",
            "llm.response.finish_reason",
            "llm.response.stop_reason",
            "llm.finish_reason",
            "langfuse.observation.metadata.finish_reason",
        ],
    ),
    (
        Field::SessionId,
        &[
            "gen_ai.conversation.id",
            "session.id",
            "langfuse.session.id",
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.thread_id",
            "traceloop.association.properties.chat_id",
        ],
    ),
    (
        Field::UserId,
        &[
            "user.id",
            "enduser.id",
            "langfuse.user.id",
            "gen_ai.user",
            "llm.user",
            "gen_ai.request.user",
            "traceloop.association.properties.user_id",
        ],
    ),
    (Field::MlApp, &["gen_ai.application_name", "openinference.project.name"]),
    (
        Field::Stream,
        &["gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming", "llm.request.stream"],
    ),
    (
        Field::FirstTokenSeconds,
        &["gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"],
    ),
    (Field::FirstTokenAt, &["langfuse.observation.completion_start_time"]),
    (Field::ErrorType, &["error.type", "exception.type"]),
    (
        Field::ErrorMessage,
        &["exception.message", "error.message", "error.msg", "langfuse.observation.status_message"],
    ),
    (Field::Level, &["langfuse.observation.level"]),
    (Field::Cost, &["llm.cost.total", "gen_ai.usage.cost"]),
    (Field::CostDetails, &["langfuse.observation.cost_details"]),
    (Field::HttpMethod, &["http.request.method", "http.method"]),
    (Field::HttpRoute, &["http.route"]),
    (Field::HttpStatus, &["http.response.status_code", "http.status_code"]),
    (Field::ToolArguments, &["gen_ai.tool.call.arguments", "tool.parameters"]),
    (Field::ToolResult, &["gen_ai.tool.call.result"]),
    (Field::Documents, &["gen_ai.retrieval.documents"]),
    (Field::Query, &["gen_ai.retrieval.query.text", "reranker.query"]),
    (Field::Service, &["service.name"]),
    (Field::Env, &["deployment.environment.name", "deployment.environment", "env"]),
    (Field::Version, &["service.version"]),
    (Field::Host, &["host.name"]),
    (Field::Pid, &["process.pid"]),
    (Field::Sdk, &["telemetry.sdk.name"]),
];

/// Parameters under other names than OpenTelemetry's.
pub(crate) const PARAMETERS: &[(&str, &str)] = &[
    ("temperature", "gen_ai.request.temperature"),
    ("top_p", "gen_ai.request.top_p"),
    ("top_k", "gen_ai.request.top_k"),
    ("seed", "gen_ai.request.seed"),
    ("frequency_penalty", "gen_ai.request.frequency_penalty"),
    ("presence_penalty", "gen_ai.request.presence_penalty"),
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("max_completion_tokens", "gen_ai.request.max_tokens"),
    ("max_output_tokens", "gen_ai.request.max_tokens"),
    ("num_predict", "gen_ai.request.max_tokens"),
    ("n", "gen_ai.request.choice.count"),
    ("llm.top_k", "gen_ai.request.top_k"),
    ("llm.frequency_penalty", "gen_ai.request.frequency_penalty"),
    ("llm.presence_penalty", "gen_ai.request.presence_penalty"),
    ("gen_ai.openai.request.seed", "gen_ai.request.seed"),
    ("gen_ai.request.is_stream", "gen_ai.request.stream"),
];

/// Attributes that are numbered: `llm.input_messages.0.message.role`.
pub(crate) const NUMBERED: &[&str] = &[
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts.",
    "llm.choices.",
    "llm.tools.",
    "llm.request.functions.",
    "embedding.embeddings.",
    "retrieval.documents.",
    "reranker.input_documents.",
    "reranker.output_documents.",
];

/// The field that an attribute is for, and its place among its names.
pub(crate) fn field_of(name: &str) -> Option<(Field, u8)> {
    static BY_NAME: LazyLock<HashMap<&str, (Field, u8)>> = LazyLock::new(|| {
        let all = FIELDS.iter().flat_map(|(field, names)| {
            names.iter().zip(0u8..).map(|(name, place)| (*name, (*field, place)))
        });
        all.collect()
    });
    BY_NAME.get(name).copied()
}

/// OpenTelemetry's name for a parameter that has another one. Bare names are of a list of parameters: an
/// attribute `n` or `seed` may be anything.
pub(crate) fn parameter_of(name: &str) -> Option<&'static str> {
    PARAMETERS.iter().find(|(other, _)| *other == name).map(|(_, name)| *name)
}

pub(crate) fn is_numbered(name: &str) -> bool {
    let after = |start: &&str| name.strip_prefix(start);
    NUMBERED
        .iter()
        .find_map(after)
        .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation's table is this one. `UPDATE_DOCS=1` writes it anew.
    #[test]
    fn the_documentation_has_every_name_in_its_order() {
        const BEGIN: &str = "<!-- table of attributes -->\n";
        const END: &str = "<!-- end of it -->";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/receive.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (found, after) = rest.split_once(END).unwrap();
        let mut table =
            "| becomes | from the first of these that is there |\n| --- | --- |\n".to_owned();
        for (field, names) in FIELDS {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            table.push_str(&format!("| {} | {} |\n", field.becomes(), names.join(", ")));
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        } else {
            assert!(found == table, "docs/receive.md is behind; run this test with UPDATE_DOCS=1");
        }
    }

    #[test]
    fn no_name_is_for_two_fields_and_no_field_is_there_twice() {
        let mut names = HashMap::new();
        let mut fields = HashMap::new();
        for (field, of_field) in FIELDS {
            assert_eq!(fields.insert(*field, ()), None, "{field:?}");
            for name in *of_field {
                assert_eq!(names.insert(*name, *field), None, "{name}");
            }
        }
        assert_eq!(fields.len(), Field::COUNT);
    }
}
