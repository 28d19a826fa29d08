//! A prompt that the runtime cut without saying so. Ollama drops the oldest messages of a prompt
//! that is longer than its context (`num_ctx`), and answers as if nothing had happened.

use andon_model::{AttributeValue, Span};

use super::{
    Past,
    api::{Asked, Family},
    exchange::Seen,
    lengths::{Estimate, Shape},
    threads::Place,
};
use crate::runtime::{RuntimeKind, find};

/// Where the context's length isn't known, so much of a prompt must be missing.
const CLEARLY: f64 = 0.7;
/// Contexts are set in steps of so many tokens.
const STEP: u64 = 1_024;

/// Whether the prompt was cut; if so, the span says by how much, and what to set. If not, the past
/// learns from it.
pub(super) fn was_cut(
    seen: &Seen,
    asked: &Asked,
    place: &Place,
    span: &mut Span,
    past: &mut Past,
) -> bool {
    let (Some(tokens), Some(model)) = (span.input_tokens, span.model.clone()) else { return false };
    let shape = Shape::of(asked.contents.as_slice());
    if asked.has_media || tokens == 0 {
        return false;
    }
    if cuts_silently(seen) {
        let estimate = past.lengths.estimate(&model, shape, place.start);
        let limit = limit(seen, &model, span);
        if is_cut(tokens, limit, estimate) {
            say(span, tokens, limit, estimate);
            return true;
        }
    }
    past.lengths.learn(&model, shape, tokens);
    past.threads.counted(place, shape, tokens);
    false
}

/// Others refuse what is too long, or say that they cut.
fn cuts_silently(seen: &Seen) -> bool {
    match seen.call.runtime_info().map(|info| info.kind) {
        Some(kind) => kind == RuntimeKind::Ollama,
        None => seen.call.api.family() == Family::Ollama,
    }
}

/// What was asked for, else what the model was loaded with.
fn limit(seen: &Seen, model: &str, span: &Span) -> Option<u64> {
    match span.attributes.get("andon.request.options.num_ctx") {
        Some(AttributeValue::Int(asked)) => u64::try_from(*asked).ok(),
        _ => find(&seen.call.models, model)?.loaded_context_length,
    }
}

fn is_cut(tokens: u64, limit: Option<u64>, estimate: Estimate) -> bool {
    let (read, at_least) = (tokens as f64, estimate.tokens - estimate.error);
    match limit {
        Some(limit) => {
            let may_exceed = estimate.tokens + estimate.error > limit as f64;
            at_least > read && may_exceed && tokens <= limit
        }
        None => read < at_least * CLEARLY,
    }
}

fn say(span: &mut Span, tokens: u64, limit: Option<u64>, estimate: Estimate) {
    let all = estimate.tokens.round() as u64;
    let lost = all.saturating_sub(tokens);
    let room = match span.attributes.get("gen_ai.request.max_tokens") {
        Some(AttributeValue::Int(most)) => u64::try_from(*most).unwrap_or(STEP),
        _ => STEP,
    };
    let enough = (all + estimate.error as u64 + room).div_ceil(STEP) * STEP;
    let mut note = |name: &'static str, value: AttributeValue| span.attributes.set(name, value);
    note("andon.prompt.cut_tokens", lost.into());
    note("andon.prompt.estimated_tokens", all.into());
    note("andon.prompt.enough_context", enough.into());
    if let Some(limit) = limit {
        note("andon.prompt.limit", limit.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_be_missing_counts_as_cut() {
        let estimate = Estimate { tokens: 3_000.0, error: 200.0 };
        assert!(is_cut(2_000, Some(2_048), estimate));
        assert!(!is_cut(2_900, Some(4_096), estimate), "it fits");
        assert!(!is_cut(2_000, Some(8_192), estimate), "the estimate must be wrong");
        assert!(!is_cut(2_850, Some(2_900), estimate), "within the error");
        assert!(is_cut(1_000, None, estimate) && !is_cut(2_500, None, estimate));
    }

    #[test]
    fn the_span_says_how_much_was_lost_and_what_would_do() {
        let mut span = Span::default();
        say(&mut span, 2_000, Some(2_048), Estimate { tokens: 3_000.0, error: 100.0 });
        let of = |name: &str| span.attributes[name].clone();
        assert_eq!(of("andon.prompt.cut_tokens"), AttributeValue::Int(1_000));
        assert_eq!(of("andon.prompt.enough_context"), AttributeValue::Int(5_120));
    }
}
