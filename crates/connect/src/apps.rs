//! Apps that are told where their runtime is.
//!
//! Keys of the apps' settings: Ollama's «Anthropic compatibility», Codex's configuration reference,
//! OpenCode's and Continue's provider pages, Open WebUI's environment variables.

use crate::Place;

fn key(place: &Place) -> &'static str {
    if place.needs_key { "ANDON_PASSWORD" } else { "local" }
}

fn base(place: &Place) -> String {
    format!("http://{}", place.capture)
}

pub(crate) fn claude_code(place: &Place) -> String {
    let (base, key, model) = (base(place), key(place), &place.model);
    let note = place.language.pick(
        "ランタイムが /v1/messages に対応している必要があります(Ollama 0.14 以降、llama-server)",
        "The runtime must serve /v1/messages (Ollama from 0.14 on, llama-server)",
    );
    format!(
        "# {note}\nexport ANTHROPIC_BASE_URL={base}\nexport ANTHROPIC_AUTH_TOKEN={key}\n\
         export ANTHROPIC_API_KEY=\nclaude --model {model}"
    )
}

pub(crate) fn codex(place: &Place) -> String {
    let (base, model) = (base(place), &place.model);
    let note = place.language.pick(
        "ランタイムが /v1/responses に対応している必要があります",
        "the runtime must serve /v1/responses",
    );
    let key = if place.needs_key { "\nenv_key = \"ANDON_PASSWORD\"" } else { "" };
    format!(
        "# ~/.codex/config.toml: {note}\nmodel = \"{model}\"\nmodel_provider = \"andon\"\n\n\
         [model_providers.andon]\nname = \"Andon\"\nbase_url = \"{base}/v1\"\n\
         wire_api = \"responses\"{key}"
    )
}

pub(crate) fn opencode(place: &Place) -> String {
    let model = &place.model;
    let provider = serde_json::json!({
        "$schema": "https://opencode.ai/config.json",
        "model": format!("andon/{model}"),
        "provider": {"andon": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Andon",
            "options": {"baseURL": format!("{}/v1", base(place)), "apiKey": key(place)},
            "models": {model: {"name": model}},
        }},
    });
    // No comment: the file is JSON.
    format!("{provider:#}")
}

pub(crate) fn open_webui(place: &Place) -> String {
    let (base, key) = (base(place), key(place));
    let ollama = place.language.pick("Ollama の場合", "for Ollama");
    let openai = place.language.pick(
        "OpenAI 互換のランタイムの場合。Docker では --network host で起動してください",
        "for OpenAI-compatible runtimes. In Docker, start it with --network host",
    );
    format!(
        "# {ollama}\nOLLAMA_BASE_URL={base}\n# {openai}\nOPENAI_API_BASE_URL={base}/v1\n\
         OPENAI_API_KEY={key}"
    )
}

pub(crate) fn continue_(place: &Place) -> String {
    let (base, model) = (base(place), &place.model);
    format!(
        "# ~/.continue/config.yaml\nname: Andon\nversion: 0.0.1\nschema: v1\nmodels:\n  \
         - name: {model}\n    provider: ollama\n    model: {model}\n    apiBase: {base}"
    )
}
