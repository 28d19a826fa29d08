//! Masking before anything touches disk, log or live view.
//!
//! [`Protected`] can be made by this crate alone, and `andon-store` accepts nothing else, so that a
//! text which did not pass here does not compile its way to the disk. What a newcomer gets wrong:
//! error messages quote prompts too; they are scrubbed here with the call's own texts at hand.

mod again;
mod mask;
mod scrub;

use andon_model::{Content, Observation, Policy, Span};
use serde::{Deserialize, Serialize};

pub use mask::NoticeLanguage;

/// A value that holds no more of anybody's text than the policy allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Protected<T>(T);

impl<T> Protected<T> {
    pub fn get(&self) -> &T {
        &self.0
    }

    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Spans and what was kept of their texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanBatch {
    pub spans: Vec<Span>,
    pub contents: Vec<Content>,
}

/// Applies the configured policy to everything on its way to the store.
#[derive(Debug, Clone, Copy)]
pub struct Protector {
    policy: Policy,
    language: NoticeLanguage,
}

impl Protector {
    /// Longest error message that is kept, in characters.
    pub const MAX_ERROR_CHARS: usize = 2_000;

    pub fn new(policy: Policy, language: NoticeLanguage) -> Self {
        Self { policy, language }
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Protects finished spans. Each takes the stricter of the configured policy and its own.
    pub fn protect(&self, observations: Vec<Observation>) -> Protected<SpanBatch> {
        let mut batch = SpanBatch::default();
        for observation in observations {
            let policy =
                observation.policy.map_or(self.policy, |asked| self.policy.stricter(asked));
            let Observation { mut span, contents, error_message, related, .. } = observation;
            span.error_message = error_message.map(|message| {
                let texts = contents.iter().map(|content| &content.text).chain(&related);
                scrub::scrub(&message, texts, policy)
            });
            let time_ns = span.start_ns;
            batch.contents.extend(contents.into_iter().map(|raw| {
                let masked = mask::mask(raw.text.expose(), policy, self.language);
                Content {
                    trace_id: span.trace_id,
                    span_id: span.span_id,
                    time_ns,
                    part: raw.part,
                    role: raw.role,
                    idx: raw.idx,
                    text: masked.text,
                    policy,
                    original_length: masked.original_length,
                    kept_length: masked.kept_length,
                }
            }));
            batch.spans.push(span);
        }
        Protected(batch)
    }
}

#[cfg(test)]
mod tests;
