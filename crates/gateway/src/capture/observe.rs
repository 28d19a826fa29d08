//! From everything that was seen of a call to its span.

use andon_model::{
    AttributeValue, Cause, Contents, LlmKind, Observation, RawText, Source, Span, SpanKind, Status,
    Timings,
};
use http::StatusCode;

use super::{
    Past, Shared,
    api::{Api, Asked, Told, error_message},
    cut::was_cut,
    exchange::{Call, End, Seen},
    reading::{self, Framing},
    rhythm::Rhythm,
    tape::{Cut, Tape},
    threads::{Asker, Place, ToPlace},
};
use crate::{
    error::ErrorCode,
    proxy::{RESIDUAL_QUEUE, nanoseconds},
    runtime::{FinalStats, RuntimeKind, code_of, find},
};

/// Longest text of an error that is kept.
const MAX_ERROR_TEXT: usize = 4 << 10;

/// What programs ask again and again to see whether a runtime is there. Going well, it says nothing.
const POLLED: [&str; 11] = [
    "/",
    "/api/version",
    "/api/tags",
    "/api/ps",
    "/v1/models",
    "/models",
    "/health",
    "/v1/health",
    "/props",
    "/slots",
    "/metrics",
];

pub(super) fn is_worth_a_span(seen: &Seen) -> bool {
    let went_well = seen.status.is_some_and(|status| status.is_success());
    let is_read = !matches!(seen.call.method.as_str(), "POST" | "PUT" | "DELETE" | "PATCH");
    !(went_well && is_read && POLLED.contains(&&*seen.call.path))
}

/// How a call came out.
struct Outcome {
    status: Status,
    error_type: Option<&'static str>,
    /// Of a failure, and of a prompt that was cut. Why a call was slow is said when it is kept.
    cause: Cause,
    message: Option<String>,
}

pub(super) fn observe(seen: Seen) -> Observation {
    let call = &*seen.call;
    let shared = &call.shared;
    let mut span = frame(&seen);
    let request = call.request.get();
    for tape in request.into_iter().chain(&seen.answer) {
        note_cut(tape, &mut span, shared);
    }
    if !call.api.is_model_call() {
        let outcome = outcome(&seen, &Told::default());
        return finish(span, outcome, Contents::default());
    }
    let encoding = call.encoding.as_deref();
    let asked = request.and_then(|tape| reading::request(call.api, tape, encoding));
    if asked.is_none() && request.is_some_and(|tape| tape.total() > 0) {
        span.attributes.set("andon.capture.opaque", "request");
    }
    let mut asked = asked.unwrap_or_default();
    span.attributes.append(std::mem::take(&mut asked.attributes));
    let framing = seen.framing;
    let (told, rhythm) = match &seen.answer {
        Some(tape) => reading::answer(call.api, tape, framing, seen.answer_encoding.as_deref()),
        None => Default::default(),
    };
    if told.unreadable > 0 {
        span.attributes.set("andon.capture.unreadable", told.unreadable);
    }
    let mut outcome = outcome(&seen, &told);
    span.stream = Some(framing != Framing::Whole || asked.stream == Some(true));
    span.timings = timings(&told, &rhythm, framing, &mut span);
    name(&mut span, &seen, &asked, &told.stats);
    account(&mut span, &told);
    let mut past = shared.past();
    if let Some(place) = place(&seen, &asked, &span, &mut past) {
        let answered = outcome.status == Status::Ok;
        let cut = answered && was_cut(&seen, &asked, &place, &mut span, &mut past);
        if cut {
            outcome.cause = Cause::PromptCut;
        }
        if answered {
            past.paces.learn(&span, place.shared_bytes as f64 / place.bytes.max(1) as f64);
        }
        put_in_place(&mut span, call, &place);
    }
    drop(past);
    let contents = words(&mut span, asked, told);
    finish(span, outcome, contents)
}

/// What is known without reading a body.
fn frame(seen: &Seen) -> Span {
    let call = &*seen.call;
    let mut span =
        Span::new(call.caller.trace_id, call.service(), format!("{} {}", call.method, call.path));
    span.span_id = call.span_id;
    span.parent_id = call.caller.parent_id;
    span.start_ns = call.start_ns;
    span.duration_ns = seen.duration_ns;
    span.source = Source::Capture;
    span.kind = SpanKind::Client;
    span.host.clone_from(&call.shared.common.config.host);
    span.resource = Some(span.name.clone());
    span.http_method = Some(call.method.to_string());
    span.http_status = match &seen.end {
        End::Refused(code, _) if code.is_bad_request() => Some(code.status().as_u16()),
        End::Refused(..) => Some(StatusCode::BAD_GATEWAY.as_u16()),
        _ => seen.status.map(|status| status.as_u16()),
    };
    span.endpoint = Some(call.path.to_string());
    span.session_id.clone_from(&call.caller.session_id);
    span.user_id.clone_from(&call.caller.user_id);
    span.request_id.clone_from(&call.request_id);
    span.ml_app = call.app();
    let attributes = &mut span.attributes;
    let mut note = |name: &'static str, value: AttributeValue| attributes.set(name, value);
    if let Some(agent) = &call.agent {
        note("user_agent.original", (&**agent).into());
    }
    if let Some(retries) = call.retries.filter(|retries| *retries > 0) {
        note("http.request.resend_count", retries.into());
    }
    if let Some(runtime) = call.runtime.get() {
        note("server.address", runtime.authority.as_str().into());
        if let Some(info) = &runtime.info {
            if let Some(version) = &info.version {
                note("andon.runtime.version", version.as_str().into());
            }
            span.pid = info.pid;
        }
    }
    span
}

