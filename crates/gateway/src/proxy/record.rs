//! The spans of one call, finished by a guard: whatever way the call ends, also by being dropped
//! because the client left, its spans are recorded.

use std::time::{Duration, Instant};

use andon_model::{
    Cause, Contents, LlmKind, Observation, Part, Phase, RawText, Span, SpanKind, Status, Timings,
};

use super::{Proxy, ProxyConfig, RequestLine};
use crate::{
    Recorder, TimingsMs,
    error::{ChatError, ErrorCode},
    headers::Caller,
    request::ChatRequest,
    runtime::{FinalStats, Resolved, RuntimeInfo, RuntimeKind},
};

/// A load that took at least this long was a cold start, where the runtime does not say so itself
/// (a warm call's `load_duration` is some milliseconds, never 0).
const COLD_LOAD: Duration = Duration::from_secs(1);
/// What a warm runtime may take to look its model up.
const WARM_LOAD: Duration = Duration::from_millis(100);
/// An unexplained rest below this is not waiting.
pub(crate) const RESIDUAL_QUEUE: Duration = Duration::from_millis(20);

/// Time spent in each phase, as seen from outside the runtime.
struct PhaseClock {
    current: Option<Phase>,
    since: Instant,
    spent: [Duration; 4],
}

impl PhaseClock {
    fn enter(&mut self, phase: Option<Phase>) {
        let now = Instant::now();
        if let Some(current) = self.current {
            self.spent[current as usize] += now - self.since;
        }
        self.current = phase;
        self.since = now;
    }

    fn spent_ns(&self, phase: Phase) -> Option<u64> {
        Some(self.spent[phase as usize]).filter(|spent| !spent.is_zero()).map(nanoseconds)
    }
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The proxy's span and the span of the call to the model.
pub(super) struct CallRecord {
    recorder: Recorder,
    began: Instant,
    proxy: Option<Span>,
    llm: Span,
    llm_began: Instant,
    contents: Contents,
    policy: Option<andon_model::Policy>,
    clock: PhaseClock,
    pub(super) reply: RawText,
    pub(super) thinking: RawText,
    first_token: Option<Instant>,
    last_token: Option<Instant>,
    stall: Duration,
    /// The runtime said, or its list showed, that the model was not in memory.
    pub(super) load_seen: bool,
    /// Events went out to the client.
    pub(super) began_streaming: bool,
}

impl CallRecord {
    pub(super) fn new(
        config: &ProxyConfig,
        recorder: Recorder,
        caller: &Caller,
        request: &ChatRequest,
        path: &str,
        began: Instant,
    ) -> Self {
        let mut proxy = server_span(config, caller, "POST", path, began);
        proxy.http_route = Some(path.to_owned());
        proxy.stream = Some(caller.wants_stream);
        let mut llm = Span::new(caller.trace_id, "runtime", "generate");
        llm.parent_id = Some(proxy.span_id);
        llm.kind = SpanKind::Client;
        llm.llm_kind = Some(LlmKind::Llm);
        llm.stream = Some(caller.wants_stream);
        llm.session_id.clone_from(&proxy.session_id);
        llm.user_id.clone_from(&proxy.user_id);
        llm.request_id.clone_from(&proxy.request_id);
        llm.host.clone_from(&config.host);
        Self {
            recorder,
            began,
            proxy: Some(proxy),
            llm,
            llm_began: Instant::now(),
            contents: contents(request),
            policy: request.policy,
            clock: PhaseClock { current: None, since: Instant::now(), spent: Default::default() },
            reply: RawText::default(),
            thinking: RawText::default(),
            first_token: None,
            last_token: None,
            stall: Duration::ZERO,
            load_seen: false,
            began_streaming: false,
        }
    }

    pub(super) fn llm_span(&self) -> &Span {
        &self.llm
    }

    /// Which model was wanted, by which route.
    pub(super) fn asked(&mut self, model: &str, num_predict: u32, temperature: Option<f64>) {
        self.llm.model_requested = Some(model.to_owned());
        if let Some(proxy) = &mut self.proxy {
            proxy.model_requested = Some(model.to_owned());
        }
        let attributes = &mut self.llm.attributes;
        attributes.set("gen_ai.request.max_tokens", u64::from(num_predict));
        if let Some(temperature) = temperature {
            attributes.set("gen_ai.request.temperature", temperature);
        }
    }

