//! OpenAI's dialect: `/v1/chat/completions`, `/v1/completions`, `/v1/models`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::native::{add_system, grammar_for, into_openai, role_of};
use super::reply::{json_reply, openai_error_body};
use super::{Call, NativeResult, Shared, body, listing, progress, reply_name, stream};
use crate::clock::unix_seconds;
use crate::engine::{DoneReason, Event, GenerateWork, Input, Outcome, Work};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::options::{Options, stops};
use crate::template::Message;
use crate::thinking::Parts;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

pub(super) async fn chat(State(shared): State<Shared>, headers: HeaderMap, body: Body) -> Response {
    into_openai(complete(shared, &headers, body, Shape::Chat).await)
}

pub(super) async fn completions(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    into_openai(complete(shared, &headers, body, Shape::Text).await)
}

async fn complete(shared: Shared, headers: &HeaderMap, body: Body, shape: Shape) -> NativeResult {
    let received = Instant::now();
    let value = body::read_json(body, shared.max_body).await?;
    let fields = Fields::root(&value)?;
    let name = fields.text("model")?;
    let model = shared.model(name).await?;
    let model_name = reply_name(&model, name);
    if model.is_embedding_only() {
        return Err(Failure::NotAble { model: model_name, ability: "chat" });
    }
    if fields.list("tools")?.is_some_and(|tools| !tools.is_empty()) {
        return Err(Failure::NotAble { model: model_name, ability: "tools" });
    }
    let mut messages = match shape {
        Shape::Chat => read_messages(&fields, &model_name)?,
        Shape::Text => {
            let prompt = fields.text("prompt")?.unwrap_or_default().to_owned();
            vec![Message { role: "user".into(), content: prompt }]
        }
    };
    add_system(&mut messages, model.system.as_deref());
    let work = GenerateWork {
        input: Input::Chat(messages),
        context: Vec::new(),
        grammar: read_format(&fields)?,
        think: read_effort(&fields)?.filter(|_| model.thinks()),
    };
    let streamed = fields.flag("stream")?.unwrap_or(false);
    let with_usage = match fields.object("stream_options")? {
        Some(options) => options.flag("include_usage")?.unwrap_or(false),
        None => false,
    };
    let encoder = Encoder::new(model_name.clone(), shape, with_usage);
    let options = read_options(&fields, &model.options)?;
    let tell = progress::followed(headers);
    let call = Call { model, model_name, options, keep_alive: None, tell, received };
    let running = shared.submit(call, Work::Generate(work))?;
    if streamed {
        return stream::after_first(running, encoder).await;
    }
    let (parts, outcome) = running.collect().await?;
    Ok(json_reply(StatusCode::OK, &encoder.whole(&parts, &outcome)))
}

fn read_messages(fields: &Fields<'_>, model: &str) -> Result<Vec<Message>, Failure> {
    let list = fields.objects("messages")?.unwrap_or_default();
    if list.is_empty() {
        return Err(Failure::Invalid("field \"messages\" must hold at least one message".into()));
    }
    let mut messages = Vec::with_capacity(list.len());
    for message in list {
        let role = role_of(message.text("role")?.unwrap_or_default(), &message)?;
        messages.push(Message { role, content: content_of(&message, model)? });
    }
    Ok(messages)
}

/// A string, or a list of text parts.
fn content_of(message: &Fields<'_>, model: &str) -> Result<String, Failure> {
    match message.get("content") {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(_)) => {
            let mut text = String::new();
            for part in message.objects("content")?.unwrap_or_default() {
                match part.text("type")? {
                    Some("text") => text.push_str(part.text("text")?.unwrap_or_default()),
                    _ => {
                        let model = model.to_owned();
                        return Err(Failure::NotAble { model, ability: "images" });
                    }
                }
            }
            Ok(text)
        }
        Some(other) => {
            Err(wrong(&message.path_of("content"), "a string or a list of parts", other))
        }
    }
}

fn read_format(fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    let Some(format) = fields.object("response_format")? else { return Ok(None) };
    match format.text("type")? {
        None | Some("text") => Ok(None),
        Some("json_object") => grammar_for(&json!({ "type": "object" })),
        Some("json_schema") => {
            let schema = format.object("json_schema")?.and_then(|schema| schema.get("schema"));
            schema.map_or_else(
                || Err(Failure::Invalid("field \"response_format\" has no schema".to_owned())),
                grammar_for,
            )
        }
        Some(_) => Err(Failure::Invalid(
            "field \"response_format.type\" must be text, json_object or json_schema".to_owned(),
        )),
    }
}

fn read_effort(fields: &Fields<'_>) -> Result<Option<bool>, Failure> {
    let nested = match fields.object("reasoning")? {
        Some(reasoning) => reasoning.text("effort")?,
        None => None,
    };
    let effort = fields.text("reasoning_effort")?.or(nested);
    Ok(effort.map(|effort| effort != "none"))
}

