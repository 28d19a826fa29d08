//! A call to a model, as its span tells it.

use andon_model::{AttributeValue, LlmKind, Phase, Span, UnixNanos};

use crate::past::{KeepAlive, keep_alive, model_of};

/// A load that took at least this long was one; below it the runtime looked a loaded model up.
pub(crate) const LEAST_LOAD_NS: u64 = 100_000_000;

/// In the order in which a call goes through them.
pub(crate) const PHASES: [Phase; 4] = [Phase::Queue, Phase::Load, Phase::Prompt, Phase::Generate];

pub(crate) fn is_call(span: &Span) -> bool {
    matches!(span.llm_kind, Some(LlmKind::Llm | LlmKind::Embedding))
}

/// A sum of numbers that others have sent, which may be any.
pub(crate) fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

/// A span that is a call to a model, and what is asked of it again and again.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a>(pub(crate) &'a Span);

impl Call<'_> {
    /// How long a phase took.
    pub fn ns(self, phase: Phase) -> Option<u64> {
        let timings = &self.0.timings;
        match phase {
            Phase::Queue => timings.queue_ns,
            Phase::Load => timings.load_ns,
            Phase::Prompt => timings.prompt_eval_ns,
            Phase::Generate => timings.eval_ns,
        }
    }

    /// When a phase ran. A runtime says how long each took, and they follow each other; what it does
    /// not explain lies, as far as can be known, behind them.
    pub(crate) fn extent(self, phase: Phase) -> (UnixNanos, UnixNanos) {
        let before = PHASES.into_iter().take_while(|it| *it != phase);
        let before = total(before.filter_map(|it| self.ns(it)));
        let start = self.0.start_ns.saturating_add(before).min(self.0.end_ns());
        let end = start.saturating_add(self.ns(phase).unwrap_or(0));
        (start, end.min(self.0.end_ns()))
    }

    /// Tokens of the prompt that were read anew; `None` where the runtime does not tell them from
    /// those in its cache.
    pub fn read(self) -> Option<u64> {
        let all = self.0.input_tokens?;
        if let Some(cached) = self.0.cached_tokens {
            return Some(all.saturating_sub(cached));
        }
        // Ollama counts the whole prompt, and has read what earlier prompts did not begin with.
        Some(all.saturating_sub((all as f64 * self.shared().unwrap_or(0.0)) as u64))
    }

    /// The share of the prompt, 0 to 1, that earlier prompts for this model began with too; known of
    /// captured calls.
    pub(crate) fn shared(self) -> Option<f64> {
        let shared = self.number("andon.prompt.shared_bytes")?;
        let all = self.number("andon.prompt.bytes").filter(|all| *all > 0)?;
        Some((shared as f64 / all as f64).min(1.0))
    }

    /// An attribute that is a whole number.
    pub fn number(self, name: &str) -> Option<u64> {
        match self.0.attributes.get(name)? {
            AttributeValue::Int(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(crate) fn share(self, name: &str) -> Option<f64> {
        match self.0.attributes.get(name)? {
            AttributeValue::Float(value) => Some(*value),
            AttributeValue::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// A load, and no mere look at a loaded model.
    pub fn loaded_ns(self) -> Option<u64> {
        self.ns(Phase::Load).filter(|ns| *ns >= LEAST_LOAD_NS)
    }

    /// Time that no phase explains; `None` where the phases are not known.
    pub(crate) fn rest_ns(self) -> Option<u64> {
        self.ns(Phase::Generate)?;
        let known = total(PHASES.into_iter().filter_map(|phase| self.ns(phase)));
        Some(self.0.duration_ns.saturating_sub(known))
    }
}

impl<'a> Call<'a> {
    /// `None` for a span of another kind.
    pub fn of(span: &'a Span) -> Option<Self> {
        is_call(span).then_some(Self(span))
    }

    pub fn span(self) -> &'a Span {
        self.0
    }

    /// The name that what is usual is kept under; empty where no model is named.
    pub fn model(self) -> &'a str {
        model_of(self.0)
    }

    /// How long the call wanted its model to be kept afterwards, if it said so.
    pub fn keep_alive(self) -> Option<KeepAlive> {
        keep_alive(self.0)
    }

    /// An attribute in words.
    pub(crate) fn word(self, name: &str) -> Option<&'a str> {
        match self.0.attributes.get(name)? {
            AttributeValue::Text(text) => Some(text),
            _ => None,
        }
    }
}
