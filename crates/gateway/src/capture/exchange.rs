//! One captured call while it runs. Whatever way it ends, also by being dropped because the client
//! left, it is handed to the recorder, once.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Instant,
};

use andon_model::{Observation, Phase, RequestId, Span, SpanId, TraceId, UnixNanos};
use http::{HeaderName, Method, StatusCode, header};

use super::{
    Shared,
    api::{self, Api, Family},
    forecast::Forecast,
    observe, progress,
    reading::Framing,
    tape::Tape,
    upstream::Known,
    wire::Headers,
};
use crate::{
    error::ErrorCode,
    headers::{Context, REQUEST_ID},
    live::{Running, Subject},
    recorder::Unread,
    runtime::{DiscoveredModel, RuntimeInfo, RuntimeKind},
};

/// Longest user agent or encoding that is kept.
const MAX_TEXT: usize = 200;

/// Where apps write their names: Andon's own header, and OpenRouter's, which many send to whatever
/// speaks OpenAI's API.
const APP_NAMES: [HeaderName; 2] =
    [HeaderName::from_static("x-andon-app"), HeaderName::from_static("x-title")];

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The client was gone before its answer was.
    ClientGone,
    /// The answer's last byte was passed on.
    Complete,
    /// The runtime's connection broke within the answer.
    Broken(String),
    /// There was no answer to pass on.
    Refused(ErrorCode, String),
}

/// A call as its client made it. Held by the exchange and, while it runs, by whoever looks at the
/// calls that run.
pub(super) struct Call {
    pub(super) shared: Arc<Shared>,
    pub(super) api: Api,
    pub(super) method: Method,
    /// Without the query, which may hold a key.
    pub(super) path: Cow<'static, str>,
    pub(super) caller: Context,
    /// Where the client gave one.
    pub(super) request_id: Option<RequestId>,
    pub(super) span_id: SpanId,
    pub(super) agent: Option<Box<str>>,
    /// The app, where it says itself which one it is.
    named: Option<Box<str>>,
    pub(super) retries: Option<u64>,
    /// Stands for the caller's API key.
    pub(super) key: Option<u64>,
    pub(super) start_ns: UnixNanos,
    /// Who answers, once that is known.
    pub(super) runtime: OnceLock<Arc<Known>>,
    /// The runtime's models as last seen before the call.
    pub(super) models: Arc<Vec<DiscoveredModel>>,
    /// The body, once it is whole.
    pub(super) request: OnceLock<Tape>,
    pub(super) encoding: Option<Box<str>>,
    pub(super) forecast: Forecast,
}

impl Call {
    fn new(shared: &Arc<Shared>, method: Method, path: &str, headers: Headers<'_>) -> Self {
        Self {
            api: Api::of(&method, path),
            method,
            path: api::known_path(path).map_or_else(|| path.to_owned().into(), Cow::Borrowed),
            caller: Context::from_texts(|name| headers.text(name.as_str())),
            request_id: headers.text(REQUEST_ID.as_str()).and_then(RequestId::given),
            span_id: SpanId::random(),
            agent: text(headers, &header::USER_AGENT),
            named: APP_NAMES.iter().find_map(|name| text(headers, name)),
            retries: headers.text(super::RETRY_COUNT).and_then(|text| text.parse().ok()),
            key: shared.key_of(headers),
            start_ns: Span::now_ns(),
            runtime: OnceLock::new(),
            models: shared.entrance.catalog.models(),
            request: OnceLock::new(),
            encoding: text(headers, &header::CONTENT_ENCODING),
            forecast: Forecast::default(),
            shared: Arc::clone(shared),
        }
    }

    /// Who the runtime said that it is.
    pub(super) fn runtime_info(&self) -> Option<&RuntimeInfo> {
        self.runtime.get()?.info.as_ref()
    }

    /// The service name of the runtime's spans, also before it has said who it is.
    pub(super) fn service(&self) -> &str {
        let name = self.runtime_info().map(|info| &info.name);
        match (name.or(self.shared.entrance.name.as_ref()), self.api.family()) {
            (Some(name), _) => name,
            (None, Family::Ollama) => "ollama",
            (None, _) => "openai-compatible",
        }
    }

    /// The app whose call it is: whose entrance this is, else what the client calls itself.
    pub(super) fn app(&self) -> Option<String> {
        let own = self.shared.entrance.app.clone();
        let named = || self.named.as_deref().and_then(crate::headers::bounded_id);
        own.or_else(named).or_else(|| self.agent.as_deref().and_then(product))
    }
}

/// The product that a user agent names first; coding agents under the names people know.
fn product(agent: &str) -> Option<String> {
    let product = agent.split(['/', ' ', '(']).next()?.trim().to_lowercase();
    let name = match product.as_str() {
        "" => return None,
        "claude-cli" => "claude-code",
        "codex_cli_rs" => "codex",
        _ => return Some(product),
    };
    Some(name.to_owned())
}

