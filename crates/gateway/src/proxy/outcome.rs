//! The answers of the proxy: the original's fields, and Andon's beside them.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};

use crate::{
    ChatAnswer, TimingsMs,
    error::{ChatError, ErrorCode},
    headers::{self, Caller},
};

/// Longest piece of the prompt that an error answer gives back.
const MAX_ECHO_CHARS: usize = 10_000;

/// A whole answer as JSON.
pub(super) fn answered(caller: &Caller, answer: &ChatAnswer) -> Response {
    let mut response = axum::Json(answer).into_response();
    let headers = response.headers_mut();
    headers::write_ids(headers, caller.trace_id, &caller.request_id, &answer.timings);
    response
}

/// A failure as JSON: the original's `error, prompt, output`, then code, phase, ids and times.
/// `prompt` goes back to the caller who sent it and nowhere else.
pub(super) fn failure(
    caller: &Caller,
    error: &ChatError,
    prompt: Option<&str>,
    total_ns: u64,
    timings: Option<TimingsMs>,
) -> Response {
    let timings = timings.unwrap_or_else(|| {
        let mut timings = TimingsMs::default();
        timings.set_total(total_ns);
        timings
    });
    let body = Value::Object(failure_body(caller, error, prompt, &timings));
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = error.code.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = error.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.code == ErrorCode::BodyTimeout {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers::write_ids(headers, caller.trace_id, &caller.request_id, &timings);
    response
}

pub(super) fn failure_body(
    caller: &Caller,
    error: &ChatError,
    prompt: Option<&str>,
    timings: &TimingsMs,
) -> Map<String, Value> {
    let mut body = error.fields();
    if let Some(prompt) = prompt {
        let echo: String = prompt.chars().take(MAX_ECHO_CHARS).collect();
        body.insert("prompt".to_owned(), json!(echo));
        body.insert("output".to_owned(), json!(""));
    }
    body.insert("trace_id".to_owned(), json!(caller.trace_id));
    body.insert("request_id".to_owned(), json!(caller.request_id));
    body.insert("timings".to_owned(), json!(timings));
    body
}
