//! The runtime as Andon sees it: where it is, what it speaks, which models it has.

mod catalog;
mod client;
mod detect;
mod dialect;
mod hours;
mod keeper;
mod load;
mod memory;
mod models;
pub(crate) mod ollama;
mod ollama_log;
pub(crate) mod openai;
pub(crate) mod progress;

use std::{fmt, time::Duration};

use andon_model::{Cause, UnixNanos};
use serde::Serialize;
use tokio::sync::watch;

pub(crate) use catalog::Resolved;
pub use catalog::RuntimeCatalog;
pub(crate) use client::{Exchange, SendError};
pub use client::{HttpClient, http_client};
pub use detect::{DetectError, detect};
pub(crate) use dialect::{Dialect, FinalStats, Generation, RuntimeEvent, code_of, error_of};
pub use hours::{Hours, HoursError, WrittenHours};
pub use keeper::{KeepError, Kept, KeptState, MOST_KEPT, ModelKeeper, ModelOf, ToKeep};
pub use load::RuntimeLoad;
pub use memory::RuntimeMemory;
pub(crate) use models::find;
pub use models::{DiscoveredModel, Experts, list_models};
pub use ollama_log::OllamaLog;
pub use progress::follow_progress;

use crate::error::{ChatError, ErrorCode};

/// Which API a runtime is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// Andon's own, a child process: Ollama's API with progress.
    Builtin,
    Ollama,
    /// Anything that speaks `/v1`: llama-server, vLLM, LM Studio.
    Openai,
}

/// A runtime that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    pub kind: RuntimeKind,
    /// What it is: `runtime` for Andon's own, `ollama`, `llama-server`, `vllm`, …
    pub product: &'static str,
    /// The service name of its spans: the one that the user gave it, else the product's.
    pub name: String,
    /// `host:port`.
    pub authority: String,
    pub version: Option<String>,
    pub pid: Option<u32>,
}

/// The end of a runtime process that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    pub time_ns: UnixNanos,
    /// In words: by which signal, with which status.
    pub message: String,
    pub cause: Cause,
}

/// What is known of the runtime at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeState {
    /// `None` while it starts or is down.
    pub ready: Option<RuntimeInfo>,
    /// Why it is not ready, in words.
    pub reason: Option<String>,
    /// It will come by itself: wait for it.
    pub starting: bool,
    pub last_crash: Option<Crash>,
}

/// Where the present runtime is read from. Cheap to clone.
#[derive(Clone)]
pub struct RuntimeTarget(watch::Receiver<RuntimeState>);

impl fmt::Debug for RuntimeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RuntimeTarget").field(&*self.0.borrow()).finish()
    }
}

impl RuntimeTarget {
    pub fn new(state: watch::Receiver<RuntimeState>) -> Self {
        Self(state)
    }

    pub fn state(&self) -> RuntimeState {
        self.0.borrow().clone()
    }

    /// Hears of each change.
    pub fn subscribe(&self) -> watch::Receiver<RuntimeState> {
        self.0.clone()
    }

    /// The runtime, waiting for one that is starting.
    pub(crate) async fn ready(&self) -> Result<RuntimeInfo, ChatError> {
        let mut state = self.0.clone();
        loop {
            {
                let now = state.borrow_and_update();
                if let Some(info) = &now.ready {
                    return Ok(info.clone());
                }
                if !now.starting {
                    return Err(down(&now));
                }
            }
            if state.changed().await.is_err() {
                return Err(down(&state.borrow()));
            }
        }
    }

    /// The crash that ended a call which began at `since_ns`, if one becomes known within `wait`.
    pub(crate) async fn crash_since(&self, since_ns: UnixNanos, wait: Duration) -> Option<Crash> {
        let mut state = self.0.clone();
        let crashed = |state: &RuntimeState| {
            state.last_crash.as_ref().is_some_and(|crash| crash.time_ns >= since_ns)
        };
        let seen = tokio::time::timeout(wait, state.wait_for(crashed)).await.ok()?.ok()?;
        seen.last_crash.clone()
    }
}

fn down(state: &RuntimeState) -> ChatError {
    let reason = state.reason.as_deref().unwrap_or("no runtime answers");
    ChatError::new(ErrorCode::RuntimeDown, format!("the runtime is not there: {reason}"))
}
