//! The calls that run now.

use std::{convert::Infallible, time::Duration};

use andon_diagnose::{Language, Waiting};
use andon_model::{LiveCall, Span};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use crate::{
    ApiState,
    error::{ApiError, ErrorBody},
    why::language,
};

/// Least time between two events, and the most while something runs.
const BEAT: Duration = Duration::from_millis(250);

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LiveCalls {
    calls: Vec<LiveCallNow>,
}

/// A call that runs, and what it waits for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LiveCallNow {
    #[serde(flatten)]
    call: LiveCall,
    /// Null where it takes no longer than usual.
    waiting: Option<Waiting>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiveParams {
    /// `ja` or `en`; without it the language that Andon was started in, else English.
    lang: Option<String>,
}

fn look(state: &ApiState, language: Language) -> LiveCalls {
    let calls = state.0.live.snapshot();
    let waiting = state.0.diagnoser.waiting(&calls, Span::now_ns(), language);
    let with = |(call, waiting)| LiveCallNow { call, waiting };
    LiveCalls { calls: calls.into_iter().zip(waiting).map(with).collect() }
}

/// Calls that run now; with `Accept: text/event-stream` as events `live`, on every change.
#[utoipa::path(get, path = "/api/v1/live", params(LiveParams), tag = "live", responses(
    (status = 200, content((LiveCalls = "application/json"), (LiveCalls = "text/event-stream"))),
    (status = 400, body = ErrorBody)))]
pub(crate) async fn live(
    State(state): State<ApiState>,
    params: Result<Query<LiveParams>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let language = language(&state, params.lang.as_deref())?;
    let wants_events = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/event-stream"));
    if !wants_events {
        return Ok(Json(look(&state, language)).into_response());
    }
    let changes = state.0.live.watch();
    let stop = state.0.stop.clone();
    let events =
        stream::unfold((state, changes, true), move |(state, mut changes, first)| async move {
            if !first {
                tokio::time::sleep(BEAT).await;
                if state.0.live.snapshot().is_empty() {
                    changes.changed().await.ok()?;
                }
            }
            let data = serde_json::to_string(&look(&state, language)).unwrap_or_default();
            let event = Event::default().event("live").data(data);
            Some((Ok::<_, Infallible>(event), (state, changes, false)))
        });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    let events = Sse::new(events.take_until(stop.cancelled_owned())).keep_alive(keep_alive);
    Ok(events.into_response())
}
