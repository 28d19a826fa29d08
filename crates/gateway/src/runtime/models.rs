//! Which models a runtime has; kept fresh in the background, so that a call need not ask.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    HttpClient, RuntimeInfo, RuntimeKind, RuntimeState, RuntimeTarget,
    client::{SendError, get_json},
};
use crate::error::ChatError;

const MAX_LIST_BYTES: usize = 8 << 20;
const REFRESH: Duration = Duration::from_secs(5);

/// A model that a runtime can answer with. Unknown is null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DiscoveredModel {
    pub name: String,
    pub size_bytes: Option<u64>,
    pub parameter_size: Option<String>,
    pub quantization: Option<String>,
    pub family: Option<String>,
    pub context_length: Option<u64>,
    pub digest: Option<String>,
    pub loaded: bool,
    /// Tokens of its context as it is loaded now.
    pub loaded_context_length: Option<u64>,
    /// The one that answers where a route's model is not there.
    pub default: bool,
}

/// Asks a runtime for its models.
pub async fn list_models(
    client: &HttpClient,
    runtime: &RuntimeInfo,
) -> Result<Vec<DiscoveredModel>, ChatError> {
    let listed = match runtime.kind {
        RuntimeKind::Builtin | RuntimeKind::Ollama => ollama_models(client, runtime).await,
        RuntimeKind::Openai => openai_models(client, runtime).await,
    };
    let mut models = listed.map_err(ChatError::from)?;
    if runtime.kind == RuntimeKind::Builtin || models.len() == 1 {
        // The runtime lists its default first.
        if let Some(first) = models.first_mut() {
            first.default = true;
        }
    }
    Ok(models)
}

async fn ollama_models(
    client: &HttpClient,
    runtime: &RuntimeInfo,
) -> Result<Vec<DiscoveredModel>, SendError> {
    let tags = get_json(client, &runtime.authority, "/api/tags", MAX_LIST_BYTES).await?;
    let loaded = get_json(client, &runtime.authority, "/api/ps", MAX_LIST_BYTES).await?;
    let loaded: HashMap<String, Option<u64>> = loaded["models"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|model| {
            Some((canonical(model["name"].as_str()?), model["context_length"].as_u64()))
        })
        .collect();
    let entries = tags["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(entries
        .iter()
        .filter_map(|entry| {
            let name = entry["name"].as_str()?.to_owned();
            let details = &entry["details"];
            let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
            Some(DiscoveredModel {
                size_bytes: entry["size"].as_u64(),
                parameter_size: text(&details["parameter_size"]),
                quantization: text(&details["quantization_level"]),
                family: text(&details["family"]),
                context_length: details["context_length"].as_u64(),
                digest: text(&entry["digest"]),
                loaded: loaded.contains_key(&canonical(&name)),
                loaded_context_length: loaded.get(&canonical(&name)).copied().flatten(),
                default: false,
                name,
            })
        })
        .collect())
}

async fn openai_models(
    client: &HttpClient,
    runtime: &RuntimeInfo,
) -> Result<Vec<DiscoveredModel>, SendError> {
    let list = get_json(client, &runtime.authority, "/v1/models", MAX_LIST_BYTES).await?;
    let entries = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(entries
        .iter()
        .filter_map(|entry| {
            Some(DiscoveredModel {
                name: entry["id"].as_str()?.to_owned(),
                size_bytes: entry["meta"]["size"].as_u64(),
                context_length: entry["max_model_len"]
                    .as_u64()
                    .or_else(|| entry["meta"]["n_ctx_train"].as_u64()),
                // Such a server holds what it lists.
                loaded: true,
                ..DiscoveredModel::default()
            })
        })
        .collect())
}

fn names(models: &Value) -> impl Iterator<Item = &str> {
    models.as_array().into_iter().flatten().filter_map(|model| model["name"].as_str())
}

