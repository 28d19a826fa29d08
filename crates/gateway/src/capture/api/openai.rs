//! OpenAI's `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`, and llama-server's own
//! `/completion`, which shares their parameters.

use andon_model::{Part, RawText, media};
use serde_json::Value;

use super::{
    Asked, Output, Told, ollama,
    parameters::{self, Field},
    part_of, tool_definitions,
};
use crate::runtime::openai::{collect, collect_account};

const LIMITS: [Field; 5] = [
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("max_completion_tokens", "gen_ai.request.max_tokens"),
    ("n_predict", "gen_ai.request.max_tokens"),
    ("n", "gen_ai.request.choice.count"),
    ("reasoning_effort", "andon.request.reasoning_effort"),
];

pub(super) fn request(body: &Value, asked: &mut Asked) {
    for message in body["messages"].as_array().into_iter().flatten() {
        self::message(message, asked);
    }
    for prompt in texts(&body["prompt"]) {
        asked.contents.push(Part::Input, Some("user"), RawText::new(prompt));
    }
    ollama::inputs(&body["input"], asked);
    tool_definitions(&body["tools"], asked);
    parameters::take(body, &parameters::SAMPLING, asked);
    parameters::take(body, &LIMITS, asked);
    parameters::take(&body["response_format"], &[("type", "gen_ai.output.type")], asked);
    asked.user = body["user"].as_str().map(str::to_owned);
}

/// A text, or an array of them. Prompts given as token numbers have no text.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let many = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    value.as_str().into_iter().chain(many)
}

fn message(message: &Value, asked: &mut Asked) {
    let role = message["role"].as_str().unwrap_or("user");
    let text = content_text(&message["content"]);
    asked.contents.push(part_of(role), Some(role), RawText::new(text));
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let (name, arguments) = function(&call["function"]);
        let words = format!("{name}({arguments})");
        asked.contents.push(Part::Tool, Some("call"), RawText::new(words));
    }
}

/// A message's content: a text, or parts of which some are media.
pub(super) fn content_text(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let parts = content.as_array().into_iter().flatten();
    parts.filter_map(part_text).collect::<Vec<_>>().join("\n")
}

fn part_text(part: &Value) -> Option<String> {
    let url = |image: &Value| image.as_str().or(image["url"].as_str()).map(media::describe_url);
    match part["type"].as_str()? {
        "image_url" | "input_image" => url(&part["image_url"]),
        "input_audio" => {
            let audio = &part["input_audio"];
            let kind = format!("audio/{}", audio["format"].as_str().unwrap_or("unknown"));
            Some(media::describe(audio["data"].as_str().unwrap_or_default(), Some(&kind)))
        }
        "file" | "input_file" => {
            let file = part.get("file").unwrap_or(part);
            file["file_data"].as_str().map(|data| media::describe(data, None))
        }
        _ => part["text"].as_str().or(part["refusal"].as_str()).map(str::to_owned),
    }
}

/// Name and arguments; these are JSON in a string, or JSON itself where a server is lax.
fn function(function: &Value) -> (&str, String) {
    let arguments = &function["arguments"];
    let text = match arguments {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (function["name"].as_str().unwrap_or_default(), text)
}

/// A chunk of a stream, or a whole answer.
pub(super) fn chunk(body: &Value, told: &mut Told) -> bool {
    collect(body, &mut told.stats);
    if told.response_id.is_none() {
        told.response_id = body["id"].as_str().map(str::to_owned);
    }
    let mut any = false;
    for choice in body["choices"].as_array().into_iter().flatten() {
        let index = choice["index"].as_u64().unwrap_or(0) as usize;
        let said = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(choice);
        any |= piece(said, told.output(index));
    }
    // A whole answer names what it is; a chunk's object ends in `.chunk`.
    let is_whole = body["object"].as_str().is_some_and(|object| !object.ends_with(".chunk"));
    let ended = told.stats.finish_reason.is_some();
    told.complete |= (is_whole && ended) || body["object"] == "list";
    any
}

fn piece(said: &Value, output: &mut Output) -> bool {
    let mut any = false;
    let text = said["content"].as_str().or(said["text"].as_str()).or(said["refusal"].as_str());
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        output.text.push_str(text);
        any = true;
    }
    let thought = said["reasoning_content"].as_str().or(said["reasoning"].as_str());
    if let Some(thought) = thought.filter(|text| !text.is_empty()) {
        output.thinking.push_str(thought);
        any = true;
    }
    for (place, call) in said["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let index = call["index"].as_u64().map_or(place, |index| index as usize);
        let slot = output.call(index);
        let (name, arguments) = function(&call["function"]);
        slot.name.push_str(name);
        slot.arguments.push_str(&arguments);
        if let Some(id) = call["id"].as_str() {
            id.clone_into(&mut slot.id);
        }
        any = true;
    }
    any
}

/// llama-server's `/completion`: `content`, and at the end counts and timings.
pub(super) fn completion(body: &Value, told: &mut Told) -> bool {
    let text = body["content"].as_str().unwrap_or_default();
    told.output(0).text.push_str(text);
    if body["stop"] == true {
        let stats = &mut told.stats;
        collect_account(body, stats);
        stats.model = body["model"].as_str().map(str::to_owned);
        stats.prompt_tokens = body["tokens_evaluated"].as_u64().or(stats.prompt_tokens);
        stats.output_tokens = body["tokens_predicted"].as_u64().or(stats.output_tokens);
        stats.finish_reason = Some(match body["stop_type"].as_str() {
            Some("limit") => "length".to_owned(),
            _ => "stop".to_owned(),
        });
        told.complete = true;
    }
    !text.is_empty()
}