/// Everything that was seen of a call, to be read where nobody waits for it.
pub(super) struct Seen {
    pub(super) call: Arc<Call>,
    pub(super) duration_ns: u64,
    pub(super) status: Option<StatusCode>,
    pub(super) answer: Option<Tape>,
    pub(super) framing: Framing,
    pub(super) answer_encoding: Option<Box<str>>,
    pub(super) end: End,
}

impl Unread for Seen {
    fn read(self: Box<Self>) -> Option<Observation> {
        Some(observe::observe(*self))
    }
}

pub(super) struct Exchange {
    began: Instant,
    running: Option<Running>,
    /// The copy of the request, until it is whole.
    asked: Option<Tape>,
    seen: Option<Box<Seen>>,
}

impl Exchange {
    pub(super) fn begin(
        shared: &Arc<Shared>,
        method: Method,
        path: &str,
        headers: Headers<'_>,
    ) -> Self {
        let call = Call::new(shared, method, path, headers);
        let common = &shared.common;
        let most = common.config.max_request_bytes;
        let asked = call.api.is_model_call().then(|| Tape::new(Arc::clone(&common.budget), most));
        let seen = Box::new(Seen {
            call: Arc::new(call),
            duration_ns: 0,
            status: None,
            answer: None,
            framing: Framing::Whole,
            answer_encoding: None,
            end: End::ClientGone,
        });
        Self { began: Instant::now(), running: None, asked, seen: Some(seen) }
    }

    pub(super) fn api(&self) -> Api {
        self.seen.as_ref().map_or(Api::Other, |seen| seen.call.api)
    }

    pub(super) fn trace_id(&self) -> TraceId {
        self.seen.as_ref().map_or_else(TraceId::random, |seen| seen.call.caller.trace_id)
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// A piece of the request came.
    pub(super) fn asked(&mut self, data: &[u8]) {
        if let Some(tape) = &mut self.asked {
            tape.push(data, self.began);
        }
    }

    /// The request has come to its end, or ends here.
    pub(super) fn asked_all(&mut self) {
        if let (Some(tape), Some(seen)) = (self.asked.take(), &self.seen) {
            // Nobody else fills it.
            let _ = seen.call.request.set(tape);
        }
    }

    /// The call goes to this runtime now; one to a model is seen among those that run.
    pub(super) fn passed_to(&mut self, runtime: Arc<Known>) {
        let Some(seen) = &self.seen else { return };
        let call = &seen.call;
        let _ = call.runtime.set(runtime);
        if call.api.is_model_call() {
            let subject: Arc<dyn Subject> = call.clone();
            let running = call.shared.common.live.begin(subject);
            running.state.enter(Phase::Prompt);
            self.running = Some(running);
        }
    }

    /// Under which the runtime may tell of the call while it works on it. Only the built-in one does.
    pub(super) fn number(&self) -> Option<SpanId> {
        let running = self.running.as_ref()?;
        let info = self.seen.as_ref()?.call.runtime_info()?;
        (info.kind == RuntimeKind::Builtin).then(|| running.state.span_id())
    }

    /// The head of the answer came.
    pub(super) fn answered(&mut self, status: u16, headers: Headers<'_>) {
        let Some(seen) = &mut self.seen else { return };
        seen.status = StatusCode::from_u16(status).ok();
        seen.framing = Framing::of(headers.text(header::CONTENT_TYPE.as_str()));
        seen.answer_encoding = text(headers, &header::CONTENT_ENCODING);
        if seen.call.api.is_model_call() || !(200..300).contains(&status) {
            let common = &seen.call.shared.common;
            let most = common.config.max_answer_bytes;
            seen.answer = Some(Tape::new(Arc::clone(&common.budget), most));
        }
    }

    /// A piece of the answer is passed on.
    pub(super) fn piece(&mut self, data: &[u8]) {
        if let Some(Seen { answer: Some(tape), .. }) = self.seen.as_deref_mut() {
            tape.push(data, self.began);
        }
        let Some(running) = &self.running else { return };
        // Looked for until the first token only, and only where one comes.
        if matches!(running.state.phase(), Phase::Queue | Phase::Prompt)
            && let Some(progress) = progress::of(data)
        {
            running.state.enter(Phase::Prompt);
            running.state.set_prompt(progress.done, progress.total, progress.cached);
            return;
        }
        running.state.enter(Phase::Generate);
        running.state.add_token();
    }

    pub(super) fn ended(&mut self, end: End) {
        if let Some(seen) = &mut self.seen
            && seen.end == End::ClientGone
        {
            seen.end = end;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.asked_all();
        let Some(mut seen) = self.seen.take() else { return };
        seen.duration_ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.running = None;
        if !observe::is_worth_a_span(&seen) {
            return;
        }
        let recorder = &seen.call.shared.common.recorder.clone();
        recorder.record_later(seen);
    }
}

/// A header's value, copied: the buffer that it was read into goes back.
fn text(headers: Headers<'_>, name: &HeaderName) -> Option<Box<str>> {
    let value = headers.text(name.as_str())?;
    (value.len() <= MAX_TEXT).then(|| value.into())
}
