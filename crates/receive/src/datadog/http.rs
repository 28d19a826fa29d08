//! The agent's endpoints: which there are, and what is answered.
//!
//! A real agent answers 200 to traces that it drops, unless the client asks for the truth by
//! `Datadog-Send-Real-Http-Status`. Here the truth is told always: every client that was seen tries
//! again after 429 and 503 and logs what it gives up, which is better than to lose it unseen.

use ::http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER},
};
use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::{
    Datadog,
    apm::text_attribute,
    info,
    wire::{Unreadable, Version},
};
use crate::{
    body::BodyError,
    intake::{Protocol, Reason, Refused},
    otlp::Body,
    value::KeyValue,
};

const RETRY_SECONDS: u16 = 1;

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Info,
    Traces(Version),
    LlmSpans,
    Evaluations,
    /// Lines of DogStatsD.
    Dogstatsd,
    /// Taken, and nothing is kept of it.
    Passed(StatusCode),
}

/// What clients call and Andon keeps nothing of, by the beginning of its path.
const PASSED: [(&str, StatusCode); 13] = [
    ("/v0.3/services", StatusCode::OK),
    ("/v0.4/services", StatusCode::OK),
    ("/v0.6/stats", StatusCode::OK),
    // There is nothing to configure from afar; clients take 404 for that and stay silent.
    ("/v0.7/config", StatusCode::NOT_FOUND),
    ("/v0.1/pipeline_stats", StatusCode::ACCEPTED),
    ("/profiling/v1/", StatusCode::OK),
    ("/telemetry/proxy/", StatusCode::ACCEPTED),
    ("/api/v2/apmtelemetry", StatusCode::ACCEPTED),
    ("/evp_proxy/", StatusCode::ACCEPTED),
    ("/debugger/v1/", StatusCode::ACCEPTED),
    ("/debugger/v2/", StatusCode::ACCEPTED),
    ("/symdb/v1/", StatusCode::ACCEPTED),
    ("/tracer_flare/v1", StatusCode::OK),
];

