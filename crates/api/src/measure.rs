//! What the machine does at most: measured when somebody asks for it, and remembered.

use std::{pin::Pin, sync::Arc};

use andon_capacity::Measured;
use axum::{Json, extract::State};

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask},
};

const SETTING: &str = "machine.measured";

/// Measures the machine, which takes all of its cores for a second or two; the error is in words.
pub type Measure =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Measured, String>> + Send>> + Send + Sync>;

/// What was measured last.
pub(crate) fn measured(state: &ApiState) -> Result<Option<Measured>, ApiError> {
    let stored = state.0.state.setting(SETTING)?;
    Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Measures how fast this machine reads its memory and multiplies matrices, which is what bounds a
/// model's tokens a second. Refused while a call runs: both would be slower.
#[utoipa::path(post, path = "/api/v1/machine/measure", tag = "capacity", responses(
    (status = 200, body = Measured), (status = 409, body = ErrorBody),
    (status = 503, body = ErrorBody)))]
pub(crate) async fn measure(State(state): State<ApiState>) -> Result<Json<Measured>, ApiError> {
    if !state.0.live.snapshot().is_empty() {
        let message = "a call runs now; the machine is measured while it is idle";
        return Err(ApiError::Busy(message.to_owned()));
    }
    let Ok(_alone) = state.0.measuring.try_lock() else {
        return Err(ApiError::Busy("the machine is being measured already".to_owned()));
    };
    let measured = (state.0.measure)().await.map_err(ApiError::Unmeasured)?;
    let bytes = serde_json::to_vec(&measured).unwrap_or_default();
    let state = state.clone();
    ask(move || Ok(state.0.state.set(SETTING, &bytes)?)).await?;
    Ok(Json(measured))
}
