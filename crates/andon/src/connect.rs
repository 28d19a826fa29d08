//! `andon connect APP`: the lines to paste so that an app's calls go through the capture.
//!
//! Keys of the apps' settings: Ollama's «Anthropic compatibility», Codex's configuration reference,
//! OpenCode's and Continue's provider pages, Open WebUI's environment variables.

use std::{process::ExitCode, time::Duration};

use andon_gateway::{detect, http_client, list_models};
use anyhow::Context;

use crate::{
    cli::{App, ConnectArgs},
    config::Config,
    language::Language,
};

/// How long to look for a model to name in the lines.
const PATIENCE: Duration = Duration::from_secs(2);
/// Stands where no model was found.
const PLACEHOLDER: &str = "MODEL";

pub(crate) async fn run(args: ConnectArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let address = config.capture_listen.context("capture_listen: it is off")?;
    // An address that stands for all is none to call.
    let authority = match address.ip().is_unspecified() {
        true => format!("127.0.0.1:{}", address.port()),
        false => address.to_string(),
    };
    let model = match args.for_model {
        Some(model) => model,
        None => first_model(&authority).await.unwrap_or_else(|| PLACEHOLDER.to_owned()),
    };
    let key = config.password.is_some() && !address.ip().is_loopback();
    let lines = lines(args.app, &authority, &model, key, config.language);
    crate::config::write_line(&mut std::io::stdout().lock(), &lines)?;
    Ok(ExitCode::SUCCESS)
}

/// The model that answers by default, else the first one, of the runtime behind a running capture.
async fn first_model(authority: &str) -> Option<String> {
    let client = http_client();
    let look = async {
        let runtime = detect(&client, authority).await.ok()?;
        let models = list_models(&client, &runtime).await.ok()?;
        let default = models.iter().position(|model| model.default).unwrap_or(0);
        models.into_iter().nth(default).map(|model| model.name)
    };
    tokio::time::timeout(PATIENCE, look).await.ok()?
}

/// `key`: Andon's password is needed in the place of the API key.
fn lines(app: App, authority: &str, model: &str, key: bool, lang: Language) -> String {
    let key = if key { "ANDON_PASSWORD" } else { "local" };
    let base = format!("http://{authority}");
    match app {
        App::ClaudeCode => format!(
            "# {}\nexport ANTHROPIC_BASE_URL={base}\nexport ANTHROPIC_AUTH_TOKEN={key}\n\
             export ANTHROPIC_API_KEY=\nclaude --model {model}",
            lang.pick(
                "ランタイムが /v1/messages に対応している必要があります(Ollama 0.14 以降、llama-server)",
                "The runtime must serve /v1/messages (Ollama from 0.14 on, llama-server)"
            )
        ),
        App::Codex => format!(
            "# ~/.codex/config.toml: {}\nmodel = \"{model}\"\nmodel_provider = \"andon\"\n\n\
             [model_providers.andon]\nname = \"Andon\"\nbase_url = \"{base}/v1\"\n\
             wire_api = \"responses\"{}",
            lang.pick(
                "ランタイムが /v1/responses に対応している必要があります",
                "the runtime must serve /v1/responses"
            ),
            if key == "local" { "" } else { "\nenv_key = \"ANDON_PASSWORD\"" },
        ),
        App::Opencode => {
            let provider = serde_json::json!({
                "$schema": "https://opencode.ai/config.json",
                "model": format!("andon/{model}"),
                "provider": {"andon": {
                    "npm": "@ai-sdk/openai-compatible",
                    "name": "Andon",
                    "options": {"baseURL": format!("{base}/v1"), "apiKey": key},
                    "models": {model: {"name": model}},
                }},
            });
            // No comment: the file is JSON.
            format!("{provider:#}")
        }
        App::OpenWebui => format!(
            "# {}\nOLLAMA_BASE_URL={base}\n# {}\nOPENAI_API_BASE_URL={base}/v1\nOPENAI_API_KEY={key}",
            lang.pick("Ollama の場合", "for Ollama"),
            lang.pick(
                "OpenAI 互換のランタイムの場合。Docker では --network host で起動してください",
                "for OpenAI-compatible runtimes. In Docker, start it with --network host"
            ),
        ),
        App::Continue => format!(
            "# ~/.continue/config.yaml\nname: Andon\nversion: 0.0.1\nschema: v1\nmodels:\n  \
             - name: {model}\n    provider: ollama\n    model: {model}\n    apiBase: {base}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_app_is_told_the_address_and_the_model() {
        for app in App::value_variants() {
            for lang in [Language::Japanese, Language::English] {
                let lines = lines(*app, "127.0.0.1:11435", "qwen3:4b", false, lang);
                assert!(lines.contains("http://127.0.0.1:11435"), "{lines}");
                if !matches!(app, App::OpenWebui) {
                    assert!(lines.contains("qwen3:4b"), "{lines}");
                }
                assert!(!lines.contains("ANDON_PASSWORD"), "{lines}");
            }
        }
    }

    #[test]
    fn what_is_pasted_into_a_file_is_of_its_format() {
        let of = |app| lines(app, "127.0.0.1:11435", "m", true, Language::Japanese);
        let codex: toml::Table = of(App::Codex).parse().unwrap();
        assert_eq!(codex["model_providers"]["andon"]["env_key"].as_str(), Some("ANDON_PASSWORD"));
        let opencode: serde_json::Value = serde_json::from_str(&of(App::Opencode)).unwrap();
        assert_eq!(opencode["provider"]["andon"]["models"]["m"]["name"], "m");
    }
}
