//! Numbers are the same whether they come from memory, from segments, from rollups, from rollups
//! made anew, or from a model that is too simple to be wrong.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use andon_model::{AttributeValue, Cause, LlmKind, Named as _, Span, SpanId, Status};
use andon_store::{
    AggregateQuery, Config, Dimension, Distribution, EmbeddedStore, Figures, Filter, Group,
    HeatMapQuery, Interrupt, Order, Population, Store, StoreError, TraceQuery,
};
use proptest::prelude::*;

use crate::support::*;

const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Noon of some day.
const BEGIN: u64 = 20_000 * DAY + 12 * HOUR;
const SERVICES: [&str; 3] = ["gateway", "edge", "受付"];
const MODELS: [&str; 3] = ["gemma3:270m", "qwen3:8b", "Llama 3"];

#[derive(Debug, Clone)]
enum Step {
    /// Spans; their numbers say everything about them.
    Spans(Vec<u8>),
    Seal,
    Compact,
    Reopen,
    /// The files of rollups are gone at the next start.
    LoseRollups,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => proptest::collection::vec(0..200_u8, 1..30).prop_map(Step::Spans),
        3 => Just(Step::Seal),
        2 => Just(Step::Compact),
        1 => Just(Step::Reopen),
        1 => Just(Step::LoseRollups),
    ]
}

/// Two days of spans, some at the same time.
fn made(number: u8) -> Span {
    let many = u64::from(number);
    let mut span = span(many, 0);
    span.span_id = SpanId::from_bytes([number + 1; 8]);
    span.start_ns = BEGIN + (many / 2) * 29 * MINUTE;
    span.duration_ns = (many % 7).pow(5) * 1_234_567 + many;
    span.service = SERVICES[usize::from(number) % 3].to_owned();
    span.name = format!("step {}", number % 4);
    span.status = if number.is_multiple_of(5) { Status::Error } else { Status::Ok };
    // A text that looks like a number.
    let turn = (number % 13).to_string();
    span.attributes.set("user.turn", turn);
    span.cause = number.is_multiple_of(10).then_some(Cause::Timeout);
    if number.is_multiple_of(2) {
        span.parent_id = Some(SpanId::from_bytes([255; 8]));
        span.llm_kind = Some(if number.is_multiple_of(4) { LlmKind::Llm } else { LlmKind::Tool });
        span.model_requested = Some(MODELS[usize::from(number) % 3].to_owned());
        span.model = span.model_requested.clone().filter(|_| !number.is_multiple_of(5));
        span.input_tokens = Some(many * 10);
        span.output_tokens = Some(many);
        span.timings.ttft_ns = Some(many * 1_000_000);
        span.timings.queue_ns = number.is_multiple_of(3).then_some(many);
        span.timings.eval_ns = Some(many * 1_000);
        span.cost = Some(0.25);
    }
    span
}

struct Question {
    filter: &'static str,
    holds: fn(&Span) -> bool,
}

fn turn(span: &Span) -> Option<&str> {
    match span.attributes.get("user.turn") {
        Some(AttributeValue::Text(turn)) => Some(turn),
        _ => None,
    }
}

fn any(texts: [&Option<String>; 2], wanted: &str) -> bool {
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(wanted))
}

const QUESTIONS: [Question; 7] = [
    Question { filter: "", holds: |_| true },
    Question { filter: "service:受付", holds: |span| span.service == "受付" },
    Question {
        filter: "model:LLAMA -status:error",
        holds: |span| {
            any([&span.model, &span.model_requested], "llama") && span.status != Status::Error
        },
    },
    Question { filter: "cause:timeout", holds: |span| span.cause == Some(Cause::Timeout) },
    // What rollups do not tell apart.
    Question { filter: "@user.turn:\"12\"", holds: |span| turn(span) == Some("12") },
    Question { filter: "name:\"step 2\"", holds: |span| span.name == "step 2" },
    Question { filter: "duration:>1s", holds: |span| span.duration_ns > SECOND },
];

/// Times and wanted points: on hours, beside them, within one, and nothing.
const STRETCHES: [(u64, u64, usize); 5] = [
    (0, u64::MAX / 4, 0),
    (BEGIN, BEGIN + 2 * DAY, 48),
    (BEGIN + 90 * MINUTE, BEGIN + 31 * HOUR + 7, 10),
    (BEGIN + 61 * MINUTE, BEGIN + 119 * MINUTE, 3),
    (BEGIN, BEGIN, 5),
];

const GROUPINGS: [&[Dimension]; 4] = [
    &[],
    &[Dimension::Model],
    &[Dimension::Service, Dimension::Status],
    &[Dimension::Name, Dimension::Cause],
];

