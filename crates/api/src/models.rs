//! What the chat page needs to know of the runtime.

use andon_gateway::DiscoveredModel;
use andon_model::Policy;
use axum::{Json, extract::State};
use serde::Serialize;

use crate::{ApiState, runtimes::RuntimeFacts};

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
    Json(Models {
        runtime: RuntimeFacts::of(parts.catalog.target().state()),
        models: models.to_vec(),
        routes,
        privacy: parts.policy,
        timeout_ms: parts.timeout_ms,
        max_body_bytes: parts.max_body_bytes,
    })
}