fn note_cut(tape: &Tape, span: &mut Span, shared: &Shared) {
    let Some(cut) = tape.cut() else { return };
    shared.common.recorder.count_texts_cut();
    let why = match cut {
        Cut::TooLong => "too long",
        Cut::NoMemory => "no memory",
    };
    span.attributes.set("andon.capture.cut", why);
}

fn name(span: &mut Span, seen: &Seen, asked: &Asked, stats: &FinalStats) {
    let call = &*seen.call;
    span.llm_kind = call.api.llm_kind();
    span.model_requested.clone_from(&asked.model);
    span.model = stats.model.clone().or_else(|| asked.model.clone());
    if let Some(operation) = call.api.operation() {
        let verb = if call.api == Api::OllamaGenerate { "generate" } else { operation };
        let model = span.model_requested.as_deref().or(span.model.as_deref());
        span.name = model.map_or_else(|| verb.to_owned(), |model| format!("{verb} {model}"));
        span.attributes.set("gen_ai.operation.name", operation);
    }
    let info = call.runtime_info();
    span.provider = Some(match info {
        Some(info) if info.kind == RuntimeKind::Builtin => "andon".to_owned(),
        Some(info) => info.product.to_owned(),
        None => span.service.clone(),
    });
    // llama-server answers with what it holds, whatever name is asked for.
    let only = call.models.first().filter(|_| info.is_some_and(|it| it.product == "llama-server"));
    let model = span.model.as_deref().and_then(|model| find(&call.models, model)).or(only);
    if let Some(model) = model {
        span.context_length = model.loaded_context_length.or(model.context_length);
        if let Some(share) = model.on_gpu() {
            span.attributes.set("andon.model.on_gpu", share);
        }
        if let Some(quantization) = &model.quantization {
            span.attributes.set("andon.model.quantization", quantization.as_str());
        }
    }
    span.model_digest = stats.digest.clone().or(model.and_then(|model| model.digest.clone()));
}

fn account(span: &mut Span, told: &Told) {
    let stats = &told.stats;
    span.input_tokens = stats.prompt_tokens;
    span.output_tokens = stats.output_tokens;
    span.cached_tokens = stats.cached_tokens;
    span.reasoning_tokens = stats.reasoning_tokens;
    span.finish_reason.clone_from(&stats.finish_reason);
    let mut note = |name: &'static str, value: AttributeValue| span.attributes.set(name, value);
    if let Some(threads) = stats.threads {
        note("andon.runtime.threads", threads.into());
    }
    if let Some(total) = stats.total_ns {
        note("andon.runtime.total_ns", total.into());
    }
    if let Some(id) = &told.response_id {
        note("gen_ai.response.id", id.as_str().into());
    }
}

fn place(seen: &Seen, asked: &Asked, span: &Span, past: &mut Past) -> Option<Place> {
    let call = &*seen.call;
    if call.api.llm_kind() != Some(LlmKind::Llm) {
        return None;
    }
    let user = asked.user.as_deref().or(span.user_id.as_deref());
    let asker = Asker { app: span.ml_app.as_deref(), user, key: call.key };
    let model = span.model.as_deref().unwrap_or_default();
    past.threads.place(&ToPlace {
        asker: &asker,
        read_by: (&span.service, model),
        contents: asked.contents.as_slice(),
        trace_id: call.caller.trace_id,
        retries: call.retries.unwrap_or(0),
        now: call.start_ns,
    })
}

/// What an app with an SDK would have said of its conversation, and how much of the prompt was not
/// new.
fn put_in_place(span: &mut Span, call: &Call, place: &Place) {
    let thread = format!("{:016x}", place.thread);
    if span.session_id.is_none() {
        span.session_id = Some(thread.clone());
    }
    let elapsed = span.end_ns().saturating_sub(place.turn_began_ns);
    let attempts_elapsed = span.end_ns().saturating_sub(place.attempt.first_began_ns);
    let mut note = |name: &'static str, value: AttributeValue| span.attributes.set(name, value);
    note("gen_ai.conversation.id", thread.into());
    note("andon.turn.id", format!("{:016x}", place.turn).into());
    note("andon.turn.call", u64::from(place.call_of_turn).into());
    note("andon.turn.elapsed_ns", elapsed.into());
    if call.retries.is_some_and(|retries| retries > 0) {
        note("andon.call.first_trace_id", place.attempt.first_trace_id.to_string().into());
        note("andon.call.elapsed_ns", attempts_elapsed.into());
    }
    note("andon.prompt.parts", u64::from(place.parts).into());
    note("andon.prompt.shared_parts", u64::from(place.shared_parts).into());
    note("andon.prompt.bytes", place.bytes.into());
    note("andon.prompt.shared_bytes", place.shared_bytes.into());
    if let Some(part) = &place.parted_at {
        note("andon.prompt.parted_at", part.as_str().into());
    }
}

