//! The store as its keeper sees it, and asked to do what it otherwise does in its own time.

use andon_store::StoreStats;
use axum::{Json, extract::State};
use serde::Serialize;

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask},
};

/// Rows, files and bytes of each table.
#[utoipa::path(get, path = "/api/v1/store", tag = "store", responses(
    (status = 200, body = StoreStats), (status = 500, body = ErrorBody)))]
pub(crate) async fn stats(State(state): State<ApiState>) -> Result<Json<StoreStats>, ApiError> {
    ask(move || Ok(state.0.store.stats())).await.map(Json)
}

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
