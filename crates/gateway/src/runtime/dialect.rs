//! What a call to a runtime says and what comes back, in neutral words. One dialect an API.

use andon_model::RawText;
use bytes::Bytes;

use super::{RuntimeInfo, RuntimeKind, ollama, openai};
use crate::{
    error::{ChatError, ErrorCode},
    request::Turn,
};

/// One generation asked of a runtime.
pub(crate) struct Generation<'a> {
    pub(crate) model: &'a str,
    pub(crate) message: &'a RawText,
    pub(crate) history: &'a [Turn],
    pub(crate) system: Option<&'a RawText>,
    pub(crate) temperature: Option<f64>,
    pub(crate) num_predict: u32,
    pub(crate) think: Option<bool>,
}

/// Something a runtime said while it worked.
#[derive(Debug, PartialEq)]
pub(crate) enum RuntimeEvent {
    Queue {
        position: u32,
    },
    Load {
        progress: f64,
    },
    Prompt {
        done: u64,
        total: u64,
        cached: u64,
    },
    Thinking(String),
    Token(String),
    Final(Box<FinalStats>),
    /// In the runtime's own words.
    Error(String),
}

/// The runtime's own account of a call; unknown is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FinalStats {
    pub(crate) model: Option<String>,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) cached_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) reasoning_tokens: Option<u64>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) total_ns: Option<u64>,
    /// Waiting inside the runtime.
    pub(crate) queue_ns: Option<u64>,
    pub(crate) load_ns: Option<u64>,
    pub(crate) prompt_eval_ns: Option<u64>,
    pub(crate) eval_ns: Option<u64>,
    pub(crate) threads: Option<u64>,
    pub(crate) digest: Option<String>,
}

/// How to speak with one kind of runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Ollama,
    Openai { progress: bool },
}

impl Dialect {
    pub(crate) fn of(runtime: &RuntimeInfo) -> Self {
        match runtime.kind {
            RuntimeKind::Builtin | RuntimeKind::Ollama => Self::Ollama,
            RuntimeKind::Openai => Self::Openai { progress: runtime.product == "llama-server" },
        }
    }

    /// Path and body of the call.
    pub(crate) fn request(self, generation: &Generation<'_>) -> (&'static str, Bytes) {
        match self {
            Self::Ollama => ollama::request(generation),
            Self::Openai { progress } => openai::request(generation, progress),
        }
    }

    /// Reads one line of the stream into events.
    pub(crate) fn line(self, line: &[u8], state: &mut openai::Collected) -> Vec<RuntimeEvent> {
        match self {
            Self::Ollama => ollama::line(line),
            Self::Openai { .. } => openai::line(line, state),
        }
    }
}

/// A runtime's failure in its own words, by what it most likely is.
pub(crate) fn error_of(status: u16, text: &str) -> ChatError {
    let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let message = parsed
        .as_ref()
        .and_then(|value| value["error"].as_str().or_else(|| value["error"]["message"].as_str()))
        .map_or_else(|| text.trim().to_owned(), str::to_owned);
    let message = if message.is_empty() { format!("status {status}") } else { message };
    ChatError::new(code_of(status, &message), message)
}

pub(crate) fn code_of(status: u16, message: &str) -> ErrorCode {
    let text = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if status == 404 && says(&["not found"]) {
        ErrorCode::ModelMissing
    } else if says(&["context length", "context size", "exceeds the available context"]) {
        ErrorCode::ContextExceeded
    } else if status == 503 || says(&["server busy", "maximum pending requests"]) {
        ErrorCode::QueueFull
    } else if says(&[
        "out of memory",
        "more system memory",
        "cannot allocate",
        "failed to allocate",
    ]) {
        ErrorCode::OutOfMemory
    } else {
        ErrorCode::RuntimeFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart_by_what_the_runtime_says() {
        let code = |status, text| error_of(status, text).code;
        assert_eq!(code(404, r#"{"error":"model 'x' not found"}"#), ErrorCode::ModelMissing);
        assert_eq!(
            code(500, r#"{"error":"model requires more system memory (9 GiB) than is available"}"#),
            ErrorCode::OutOfMemory
        );
        assert_eq!(
            code(400, r#"{"error":{"message":"request exceeds the available context size"}}"#),
            ErrorCode::ContextExceeded
        );
        assert_eq!(error_of(500, "").message, "status 500");
    }
}
