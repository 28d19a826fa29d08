//! What the generator promises, looked at from outside.

use std::collections::{BTreeSet, HashMap, HashSet};

use andon_model::{Cause, LlmKind, Part, Source, Span, Status};
use sha2::{Digest, Sha256};

use super::*;

const END_NS: UnixNanos = 1_790_000_000_000_000_000;
const DAY: u64 = 86_400_000_000_000;

fn recipe(spans: u64) -> Recipe {
    Recipe { spans, days: 7, seed: 7, end_ns: END_NS, contents: spans / 10 }
}

fn spans(recipe: Recipe) -> Vec<Span> {
    recipe.generate().flatten().map(|observation| observation.span).collect()
}

/// What a reader of a span would call its content; columns that are still to come change nothing.
fn hash(recipe: Recipe) -> String {
    let mut hash = Sha256::new();
    for observation in recipe.generate().flatten() {
        let span = &observation.span;
        hash.update(format!(
            "{} {} {:?} {} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            span.trace_id,
            span.span_id,
            span.parent_id,
            span.start_ns,
            span.duration_ns,
            span.service,
            span.name,
            (&span.env, &span.version, &span.host, span.pid, &span.resource),
            (span.status, &span.error_type, span.cause, span.http_status),
            (&span.model, span.input_tokens, span.output_tokens, span.cached_tokens, span.cost),
            span.timings,
            (&span.session_id, &span.user_id, &span.request_id),
            span.attributes,
            observation.error_message.as_ref().map(|message| message.expose()),
        ));
        for content in &observation.contents {
            hash.update(content.text.expose());
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_seed_gives_the_same_on_every_machine() {
    assert_eq!(
        hash(recipe(1_000)),
        "fd3233ec78046fc738e7006a255f4440887fba9fc4d13ddf6d39b9ba16329291"
    );
}

#[test]
fn another_seed_gives_something_else() {
    let ids = |seed| -> HashSet<_> {
        spans(Recipe { seed, ..recipe(500) }).iter().map(|span| span.span_id).collect()
    };
    assert!(ids(1).is_disjoint(&ids(2)));
}

#[test]
fn there_are_exactly_as_many_spans_as_were_wanted() {
    for wanted in [0, 1, 2, 3, 5, 997, 20_000] {
        assert_eq!(spans(recipe(wanted)).len() as u64, wanted);
    }
}

#[test]
fn traces_come_in_the_order_of_their_start_and_fill_the_time() {
    let mut starts = Vec::new();
    for trace in recipe(20_000).generate() {
        let earliest = trace.iter().map(|observation| observation.span.start_ns).min();
        assert_eq!(earliest, trace.first().map(|observation| observation.span.start_ns));
        starts.extend(earliest);
        for observation in &trace {
            assert!(observation.span.start_ns >= END_NS - 7 * DAY);
            assert!(observation.span.end_ns() <= END_NS, "{:?}", observation.span);
        }
    }
    assert!(starts.is_sorted());
    let day = |start: &u64| (start - (END_NS - 7 * DAY)) / DAY;
    assert_eq!(starts.iter().map(day).collect::<BTreeSet<_>>().len(), 7);
}

#[test]
fn a_parent_stands_before_its_children_and_ids_occur_once() {
    let mut ids = HashSet::new();
    for trace in recipe(20_000).generate() {
        let mut before = HashMap::new();
        for Observation { span, .. } in &trace {
            assert_eq!(span.trace_id, trace[0].span.trace_id);
            assert_eq!(span.parent_id.is_none(), before.is_empty(), "{span:?}");
            if let Some(parent) = span.parent_id {
                let start: &u64 = before.get(&parent).expect("a parent that was there before");
                assert!(*start <= span.start_ns);
            }
            before.insert(span.span_id, span.start_ns);
            assert!(ids.insert(span.span_id));
        }
    }
}

#[test]
fn children_end_with_their_parents_but_for_who_takes_a_message() {
    for trace in recipe(20_000).generate() {
        let ends: HashMap<_, _> =
            trace.iter().map(|one| (one.span.span_id, one.span.end_ns())).collect();
        for Observation { span, .. } in &trace {
            let parent = span.parent_id.and_then(|parent| ends.get(&parent));
            let later = parent.is_some_and(|parent| *parent < span.end_ns());
            assert!(!later || span.kind == andon_model::SpanKind::Consumer, "{span:?}");
        }
    }
}

#[test]
fn timings_add_up_to_the_duration_and_no_more() {
    let mut explained = 0;
    for span in spans(recipe(30_000)) {
        let timings = span.timings;
        let sum: u64 = [timings.queue_ns, timings.load_ns, timings.prompt_eval_ns, timings.eval_ns]
            .iter()
            .flatten()
            .sum();
        assert!(sum <= span.duration_ns, "{span:?}");
        assert!(timings.ttft_ns.is_none_or(|ttft| ttft <= span.duration_ns), "{span:?}");
        assert!(timings.stall_ns.is_none_or(|gap| Some(gap) <= timings.eval_ns), "{span:?}");
        assert!(span.cached_tokens <= span.input_tokens, "{span:?}");
        assert!(span.reasoning_tokens <= span.output_tokens, "{span:?}");
        if span.source != Source::Otlp && span.timings.eval_ns.is_some() {
            explained += u64::from(sum * 10 >= span.duration_ns * 9);
        }
    }
    assert!(explained > 3_000, "{explained}");
}

#[test]
fn there_are_twenty_services_and_eight_models() {
    let spans = spans(recipe(30_000));
    let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
    let models: BTreeSet<_> = spans.iter().filter_map(|span| span.model.as_deref()).collect();
    assert_eq!(services.len(), 20, "{services:?}");
    assert_eq!(models.len(), 8, "{models:?}");
    for source in [Source::Gateway, Source::Capture, Source::Otlp, Source::Datadog, Source::Rum] {
        let share = 100 * spans.iter().filter(|span| span.source == source).count() / spans.len();
        assert!((2..60).contains(&share), "{source:?}: {share} %");
    }
}

#[test]
fn some_calls_fail_and_some_have_a_cause() {
    let spans = spans(Recipe { days: 30, ..recipe(60_000) });
    let calls: Vec<_> = spans.iter().filter(|span| span.llm_kind == Some(LlmKind::Llm)).collect();
    let share = |count: usize| 1_000 * count / calls.len();
    let failed = share(calls.iter().filter(|span| span.status == Status::Error).count());
    assert!((8..60).contains(&failed), "{failed} of a thousand");
    let blamed = calls.iter().filter(|span| span.cause.is_some_and(|cause| cause != Cause::None));
    let blamed = share(blamed.count());
    assert!((30..300).contains(&blamed), "{blamed} of a thousand");
    for cause in [
        Cause::ColdStart,
        Cause::KeepAliveExpired,
        Cause::Queue,
        Cause::LongPrompt,
        Cause::LongAnswer,
        Cause::PromptCacheLost,
        Cause::PromptCut,
        Cause::CpuStarved,
        Cause::Timeout,
        Cause::ClientGone,
        Cause::RuntimeDown,
        Cause::QueueFull,
    ] {
        assert!(calls.iter().any(|span| span.cause == Some(cause)), "{cause:?}");
    }
}

#[test]
fn an_incident_shows() {
    let (mut calls, mut failed) = ([0_u64; 2], [0_u64; 2]);
    let recipe = Recipe { days: 3, ..recipe(100_000) };
    let rhythm = Rhythm::new(recipe.end_ns, recipe.days, recipe.seed);
    for span in spans(recipe) {
        if span.llm_kind == Some(LlmKind::Llm) && span.source == Source::Capture {
            let incident = usize::from(rhythm.is_incident(span.start_ns));
            calls[incident] += 1;
            failed[incident] += u64::from(span.status == Status::Error);
        }
    }
    assert!(calls[1] > 20, "{calls:?}");
    assert!(failed[1] * 100 / calls[1] > 30, "{failed:?} of {calls:?}");
    assert!(failed[0] * 100 / calls[0] < 4, "{failed:?} of {calls:?}");
}

#[test]
fn conversations_go_on_over_traces() {
    let mut traces: HashMap<String, BTreeSet<_>> = HashMap::new();
    for span in spans(recipe(30_000)) {
        if let (Some(session), Source::Gateway) = (span.session_id, span.source) {
            traces.entry(session).or_default().insert(span.trace_id);
        }
    }
    let long = traces.values().filter(|traces| traces.len() >= 3).count();
    assert!(long * 4 > traces.len(), "{long} of {}", traces.len());
}

#[test]
fn traces_are_small_mostly_and_large_rarely() {
    let mut sizes: Vec<_> = recipe(60_000).generate().map(|trace| trace.len()).collect();
    sizes.sort_unstable();
    assert!(sizes[sizes.len() / 2] <= 6, "{}", sizes[sizes.len() / 2]);
    assert!(sizes[sizes.len() * 95 / 100] <= 40);
    assert!((100..600).contains(&sizes[sizes.len() - 1]), "{}", sizes[sizes.len() - 1]);
}

#[test]
fn attributes_are_some_and_not_too_many() {
    for span in spans(recipe(20_000)) {
        let count = (&span.attributes).into_iter().count();
        let expected = match (span.llm_kind, span.source) {
            (Some(LlmKind::Llm), _) => 5..=15,
            (_, Source::Gateway) => 0..=8,
            _ => 2..=10,
        };
        assert!(expected.contains(&count), "{count}: {span:?}");
    }
}

#[test]
fn texts_are_as_many_as_wanted_half_of_them_japanese_and_of_usual_length() {
    let recipe = Recipe { contents: 8_000, ..recipe(80_000) };
    let (mut texts, mut characters, mut japanese) = (0, 0, 0);
    let mut seen = HashSet::new();
    for content in recipe.generate().flatten().flat_map(|observation| observation.contents) {
        let text = content.text.expose();
        texts += 1;
        characters += text.chars().count();
        japanese += usize::from(text.chars().any(|character| ('ぁ'..='ん').contains(&character)));
        assert!(content.role.is_some() || content.part == Part::Input);
        seen.insert(text.to_owned());
    }
    assert!((7_840..=8_160).contains(&texts), "{texts}");
    let mean = characters / texts;
    assert!((350..450).contains(&mean), "{mean}");
    assert!((42..56).contains(&(100 * japanese / texts)), "{japanese} of {texts}");
    assert!(seen.len() * 100 > texts * 99, "{} different ones", seen.len());
}

#[test]
fn texts_are_spread_evenly_and_change_no_span() {
    let without = Recipe { contents: 0, ..recipe(20_000) };
    assert!(without.generate().flatten().all(|observation| observation.contents.is_empty()));
    assert!(spans(without) == spans(recipe(20_000)));
    let texts: Vec<_> =
        recipe(20_000).generate().flatten().map(|observation| observation.contents.len()).collect();
    for quarter in texts.chunks(5_000) {
        let sum: usize = quarter.iter().sum();
        assert!((450..550).contains(&sum), "{sum}");
    }
    let many = Recipe { contents: 40_000, ..recipe(20_000) };
    let sum: usize = many.generate().flatten().map(|one| one.contents.len()).sum();
    assert!((39_200..=40_800).contains(&sum), "{sum}");
}

#[test]
fn odd_recipes_are_made_too() {
    for (days, end_ns) in [(0, 0), (0, 1), (1, DAY), (u32::MAX, u64::MAX), (1, u64::MAX)] {
        let recipe = Recipe { days, end_ns, contents: u64::MAX, ..recipe(300) };
        let spans = spans(recipe);
        assert_eq!(spans.len(), 300);
        assert!(spans.iter().all(|span| span.end_ns() <= end_ns));
    }
}
