//! How the API says no: `{"error","code"}` with the status that belongs to the code.

use andon_store::StoreError;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

/// One failed request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0} was not found")]
    NotFound(String),
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the question was interrupted")]
    Interrupted,
}

/// The body of every error.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ErrorBody {
    pub(crate) error: String,
    pub(crate) code: &'static str,
}

impl ApiError {
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Store(StoreError::RangeTooLong { .. }) => {
                (StatusCode::BAD_REQUEST, "range_too_long")
            }
            Self::Store(StoreError::Busy | StoreError::Unavailable { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
            }
            Self::Store(_) | Self::Interrupted => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
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

/// A JSON body of at most `limit` bytes, decoded; the error says where it is wrong.
pub(crate) async fn json_body<T: serde::de::DeserializeOwned>(
    body: axum::body::Body,
    limit: usize,
) -> Result<T, ApiError> {
    let body = axum::body::to_bytes(body, limit).await.map_err(|_| ApiError::TooLarge(limit))?;
    serde_json::from_slice(&body).map_err(|error| ApiError::BadRequest(format!("body: {error}")))
}
