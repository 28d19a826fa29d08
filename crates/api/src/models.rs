//! What the chat page needs to know of the runtime.

use andon_gateway::{DiscoveredModel, RuntimeKind};
use andon_model::Policy;
use axum::{Json, extract::State};
use serde::Serialize;

use crate::ApiState;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Models {
    runtime: RuntimeFacts,
    models: Vec<DiscoveredModel>,
    routes: Vec<RouteFacts>,
    /// What is kept of prompts and answers.
    privacy: Policy,
    timeout_ms: u64,
    max_body_bytes: u64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RuntimeFacts {
    /// `runtime` for Andon's own, `ollama`, `llama-server`, …
    name: Option<String>,
    kind: Option<RuntimeKind>,
    address: Option<String>,
    version: Option<String>,
    healthy: bool,
    /// Why it is not there, in words.
    message: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RouteFacts {
    path: String,
    model: String,
    /// The model that will answer.
    answered_by: String,
    note: Option<String>,
}

/// The runtime, its models, and the routes.
#[utoipa::path(get, path = "/api/v1/models", tag = "chat", responses((status = 200, body = Models)))]
pub(crate) async fn models(State(state): State<ApiState>) -> Json<Models> {
    let parts = &state.0;
    // A list that cannot be had now is shown as it was last seen.
    let models = match parts.catalog.refresh().await {
        Ok(models) => models,
        Err(_) => parts.catalog.models(),
    };
    let runtime = parts.catalog.target().state();
    let mut routes = Vec::with_capacity(parts.routes.len());
    for route in &parts.routes {
        let (answered_by, note) = parts.catalog.answers_for(&route.model).await;
        routes.push(RouteFacts {
            path: route.path.clone(),
            model: route.model.clone(),
            answered_by,
            note,
        });
    }
    let healthy = runtime.ready.is_some();
    let info = runtime.ready.as_ref();
    Json(Models {
        runtime: RuntimeFacts {
            name: info.map(|info| info.name.clone()),
            kind: info.map(|info| info.kind),
            address: info.map(|info| info.authority.clone()),
            version: info.and_then(|info| info.version.clone()),
            healthy,
            message: if healthy { None } else { runtime.reason },
        },
        models: models.to_vec(),
        routes,
        privacy: parts.policy,
        timeout_ms: parts.timeout_ms,
        max_body_bytes: parts.max_body_bytes,
    })
}
