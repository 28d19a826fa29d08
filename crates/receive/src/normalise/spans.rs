//! The columns of a span, from the fields that were found.

use andon_model::{LlmKind, Span, Status};
use serde_json::Value as Json;

use super::{Fields, table::Field};
use crate::value::Value;

pub(super) fn fill(span: &mut Span, fields: &Fields<'_>) {
    let text = |field| fields.text(field);
    let count = |field| fields.get(field).and_then(Value::as_u64);
    if let Some(service) = text(Field::Service) {
        span.service = service;
    }
    span.env = text(Field::Env).or(span.env.take());
    span.version = text(Field::Version).or(span.version.take());
    span.host = text(Field::Host).or(span.host.take());
    span.pid = count(Field::Pid).and_then(|pid| u32::try_from(pid).ok()).or(span.pid);
    let operation = text(Field::Operation);
    span.llm_kind = operation.as_deref().and_then(|said| kind(said, span)).or(span.llm_kind);
    if span.llm_kind.is_none() && is_openlit(fields) {
        // Of a failed call it says no more than this.
        let word = span.name.split(' ').next().unwrap_or_default();
        span.llm_kind = kind(word, span).filter(|_| span.name.contains(' '));
    }
    // Finer than the kind, and what OpenTelemetry's users look for.
    if let (Some(said), Some("gen_ai.operation.name")) = (operation, fields.name(Field::Operation))
    {
        span.attributes.set("gen_ai.operation.name", said);
    }
    span.provider = text(Field::Provider).map(|name| name.to_lowercase());
    span.model_requested = text(Field::ModelRequested);
    span.model = text(Field::Model);
    models(span, fields);
    span.endpoint = text(Field::Endpoint).or(span.endpoint.take());
    span.session_id = text(Field::SessionId).or(span.session_id.take());
    span.user_id = text(Field::UserId).or(span.user_id.take());
    span.ml_app = text(Field::MlApp).or(span.ml_app.take());
    span.stream = fields.get(Field::Stream).and_then(Value::as_bool);
    span.http_method = text(Field::HttpMethod);
    span.http_route = text(Field::HttpRoute);
    span.http_status = count(Field::HttpStatus).and_then(|code| u16::try_from(code).ok());
    span.finish_reason = fields.get(Field::FinishReason).and_then(finish_reason);
    tokens(span, fields);
    distrust(span, fields);
    span.timings.ttft_ns = first_token(span, fields);
    cost(span, fields);
}

/// One model stands for both where only one is said, as far as a call of a model goes.
fn models(span: &mut Span, fields: &Fields<'_>) {
    let parameters = fields.get(Field::Parameters).and_then(json);
    if span.model_requested.is_none()
        && let Some(model) = parameters.as_ref().and_then(|all| all["model"].as_str())
    {
        span.model_requested = Some(model.to_owned());
    }
    if span.model.is_none() {
        span.model.clone_from(&span.model_requested);
    } else if span.model_requested.is_none() {
        span.model_requested.clone_from(&span.model);
    }
    let stream = parameters.as_ref().and_then(|all| all["stream"].as_bool());
    span.stream = span.stream.or(stream);
}

/// A convention's word for what was done.
fn kind(said: &str, span: &Span) -> Option<LlmKind> {
    Some(match said.to_ascii_lowercase().as_str() {
        "chat" | "text_completion" | "generate_content" | "completion" | "llm" | "generation" => {
            LlmKind::Llm
        }
        "embeddings" | "embedding" => LlmKind::Embedding,
        "execute_tool" | "tool" => LlmKind::Tool,
        "create_agent" | "invoke_agent" | "agent" => LlmKind::Agent,
        "invoke_workflow" | "workflow" => LlmKind::Workflow,
        "retrieval" | "retriever" | "rerank" | "reranker" => LlmKind::Retrieval,
        // A chain is a workflow where nothing is around it, and else a step of one.
        "chain" if span.parent_id.is_none() => LlmKind::Workflow,
        "chain" | "task" | "guardrail" | "evaluator" | "prompt" => LlmKind::Task,
        _ => return None,
    })
}

