//! One call, from its place in the queue to the last token.

use std::{sync::Arc, time::Duration, time::Instant};

use andon_model::Phase;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt;
use tokio::time::Interval;

use super::{
    Proxy,
    record::CallRecord,
    sink::{Events, Out, Sink},
};
use crate::{
    ChatAnswer, ChatFailure, ChatStart, Route, TextPiece,
    answer::Ending,
    error::{ChatError, ErrorCode},
    failure,
    headers::{self, Caller},
    live::{CallState, Fixed, Running},
    request::ChatRequest,
    runtime::{
        Dialect, Exchange, FinalStats, Generation, Resolved, RuntimeEvent, RuntimeInfo,
        RuntimeKind, SendError, code_of, error_of,
    },
    sse::Lines,
};

/// How often a streamed answer tells its phase, at least.
const PHASE_TICK: Duration = Duration::from_millis(250);
/// How long to wait for word of a runtime's death when its stream breaks.
const CRASH_WAIT: Duration = Duration::from_millis(700);
/// Longest piece of the prompt that an error answer gives back.
const MAX_ECHO_CHARS: usize = 10_000;
/// Extra lines of Andon's own runtime; others ignore the header.
const PROGRESS: &str = "x-andon-progress";

pub(crate) struct Call {
    proxy: Proxy,
    route: Arc<Route>,
    caller: Caller,
    request: Arc<ChatRequest>,
    record: CallRecord,
    running: Running,
    began: Instant,
}

/// What went on its way to the runtime.
struct Sent {
    runtime: RuntimeInfo,
    resolved: Resolved,
    exchange: Exchange,
}

impl Call {
    pub(super) fn new(
        proxy: Proxy,
        route: Arc<Route>,
        caller: Caller,
        request: Arc<ChatRequest>,
        began: Instant,
    ) -> Box<Self> {
        let inner = &proxy.0;
        let mut record = CallRecord::new(
            &inner.config,
            inner.recorder.clone(),
            &caller,
            &request,
            &route.path,
            began,
        );
        let model = request.model.clone().unwrap_or_else(|| route.model.clone());
        record.asked(&model, request.num_predict.unwrap_or(route.max_tokens), request.temperature);
        let running = inner.live.begin(Arc::new(Fixed {
            trace_id: caller.trace_id,
            span_id: record.llm_span().span_id,
            request_id: caller.request_id.clone(),
            service: Proxy::SERVICE.to_owned(),
            route: route.path.clone(),
            model,
        }));
        // It is big, and handed on several times.
        Box::new(Self { proxy, route, caller, request, record, running, began })
    }

