//! All the ways a request can fail, with the status each has on the wire.
//!
//! The texts are those that Ollama's clients know (some match on them); what is ours says what
//! was wrong and where.

use std::path::PathBuf;

use http::StatusCode;

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("missing request body")]
    BodyMissing,
    #[error("request body is larger than the limit of {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("request body did not arrive within {seconds} s")]
    BodyTooSlow { seconds: u64 },
    #[error("request body broke off")]
    BodyBroken,
    #[error("request body is not valid UTF-8 (byte {position})")]
    BodyNotUtf8 { position: usize },
    #[error("request body is not valid JSON: {reason}")]
    BodyNotJson { reason: String },
    /// A field with a wrong type or value; the text says which and what was expected.
    #[error("{0}")]
    Invalid(String),
    #[error("option \"{name}\" must be of type {expected}")]
    OptionType { name: &'static str, expected: &'static str },
    #[error("model is required")]
    ModelMissing,
    #[error("model '{0}' not found")]
    ModelNotFound(String),
    #[error("\"{model}\" does not support {ability}")]
    NotAble { model: String, ability: &'static str },
    #[error(
        "the prompt is longer than the context length: {tokens} tokens, but the context holds \
         {context} and needs one place for the answer"
    )]
    PromptTooLong { tokens: usize, context: usize },
    // Two spaces, as Ollama writes it.
    #[error("server busy, please try again.  maximum pending requests exceeded")]
    Busy,
    #[error("request canceled")]
    Canceled,
    #[error("cannot load {}: {reason}", .path.display())]
    Load { path: PathBuf, reason: String },
    #[error(
        "cannot load {}: the file was altered (SHA-256 is {actual}, but {} says {expected})",
        .path.display(), .list.display()
    )]
    Checksum { path: PathBuf, list: PathBuf, expected: String, actual: String },
    #[error("the model failed: {0}")]
    Compute(String),
    #[error("{0} is not supported by the built-in runtime")]
    NotImplemented(&'static str),
    #[error("the runtime is stopping")]
    Stopping,
}

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::BodyMissing
            | Self::BodyBroken
            | Self::BodyNotUtf8 { .. }
            | Self::BodyNotJson { .. }
            | Self::Invalid(_)
            | Self::OptionType { .. }
            | Self::ModelMissing
            | Self::NotAble { .. }
            | Self::PromptTooLong { .. } => StatusCode::BAD_REQUEST,
            Self::ModelNotFound(_) => StatusCode::NOT_FOUND,
            Self::Busy | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Load { .. } | Self::Checksum { .. } | Self::Compute(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
        }
    }
}
