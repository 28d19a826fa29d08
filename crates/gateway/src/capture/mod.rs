//! Capture: any app's call to a runtime, passed through byte for byte while a copy is kept.
//!
//! The call is a hyper connection on either side and nothing else: no framework, no queue, no
//! timeout, no second task. What was copied is read on the recorder's side. A body that cannot be
//! read, or that was too long to be kept, makes a poorer span; it never touches the call.

mod api;
mod body;
mod cut;
mod exchange;
mod head;
mod lengths;
mod observe;
mod progress;
mod reading;
mod refusal;
mod rhythm;
mod tape;
mod threads;
mod upstream;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

pub use body::CaptureBody;

use self::{
    body::Sent,
    exchange::{End, Exchange},
    lengths::Lengths,
    tape::{Budget, Tape},
    threads::Threads,
    upstream::Upstream,
};
use crate::{
    LiveCalls, Recorder, RuntimeCatalog,
    error::ErrorCode,
    runtime::{RuntimeTarget, root_cause},
};

/// OpenAI's and Anthropic's clients say with it which attempt a request is.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");

/// Bounds of what is copied, in bytes. What goes beyond is passed on all the same.
#[derive(Debug, Clone)]
pub struct CaptureConfig {
    pub max_request_bytes: usize,
    pub max_answer_bytes: usize,
    /// What all copies together may hold.
    pub max_held_bytes: usize,
    /// The machine's name, for the spans.
    pub host: Option<String>,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            max_request_bytes: 16 << 20,
            max_answer_bytes: 8 << 20,
            max_held_bytes: 64 << 20,
            host: None,
        }
    }
}

/// One entrance of the capture: which runtime is behind it, and whose calls come through.
#[derive(Clone)]
pub struct Door {
    pub catalog: RuntimeCatalog,
    /// `host:port` of a configured runtime: calls go there before it has said who it is.
    pub runtime: Option<String>,
    /// What the user calls that runtime: the service of its spans, also before it has answered.
    pub name: Option<String>,
    /// The app that has this entrance to itself.
    pub app: Option<String>,
}

/// Passes calls on and keeps a copy. Cheap to clone.
#[derive(Clone)]
pub struct Capture(Arc<Shared>);

struct Shared {
    common: Arc<Common>,
    door: Door,
    upstream: Upstream,
}

/// What all doors have together.
struct Common {
    config: CaptureConfig,
    budget: Arc<Budget>,
    client: Client<HttpConnector, Sent>,
    live: LiveCalls,
    recorder: Recorder,
    /// Tells API keys apart without keeping them.
    keys: RandomState,
    /// Used where calls are read, one after the other; never while one is passed on.
    past: Mutex<Past>,
}

/// What is remembered of earlier calls.
struct Past {
    threads: Threads,
    lengths: Lengths,
}

impl Shared {
    fn past(&self) -> MutexGuard<'_, Past> {
        self.common.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A hash of the caller's key, good for this process only.
    fn key_of(&self, headers: &HeaderMap) -> Option<u64> {
        let key = headers.get(header::AUTHORIZATION).or_else(|| headers.get("x-api-key"))?;
        Some(self.common.keys.hash_one(key.as_bytes()))
    }
}

impl Capture {
    /// The first door. Follows its runtime; to be called within a tokio runtime.
    pub fn new(config: CaptureConfig, door: Door, live: LiveCalls, recorder: Recorder) -> Self {
        let common = Arc::new(Common {
            budget: Budget::new(config.max_held_bytes),
            client: client(),
            config,
            live,
            recorder,
            keys: RandomState::new(),
            past: Mutex::new(Past { threads: Threads::new(), lengths: Lengths::default() }),
        });
        Self::through(common, door)
    }

    /// A further door, with the same bounds and the same memory of earlier calls: a conversation may
    /// go on through another one.
    #[must_use]
    pub fn beside(&self, door: Door) -> Self {
        Self::through(Arc::clone(&self.0.common), door)
    }

    /// The same door, for an app that has a port to itself.
    #[must_use]
    pub fn for_app(&self, app: String) -> Self {
        self.beside(Door { app: Some(app), ..self.0.door.clone() })
    }

    fn through(common: Arc<Common>, door: Door) -> Self {
        let target: RuntimeTarget = door.catalog.target().clone();
        let upstream = Upstream::follow(target, door.runtime.as_deref());
        Self(Arc::new(Shared { common, door, upstream }))
    }

    /// Answers a call with what the runtime answers. Dropping the future, or the body of the
    /// answer, closes the connection to the runtime: so a client that leaves ends its generation.
    pub async fn pass(&self, request: Request<Incoming>) -> Response<CaptureBody> {
        let (mut head, body) = request.into_parts();
        let mut exchange = Exchange::begin(&self.0, &head);
        let runtime = match self.0.upstream.ready().await {
            Ok(runtime) => runtime,
            Err(reason) => {
                let reason = format!("Andon has no runtime to pass this to: {reason}");
                return refuse(exchange, ErrorCode::RuntimeDown, reason);
            }
        };
        if head::forward(&mut head, &runtime).is_none() {
            return refuse(exchange, ErrorCode::BadField, "the target is no path".to_owned());
        }
        exchange.passed_to(Arc::clone(&runtime));
        let body = if exchange.api().is_model_call() {
            let common = &self.0.common;
            let tape = Tape::new(Arc::clone(&common.budget), common.config.max_request_bytes);
            Sent::copied(body, tape, exchange.began(), exchange.request_slot())
        } else {
            Sent::uncopied(body)
        };
        match self.0.common.client.request(Request::from_parts(head, body)).await {
            Ok(answer) => {
                let (mut head, body) = answer.into_parts();
                exchange.answered(&head);
                head::backward(&mut head, trace_value(&exchange));
                Response::from_parts(head, CaptureBody::passed(body, exchange).await)
            }
            Err(error) => {
                let (code, what) = match error.is_connect() {
                    true => (ErrorCode::RuntimeDown, "cannot be reached"),
                    false => (ErrorCode::StreamBroken, "closed the connection without an answer"),
                };
                let why = root_cause(&error);
                refuse(
                    exchange,
                    code,
                    format!("the runtime at {} {what}: {why}", runtime.authority),
                )
            }
        }
    }

    /// Answers in the runtime's stead, in the form of the API that was called; nothing is recorded.
    pub fn deny(
        &self,
        request: &Request<Incoming>,
        status: StatusCode,
        code: &'static str,
        message: &str,
    ) -> Response<CaptureBody> {
        let api = api::Api::of(request.method(), request.uri().path());
        refusal::response(api.family(), status, code, message)
    }
}

fn refuse(mut exchange: Exchange, code: ErrorCode, message: String) -> Response<CaptureBody> {
    let status = match code.is_bad_request() {
        true => code.status(),
        false => StatusCode::BAD_GATEWAY,
    };
    let mut response = refusal::response(exchange.api().family(), status, code.as_str(), &message);
    response.headers_mut().insert(crate::headers::TRACE_ID, trace_value(&exchange));
    exchange.ended(End::Refused(code, message));
    response
}

fn trace_value(exchange: &Exchange) -> HeaderValue {
    // Hex digits are always a header's value.
    HeaderValue::from_str(&exchange.trace_id().to_string())
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// No timeout but for the connection itself: a load takes minutes in which no byte comes.
fn client() -> Client<HttpConnector, Sent> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(10)));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        // Shorter than llama-server's five seconds: a connection that the runtime is about to
        // close must not be given a call.
        .pool_idle_timeout(Duration::from_secs(4))
        .build(connector)
}