/// What OpenAI calls by other names, over the model's own settings, over OpenAI's defaults.
fn read_options(fields: &Fields<'_>, model: &Options) -> Result<Options, Failure> {
    #[expect(clippy::cast_possible_truncation, reason = "sampling needs no more digits")]
    let number = |key: &str| Ok::<_, Failure>(fields.number(key)?.map(|number| number as f32));
    let limit = match fields.integer("max_tokens")? {
        Some(limit) => Some(limit),
        None => fields.integer("max_completion_tokens")?,
    };
    let asked = Options {
        num_predict: limit,
        temperature: number("temperature")?,
        top_p: number("top_p")?,
        presence_penalty: number("presence_penalty")?,
        frequency_penalty: number("frequency_penalty")?,
        seed: fields.integer("seed")?,
        stop: fields.get("stop").map(stops).transpose()?,
        ..Options::default()
    };
    let defaults = Options { temperature: Some(1.0), top_p: Some(1.0), ..Options::default() };
    Ok(asked.or(model).or(&defaults))
}

pub(super) async fn models(State(shared): State<Shared>) -> Response {
    let data: Vec<Value> = listing::list(&shared).await.iter().map(|e| model_object(e)).collect();
    json_reply(StatusCode::OK, &json!({ "object": "list", "data": data }))
}

pub(super) async fn model(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    let found = shared.model(Some(&id)).await;
    into_openai(found.map(|entry| json_reply(StatusCode::OK, &model_object(&entry))))
}

fn model_object(entry: &crate::library::ModelEntry) -> Value {
    json!({
        "id": entry.name,
        "object": "model",
        "created": unix_seconds(entry.modified),
        "owned_by": "library",
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Chat,
    Text,
}

/// Events as OpenAI's chunks.
struct Encoder {
    id: String,
    created: u64,
    model: String,
    shape: Shape,
    with_usage: bool,
    begun: bool,
}

impl Encoder {
    fn new(model: String, shape: Shape, with_usage: bool) -> Self {
        let kind = if shape == Shape::Chat { "chatcmpl" } else { "cmpl" };
        let created = unix_seconds(SystemTime::now());
        // Unlike Ollama's, unique: in this process by the number, between processes by the time.
        let number = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let id = format!("{kind}-{created:x}-{:x}-{number}", std::process::id());
        Self { id, created, model, shape, with_usage, begun: false }
    }

    fn object(&self, kind: &str, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "fp_ollama",
            "choices": choices,
        })
    }

    fn whole(&self, parts: &Parts, outcome: &Outcome) -> Value {
        let reason = finish_reason(outcome.done_reason);
        let mut object = match self.shape {
            Shape::Chat => {
                let mut message = json!({ "role": "assistant", "content": parts.content });
                if !parts.thinking.is_empty() {
                    message["reasoning"] = parts.thinking.as_str().into();
                }
                let choice = json!({ "index": 0, "message": message, "finish_reason": reason });
                self.object("chat.completion", json!([choice]))
            }
            Shape::Text => {
                let choice = json!({ "index": 0, "text": parts.content, "finish_reason": reason });
                self.object("text_completion", json!([choice]))
            }
        };
        object["usage"] = usage(outcome);
        object
    }

    fn chunk(&mut self, parts: &Parts, reason: Option<&str>) -> Value {
        if self.shape == Shape::Text {
            let choice = json!({ "index": 0, "text": parts.content, "finish_reason": reason });
            return self.object("text_completion", json!([choice]));
        }
        let mut delta = json!({});
        if !std::mem::replace(&mut self.begun, true) {
            delta["role"] = "assistant".into();
            delta["content"] = parts.content.as_str().into();
        } else if !parts.content.is_empty() {
            delta["content"] = parts.content.as_str().into();
        }
        if !parts.thinking.is_empty() {
            delta["reasoning"] = parts.thinking.as_str().into();
        }
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        self.object("chat.completion.chunk", json!([choice]))
    }

    fn end(&mut self, outcome: &Outcome) -> String {
        let reason = finish_reason(outcome.done_reason);
        // An answer without a word still says who is speaking.
        let first = (!self.begun).then(|| self.chunk(&Parts::default(), None));
        let last = self.chunk(&Parts::default(), Some(reason));
        let with_usage = self.with_usage.then(|| {
            let kind =
                if self.shape == Shape::Chat { "chat.completion.chunk" } else { "text_completion" };
            let mut object = self.object(kind, json!([]));
            object["usage"] = usage(outcome);
            object
        });
        let chunks = first.into_iter().chain([last]).chain(with_usage);
        let events: String = chunks.map(|chunk| format!("data: {chunk}\n\n")).collect();
        format!("{events}data: [DONE]\n\n")
    }
}

impl stream::Encode for Encoder {
    fn content_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn encode(&mut self, event: Event) -> Bytes {
        match event {
            Event::Text(parts) => format!("data: {}\n\n", self.chunk(&parts, None)).into(),
            Event::Done(outcome) => self.end(&outcome).into(),
            Event::Failed(failure) => format!("data: {}\n\n", openai_error_body(&failure)).into(),
            Event::Progress(_) => Bytes::new(),
        }
    }
}

fn finish_reason(reason: DoneReason) -> &'static str {
    if reason == DoneReason::Length { "length" } else { "stop" }
}

fn usage(outcome: &Outcome) -> Value {
    json!({
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.eval_tokens,
        "total_tokens": outcome.prompt_tokens + outcome.eval_tokens,
        "prompt_tokens_details": { "cached_tokens": outcome.cached_tokens },
    })
}
