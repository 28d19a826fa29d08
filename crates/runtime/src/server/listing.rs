//! What there is and what is loaded: `/api/version`, `/api/tags`, `/api/ps`, `/api/show`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::reply::json_reply;
use super::{NativeResult, Shared, body};
use crate::clock::rfc3339;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::gguf;
use crate::library::ModelEntry;

/// The version of Ollama's API that is spoken; clients compare it to know what they may ask.
const API_VERSION: &str = "0.33.3";
/// What a model that stays loaded forever shows as its end.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub(super) async fn version() -> Response {
    let andon = env!("CARGO_PKG_VERSION");
    json_reply(StatusCode::OK, &json!({ "version": API_VERSION, "andon": andon }))
}

pub(super) async fn tags(State(shared): State<Shared>) -> Response {
    let models: Vec<Value> = list(&shared)
        .await
        .iter()
        .map(|entry| {
            let mut model = json!({
                "name": entry.name,
                "model": entry.name,
                "modified_at": rfc3339(entry.modified),
                "size": entry.stamp.size,
                "details": details(entry),
                "capabilities": entry.capabilities(),
            });
            add_digest(&mut model, &shared, entry);
            if let Err(error) = &entry.head {
                model["andon"] = json!({ "error": error });
            }
            model
        })
        .collect();
    json_reply(StatusCode::OK, &json!({ "models": models }))
}

/// All models, looked up off the threads that serve.
pub(super) async fn list(shared: &Shared) -> Vec<Arc<ModelEntry>> {
    let library = Arc::clone(&shared.library);
    tokio::task::spawn_blocking(move || library.list()).await.unwrap_or_default()
}

pub(super) async fn ps(State(shared): State<Shared>) -> Response {
    let models: Vec<Value> = shared
        .engine
        .loaded()
        .iter()
        .map(|loaded| {
            let expires = loaded.expires.unwrap_or_else(|| SystemTime::now() + FOREVER);
            let mut model = json!({
                "name": loaded.entry.name,
                "model": loaded.entry.name,
                "size": loaded.size,
                "size_vram": 0,
                "details": details(&loaded.entry),
                "expires_at": rfc3339(expires),
                "context_length": loaded.context_length,
            });
            add_digest(&mut model, &shared, &loaded.entry);
            model
        })
        .collect();
    json_reply(StatusCode::OK, &json!({ "models": models }))
}

pub(super) async fn show(State(shared): State<Shared>, body: Body) -> NativeResult {
    let value = body::read_json(body, shared.max_body).await?;
    let fields = Fields::root(&value)?;
    let name = match fields.text("model")? {
        Some(name) => Some(name),
        None => fields.text("name")?,
    };
    let entry = shared.model(name).await?;
    let head = entry
        .head
        .as_ref()
        .map_err(|reason| Failure::Load { path: entry.path.clone(), reason: reason.clone() })?;
    let mut object = json!({
        "modelfile": format!("FROM {}\n", entry.path.display()),
        "details": details(&entry),
        "model_info": model_info(head),
        "capabilities": entry.capabilities(),
        "modified_at": rfc3339(entry.modified),
    });
    let texts = [
        ("parameters", Some(parameters(&entry)).filter(|text| !text.is_empty())),
        ("template", entry.chat_template().map(str::to_owned)),
        ("system", entry.system.clone()),
        ("license", entry.license.clone()),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            object[key] = text.into();
        }
    }
    Ok(json_reply(StatusCode::OK, &object))
}

fn add_digest(object: &mut Value, shared: &Shared, entry: &ModelEntry) {
    // Unknown until the file was read once; then left out rather than made up.
    if let Some(digest) = shared.library.digest(entry) {
        object["digest"] = digest.into();
    }
}

fn details(entry: &ModelEntry) -> Value {
    let Ok(head) = &entry.head else {
        return json!({ "parent_model": "", "format": "gguf", "family": "", "families": null,
            "parameter_size": "", "quantization_level": "" });
    };
    let mut details = json!({
        "parent_model": "",
        "format": "gguf",
        "family": head.architecture(),
        "families": [head.architecture()],
        "parameter_size": head.parameter_size(),
        "quantization_level": head.quantization(),
    });
    // The number of experts is ours alone: Ollama says it only of one model at a time.
    for key in ["context_length", "embedding_length", "expert_count", "expert_used_count"] {
        if let Some(number) = head.architecture_number(key) {
            details[key] = number.into();
        }
    }
    details
}

/// The file's metadata. Arrays are null, as in Ollama without `verbose`; the template stands in a
/// field of its own.
fn model_info(head: &gguf::Gguf) -> Value {
    let mut info = Map::new();
    for (key, value) in &head.entries {
        if key == "tokenizer.chat_template" {
            continue;
        }
        let value = match value {
            gguf::Value::Unsigned(number) => (*number).into(),
            gguf::Value::Signed(number) => (*number).into(),
            gguf::Value::Float(number) => json!(number),
            gguf::Value::Flag(flag) => (*flag).into(),
            gguf::Value::Text(text) => text.as_str().into(),
            gguf::Value::Array(_) => Value::Null,
        };
        info.insert(key.clone(), value);
    }
    info.insert("general.parameter_count".to_owned(), head.parameters.into());
    Value::Object(info)
}

/// The model's own settings in the notation of a Modelfile.
fn parameters(entry: &ModelEntry) -> String {
    let options = &entry.options;
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{name:<30} {value}"));
        }
    };
    add("num_predict", options.num_predict.map(|n| n.to_string()));
    add("num_ctx", options.num_ctx.map(|n| n.to_string()));
    add("temperature", options.temperature.map(|n| n.to_string()));
    add("top_k", options.top_k.map(|n| n.to_string()));
    add("top_p", options.top_p.map(|n| n.to_string()));
    add("min_p", options.min_p.map(|n| n.to_string()));
    add("repeat_penalty", options.repeat_penalty.map(|n| n.to_string()));
    add("repeat_last_n", options.repeat_last_n.map(|n| n.to_string()));
    for stop in options.stop.iter().flatten() {
        add("stop", Some(format!("{stop:?}")));
    }
    lines.join("\n")
}
