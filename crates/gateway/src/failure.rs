//! How gateway and proxy say that a call failed: the original's `error`, then code, phase, ids, times.

use axum::{body::Body, response::Response};
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};

use crate::{
    TimingsMs,
    error::{ChatError, ErrorCode},
    headers::{self, Caller},
};

/// A failure as JSON, with the status of its code. `extra` fields stand beside the common ones.
pub(crate) fn response(
    caller: &Caller,
    error: &ChatError,
    timings: &TimingsMs,
    extra: Map<String, Value>,
) -> Response {
    let mut fields = body(caller, error, timings);
    fields.extend(extra);
    let mut response = Response::new(Body::from(Value::Object(fields).to_string()));
    *response.status_mut() = error.code.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = error.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.code == ErrorCode::BodyTimeout {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers::write_ids(headers, caller.trace_id, &caller.request_id, timings);
    response
}

/// The fields of a failure, for JSON and for the last event of a stream. Where the part behind gave
/// an account of the time, that is the better one.
pub(crate) fn body(caller: &Caller, error: &ChatError, timings: &TimingsMs) -> Map<String, Value> {
    let mut body = error.fields();
    let theirs = error.detail.as_ref().map(|detail| &detail["timings"]).filter(|t| t.is_object());
    body.insert("timings".to_owned(), theirs.cloned().unwrap_or_else(|| json!(timings)));
    body.insert("trace_id".to_owned(), json!(caller.trace_id));
    body.insert("request_id".to_owned(), json!(caller.request_id));
    body
}