fn values(span: &Span, by: &[Dimension]) -> Vec<Option<String>> {
    by.iter()
        .map(|dimension| match dimension {
            Dimension::Service => Some(span.service.clone()),
            Dimension::Name => Some(span.name.clone()),
            Dimension::Operation => span.llm_kind.map(|kind| kind.name().to_owned()),
            Dimension::Model => span.model.clone(),
            Dimension::Status => Some(span.status.name().to_owned()),
            Dimension::Cause => span.cause.map(|cause| cause.name().to_owned()),
        })
        .collect()
}

fn sum(spans: &[&Span], of: fn(&Span) -> Option<u64>) -> Option<u64> {
    spans.iter().filter_map(|span| of(span)).reduce(|sum, one| sum + one)
}

/// Compares with percentiles counted one by one; those of a sketch may be off by 1 %.
fn same_spread(found: Option<Distribution>, mut values: Vec<u64>) -> Result<(), TestCaseError> {
    values.sort_unstable();
    let Some(found) = found else {
        prop_assert!(values.is_empty());
        return Ok(());
    };
    let count = values.len() as u64;
    prop_assert_eq!(found.mean_ns, values.iter().sum::<u64>() / count);
    prop_assert_eq!(Some(&found.max_ns), values.last());
    for (share, found) in
        [(0.5, found.p50_ns), (0.9, found.p90_ns), (0.95, found.p95_ns), (0.99, found.p99_ns)]
    {
        let exact = values[(share * count as f64).ceil() as usize - 1] as f64;
        prop_assert!((found as f64 - exact).abs() <= exact * 0.010_001 + 0.5, "{exact} {found}");
    }
    Ok(())
}

fn same(found: &Figures, spans: &[&Span]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.count, spans.len() as u64);
    let errors = spans.iter().filter(|span| span.status == Status::Error).count();
    prop_assert_eq!(found.errors, errors as u64);
    prop_assert_eq!(found.input_tokens, sum(spans, |span| span.input_tokens));
    prop_assert_eq!(found.output_tokens, sum(spans, |span| span.output_tokens));
    prop_assert_eq!(found.cached_tokens, None);
    prop_assert_eq!(found.queue_ns, sum(spans, |span| span.timings.queue_ns));
    prop_assert_eq!(found.eval_ns, sum(spans, |span| span.timings.eval_ns));
    let costs: Vec<_> = spans.iter().filter_map(|span| span.cost).collect();
    prop_assert_eq!(found.cost, (!costs.is_empty()).then(|| costs.iter().sum()));
    same_spread(found.duration, spans.iter().map(|span| span.duration_ns).collect())?;
    same_spread(found.ttft, spans.iter().filter_map(|span| span.timings.ttft_ns).collect())
}

fn same_group(found: &Group, step_ns: Option<u64>, spans: &[&Span]) -> Result<(), TestCaseError> {
    same(&found.figures, spans)?;
    let Some(step_ns) = step_ns else {
        prop_assert!(found.points.is_empty());
        return Ok(());
    };
    let mut points: BTreeMap<u64, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        points.entry(span.start_ns / step_ns * step_ns).or_default().push(span);
    }
    let starts: Vec<_> = found.points.iter().map(|point| point.start_ns).collect();
    prop_assert_eq!(starts, points.keys().copied().collect::<Vec<_>>());
    for (found, spans) in found.points.iter().zip(points.values()) {
        same(&found.figures, spans)?;
    }
    Ok(())
}

fn is_of(span: &Span, of: Population) -> bool {
    match of {
        Population::Calls => span.llm_kind == Some(LlmKind::Llm),
        Population::Roots => span.parent_id.is_none(),
        Population::All => true,
    }
}

fn check_one(
    store: &EmbeddedStore,
    query: &AggregateQuery,
    spans: &[&Span],
) -> Result<(), TestCaseError> {
    let found = store.aggregate(query).unwrap();
    prop_assert!(!found.is_partial);
    prop_assert_eq!(found.step_ns.is_some(), query.points > 0);
    same_group(&found.total, found.step_ns, spans)?;
    let mut groups: BTreeMap<_, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        groups.entry(values(span, &query.by)).or_default().push(span);
    }
    let mut ranked: Vec<_> = groups.into_iter().collect();
    ranked.sort_by_key(|(by, spans)| (std::cmp::Reverse(spans.len()), by.clone()));
    let others = ranked.split_off(query.top.min(ranked.len()));
    prop_assert_eq!(found.groups.len(), ranked.len());
    for (found_group, (by, spans)) in found.groups.iter().zip(&ranked) {
        prop_assert_eq!(&found_group.by, by);
        same_group(found_group, found.step_ns, spans)?;
    }
    let others: Vec<_> = others.into_iter().flat_map(|(_, spans)| spans).collect();
    prop_assert_eq!(found.others.is_some(), !others.is_empty());
    found.others.map_or(Ok(()), |found_group| same_group(&found_group, found.step_ns, &others))
}

