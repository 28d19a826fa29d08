//! The body of a chat call: read within its limit, decoded, every field checked by hand so that an
//! error names the field and never quotes what was in it.

use std::time::Duration;

use andon_model::{Policy, RawText};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    error::{ChatError, ErrorCode},
    headers::bounded_id,
};

/// Most earlier messages that a call may carry.
const MAX_TURNS: usize = 1_000;
const MAX_MODEL_CHARS: usize = 256;
const MAX_TIMEOUT_MS: f64 = 86_400_000.0;

/// A question with everything that came along.
#[derive(Clone, Default, utoipa::ToSchema)]
pub struct ChatRequest {
    /// The proxy takes it as `prompt` too.
    #[schema(value_type = String)]
    pub(crate) message: RawText,
    /// Earlier turns, oldest first, without the new message.
    #[schema(rename = "messages", value_type = Option<Vec<Turn>>)]
    pub(crate) history: Vec<Turn>,
    #[schema(value_type = Option<String>)]
    pub(crate) system: Option<RawText>,
    /// Instead of the route's.
    pub(crate) model: Option<String>,
    pub(crate) temperature: Option<f64>,
    pub(crate) num_predict: Option<u32>,
    pub(crate) think: Option<bool>,
    pub(crate) session_id: Option<String>,
    pub(crate) user_id: Option<String>,
    /// Can only make the server keep less than it does by itself.
    #[schema(rename = "privacy")]
    pub(crate) policy: Option<Policy>,
    /// A shorter limit than the configured one, from this caller.
    #[schema(rename = "timeout_ms", value_type = Option<u64>, minimum = 1)]
    pub(crate) timeout: Option<Duration>,
}

/// An earlier message of the conversation.
#[derive(Clone, utoipa::ToSchema)]
pub struct Turn {
    pub(crate) role: Role,
    #[schema(value_type = String)]
    pub(crate) content: RawText,
}

/// Who said it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Assistant,
    System,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
        }
    }
}

/// Reads a whole body of at most `max_bytes`, within `timeout`.
pub(crate) async fn read_body(
    body: axum::body::Body,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Bytes, ChatError> {
    let collected = tokio::time::timeout(timeout, Limited::new(body, max_bytes).collect()).await;
    match collected {
        Err(_) => Err(ChatError::new(
            ErrorCode::BodyTimeout,
            format!("the request body did not arrive within {} s", timeout.as_secs()),
        )),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ChatError::new(
            ErrorCode::TooLarge,
            format!("the request body is larger than {max_bytes} bytes"),
        )),
        Ok(Err(_)) => {
            Err(ChatError::new(ErrorCode::ClientGone, "the request body broke off before its end"))
        }
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

impl ChatRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ChatError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            ChatError::new(
                ErrorCode::BadUtf8,
                format!("the body is not valid UTF-8 at byte {}", error.valid_up_to()),
            )
        })?;
        if text.trim().is_empty() {
            return Err(ChatError::new(ErrorCode::NoMessage, "No message provided"));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| {
            ChatError::new(
                ErrorCode::BadJson,
                format!("the body is not JSON: line {}, column {}", error.line(), error.column()),
            )
        })?;
        let Value::Object(fields) = value else {
            return Err(bad("the body must be a JSON object", &value));
        };
        Self::from_fields(&Fields(fields))
    }

    fn from_fields(fields: &Fields) -> Result<Self, ChatError> {
        let message = match fields.text("message")?.filter(|text| !text.is_empty()) {
            Some(message) => Some(message),
            None => fields.text("prompt")?,
        };
        let message = message.unwrap_or_default();
        if message.trim().is_empty() {
            return Err(ChatError::new(ErrorCode::NoMessage, "No message provided"));
        }
        Ok(Self {
            message: RawText::new(message),
            history: fields.turns()?,
            system: fields.text("system")?.filter(|text| !text.trim().is_empty()).map(RawText::new),
            model: fields.text("model")?.map(model_name).transpose()?,
            temperature: fields.number("temperature", 0.0, 10.0)?,
            num_predict: fields.number("num_predict", 1.0, 1_000_000.0)?.map(|n| n as u32),
            think: fields.boolean("think")?,
            timeout: fields
                .number("timeout_ms", 1.0, MAX_TIMEOUT_MS)?
                .map(|ms| Duration::from_millis(ms as u64)),
            session_id: fields.text("session_id")?.and_then(bounded_id),
            user_id: fields.text("user_id")?.and_then(bounded_id),
            policy: fields
                .text("privacy")?
                .map(|text| text.parse().map_err(|_| field("privacy", "full, mask:N or none")))
                .transpose()?,
        })
    }
}

