//! What belongs to one user, session or trace is removed on request.

use andon_model::TraceId;
use andon_store::{Forget, Forgotten};
use axum::{Json, body::Body, extract::State};
use serde::{Deserialize, Serialize};

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask, json_body},
};

const MAX_BODY: usize = 64 << 10;

/// What is beyond Andon's reach when something was removed; part of every answer.
pub const FORGET_NOTE: &str = "Backups that were made before hold it still, and so may snapshots of the \
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
    /// What is beyond Andon's reach.
    pub note: String,
}

impl ForgetRequest {
    fn of(self) -> Result<Forget, ApiError> {
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

fn bad(message: &str) -> ApiError {
    ApiError::BadRequest(message.to_owned())
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
    let removed = ask(move || {
        let store = &state.0.store;
        Ok(if is_preview { store.preview_forget(&of)? } else { store.forget(&of)? })
    });
    Ok(Json(ForgetAnswer { is_preview, removed: removed.await?, note: FORGET_NOTE.to_owned() }))
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