/// Ollama's rule for equal names: case does not matter, the tag `latest` is implied.
fn canonical(name: &str) -> String {
    let name = name.to_lowercase();
    let last = name.rsplit('/').next().unwrap_or(&name);
    if last.contains(':') { name } else { format!("{name}:latest") }
}

/// A model of a list, by Ollama's rule for equal names.
pub(crate) fn find<'a>(models: &'a [DiscoveredModel], name: &str) -> Option<&'a DiscoveredModel> {
    let asked = canonical(name);
    models.iter().find(|model| canonical(&model.name) == asked)
}

/// The list of models, as fresh as the last look.
#[derive(Clone)]
pub struct RuntimeCatalog {
    client: HttpClient,
    target: RuntimeTarget,
    models: watch::Sender<Arc<Vec<DiscoveredModel>>>,
}

/// Which model answers a question for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) model: String,
    pub(crate) digest: Option<String>,
    pub(crate) context_length: Option<u64>,
    pub(crate) note: Option<String>,
}

impl RuntimeCatalog {
    pub fn new(client: HttpClient, target: RuntimeTarget) -> Self {
        Self { client, target, models: watch::Sender::new(Arc::default()) }
    }

    pub fn target(&self) -> &RuntimeTarget {
        &self.target
    }

    /// As last seen.
    pub fn models(&self) -> Arc<Vec<DiscoveredModel>> {
        self.models.borrow().clone()
    }

    /// Looks now.
    pub async fn refresh(&self) -> Result<Arc<Vec<DiscoveredModel>>, ChatError> {
        let RuntimeState { ready: Some(runtime), .. } = self.target.state() else {
            self.models.send_replace(Arc::default());
            return Ok(Arc::default());
        };
        let models = Arc::new(list_models(&self.client, &runtime).await?);
        self.models.send_replace(Arc::clone(&models));
        Ok(models)
    }

    /// Keeps the list fresh for as long as it is polled.
    pub async fn keep_fresh(self) {
        let mut state = self.target.subscribe();
        loop {
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "cannot list models");
            }
            tokio::select! {
                changed = state.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    }

    /// The model that will answer for `requested`. One that was `chosen` by the user is never
    /// replaced; a route's own is, where the runtime has just a default.
    pub(crate) async fn resolve(&self, requested: &str, chosen: bool) -> Resolved {
        let mut models = self.models();
        if models.is_empty() {
            models = self.refresh().await.unwrap_or_default();
        }
        let there = find(&models, requested);
        let default = models.iter().find(|model| model.default).filter(|_| !chosen);
        let Some(model) = there.or(default) else {
            return Resolved {
                model: requested.to_owned(),
                digest: None,
                context_length: None,
                note: None,
            };
        };
        Resolved {
            model: model.name.clone(),
            digest: model.digest.clone(),
            context_length: model.context_length,
            note: there.is_none().then(|| {
                format!("{requested} is not on this machine; {} answered instead", model.name)
            }),
        }
    }

    /// The model that answers on a route of `requested`, and what to say about it.
    pub async fn answers_for(&self, requested: &str) -> (String, Option<String>) {
        let resolved = self.resolve(requested, false).await;
        (resolved.model, resolved.note)
    }

    /// Whether the runtime holds `model` in memory, asked now.
    pub(crate) async fn is_loaded(&self, runtime: &RuntimeInfo, model: &str) -> Option<bool> {
        let ps =
            get_json(&self.client, &runtime.authority, "/api/ps", MAX_LIST_BYTES).await.ok()?;
        let asked = canonical(model);
        Some(names(&ps["models"]).any(|name| canonical(name) == asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_as_ollama_has_it() {
        assert_eq!(canonical("TinyLlama"), "tinyllama:latest");
        assert_eq!(canonical("hub.example:5000/a/B"), "hub.example:5000/a/b:latest");
        assert_eq!(canonical("granite3.2:2b"), "granite3.2:2b");
    }
}