/// The runtime's own figures where it has them; otherwise what can be seen from outside.
fn timings(told: &Told, rhythm: &Rhythm, framing: Framing, span: &mut Span) -> Timings {
    let stats = &told.stats;
    let streamed = framing != Framing::Whole;
    let outside = stats.eval_ns.is_none() && stats.prompt_eval_ns.is_none();
    let first = rhythm.first_ns().filter(|_| streamed);
    if let Some(gap) = rhythm.p95_gap_ns().filter(|_| streamed) {
        span.attributes.set("andon.stream.p95_gap_ns", gap);
    }
    if outside && first.is_some() {
        span.attributes.set("andon.timings.measured", "outside");
    }
    let inside = stats.queue_ns.filter(|ns| *ns >= nanoseconds(RESIDUAL_QUEUE));
    let known = told.complete && stats.queue_ns.is_some();
    Timings {
        queue_ns: known.then(|| inside.unwrap_or(0)),
        load_ns: stats.load_ns,
        prompt_eval_ns: stats.prompt_eval_ns.or(first.filter(|_| outside)),
        ttft_ns: first,
        eval_ns: stats.eval_ns.or(rhythm.spread_ns().filter(|_| outside)),
        stall_ns: rhythm.longest_gap_ns().filter(|_| streamed),
    }
}

fn outcome(seen: &Seen, told: &Told) -> Outcome {
    let failed = |error_type, cause, message: Option<String>| Outcome {
        status: Status::Error,
        error_type: Some(error_type),
        cause,
        message,
    };
    let of = |code: ErrorCode, message| failed(code.as_str(), code.cause(), message);
    if let End::Refused(code, message) = &seen.end {
        return of(*code, Some(message.clone()));
    }
    let status = seen.status.map_or(0, |status| status.as_u16());
    if status >= 400 {
        let text = || seen.answer.as_ref().map(|tape| in_words(tape.bytes()));
        let message = told.error.clone().or_else(text).filter(|message| !message.is_empty());
        let code = code_of(status, message.as_deref().unwrap_or_default());
        // What the caller sent was wrong, and no failure of the runtime.
        return match code {
            ErrorCode::RuntimeFailed if status < 500 => {
                failed("request_refused", Cause::None, message)
            }
            code => of(code, message),
        };
    }
    if let Some(message) = &told.error {
        return of(code_of(status, message), Some(message.clone()));
    }
    match &seen.end {
        // Many clients hang up at the last event, without waiting for the end of the body.
        End::ClientGone if !told.complete => of(
            ErrorCode::ClientGone,
            Some("the client closed the connection before the answer's end".to_owned()),
        ),
        End::Broken(reason) if !told.complete => of(ErrorCode::StreamBroken, Some(reason.clone())),
        _ if is_unfinished(seen, told) => failed(
            "stream_unfinished",
            Cause::Unknown,
            Some("the runtime ended its answer without saying that it was whole".to_owned()),
        ),
        _ => Outcome { status: Status::Ok, error_type: None, cause: Cause::None, message: None },
    }
}

/// A readable answer that never said its end: Ollama's repetition guard, for one.
fn is_unfinished(seen: &Seen, told: &Told) -> bool {
    let whole = seen.answer.as_ref().is_some_and(|tape| tape.cut().is_none());
    seen.call.api.is_model_call() && whole && !told.complete && told.unreadable == 0
}

/// What the body of an error says: its message, else all of it.
fn in_words(body: &[u8]) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(error_message);
    message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

/// The texts of question and answer.
fn words(span: &mut Span, asked: Asked, told: Told) -> Contents {
    if span.user_id.is_none() {
        span.user_id = asked.user.as_deref().and_then(crate::headers::bounded_id);
    }
    let mut contents = asked.contents;
    let choices = told.outputs.len();
    for output in told.outputs {
        output.into_contents(&mut contents);
    }
    if choices > 1 {
        span.attributes.set("andon.response.choices", choices as u64);
    }
    contents
}

fn finish(mut span: Span, outcome: Outcome, contents: Contents) -> Observation {
    span.status = outcome.status;
    span.error_type = outcome.error_type.map(str::to_owned);
    span.cause = Some(outcome.cause);
    let error_message = outcome.message.map(|message| {
        let mut message = RawText::new(message);
        message.truncate(MAX_ERROR_TEXT);
        message
    });
    Observation {
        span,
        contents: contents.into_vec(),
        attributes: Vec::new(),
        error_message,
        related: Vec::new(),
        policy: None,
    }
}
