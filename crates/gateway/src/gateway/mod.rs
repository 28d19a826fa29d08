//! The API gateway: the original's Express app. Checks what comes in, hands it to the proxy (of this
//! process, or any other over HTTP), relays what comes back.

mod own;
mod record;
mod relay;

use std::{sync::Arc, time::Duration, time::Instant};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::post,
};
use http::{Method, header};

use self::{record::GatewayRecord, relay::Relay};
use crate::{
    Proxy, Recorder, Route, TimingsMs,
    error::{ChatError, ErrorCode},
    failure,
    headers::Caller,
    request::{ChatRequest, read_body},
    runtime::HttpClient,
};

/// How the gateway works.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    pub routes: Vec<Route>,
    /// From the arrival of a question to the end of its answer; a proxy elsewhere that hangs longer
    /// is left.
    pub timeout: Duration,
    pub max_body_bytes: usize,
    pub body_timeout: Duration,
    /// Longest answer that a foreign proxy may send in one piece.
    pub max_answer_bytes: usize,
    pub host: Option<String>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            routes: Route::defaults(),
            timeout: Duration::from_secs(30),
            max_body_bytes: 1 << 20,
            body_timeout: Duration::from_secs(30),
            max_answer_bytes: 16 << 20,
            host: None,
        }
    }
}

/// Who gets the gateway's questions.
#[derive(Clone)]
pub enum ProxyLink {
    /// The proxy of this process; a socket between the two would cost more than both.
    Own(Proxy),
    /// One elsewhere, Andon's or a foreign one, over HTTP.
    Http {
        /// `host:port`.
        authority: String,
        /// Sent as `Authorization: Bearer`, where the proxy asks for it.
        key: Option<String>,
    },
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    config: GatewayConfig,
    proxy: ProxyLink,
    client: HttpClient,
    recorder: Recorder,
}

impl Gateway {
    pub const SERVICE: &'static str = "gateway";
    /// What the proxy gets to say «timed out» itself before the gateway leaves it.
    const GRACE: Duration = Duration::from_millis(500);

    pub fn new(
        config: GatewayConfig,
        proxy: ProxyLink,
        client: HttpClient,
        recorder: Recorder,
    ) -> Self {
        Self(Arc::new(Inner { config, proxy, client, recorder }))
    }

    /// The chat routes; pages and API are merged in by the binary.
    pub fn router(&self) -> Router {
        let mut router = Router::new();
        for route in &self.0.config.routes {
            let state = (self.clone(), Arc::new(route.clone()));
            let answer = post(handle).fallback(wrong_method).with_state(state);
            router = router.route(&route.path, answer);
        }
        router
    }

    /// Answers a route that does not exist, with a span that shows it; but for what browsers look
    /// for by themselves, which would fill the list.
    pub fn unknown_route(&self, request: Request) -> Response {
        let path: String = request.uri().path().chars().take(200).collect();
        let error = ChatError::new(ErrorCode::NotFound, format!("no route {path}"));
        let of_pages = ["/api/", "/assets/", "/andon/", "/.well-known/", "/favicon", "/robots.txt"];
        if of_pages.iter().any(|start| path.starts_with(start)) || path.starts_with("/apple-touch")
        {
            let timings = TimingsMs::default();
            return failure::response(&request_caller(&request), &error, &timings);
        }
        self.refuse(&request_caller(&request), request.method(), &path, Instant::now(), &error)
    }

    fn refuse(
        &self,
        caller: &Caller,
        method: &Method,
        path: &str,
        began: Instant,
        error: &ChatError,
    ) -> Response {
        let mut record = self.record(caller, method.as_str(), path, began);
        let timings = record.failed(error, None);
        failure::response(caller, error, &timings)
    }

    fn record(&self, caller: &Caller, method: &str, path: &str, began: Instant) -> GatewayRecord {
        let inner = &self.0;
        let host = inner.config.host.clone();
        GatewayRecord::new(inner.recorder.clone(), caller, method, path, host, began)
    }
}

fn request_caller(request: &Request) -> Caller {
    Caller::from_headers(request.headers())
}

async fn handle(
    State((gateway, route)): State<(Gateway, Arc<Route>)>,
    request: Request,
) -> Response {
    let began = Instant::now();
    let mut caller = request_caller(&request);
    let (method, path) = (request.method().clone(), route.path.as_str());
    let config = &gateway.0.config;
    let body =
        match read_body(request.into_body(), config.max_body_bytes, config.body_timeout).await {
            Ok(body) => body,
            Err(error) => return gateway.refuse(&caller, &method, path, began, &error),
        };
    let question = match ChatRequest::parse(&body) {
        Ok(question) => Arc::new(question),
        Err(error) => return gateway.refuse(&caller, &method, path, began, &error),
    };
    caller.prefer(question.session_id.as_ref(), question.user_id.as_ref());
    let mut record = gateway.record(&caller, "POST", path, began);
    record.asks(&route, &question);
    match &gateway.0.proxy {
        ProxyLink::Own(proxy) => {
            let behind = record.caller_behind(&caller);
            let call = proxy.call(Arc::clone(&route), behind, question, began);
            own::relay(caller, record, call).await
        }
        ProxyLink::Http { authority, key } => {
            let relay = Relay::new(gateway.clone(), caller, record, began);
            relay.run(authority, key.as_deref(), path, body).await
        }
    }
}

async fn wrong_method(
    State((gateway, route)): State<(Gateway, Arc<Route>)>,
    request: Request,
) -> Response {
    let error = ChatError::new(
        ErrorCode::MethodNotAllowed,
        format!("{} takes POST, not {}", route.path, request.method()),
    );
    let caller = request_caller(&request);
    let mut response =
        gateway.refuse(&caller, request.method(), &route.path, Instant::now(), &error);
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    response
}