fn tokens(span: &mut Span, fields: &Fields<'_>) {
    let usage = fields.get(Field::Usage).and_then(json).unwrap_or(Json::Null);
    let used = |names: &[&str]| names.iter().find_map(|name| usage[name].as_u64());
    let count = |field, names: &[&str]| fields.get(field).and_then(Value::as_u64).or(used(names));
    span.input_tokens = count(Field::InputTokens, &["input", "prompt_tokens", "input_tokens"]);
    span.output_tokens =
        count(Field::OutputTokens, &["output", "completion_tokens", "output_tokens"]);
    span.cached_tokens = count(
        Field::CachedTokens,
        &["cache_read_input_tokens", "input_cached_tokens", "cached_tokens"],
    );
    span.reasoning_tokens =
        count(Field::ReasoningTokens, &["reasoning_tokens", "output_reasoning_tokens"]);
    // One side follows from the other and the sum, where that is said.
    let total = count(Field::TotalTokens, &["total", "total_tokens"]);
    let rest = |known: Option<u64>| total?.checked_sub(known?);
    match (span.input_tokens, span.output_tokens) {
        (Some(_), None) => span.output_tokens = rest(span.input_tokens),
        (None, Some(_)) => span.input_tokens = rest(span.output_tokens),
        _ => {}
    }
    // Cached tokens are part of those read. Some report what was read anew alone.
    if let (Some(input), Some(cached)) = (span.input_tokens, span.cached_tokens)
        && cached > input
    {
        span.input_tokens = Some(input.saturating_add(cached));
    }
}

fn is_openlit(fields: &Fields<'_>) -> bool {
    matches!(fields.get(Field::Sdk), Some(Value::Text(name)) if name == "openlit")
}

/// OpenLIT writes zeros where it knows nothing, and counts for streams that said none.
fn distrust(span: &mut Span, fields: &Fields<'_>) {
    if !is_openlit(fields) {
        return;
    }
    span.cached_tokens = span.cached_tokens.filter(|tokens| *tokens > 0);
    span.reasoning_tokens = span.reasoning_tokens.filter(|tokens| *tokens > 0);
    if span.stream == Some(true) && span.input_tokens.is_some() {
        span.attributes.set("andon.tokens.estimated", true);
    }
}

fn json(value: &Value) -> Option<Json> {
    match value {
        Value::Text(text) => serde_json::from_slice(text).ok(),
        other => Some(other.to_json()),
    }
}

/// The first of a list, or the only one.
fn finish_reason(value: &Value) -> Option<String> {
    let json = match value {
        Value::Text(text) => serde_json::from_slice(text)
            .unwrap_or_else(|_| String::from_utf8_lossy(text).into_owned().into()),
        other => other.to_json(),
    };
    let first = json.as_array().and_then(|all| all.first()).unwrap_or(&json);
    let said = first.as_str().filter(|said| !said.is_empty())?;
    Some(match said {
        // What the Responses API calls it.
        "completed" => "stop".to_owned(),
        "tool_call" => "tool_calls".to_owned(),
        said => said.to_owned(),
    })
}

fn first_token(span: &Span, fields: &Fields<'_>) -> Option<u64> {
    let seconds = fields.get(Field::FirstTokenSeconds).and_then(Value::as_f64);
    // One library says it of whole answers, too, where it is how long all of it took.
    let seconds = seconds.filter(|seconds| *seconds > 0.0 && span.stream != Some(false));
    let said = seconds.map(|seconds| (seconds * 1e9) as u64);
    said.or_else(|| {
        let at = fields.text(Field::FirstTokenAt)?;
        let at: Timestamp = at.trim_matches('"').parse().ok()?;
        u64::try_from(at.as_nanosecond()).ok()?.checked_sub(span.start_ns)
    })
}

use jiff::Timestamp;

/// Zero is what is written where nobody knows what a local model costs.
fn cost(span: &mut Span, fields: &Fields<'_>) {
    let details = fields.get(Field::CostDetails).and_then(json);
    let details = details.as_ref().and_then(|all| all["total"].as_f64());
    let cost = fields.get(Field::Cost).and_then(Value::as_f64).or(details);
    if let Some(cost) = cost.filter(|cost| *cost > 0.0) {
        (span.cost, span.cost_currency) = (Some(cost), Some("USD".to_owned()));
    }
}

/// Whether it went well. A status that is not set is a success unless something else says otherwise.
pub(super) fn judge(span: &mut Span, fields: &Fields<'_>, has_message: bool) {
    let error_type = fields.text(Field::ErrorType);
    let level = fields.text(Field::Level);
    let failed = level.as_deref() == Some("ERROR")
        || span.status == Status::Unset
            && (error_type.is_some() || span.http_status.is_some_and(|status| status >= 500));
    if failed {
        span.status = Status::Error;
    }
    if span.status == Status::Error {
        let http = || span.http_status.filter(|status| *status >= 400).map(|it| it.to_string());
        span.error_type = error_type.or_else(http).or(span.error_type.take());
        if span.error_type.is_none() && has_message {
            span.error_type = Some("error".to_owned());
        }
    } else if let Some(error_type) = error_type {
        // An exception that was handled.
        span.attributes.set("exception.type", error_type);
    }
}
