//! Which models a runtime holds in memory, told by what changes.

use serde::{Deserialize, Serialize};

use crate::{UnixNanos, named::named};

named! {
    /// What became of a model.
    #[derive(Default)]
    pub enum ModelEventKind {
        /// In memory as before. Said when Andon begins to look, and once in a while.
        #[default]
        Held = "held",
        /// It came into memory, or came anew with another context or more of it on a GPU.
        Loaded = "loaded",
        Unloaded = "unloaded",
    }
}

named! {
    /// Why a model left memory, where that can be seen from outside. Somebody may have had it let go, or
    /// called it for a shorter time: neither is said by a runtime.
    pub enum UnloadReason {
        /// Nobody asked it until its time was up.
        Expired = "expired",
        /// Another one was loaded at that moment.
        Evicted = "evicted",
        /// The runtime itself ended, or answers no more.
        RuntimeGone = "runtime_gone",
    }
}

/// A change of what is in a runtime's memory. Runtimes are asked every few seconds: it happened after
/// the look before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ModelEvent {
    /// When it was seen.
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    /// The look before; `None` where there was none.
    #[schema(value_type = Option<u64>)]
    pub after_ns: Option<UnixNanos>,
    /// By the name that the runtime's spans have as their service.
    pub runtime: String,
    pub model: String,
    pub kind: ModelEventKind,
    /// Of what left memory.
    pub reason: Option<UnloadReason>,
    /// The model that was loaded instead.
    pub other_model: Option<String>,
    /// What it takes of the machine's memory, and of the GPU's among it.
    pub memory_bytes: Option<u64>,
    pub gpu_bytes: Option<u64>,
    /// Tokens of its context.
    pub context_length: Option<u64>,
    /// When it leaves memory if nobody asks it.
    #[schema(value_type = Option<u64>)]
    pub expires_ns: Option<UnixNanos>,
}
