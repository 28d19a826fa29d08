//! Ollama's `/api/generate`, `/api/chat`, `/api/embed` and the older `/api/embeddings`.

use andon_model::{AttributeValue, Part, RawText, media};
use serde_json::Value;

use super::{
    Asked, Told,
    parameters::{self, Field},
    part_of, tool_definitions,
};
use crate::runtime::ollama::{Line, stats};

/// An option that has a name in OpenTelemetry beside those of [`parameters::SAMPLING`]; all others
/// keep their own.
const LIMIT: Field = ("num_predict", "gen_ai.request.max_tokens");

/// Fields that mean something to OpenAI and nothing here, and what does.
const WITHOUT_EFFECT: [(&str, &str); 5] = [
    ("max_tokens", "options.num_predict"),
    ("max_completion_tokens", "options.num_predict"),
    ("temperature", "options.temperature"),
    ("top_p", "options.top_p"),
    ("seed", "options.seed"),
];

pub(super) fn request(body: &Value, asked: &mut Asked) {
    if let Some(system) = body["system"].as_str() {
        asked.contents.push(Part::System, Some("system"), RawText::new(system));
    }
    for message in body["messages"].as_array().into_iter().flatten() {
        self::message(message, asked);
    }
    if let Some(prompt) = body["prompt"].as_str() {
        let text = with_media(prompt, &body["images"]);
        asked.contents.push(Part::Input, Some("user"), RawText::new(text));
    }
    inputs(&body["input"], asked);
    tool_definitions(&body["tools"], asked);
    options(body, asked);
}

/// `input` of an embedding: a text or several.
pub(super) fn inputs(input: &Value, asked: &mut Asked) {
    let many = input.as_array().into_iter().flatten().filter_map(Value::as_str);
    for text in input.as_str().into_iter().chain(many) {
        asked.contents.push(Part::Input, None, RawText::new(text));
    }
}

fn message(message: &Value, asked: &mut Asked) {
    let role = message["role"].as_str().unwrap_or("user");
    let text = with_media(message["content"].as_str().unwrap_or_default(), &message["images"]);
    asked.contents.push(part_of(role), Some(role), RawText::new(text));
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let words = call_words(&call["function"]);
        asked.contents.push(Part::Tool, Some("call"), RawText::new(words));
    }
}

fn call_words(function: &Value) -> String {
    format!("{}({})", function["name"].as_str().unwrap_or_default(), function["arguments"])
}

fn with_media(text: &str, images: &Value) -> String {
    let mut text = text.to_owned();
    for image in images.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&media::describe(image, None));
    }
    text
}

fn options(body: &Value, asked: &mut Asked) {
    let options = &body["options"];
    parameters::take(options, &parameters::SAMPLING, asked);
    parameters::take(options, &[LIMIT], asked);
    for (name, value) in options.as_object().into_iter().flatten().take(64) {
        let mut named = parameters::SAMPLING.iter().chain([&LIMIT]);
        let named = named.any(|(field, _)| field == name);
        if let (false, Some(value)) = (named, parameters::plain(value)) {
            asked.attributes.set(format!("andon.request.options.{name}"), value);
        }
    }
    parameters::take(
        body,
        &[
            ("keep_alive", "andon.request.keep_alive"),
            ("think", "andon.request.think"),
            ("raw", "andon.request.raw"),
            ("truncate", "andon.request.truncate"),
        ],
        asked,
    );
    match &body["format"] {
        Value::String(format) if !format.is_empty() => {
            asked.attributes.set("gen_ai.output.type", format.as_str());
        }
        Value::Object(_) => {
            asked.attributes.set("gen_ai.output.type", "json");
        }
        _ => {}
    }
    let ignored = WITHOUT_EFFECT.iter().filter(|(field, _)| body.get(field).is_some());
    let warnings: Vec<_> =
        ignored.map(|(field, right)| format!("{field} has no effect here; use {right}")).collect();
    if !warnings.is_empty() {
        let text = AttributeValue::Text(warnings.join("; "));
        asked.attributes.set("andon.warning", text);
    }
}

/// A line of a stream, or a whole answer.
pub(super) fn line(line: &[u8], told: &mut Told) -> Result<bool, serde_json::Error> {
    let mut line: Line = serde_json::from_slice(line)?;
    if let Some(error) = line.error {
        told.error = Some(error);
        return Ok(false);
    }
    let output = told.output(0);
    let message = line.message.take().unwrap_or_default();
    let texts = [std::mem::take(&mut line.response), message.content];
    let thoughts = [line.thinking.take(), message.thinking];
    let mut any = !message.tool_calls.is_empty();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        output.text.push_str(text);
        any = true;
    }
    for thought in thoughts.iter().flatten().filter(|text| !text.is_empty()) {
        output.thinking.push_str(thought);
        any = true;
    }
    for call in &message.tool_calls {
        let (function, next) = (&call["function"], output.calls.len());
        let slot = output.call(next);
        slot.id = call["id"].as_str().unwrap_or_default().to_owned();
        slot.name = function["name"].as_str().unwrap_or_default().to_owned();
        slot.arguments = function["arguments"].to_string();
    }
    // Embeddings have no `done`; what they say stands in one object.
    if line.done || line.is_embedding() {
        told.complete = true;
        told.stats = stats(line);
    }
    Ok(any)
}
