//! Masking before anything touches disk, log or live view.
//!
//! [`Protected`] can be made by this crate alone, and `andon-store` accepts nothing else, so that a
//! text which did not pass here does not compile its way to the disk. What a newcomer gets wrong:
//! error messages quote prompts too; they are scrubbed here with the call's own texts at hand.

mod again;
mod cut;
mod limits;
mod mask;
mod scrub;
mod split;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use andon_model::{Content, Observation, Policy, RawText, Span};
use serde::{Deserialize, Serialize};

use cut::Cut;
pub use limits::SpanLimits;
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

/// Applies the configured policy, and then the limits, to everything on its way to the store. Clones
/// count together.
#[derive(Debug, Clone)]
pub struct Protector {
    policy: Policy,
    language: NoticeLanguage,
    limits: SpanLimits,
    cut: Arc<AtomicU64>,
}

impl Protector {
    /// With the default limits.
    pub fn new(policy: Policy, language: NoticeLanguage) -> Self {
        let limits = SpanLimits::default().with_room_for_marks();
        Self { policy, language, limits, cut: Arc::default() }
    }

    /// With other limits; the smallest ones leave room for the marks of what was cut.
    pub fn with_limits(self, limits: SpanLimits) -> Self {
        Self { limits: limits.with_room_for_marks(), ..self }
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The limits that hold.
    pub fn limits(&self) -> SpanLimits {
        self.limits
    }

    /// Spans that were over a limit and were cut, since the first of the clones was made.
    pub fn spans_cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// Protects finished spans. Each takes the stricter of the configured policy and its own.
    pub fn protect(&self, observations: Vec<Observation>) -> Protected<SpanBatch> {
        let mut batch = SpanBatch::default();
        let mut cuts = Vec::new();
        for observation in observations {
            let policy =
                observation.policy.map_or(self.policy, |asked| self.policy.stricter(asked));
            let Observation { mut span, contents, error_message, related, .. } = observation;
            let mut cut = Cut::default();
            span.error_message = error_message.map(|message| {
                let texts = contents.iter().map(|content| &content.text).chain(&related);
                self.scrub(&message, texts, policy, &mut cut)
            });
            cuts.push(cut);
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
        self.within_limits(batch, cuts)
    }

    /// An error message without what it quotes of these texts, and no longer than it may be.
    fn scrub<'a>(
        &self,
        message: &RawText,
        texts: impl Iterator<Item = &'a RawText>,
        policy: Policy,
        cut: &mut Cut,
    ) -> String {
        let most = self.limits.error_message_bytes;
        if message.len() > most {
            cut.field("error_message");
        }
        scrub::scrub(message, texts, policy, most)
    }

    /// The only way out of here: whatever the policy left is brought within the limits.
    fn within_limits(&self, mut batch: SpanBatch, cuts: Vec<Cut>) -> Protected<SpanBatch> {
        let spans = self.limits.apply(&mut batch, cuts, self.language);
        self.cut.fetch_add(spans, Ordering::Relaxed);
        Protected(batch)
    }
}

#[cfg(test)]
mod tests;
