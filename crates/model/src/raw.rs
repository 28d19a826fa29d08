//! Text before it was protected. It can be neither serialised, logged nor printed: [`RawText`]
//! has no `Debug`, no `Display` and no `Serialize` on purpose.

use std::borrow::Cow;

use crate::{
    Evaluation, EvaluationSource, MetricPoint, MetricType, Named, Part, Policy, Span, SpanId,
    TraceId, UnixNanos,
};

/// A prompt, an answer or anything that may hold a piece of one.
#[derive(Clone, Default)]
pub struct RawText(String);

impl RawText {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for `andon-privacy` and for evaluators, which hand on results only.
    /// Whoever calls this answers for it that nothing of it reaches disk, log or live view.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn push_str(&mut self, more: &str) {
        self.0.push_str(more);
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Cuts the text to at most `bytes`, between two characters.
    pub fn truncate(&mut self, bytes: usize) {
        if bytes < self.0.len() {
            let end = (0..=bytes).rev().find(|at| self.0.is_char_boundary(*at)).unwrap_or(0);
            self.0.truncate(end);
        }
    }
}

/// One message of a call, not yet protected.
#[derive(Clone)]
pub struct RawContent {
    pub part: Part,
    pub role: Option<String>,
    pub idx: u32,
    pub text: RawText,
}

/// The texts of one call, each with its place within its part.
#[derive(Default)]
pub struct Contents {
    texts: Vec<RawContent>,
    next: [u32; Part::ALL.len()],
}

impl Contents {
    /// Adds a text; an empty one says nothing and is left out.
    pub fn push(&mut self, part: Part, role: Option<&str>, text: RawText) {
        if text.is_empty() {
            return;
        }
        let next = &mut self.next[part as usize];
        self.texts.push(RawContent { part, role: role.map(str::to_owned), idx: *next, text });
        *next += 1;
    }

    /// Leaves out what is not wanted; places stay as they were given.
    pub fn retain(&mut self, wanted: impl FnMut(&RawContent) -> bool) {
        self.texts.retain(wanted);
    }

    pub fn as_slice(&self) -> &[RawContent] {
        &self.texts
    }

    pub fn into_vec(self) -> Vec<RawContent> {
        self.texts
    }
}

/// What an attribute's text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Somebody's words, of which as much is kept as of a prompt.
    Words,
    /// A text of its own that may quote the call's texts, as an error does.
    Quotes,
}

/// An attribute that is not yet protected.
#[derive(Clone)]
pub struct RawAttribute {
    pub name: Cow<'static, str>,
    pub text: RawText,
    pub holds: Holds,
}

/// A finished span with everything that was seen of it, on its way to `andon-privacy`.
#[derive(Clone)]
pub struct Observation {
    /// `error_message` is empty here; it comes from [`Self::error_message`] once it is protected.
    pub span: Span,
    pub contents: Vec<RawContent>,
    /// Those of the span's attributes that may hold somebody's words.
    pub attributes: Vec<RawAttribute>,
    /// What failed, in words; it may quote a prompt.
    pub error_message: Option<RawText>,
    /// Texts of the same call that are kept with another span: the error is scrubbed of them too.
    pub related: Vec<RawText>,
    /// What the caller asked for; the stricter of this and the configured policy holds.
    pub policy: Option<Policy>,
}

/// Texts of a span that came without it: conventions send a call's messages as log records, too, and
/// these before the span in most cases.
#[derive(Clone)]
pub struct LooseTexts {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub time_ns: UnixNanos,
    pub contents: Vec<RawContent>,
}

/// An evaluation whose reason, which may quote what was judged, is not yet protected.
#[derive(Clone)]
pub struct Judgement {
    /// `reason` is empty here; it comes from [`Self::reason`] once it is protected.
    pub evaluation: Evaluation,
    pub reason: Option<RawText>,
}

impl Judgement {
    /// What an SDK says of a span, before its score or label.
    pub fn by_sdk(
        trace_id: TraceId,
        span_id: SpanId,
        time_ns: UnixNanos,
        evaluator: String,
        metric_type: MetricType,
    ) -> Self {
        let evaluation = Evaluation {
            trace_id,
            span_id,
            time_ns,
            evaluator,
            version: None,
            metric_type,
            score: None,
            label: None,
            reason: None,
            source: EvaluationSource::Sdk,
            duration_ns: None,
        };
        Self { evaluation, reason: None }
    }
}

/// A point of a metric, some of whose tags may be somebody's words.
#[derive(Clone)]
pub struct RawMetric {
    pub point: MetricPoint,
    pub tags: Vec<RawAttribute>,
}

impl From<Span> for Observation {
    fn from(span: Span) -> Self {
        Self {
            span,
            contents: Vec::new(),
            attributes: Vec::new(),
            error_message: None,
            related: Vec::new(),
            policy: None,
        }
    }
}
