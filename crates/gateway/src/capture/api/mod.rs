//! The APIs that are understood: which call is which, and what was asked and answered, in the
//! model's neutral words. One file an API; each reads a request, a whole answer, and a piece of a
//! streamed one.

mod anthropic;
mod ollama;
mod openai;
mod parameters;
mod responses;

use andon_model::{Attributes, Contents, LlmKind, Part, RawText, media};
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::{runtime::FinalStats, sse::Event};

/// Whose form errors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Ollama,
    Openai,
    Anthropic,
    Other,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    OllamaGenerate,
    OllamaChat,
    OllamaEmbed,
    OpenaiChat,
    OpenaiCompletions,
    OpenaiEmbeddings,
    OpenaiResponses,
    AnthropicMessages,
    /// llama-server's own `/completion`.
    LlamaCompletion,
    /// Anything else of a runtime that speaks this family's language.
    OpenaiOther,
    OllamaOther,
    Other,
}

/// The paths that nearly all calls have, so that they need not be copied.
const USUAL_PATHS: [&str; 9] = [
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/api/embeddings",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
];

/// A path as a constant, if it is one of the usual ones.
pub(super) fn known_path(path: &str) -> Option<&'static str> {
    USUAL_PATHS.into_iter().find(|usual| *usual == path)
}

impl Api {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let family = || match path {
            _ if path.contains("/v1/") || path.ends_with("/v1") => Self::OpenaiOther,
            _ if path.starts_with("/api/") => Self::OllamaOther,
            _ => Self::Other,
        };
        if method != Method::POST {
            return family();
        }
        match path {
            "/api/generate" => Self::OllamaGenerate,
            "/api/chat" => Self::OllamaChat,
            "/api/embed" | "/api/embeddings" => Self::OllamaEmbed,
            "/completion" | "/completions" => Self::LlamaCompletion,
            // Servers mount this API under several roots: /v1, /api/v0, /openai/v1, none.
            _ if path.ends_with("/chat/completions") => Self::OpenaiChat,
            _ if path.ends_with("/v1/completions") => Self::OpenaiCompletions,
            _ if path.ends_with("/embeddings") => Self::OpenaiEmbeddings,
            _ if path.ends_with("/v1/responses") => Self::OpenaiResponses,
            _ if path.ends_with("/v1/messages") => Self::AnthropicMessages,
            _ => family(),
        }
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::OllamaGenerate | Self::OllamaChat | Self::OllamaEmbed | Self::OllamaOther => {
                Family::Ollama
            }
            Self::OpenaiChat
            | Self::OpenaiCompletions
            | Self::OpenaiEmbeddings
            | Self::OpenaiResponses
            | Self::LlamaCompletion
            | Self::OpenaiOther => Family::Openai,
            Self::AnthropicMessages => Family::Anthropic,
            Self::Other => Family::Other,
        }
    }

    pub(super) fn is_model_call(self) -> bool {
        self.operation().is_some()
    }

    /// OpenTelemetry's `gen_ai.operation.name`.
    pub(super) fn operation(self) -> Option<&'static str> {
        match self {
            Self::OllamaGenerate | Self::OpenaiCompletions | Self::LlamaCompletion => {
                Some("text_completion")
            }
            Self::OllamaChat
            | Self::OpenaiChat
            | Self::OpenaiResponses
            | Self::AnthropicMessages => Some("chat"),
            Self::OllamaEmbed | Self::OpenaiEmbeddings => Some("embeddings"),
            Self::OpenaiOther | Self::OllamaOther | Self::Other => None,
        }
    }

    pub(super) fn llm_kind(self) -> Option<LlmKind> {
        Some(match self.operation()? {
            "embeddings" => LlmKind::Embedding,
            _ => LlmKind::Llm,
        })
    }

    /// Whether a request that does not say so is answered as a stream.
    pub(super) fn streams_by_default(self) -> bool {
        matches!(self, Self::OllamaGenerate | Self::OllamaChat)
    }

    /// Reads a request's body.
    pub(super) fn asked(self, body: &[u8]) -> Result<Asked, serde_json::Error> {
        let body: Value = serde_json::from_slice(body)?;
        let mut asked = Asked {
            model: body["model"].as_str().map(str::to_owned),
            stream: body["stream"].as_bool().or(self.streams_by_default().then_some(true)),
            ..Asked::default()
        };
        match self {
            Self::OllamaGenerate | Self::OllamaChat | Self::OllamaEmbed => {
                ollama::request(&body, &mut asked);
            }
            Self::OpenaiResponses => responses::request(&body, &mut asked),
            Self::AnthropicMessages => anthropic::request(&body, &mut asked),
            _ => openai::request(&body, &mut asked),
        }
        let texts = asked.contents.as_slice().iter().map(|content| content.text.expose());
        asked.has_media = texts.into_iter().any(media::is_named_in);
        Ok(asked)
    }

    /// Reads a whole answer, or one line of Ollama's streams, which look the same. True if it held
    /// a piece of the answer's text.
    pub(super) fn told(self, body: &[u8], told: &mut Told) -> Result<bool, serde_json::Error> {
        if self.family() == Family::Ollama {
            return ollama::line(body, told);
        }
        let body: Value = serde_json::from_slice(body)?;
        Ok(self.told_value(&body, told))
    }

    /// Reads one event of a stream. True if it held a piece of the answer's text.
    pub(super) fn told_event(
        self,
        event: &Event,
        told: &mut Told,
    ) -> Result<bool, serde_json::Error> {
        if event.data == "[DONE]" {
            told.complete = told.stats.finish_reason.is_some();
            return Ok(false);
        }
        let data: Value = serde_json::from_str(&event.data)?;
        Ok(match self {
            Self::OpenaiResponses => responses::event(&data, told),
            Self::AnthropicMessages => anthropic::event(&data, told),
            _ => self.told_value(&data, told),
        })
    }

    fn told_value(self, body: &Value, told: &mut Told) -> bool {
        if let Some(message) = error_message(body) {
            told.error = Some(message);
            return false;
        }
        match self {
            Self::OpenaiResponses => responses::whole(body, told),
            Self::AnthropicMessages => anthropic::whole(body, told),
            Self::LlamaCompletion => openai::completion(body, told),
            _ => openai::chunk(body, told),
        }
    }
}

