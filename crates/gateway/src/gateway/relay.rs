//! From the gateway to the proxy and back: whole answers and streams, Andon's proxy and foreign
//! ones that know neither streams nor traces.

use std::{convert::Infallible, time::Duration, time::Instant};

use andon_model::TraceContext;
use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use super::{Gateway, record::GatewayRecord};
use crate::{
    ChatAnswer, ChatStart, TextPiece, TimingsMs,
    error::{ChatError, ErrorCode},
    failure,
    headers::{self, Caller},
    response,
    runtime::{Exchange, SendError},
    sse::{self, Event, Events, Lines},
};

/// What the original's gateway says when its proxy fails, whatever the proxy is written in.
const PROXY_FAILED: &str = "Error communicating with Python proxy";

/// Longest line of a streamed answer.
const MAX_LINE: usize = 16 << 20;

pub(super) struct Relay {
    gateway: Gateway,
    caller: Caller,
    record: GatewayRecord,
    deadline: tokio::time::Instant,
}

impl Relay {
    pub(super) fn new(
        gateway: Gateway,
        caller: Caller,
        record: GatewayRecord,
        began: Instant,
    ) -> Self {
        let deadline = (began + gateway.0.config.timeout + Gateway::GRACE).into();
        Self { gateway, caller, record, deadline }
    }

    pub(super) async fn run(
        mut self,
        authority: &str,
        key: Option<&str>,
        path: &str,
        body: Bytes,
    ) -> Response {
        let inner = &self.gateway.0;
        let headers = self.headers(key);
        let sent = Exchange::send(&inner.client, authority, Method::POST, path, headers, body);
        match tokio::time::timeout_at(self.deadline, sent).await {
            Err(_) => self.fail(&timed_out(inner.config.timeout), None),
            Ok(Err(error)) => self.fail(&unreachable(&error), Some(&error.to_string())),
            Ok(Ok(exchange)) if exchange.is_content_type(sse::CONTENT_TYPE) => {
                self.relay_stream(exchange)
            }
            Ok(Ok(exchange)) => self.relay_whole(exchange).await,
        }
    }

    fn headers(&self, key: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if self.caller.wants_stream { sse::CONTENT_TYPE } else { "application/json" };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let context = self.record.span().map(|span| TraceContext {
            trace_id: span.trace_id,
            parent_id: span.span_id,
            sampled: true,
        });
        let fields = [
            (header::AUTHORIZATION, key.map(|key| format!("Bearer {key}"))),
            (headers::TRACEPARENT, context.map(|context| context.to_string())),
            (headers::REQUEST_ID, Some(self.caller.request_id.to_string())),
            (headers::SESSION_ID, self.caller.session_id.clone()),
            (headers::USER_ID, self.caller.user_id.clone()),
        ];
        for (name, value) in fields {
            // Bytes: a password or a user's id need not be ASCII.
            if let Some(Ok(value)) = value.map(|value| HeaderValue::from_bytes(value.as_bytes())) {
                headers.insert(name, value);
            }
        }
        // For a proxy whose instrumentation knows Datadog's headers alone.
        for (name, value) in context.iter().flat_map(TraceContext::datadog_headers) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        headers
    }

    fn fail(&mut self, error: &ChatError, inner: Option<&str>) -> Response {
        let timings = self.record.failed(error, inner);
        failure::response(&self.caller, error, &timings)
    }

    async fn relay_whole(mut self, exchange: Exchange) -> Response {
        let status = exchange.status;
        let recorded_behind = exchange.headers.contains_key(headers::TRACE_ID);
        let body = Limited::new(exchange.body, self.gateway.0.config.max_answer_bytes).collect();
        let body = match tokio::time::timeout_at(self.deadline, body).await {
            Err(_) => return self.fail(&timed_out(self.gateway.0.config.timeout), None),
            Ok(Err(error)) => {
                let mut failed = ChatError::new(ErrorCode::ProxyFailed, PROXY_FAILED);
                failed.detail = Some(json!(format!("the proxy's answer broke off: {error}")));
                return self.fail(&failed, Some("the proxy's answer broke off"));
            }
            Ok(Ok(body)) => body.to_bytes(),
        };
        let value = serde_json::from_slice::<Value>(&body);
        match value {
            Ok(Value::Object(fields)) if status.is_success() => {
                self.answered(fields, recorded_behind)
            }
            Ok(value) if !status.is_success() => {
                let (error, inner) = proxy_error(value);
                self.fail(&error, inner.as_deref())
            }
            _ => {
                let mut error = ChatError::new(ErrorCode::ProxyFailed, PROXY_FAILED);
                let text: String = String::from_utf8_lossy(&body).chars().take(1_000).collect();
                error.detail = Some(json!(text));
                let inner = format!("status {}, and not JSON", status.as_u16());
                self.fail(&error, Some(&inner))
            }
        }
    }

