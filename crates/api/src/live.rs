//! The calls that run now.

use std::{convert::Infallible, time::Duration};

use andon_model::LiveCall;
use axum::{
    Json,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, header};
use serde::Serialize;

use crate::ApiState;

/// Least time between two events, and the most while something runs.
const BEAT: Duration = Duration::from_millis(250);

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LiveCalls {
    calls: Vec<LiveCall>,
}

/// Calls that run now; with `Accept: text/event-stream` as events `live`, on every change.
#[utoipa::path(get, path = "/api/v1/live", tag = "live", responses(
    (status = 200, content((LiveCalls = "application/json"), (LiveCalls = "text/event-stream")))))]
pub(crate) async fn live(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    let wants_events = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/event-stream"));
    if !wants_events {
        return Json(LiveCalls { calls: state.0.live.snapshot() }).into_response();
    }
    let changes = state.0.live.watch();
    let stop = state.0.stop.clone();
    let events = stream::unfold((state, changes, true), |(state, mut changes, first)| async move {
        if !first {
            tokio::time::sleep(BEAT).await;
            if state.0.live.snapshot().is_empty() {
                changes.changed().await.ok()?;
            }
        }
        let calls = state.0.live.snapshot();
        let data = serde_json::to_string(&LiveCalls { calls }).unwrap_or_default();
        let event = Event::default().event("live").data(data);
        Some((Ok::<_, Infallible>(event), (state, changes, false)))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Sse::new(events.take_until(stop.cancelled_owned())).keep_alive(keep_alive).into_response()
}
