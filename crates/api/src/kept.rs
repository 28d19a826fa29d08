//! Loading models, letting them go, and keeping them in memory.

use andon_gateway::{KeepError, Kept, MOST_KEPT, ModelOf, ToKeep};
use andon_state::{StateDb, StateError};
use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Serialize;

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask, json_body},
};

const MAX_BODY: usize = 64 << 10;
const SETTING: &str = "models.kept";

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct KeptModels {
    kept: Vec<Kept>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ModelDone {
    ok: bool,
}

/// The models that were to be kept when Andon last ran.
///
/// # Errors
/// Where the setting cannot be read.
pub fn kept_models(state: &StateDb) -> Result<Vec<ToKeep>, StateError> {
    let stored = state.setting(SETTING)?;
    Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

/// Models that Andon keeps in memory, and how that goes.
#[utoipa::path(get, path = "/api/v1/models/kept", tag = "status",
    responses((status = 200, body = KeptModels)))]
pub(crate) async fn kept(State(state): State<ApiState>) -> Json<KeptModels> {
    Json(KeptModels { kept: state.0.keeper.kept() })
}

/// Keeps a model in memory from now on, also after a restart: always, or at some hours. Hours that were
/// said before are replaced.
#[utoipa::path(put, path = "/api/v1/models/kept", tag = "status", request_body = ToKeep,
    responses((status = 200, body = KeptModels), (status = 400, body = ErrorBody),
    (status = 503, body = ErrorBody)))]
pub(crate) async fn keep(
    State(state): State<ApiState>,
    body: Body,
) -> Result<Json<KeptModels>, ApiError> {
    let wanted: ToKeep = json_body(body, MAX_BODY).await?;
    change(state, move |list| {
        match list.iter_mut().find(|kept| is_of(kept, &wanted.runtime, &wanted.model)) {
            Some(kept) => *kept = wanted,
            None => list.push(wanted),
        }
        if list.len() > MOST_KEPT {
            return Err(ApiError::BadRequest(format!("at most {MOST_KEPT} models can be kept")));
        }
        Ok(())
    })
    .await
}

/// Keeps a model no longer; it leaves memory when its time is up.
#[utoipa::path(delete, path = "/api/v1/models/kept", tag = "status", params(ModelOf), responses((status = 200, body = KeptModels), (status = 400, body = ErrorBody),
    (status = 503, body = ErrorBody)))]
pub(crate) async fn keep_no_longer(
    State(state): State<ApiState>,
    params: Result<Query<ModelOf>, QueryRejection>,
) -> Result<Json<KeptModels>, ApiError> {
    // A body of a DELETE does not come through everywhere.
    let Query(unwanted) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    change(state, move |list| {
        list.retain(|kept| !is_of(kept, &unwanted.runtime, &unwanted.model));
        Ok(())
    })
    .await
}

fn is_of(kept: &ToKeep, runtime: &str, model: &str) -> bool {
    kept.runtime == runtime && kept.model == model
}

/// Written down first: what is kept is kept after a crash too.
async fn change(
    state: ApiState,
    change: impl FnOnce(&mut Vec<ToKeep>) -> Result<(), ApiError> + Send + 'static,
) -> Result<Json<KeptModels>, ApiError> {
    ask(move || {
        let keeper = &state.0.keeper;
        let wanted = |Kept { of: ModelOf { runtime, model }, hours, .. }: Kept| ToKeep {
            runtime,
            model,
            hours,
        };
        let mut list: Vec<_> = keeper.kept().into_iter().map(wanted).collect();
        change(&mut list)?;
        let bytes = serde_json::to_vec(&list).unwrap_or_default();
        state.0.state.set(SETTING, &bytes)?;
        keeper.keep(list);
        Ok(Json(KeptModels { kept: keeper.kept() }))
    })
    .await
}

/// Loads a model now; answers when it is in memory.
#[utoipa::path(post, path = "/api/v1/models/load", tag = "status", request_body = ModelOf,
    responses((status = 200, body = ModelDone), (status = 400, body = ErrorBody),
    (status = 404, body = ErrorBody)))]
pub(crate) async fn load(
    State(state): State<ApiState>,
    body: Body,
) -> Result<Json<ModelDone>, ApiError> {
    let of: ModelOf = json_body(body, MAX_BODY).await?;
    state.0.keeper.load(&of).await?;
    Ok(Json(ModelDone { ok: true }))
}

/// Lets a model go, whatever time it has left.
#[utoipa::path(post, path = "/api/v1/models/unload", tag = "status", request_body = ModelOf,
    responses((status = 200, body = ModelDone), (status = 400, body = ErrorBody),
    (status = 404, body = ErrorBody)))]
pub(crate) async fn unload(
    State(state): State<ApiState>,
    body: Body,
) -> Result<Json<ModelDone>, ApiError> {
    let of: ModelOf = json_body(body, MAX_BODY).await?;
    state.0.keeper.unload(&of).await?;
    Ok(Json(ModelDone { ok: true }))
}

impl From<KeepError> for ApiError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::NoRuntime(_) | KeepError::NoModel { .. } => Self::Absent(error.to_string()),
            KeepError::Unsupported(_) | KeepError::Refused(_) | KeepError::TooLong(_) => {
                Self::BadRequest(error.to_string())
            }
        }
    }
}
