//! The store, asked to do what it otherwise does in its own time.

use axum::{Json, extract::State};
use serde::Serialize;

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask},
};

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Sealed {
    ok: bool,
}

/// Writes what is in memory into segments, where other programs see it; answers once it is there.
#[utoipa::path(post, path = "/api/v1/store/seal", tag = "store", responses(
    (status = 200, body = Sealed), (status = 503, body = ErrorBody)))]
pub(crate) async fn seal(State(state): State<ApiState>) -> Result<Json<Sealed>, ApiError> {
    ask(move || Ok(state.0.store.seal()?)).await?;
    Ok(Json(Sealed { ok: true }))
}
