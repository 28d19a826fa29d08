//! OpenAI's `/v1/responses`: items in, items out; a stream's last event carries the whole.

use andon_model::{Part, RawText};
use serde_json::Value;

use super::{
    Asked, Told, ToolCall,
    openai::content_text,
    parameters::{self, Field},
    part_of, tool_definitions,
};
use crate::runtime::openai::collect_account;

const FIELDS: [Field; 2] = [
    ("max_output_tokens", "gen_ai.request.max_tokens"),
    ("previous_response_id", "andon.request.previous_response_id"),
];

pub(super) fn request(body: &Value, asked: &mut Asked) {
    if let Some(instructions) = body["instructions"].as_str() {
        asked.contents.push(Part::System, Some("system"), RawText::new(instructions));
    }
    match &body["input"] {
        Value::String(text) => {
            asked.contents.push(Part::Input, Some("user"), RawText::new(text.as_str()));
        }
        items => items.as_array().into_iter().flatten().for_each(|item| self::item(item, asked)),
    }
    tool_definitions(&body["tools"], asked);
    parameters::take(body, &parameters::SAMPLING, asked);
    parameters::take(body, &FIELDS, asked);
    let effort = [("effort", "andon.request.reasoning_effort")];
    parameters::take(&body["reasoning"], &effort, asked);
    parameters::take(&body["text"]["format"], &[("type", "gen_ai.output.type")], asked);
    asked.user = body["user"].as_str().map(str::to_owned);
}

fn item(item: &Value, asked: &mut Asked) {
    match item["type"].as_str() {
        Some("function_call") => {
            let text = RawText::new(call(item).in_words());
            asked.contents.push(Part::Tool, Some("call"), text);
        }
        Some("function_call_output") => {
            let output = &item["output"];
            let text = output.as_str().map_or_else(|| content_text(output), str::to_owned);
            asked.contents.push(Part::Tool, Some("tool"), RawText::new(text));
        }
        Some("reasoning") => {
            let text = content_text(&item["content"]) + &content_text(&item["summary"]);
            asked.contents.push(Part::Thinking, Some("assistant"), RawText::new(text));
        }
        _ => {
            let role = item["role"].as_str().unwrap_or("user");
            let text = content_text(&item["content"]);
            asked.contents.push(part_of(role), Some(role), RawText::new(text));
        }
    }
}

fn call(item: &Value) -> ToolCall {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    ToolCall { id: text("call_id"), name: text("name"), arguments: text("arguments") }
}

/// A whole answer.
pub(super) fn whole(body: &Value, told: &mut Told) -> bool {
    told.outputs.clear();
    for item in body["output"].as_array().into_iter().flatten() {
        match item["type"].as_str() {
            Some("function_call") => told.output(0).calls.push(call(item)),
            Some("reasoning") => {
                let text = content_text(&item["content"]) + &content_text(&item["summary"]);
                told.output(0).thinking.push_str(&text);
            }
            _ => told.output(0).text.push_str(&content_text(&item["content"])),
        }
    }
    account(body, told);
    !told.outputs.is_empty()
}

fn account(body: &Value, told: &mut Told) {
    told.response_id = body["id"].as_str().map(str::to_owned);
    let (stats, usage) = (&mut told.stats, &body["usage"]);
    stats.model = body["model"].as_str().map(str::to_owned);
    collect_account(body, stats);
    stats.prompt_tokens = usage["input_tokens"].as_u64().or(stats.prompt_tokens);
    stats.output_tokens = usage["output_tokens"].as_u64().or(stats.output_tokens);
    stats.cached_tokens =
        usage["input_tokens_details"]["cached_tokens"].as_u64().or(stats.cached_tokens);
    stats.reasoning_tokens = usage["output_tokens_details"]["reasoning_tokens"].as_u64();
    let status = body["status"].as_str();
    stats.finish_reason = match status {
        Some("completed") => Some("stop".to_owned()),
        Some("incomplete") => body["incomplete_details"]["reason"].as_str().map(str::to_owned),
        _ => None,
    };
    told.complete = matches!(status, Some("completed" | "incomplete"));
}

/// An event of a stream.
pub(super) fn event(event: &Value, told: &mut Told) -> bool {
    let delta = event["delta"].as_str().unwrap_or_default();
    match event["type"].as_str().unwrap_or_default() {
        "response.output_text.delta" | "response.refusal.delta" => {
            told.output(0).text.push_str(delta);
            !delta.is_empty()
        }
        "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
            told.output(0).thinking.push_str(delta);
            !delta.is_empty()
        }
        "response.function_call_arguments.delta" => !delta.is_empty(),
        "response.output_item.done" if event["item"]["type"] == "function_call" => {
            // Kept at once: the stream may break before its last event says everything again.
            told.output(0).calls.push(call(&event["item"]));
            false
        }
        "response.completed" | "response.incomplete" => {
            whole(&event["response"], told);
            collect_account(event, &mut told.stats);
            false
        }
        "response.failed" => {
            told.error = super::error_message(&event["response"])
                .or_else(|| Some("the runtime said that it failed".to_owned()));
            false
        }
        "error" => {
            let message = event["message"].as_str().map(str::to_owned);
            told.error = message.or_else(|| super::error_message(event));
            false
        }
        _ => {
            if let Some(message) = super::error_message(event) {
                told.error = Some(message);
            }
            false
        }
    }
}
