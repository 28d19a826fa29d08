//! HTTP to a runtime or a proxy on this or another machine. Connections are kept and reused.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

/// The client that everything here shares. Cheap to clone.
pub type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Longest error body that is read.
const MAX_ERROR_BODY: usize = 64 << 10;

/// A client with small delays: no Nagle, idle connections kept for a minute.
pub fn http_client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .build(connector)
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("cannot reach {authority}: {reason}")]
    Connect { authority: String, reason: String },
    #[error("{authority} closed the connection before it answered: {reason}")]
    Broken { authority: String, reason: String },
    #[error("bad address {authority}: {reason}")]
    Address { authority: String, reason: String },
    #[error("the answer of {authority} is not what it should be: {reason}")]
    Answer { authority: String, reason: String },
}

/// One request and its answer's head.
pub(crate) struct Exchange {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
}

impl Exchange {
    pub(crate) async fn send(
        client: &HttpClient,
        authority: &str,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Self, SendError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{authority}{path}"))
            .body(Full::new(body))
            .map_err(|error| SendError::Address {
                authority: authority.to_owned(),
                reason: error.to_string(),
            })?;
        *request.headers_mut() = headers;
        let response = client.request(request).await.map_err(|error| {
            let reason = root_cause(&error);
            let authority = authority.to_owned();
            if error.is_connect() {
                SendError::Connect { authority, reason }
            } else {
                SendError::Broken { authority, reason }
            }
        })?;
        let (head, body) = response.into_parts();
        Ok(Self { status: head.status, headers: head.headers, body })
    }

    pub(crate) fn is_content_type(&self, wanted: &str) -> bool {
        self.headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with(wanted))
    }

    /// The whole body of an error answer, cut at a limit.
    pub(crate) async fn error_text(self) -> String {
        match Limited::new(self.body, MAX_ERROR_BODY).collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            Err(_) => String::new(),
        }
    }
}

/// The innermost error says what happened; the outer ones say «client error».
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// `GET path` and the JSON that comes back.
pub(crate) async fn get_json(
    client: &HttpClient,
    authority: &str,
    path: &str,
    max_bytes: usize,
) -> Result<serde_json::Value, SendError> {
    read_json(get(client, authority, path).await?, authority, max_bytes).await
}

/// `GET path` and the text that comes back.
pub(crate) async fn get_text(
    client: &HttpClient,
    authority: &str,
    path: &str,
    max_bytes: usize,
) -> Result<String, SendError> {
    let body = read_body(get(client, authority, path).await?, authority, max_bytes).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// `POST path` with JSON, and the JSON that comes back.
pub(crate) async fn post_json(
    client: &HttpClient,
    authority: &str,
    path: &str,
    body: &serde_json::Value,
    max_bytes: usize,
) -> Result<serde_json::Value, SendError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = Bytes::from(body.to_string());
    let exchange = Exchange::send(client, authority, Method::POST, path, headers, body).await?;
    read_json(exchange, authority, max_bytes).await
}

async fn get(client: &HttpClient, authority: &str, path: &str) -> Result<Exchange, SendError> {
    Exchange::send(client, authority, Method::GET, path, HeaderMap::new(), Bytes::new()).await
}

pub(crate) async fn read_json(
    exchange: Exchange,
    authority: &str,
    max_bytes: usize,
) -> Result<serde_json::Value, SendError> {
    let body = read_body(exchange, authority, max_bytes).await?;
    serde_json::from_slice(&body).map_err(|error| wrong(authority, error.to_string()))
}

async fn read_body(
    exchange: Exchange,
    authority: &str,
    max_bytes: usize,
) -> Result<Bytes, SendError> {
    if !exchange.status.is_success() {
        return Err(wrong(authority, format!("status {}", exchange.status.as_u16())));
    }
    let body = Limited::new(exchange.body, max_bytes).collect().await;
    Ok(body.map_err(|error| wrong(authority, error.to_string()))?.to_bytes())
}

fn wrong(authority: &str, reason: String) -> SendError {
    SendError::Answer { authority: authority.to_owned(), reason }
}
