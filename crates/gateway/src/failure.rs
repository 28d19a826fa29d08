//! How gateway and proxy say that a call failed: the original's `error`, then code, phase, ids, times.

use axum::{body::Body, response::Response};
use http::{HeaderValue, header};

use crate::{
    ChatFailure, TimingsMs,
    error::{ChatError, ErrorCode},
    headers::{self, Caller},
};

/// A failure as JSON, with the status of its code.
pub(crate) fn response(caller: &Caller, error: &ChatError, timings: &TimingsMs) -> Response {
    of_body(&body(caller, error, timings), caller, timings)
}

/// The answer that carries `body`.
pub(crate) fn of_body(body: &ChatFailure, caller: &Caller, timings: &TimingsMs) -> Response {
    let json = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = body.code.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = body.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if body.code == ErrorCode::BodyTimeout {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers::write_ids(headers, caller.trace_id, &caller.request_id, timings);
    response
}

/// What is said of a failure, in JSON and in the last event of a stream. Where the part behind gave
/// an account of the time, that is the better one.
pub(crate) fn body(caller: &Caller, error: &ChatError, timings: &TimingsMs) -> ChatFailure {
    let theirs = error.detail.as_ref().map(|detail| &detail["timings"]).filter(|t| t.is_object());
    let theirs = theirs.and_then(|theirs| serde_json::from_value(theirs.clone()).ok());
    ChatFailure {
        error: error.message.clone(),
        code: error.code,
        phase: error.phase,
        detail: error.detail.clone(),
        retry_after_s: error.retry_after_s,
        timings: theirs.unwrap_or(*timings),
        trace_id: caller.trace_id,
        request_id: caller.request_id.clone(),
        prompt: None,
        output: None,
    }
}
