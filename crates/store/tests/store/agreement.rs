//! Memory, segments, merged segments and a model that is too simple to be wrong give the same
//! answers, whatever came in which order.

use std::collections::{BTreeMap, HashMap};

use andon_model::{Span, SpanId, Status};
use andon_store::{Config, EmbeddedStore, Filter, Store, TracePage, TraceQuery};
use proptest::prelude::*;

use crate::support::*;

const SERVICES: [&str; 3] = ["gateway", "edge", "受付"];
const MODELS: [&str; 3] = ["gemma3:270m", "qwen3:8b", "Llama 3"];

/// One step of a store's life.
#[derive(Debug, Clone)]
enum Step {
    /// A root span; its number says everything about it.
    Root(u8),
    /// Its call to a model, before or after it.
    Call(u8),
    Seal,
    Compact,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..40_u8).prop_map(Step::Root),
        8 => (0..40_u8).prop_map(Step::Call),
        3 => Just(Step::Seal),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ]
}

fn root(number: u8) -> Span {
    // Several begin at the same time.
    let mut span = span(number.into(), 1_000 + u64::from(number / 3));
    span.span_id = SpanId::from_bytes([number + 1; 8]);
    span.service = SERVICES[usize::from(number) % 3].to_owned();
    span.duration_ns = u64::from(number) * SECOND / 4;
    span.status = if number.is_multiple_of(5) { Status::Error } else { Status::Ok };
    span
}

fn call(number: u8) -> Span {
    let root = root(number);
    let mut call = llm_span(&root, MODELS[usize::from(number) % 3]);
    call.span_id = SpanId::from_bytes([number + 100; 8]);
    (call.start_ns, call.duration_ns) = (root.start_ns, root.duration_ns / 2);
    call.status = root.status;
    call.output_tokens = Some(number.into());
    call
}

/// What should be known: of each trace whether its root and its call came.
type Known = BTreeMap<u8, (bool, bool)>;

#[derive(Debug, PartialEq)]
struct Row {
    number: u64,
    service: String,
    model: Option<String>,
    tokens: Option<u64>,
    spans: u64,
}

struct Question {
    filter: &'static str,
    holds: fn(&Row, &Span) -> bool,
}

const QUESTIONS: [Question; 7] = [
    Question { filter: "", holds: |_, _| true },
    Question { filter: "service:gate", holds: |row, _| row.service == "gateway" },
    Question { filter: "service:受付", holds: |row, _| row.service == "受付" },
    Question { filter: "model:LLAMA", holds: |row, _| row.model.as_deref() == Some("Llama 3") },
    Question { filter: "-status:error", holds: |_, face| face.status != Status::Error },
    Question { filter: "duration:>=3s", holds: |_, face| face.duration_ns >= 3 * SECOND },
    Question {
        filter: "qwen service:edge",
        holds: |row, _| row.service == "edge" && row.model.as_deref() == Some("qwen3:8b"),
    },
];

fn expected(known: &Known, question: &Question, from_s: u64, to_s: u64) -> Vec<Row> {
    let mut rows: Vec<_> = known
        .iter()
        .filter_map(|(number, (has_root, has_call))| {
            let face = if *has_root { root(*number) } else { call(*number) };
            let call = has_call.then(|| call(*number));
            let row = Row {
                number: (*number).into(),
                service: face.service.clone(),
                model: call.as_ref().and_then(|call| call.model.clone()),
                tokens: call.as_ref().and_then(|call| call.output_tokens),
                spans: u64::from(*has_root) + u64::from(*has_call),
            };
            let is_in_time = (from_s * SECOND..to_s * SECOND).contains(&face.start_ns);
            (is_in_time && (question.holds)(&row, &face)).then_some((face.start_ns, row))
        })
        .collect();
    rows.sort_by_key(|(start_ns, row)| std::cmp::Reverse((*start_ns, id(row.number))));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// All pages of an answer, and the first one.
fn answered(
    store: &EmbeddedStore,
    question: &Question,
    from_s: u64,
    to_s: u64,
) -> (Vec<Row>, TracePage) {
    let (mut rows, mut first, mut cursor) = (Vec::new(), None, None);
    loop {
        let query = TraceQuery {
            from_ns: Some(from_s * SECOND),
            to_ns: Some(to_s * SECOND),
            filter: Filter::parse(question.filter).unwrap(),
            limit: 7,
            cursor,
            ..TraceQuery::default()
        };
        let page = store.traces(&query).unwrap();
        assert_eq!(store.traces(&query).unwrap(), page, "what was remembered of it is the same");
        let numbers = numbers(&page);
        rows.extend(page.traces.iter().zip(numbers).map(|(trace, number)| Row {
            number,
            service: trace.service.clone(),
            model: trace.model.clone(),
            tokens: trace.output_tokens,
            spans: trace.span_count,
        }));
        cursor = page.next_cursor.as_ref().map(|cursor| cursor.parse().unwrap());
        first.get_or_insert(page);
        if cursor.is_none() {
            return (rows, first.unwrap());
        }
    }
}

fn check(store: &EmbeddedStore, known: &Known) -> Result<(), TestCaseError> {
    for question in &QUESTIONS {
        for (from_s, to_s) in [(0, 5_000), (1_003, 1_009), (1_008, 1_008)] {
            let expected = expected(known, question, from_s, to_s);
            let (rows, first) = answered(store, question, from_s, to_s);
            prop_assert_eq!(&rows, &expected, "{}", question.filter);
            prop_assert_eq!(first.total_matched, expected.len() as u64);
            let mut services: HashMap<&str, u64> = HashMap::new();
            expected.iter().for_each(|row| *services.entry(&row.service).or_default() += 1);
            let facets = first.facets.service.iter();
            let counted: HashMap<_, _> =
                facets.map(|facet| (facet.value.as_str(), facet.count)).collect();
            prop_assert_eq!(counted, services, "{}", question.filter);
        }
    }
    for (number, (has_root, has_call)) in known {
        let trace = store.trace(id((*number).into())).unwrap().unwrap();
        let parts = [(has_root, root(*number)), (has_call, call(*number))];
        let mut spans: Vec<_> =
            parts.into_iter().filter(|(has, _)| **has).map(|(_, span)| span).collect();
        spans.sort_by_key(|span| (span.start_ns, span.span_id));
        prop_assert_eq!(trace.spans, spans);
    }
    let spans: u64 = known.values().map(|(root, call)| u64::from(*root) + u64::from(*call)).sum();
    prop_assert_eq!((store.state().spans, store.state().traces), (spans, known.len() as u64));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_part_of_the_store_gives_the_answers_of_a_simple_model(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { merged_segments: 2, ..small_files() };
        let mut store = Some(EmbeddedStore::open(folder.path(), config.clone()).unwrap());
        let mut known = Known::new();
        for step in steps {
            let open = store.as_ref().unwrap();
            match step {
                Step::Root(number) => {
                    put(open, spans(vec![root(number)]));
                    known.entry(number).or_default().0 = true;
                }
                Step::Call(number) => {
                    put(open, spans(vec![call(number)]));
                    known.entry(number).or_default().1 = true;
                }
                Step::Seal => open.seal().unwrap(),
                Step::Compact => open.compact(),
                Step::Reopen => {
                    drop(store.take());
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
