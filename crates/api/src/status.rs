//! How Andon itself is.

use andon_gateway::DropCounts;
use andon_store::StoreState;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;

use crate::ApiState;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Status {
    version: &'static str,
    uptime_s: u64,
    host: Option<String>,
    cpu_count: Option<u32>,
    memory_total_bytes: Option<u64>,
    memory_used_bytes: Option<u64>,
    spans_stored: u64,
    /// Spans that were dropped since start, by cause.
    dropped: DropCounts,
    /// Spans that were larger than one may be and were cut, since start.
    spans_cut: u64,
    store: StoreState,
    /// Which language the terminal was asked to speak; the pages follow it.
    lang: Option<Language>,
}

#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Language {
    Ja,
    En,
}

impl Language {
    fn of(said: &str) -> Option<Self> {
        match said {
            "ja" => Some(Self::Ja),
            "en" => Some(Self::En),
            _ => None,
        }
    }
}

/// Versions, memory, what was stored and what was dropped.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", responses((status = 200, body = Status)))]
pub(crate) async fn status(State(state): State<ApiState>) -> Json<Status> {
    let parts = &state.0;
    let memory = (parts.memory)();
    let store = parts.store.state();
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: parts.started.elapsed().as_secs(),
        host: parts.host.clone(),
        cpu_count: parts.cpu_count,
        memory_total_bytes: memory.map(|(total, _)| total),
        memory_used_bytes: memory.map(|(_, used)| used),
        spans_stored: store.spans,
        dropped: parts.recorder.drop_counts(),
        spans_cut: parts.protector.spans_cut(),
        store,
        lang: parts.language.as_deref().and_then(Language::of),
    })
}

/// Alive.
#[utoipa::path(get, path = "/healthz", tag = "status", responses((status = 200, body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// Takes work: the store writes and a runtime answers.
#[utoipa::path(get, path = "/readyz", tag = "status", responses(
    (status = 200, body = String), (status = 503, body = String)))]
pub(crate) async fn readyz(State(state): State<ApiState>) -> Response {
    let store = state.0.store.state();
    let runtime = state.0.catalog.target().state();
    let mut missing = Vec::new();
    if !store.healthy {
        missing.push(format!("store: {}", store.message.unwrap_or_default()));
    }
    if runtime.ready.is_none() {
        missing.push(format!("runtime: {}", runtime.reason.unwrap_or_default()));
    }
    if missing.is_empty() {
        "ok".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n")).into_response()
    }
}
