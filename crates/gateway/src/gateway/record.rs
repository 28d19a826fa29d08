//! The gateway's span, finished by a guard like the proxy's.

use std::{sync::Arc, time::Instant};

use andon_model::{Observation, Part, Policy, RawContent, RawText, Span, SpanKind, Status};

use super::Gateway;
use crate::{
    ChatAnswer, Recorder, Route, TimingsMs,
    error::{ChatError, ErrorCode},
    headers::Caller,
    request::ChatRequest,
};

pub(super) struct GatewayRecord {
    recorder: Recorder,
    began: Instant,
    span: Option<Span>,
    /// What was asked; kept with this span only if nobody behind records the call.
    question: Option<Arc<ChatRequest>>,
    policy: Option<Policy>,
}

impl GatewayRecord {
    pub(super) fn new(
        recorder: Recorder,
        caller: &Caller,
        method: &str,
        path: &str,
        host: Option<String>,
        began: Instant,
    ) -> Self {
        let mut span = Span::new(caller.trace_id, Gateway::SERVICE, format!("{method} {path}"));
        span.start_ns = span.start_ns.saturating_sub(elapsed_ns(began));
        span.parent_id = caller.parent_id;
        span.kind = SpanKind::Server;
        span.resource = Some(format!("{method} {path}"));
        span.http_method = Some(method.to_owned());
        span.http_route = Some(path.to_owned());
        span.stream = Some(caller.wants_stream);
        span.session_id.clone_from(&caller.session_id);
        span.user_id.clone_from(&caller.user_id);
        span.request_id = Some(caller.request_id.clone());
        span.host = host;
        span.pid = Some(std::process::id());
        Self { recorder, began, span: Some(span), question: None, policy: None }
    }

    pub(super) fn asks(&mut self, route: &Route, question: &Arc<ChatRequest>) {
        self.policy = question.policy;
        self.question = Some(Arc::clone(question));
        if let Some(span) = &mut self.span {
            span.model_requested =
                Some(question.model.clone().unwrap_or_else(|| route.model.clone()));
        }
    }

    /// The caller as the part behind should see it: one span further down.
    pub(super) fn caller_behind(&self, caller: &Caller) -> Caller {
        caller.below(self.span.as_ref().map(|span| span.span_id))
    }

    pub(super) fn span(&self) -> Option<&Span> {
        self.span.as_ref()
    }

    /// The call was answered. `recorded_behind`: the proxy is Andon's and records the call itself.
    /// Returns the times with the whole of it as the gateway saw it.
    pub(super) fn answered(&mut self, answer: &ChatAnswer, recorded_behind: bool) -> TimingsMs {
        let total_ns = elapsed_ns(self.began);
        let mut timings = answer.timings;
        timings.set_total(total_ns);
        let Some(mut span) = self.span.take() else { return timings };
        span.duration_ns = total_ns;
        span.status = Status::Ok;
        span.http_status = Some(200);
        let mut contents = Vec::new();
        if recorded_behind {
            span.model = answer.model.clone();
        } else {
            span.input_tokens = answer.prompt_eval_count;
            span.output_tokens = answer.eval_count;
            contents = self.question.take().map(|question| asked(&question)).unwrap_or_default();
            contents.push(RawContent {
                part: Part::Output,
                role: Some("assistant".to_owned()),
                idx: 0,
                text: RawText::new(answer.reply.clone()),
            });
        }
        self.record(span, contents, None);
        timings
    }

    /// The call failed. `inner`: what went wrong behind, in its own words.
    pub(super) fn failed(&mut self, error: &ChatError, inner: Option<&str>) -> TimingsMs {
        let total_ns = elapsed_ns(self.began);
        let mut timings = TimingsMs::default();
        timings.set_total(total_ns);
        let Some(mut span) = self.span.take() else { return timings };
        span.duration_ns = total_ns;
        span.status = Status::Error;
        span.http_status = Some(error.code.status().as_u16());
        span.error_type = Some(error.code.as_str().to_owned());
        span.cause = Some(error.code.cause());
        if let Some(phase) = error.phase {
            span.attributes.set("andon.error.phase", phase.as_str());
        }
        self.record(span, Vec::new(), Some(RawText::new(inner.unwrap_or(&error.message))));
        timings
    }

    fn record(&mut self, span: Span, contents: Vec<RawContent>, error: Option<RawText>) {
        let question = self.question.take().filter(|_| error.is_some());
        let related = question.map(|question| asked(&question)).unwrap_or_default();
        let related = related.into_iter().map(|content| content.text).collect();
        self.recorder.record(Observation {
            span,
            contents,
            attributes: Vec::new(),
            error_message: error,
            related,
            policy: self.policy,
        });
    }
}

impl Drop for GatewayRecord {
    fn drop(&mut self) {
        if self.span.is_some() {
            let message = "the client closed the connection before the answer was complete";
            self.failed(&ChatError::new(ErrorCode::ClientGone, message), None);
        }
    }
}

fn asked(question: &ChatRequest) -> Vec<RawContent> {
    let texts = question.history.iter().map(|turn| (turn.role.as_str(), &turn.content));
    texts
        .chain([("user", &question.message)])
        .enumerate()
        .map(|(idx, (role, text))| RawContent {
            part: Part::Input,
            role: Some(role.to_owned()),
            idx: idx as u32,
            text: text.clone(),
        })
        .collect()
}

fn elapsed_ns(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
