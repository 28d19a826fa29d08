//! What the store knows of a span already, where memory does not: after a start, or an hour later. What
//! is said then is put over it; texts that are not said again stay with it anyway.

use andon_model::{PARTIAL, Span};

/// Fills what is not said now with what was said before.
pub(super) fn complete(span: &mut Span, before: &Span) {
    macro_rules! each {
        ($($name:ident),*) => {
            $(if span.$name.is_none() {
                span.$name.clone_from(&before.$name);
            })*
        };
    }
    each!(
        parent_id,
        env,
        version,
        llm_kind,
        provider,
        model,
        model_requested,
        stream,
        input_tokens,
        output_tokens,
        cached_tokens,
        reasoning_tokens,
        finish_reason,
        cost,
        cost_currency,
        session_id,
        user_id
    );
    span.timings.ttft_ns = span.timings.ttft_ns.or(before.timings.ttft_ns);
    let now = std::mem::replace(&mut span.attributes, before.attributes.clone());
    span.attributes.remove(PARTIAL);
    span.attributes.append(now);
}