impl Route {
    fn of(path: &str) -> Option<Self> {
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        match path {
            "/info" => return Some(Self::Info),
            "/v0.3/traces" | "/v0.4/traces" => return Some(Self::Traces(Version::V04)),
            "/v0.5/traces" => return Some(Self::Traces(Version::V05)),
            "/dogstatsd/v1/proxy" | "/dogstatsd/v2/proxy" => return Some(Self::Dogstatsd),
            _ => {}
        }
        // Through an agent, or straight to what a client without one is told is Datadog.
        let proxied = path.strip_prefix("/evp_proxy/v").and_then(|rest| rest.split_once('/'));
        let intake = proxied.map_or(path, |(version, rest)| {
            let known = matches!(version, "1" | "2" | "3" | "4");
            if known { &path[path.len() - rest.len() - 1..] } else { path }
        });
        match intake {
            "/api/v2/llmobs" => return Some(Self::LlmSpans),
            "/api/intake/llm-obs/v1/eval-metric" | "/api/intake/llm-obs/v2/eval-metric" => {
                return Some(Self::Evaluations);
            }
            _ => {}
        }
        let passed = PASSED.iter().find(|(start, _)| {
            path.strip_prefix(start.trim_end_matches('/'))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        passed.map(|(_, status)| Self::Passed(*status))
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Info => *method == Method::GET || *method == Method::HEAD,
            // A client may ask for its configuration, or for anything of the proxied, in its own way.
            Self::Passed(_) => true,
            _ => *method == Method::POST || *method == Method::PUT,
        }
    }
}

/// What was wrong with a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("nothing is received at {0}; GET /info lists what is")]
    Path(String),
    #[error("a web page may not send here")]
    Origin,
    #[error("{0} is not taken here")]
    Method(Method),
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    #[error("the body holds no {0}")]
    Without(&'static str),
    #[error("{0} evaluations name tags of spans that have not come; all others are kept")]
    Unjoined(u64),
    #[error("{0}")]
    Refused(#[from] Refused),
}

impl Wrong {
    fn status(&self) -> StatusCode {
        match self {
            Self::Path(_) => StatusCode::NOT_FOUND,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Body(BodyError::Encoding(_)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyError::TooLarge(_))
            | Self::Unreadable(
                Unreadable::TooMany(_) | Unreadable::TooLong | Unreadable::TooMuchText(_),
            ) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::TooSlow(_)) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::Packed { .. } | BodyError::Broken(_))
            | Self::Unreadable(_)
            | Self::Without(_) => StatusCode::BAD_REQUEST,
            Self::Unjoined(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Body(BodyError::Busy) | Self::Refused(Refused::Busy) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Refused(Refused::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self.status() {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "content_encoding",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::REQUEST_TIMEOUT => "too_slow",
            StatusCode::UNPROCESSABLE_ENTITY => "no_such_span",
            StatusCode::TOO_MANY_REQUESTS => "busy",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            _ => "unreadable",
        }
    }

    /// How it is counted; what was refused further in is counted there.
    fn reason(&self) -> Option<(Reason, u64)> {
        match self {
            Self::Body(error) => Some((error.reason(), 1)),
            Self::Unreadable(
                Unreadable::TooMany(_) | Unreadable::TooLong | Unreadable::TooMuchText(_),
            ) => Some((Reason::TooLarge, 1)),
            Self::Unreadable(_) | Self::Without(_) => Some((Reason::Unreadable, 1)),
            Self::Unjoined(count) => Some((Reason::SpanId, *count)),
            Self::Origin | Self::Path(_) | Self::Method(_) | Self::Refused(_) => None,
        }
    }
}

pub(super) async fn answer<B>(datadog: &Datadog, request: Request<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
{
    match receive(datadog, request).await {
        Ok(response) => response,
        Err(wrong) => {
            if let Some((reason, count)) = wrong.reason() {
                datadog.intake.reject(Protocol::Datadog, reason, count);
                tracing::debug!(error = %wrong, "a request was refused");
            }
            refusal(&wrong)
        }
    }
}

async fn receive<B>(datadog: &Datadog, request: Request<B>) -> Result<Response<Body>, Wrong>
where
    B: hyper::body::Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
{
    let path = request.uri().path();
    let route = Route::of(path).ok_or_else(|| Wrong::Path(path.chars().take(100).collect()))?;
    // No client of these sends one; the pages of a stranger, open on this machine, would.
    if request.headers().contains_key(ORIGIN) {
        return Err(Wrong::Origin);
    }
    if !route.takes(request.method()) {
        return Err(Wrong::Method(request.method().clone()));
    }
    let (head, body) = request.into_parts();
    let headers = &head.headers;
    let intake = &datadog.intake;
    if route == Route::Info {
        let said = info::info(port(headers), intake.room.limits.max_body_bytes);
        return Ok(response(StatusCode::OK, &said));
    }
    let encoding = header(headers, CONTENT_ENCODING.as_str());
    let (bytes, _room) = intake.room.read(body, encoding.as_deref()).await?.into_parts();
    intake.count_request(Protocol::Datadog, bytes.len());
    let said = match route {
        Route::Traces(version) => {
            let is_json = is_json(headers, &bytes);
            datadog.keep_traces(version, is_json, bytes, &sender(headers)).await?;
            // All of them: what was sampled away is missing in a trace.
            (StatusCode::OK, json!({"rate_by_service": {"service:,env:": 1}}))
        }
        Route::LlmSpans => {
            datadog.keep_llm_spans(bytes).await?;
            (StatusCode::ACCEPTED, json!({}))
        }
        Route::Evaluations => {
            datadog.keep_evaluations(&bytes).await?;
            (StatusCode::ACCEPTED, json!({}))
        }
        Route::Dogstatsd => {
            datadog.dogstatsd.take(&bytes);
            (StatusCode::OK, json!({}))
        }
        Route::Info | Route::Passed(_) => {
            intake.reject(Protocol::Datadog, Reason::NotKept, 1);
            let status = match route {
                Route::Passed(status) => status,
                _ => StatusCode::OK,
            };
            (status, json!({}))
        }
    };
    Ok(response(said.0, &said.1))
}

/// By its type; where that says neither, by how it begins: no list of MessagePack begins so.
fn is_json(headers: &HeaderMap, body: &[u8]) -> bool {
    let said = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    if said.contains("msgpack") {
        return false;
    }
    said.contains("json") || body.first() == Some(&b'[')
}

/// What a client says of itself.
fn sender(headers: &HeaderMap) -> Vec<KeyValue> {
    let named = [
        ("telemetry.sdk.language", "datadog-meta-lang"),
        ("telemetry.sdk.version", "datadog-meta-tracer-version"),
    ];
    let said = named.iter().filter_map(|(name, from)| {
        let value =
            header(headers, from).filter(|value| !value.is_empty() && value.len() <= 100)?;
        Some(text_attribute(*name, value))
    });
    said.collect()
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn port(headers: &HeaderMap) -> Option<u16> {
    header(headers, HOST.as_str())?.rsplit_once(':')?.1.parse().ok()
}

fn refusal(wrong: &Wrong) -> Response<Body> {
    let status = wrong.status();
    let said = json!({"error": {"code": wrong.code(), "message": wrong.to_string()}});
    let mut response = response(status, &said);
    let headers = response.headers_mut();
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        headers.insert(RETRY_AFTER, RETRY_SECONDS.into());
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, POST, PUT"));
    }
    response
}

fn response(status: StatusCode, said: &Json) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(said.to_string().into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("datadog-agent-version", HeaderValue::from_static(info::AGENT_VERSION));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_with_and_without_an_agent() {
        let traces = Some(Route::Traces(Version::V04));
        assert_eq!(Route::of("/v0.4/traces"), traces);
        assert_eq!(Route::of("/v0.3/traces/"), traces);
        assert_eq!(Route::of("/evp_proxy/v2/api/v2/llmobs"), Some(Route::LlmSpans));
        assert_eq!(Route::of("/evp_proxy/v4/api/v2/llmobs"), Some(Route::LlmSpans));
        assert_eq!(Route::of("/api/v2/llmobs"), Some(Route::LlmSpans));
        for path in [
            "/evp_proxy/v2/api/intake/llm-obs/v2/eval-metric",
            "/api/intake/llm-obs/v1/eval-metric",
        ] {
            assert_eq!(Route::of(path), Some(Route::Evaluations), "{path}");
        }
        let accepted = Some(Route::Passed(StatusCode::ACCEPTED));
        assert_eq!(Route::of("/evp_proxy/v2/api/v2/citestcycle"), accepted);
        assert_eq!(Route::of("/telemetry/proxy/api/v2/apmtelemetry"), accepted);
        assert_eq!(Route::of("/v0.7/config"), Some(Route::Passed(StatusCode::NOT_FOUND)));
        for path in ["/", "", "/v1.0/traces", "/v0.6/statsx", "/info/x", "/evp_proxyx"] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
