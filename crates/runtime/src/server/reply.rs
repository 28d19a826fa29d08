//! Replies that are one JSON object, and errors in the shape of either dialect.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::engine::Outcome;
use crate::failure::Failure;

/// An object as Ollama sends it.
pub(super) fn json_reply(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

pub(super) fn native_error(failure: &Failure) -> Response {
    json_reply(failure.status(), &json!({ "error": failure.to_string() }))
}

pub(super) fn openai_error(failure: &Failure) -> Response {
    json_reply(failure.status(), &openai_error_body(failure))
}

pub(super) fn openai_error_body(failure: &Failure) -> Value {
    let kind = match failure.status() {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => "invalid_request_error",
        StatusCode::NOT_FOUND => "not_found_error",
        _ => "api_error",
    };
    json!({
        "error": { "message": failure.to_string(), "type": kind, "param": null, "code": null }
    })
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        native_error(&self)
    }
}

/// Nanoseconds, as all of Ollama's durations are.
pub(super) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The final object's numbers; zeros are left out, as Ollama does. How much of the prompt was
/// cached is always said: a zero there is knowledge.
pub(super) fn add_metrics(object: &mut Value, outcome: &Outcome) {
    let pairs = [
        ("total_duration", nanos(outcome.total)),
        ("load_duration", nanos(outcome.load)),
        ("prompt_eval_count", outcome.prompt_tokens as u64),
        ("prompt_eval_duration", nanos(outcome.prompt)),
        ("eval_count", outcome.eval_tokens as u64),
        ("eval_duration", nanos(outcome.eval)),
    ];
    for (name, number) in pairs {
        if number > 0 {
            object[name] = number.into();
        }
    }
    object["prompt_eval_cached_count"] = outcome.cached_tokens.into();
}

/// What only Andon asks for.
pub(super) fn add_andon(object: &mut Value, outcome: &Outcome) {
    object["andon"] = json!({
        "threads": outcome.threads,
        "threads_most": outcome.threads_most,
        "queue_duration": nanos(outcome.queue),
        "digest": outcome.digest,
    });
}
