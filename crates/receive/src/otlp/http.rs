//! OTLP over HTTP. Every answer has the type of its request, errors too: exporters log what they cannot
//! read, and some try again.

use std::sync::Arc;

use ::http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN, RETRY_AFTER, VARY,
    },
};
use bytes::Bytes;
use prost::Message;
use serde_json::json;

use super::{
    Body, RequestBody,
    export::{self, Export, Signal},
    wire::{self, ExportResponse, LogsRequest, MetricsRequest, RpcStatus, TooMany, TracesRequest},
};
use crate::{
    body::BodyError,
    intake::{Intake, Protocol, Reason, Refused},
};

/// Clients wait this long and try again within their own patience, 10 s in most.
const RETRY_SECONDS: u16 = 1;

/// Web pages that may send, by their origin; `*` for all.
#[derive(Debug, Clone, Default)]
pub struct Origins(Arc<[String]>);

impl Origins {
    pub fn new(origins: impl IntoIterator<Item = String>) -> Self {
        Self(origins.into_iter().collect())
    }

    fn allows(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| allowed == "*" || allowed.trim_end_matches('/') == origin)
    }
}

/// In which form a body is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let said = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = said.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/x-protobuf")
            || kind.eq_ignore_ascii_case("application/protobuf")
        {
            Some(Self::Protobuf)
        } else if kind.eq_ignore_ascii_case("application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}

/// What was wrong with a request.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("nothing is received at {0}; use /v1/traces, /v1/metrics or /v1/logs")]
    Path(String),
    #[error("{0} is not taken here; use POST")]
    Method(Method),
    #[error("the origin {0} may not send; add it to allowed_origins under [receive]")]
    Origin(String),
    #[error("content-type: use application/x-protobuf or application/json")]
    ContentType,
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("the body is no OTLP in protobuf: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("the body is no OTLP in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    TooMany(#[from] TooMany),
    #[error("{0}")]
    Refused(#[from] Refused),
}

impl Wrong {
    fn status(&self) -> StatusCode {
        match self {
            Self::Path(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::ContentType | Self::Body(BodyError::Encoding(_)) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Body(BodyError::TooLarge(_)) | Self::TooMany(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::TooSlow(_)) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::Packed { .. } | BodyError::Broken(_))
            | Self::Protobuf(_)
            | Self::Json(_) => StatusCode::BAD_REQUEST,
            // 500 would lose the batch at the client; these it sends again.
            Self::Body(BodyError::Busy) | Self::Refused(Refused::Busy) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Refused(Refused::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// gRPC's code for it (`google/rpc/code.proto`).
    fn code(&self) -> i32 {
        match self.status() {
            StatusCode::NOT_FOUND => 5,
            StatusCode::FORBIDDEN => 7,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE => 8,
            StatusCode::METHOD_NOT_ALLOWED => 12,
            StatusCode::SERVICE_UNAVAILABLE => 14,
            _ => 3,
        }
    }

    /// How it is counted; what was refused further in is counted there.
    fn reason(&self) -> Option<Reason> {
        match self {
            Self::Body(error) => Some(error.reason()),
            Self::Protobuf(_) | Self::Json(_) => Some(Reason::Unreadable),
            Self::TooMany(_) => Some(Reason::TooLarge),
            Self::ContentType => Some(Reason::ContentType),
            Self::Path(_) | Self::Method(_) | Self::Origin(_) | Self::Refused(_) => None,
        }
    }
}

pub(super) async fn answer<B: RequestBody>(
    intake: Intake,
    origins: &Origins,
    request: Request<B>,
) -> Response<Body> {
    let origin = request.headers().get(ORIGIN).and_then(|value| value.to_str().ok());
    let origin = origin.map(str::to_owned);
    let form = Form::of(request.headers());
    let mut response = match &origin {
        Some(origin) if !origins.allows(origin) => refusal(&Wrong::Origin(origin.clone()), form),
        _ if request.method() == Method::OPTIONS => preflight(),
        _ => match receive(&intake, request, form).await {
            Ok(response) => response,
            Err(wrong) => {
                if let Some(reason) = wrong.reason() {
                    intake.reject(Protocol::OtlpHttp, reason, 1);
                    tracing::debug!(error = %wrong, "a request was refused");
                }
                refusal(&wrong, form)
            }
        },
    };
    if let Some(allowed) = origin.filter(|origin| origins.allows(origin)) {
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("origin"));
        if let Ok(allowed) = HeaderValue::from_str(&allowed) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        }
    }
    response
}

fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    let allowed = "authorization, content-encoding, content-type, traceparent, tracestate, baggage, \
                   x-langfuse-public-key, x-langfuse-sdk-name, x-langfuse-sdk-version";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    response
}

/// Which signal a path is for. Bases differ: Langfuse's has `/api/public/otel` before it.
fn signal(path: &str) -> Option<Signal> {
    let path = path.trim_end_matches('/');
    let of = |ending, signal| path.ends_with(ending).then_some(signal);
    of("/v1/traces", Signal::Traces)
        .or_else(|| of("/v1/metrics", Signal::Metrics))
        .or_else(|| of("/v1/logs", Signal::Logs))
}

async fn receive<B: RequestBody>(
    intake: &Intake,
    request: Request<B>,
    form: Option<Form>,
) -> Result<Response<Body>, Wrong> {
    let path = request.uri().path();
    let signal =
        signal(path).ok_or_else(|| Wrong::Path(path.chars().take(100).collect::<String>()))?;
    if request.method() != Method::POST {
        return Err(Wrong::Method(request.method().clone()));
    }
    let form = form.ok_or(Wrong::ContentType)?;
    let (head, body) = request.into_parts();
    let encoding = head.headers.get(CONTENT_ENCODING);
    let encoding = encoding.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (bytes, _room) = intake.room.read(body, encoding.as_deref()).await?.into_parts();
    intake.count_request(Protocol::OtlpHttp, bytes.len());
    let export = read(signal, form, bytes)?;
    let said = export::keep(intake, Protocol::OtlpHttp, export).await?;
    let body = match form {
        Form::Protobuf => said.encode_to_vec().into(),
        Form::Json => in_json(signal, &said),
    };
    Ok(response(StatusCode::OK, form, body))
}

fn read(signal: Signal, form: Form, bytes: Bytes) -> Result<Export, Wrong> {
    match form {
        Form::Protobuf => wire::weigh(signal, &bytes)?,
        Form::Json => wire::weigh_json(&bytes)?,
    }
    Ok(match (form, signal) {
        (Form::Protobuf, Signal::Traces) => Export::Traces(TracesRequest::decode(bytes)?),
        (Form::Protobuf, Signal::Metrics) => Export::Metrics(MetricsRequest::decode(bytes)?),
        (Form::Protobuf, Signal::Logs) => Export::Logs(LogsRequest::decode(bytes)?),
        (Form::Json, Signal::Traces) => Export::Traces(serde_json::from_slice(&bytes)?),
        (Form::Json, Signal::Metrics) => Export::Metrics(serde_json::from_slice(&bytes)?),
        (Form::Json, Signal::Logs) => Export::Logs(serde_json::from_slice(&bytes)?),
    })
}

fn in_json(signal: Signal, said: &ExportResponse) -> Bytes {
    let Some(partial) = &said.partial_success else { return Bytes::from_static(b"{}") };
    let name = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    // A whole number of 64 bits is a text in protobuf's JSON.
    let said = json!({"partialSuccess": {
        name: partial.rejected.to_string(),
        "errorMessage": partial.error_message,
    }});
    said.to_string().into()
}

/// An error in the form of its request, in JSON where that has none.
fn refusal(wrong: &Wrong, form: Option<Form>) -> Response<Body> {
    let form = form.unwrap_or(Form::Json);
    let said = RpcStatus { code: wrong.code(), message: wrong.to_string(), details: Vec::new() };
    let body = match form {
        Form::Protobuf => said.encode_to_vec().into(),
        Form::Json => json!({"code": said.code, "message": said.message}).to_string().into(),
    };
    let status = wrong.status();
    let mut response = response(status, form, body);
    let headers = response.headers_mut();
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        headers.insert(RETRY_AFTER, RETRY_SECONDS.into());
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    }
    response
}

fn response(status: StatusCode, form: Form, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, form.content_type());
    response
}
