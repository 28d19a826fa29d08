//! Anthropic's `/v1/messages`, which Ollama and llama-server serve too.

use andon_model::{Part, RawText, media};
use serde_json::Value;

use super::{
    Asked, Told,
    parameters::{self, Field},
    tool_definitions,
};

const FIELDS: [Field; 5] = [
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("temperature", "gen_ai.request.temperature"),
    ("top_p", "gen_ai.request.top_p"),
    ("top_k", "gen_ai.request.top_k"),
    ("service_tier", "andon.request.service_tier"),
];

pub(super) fn request(body: &Value, asked: &mut Asked) {
    let system = &body["system"];
    for text in system
        .as_str()
        .into_iter()
        .chain(system.as_array().into_iter().flatten().filter_map(|block| block["text"].as_str()))
    {
        asked.contents.push(Part::System, Some("system"), RawText::new(text));
    }
    for message in body["messages"].as_array().into_iter().flatten() {
        let role = message["role"].as_str().unwrap_or("user");
        let content = &message["content"];
        if let Some(text) = content.as_str() {
            asked.contents.push(super::part_of(role), Some(role), RawText::new(text));
        }
        for block in content.as_array().into_iter().flatten() {
            self::block(role, block, asked);
        }
    }
    tool_definitions(&body["tools"], asked);
    parameters::take(body, &FIELDS, asked);
    let thinking = [("type", "andon.request.thinking")];
    parameters::take(&body["thinking"], &thinking, asked);
    asked.user = body["metadata"]["user_id"].as_str().map(str::to_owned);
}

fn block(role: &str, block: &Value, asked: &mut Asked) {
    let text = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
    let (part, role, text) = match block["type"].as_str().unwrap_or_default() {
        "tool_use" => (Part::Tool, "call", format!("{}({})", text("name"), block["input"])),
        "tool_result" => (Part::Tool, "tool", result_text(&block["content"])),
        "thinking" => (Part::Thinking, role, text("thinking")),
        "image" | "document" => (Part::Input, role, source(&block["source"])),
        _ => (super::part_of(role), role, text("text")),
    };
    asked.contents.push(part, Some(role), RawText::new(text));
}

fn result_text(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let blocks = content.as_array().into_iter().flatten();
    let texts = blocks.map(|block| match block["text"].as_str() {
        Some(text) => text.to_owned(),
        None => source(&block["source"]),
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn source(source: &Value) -> String {
    match (source["data"].as_str(), source["url"].as_str()) {
        (Some(data), _) => media::describe(data, source["media_type"].as_str()),
        (None, Some(url)) => media::describe_url(url),
        (None, None) => String::new(),
    }
}

/// A whole answer.
pub(super) fn whole(body: &Value, told: &mut Told) -> bool {
    started(body, told);
    for (index, block) in body["content"].as_array().into_iter().flatten().enumerate() {
        begin_block(index, block, told);
    }
    stop(&body["stop_reason"], told);
    told.complete = told.stats.finish_reason.is_some();
    !told.outputs.is_empty()
}

/// An event of a stream.
pub(super) fn event(event: &Value, told: &mut Told) -> bool {
    let index = event["index"].as_u64().unwrap_or(0) as usize;
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => started(&event["message"], told),
        "content_block_start" => return begin_block(index, &event["content_block"], told),
        "content_block_delta" => return delta(index, &event["delta"], told),
        "message_delta" => {
            stop(&event["delta"]["stop_reason"], told);
            usage(&event["usage"], told);
        }
        "message_stop" => told.complete = true,
        _ => {
            if let Some(message) = super::error_message(event) {
                told.error = Some(message);
            }
        }
    }
    false
}

fn started(message: &Value, told: &mut Told) {
    told.response_id = message["id"].as_str().map(str::to_owned);
    told.stats.model = message["model"].as_str().map(str::to_owned);
    usage(&message["usage"], told);
}

/// Here, unlike everywhere else, `input_tokens` are those that no cache held.
fn usage(usage: &Value, told: &mut Told) {
    let stats = &mut told.stats;
    let read = usage["cache_read_input_tokens"].as_u64();
    let written = usage["cache_creation_input_tokens"].as_u64().unwrap_or(0);
    if let Some(new) = usage["input_tokens"].as_u64() {
        stats.prompt_tokens = Some(new + read.or(stats.cached_tokens).unwrap_or(0) + written);
    }
    stats.cached_tokens = read.or(stats.cached_tokens);
    stats.output_tokens = usage["output_tokens"].as_u64().or(stats.output_tokens);
}

fn stop(reason: &Value, told: &mut Told) {
    if let Some(reason) = reason.as_str() {
        told.stats.finish_reason = Some(match reason {
            "end_turn" | "stop_sequence" => "stop".to_owned(),
            "max_tokens" => "length".to_owned(),
            "tool_use" => "tool_calls".to_owned(),
            other => other.to_owned(),
        });
    }
}

fn begin_block(index: usize, block: &Value, told: &mut Told) -> bool {
    let text = |name: &str| block[name].as_str().unwrap_or_default();
    let output = told.output(0);
    match block["type"].as_str().unwrap_or_default() {
        "tool_use" => {
            let call = output.call(index);
            text("id").clone_into(&mut call.id);
            text("name").clone_into(&mut call.name);
            // In a stream the input begins as `{}` and comes in pieces.
            if block["input"].as_object().is_some_and(|input| !input.is_empty()) {
                call.arguments = block["input"].to_string();
            }
            true
        }
        "thinking" => {
            output.thinking.push_str(text("thinking"));
            !text("thinking").is_empty()
        }
        _ => {
            output.text.push_str(text("text"));
            !text("text").is_empty()
        }
    }
}

fn delta(index: usize, delta: &Value, told: &mut Told) -> bool {
    let text = |name: &str| delta[name].as_str().unwrap_or_default();
    let output = told.output(0);
    match delta["type"].as_str().unwrap_or_default() {
        "text_delta" => output.text.push_str(text("text")),
        "thinking_delta" => output.thinking.push_str(text("thinking")),
        "input_json_delta" => output.call(index).arguments.push_str(text("partial_json")),
        _ => return false,
    }
    true
}
