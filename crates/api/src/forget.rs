//! What belongs to one user, session or trace is removed on request, and a record says that it was.

use andon_model::{Span, TraceId};
use andon_state::{Action, Actor, Outcome, StateDb, StateError, Subject, SubjectKind};
use andon_store::{Forget, Forgotten, Store, StoreError};
use axum::{Json, body::Body, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask, json_body},
};

const MAX_BODY: usize = 64 << 10;

/// What is beyond Andon's reach when something was removed; part of every answer.
const FORGET_NOTE: &str = "Backups that were made before hold it still, and so may snapshots of the \
    disk. What came in after the request stays.";

/// Just one of user, session and trace.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgetRequest {
    /// All traces with a span of this user.
    user: Option<String>,
    /// All traces with a span of this session.
    session: Option<String>,
    trace: Option<TraceId>,
    /// Only count what would be removed.
    #[serde(default)]
    preview: bool,
}

/// What was removed, or would be.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ForgetAnswer {
    /// Nothing was removed.
    pub is_preview: bool,
    pub removed: Forgotten,
    /// Notes on those traces that were removed.
    pub notes: u64,
    /// What is beyond Andon's reach.
    pub note: String,
}

/// Whose records are meant: just one of them.
pub(crate) struct Whose {
    pub(crate) user: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) trace: Option<TraceId>,
}

impl Whose {
    pub(crate) fn is_anybody(&self) -> bool {
        self.user.is_some() || self.session.is_some() || self.trace.is_some()
    }

    pub(crate) fn of(self) -> Result<Forget, ApiError> {
        let of = match (self.user, self.session, self.trace) {
            (Some(user), None, None) => Forget::User(user),
            (None, Some(session), None) => Forget::Session(session),
            (None, None, Some(trace)) => Forget::Trace(trace),
            _ => return Err(bad("say just one of user, session and trace")),
        };
        match &of {
            Forget::User(name) | Forget::Session(name) if name.is_empty() => {
                Err(bad("an empty name is nobody's"))
            }
            _ => Ok(of),
        }
    }
}

impl ForgetRequest {
    fn of(self) -> Result<Forget, ApiError> {
        Whose { user: self.user, session: self.session, trace: self.trace }.of()
    }
}

fn bad(message: &str) -> ApiError {
    ApiError::BadRequest(message.to_owned())
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Without a record it is not begun.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Counts what would be removed.
///
/// # Errors
/// What the store says.
pub fn preview_forget(store: &dyn Store, of: &Forget) -> Result<ForgetAnswer, ForgetError> {
    let (removed, note) = (store.preview_forget(of)?, FORGET_NOTE.to_owned());
    Ok(ForgetAnswer { is_preview: true, removed, notes: 0, note })
}

/// Removes everything of one user, session or trace: records, and notes on them. The audit says
/// before that it begins, and after how it ended.
///
/// # Errors
/// What store and disk say; what was removed until then is gone, and the audit says that it failed.
pub fn forget_on_record(
    store: &dyn Store,
    state: &StateDb,
    actor: Actor,
    of: &Forget,
) -> Result<ForgetAnswer, ForgetError> {
    let entry = state.begin(Span::now_ns(), actor, Action::Forget, Some(&forget_subject(of)))?;
    let done = forget_all(store, state, of);
    let (outcome, details) = match &done {
        Ok(answer) => (Outcome::Done, json!({ "removed": answer.removed, "notes": answer.notes })),
        Err(error) => (Outcome::Failed, json!({ "error": error.to_string() })),
    };
    state.end(entry, Span::now_ns(), outcome, &details)?;
    done
}

fn forget_all(
    store: &dyn Store,
    state: &StateDb,
    of: &Forget,
) -> Result<ForgetAnswer, ForgetError> {
    let removed = store.forget(of)?;
    let mut notes = state.remove_notes_of(&removed.trace_ids)?;
    // Its records may be gone by age already.
    if let Forget::Trace(id) = of {
        notes += state.remove_notes_of(&[*id])?;
    }
    Ok(ForgetAnswer { is_preview: false, removed, notes, note: FORGET_NOTE.to_owned() })
}

/// Whose records are meant, as the audit knows them.
pub fn forget_subject(of: &Forget) -> Subject {
    let (kind, name) = match of {
        Forget::User(name) => (SubjectKind::User, name.clone()),
        Forget::Session(name) => (SubjectKind::Session, name.clone()),
        Forget::Trace(id) => (SubjectKind::Trace, id.to_string()),
    };
    Subject { kind, name }
}

/// Removes everything of one user, session or trace from every file. Answers when it is gone.
#[utoipa::path(post, path = "/api/v1/store/forget", tag = "store", request_body = ForgetRequest,
    responses((status = 200, body = ForgetAnswer), (status = 400, body = ErrorBody),
    (status = 500, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(crate) async fn forget(
    State(state): State<ApiState>,
    body: Body,
) -> Result<Json<ForgetAnswer>, ApiError> {
    let request: ForgetRequest = json_body(body, MAX_BODY).await?;
    let (is_preview, of) = (request.preview, request.of()?);
    let answer = ask(move || {
        let store = state.0.store.as_ref();
        Ok(match is_preview {
            true => preview_forget(store, &of)?,
            false => forget_on_record(store, &state.0.state, Actor::Api, &of)?,
        })
    });
    answer.await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Result<Forget, String> {
        let request: ForgetRequest =
            serde_json::from_str(body).map_err(|error| error.to_string())?;
        request.of().map_err(|error| error.to_string())
    }

    #[test]
    fn just_one_is_meant_and_it_has_a_name() {
        assert_eq!(of(r#"{"user":"ann"}"#), Ok(Forget::User("ann".to_owned())));
        assert_eq!(of(r#"{"session":"a b"}"#), Ok(Forget::Session("a b".to_owned())));
        let id = TraceId::from_bytes([7; 16]);
        assert_eq!(of(&format!(r#"{{"trace":"{id}","preview":true}}"#)), Ok(Forget::Trace(id)));
        for (body, says) in [
            ("{}", "just one"),
            (r#"{"user":"ann","session":"s"}"#, "just one"),
            (r#"{"user":""}"#, "empty"),
            (r#"{"trace":"7"}"#, "line 1"),
            (r#"{"usr":"ann"}"#, "usr"),
        ] {
            let error = of(body).unwrap_err();
            assert!(error.contains(says), "{body}: {error}");
        }
    }
}