fn check(store: &EmbeddedStore, known: &BTreeMap<u8, Span>) -> Result<(), TestCaseError> {
    for question in &QUESTIONS {
        for (from_ns, to_ns, points) in STRETCHES {
            for (number, by) in GROUPINGS.iter().enumerate() {
                let of = [Population::All, Population::Calls, Population::Roots][number % 3];
                let is_asked = |span: &&Span| {
                    (from_ns..to_ns).contains(&span.start_ns)
                        && (question.holds)(span)
                        && is_of(span, of)
                };
                let spans: Vec<_> = known.values().filter(is_asked).collect();
                let query = AggregateQuery {
                    from_ns,
                    to_ns,
                    filter: Filter::parse(question.filter).unwrap(),
                    of,
                    by: by.to_vec(),
                    points,
                    top: 3,
                    order: Order::Count,
                    interrupt: Interrupt::default(),
                };
                check_one(store, &query, &spans)?;
            }
        }
    }
    check_heat_map(store, known)
}

fn check_heat_map(store: &EmbeddedStore, known: &BTreeMap<u8, Span>) -> Result<(), TestCaseError> {
    let (from_ns, to_ns) = (BEGIN, BEGIN + 2 * DAY);
    let (of, points, rows) = (Population::All, 48, 12);
    let query = HeatMapQuery { from_ns, to_ns, of, points, rows, ..HeatMapQuery::default() };
    let found = store.heat_map(&query).unwrap();
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for span in known.values().filter(|span| span.start_ns < to_ns) {
        *counts.entry(span.start_ns / found.step_ns * found.step_ns).or_default() += 1;
    }
    let columns = found.columns.iter();
    let found_counts: BTreeMap<_, u64> =
        columns.map(|column| (column.start_ns, column.counts.iter().sum())).collect();
    prop_assert_eq!(found_counts, counts);
    prop_assert!(found.edges_ns.len() <= rows + 1);
    Ok(())
}

fn lose_rollups(folder: &Path) {
    for file in fs::read_dir(folder.join("segments/rollups")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn numbers_are_those_of_a_simple_model(steps in proptest::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { merged_segments: 2, ..small_files() };
        let mut store = Some(EmbeddedStore::open(folder.path(), config.clone()).unwrap());
        let mut known = BTreeMap::new();
        for step in steps {
            let open = store.as_ref().unwrap();
            match step {
                Step::Spans(numbers) => {
                    put(open, spans(numbers.iter().map(|number| made(*number)).collect()));
                    known.extend(numbers.into_iter().map(|number| (number, made(number))));
                }
                Step::Seal => open.seal().unwrap(),
                Step::Compact => open.compact(),
                Step::Reopen | Step::LoseRollups => {
                    drop(store.take());
                    if matches!(step, Step::LoseRollups) {
                        lose_rollups(folder.path());
                    }
                    store = Some(EmbeddedStore::open(folder.path(), config.clone()).unwrap());
                }
            }
        }
        let store = store.unwrap();
        check(&store, &known)?;
        store.seal().unwrap();
        check(&store, &known)?;
        store.compact();
        check(&store, &known)?;
    }
}

#[test]
fn a_question_ends_when_nobody_waits_or_when_it_takes_too_long_or_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let opened = |config| EmbeddedStore::open(folder.path(), config).unwrap();
    let store = opened(Config { aggregate_slots: 2, ..Config::default() });
    put(&store, spans((0..200).map(made).collect()));
    let interrupt = Interrupt::default();
    let query = AggregateQuery {
        from_ns: BEGIN + 1,
        to_ns: BEGIN + DAY,
        of: Population::All,
        by: vec![Dimension::Name],
        top: 9,
        interrupt: interrupt.clone(),
        ..AggregateQuery::default()
    };
    // Of groups beyond the slots there is one without names.
    let answer = store.aggregate(&query).unwrap();
    assert!(answer.is_partial);
    assert_eq!(answer.groups.len(), 2);
    let rest = answer.others.unwrap().figures.count;
    assert_eq!(answer.groups.iter().map(|group| group.figures.count).sum::<u64>() + rest, 98);
    store.seal().unwrap();
    drop(store);
    let store = opened(Config { aggregate_time: Duration::ZERO, ..Config::default() });
    assert_eq!(store.aggregate(&query), Err(StoreError::QuestionTooLong { seconds: 0 }));
    drop(store);
    let store = opened(Config { aggregate_bytes: 1, ..Config::default() });
    assert_eq!(store.aggregate(&query), Err(StoreError::QuestionTooLarge { limit: 1 }));
    drop(store);
    let store = open(folder.path());
    assert!(store.aggregate(&query).is_ok());
    drop(interrupt.when_dropped());
    assert_eq!(store.aggregate(&query), Err(StoreError::Interrupted));
    let query = TraceQuery { interrupt, ..TraceQuery::default() };
    assert_eq!(store.traces(&query), Err(StoreError::Interrupted));
}
