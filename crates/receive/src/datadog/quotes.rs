//! Failures quote what was asked, and not only in the span that has the text: the caller's span says
//! the same error once more, often from another program. So the texts of a trace are remembered for a
//! while, and handed on beside each failure of it, for `andon-privacy` to take out.
//!
//! What comes before the texts cannot be scrubbed of them. Of a span whose event is still to come the
//! failure's words are therefore kept back: the event has them, too.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use andon_model::{Observation, RawText, TraceId};

use crate::normalise::Incoming;

/// Texts that are remembered of one trace, and bytes of each: an error quotes beginnings.
const MAX_TEXTS: usize = 64;
const MAX_TEXT_BYTES: usize = 8 << 10;
/// All traces together; the oldest goes first.
const MAX_BYTES: usize = 32 << 20;
/// A trace is over by then.
const MAX_AGE: Duration = Duration::from_secs(600);
/// What a short text takes beside itself, and its trace.
const OVERHEAD: usize = 192;
/// Copies for the failures of one request. Further failures lose their words.
const MAX_COPIED_BYTES: usize = 64 << 20;

/// Texts by their traces; clones are of the same.
#[derive(Clone, Default)]
pub(super) struct Quotes(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    texts: HashMap<TraceId, Vec<RawText>>,
    by_age: VecDeque<(Instant, TraceId)>,
    bytes: usize,
}

impl Quotes {
    /// Remembers what was asked and answered, and hands it on beside what failed.
    pub(super) fn relate(&self, spans: &mut [Observation]) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        spans.iter().for_each(|span| inner.remember(span, now));
        inner.shrink(now);
        let mut copied = 0;
        for span in spans.iter_mut().filter(|span| has_failure(span)) {
            let Some(texts) = inner.texts.get(&span.span.trace_id) else { continue };
            copied += texts.iter().map(RawText::len).sum::<usize>();
            if copied <= MAX_COPIED_BYTES {
                span.related.extend(texts.iter().cloned());
            } else {
                span.error_message = None;
                span.attributes.retain(|attribute| !is_of_failure(&attribute.name));
            }
        }
    }
}

impl Inner {
    fn remember(&mut self, span: &Observation, now: Instant) {
        if span.contents.is_empty() {
            return;
        }
        let trace = span.span.trace_id;
        let by_age = &mut self.by_age;
        let texts = self.texts.entry(trace).or_insert_with(|| {
            by_age.push_back((now, trace));
            Vec::new()
        });
        for content in &span.contents {
            let text = beginning(content.text.expose());
            if texts.len() < MAX_TEXTS && texts.iter().all(|known| known.expose() != text) {
                self.bytes += text.len() + OVERHEAD;
                texts.push(RawText::new(text));
            }
        }
        if self.bytes > MAX_BYTES {
            self.shrink(now);
        }
    }

    fn shrink(&mut self, now: Instant) {
        while let Some((came, oldest)) = self.by_age.front().copied()
            && (self.bytes > MAX_BYTES || now.duration_since(came) > MAX_AGE)
        {
            self.by_age.pop_front();
            let gone = self.texts.remove(&oldest).unwrap_or_default();
            self.bytes -= gone.iter().map(|text| text.len() + OVERHEAD).sum::<usize>();
        }
    }
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}

fn is_of_failure(name: &str) -> bool {
    name.starts_with("error.") || name.contains("exception.")
}

fn has_failure(span: &Observation) -> bool {
    span.error_message.is_some()
        || span.attributes.iter().any(|attribute| is_of_failure(&attribute.name))
}

/// The span without the words of its failure; what kind of failure it is stays.
pub(super) fn keep_back(incoming: &mut Incoming) {
    incoming.message = None;
    incoming.attributes.retain(|attribute| {
        !matches!(attribute.key.as_ref(), b"error.message" | b"error.msg" | b"error.stack")
    });
}

#[cfg(test)]
mod tests {
    use andon_model::{Part, RawContent, Span};

    use super::*;

    #[test]
    fn many_traces_and_long_texts_push_out_the_oldest() {
        let quotes = Quotes::default();
        let of = |text: String| {
            let span = Span::new(TraceId::random(), "s", "n");
            let text = RawText::new(text);
            let contents = vec![RawContent { part: Part::Input, role: None, idx: 0, text }];
            Observation { contents, ..Observation::from(span) }
        };
        for _ in 0..6_000 {
            quotes.relate(&mut [of("日".repeat(MAX_TEXT_BYTES))]);
        }
        let inner = quotes.0.lock().unwrap();
        assert!(inner.bytes <= MAX_BYTES && inner.texts.len() > 1_000, "{}", inner.bytes);
        assert_eq!(inner.texts.len(), inner.by_age.len());
        drop(inner);
        // Failures beyond what may be copied lose their words, and nothing else.
        let mut all: Vec<_> = (0..20_000).map(|_| of(String::new())).collect();
        let mut first = of("x".repeat(MAX_TEXT_BYTES));
        for one in &mut all {
            one.span.trace_id = first.span.trace_id;
            one.contents.clear();
            one.error_message = Some(RawText::new("no"));
        }
        first.error_message = None;
        all.push(first);
        quotes.relate(&mut all);
        assert_eq!(all[0].related.len(), 1);
        let last = &all[19_999];
        assert!(last.related.is_empty() && last.error_message.is_none());
    }
}
