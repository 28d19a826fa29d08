//! Which runtime answers at an address, told by what it says.

use std::time::Duration;

use serde_json::Value;

use super::{
    HttpClient, RuntimeInfo, RuntimeKind,
    client::{SendError, get_json},
};

const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_PROBE_BYTES: usize = 256 << 10;

/// Nobody at the address speaks an API that Andon knows.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    #[error("nobody answers at {0}")]
    NoAnswer(String),
    #[error("{0} answers, but neither as Ollama nor with /v1/models")]
    Unknown(String),
}

/// Asks `authority` (`host:port`) who it is.
pub async fn detect(client: &HttpClient, authority: &str) -> Result<RuntimeInfo, DetectError> {
    let no_answer = || DetectError::NoAnswer(authority.to_owned());
    tokio::time::timeout(PROBE_TIMEOUT, probe(client, authority)).await.map_err(|_| no_answer())?
}

async fn probe(client: &HttpClient, authority: &str) -> Result<RuntimeInfo, DetectError> {
    let ask = |path: &'static str| get_json(client, authority, path, MAX_PROBE_BYTES);
    let info = |kind, product: &'static str, version: Option<String>| RuntimeInfo {
        kind,
        product,
        name: product.to_owned(),
        authority: authority.to_owned(),
        version,
        pid: None,
    };
    match ask("/api/version").await {
        Ok(answer) if answer["version"].is_string() => {
            let version = answer["version"].as_str().map(str::to_owned);
            // Andon's own answers as the Ollama that it can stand in for, and says who it is.
            return Ok(match answer["andon"].is_string() {
                true => info(RuntimeKind::Builtin, "runtime", version),
                false => info(RuntimeKind::Ollama, "ollama", version),
            });
        }
        Err(SendError::Connect { .. } | SendError::Broken { .. } | SendError::Address { .. }) => {
            return Err(DetectError::NoAnswer(authority.to_owned()));
        }
        _ => {}
    }
    let models = ask("/v1/models").await;
    if !models.as_ref().is_ok_and(|answer| answer["data"].is_array() || answer["data"].is_null()) {
        return Err(DetectError::Unknown(authority.to_owned()));
    }
    let props = ask("/props").await.ok();
    if let Some(props) = props.filter(|props| props.get("default_generation_settings").is_some()) {
        let build = props["build_info"].as_str().map(str::to_owned);
        return Ok(info(RuntimeKind::Openai, "llama-server", build));
    }
    let owner =
        models.ok().and_then(|answer| answer["data"][0]["owned_by"].as_str().map(str::to_owned));
    if owner.as_deref() == Some("vllm") {
        let version = ask("/version").await.ok();
        let version = version.and_then(|answer| answer["version"].as_str().map(str::to_owned));
        return Ok(info(RuntimeKind::Openai, "vllm", version));
    }
    if ask("/api/v0/models").await.is_ok_and(|answer: Value| answer["data"].is_array()) {
        return Ok(info(RuntimeKind::Openai, "lm-studio", None));
    }
    Ok(info(RuntimeKind::Openai, "openai-compatible", None))
}
