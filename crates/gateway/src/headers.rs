//! Headers that Andon reads and writes: trace, request, session and user ids, `Server-Timing`.

use std::ops::Deref;

use andon_model::{RequestId, SpanId, TraceContext, TraceId};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{TimingsMs, sse};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
pub(crate) const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
/// The names that apps have for a conversation: Andon's own, Open WebUI's (with
/// `ENABLE_FORWARD_USER_INFO_HEADERS`), Codex's.
const SESSION_IDS: [HeaderName; 4] = [
    SESSION_ID,
    HeaderName::from_static("x-openwebui-chat-id"),
    HeaderName::from_static("session_id"),
    HeaderName::from_static("conversation_id"),
];
const USER_IDS: [HeaderName; 2] = [USER_ID, HeaderName::from_static("x-openwebui-user-id")];
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Longest session or user id that is kept.
const MAX_ID_CHARS: usize = 200;

/// In which trace a call is, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) trace_id: TraceId,
    pub(crate) parent_id: Option<SpanId>,
    pub(crate) session_id: Option<String>,
    pub(crate) user_id: Option<String>,
}

impl Context {
    /// `text` gives the value of a header that is text.
    pub(crate) fn from_texts<'h>(text: impl Fn(&HeaderName) -> Option<&'h str>) -> Self {
        let context = TraceContext::from_headers(|name| text(&HeaderName::from_static(name)));
        let baggage = text(&BAGGAGE);
        let carried = |key| baggage.and_then(|baggage| andon_model::baggage(baggage, key));
        Self {
            trace_id: context.map_or_else(TraceId::random, |context| context.trace_id),
            parent_id: context.map(|context| context.parent_id),
            session_id: SESSION_IDS
                .iter()
                .find_map(&text)
                .and_then(bounded_id)
                .or_else(|| bounded_id(&carried("session.id")?)),
            user_id: USER_IDS
                .iter()
                .find_map(&text)
                .and_then(bounded_id)
                .or_else(|| bounded_id(&carried("user.id")?)),
        }
    }
}

/// Who called, and how the answer should come.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    context: Context,
    pub(crate) request_id: RequestId,
    pub(crate) wants_stream: bool,
}

impl Caller {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            context: Context::from_texts(text),
            request_id: RequestId::from_caller(text(&REQUEST_ID)),
            wants_stream: text(&header::ACCEPT)
                .is_some_and(|accept| accept.contains(sse::CONTENT_TYPE)),
        }
    }
}

impl Caller {
    /// The same one, a span further down.
    pub(crate) fn below(&self, span: Option<SpanId>) -> Self {
        let mut below = self.clone();
        below.context.parent_id = span.or(self.parent_id);
        below
    }

    /// What the body says of conversation and user goes before what the headers say.
    pub(crate) fn prefer(&mut self, session_id: Option<&String>, user_id: Option<&String>) {
        if session_id.is_some() {
            self.context.session_id = session_id.cloned();
        }
        if user_id.is_some() {
            self.context.user_id = user_id.cloned();
        }
    }
}

impl Deref for Caller {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

/// A session or user id as given, unless it is empty or too long.
pub(crate) fn bounded_id(id: &str) -> Option<String> {
    let id = id.trim();
    (!id.is_empty() && id.chars().count() <= MAX_ID_CHARS).then(|| id.to_owned())
}

/// Puts the ids and what is known of the time on an answer.
pub(crate) fn write_ids(
    headers: &mut HeaderMap,
    trace_id: TraceId,
    request_id: &RequestId,
    timings: &TimingsMs,
) {
    for (name, value) in [
        (TRACE_ID, trace_id.to_string()),
        (REQUEST_ID, request_id.to_string()),
        (SERVER_TIMING, timings.server_timing()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
