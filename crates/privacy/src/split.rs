//! A batch made several, each of which the store takes in one piece.

use std::collections::HashMap;

use andon_model::{Content, Span, SpanId, TraceId};

use crate::{Protected, SpanBatch};

/// What a span is taken to weigh without its attributes and its error message.
const SPAN_BYTES: usize = 512;
const CONTENT_BYTES: usize = 128;

impl Protected<SpanBatch> {
    /// Batches of about `most_bytes`, in their order; this one, where it is no larger. A span stays
    /// with its texts, unless they are too large for one batch themselves.
    pub fn split(self, most_bytes: usize) -> Vec<Self> {
        let SpanBatch { spans, contents } = &self.0;
        let bytes: usize =
            spans.iter().map(weight).chain(contents.iter().map(content_weight)).sum();
        if bytes <= most_bytes {
            return vec![self];
        }
        let SpanBatch { spans, contents } = self.0;
        let mut of_spans: HashMap<(TraceId, SpanId), Vec<Content>> = HashMap::new();
        for content in contents {
            of_spans.entry((content.trace_id, content.span_id)).or_default().push(content);
        }
        let mut pieces = Pieces { most_bytes, ..Pieces::default() };
        for span in spans {
            let texts = of_spans.remove(&(span.trace_id, span.span_id)).unwrap_or_default();
            let all = weight(&span) + texts.iter().map(content_weight).sum::<usize>();
            pieces.make_room(all);
            pieces.bytes += weight(&span);
            pieces.last.spans.push(span);
            texts.into_iter().for_each(|text| pieces.add(text));
        }
        let mut alone: Vec<_> = of_spans.into_values().flatten().collect();
        alone.sort_by_key(|text| (text.time_ns, text.trace_id, text.span_id, text.idx));
        alone.into_iter().for_each(|text| pieces.add(text));
        pieces.finish()
    }
}

#[derive(Default)]
struct Pieces {
    most_bytes: usize,
    done: Vec<Protected<SpanBatch>>,
    last: SpanBatch,
    bytes: usize,
}

impl Pieces {
    fn make_room(&mut self, bytes: usize) {
        if self.bytes > 0 && self.bytes + bytes > self.most_bytes {
            self.done.push(Protected(std::mem::take(&mut self.last)));
            self.bytes = 0;
        }
    }

    fn add(&mut self, text: Content) {
        let bytes = content_weight(&text);
        self.make_room(bytes);
        self.bytes += bytes;
        self.last.contents.push(text);
    }

    fn finish(mut self) -> Vec<Protected<SpanBatch>> {
        self.done.push(Protected(self.last));
        self.done
    }
}

fn weight(span: &Span) -> usize {
    SPAN_BYTES
        + span.attributes.weight()
        + span.error_message.as_ref().map_or(0, String::len)
        + span.name.len()
}

fn content_weight(content: &Content) -> usize {
    CONTENT_BYTES + content.text.len()
}
