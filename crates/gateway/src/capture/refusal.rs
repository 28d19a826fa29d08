//! Andon's own failures to pass a call on. They carry a header of their own, so that nobody takes
//! them for the runtime's, and the body that clients of the called API expect of an error.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::{api::Family, body::CaptureBody};

/// Says that Andon answers, not the runtime, and why.
pub(super) const REFUSED_BY: HeaderName = HeaderName::from_static("x-andon-error");

pub(super) fn response(
    family: Family,
    status: StatusCode,
    code: &'static str,
    message: &str,
) -> Response<CaptureBody> {
    let body = match family {
        Family::Openai => json!({"error": {
            "message": message, "type": code, "param": null, "code": code,
        }}),
        Family::Anthropic => json!({"type": "error", "error": {"type": code, "message": message}}),
        Family::Ollama | Family::Other => json!({"error": message}),
    };
    let mut response = Response::new(CaptureBody::own(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REFUSED_BY, HeaderValue::from_static(code));
    response
}
