//! The runtimes that Andon watches: who they are, how they are, and what they hold.

use std::net::SocketAddr;

use andon_gateway::{DiscoveredModel, RuntimeCatalog, RuntimeKind, RuntimeLoad, RuntimeState};
use axum::{Json, extract::State};
use serde::Serialize;

use crate::ApiState;

/// A runtime that is watched, and the ports through which it is called.
pub struct WatchedRuntime {
    /// What the user calls it; the main one has no name of its own.
    pub name: Option<String>,
    /// `host:port` where it was configured, known also while nobody answers there.
    pub address: Option<String>,
    pub catalog: RuntimeCatalog,
    pub ports: Vec<CaptureAddress>,
}

/// A port of the capture.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CaptureAddress {
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// The app that has it to itself.
    pub app: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RuntimeFacts {
    /// The service of its spans: the name that it was given, else what it is: `runtime` for Andon's
    /// own, `ollama`, `llama-server`, …
    name: Option<String>,
    product: Option<&'static str>,
    kind: Option<RuntimeKind>,
    address: Option<String>,
    version: Option<String>,
    healthy: bool,
    /// Why it is not there, in words.
    message: Option<String>,
}

impl RuntimeFacts {
    pub(crate) fn of(state: RuntimeState) -> Self {
        let healthy = state.ready.is_some();
        let info = state.ready.as_ref();
        Self {
            name: info.map(|info| info.name.clone()),
            product: info.map(|info| info.product),
            kind: info.map(|info| info.kind),
            address: info.map(|info| info.authority.clone()),
            version: info.and_then(|info| info.version.clone()),
            healthy,
            message: if healthy { None } else { state.reason },
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Runtimes {
    /// The main one, which the chat page asks, comes first.
    runtimes: Vec<Runtime>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Runtime {
    #[serde(flatten)]
    facts: RuntimeFacts,
    /// Where apps connect so that their calls to it are seen.
    capture: Vec<CaptureAddress>,
    load: RuntimeLoad,
    models: Vec<DiscoveredModel>,
}

/// All runtimes, as last seen: at most five seconds ago.
#[utoipa::path(get, path = "/api/v1/runtimes", tag = "status",
    responses((status = 200, body = Runtimes)))]
pub(crate) async fn runtimes(State(state): State<ApiState>) -> Json<Runtimes> {
    let look = |watched: &WatchedRuntime| {
        let mut facts = RuntimeFacts::of(watched.catalog.target().state());
        facts.name = facts.name.or_else(|| watched.name.clone());
        facts.address = facts.address.or_else(|| watched.address.clone());
        Runtime {
            facts,
            capture: watched.ports.clone(),
            load: watched.catalog.load(),
            models: watched.catalog.models().to_vec(),
        }
    };
    Json(Runtimes { runtimes: state.0.runtimes.iter().map(look).collect() })
}
