//! Which models a runtime has, and what it says of each.

use std::collections::HashMap;

use andon_model::{UnixNanos, canonical_model};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    HttpClient, RuntimeInfo, RuntimeKind,
    client::{SendError, get_json, post_json},
};
use crate::error::ChatError;

const MAX_LIST_BYTES: usize = 8 << 20;

/// A model that a runtime can answer with. Unknown is null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DiscoveredModel {
    pub name: String,
    pub size_bytes: Option<u64>,
    pub parameter_size: Option<String>,
    pub quantization: Option<String>,
    pub family: Option<String>,
    pub context_length: Option<u64>,
    /// Of a mixture of experts.
    pub experts: Option<Experts>,
    pub digest: Option<String>,
    pub loaded: bool,
    /// Tokens of its context as it is loaded now; for each call, where there are several slots.
    pub loaded_context_length: Option<u64>,
    /// What it takes of the machine's memory while it is loaded, and of the GPU's among it. Where
    /// the second is less, a part of the model runs on the CPU.
    pub memory_bytes: Option<u64>,
    pub gpu_bytes: Option<u64>,
    /// When it leaves memory if nobody asks it.
    pub expires_ns: Option<UnixNanos>,
    /// The one that answers where a route's model is not there.
    pub default: bool,
}

/// Parts of a model of which each token asks only some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Experts {
    pub count: u64,
    /// For each token.
    pub used: u64,
}

impl Experts {
    fn of(count: &Value, used: &Value) -> Option<Self> {
        let (count, used) = (count.as_u64()?, used.as_u64()?);
        (used > 0 && used <= count).then_some(Self { count, used })
    }

    /// Of all experts those that a token asks, 0 to 1.
    pub fn share(self) -> f64 {
        (self.used as f64 / self.count.max(1) as f64).min(1.0)
    }
}

impl DiscoveredModel {
    /// The share of the loaded model that is on a GPU, 0 to 1.
    pub fn on_gpu(&self) -> Option<f64> {
        let memory = self.memory_bytes.filter(|bytes| *bytes > 0)?;
        Some(self.gpu_bytes? as f64 / memory as f64)
    }
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
    let loaded: HashMap<String, &Value> = entries(&loaded, "models")
        .filter_map(|model| Some((canonical_model(model["name"].as_str()?), model)))
        .collect();
    let model = |entry: &Value| {
        let name = entry["name"].as_str()?.to_owned();
        let details = &entry["details"];
        let now = loaded.get(&canonical_model(&name));
        Some(DiscoveredModel {
            size_bytes: entry["size"].as_u64(),
            parameter_size: text(&details["parameter_size"]),
            quantization: text(&details["quantization_level"]),
            family: text(&details["family"]),
            context_length: details["context_length"].as_u64(),
            // Andon's own runtime says it here, Ollama of one model at a time.
            experts: Experts::of(&details["expert_count"], &details["expert_used_count"]),
            digest: text(&entry["digest"]),
            loaded: now.is_some(),
            loaded_context_length: now.and_then(|now| now["context_length"].as_u64()),
            memory_bytes: now.and_then(|now| now["size"].as_u64()),
            gpu_bytes: now.and_then(|now| now["size_vram"].as_u64()),
            expires_ns: now.and_then(|now| time(&now["expires_at"])),
            default: false,
            name,
        })
    };
    Ok(entries(&tags, "models").filter_map(model).collect())
}

async fn openai_models(
    client: &HttpClient,
    runtime: &RuntimeInfo,
) -> Result<Vec<DiscoveredModel>, SendError> {
    let list = get_json(client, &runtime.authority, "/v1/models", MAX_LIST_BYTES).await?;
    let props = match runtime.product {
        "llama-server" => get_json(client, &runtime.authority, "/props", MAX_LIST_BYTES).await.ok(),
        _ => None,
    };
    let props = props.unwrap_or_default();
    let model = |entry: &Value| {
        Some(DiscoveredModel {
            name: entry["id"].as_str()?.to_owned(),
            size_bytes: entry["meta"]["size"].as_u64(),
            quantization: text(&props["model_ftype"]),
            context_length: entry["max_model_len"]
                .as_u64()
                .or_else(|| entry["meta"]["n_ctx_train"].as_u64()),
            loaded_context_length: props["default_generation_settings"]["n_ctx"].as_u64(),
            // Such a server holds what it lists.
            loaded: true,
            ..DiscoveredModel::default()
        })
    };
    Ok(entries(&list, "data").filter_map(model).collect())
}

/// What an Ollama's list leaves out: `/api/show` says it of one model.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    context_length: Option<u64>,
    experts: Option<Experts>,
}

impl Shown {
    pub(super) async fn ask(client: &HttpClient, runtime: &RuntimeInfo, model: &str) -> Self {
        let body = json!({ "model": model });
        let shown = post_json(client, &runtime.authority, "/api/show", &body, MAX_LIST_BYTES).await;
        Self::of(&shown.unwrap_or_default()["model_info"])
    }

    fn of(info: &Value) -> Self {
        // Each name begins with the model's architecture.
        let value = |name: &str| {
            let mut info = info.as_object().into_iter().flatten();
            info.find(|(key, _)| key.ends_with(name)).map_or(&Value::Null, |(_, value)| value)
        };
        Self {
            context_length: value(".context_length").as_u64(),
            experts: Experts::of(value(".expert_count"), value(".expert_used_count")),
        }
    }

    pub(super) fn complete(&self, model: &mut DiscoveredModel) {
        model.context_length = model.context_length.or(self.context_length);
        model.experts = model.experts.or(self.experts);
    }
}

fn entries<'a>(answer: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    answer[list].as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn time(value: &Value) -> Option<UnixNanos> {
    let time: jiff::Timestamp = value.as_str()?.parse().ok()?;
    UnixNanos::try_from(time.as_nanosecond()).ok()
}

/// Whether the runtime holds `model` in memory, asked now.
pub(super) async fn is_loaded(
    client: &HttpClient,
    runtime: &RuntimeInfo,
    model: &str,
) -> Option<bool> {
    let ps = get_json(client, &runtime.authority, "/api/ps", MAX_LIST_BYTES).await.ok()?;
    let asked = canonical_model(model);
    let mut names = entries(&ps, "models").filter_map(|model| model["name"].as_str());
    Some(names.any(|name| canonical_model(name) == asked))
}

/// A model of a list, by Ollama's rule for equal names.
pub(crate) fn find<'a>(models: &'a [DiscoveredModel], name: &str) -> Option<&'a DiscoveredModel> {
    let asked = canonical_model(name);
    models.iter().find(|model| canonical_model(&model.name) == asked)
}
