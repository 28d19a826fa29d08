//! «Why was this slow?»

use andon_diagnose::{Explanation, Language, explain};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use serde::Deserialize;

use crate::{
    ApiState,
    error::{ApiError, ErrorBody},
    traces::find,
};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhyParams {
    /// `ja` or `en`; without it the language that Andon was started in, else English.
    lang: Option<String>,
}

/// Why a trace took its time, or failed: the cause in a sentence, the shares of the time, what was
/// measured, and what to do about it.
#[utoipa::path(get, path = "/api/v1/traces/{trace_id}/why", tag = "traces",
    params(("trace_id" = String, Path), WhyParams), responses(
    (status = 200, body = Explanation), (status = 400, body = ErrorBody),
    (status = 404, body = ErrorBody)))]
pub(crate) async fn why(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Result<Query<WhyParams>, QueryRejection>,
) -> Result<Json<Explanation>, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let language = language(&state, params.lang.as_deref())?;
    let trace = find(&state, &id).await?;
    Ok(Json(explain(&trace.spans, language)))
}

/// The language that was asked for, else the one that Andon was started in.
pub(crate) fn language(state: &ApiState, asked: Option<&str>) -> Result<Language, ApiError> {
    let Some(name) = asked else {
        let own = state.0.language.as_deref().and_then(Language::from_name);
        return Ok(own.unwrap_or_default());
    };
    Language::from_name(name)
        .ok_or_else(|| ApiError::BadRequest(format!("lang: {name:?} is neither ja nor en")))
}
