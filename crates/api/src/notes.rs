//! Notes that people leave on traces. A note is kept as it was written, whatever the policy for
//! prompts says: somebody typed it in order to find it here again.

use andon_model::{Span, TraceId};
use andon_state::Note;
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask, json_body},
};

const MAX_BODY: usize = 64 << 10;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNote {
    /// 8 KiB at most.
    text: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Notes {
    notes: Vec<Note>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct NoteRemoved {
    ok: bool,
}

fn trace_id(text: &str) -> Result<TraceId, ApiError> {
    text.parse().map_err(|error| ApiError::BadRequest(format!("trace_id: {error}")))
}

/// The notes on a trace, oldest first.
#[utoipa::path(get, path = "/api/v1/traces/{trace_id}/notes", tag = "traces",
    params(("trace_id" = String, Path)), responses(
    (status = 200, body = Notes), (status = 400, body = ErrorBody)))]
pub(crate) async fn notes(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Notes>, ApiError> {
    let id = trace_id(&id)?;
    ask(move || Ok(Json(Notes { notes: state.0.state.notes(id)? }))).await
}

/// Leaves a note on a trace. Answers once it is durable.
#[utoipa::path(post, path = "/api/v1/traces/{trace_id}/notes", tag = "traces",
    params(("trace_id" = String, Path)), request_body = NewNote, responses(
    (status = 200, body = Note), (status = 400, body = ErrorBody),
    (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(crate) async fn add_note(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Note>, ApiError> {
    let id = trace_id(&id)?;
    let NewNote { text } = json_body(body, MAX_BODY).await?;
    let text = text.trim().to_owned();
    if text.is_empty() {
        return Err(ApiError::BadRequest("text: a note says something".to_owned()));
    }
    ask(move || {
        if state.0.store.trace(id)?.is_none() {
            return Err(ApiError::NotFound(format!("trace {id}")));
        }
        Ok(Json(state.0.state.add_note(id, Span::now_ns(), &text)?))
    })
    .await
}

/// Takes a note away, from the disk too.
#[utoipa::path(delete, path = "/api/v1/traces/{trace_id}/notes/{note_id}", tag = "traces",
    params(("trace_id" = String, Path), ("note_id" = i64, Path)), responses(
    (status = 200, body = NoteRemoved), (status = 400, body = ErrorBody),
    (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(crate) async fn remove_note(
    State(state): State<ApiState>,
    Path((id, note)): Path<(String, String)>,
) -> Result<Json<NoteRemoved>, ApiError> {
    let id = trace_id(&id)?;
    let note: i64 =
        note.parse().map_err(|error| ApiError::BadRequest(format!("note_id: {error}")))?;
    ask(move || match state.0.state.remove_note(id, note)? {
        true => Ok(Json(NoteRemoved { ok: true })),
        false => Err(ApiError::NotFound(format!("note {note}"))),
    })
    .await
}