    /// Answers in one piece. Dropping the future cancels the generation.
    pub(crate) async fn answer(mut self: Box<Self>) -> Ending {
        match self.drive(&Sink::nowhere()).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Answers in events.
    pub(crate) fn spawn(mut self: Box<Self>) -> Events {
        let (sink, sender, receiver) = Sink::channel();
        tokio::spawn(async move {
            let driven = tokio::select! {
                driven = self.drive(&sink) => driven,
                () = sender.closed() => return,
            };
            let end = driven.map_err(|error| self.failed(&error));
            let _ = sender.send(Out::End(Box::new(end))).await;
        });
        Events::new(receiver)
    }

    fn failed(&mut self, error: &ChatError) -> Box<ChatFailure> {
        let timings = self.record.failed(error);
        let mut failure = Box::new(failure::body(&self.caller, error, &timings));
        if !self.record.began_streaming {
            // Back to the caller who sent it, as the original does, and nowhere else.
            let prompt = self.request.message.expose().chars().take(MAX_ECHO_CHARS).collect();
            failure.prompt = Some(prompt);
            failure.output = Some(String::new());
        }
        failure
    }

    /// How long this call may take: the caller may only shorten it.
    fn limit(&self) -> Duration {
        let configured = self.proxy.0.config.timeout;
        self.request.timeout.map_or(configured, |asked| asked.min(configured))
    }

    async fn drive(&mut self, sink: &Sink) -> Result<ChatAnswer, ChatError> {
        let limit = self.limit();
        let left = limit.saturating_sub(self.began.elapsed());
        let state = Arc::clone(&self.running.state);
        match tokio::time::timeout(left, self.ask(sink)).await {
            Ok(answer) => answer.map_err(|error| error.in_phase(state.phase())),
            Err(_) => Err(timed_out(limit, &state)),
        }
    }

    async fn ask(&mut self, sink: &Sink) -> Result<ChatAnswer, ChatError> {
        self.record.enter(Phase::Queue);
        let proxy = self.proxy.clone();
        let runtime = proxy.0.catalog.target().ready().await?;
        // The first tick a while from now: a quick call has no phase to tell.
        let first = tokio::time::Instant::now() + PHASE_TICK;
        let mut tick = tokio::time::interval_at(first, PHASE_TICK);
        let _turn = self.wait_for_turn(sink, &mut tick).await?;
        // It may have been restarted while this call waited.
        let runtime = match proxy.0.catalog.target().state().ready {
            Some(now) => now,
            None => proxy.0.catalog.target().ready().await.unwrap_or(runtime),
        };
        let sent = self.send(runtime, sink, &mut tick).await?;
        self.read(sent, sink, &mut tick).await
    }

    async fn wait_for_turn(
        &mut self,
        sink: &Sink,
        tick: &mut Interval,
    ) -> Result<crate::queue::Turn, ChatError> {
        let state = Arc::clone(&self.running.state);
        let queue = self.proxy.0.queue.clone();
        let place = queue.join(&state).map_err(|full| {
            let mut error = ChatError::new(
                ErrorCode::QueueFull,
                format!(
                    "the queue is full: {} requests run and {} wait; try again later",
                    queue.max_running(),
                    full.waiting
                ),
            );
            error.retry_after_s = Some(self.retry_after_s());
            error
        })?;
        self.start(sink).await;
        Ok(with_phases(place.turn(), sink, tick, &state).await)
    }

    /// A full queue empties at the latest by timeouts; half of one is a fair guess.
    fn retry_after_s(&self) -> u64 {
        (self.proxy.0.config.timeout.as_secs() / 2).max(1)
    }

    async fn start(&mut self, sink: &Sink) {
        if !sink.streams() {
            return;
        }
        self.record.began_streaming = true;
        let llm = self.record.llm_span();
        let start = ChatStart {
            trace_id: self.caller.trace_id,
            request_id: self.caller.request_id.clone(),
            span_id: Some(llm.span_id),
            model_requested: llm.model_requested.clone(),
            timeout_ms: Some(self.limit().as_millis() as u64),
        };
        sink.send("start", &start).await;
        sink.send("phase", &self.running.state.phase_event()).await;
    }

    async fn send(
        &mut self,
        runtime: RuntimeInfo,
        sink: &Sink,
        tick: &mut Interval,
    ) -> Result<Sent, ChatError> {
        let proxy = self.proxy.clone();
        let catalog = &proxy.0.catalog;
        let request = &self.request;
        let wanted = request.model.as_deref().unwrap_or(&self.route.model);
        let resolved = catalog.resolve(wanted, request.model.is_some()).await;
        let dialect = Dialect::of(&runtime);
        let (path, body) = dialect.request(&Generation {
            model: &resolved.model,
            message: &request.message,
            history: &request.history,
            system: request.system.as_ref(),
            temperature: request.temperature,
            num_predict: request.num_predict.unwrap_or(self.route.max_tokens),
            think: request.think,
        });
        self.record.answers(&runtime, &resolved, path);
        self.expect_phase(&runtime, &resolved, sink).await;

        let exchange = match self.exchange(&runtime, &resolved, path, body, sink, tick).await {
            Ok(exchange) => exchange,
            Err(error) => return Err(self.broken(error.into()).await),
        };
        if !exchange.status.is_success() {
            let status = exchange.status.as_u16();
            return Err(error_of(status, &exchange.error_text().await));
        }
        Ok(Sent { runtime, resolved, exchange })
    }

    /// Sends the request and waits for the head of the answer, which Ollama holds back until the
    /// first token: minutes, when a model loads.
    async fn exchange(
        &mut self,
        runtime: &RuntimeInfo,
        resolved: &Resolved,
        path: &str,
        body: Bytes,
        sink: &Sink,
        tick: &mut Interval,
    ) -> Result<Exchange, SendError> {
        let client = self.proxy.0.client.clone();
        let headers = self.headers();
        let authority = &runtime.authority;
        let sent = Exchange::send(&client, authority, Method::POST, path, headers, body);
        let mut sent = std::pin::pin!(sent);
        loop {
            tokio::select! {
                biased;
                sent = &mut sent => return sent,
                _ = tick.tick() => {
                    self.look_whether_loaded(runtime, resolved).await;
                    sink.send("phase", &self.running.state.phase_event()).await;
                }
            }
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(PROGRESS, HeaderValue::from_static("1"));
        let context = andon_model::TraceContext {
            trace_id: self.caller.trace_id,
            parent_id: self.record.llm_span().span_id,
            sampled: true,
        };
        if let Ok(value) = HeaderValue::from_str(&context.to_string()) {
            headers.insert(headers::TRACEPARENT, value);
        }
        headers
    }

    /// Before the runtime says anything: is it loading, or reading the prompt? Andon's own tells
    /// it by itself; of Ollama's models the list knows which are in memory.
    async fn expect_phase(&mut self, runtime: &RuntimeInfo, resolved: &Resolved, sink: &Sink) {
        let models = self.proxy.0.catalog.models();
        let known = models.iter().find(|model| model.name == resolved.model);
        let loaded = known.is_none_or(|model| model.loaded);
        let loads = runtime.kind == RuntimeKind::Ollama && !loaded;
        self.enter(if loads { Phase::Load } else { Phase::Prompt }, sink).await;
    }

    async fn look_whether_loaded(&mut self, runtime: &RuntimeInfo, resolved: &Resolved) {
        if runtime.kind != RuntimeKind::Ollama {
            return;
        }
        let catalog = self.proxy.0.catalog.clone();
        let look = catalog.is_loaded(runtime, &resolved.model);
        if let Ok(Some(loaded)) = tokio::time::timeout(PHASE_TICK, look).await {
            self.record.load_seen |= !loaded;
            let phase = if loaded { Phase::Prompt } else { Phase::Load };
            self.record.enter(phase);
            self.running.state.enter(phase);
        }
    }

    async fn enter(&mut self, phase: Phase, sink: &Sink) {
        self.record.enter(phase);
        if self.running.state.enter(phase) && sink.streams() {
            sink.send("phase", &self.running.state.phase_event()).await;
        }
    }

    async fn read(
        &mut self,
        sent: Sent,
        sink: &Sink,
        tick: &mut Interval,
    ) -> Result<ChatAnswer, ChatError> {
        let Sent { runtime, resolved, mut exchange } = sent;
        let dialect = Dialect::of(&runtime);
        let state = Arc::clone(&self.running.state);
        let mut lines = Lines::new(self.proxy.0.config.max_line_bytes);
        let mut collected = Default::default();
        loop {
            let frame = with_phases(exchange.body.frame(), sink, tick, &state).await;
            let data = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(self.broke_off(&error.to_string()).await),
                None if lines.rest().iter().all(u8::is_ascii_whitespace) => {
                    return Err(self.broke_off("no final line came").await);
                }
                // A last line without its ending is still a line, if it is a whole one.
                None => Bytes::from_static(b"\n"),
            };
            lines.push(&data);
            while let Some(line) = lines.next().map_err(too_long)? {
                for event in dialect.line(&line, &mut collected) {
                    if let Some(stats) = self.take(event, sink).await? {
                        return Ok(self.finish(&stats, &resolved));
                    }
                }
            }
        }
    }

    /// Takes one event of the runtime; the final one ends the call.
    async fn take(
        &mut self,
        event: RuntimeEvent,
        sink: &Sink,
    ) -> Result<Option<FinalStats>, ChatError> {
        if let Some(phase) = self.running.state.hear(&event) {
            self.record.load_seen |= phase == Phase::Load;
            self.enter(phase, sink).await;
        }
        match event {
            RuntimeEvent::Queue { .. }
            | RuntimeEvent::Load { .. }
            | RuntimeEvent::Prompt { .. } => {}
            RuntimeEvent::Thinking(text) => {
                self.piece(&text, "thinking", sink).await?;
                self.record.thinking.push_str(&text);
            }
            RuntimeEvent::Token(text) => {
                self.piece(&text, "token", sink).await?;
                self.record.reply.push_str(&text);
            }
            RuntimeEvent::Final(stats) => return Ok(Some(*stats)),
            RuntimeEvent::Error(message) => {
                let code = code_of(500, &message);
                return Err(self.broken(ChatError::new(code, message)).await);
            }
        }
        Ok(None)
    }

    async fn piece(&mut self, text: &str, name: &str, sink: &Sink) -> Result<(), ChatError> {
        let so_far = self.record.reply.len() + self.record.thinking.len();
        let most = self.proxy.0.config.max_reply_bytes;
        if so_far + text.len() > most {
            let message = format!("the answer is longer than {most} bytes");
            return Err(ChatError::new(ErrorCode::RuntimeFailed, message));
        }
        self.record.token();
        self.running.state.add_token();
        self.enter(Phase::Generate, sink).await;
        sink.send(name, &TextPiece { text: text.to_owned() }).await;
        Ok(())
    }

    fn finish(&mut self, stats: &FinalStats, resolved: &Resolved) -> ChatAnswer {
        let reply = self.record.reply.expose().to_owned();
        let thinking = self.record.thinking.expose().to_owned();
        let (timings, cold_start) = self.record.answered(stats);
        ChatAnswer {
            reply,
            thinking: Some(thinking).filter(|text| !text.is_empty()),
            eval_count: stats.output_tokens,
            prompt_eval_count: stats.prompt_tokens,
            prompt_cached_count: stats.cached_tokens,
            duration_ms: timings.generate_ms.map(|ms| ms.round() as u64),
            request_id: self.caller.request_id.clone(),
            trace_id: self.caller.trace_id,
            span_id: Some(self.running.state.span_id()),
            model: Some(resolved.model.clone()),
            model_requested: self.request.model.clone().or_else(|| Some(self.route.model.clone())),
            finish_reason: stats.finish_reason.clone(),
            cold_start,
            note: resolved.note.clone(),
            timings,
        }
    }

    async fn broke_off(&self, reason: &str) -> ChatError {
        let message = format!("the runtime's answer broke off: {reason}");
        self.broken(ChatError::new(ErrorCode::StreamBroken, message)).await
    }

    /// A failure that may come from the death of the runtime: if it died, say so and of what.
    async fn broken(&self, error: ChatError) -> ChatError {
        let from_death = [ErrorCode::StreamBroken, ErrorCode::RuntimeDown];
        // Only of its own child does Andon hear.
        let is_child = self.record.llm_span().pid.is_some();
        if !from_death.contains(&error.code) || !is_child {
            return error;
        }
        let since = self.record.llm_span().start_ns;
        let Some(crash) = self.proxy.0.catalog.target().crash_since(since, CRASH_WAIT).await else {
            return error;
        };
        let code = match crash.cause {
            andon_model::Cause::OutOfMemory => ErrorCode::OutOfMemory,
            _ => ErrorCode::RuntimeDown,
        };
        ChatError::new(code, crash.message)
    }
}

fn too_long(error: crate::sse::LineTooLong) -> ChatError {
    ChatError::new(ErrorCode::RuntimeFailed, format!("the runtime's answer: {error}"))
}

fn timed_out(limit: Duration, state: &CallState) -> ChatError {
    let phase = state.phase();
    let doing = match phase {
        Phase::Queue => "while waiting in the queue".to_owned(),
        Phase::Load => "while the model was loading".to_owned(),
        Phase::Prompt => "while the prompt was being read".to_owned(),
        Phase::Generate => {
            format!("while the answer was being written, after {} tokens", state.tokens())
        }
    };
    let message = format!("timed out after {} s {doing}", limit.as_secs_f64());
    ChatError::new(ErrorCode::Timeout, message).in_phase(phase)
}

/// Waits for `future`, telling the phase every now and then.
async fn with_phases<T>(
    future: impl Future<Output = T>,
    sink: &Sink,
    tick: &mut Interval,
    state: &CallState,
) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            done = &mut future => return done,
            _ = tick.tick(), if sink.streams() => sink.send("phase", &state.phase_event()).await,
        }
    }
}
