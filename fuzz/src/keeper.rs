//! Protects as the real keeper does, and looks at what came and what is left of it.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use andon_model::{Attributes, Policy, Span};
use andon_privacy::{NoticeLanguage, Protector, SpanBatch};
use andon_receive::{Batch, Keep, Refused};

use crate::Kept;

/// As large as `andon up` makes the store's records (`andon/src/pipeline.rs`).
const RECORD_BYTES: usize = 4 << 20;

pub struct Keeper {
    protector: Protector,
    kept: Mutex<Kept>,
}

impl Keeper {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { protector: Protector::new(policy, NoticeLanguage::English), kept: Mutex::default() }
    }

    pub(crate) fn take(&self) -> Kept {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What `Keeper::append` in `andon/src/receive.rs` does, up to the store.
    fn append(&self, batch: Batch) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.weight += weight(&batch);
        for spans in self.protector.protect(batch.spans).split(RECORD_BYTES) {
            self.add(&mut kept, spans.into_inner());
        }
        for texts in self.protector.protect_texts(batch.texts).split(RECORD_BYTES) {
            self.add(&mut kept, texts.into_inner());
        }
        for evaluation in self.protector.protect_judgements(batch.evaluations) {
            assert_numbers([evaluation.score], &evaluation.evaluator);
            kept.evaluations.push(evaluation);
        }
        for point in self.protector.protect_metrics(batch.metrics) {
            self.assert_bounded(&point.tags);
            assert_numbers([point.value, point.sum, point.min, point.max], &point.name);
            kept.metrics.push(point);
        }
    }

    fn add(&self, kept: &mut Kept, batch: SpanBatch) {
        let limits = self.protector.limits();
        for span in &batch.spans {
            self.assert_bounded(&span.attributes);
            assert_numbers([span.cost], &span.name);
            assert!(span.name.len() <= limits.name_bytes);
            assert!(span.service.len() <= limits.name_bytes);
            let message = span.error_message.as_ref().map_or(0, String::len);
            assert!(message <= limits.error_message_bytes);
        }
        for content in &batch.contents {
            assert!(content.text.len() <= limits.text_bytes);
            match content.policy {
                Policy::Full => {}
                Policy::Mask(visible) => assert!(content.kept_length <= u64::from(visible)),
                Policy::None => assert!(content.text.is_empty()),
            }
        }
        kept.spans.extend(batch.spans);
        kept.contents.extend(batch.contents);
    }

    fn assert_bounded(&self, attributes: &Attributes) {
        let limits = self.protector.limits();
        assert!(attributes.len() <= limits.attributes, "{} attributes", attributes.len());
        assert!(attributes.weight() <= limits.attribute_bytes, "{} bytes", attributes.weight());
    }
}

impl Keep for Keeper {
    fn keep(&self, batch: Batch) -> Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>> {
        self.append(batch);
        Box::pin(async { Ok(()) })
    }
}

/// In a column, one that is none would spoil all sums over it.
fn assert_numbers<const N: usize>(numbers: [Option<f64>; N], of: &str) {
    assert!(numbers.iter().flatten().all(|number| number.is_finite()), "{numbers:?} of {of}");
}

/// Bytes of all texts that were handed on.
fn weight(batch: &Batch) -> usize {
    let spans = batch.spans.iter().map(|seen| {
        let contents: usize = seen.contents.iter().map(|content| content.text.len()).sum();
        let attributes = seen.attributes.iter().map(|held| held.name.len() + held.text.len());
        let message = seen.error_message.as_ref().map_or(0, andon_model::RawText::len);
        contents + attributes.sum::<usize>() + message + columns(&seen.span)
    });
    let texts = batch.texts.iter().flat_map(|texts| &texts.contents);
    let metrics = batch.metrics.iter().map(|raw| {
        let tags = raw.tags.iter().map(|held| held.name.len() + held.text.len());
        raw.point.name.len() + raw.point.tags.weight() + tags.sum::<usize>()
    });
    spans.sum::<usize>()
        + texts.map(|content| content.text.len()).sum::<usize>()
        + metrics.sum::<usize>()
}

fn columns(span: &Span) -> usize {
    let texts = [&span.env, &span.version, &span.host, &span.resource, &span.model, &span.user_id];
    let texts = texts.into_iter().flatten().map(String::len);
    span.attributes.weight() + span.name.len() + span.service.len() + texts.sum::<usize>()
}