/// What a request says.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) model: Option<String>,
    pub(super) stream: Option<bool>,
    pub(super) contents: Contents,
    pub(super) attributes: Attributes,
    pub(super) user: Option<String>,
    /// Images, sounds or files are in it, whose tokens no text tells.
    pub(super) has_media: bool,
}

/// What an answer says, gathered piece by piece.
#[derive(Default)]
pub(super) struct Told {
    pub(super) stats: FinalStats,
    /// One a choice; all but the first are rare.
    pub(super) outputs: Vec<Output>,
    /// In the runtime's own words.
    pub(super) error: Option<String>,
    /// The answer said that it is whole.
    pub(super) complete: bool,
    pub(super) response_id: Option<String>,
    /// Pieces that could not be read.
    pub(super) unreadable: u64,
}

#[derive(Default)]
pub(super) struct Output {
    pub(super) text: RawText,
    pub(super) thinking: RawText,
    pub(super) calls: Vec<ToolCall>,
}

/// A call to a tool that the model asks for. `arguments` as they came, JSON in most cases.
#[derive(Default)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// The place `index` of a list, which grows up to it.
fn place<T: Default>(all: &mut Vec<T>, index: usize) -> &mut T {
    if all.len() <= index {
        all.resize_with(index + 1, T::default);
    }
    &mut all[index]
}

impl Told {
    /// The output of a choice. Beyond a bound all go into the last: an index is a stranger's word.
    pub(super) fn output(&mut self, index: usize) -> &mut Output {
        place(&mut self.outputs, index.min(63))
    }
}

impl Output {
    pub(super) fn call(&mut self, index: usize) -> &mut ToolCall {
        place(&mut self.calls, index.min(255))
    }

    pub(super) fn into_contents(self, contents: &mut Contents) {
        contents.push(Part::Thinking, Some("assistant"), self.thinking);
        contents.push(Part::Output, Some("assistant"), self.text);
        // A block that was no call leaves an empty place: Anthropic numbers them all together.
        for call in self.calls.iter().filter(|call| !call.name.is_empty()) {
            contents.push(Part::Tool, Some("call"), RawText::new(call.in_words()));
        }
    }
}

impl ToolCall {
    /// `name(arguments)`, as people write calls.
    pub(super) fn in_words(&self) -> String {
        format!("{}({})", self.name, self.arguments)
    }
}

/// The message of an error in any of the forms that runtimes send.
pub(super) fn error_message(body: &Value) -> Option<String> {
    let error = body.get("error").filter(|error| !error.is_null())?;
    let message = error.as_str().or_else(|| error["message"].as_str());
    Some(message.map_or_else(|| error.to_string(), str::to_owned))
}

/// The model that a request names, without reading the rest of it.
pub(super) fn model_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        model: String,
    }
    serde_json::from_slice::<Named>(body).ok().map(|named| named.model)
}

/// Names of the tools offered, and each definition as a content: a changed one loses the cache.
fn tool_definitions(tools: &Value, asked: &mut Asked) {
    let Some(tools) = tools.as_array().filter(|tools| !tools.is_empty()) else { return };
    for tool in tools {
        asked.contents.push(Part::Tool, Some("definition"), RawText::new(tool.to_string()));
    }
    asked.attributes.set("andon.request.tools", tools.len() as u64);
}

/// The part that a message of this role belongs to.
fn part_of(role: &str) -> Part {
    match role {
        "system" | "developer" => Part::System,
        "tool" | "function" => Part::Tool,
        _ => Part::Input,
    }
}
