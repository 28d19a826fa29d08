//! What the browser saw: the page sends its actions, and one that belongs to a trace becomes the
//! browser's span of it.

use std::collections::BTreeMap;

use andon_model::{AttributeValue, Observation, Source, Span, SpanId, SpanKind, Status, TraceId};
use andon_store::Record;
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, json_body},
};

const MAX_BODY: usize = 64 << 10;
const MAX_EVENTS: usize = 64;
const MAX_ATTRIBUTES: usize = 32;
const MAX_TEXT_CHARS: usize = 300;
const SERVICE: &str = "browser";

#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct RumBatch {
    events: Vec<RumAction>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct RumAction {
    /// `action` is what this version keeps.
    r#type: String,
    name: String,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
    start_ns: f64,
    duration_ns: f64,
    session_id: Option<String>,
    view_id: Option<String>,
    url: Option<String>,
    status: Option<String>,
    error_type: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, AttributeValue>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RumAccepted {
    accepted: usize,
    /// Events of a kind, or without the ids, that this version does not keep.
    ignored: usize,
}

/// Takes what a page saw. Answers once it is durable.
#[utoipa::path(post, path = "/api/v1/rum", tag = "rum", request_body = RumBatch, responses(
    (status = 202, body = RumAccepted), (status = 400, body = ErrorBody)))]
pub(crate) async fn rum(State(state): State<ApiState>, body: Body) -> Result<Response, ApiError> {
    let batch: RumBatch = json_body(body, MAX_BODY).await?;
    if batch.events.len() > MAX_EVENTS {
        return Err(ApiError::BadRequest(format!("events: at most {MAX_EVENTS} at a time")));
    }
    let sent = batch.events.len();
    let spans: Vec<Observation> =
        batch.events.into_iter().filter_map(span).map(Observation::from).collect();
    let accepted = spans.len();
    let record = Record::Spans(state.0.protector.protect(spans));
    state.0.store.append(record)?.await?;
    let answer = Json(RumAccepted { accepted, ignored: sent - accepted });
    Ok((StatusCode::ACCEPTED, answer).into_response())
}

fn span(event: RumAction) -> Option<Span> {
    let (trace_id, span_id) = (event.trace_id?, event.span_id?);
    let is_time = |ns: f64| ns.is_finite() && ns >= 0.0;
    if event.r#type != "action" || !is_time(event.start_ns) || !is_time(event.duration_ns) {
        return None;
    }
    let mut span = Span::new(trace_id, SERVICE, short(&event.name));
    span.span_id = span_id;
    span.start_ns = event.start_ns as u64;
    span.duration_ns = event.duration_ns as u64;
    span.kind = SpanKind::Client;
    span.source = Source::Rum;
    span.session_id = event.session_id.as_deref().map(short);
    span.status = match event.status.as_deref() {
        Some("error") => Status::Error,
        Some("ok") => Status::Ok,
        _ => Status::Unset,
    };
    span.error_type = event.error_type.as_deref().map(short);
    let attributes = event.attributes.into_iter().take(MAX_ATTRIBUTES);
    for (name, value) in attributes {
        span.attributes.set(short(&name), short_value(value));
    }
    if let Some(view) = event.view_id {
        span.attributes.set("view.id", short(&view));
    }
    if let Some(url) = event.url {
        // What stands behind the question mark may be anybody's secret.
        let path = url.split(['?', '#']).next().unwrap_or_default();
        span.attributes.set("url.full", short(path));
    }
    Some(span)
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}

fn short_value(value: AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::Text(text) => short(&text).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_of_a_trace_becomes_the_browsers_span() {
        let batch: RumBatch = serde_json::from_str(
            r#"{"events":[{"type":"action","name":"ask","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736",
            "span_id":"00f067aa0ba902b7","start_ns":1.7e18,"duration_ns":2e9,"status":"ok",
            "url":"http://127.0.0.1:3000/?token=secret","attributes":{"first_token_ms":12.5}},
            {"type":"vital","name":"lcp","start_ns":1,"duration_ns":1}]}"#,
        )
        .unwrap();
        let spans: Vec<_> = batch.events.into_iter().filter_map(span).collect();
        assert_eq!(spans.len(), 1);
        assert_eq!((spans[0].service.as_str(), spans[0].duration_ns), ("browser", 2_000_000_000));
        assert!(!format!("{:?}", spans[0]).contains("secret"));
    }
}
