//! What was done to the records as a whole, and what came of it.

use andon_state::{Entry, EntryId};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask},
    forget::{Whose, forget_subject},
};

const ENTRIES: usize = 50;
/// Entries of one answer at most.
const MOST_ENTRIES: usize = 1_000;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Only what was done to the records of this user.
    user: Option<String>,
    session: Option<String>,
    trace: Option<String>,
    /// Entries before this one: the `next` of the page before.
    before: Option<EntryId>,
    /// 50 where it is not said, 1,000 at most.
    limit: Option<usize>,
}

/// Entries, newest first.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditPage {
    pub entries: Vec<Entry>,
    /// The `before` of the next page; null at the end.
    pub next: Option<EntryId>,
}

/// Lists what was done to the records as a whole. Who knows the name of a user, session or trace can
/// ask whether it was removed; the record itself does not tell names.
#[utoipa::path(get, path = "/api/v1/audit", tag = "store", params(AuditQuery), responses(
    (status = 200, body = AuditPage), (status = 400, body = ErrorBody),
    (status = 503, body = ErrorBody)))]
pub(crate) async fn audit(
    State(state): State<ApiState>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<AuditPage>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let limit = query.limit.unwrap_or(ENTRIES);
    if !(1..=MOST_ENTRIES).contains(&limit) {
        return Err(ApiError::BadRequest(format!("limit: must be 1 to {MOST_ENTRIES}")));
    }
    let trace = query.trace.map(|id| id.parse()).transpose();
    let trace = trace.map_err(|error| ApiError::BadRequest(format!("trace: {error}")))?;
    let whose = Whose { user: query.user, session: query.session, trace };
    let subject = match whose.is_anybody() {
        true => Some(forget_subject(&whose.of()?)),
        false => None,
    };
    ask(move || {
        let mut entries = state.0.state.entries(subject.as_ref(), query.before, limit + 1)?;
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| has_more).map(|entry| entry.id);
        Ok(Json(AuditPage { entries, next }))
    })
    .await
}
