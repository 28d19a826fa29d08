//! What can go wrong with a chat call, each with a stable code, a status and a cause.

use andon_model::{Cause, Phase};
use http::StatusCode;
use serde_json::Value;

use crate::runtime::SendError;

/// Stable names of failures; the pages translate by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    NoMessage,
    BadJson,
    BadField,
    BadUtf8,
    TooLarge,
    BodyTimeout,
    NotFound,
    MethodNotAllowed,
    Timeout,
    QueueFull,
    RuntimeDown,
    ModelMissing,
    ContextExceeded,
    OutOfMemory,
    RuntimeFailed,
    StreamBroken,
    ProxyFailed,
    ClientGone,
}

/// One row a code: name, status, cause.
type Row = (&'static str, StatusCode, Cause);

impl ErrorCode {
    fn row(self) -> Row {
        use StatusCode as S;
        match self {
            Self::NoMessage => ("no_message", S::BAD_REQUEST, Cause::None),
            Self::BadJson => ("bad_json", S::BAD_REQUEST, Cause::None),
            Self::BadField => ("bad_field", S::BAD_REQUEST, Cause::None),
            Self::BadUtf8 => ("bad_utf8", S::BAD_REQUEST, Cause::None),
            Self::TooLarge => ("too_large", S::PAYLOAD_TOO_LARGE, Cause::None),
            Self::BodyTimeout => ("body_timeout", S::REQUEST_TIMEOUT, Cause::Network),
            Self::NotFound => ("not_found", S::NOT_FOUND, Cause::None),
            Self::MethodNotAllowed => ("method_not_allowed", S::METHOD_NOT_ALLOWED, Cause::None),
            Self::Timeout => ("timeout", S::GATEWAY_TIMEOUT, Cause::Timeout),
            Self::QueueFull => ("queue_full", S::SERVICE_UNAVAILABLE, Cause::QueueFull),
            Self::RuntimeDown => ("runtime_down", S::INTERNAL_SERVER_ERROR, Cause::RuntimeDown),
            Self::ModelMissing => ("model_missing", S::INTERNAL_SERVER_ERROR, Cause::ModelMissing),
            Self::ContextExceeded => ("context_exceeded", S::BAD_REQUEST, Cause::ContextExceeded),
            Self::OutOfMemory => ("out_of_memory", S::INTERNAL_SERVER_ERROR, Cause::OutOfMemory),
            Self::RuntimeFailed => ("runtime_failed", S::INTERNAL_SERVER_ERROR, Cause::Unknown),
            Self::StreamBroken => ("stream_broken", S::INTERNAL_SERVER_ERROR, Cause::RuntimeDown),
            Self::ProxyFailed => ("proxy_failed", S::INTERNAL_SERVER_ERROR, Cause::Unknown),
            // Nobody reads this status; nginx's 499 is what people search for.
            Self::ClientGone => {
                ("client_gone", S::from_u16(499).unwrap_or(S::BAD_REQUEST), Cause::ClientGone)
            }
        }
    }

    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    pub fn status(self) -> StatusCode {
        self.row().1
    }

    pub fn cause(self) -> Cause {
        self.row().2
    }

    /// The caller sent something that no repetition will mend.
    pub fn is_bad_request(self) -> bool {
        self.status().is_client_error() && self != Self::ClientGone
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    const ALL: [Self; 18] = [
        Self::NoMessage,
        Self::BadJson,
        Self::BadField,
        Self::BadUtf8,
        Self::TooLarge,
        Self::BodyTimeout,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::QueueFull,
        Self::RuntimeDown,
        Self::ModelMissing,
        Self::ContextExceeded,
        Self::OutOfMemory,
        Self::RuntimeFailed,
        Self::StreamBroken,
        Self::ProxyFailed,
        Self::ClientGone,
    ];
}

/// A failed call, in words and by code.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ChatError {
    pub code: ErrorCode,
    pub message: String,
    /// What the call was doing when it failed, as far as known.
    pub phase: Option<Phase>,
    /// The answer of the part behind, as it came.
    pub detail: Option<Value>,
    pub retry_after_s: Option<u64>,
}

impl ChatError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), phase: None, detail: None, retry_after_s: None }
    }

    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.phase = self.phase.or(Some(phase));
        self
    }
}

impl From<SendError> for ChatError {
    fn from(error: SendError) -> Self {
        let code = match error {
            SendError::Connect { .. } | SendError::Address { .. } => ErrorCode::RuntimeDown,
            SendError::Broken { .. } => ErrorCode::StreamBroken,
            SendError::Answer { .. } => ErrorCode::RuntimeFailed,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_from_its_name() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_name(code.as_str()), Some(code));
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
