//! SQL over HTTP, reading only.

use andon_store::{Format, SqlError};
use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header};
use serde::Deserialize;

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask, json_body},
};

const MAX_BODY: usize = 128 << 10;
/// Says that rows beyond the limit were left out.
const PARTIAL: HeaderName = HeaderName::from_static("x-andon-partial");

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// One statement that reads.
    sql: String,
    #[serde(default)]
    format: QueryFormat,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueryFormat {
    /// One array of objects.
    #[default]
    Json,
    Csv,
    /// For a terminal.
    Table,
}

/// Answers a question in SQL; `docs/query.md` names the tables. Where rows beyond the limit were left
/// out, the header `x-andon-partial: true` says so.
#[utoipa::path(post, path = "/api/v1/query", tag = "query", request_body = Query, responses(
    (status = 200, body = Vec<serde_json::Value>), (status = 400, body = ErrorBody),
    (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(crate) async fn query(State(state): State<ApiState>, body: Body) -> Result<Response, ApiError> {
    let Query { sql, format } = json_body(body, MAX_BODY).await?;
    // When the client leaves, this future is dropped, and the question ends with it.
    let answer = state.0.store.sql(&sql)?.await?;
    let is_partial = answer.is_partial;
    let (format, kind) = match format {
        QueryFormat::Json => (Format::Json, "application/json"),
        QueryFormat::Csv => (Format::Csv, "text/csv; charset=utf-8"),
        QueryFormat::Table => (Format::Table, "text/plain; charset=utf-8"),
    };
    let bytes = ask(move || {
        let mut bytes = Vec::new();
        let written = answer.write(format, &mut bytes);
        written.map_err(|error| SqlError::Failed(error.to_string()))?;
        Ok(bytes)
    })
    .await?;
    let mut response = ([(header::CONTENT_TYPE, kind)], bytes).into_response();
    if is_partial {
        response.headers_mut().insert(PARTIAL, HeaderValue::from_static("true"));
    }
    Ok(response)
}
