//! Andon's own failures to pass a call on. They carry a header of their own, so that nobody takes
//! them for the runtime's, and the body that clients of the called API expect of an error.

use std::{borrow::Cow, io::Write};

use andon_model::TraceId;
use http::StatusCode;
use serde_json::json;

use super::{
    api::Family,
    wire::{Asker, Denied, Way, finish, status_line},
};

/// Says that Andon answers, not the runtime, and why.
const REFUSED_BY: &str = "x-andon-error";

pub(super) struct Refusal {
    pub(super) family: Family,
    pub(super) asker: Asker,
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: Cow<'static, str>,
    pub(super) trace_id: Option<TraceId>,
    /// A wrong key was tried.
    pub(super) is_guess: bool,
}

impl Refusal {
    pub(super) fn at_the_door(family: Family, asker: Asker, denied: Denied) -> Self {
        Self {
            family,
            asker,
            status: denied.status,
            code: denied.code,
            message: denied.message.into(),
            trace_id: None,
            is_guess: denied.is_guess,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (code, message) = (self.code, &self.message);
        let body = match self.family {
            Family::Openai => json!({"error": {
                "message": message, "type": code, "param": null, "code": code,
            }}),
            Family::Anthropic => {
                json!({"type": "error", "error": {"type": code, "message": message}})
            }
            Family::Ollama | Family::Other => json!({"error": message}),
        };
        let body = body.to_string();
        let mut out = Vec::new();
        status_line(
            &mut out,
            self.status.as_u16(),
            self.status.canonical_reason().unwrap_or_default(),
        );
        // Writing to a vector does not fail.
        let _ = write!(
            out,
            "content-type: application/json\r\n{REFUSED_BY}: {code}\r\ncontent-length: {}\r\n",
            body.len()
        );
        let Asker { is_http10, stays, .. } = self.asker;
        finish(&mut out, Way { trace_id: self.trace_id, is_http10, stays });
        out.extend_from_slice(b"\r\n");
        if !self.asker.asks_head {
            out.extend_from_slice(body.as_bytes());
        }
        out
    }
}
