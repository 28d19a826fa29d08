//! Masking before anything touches disk, log or live view.
//!
//! [`Protected`] can be made by this crate alone, and `andon-store` accepts nothing else, so that a
//! text which did not pass here does not compile its way to the disk. What a newcomer gets wrong:
//! error messages quote prompts too; they are scrubbed here with the call's own texts at hand.

mod again;
mod cut;
mod heard;
mod limits;
mod mask;
mod scrub;
mod split;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use andon_model::{
    Content, Evaluation, Holds, Judgement, LooseTexts, MetricPoint, Observation, Policy,
    RawAttribute, RawContent, RawMetric, RawText, Source, Span, SpanId, TraceId, UnixNanos,
};
use serde::{Deserialize, Serialize};

use cut::Cut;
use heard::Heard;
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
    heard: Arc<Heard>,
}

impl Protector {
    /// With the default limits.
    pub fn new(policy: Policy, language: NoticeLanguage) -> Self {
        let limits = SpanLimits::default().with_room_for_marks();
        Self { policy, language, limits, cut: Arc::default(), heard: Arc::default() }
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
        let incomparable = self.hear(&observations);
        for (observation, is_incomparable) in observations.into_iter().zip(incomparable) {
            let policy =
                observation.policy.map_or(self.policy, |asked| self.policy.stricter(asked));
            let Observation { mut span, contents, attributes, error_message, related, .. } =
                observation;
            let mut cut = Cut::default();
            let texts = || contents.iter().map(|content| &content.text).chain(&related);
            let trace = span.trace_id;
            let protected = attributes.into_iter().filter_map(|attribute| {
                let RawAttribute { name, text, holds } = attribute;
                let kept = if holds == Holds::Words || (is_incomparable && is_of_an_error(&name)) {
                    mask::mask(text.expose(), policy, self.language).text
                } else {
                    let most = self.limits.attribute_value_bytes;
                    scrub::scrub(&text, texts(), (&self.heard, trace), policy, most)
                };
                (!kept.is_empty()).then(|| (name, kept.into()))
            });
            span.attributes.extend(protected);
            let message = error_message.map(|message| {
                if is_incomparable {
                    mask::mask(message.expose(), policy, self.language).text
                } else {
                    self.scrub(&message, texts(), trace, policy, &mut cut)
                }
            });
            span.error_message = message.filter(|message| !message.is_empty());
            cuts.push(cut);
            let of = (span.trace_id, span.span_id, span.start_ns);
            batch.contents.extend(contents.into_iter().map(|raw| self.content(of, raw, policy)));
            batch.spans.push(span);
        }
        self.within_limits(batch, cuts)
    }

    /// Remembers what was asked and answered, for the errors of other spans. Of each span: whether it is
    /// of a trace with calls of models of which no text was heard, so that its error could quote them
    /// unrecognised.
    fn hear(&self, observations: &[Observation]) -> Vec<bool> {
        if self.policy == Policy::Full {
            return vec![false; observations.len()];
        }
        for seen in observations {
            let texts = seen.contents.iter().map(|content| &content.text).chain(&seen.related);
            self.heard.add(seen.span.trace_id, texts);
            if seen.span.llm_kind.is_some() {
                self.heard.note_call(seen.span.trace_id);
            }
        }
        // Of what Andon saw itself there is nothing that it did not hear.
        let is_told = |span: &Span| matches!(span.source, Source::Otlp | Source::Datadog);
        let is_incomparable =
            |seen: &Observation| is_told(&seen.span) && self.heard.is_silent(seen.span.trace_id);
        observations.iter().map(is_incomparable).collect()
    }

    /// Remembers what was said in spans that are not kept: a failure that is told elsewhere in their trace
    /// may quote it all the same.
    pub fn overhear(&self, observations: &[Observation], texts: &[LooseTexts]) {
        self.hear(observations);
        self.hear_texts(texts);
    }

    fn hear_texts(&self, texts: &[LooseTexts]) {
        if self.policy == Policy::Full {
            return;
        }
        for of_span in texts {
            let all = of_span.contents.iter().map(|content| &content.text);
            self.heard.add(of_span.trace_id, all);
        }
    }

    /// Protects texts that came without their spans.
    pub fn protect_texts(&self, texts: Vec<LooseTexts>) -> Protected<SpanBatch> {
        let mut batch = SpanBatch::default();
        self.hear_texts(&texts);
        for LooseTexts { trace_id, span_id, time_ns, contents } in texts {
            let of = (trace_id, span_id, time_ns);
            batch
                .contents
                .extend(contents.into_iter().map(|raw| self.content(of, raw, self.policy)));
        }
        self.within_limits(batch, Vec::new())
    }

    /// Protects evaluations of others. A reason is treated as the text that it may quote.
    pub fn protect_judgements(&self, judgements: Vec<Judgement>) -> Vec<Evaluation> {
        let protect = |Judgement { mut evaluation, reason }: Judgement| {
            let kept = |text: RawText| mask::mask(text.expose(), self.policy, self.language).text;
            evaluation.reason = reason.map(kept).filter(|text| !text.is_empty());
            self.limits.bound_evaluation(&mut evaluation);
            evaluation
        };
        judgements.into_iter().map(protect).collect()
    }

    /// Protects points of metrics. Tags have no text beside them that they could quote.
    pub fn protect_metrics(&self, metrics: Vec<RawMetric>) -> Vec<MetricPoint> {
        let protect = |RawMetric { mut point, tags }: RawMetric| {
            point.tags.extend(tags.into_iter().filter_map(
                |RawAttribute { name, text, .. }| {
                    let kept = mask::mask(text.expose(), self.policy, self.language).text;
                    (!kept.is_empty()).then(|| (name, kept.into()))
                },
            ));
            self.limits.bound_metric(&mut point);
            point
        };
        metrics.into_iter().map(protect).collect()
    }

    fn content(
        &self,
        (trace_id, span_id, time_ns): (TraceId, SpanId, UnixNanos),
        raw: RawContent,
        policy: Policy,
    ) -> Content {
        let masked = mask::mask(raw.text.expose(), policy, self.language);
        Content {
            trace_id,
            span_id,
            time_ns,
            part: raw.part,
            role: raw.role,
            idx: raw.idx,
            text: masked.text,
            policy,
            original_length: masked.original_length,
            kept_length: masked.kept_length,
        }
    }

    /// An error message without what it quotes of these texts, and no longer than it may be.
    fn scrub<'a>(
        &self,
        message: &RawText,
        texts: impl Iterator<Item = &'a RawText>,
        trace: TraceId,
        policy: Policy,
        cut: &mut Cut,
    ) -> String {
        let most = self.limits.error_message_bytes;
        if message.len() > most {
            cut.field("error_message");
        }
        scrub::scrub(message, texts, (&self.heard, trace), policy, most)
    }

    /// The only way out of here: whatever the policy left is brought within the limits.
    fn within_limits(&self, mut batch: SpanBatch, cuts: Vec<Cut>) -> Protected<SpanBatch> {
        let spans = self.limits.apply(&mut batch, cuts, self.language);
        self.cut.fetch_add(spans, Ordering::Relaxed);
        Protected(batch)
    }
}

/// Whether an attribute tells of a failure, as its message does.
fn is_of_an_error(name: &str) -> bool {
    ["exception.", "error."].iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests;
