//! `/api/generate` and `/api/chat`.

use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::reply::{add_andon, add_metrics, json_reply};
use super::{Call, NativeResult, Shared, body, progress, reply_name, stream};
use crate::clock::rfc3339;
use crate::engine::{Event, GenerateWork, Input, Outcome, Work};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::keep_alive::KeepAlive;
use crate::llama::{Token, schema_to_grammar};
use crate::options::Options;
use crate::template::Message;
use crate::thinking::Parts;

/// Most messages of a conversation; the body's size bounds their length.
const MAX_MESSAGES: usize = 10_000;

pub(super) async fn generate(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> NativeResult {
    let received = Instant::now();
    let value = body::read_json(body, shared.max_body).await?;
    let fields = Fields::root(&value)?;
    let call = read_call(&shared, &fields, &headers, received, Shape::Generate).await?;
    let prompt = fields.text("prompt")?.unwrap_or_default();
    refuse_images(&fields, &call)?;
    if fields.text("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        return Err(not_able(&call, "insert"));
    }
    let raw = fields.flag("raw")?.unwrap_or(false);
    let system = fields.text("system")?;
    let context = read_context(&fields)?;
    if raw && (system.is_some() || !context.is_empty() || fields.text("template")?.is_some()) {
        return Err(Failure::Invalid(
            "raw mode does not support template, system, or context".to_owned(),
        ));
    }
    if prompt.is_empty() {
        return load_or_unload(&shared, call, Shape::Generate).await;
    }
    refuse_generation(&call, "generate")?;
    let input = if raw {
        Input::Raw(prompt.to_owned())
    } else {
        let mut messages = vec![Message { role: "user".into(), content: prompt.to_owned() }];
        add_system(&mut messages, system.or(call.model.system.as_deref()));
        Input::Chat(messages)
    };
    let work = GenerateWork {
        input,
        context,
        grammar: read_format(&fields)?,
        think: read_think(&fields, &call)?,
    };
    answer(&shared, &fields, call, work, Shape::Generate, raw).await
}

pub(super) async fn chat(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> NativeResult {
    let received = Instant::now();
    let value = body::read_json(body, shared.max_body).await?;
    let fields = Fields::root(&value)?;
    let call = read_call(&shared, &fields, &headers, received, Shape::Chat).await?;
    if fields.list("tools")?.is_some_and(|tools| !tools.is_empty()) {
        return Err(not_able(&call, "tools"));
    }
    let mut messages = Vec::new();
    for message in fields.objects("messages")?.unwrap_or_default() {
        refuse_images(&message, &call)?;
        let role = message.text("role")?.unwrap_or_default().to_lowercase();
        let content = message.text("content")?.unwrap_or_default().to_owned();
        messages.push(Message { role: checked_role(role, &message)?, content });
    }
    if messages.len() > MAX_MESSAGES {
        return Err(Failure::Invalid(format!("more than {MAX_MESSAGES} messages")));
    }
    if messages.is_empty() {
        return load_or_unload(&shared, call, Shape::Chat).await;
    }
    refuse_generation(&call, "chat")?;
    add_system(&mut messages, call.model.system.as_deref());
    let work = GenerateWork {
        input: Input::Chat(messages),
        context: Vec::new(),
        grammar: read_format(&fields)?,
        think: read_think(&fields, &call)?,
    };
    answer(&shared, &fields, call, work, Shape::Chat, true).await
}

async fn read_call(
    shared: &Shared,
    fields: &Fields<'_>,
    headers: &HeaderMap,
    received: Instant,
    shape: Shape,
) -> Result<Call, Failure> {
    let name = fields.text("model")?;
    let model = shared.model(name).await.map_err(|failure| match (failure, shape) {
        // So Ollama answers here, and only here.
        (Failure::ModelMissing, Shape::Generate) => Failure::ModelNotFound(String::new()),
        (other, _) => other,
    })?;
    let model_name = reply_name(&model, name);
    let options = match fields.object("options")? {
        Some(options) => Options::from_json(&options)?,
        None => Options::default(),
    };
    Ok(Call {
        model,
        model_name,
        options,
        keep_alive: KeepAlive::from_json(fields.get("keep_alive"))?,
        tell: progress::wanted(headers),
        received,
    })
}

fn not_able(call: &Call, ability: &'static str) -> Failure {
    Failure::NotAble { model: call.model_name.clone(), ability }
}

fn refuse_generation(call: &Call, ability: &'static str) -> Result<(), Failure> {
    if call.model.is_embedding_only() { Err(not_able(call, ability)) } else { Ok(()) }
}

fn refuse_images(fields: &Fields<'_>, call: &Call) -> Result<(), Failure> {
    match fields.list("images")? {
        Some(images) if !images.is_empty() => Err(not_able(call, "images")),
        _ => Ok(()),
    }
}

fn checked_role(role: String, message: &Fields<'_>) -> Result<String, Failure> {
    match role.as_str() {
        "system" | "user" | "assistant" | "tool" => Ok(role),
        "developer" => Ok("system".to_owned()),
        _ => Err(Failure::Invalid(format!(
            "field \"{}\" must be system, user, assistant or tool",
            message.path_of("role")
        ))),
    }
}

/// Puts the model's system message first where the conversation has none.
pub(super) fn add_system(messages: &mut Vec<Message>, system: Option<&str>) {
    let Some(system) = system.filter(|system| !system.is_empty()) else { return };
    if !messages.iter().any(|message| message.role == "system") {
        messages.insert(0, Message { role: "system".into(), content: system.to_owned() });
    }
}

fn read_context(fields: &Fields<'_>) -> Result<Vec<Token>, Failure> {
    let Some(list) = fields.list("context")? else { return Ok(Vec::new()) };
    let mut tokens = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let token = value.as_i64().and_then(|token| Token::try_from(token).ok());
        let path = format!("context[{index}]");
        tokens.push(token.ok_or_else(|| wrong(&path, "a token's number", value))?);
    }
    Ok(tokens)
}

/// `"json"` or a schema, as a grammar.
fn read_format(fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    match fields.get("format") {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text == "json" => grammar_for(&json!({ "type": "object" })),
        Some(schema @ Value::Object(_)) => grammar_for(schema),
        Some(_) => {
            Err(Failure::Invalid("field \"format\" must be \"json\" or a JSON schema".to_owned()))
        }
    }
}

pub(super) fn grammar_for(schema: &Value) -> Result<Option<String>, Failure> {
    schema_to_grammar(&schema.to_string()).map(Some).ok_or_else(|| {
        Failure::Invalid("the JSON schema of the wanted format cannot be used".to_owned())
    })
}

fn read_think(fields: &Fields<'_>, call: &Call) -> Result<Option<bool>, Failure> {
    let think = match fields.get("think") {
        None => return Ok(None),
        Some(Value::Bool(think)) => *think,
        Some(Value::String(level)) if matches!(&**level, "low" | "medium" | "high" | "max") => true,
        Some(_) => {
            return Err(Failure::Invalid(
                "field \"think\" must be true, false, \"low\", \"medium\", \"high\" or \"max\""
                    .to_owned(),
            ));
        }
    };
    if think && !call.model.thinks() {
        return Err(not_able(call, "thinking"));
    }
    Ok(Some(think))
}

/// An empty prompt loads the model; with `keep_alive` 0 it unloads it. One object either way.
async fn load_or_unload(shared: &Shared, call: Call, shape: Shape) -> NativeResult {
    let unload = call.keep_alive == Some(KeepAlive::For(std::time::Duration::ZERO));
    let work = if unload { Work::Unload } else { Work::Load };
    let encoder = Encoder::new(&call, shape, false);
    let (_, outcome) = shared.submit(call, work)?.collect().await?;
    let mut object = encoder.object(&Parts::default(), true);
    object["done_reason"] = outcome.done_reason.as_str().into();
    Ok(json_reply(StatusCode::OK, &object))
}

async fn answer(
    shared: &Shared,
    fields: &Fields<'_>,
    mut call: Call,
    work: GenerateWork,
    shape: Shape,
    without_context: bool,
) -> NativeResult {
    let streamed = fields.flag("stream")?.unwrap_or(true);
    let encoder = Encoder::new(&call, shape, !without_context);
    call.tell.caller &= streamed;
    let progress = call.tell.caller;
    let running = shared.submit(call, Work::Generate(work))?;
    if progress {
        return Ok(stream::at_once(running, encoder));
    }
    if streamed {
        return stream::after_first(running, encoder).await;
    }
    let (parts, outcome) = running.collect().await?;
    let mut object = encoder.object(&parts, true);
    encoder.add_end(&mut object, &outcome);
    Ok(json_reply(StatusCode::OK, &object))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Generate,
    Chat,
}

/// Events as Ollama's lines.
struct Encoder {
    model: String,
    shape: Shape,
    progress: bool,
    with_context: bool,
}

impl Encoder {
    fn new(call: &Call, shape: Shape, with_context: bool) -> Self {
        Self { model: call.model_name.clone(), shape, progress: call.tell.caller, with_context }
    }

    fn object(&self, parts: &Parts, done: bool) -> Value {
        let mut object = json!({
            "model": self.model,
            "created_at": rfc3339(SystemTime::now()),
            "done": done,
        });
        match self.shape {
            Shape::Generate => {
                object["response"] = parts.content.as_str().into();
                if !parts.thinking.is_empty() {
                    object["thinking"] = parts.thinking.as_str().into();
                }
            }
            Shape::Chat => {
                object["message"] = json!({ "role": "assistant", "content": parts.content });
                if !parts.thinking.is_empty() {
                    object["message"]["thinking"] = parts.thinking.as_str().into();
                }
            }
        }
        object
    }

    fn add_end(&self, object: &mut Value, outcome: &Outcome) {
        object["done_reason"] = outcome.done_reason.as_str().into();
        if self.with_context {
            object["context"] = outcome.context.as_slice().into();
        }
        add_metrics(object, outcome);
        if self.progress {
            add_andon(object, outcome);
        }
    }
}

impl stream::Encode for Encoder {
    fn content_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn encode(&mut self, event: Event) -> Bytes {
        let line = match event {
            Event::Progress(progress) => json!({ "andon": progress::object(progress) }),
            Event::Text(parts) => self.object(&parts, false),
            Event::Done(outcome) => {
                let mut object = self.object(&Parts::default(), true);
                self.add_end(&mut object, &outcome);
                object
            }
            Event::Failed(failure) => json!({ "error": failure.to_string() }),
        };
        Bytes::from(format!("{line}\n"))
    }
}

/// Reads messages for other dialects.
pub(super) fn role_of(role: &str, message: &Fields<'_>) -> Result<String, Failure> {
    checked_role(role.to_lowercase(), message)
}

/// The reply a handler gives when its own dialect is another one.
pub(super) fn into_openai(result: NativeResult) -> Response {
    result.unwrap_or_else(|failure| super::reply::openai_error(&failure))
}
