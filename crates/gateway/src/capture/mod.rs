//! Capture: any app's call to a runtime, passed through byte for byte while a copy is kept.
//!
//! A connection is one task and two sockets (`wire`): no framework, no queue, no timeout, no second
//! task. What was copied is read on the recorder's side. A body that cannot be
//! read, or that was too long to be kept, makes a poorer span; it never touches the call.

mod api;
mod cut;
mod exchange;
mod forecast;
mod lengths;
mod memory;
mod observe;
mod progress;
mod reading;
mod refusal;
mod rhythm;
mod tape;
mod threads;
mod upstream;
mod wire;

use std::{
    hash::{BuildHasher, RandomState},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::header;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::wire::{Admitted, Denied, Door};
use self::{
    forecast::Paces,
    lengths::Lengths,
    tape::Budget,
    threads::Threads,
    upstream::Upstream,
    wire::{Headers, Pool},
};
use crate::{LiveCalls, Recorder, RuntimeCatalog, runtime::RuntimeTarget};

/// OpenAI's and Anthropic's clients say with it which attempt a request is.
const RETRY_COUNT: &str = "x-stainless-retry-count";

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
pub struct Entrance {
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
    entrance: Entrance,
    upstream: Upstream,
    pool: Pool,
}

/// What all entrances have together.
struct Common {
    config: CaptureConfig,
    budget: Arc<Budget>,
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
    paces: Paces,
}

impl Past {
    fn new() -> Self {
        let (threads, lengths, paces) = (Threads::new(), Lengths::default(), Paces::default());
        Self { threads, lengths, paces }
    }
}

impl Shared {
    fn past(&self) -> MutexGuard<'_, Past> {
        self.common.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A hash of the caller's key, good for this process only.
    fn key_of(&self, headers: Headers<'_>) -> Option<u64> {
        let key =
            headers.get(header::AUTHORIZATION.as_str()).or_else(|| headers.get("x-api-key"))?;
        Some(self.common.keys.hash_one(key))
    }
}

impl Capture {
    /// The first entrance. Follows its runtime; to be called within a tokio runtime.
    pub fn new(
        config: CaptureConfig,
        entrance: Entrance,
        live: LiveCalls,
        recorder: Recorder,
    ) -> Self {
        let common = Arc::new(Common {
            budget: Budget::new(config.max_held_bytes),
            config,
            live,
            recorder,
            keys: RandomState::new(),
            past: Mutex::new(Past::new()),
        });
        Self::through(common, entrance)
    }

    /// A further entrance, with the same bounds and the same memory of earlier calls: a conversation may
    /// go on through another one.
    #[must_use]
    pub fn beside(&self, entrance: Entrance) -> Self {
        Self::through(Arc::clone(&self.0.common), entrance)
    }

    /// The same entrance, for an app that has a port to itself.
    #[must_use]
    pub fn for_app(&self, app: String) -> Self {
        self.beside(Entrance { app: Some(app), ..self.0.entrance.clone() })
    }

    fn through(common: Arc<Common>, entrance: Entrance) -> Self {
        let target: RuntimeTarget = entrance.catalog.target().clone();
        let upstream = Upstream::follow(target, entrance.runtime.as_deref());
        Self(Arc::new(Shared { common, entrance, upstream, pool: Pool::default() }))
    }

    /// Answers calls with what the runtime answers, until `stop`; then lets running answers end. A
    /// client that leaves, or this future dropped, closes the connection to the runtime: so ends
    /// the generation.
    pub async fn serve(
        self,
        listener: TcpListener,
        door: Arc<dyn Door>,
        stop: CancellationToken,
    ) -> io::Result<()> {
        wire::serve(self.0, listener, door, stop).await
    }
}
