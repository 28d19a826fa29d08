//! The LLM proxy: takes a question, waits for the runtime's turn, asks it, answers, records.

mod call;
mod record;
mod sink;

use std::{sync::Arc, time::Duration};

use andon_model::Timings;
use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::post,
};
use http::{Method, header};

pub(crate) use self::{
    call::Call,
    record::{RESIDUAL_QUEUE, nanoseconds},
    sink::{Events, Out},
};
use crate::{
    LiveCalls, Recorder, Route, RuntimeCatalog, TimingsMs,
    error::{ChatError, ErrorCode},
    failure,
    headers::Caller,
    queue::Queue,
    request::{ChatRequest, read_body},
    response,
    runtime::HttpClient,
};

/// How the proxy works. Every limit has a name.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    pub routes: Vec<Route>,
    /// From the arrival of a question to the end of its answer.
    pub timeout: Duration,
    pub max_body_bytes: usize,
    pub body_timeout: Duration,
    /// Calls that the runtime gets at a time.
    pub max_concurrent: usize,
    /// Calls that may wait for their turn.
    pub max_queue: usize,
    pub max_reply_bytes: usize,
    /// Longest line that a runtime may send.
    pub max_line_bytes: usize,
    pub host: Option<String>,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            routes: Route::defaults(),
            timeout: Duration::from_secs(30),
            max_body_bytes: 1 << 20,
            body_timeout: Duration::from_secs(30),
            max_concurrent: 1,
            max_queue: 64,
            max_reply_bytes: 8 << 20,
            max_line_bytes: 4 << 20,
            host: None,
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    config: ProxyConfig,
    client: HttpClient,
    catalog: RuntimeCatalog,
    queue: Queue,
    live: LiveCalls,
    recorder: Recorder,
}

impl Proxy {
    pub const SERVICE: &'static str = "proxy";

    pub fn new(
        config: ProxyConfig,
        client: HttpClient,
        catalog: RuntimeCatalog,
        live: LiveCalls,
        recorder: Recorder,
    ) -> Self {
        let queue = Queue::new(config.max_concurrent, config.max_queue);
        Self(Arc::new(Inner { config, client, catalog, queue, live, recorder }))
    }

    /// The proxy's own HTTP face.
    pub fn router(&self) -> Router {
        let mut router = Router::new();
        for route in &self.0.config.routes {
            let path = route.path.clone();
            let state = (self.clone(), Arc::new(route.clone()));
            let answer = post(handle).fallback(wrong_method).with_state(state);
            router = router.route(&path, answer);
        }
        router
            .route("/healthz", axum::routing::get(|| async { "ok" }))
            .fallback(unknown_route)
            .with_state(self.clone())
    }

    /// A call of the gateway of this process, which has read and checked the question already.
    pub(crate) fn call(
        &self,
        route: Arc<Route>,
        caller: Caller,
        question: Arc<ChatRequest>,
        began: std::time::Instant,
    ) -> Box<Call> {
        Call::new(self.clone(), route, caller, question, began)
    }

    /// Refuses a request that never became a call, with a span that shows it.
    fn refuse(&self, caller: &Caller, request: &RequestLine, error: &ChatError) -> Response {
        let refused = record::refused(&self.0.config, caller, request, error);
        let timings = TimingsMs::new(&Timings::default(), refused.span.duration_ns);
        self.0.recorder.record(refused);
        failure::response(caller, error, &timings)
    }
}

/// What the request line said.
struct RequestLine {
    method: Method,
    path: String,
    began: std::time::Instant,
}

impl RequestLine {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().chars().take(200).collect(),
            began: std::time::Instant::now(),
        }
    }
}

async fn handle(State((proxy, route)): State<(Proxy, Arc<Route>)>, request: Request) -> Response {
    let line = RequestLine::of(&request);
    let mut caller = Caller::from_headers(request.headers());
    let config = &proxy.0.config;
    let body = read_body(request.into_body(), config.max_body_bytes, config.body_timeout).await;
    let parsed = body.and_then(|body| ChatRequest::parse(&body));
    let request = match parsed {
        Ok(request) => Arc::new(request),
        Err(error) => return proxy.refuse(&caller, &line, &error),
    };
    caller.prefer(request.session_id.as_ref(), request.user_id.as_ref());
    let call = Call::new(proxy, route, caller.clone(), request, line.began);
    response::of_call(caller, call, |end| end).await
}

async fn wrong_method(State((proxy, _)): State<(Proxy, Arc<Route>)>, request: Request) -> Response {
    let line = RequestLine::of(&request);
    let error = ChatError::new(
        ErrorCode::MethodNotAllowed,
        format!("{} takes POST, not {}", line.path, line.method),
    );
    let mut response = proxy.refuse(&Caller::from_headers(request.headers()), &line, &error);
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    response
}

async fn unknown_route(State(proxy): State<Proxy>, request: Request) -> Response {
    let line = RequestLine::of(&request);
    let known: Vec<_> = proxy.0.config.routes.iter().map(|route| route.path.as_str()).collect();
    let error = ChatError::new(
        ErrorCode::NotFound,
        format!("no route {}; there are {}", line.path, known.join(", ")),
    );
    proxy.refuse(&Caller::from_headers(request.headers()), &line, &error)
}
