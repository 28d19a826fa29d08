//! A span cut down to what the list needs of it. Services, names and models repeat from span to
//! span, so spans that share all of these share one [`Shape`].

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use andon_model::{Cause, LlmKind, Source, Span, SpanId, SpanKind, Status, Timings};

use super::At;

/// Longest text that is remembered for the list; the whole one is in the log.
const MAX_TEXT_CHARS: usize = 256;
/// The set of shapes is swept when it has doubled, from this size on.
const SWEEP_FROM: usize = 1_024;

#[derive(Debug)]
pub(super) struct Shape {
    pub(super) service: Box<str>,
    pub(super) name: Box<str>,
    pub(super) resource: Option<Box<str>>,
    pub(super) model: Option<Box<str>>,
    pub(super) model_requested: Option<Box<str>>,
    pub(super) error_type: Option<Box<str>>,
    pub(super) host: Option<Box<str>>,
    pub(super) kind: SpanKind,
    pub(super) llm_kind: Option<LlmKind>,
    pub(super) source: Source,
}

/// A shape as it lies in a span: most are known, and looking for one must cost no allocation.
#[derive(PartialEq, Eq, Hash)]
struct Outline<'a> {
    service: &'a str,
    name: &'a str,
    resource: Option<&'a str>,
    model: Option<&'a str>,
    model_requested: Option<&'a str>,
    error_type: Option<&'a str>,
    host: Option<&'a str>,
    kind: SpanKind,
    llm_kind: Option<LlmKind>,
    source: Source,
}

impl<'a> Outline<'a> {
    fn of(span: &'a Span) -> Self {
        Self {
            service: cut(&span.service),
            name: cut(&span.name),
            resource: span.resource.as_deref().map(cut),
            model: span.model.as_deref().map(cut),
            model_requested: span.model_requested.as_deref().map(cut),
            error_type: span.error_type.as_deref().map(cut),
            host: span.host.as_deref().map(cut),
            kind: span.kind,
            llm_kind: span.llm_kind,
            source: span.source,
        }
    }

    fn to_shape(&self) -> Shape {
        Shape {
            service: self.service.into(),
            name: self.name.into(),
            resource: self.resource.map(Box::from),
            model: self.model.map(Box::from),
            model_requested: self.model_requested.map(Box::from),
            error_type: self.error_type.map(Box::from),
            host: self.host.map(Box::from),
            kind: self.kind,
            llm_kind: self.llm_kind,
            source: self.source,
        }
    }
}

impl Shape {
    fn outline(&self) -> Outline<'_> {
        Outline {
            service: &self.service,
            name: &self.name,
            resource: self.resource.as_deref(),
            model: self.model.as_deref(),
            model_requested: self.model_requested.as_deref(),
            error_type: self.error_type.as_deref(),
            host: self.host.as_deref(),
            kind: self.kind,
            llm_kind: self.llm_kind,
            source: self.source,
        }
    }
}

#[derive(Debug)]
pub(super) struct Digest {
    pub(super) span_id: SpanId,
    pub(super) parent_id: Option<SpanId>,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) at: At,
    pub(super) shape: Arc<Shape>,
    pub(super) http_status: Option<u16>,
    pub(super) status: Status,
    pub(super) cause: Option<Cause>,
    pub(super) stream: Option<bool>,
    pub(super) ids: Option<Box<Ids>>,
    pub(super) llm: Option<Box<Llm>>,
}

#[derive(Debug)]
pub(super) struct Ids {
    pub(super) session: Option<Box<str>>,
    pub(super) request: Option<Box<str>>,
}

#[derive(Debug)]
pub(super) struct Llm {
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cached_tokens: Option<u64>,
    pub(super) timings: Timings,
}

impl Digest {
    /// A call to a model.
    pub(super) fn is_call(&self) -> bool {
        self.llm.is_some()
    }

    /// A call that made a text, and not a vector.
    pub(super) fn is_llm(&self) -> bool {
        self.shape.llm_kind == Some(LlmKind::Llm)
    }

    pub(super) fn session(&self) -> Option<&str> {
        self.ids.as_deref()?.session.as_deref()
    }

    pub(super) fn request(&self) -> Option<&str> {
        self.ids.as_deref()?.request.as_deref()
    }
}

/// Makes digests, and holds one of each shape.
#[derive(Debug, Default)]
pub(super) struct Digester {
    /// By the hash of their outline. Two of one hash are too rare to be worth more than a shape
    /// that nobody shares.
    shapes: HashMap<u64, Arc<Shape>>,
    hasher: RandomState,
    sweep_at: usize,
}

impl Digester {
    pub(super) fn digest(&mut self, span: &Span, at: At) -> Digest {
        let is_call = matches!(span.llm_kind, Some(LlmKind::Llm | LlmKind::Embedding));
        let session = span.session_id.as_deref().map(|id| cut(id).into());
        let request = span.request_id.as_ref().map(|id| cut(id.as_str()).into());
        let ids =
            (session.is_some() || request.is_some()).then(|| Box::new(Ids { session, request }));
        let llm = is_call.then(|| {
            Box::new(Llm {
                input_tokens: span.input_tokens,
                output_tokens: span.output_tokens,
                cached_tokens: span.cached_tokens,
                timings: span.timings,
            })
        });
        Digest {
            span_id: span.span_id,
            parent_id: span.parent_id,
            start_ns: span.start_ns,
            end_ns: span.end_ns(),
            at,
            shape: self.shape(span),
            http_status: span.http_status,
            status: span.status,
            cause: span.cause,
            stream: span.stream,
            ids,
            llm,
        }
    }

    fn shape(&mut self, span: &Span) -> Arc<Shape> {
        let outline = Outline::of(span);
        let hash = self.hasher.hash_one(&outline);
        if let Some(known) = self.shapes.get(&hash).filter(|shape| shape.outline() == outline) {
            return Arc::clone(known);
        }
        if self.shapes.len() >= self.sweep_at.max(SWEEP_FROM) {
            self.shapes.retain(|_, shape| Arc::strong_count(shape) > 1);
            self.sweep_at = self.shapes.len() * 2;
        }
        let shape = Arc::new(outline.to_shape());
        self.shapes.insert(hash, Arc::clone(&shape));
        shape
    }
}

/// Not counted in characters where its bytes are too few for so many: nearly always.
fn cut(text: &str) -> &str {
    if text.len() <= MAX_TEXT_CHARS {
        return text;
    }
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use andon_model::TraceId;

    use super::*;

    #[test]
    fn like_spans_share_a_shape_and_unused_shapes_go() {
        let mut digester = Digester::default();
        let first = digester.digest(&Span::new(TraceId::random(), "a", "b"), At::Sealed);
        let second = digester.digest(&Span::new(TraceId::random(), "a", "b"), At::Sealed);
        assert!(Arc::ptr_eq(&first.shape, &second.shape));
        for number in 0..5 * SWEEP_FROM {
            digester.digest(&Span::new(TraceId::random(), "a", number.to_string()), At::Sealed);
        }
        assert!(digester.shapes.len() <= SWEEP_FROM, "{}", digester.shapes.len());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut(&"東".repeat(1_000)).chars().count(), MAX_TEXT_CHARS);
        assert_eq!(cut("short"), "short");
    }
}
