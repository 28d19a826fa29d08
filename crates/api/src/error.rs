//! How the API says no: `{"error","code"}` with the status that belongs to the code.

use andon_state::StateError;
use andon_store::{Interrupt, SqlError, StoreError};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::forget::ForgetError;

/// One failed request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0} was not found")]
    NotFound(String),
    /// The same, in words of its own.
    #[error("{0}")]
    Absent(String),
    /// Something else has to end first.
    #[error("{0}")]
    Busy(String),
    #[error("the machine could not be measured: {0}")]
    Unmeasured(String),
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the question was interrupted")]
    Interrupted,
}

/// The body of every error.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ErrorBody {
    pub(crate) error: String,
    pub(crate) code: ApiErrorCode,
}

/// Stable names of the API's own failures; the pages translate by them.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ApiErrorCode {
    BadRequest,
    NotFound,
    TooLarge,
    RangeTooLong,
    StoreUnavailable,
    /// A question that takes too long, or too much memory.
    TooMuch,
    /// Something else has to end first.
    Busy,
    Internal,
    /// A password is needed.
    Unauthorized,
    /// A Host or Origin that may not ask.
    Forbidden,
}

impl ApiError {
    fn row(&self) -> (StatusCode, ApiErrorCode) {
        use ApiErrorCode as Code;
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, Code::BadRequest),
            Self::NotFound(_) | Self::Absent(_) => (StatusCode::NOT_FOUND, Code::NotFound),
            Self::Busy(_) => (StatusCode::CONFLICT, Code::Busy),
            Self::Unmeasured(_) => (StatusCode::SERVICE_UNAVAILABLE, Code::Internal),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge),
            Self::Store(StoreError::RangeTooLong { .. }) => {
                (StatusCode::BAD_REQUEST, Code::RangeTooLong)
            }
            Self::Store(StoreError::Busy | StoreError::Unavailable { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::StoreUnavailable)
            }
            Self::Sql(SqlError::Invalid(_)) => (StatusCode::BAD_REQUEST, Code::BadRequest),
            Self::Sql(SqlError::TooLong { .. } | SqlError::TooMuch { .. })
            | Self::Store(
                StoreError::QuestionTooLarge { .. } | StoreError::QuestionTooLong { .. },
            ) => (StatusCode::UNPROCESSABLE_ENTITY, Code::TooMuch),
            Self::State(StateError::NoteTooLarge { .. } | StateError::TooManyNotes { .. }) => {
                (StatusCode::BAD_REQUEST, Code::BadRequest)
            }
            // A full disk, or a backup that takes long.
            Self::State(StateError::Database(_) | StateError::Io { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::StoreUnavailable)
            }
            Self::Sql(SqlError::Busy { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::StoreUnavailable)
            }
            Self::Sql(SqlError::Failed(_))
            | Self::Store(_)
            | Self::State(_)
            | Self::Interrupted => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        }
    }
}

impl From<ForgetError> for ApiError {
    fn from(error: ForgetError) -> Self {
        match error {
            ForgetError::Store(error) => Self::Store(error),
            ForgetError::State(error) => Self::State(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.row();
        (status, axum::Json(ErrorBody { error: self.to_string(), code })).into_response()
    }
}

/// Runs a question to the store where waiting is allowed.
pub(crate) async fn ask<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(question).await.map_err(|_| ApiError::Interrupted)?
}

/// As [`ask`], and the question ends when the client leaves: this future is dropped then.
pub(crate) async fn ask_while_wanted<T: Send + 'static>(
    question: impl FnOnce(Interrupt) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let interrupt = Interrupt::default();
    let _raised = interrupt.when_dropped();
    ask(move || question(interrupt)).await
}

/// A JSON body of at most `limit` bytes, decoded; the error says where it is wrong.
pub(crate) async fn json_body<T: serde::de::DeserializeOwned>(
    body: axum::body::Body,
    limit: usize,
) -> Result<T, ApiError> {
    let body = axum::body::to_bytes(body, limit).await.map_err(|_| ApiError::TooLarge(limit))?;
    serde_json::from_slice(&body).map_err(|error| ApiError::BadRequest(format!("body: {error}")))
}