fn model_name(name: &str) -> Result<String, ChatError> {
    let ok = !name.is_empty()
        && name.chars().count() <= MAX_MODEL_CHARS
        && !name.chars().any(char::is_control);
    ok.then(|| name.to_owned()).ok_or_else(|| {
        field("model", &format!("a name of 1 to {MAX_MODEL_CHARS} printable characters"))
    })
}

struct Fields(Map<String, Value>);

impl Fields {
    fn present(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<&str>, ChatError> {
        match self.present(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(bad(&format!("{name} must be a string"), other)),
        }
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>, ChatError> {
        match self.present(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(bad(&format!("{name} must be true or false"), other)),
        }
    }

    fn number(&self, name: &str, least: f64, most: f64) -> Result<Option<f64>, ChatError> {
        match self.present(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_f64() {
                Some(value) if (least..=most).contains(&value) => Ok(Some(value)),
                _ => Err(field(name, &format!("a number from {least} to {most}"))),
            },
            Some(other) => Err(bad(&format!("{name} must be a number"), other)),
        }
    }

    fn turns(&self) -> Result<Vec<Turn>, ChatError> {
        let turns = match self.present("messages") {
            None => return Ok(Vec::new()),
            Some(Value::Array(turns)) => turns,
            Some(other) => return Err(bad("messages must be an array", other)),
        };
        if turns.len() > MAX_TURNS {
            return Err(field("messages", &format!("at most {MAX_TURNS} entries")));
        }
        turns.iter().enumerate().map(|(at, turn)| read_turn(at, turn)).collect()
    }
}

fn read_turn(at: usize, turn: &Value) -> Result<Turn, ChatError> {
    let role = Role::deserialize(turn.get("role").unwrap_or(&Value::Null))
        .map_err(|_| field(&format!("messages[{at}].role"), "user, assistant or system"))?;
    match turn.get("content") {
        Some(Value::String(content)) => Ok(Turn { role, content: RawText::new(content.clone()) }),
        _ => Err(field(&format!("messages[{at}].content"), "a string")),
    }
}

fn field(name: &str, wanted: &str) -> ChatError {
    ChatError::new(ErrorCode::BadField, format!("{name} must be {wanted}"))
}

fn bad(rule: &str, got: &Value) -> ChatError {
    let kind = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    ChatError::new(ErrorCode::BadField, format!("{rule}, got {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &[u8]) -> (ErrorCode, String) {
        match ChatRequest::parse(body) {
            Ok(_) => panic!("accepted {body:?}"),
            Err(error) => (error.code, error.message),
        }
    }

    #[test]
    fn the_originals_bodies_are_read() {
        let request = ChatRequest::parse(r#"{"message":"こんにちは"}"#.as_bytes()).unwrap();
        assert_eq!(request.message.expose(), "こんにちは");
        let request = ChatRequest::parse(br#"{"message":"","prompt":"hi"}"#).unwrap();
        assert_eq!(request.message.expose(), "hi");
    }

    #[test]
    fn every_wrong_body_is_told_apart_without_quoting_it() {
        assert_eq!(error(b"{}").0, ErrorCode::NoMessage);
        assert_eq!(error(b"").0, ErrorCode::NoMessage);
        assert_eq!(error(br#"{"message":"  "}"#).0, ErrorCode::NoMessage);
        assert_eq!(error(b"{\"message\": \"\xff\"}").0, ErrorCode::BadUtf8);
        assert_eq!(error(br#"{"message": "secret"#).0, ErrorCode::BadJson);
        assert!(!error(br#"{"message": secret}"#).1.contains("secret"));
        let (code, message) = error(br#"{"message": 7}"#);
        assert_eq!(
            (code, message.as_str()),
            (ErrorCode::BadField, "message must be a string, got a number")
        );
        assert_eq!(error(b"[1]").0, ErrorCode::BadField);
        assert_eq!(error(br#"{"message":"a","temperature":99}"#).0, ErrorCode::BadField);
        assert_eq!(error(br#"{"message":"a","messages":[{"role":"x"}]}"#).0, ErrorCode::BadField);
    }

    #[test]
    fn every_field_of_the_schema_is_read() {
        use utoipa::PartialSchema;
        let schema = serde_json::to_value(ChatRequest::schema()).unwrap();
        for name in schema["properties"].as_object().unwrap().keys() {
            let body = serde_json::json!({ "message": "a", name.as_str(): { "of": "no type" } });
            let (code, message) = error(body.to_string().as_bytes());
            assert_eq!(code, ErrorCode::BadField, "{name}");
            assert!(message.starts_with(name.as_str()), "{name}: {message}");
        }
    }
}