    /// Who is going to answer.
    pub(super) fn answers(&mut self, runtime: &RuntimeInfo, resolved: &Resolved, path: &str) {
        let verb = if path.ends_with("generate") { "generate" } else { "chat" };
        let llm = &mut self.llm;
        llm.service.clone_from(&runtime.name);
        llm.name = format!("{verb} {}", resolved.model);
        llm.endpoint = Some(path.to_owned());
        llm.provider = Some(match runtime.kind {
            RuntimeKind::Builtin => "andon".to_owned(),
            RuntimeKind::Ollama | RuntimeKind::Openai => runtime.product.to_owned(),
        });
        llm.model = Some(resolved.model.clone());
        llm.model_digest.clone_from(&resolved.digest);
        llm.context_length = resolved.context_length;
        llm.pid = runtime.pid;
        let attributes = &mut llm.attributes;
        attributes.set("server.address", runtime.authority.as_str());
        if let Some(version) = &runtime.version {
            attributes.set("andon.runtime.version", version.as_str());
        }
        if let Some(note) = &resolved.note {
            attributes.set("andon.note", note.as_str());
        }
        if let Some(proxy) = &mut self.proxy {
            proxy.model = Some(resolved.model.clone());
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        if self.clock.current != Some(phase) {
            self.clock.enter(Some(phase));
        }
    }

    /// A piece of the answer came.
    pub(super) fn token(&mut self) {
        let now = Instant::now();
        if let Some(last) = self.last_token {
            self.stall = self.stall.max(now - last);
        }
        self.first_token.get_or_insert(now);
        self.last_token = Some(now);
    }

    /// Ends the call well. Returns the times and whether it was a cold start.
    pub(super) fn answered(&mut self, stats: &FinalStats) -> (TimingsMs, bool) {
        self.clock.enter(None);
        let timings = self.timings(Some(stats));
        let cold = self.is_cold(&timings);
        let llm = &mut self.llm;
        llm.timings = timings;
        llm.status = Status::Ok;
        llm.input_tokens = stats.prompt_tokens;
        llm.output_tokens = stats.output_tokens;
        llm.cached_tokens = stats.cached_tokens;
        llm.reasoning_tokens = stats.reasoning_tokens;
        llm.finish_reason.clone_from(&stats.finish_reason);
        // Why it took its time is said when it is kept.
        llm.cause = Some(Cause::None);
        llm.model_digest = stats.digest.clone().or(llm.model_digest.take());
        if let Some(threads) = stats.threads {
            llm.attributes.set("andon.runtime.threads", threads);
        }
        if let Some(total) = stats.total_ns {
            llm.attributes.set("andon.runtime.total_ns", total);
        }
        let total_ns = self.close(None);
        (TimingsMs::new(&timings, total_ns), cold)
    }

    /// Ends the call with a failure.
    pub(super) fn failed(&mut self, error: &ChatError) -> TimingsMs {
        self.clock.enter(None);
        let timings = self.timings(None);
        let llm = &mut self.llm;
        llm.timings = timings;
        llm.cause = Some(error.code.cause());
        if let Some(phase) = error.phase {
            llm.attributes.set("andon.error.phase", phase.as_str());
        }
        let total_ns = self.close(Some(error));
        TimingsMs::new(&timings, total_ns)
    }

    /// The runtime's own figures where it has them; otherwise the phases as seen from outside.
    fn timings(&mut self, stats: Option<&FinalStats>) -> Timings {
        let seen = |phase| self.clock.spent_ns(phase);
        let waited = seen(Phase::Queue);
        let ttft = self.first_token.map(|first| nanoseconds(first - self.llm_began));
        let stall_ns = (!self.stall.is_zero()).then(|| nanoseconds(self.stall));
        let Some(stats) = stats else {
            return Timings {
                queue_ns: waited,
                load_ns: seen(Phase::Load),
                prompt_eval_ns: seen(Phase::Prompt),
                eval_ns: seen(Phase::Generate),
                ttft_ns: ttft,
                stall_ns,
            };
        };
        let inside = stats.queue_ns.filter(|ns| *ns >= nanoseconds(RESIDUAL_QUEUE));
        let outside = stats.eval_ns.is_none() && stats.prompt_eval_ns.is_none();
        if outside {
            let text = "outside".to_owned();
            self.llm.attributes.set("andon.timings.measured", text);
        }
        Timings {
            queue_ns: Some(waited.unwrap_or(0) + inside.unwrap_or(0)),
            load_ns: stats.load_ns,
            prompt_eval_ns: stats
                .prompt_eval_ns
                .or_else(|| seen(Phase::Prompt).filter(|_| outside)),
            eval_ns: stats.eval_ns.or_else(|| seen(Phase::Generate).filter(|_| outside)),
            ttft_ns: ttft,
            stall_ns,
        }
    }

    fn is_cold(&self, timings: &Timings) -> bool {
        let load = Duration::from_nanos(timings.load_ns.unwrap_or(0));
        load >= COLD_LOAD || (self.load_seen && load >= WARM_LOAD)
    }

    /// Finishes both spans and hands them to the recorder, once. Returns the whole time in ns.
    fn close(&mut self, error: Option<&ChatError>) -> u64 {
        let total_ns = nanoseconds(self.began.elapsed());
        let Some(mut proxy) = self.proxy.take() else { return total_ns };
        self.llm.duration_ns = nanoseconds(self.llm_began.elapsed());
        proxy.duration_ns = total_ns;
        proxy.http_status = Some(error.map_or(200, |error| error.code.status().as_u16()));
        proxy.status = Status::Ok;
        let mut contents = std::mem::take(&mut self.contents);
        contents.push(Part::Output, Some("assistant"), std::mem::take(&mut self.reply));
        contents.push(Part::Thinking, Some("assistant"), std::mem::take(&mut self.thinking));
        let contents = contents.into_vec();
        let mut message = None;
        if let Some(error) = error {
            message = Some(RawText::new(error.message.clone()));
            for span in [&mut proxy, &mut self.llm] {
                span.status = Status::Error;
                span.error_type = Some(error.code.as_str().to_owned());
            }
            proxy.cause = Some(error.code.cause());
        }
        let policy = self.policy;
        let related = match &message {
            Some(_) => contents.iter().map(|content| content.text.clone()).collect(),
            None => Vec::new(),
        };
        self.recorder.record(Observation {
            span: std::mem::take(&mut self.llm),
            contents,
            attributes: Vec::new(),
            error_message: message.clone(),
            related: Vec::new(),
            policy,
        });
        self.recorder.record(Observation {
            span: proxy,
            contents: Vec::new(),
            attributes: Vec::new(),
            error_message: message,
            related,
            policy,
        });
        total_ns
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if self.proxy.is_some() {
            let phase = self.clock.current;
            let mut error = ChatError::new(
                ErrorCode::ClientGone,
                "the client closed the connection; the generation was cancelled",
            );
            error.phase = phase;
            self.failed(&error);
        }
    }
}

fn server_span(
    config: &ProxyConfig,
    caller: &Caller,
    method: &str,
    path: &str,
    began: Instant,
) -> Span {
    let mut span = Span::new(caller.trace_id, Proxy::SERVICE, format!("{method} {path}"));
    span.start_ns = span.start_ns.saturating_sub(nanoseconds(began.elapsed()));
    span.parent_id = caller.parent_id;
    span.kind = SpanKind::Server;
    span.resource = Some(format!("{method} {path}"));
    span.http_method = Some(method.to_owned());
    span.session_id.clone_from(&caller.session_id);
    span.user_id.clone_from(&caller.user_id);
    span.request_id = Some(caller.request_id.clone());
    span.host.clone_from(&config.host);
    span.pid = Some(std::process::id());
    span
}

/// The span of a request that never became a call.
pub(super) fn refused(
    config: &ProxyConfig,
    caller: &Caller,
    request: &RequestLine,
    error: &ChatError,
) -> Observation {
    let method = request.method.as_str();
    let mut span = server_span(config, caller, method, &request.path, request.began);
    span.duration_ns = nanoseconds(request.began.elapsed());
    span.status = Status::Error;
    span.error_type = Some(error.code.as_str().to_owned());
    span.http_status = Some(error.code.status().as_u16());
    span.cause = Some(error.code.cause());
    let mut observation = Observation::from(span);
    observation.error_message = Some(RawText::new(error.message.clone()));
    observation
}

fn contents(request: &ChatRequest) -> Contents {
    let mut contents = Contents::default();
    if let Some(system) = &request.system {
        contents.push(Part::System, Some("system"), system.clone());
    }
    for turn in &request.history {
        contents.push(Part::Input, Some(turn.role.as_str()), turn.content.clone());
    }
    contents.push(Part::Input, Some("user"), request.message.clone());
    contents
}