    /// A whole answer: the proxy's own fields stay as they are, Andon's come beside them.
    fn answered(mut self, mut fields: Map<String, Value>, recorded_behind: bool) -> Response {
        let answer = answer_of(&fields, &self.caller);
        let timings = self.record.answered(&answer, recorded_behind);
        complete(&mut fields, &answer, &timings);
        if self.caller.wants_stream {
            let start = ChatStart {
                trace_id: self.caller.trace_id,
                request_id: self.caller.request_id.clone(),
                span_id: answer.span_id,
                model_requested: answer.model_requested.clone(),
                timeout_ms: Some(self.gateway.0.config.timeout.as_millis() as u64),
            };
            let mut events = BytesMut::from(&sse::event("start", &start)[..]);
            events.extend_from_slice(&sse::event("token", &TextPiece { text: answer.reply }));
            events.extend_from_slice(&sse::event("done", &fields));
            let mut response = response::streamed(&self.caller, Body::from(events.freeze()));
            // All of it is there already, so the head can tell the times.
            let caller = &self.caller;
            let headers = response.headers_mut();
            headers::write_ids(headers, caller.trace_id, &caller.request_id, &timings);
            response
        } else {
            response::whole(&self.caller, &fields, &timings)
        }
    }

    fn relay_stream(self, exchange: Exchange) -> Response {
        let caller = self.caller.clone();
        let relayed = Stream {
            body: exchange.body,
            lines: Lines::new(MAX_LINE),
            events: Events::default(),
            raw: BytesMut::new(),
            ended: false,
            relay: self,
        };
        let stream = stream::unfold(relayed, |mut relayed| async move {
            let bytes = relayed.next().await?;
            Some((Ok::<_, Infallible>(bytes), relayed))
        });
        response::streamed(&caller, Body::from_stream(stream))
    }
}

/// A streamed answer on its way through. Events pass as they came, but for the last one.
struct Stream {
    body: Incoming,
    lines: Lines,
    events: Events,
    /// The lines of the event that is being read.
    raw: BytesMut,
    ended: bool,
    relay: Relay,
}

impl Stream {
    /// The events that came together; `None` after the last one.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let frame = match tokio::time::timeout_at(self.relay.deadline, self.body.frame()).await
            {
                Err(_) => {
                    let limit = self.relay.gateway.0.config.timeout;
                    return Some(self.end_with(&timed_out(limit), None));
                }
                Ok(None) => return Some(self.broke_off("it ended without a last event")),
                Ok(Some(Err(error))) => return Some(self.broke_off(&error.to_string())),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            self.lines.push(&data);
            let passed = self.take_events();
            if !passed.is_empty() {
                return Some(passed);
            }
        }
        None
    }

    fn take_events(&mut self) -> Bytes {
        let mut passed = BytesMut::new();
        while !self.ended {
            let line = match self.lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    passed.extend_from_slice(&self.broke_off(&error.to_string()));
                    break;
                }
            };
            self.raw.extend_from_slice(&line);
            self.raw.extend_from_slice(b"\n");
            let Some(event) = self.events.line(&line) else { continue };
            let raw = self.raw.split();
            match event.name.as_str() {
                "done" | "error" => passed.extend_from_slice(&self.last(&event)),
                _ => passed.extend_from_slice(&raw),
            }
        }
        passed.freeze()
    }

    fn last(&mut self, event: &Event) -> Bytes {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(&event.data) else {
            return self.broke_off("its last event is not JSON");
        };
        if event.name == "error" {
            let (error, inner) = proxy_error(Value::Object(fields));
            return self.end_with(&error, inner.as_deref());
        }
        self.ended = true;
        let answer = answer_of(&fields, &self.relay.caller);
        let timings = self.relay.record.answered(&answer, true);
        complete(&mut fields, &answer, &timings);
        sse::event("done", &fields)
    }

    fn broke_off(&mut self, reason: &str) -> Bytes {
        let message = format!("the proxy's answer broke off: {reason}");
        self.end_with(&ChatError::new(ErrorCode::StreamBroken, message), None)
    }

    fn end_with(&mut self, error: &ChatError, inner: Option<&str>) -> Bytes {
        self.ended = true;
        let timings = self.relay.record.failed(error, inner);
        sse::event("error", &failure::body(&self.relay.caller, error, &timings))
    }
}

