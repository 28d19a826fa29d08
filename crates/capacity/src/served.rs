//! A call that was answered, as far as its time goes.

use std::sync::Arc;

use andon_diagnose::{Call, KeepAlive};
use andon_model::{Phase, Span, Status, UnixNanos};

/// One answered call to a model, with where its time went. Times in nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    pub arrived_ns: UnixNanos,
    pub model: Arc<str>,
    /// Who asked, where it is known: a session.
    pub session: Option<Arc<str>>,
    pub queue_ns: u64,
    /// `None` where the model was in memory.
    pub load_ns: Option<u64>,
    /// Tokens of the whole prompt, and those of them that were read anew.
    pub prompt: u64,
    pub read: u64,
    pub read_ns: u64,
    pub written: u64,
    pub write_ns: u64,
    /// Time that no phase explains.
    pub rest_ns: u64,
    /// How long the call wanted its model to be kept; `None` where it did not say.
    pub keep_alive: Option<KeepAlive>,
    /// Threads that the call asked for.
    pub threads: Option<u64>,
}

impl Served {
    /// `None` for what is no call, failed, or does not say where its time went.
    pub fn of(span: &Span) -> Option<Self> {
        let call = Call::of(span).filter(|_| span.status != Status::Error)?;
        let read = call.read()?;
        let written = span.output_tokens?;
        let queue_ns = call.ns(Phase::Queue).unwrap_or(0);
        let load_ns = call.loaded_ns();
        let before = queue_ns.saturating_add(load_ns.unwrap_or(0));
        let (read_ns, write_ns) = phases(call, before)?;
        let known = before.saturating_add(read_ns).saturating_add(write_ns);
        Some(Self {
            arrived_ns: span.start_ns,
            model: call.model().into(),
            session: span.session_id.as_deref().map(Arc::from),
            queue_ns,
            load_ns,
            prompt: span.input_tokens.unwrap_or(read),
            read,
            read_ns,
            written,
            write_ns,
            rest_ns: span.duration_ns.saturating_sub(known),
            keep_alive: call.keep_alive(),
            threads: call.number("andon.request.options.num_thread"),
        })
    }

    pub fn ended_ns(&self) -> UnixNanos {
        self.arrived_ns.saturating_add(self.total_ns())
    }

    pub(crate) fn total_ns(&self) -> u64 {
        self.first_ns().saturating_add(self.write_ns).saturating_add(self.rest_ns)
    }

    /// Until the first token, about.
    pub(crate) fn first_ns(&self) -> u64 {
        let before = self.queue_ns.saturating_add(self.load_ns.unwrap_or(0));
        before.saturating_add(self.read_ns)
    }

    /// When it computed: it read, and then it wrote.
    pub(crate) fn worked(&self) -> (UnixNanos, UnixNanos) {
        let before = self.queue_ns.saturating_add(self.load_ns.unwrap_or(0));
        let from = self.arrived_ns.saturating_add(before);
        (from, from.saturating_add(self.read_ns).saturating_add(self.write_ns))
    }
}

/// How long it read and wrote; where the runtime does not say, the first token parts the two.
fn phases(call: Call<'_>, before: u64) -> Option<(u64, u64)> {
    let span = call.span();
    if let (Some(read), Some(write)) = (call.ns(Phase::Prompt), call.ns(Phase::Generate)) {
        return Some((read, write));
    }
    let first = span.timings.ttft_ns?;
    Some((first.saturating_sub(before), span.duration_ns.saturating_sub(first)))
}

#[cfg(test)]
pub(crate) mod tests {
    use andon_model::{LlmKind, Timings};

    use super::*;

    pub(crate) const SECOND: u64 = 1_000_000_000;

    /// Reads 100 tokens in 1 s and writes 20 in 2 s.
    pub(crate) fn served(arrived_s: u64, model: &str) -> Served {
        Served {
            arrived_ns: arrived_s * SECOND,
            model: model.into(),
            session: None,
            queue_ns: 0,
            load_ns: None,
            prompt: 100,
            read: 100,
            read_ns: SECOND,
            written: 20,
            write_ns: 2 * SECOND,
            rest_ns: 0,
            keep_alive: None,
            threads: None,
        }
    }

    fn span() -> Span {
        Span {
            llm_kind: Some(LlmKind::Llm),
            model: Some("m".to_owned()),
            start_ns: 7,
            duration_ns: 10 * SECOND,
            input_tokens: Some(100),
            cached_tokens: Some(60),
            output_tokens: Some(20),
            timings: Timings {
                queue_ns: Some(SECOND),
                load_ns: Some(2 * SECOND),
                prompt_eval_ns: Some(3 * SECOND),
                eval_ns: Some(3 * SECOND),
                ..Timings::default()
            },
            ..Span::default()
        }
    }

    #[test]
    fn a_call_says_where_its_time_went() {
        let call = Served::of(&span()).unwrap();
        assert_eq!((call.prompt, call.read, call.written), (100, 40, 20));
        assert_eq!((call.queue_ns, call.load_ns), (SECOND, Some(2 * SECOND)));
        assert_eq!((call.rest_ns, call.total_ns()), (SECOND, 10 * SECOND));
        assert_eq!(call.worked(), (7 + 3 * SECOND, 7 + 9 * SECOND));
    }

    #[test]
    fn without_phases_the_first_token_parts_reading_from_writing() {
        let mut span = span();
        span.timings = Timings { ttft_ns: Some(4 * SECOND), ..Timings::default() };
        let call = Served::of(&span).unwrap();
        assert_eq!((call.read_ns, call.write_ns, call.rest_ns), (4 * SECOND, 6 * SECOND, 0));
        span.timings.ttft_ns = None;
        assert!(Served::of(&span).is_none());
    }

    #[test]
    fn what_failed_or_is_no_call_is_left_out() {
        let failed = Span { status: Status::Error, ..span() };
        let none = Span { llm_kind: None, ..span() };
        assert!(Served::of(&failed).is_none() && Served::of(&none).is_none());
    }
}
