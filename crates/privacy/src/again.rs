//! What was kept before, on its way in once more: an export of another Andon, whose policy may have
//! allowed more than ours does.

use std::collections::HashMap;

use andon_model::{Content, Policy, RawText, TraceId};

use crate::{
    NoticeLanguage, Protected, Protector, SpanBatch,
    cut::Cut,
    mask::{mask, mask_rest},
};

impl Protector {
    /// Protects what an Andon kept before. A text comes out as it is where the policy allows it, and
    /// else as if it had been protected by the stricter one from the start.
    ///
    /// An error message may quote a text of its trace. It is scrubbed with those in the batch; where
    /// there are none, it is treated as a text itself.
    pub fn protect_again(&self, kept: SpanBatch) -> Protected<SpanBatch> {
        let SpanBatch { mut spans, contents } = kept;
        let mut cuts = vec![Cut::default(); spans.len()];
        if self.policy != Policy::Full {
            let mut texts: HashMap<TraceId, Vec<RawText>> = HashMap::new();
            for content in &contents {
                texts.entry(content.trace_id).or_default().push(RawText::new(own_part(content)));
            }
            for (span, cut) in spans.iter_mut().zip(&mut cuts) {
                let trace = span.trace_id;
                span.error_message =
                    span.error_message.take().map(|message| match texts.get(&trace) {
                        Some(texts) => {
                            let message = RawText::new(message);
                            self.scrub(&message, texts.iter(), trace, self.policy, cut)
                        }
                        None => mask(&message, self.policy, self.language).text,
                    });
            }
        }
        let contents = contents.into_iter().map(|content| self.content_again(content)).collect();
        self.within_limits(SpanBatch { spans, contents }, cuts)
    }

    fn content_again(&self, content: Content) -> Content {
        let policy = self.policy.stricter(content.policy);
        let own = own_part(&content);
        let original_length = content.original_length.max(own.chars().count() as u64);
        let as_it_is = |language| {
            let masked = mask_rest(own, original_length, policy, language);
            policy == content.policy
                && masked.text == content.text
                && masked.kept_length == content.kept_length
        };
        // A notice in the other language is as good as ours.
        if [NoticeLanguage::Japanese, NoticeLanguage::English].into_iter().any(as_it_is) {
            return content;
        }
        let masked = mask_rest(own, original_length, policy, self.language);
        Content {
            text: masked.text,
            policy,
            original_length,
            kept_length: masked.kept_length,
            ..content
        }
    }
}

/// What is the original's own, without the notice behind it.
pub(crate) fn own_part(content: &Content) -> &str {
    let kept = usize::try_from(content.kept_length).unwrap_or(usize::MAX);
    match content.text.char_indices().nth(kept) {
        Some((end, _)) => &content.text[..end],
        None => &content.text,
    }
}