/// The answer's fields as far as the proxy gave them; a foreign one gives the original's four.
fn answer_of(fields: &Map<String, Value>, caller: &Caller) -> ChatAnswer {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let count = |name: &str| fields.get(name).and_then(Value::as_u64);
    let timings = fields.get("timings").cloned().unwrap_or_default();
    ChatAnswer {
        reply: text("reply").unwrap_or_default(),
        thinking: None,
        eval_count: count("eval_count"),
        prompt_eval_count: count("prompt_eval_count"),
        prompt_cached_count: count("prompt_cached_count"),
        duration_ms: count("duration_ms"),
        request_id: caller.request_id.clone(),
        trace_id: caller.trace_id,
        span_id: text("span_id").and_then(|id| id.parse().ok()),
        model: text("model"),
        model_requested: text("model_requested"),
        finish_reason: text("finish_reason"),
        cold_start: fields.get("cold_start").and_then(Value::as_bool).unwrap_or(false),
        note: text("note"),
        timings: serde_json::from_value(timings).unwrap_or_default(),
    }
}

/// Puts beside the proxy's own fields what an answer of Andon has and this one lacks.
fn complete(fields: &mut Map<String, Value>, answer: &ChatAnswer, timings: &TimingsMs) {
    if let Ok(Value::Object(all)) = serde_json::to_value(answer) {
        for (name, value) in all {
            fields.entry(name).or_insert(value);
        }
    }
    fields.insert("timings".to_owned(), json!(timings));
}

/// The proxy's failure as the gateway says it. What the caller can mend, or wait for, keeps its own
/// words and status; the rest is the original's 500. Also gives the proxy's own words.
pub(super) fn proxy_error(body: Value) -> (ChatError, Option<String>) {
    let inner = body["error"].as_str().map(str::to_owned);
    let code = body["code"].as_str().and_then(ErrorCode::from_name);
    let code = code.unwrap_or(ErrorCode::ProxyFailed);
    let own_words = code.is_bad_request() || code.status() != StatusCode::INTERNAL_SERVER_ERROR;
    let message = match &inner {
        Some(inner) if own_words => inner.clone(),
        _ => PROXY_FAILED.to_owned(),
    };
    let mut error = ChatError::new(code, message);
    error.phase = serde_json::from_value(body["phase"].clone()).ok();
    error.retry_after_s = body["retry_after_s"].as_u64();
    error.detail = Some(body);
    (error, inner)
}

fn unreachable(error: &SendError) -> ChatError {
    let mut failed = ChatError::new(ErrorCode::ProxyFailed, PROXY_FAILED);
    failed.detail = Some(json!(error.to_string()));
    failed
}

fn timed_out(limit: Duration) -> ChatError {
    let message = format!("timed out after {} s while waiting for the proxy", limit.as_secs_f64());
    ChatError::new(ErrorCode::Timeout, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_proxys_answer_gets_what_it_lacks_and_keeps_what_it_has() {
        let Value::Object(mut fields) =
            json!({"reply": "hi", "eval_count": 2, "duration_ms": 12.5, "own": "kept"})
        else {
            panic!("not an object");
        };
        let caller = Caller::from_headers(&HeaderMap::new());
        let answer = answer_of(&fields, &caller);
        complete(&mut fields, &answer, &TimingsMs::default());
        for (name, value) in [
            ("duration_ms", json!(12.5)),
            ("own", json!("kept")),
            ("model", Value::Null),
            ("cold_start", json!(false)),
            ("trace_id", json!(caller.trace_id)),
        ] {
            assert_eq!(fields.get(name), Some(&value), "{name}");
        }
    }
}
