//! Clocks are wrong: a board without a battery says 1970, a client counts milliseconds for
//! nanoseconds, a clock jumps while spans come in. What they send is kept like all else.

use std::collections::BTreeSet;

use andon_model::{Span, SpanId};
use andon_store::{
    AggregateQuery, Config, EmbeddedStore, HeatMapQuery, Population, Record, Retention, Store,
    Table, TraceQuery, repair, verify,
};
use serde_json::json;

use crate::{known::ask, support::*};

/// The last moment that can be told: in the year 2262.
const LAST: u64 = i64::MAX as u64;
const TODAY: u64 = 1_700_000_000 * SECOND;
const DAY: u64 = 86_400 * SECOND;

const STARTS: [u64; 12] = [
    TODAY,
    u64::MAX,
    0,
    LAST,
    1,
    TODAY + 1,
    LAST + 1,
    SECOND,
    u64::MAX - 1,
    LAST - 1,
    u64::MAX / 2 - DAY,
    TODAY / 1_000,
];

/// A trace of two spans that begins then, of all the durations that there are.
fn at(number: u64, start_ns: u64) -> Vec<Span> {
    let mut root = span(number, 0);
    root.start_ns = start_ns;
    root.duration_ns = [0, 1, SECOND, u64::MAX][number as usize % 4];
    let mut call = root.clone();
    (call.span_id, call.parent_id) = (SpanId::random(), Some(root.span_id));
    call.start_ns = start_ns.saturating_add(5);
    call.model = Some("gemma3:270m".to_owned());
    call.timings.eval_ns = Some(u64::MAX);
    vec![call, root]
}

fn files(store_folder: &std::path::Path) -> usize {
    Table::ALL.map(|table| segment_files(store_folder, table.name()).len()).iter().sum()
}

fn holds_all(store: &EmbeddedStore) {
    let list = page(store, "");
    let starts: Vec<_> = list.traces.iter().map(|trace| trace.start_ns).collect();
    let mut expected: Vec<_> = STARTS.iter().map(|start_ns| *start_ns.min(&LAST)).collect();
    expected.sort_unstable_by(|left, right| right.cmp(left));
    assert_eq!((starts, list.total_matched), (expected, STARTS.len() as u64));
    for (number, start_ns) in STARTS.iter().enumerate() {
        let trace = store.trace(id(number as u64)).unwrap().unwrap();
        assert_eq!((trace.spans.len(), trace.contents.len()), (2, 1), "{start_ns}");
        assert!(trace.spans.iter().all(|span| span.start_ns >= *start_ns.min(&LAST)));
        let row = list.traces.iter().find(|row| row.trace_id == id(number as u64)).unwrap();
        assert_eq!(row.span_count, 2, "{start_ns}");
    }
    let of_time = |from_ns, to_ns| {
        let query = TraceQuery { from_ns, to_ns, ..TraceQuery::default() };
        store.traces(&query).unwrap().total_matched
    };
    assert_eq!(of_time(Some(0), Some(SECOND + 1)), 3);
    assert_eq!(of_time(Some(LAST), None), 4);
    assert_eq!((of_time(Some(TODAY), Some(TODAY + DAY)), of_time(Some(u64::MAX), None)), (2, 0));
    assert_eq!(page(store, "text:天気").total_matched, STARTS.len() as u64);
    let (from_ns, to_ns) = (0, u64::MAX);
    let of_all = AggregateQuery {
        from_ns,
        to_ns,
        of: Population::All,
        points: 100,
        top: 1,
        ..AggregateQuery::default()
    };
    let figures = store.aggregate(&of_all).unwrap();
    assert_eq!((figures.total.figures.count, figures.total.points.len() <= 200), (24, true));
    let heat = HeatMapQuery { from_ns, to_ns, points: 100, rows: 20, ..HeatMapQuery::default() };
    store.heat_map(&heat).unwrap();
    let question = "SELECT count(*) AS n, min(start_ns) AS a, max(start_ns) AS z FROM spans";
    assert_eq!(ask(store, question).unwrap(), json!([{"n": 24, "a": 0, "z": LAST}]));
    let question = "SELECT count(*) AS n FROM spans WHERE start_ns < 1000000000 OR start_ns = 9223372036854775807";
    assert_eq!(ask(store, question).unwrap()[0]["n"].as_u64().unwrap(), 4 + 9);
}

#[test]
fn spans_of_all_times_are_kept_sealed_merged_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (number, start_ns) in STARTS.iter().enumerate() {
        let [call, root] = at(number as u64, *start_ns).try_into().unwrap();
        put(&store, with_text(root.clone(), "東京の天気は？"));
        put(&store, spans(vec![call]));
        let Record::Evaluations(mut judged) = thumb(&span(number as u64, 0), 1.0) else { return };
        judged[0].time_ns = *start_ns;
        put(&store, Record::Evaluations(judged));
        for sample in [host(0), processes(0, 1)] {
            put(&store, sample);
        }
    }
    holds_all(&store);
    store.seal().unwrap();
    holds_all(&store);
    // Days: 1970, 2023, the odd two, and 2262.
    assert!(files(folder.path()) <= 2 + 8 * 5, "{}", files(folder.path()));
    // Late spans of each find their trace, from one end of time to the other.
    for (number, start_ns) in STARTS.iter().enumerate().rev() {
        let again = at(number as u64, *start_ns).remove(0);
        put(&store, spans(vec![again]));
    }
    store.seal().unwrap();
    let counts: Vec<_> = page(&store, "").traces.iter().map(|trace| trace.span_count).collect();
    assert_eq!(counts, [3; 12]);
    store.compact();
    drop(store);
    assert!(verify(folder.path()).unwrap().is_whole());
    let store = open(folder.path());
    assert_eq!(store.state().replay.faults, []);
    assert_eq!(numbers(&page(&store, "")).len(), STARTS.len());
    assert_eq!(page(&store, "").traces[0].span_count, 3);
}

#[test]
fn all_is_the_same_after_a_restart_that_reads_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (number, start_ns) in STARTS.iter().enumerate() {
        let [call, root] = at(number as u64, *start_ns).try_into().unwrap();
        put(&store, with_text(root, "東京の天気は？"));
        put(&store, spans(vec![call]));
    }
    drop(store);
    holds_all(&open(folder.path()));
}

#[test]
fn a_clock_gone_mad_makes_no_file_for_each_of_its_days() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut day = 7_u64;
    let mut generation = |first: u64| {
        let spans_of_day = |number| {
            day =
                day.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            at(number, (day >> 33) % 100_000 * DAY)
        };
        spans((first..first + 200).flat_map(spans_of_day).collect())
    };
    for first in [0, 200, 400] {
        put(&store, generation(first));
        store.seal().unwrap();
    }
    let made = files(folder.path());
    assert!(made <= 3 * 3 * 9, "{made}");
    assert_eq!(page(&store, "").total_matched, 600);
    drop(store);
    // Nor does a list of traces that has to be made anew.
    for file in segment_files(folder.path(), "traces") {
        std::fs::remove_file(file).unwrap();
    }
    assert_eq!(repair(folder.path(), &Config::default()).unwrap().traces_made, 600);
    assert!(files(folder.path()) <= 3 * 3 * 9, "{}", files(folder.path()));
    assert!(verify(folder.path()).unwrap().is_whole());
    let store = open(folder.path());
    assert_eq!(page(&store, "").total_matched, 600);
}

#[test]
fn what_is_kept_goes_by_when_it_came_in_and_not_by_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    // The bytes let two or three generations stay.
    let keep = Retention { bytes: 60_000, age: std::time::Duration::from_secs(3_600) };
    let config = Config { keep_spans: keep, keep_contents: keep, ..Config::default() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    for (number, start_ns) in STARTS.iter().enumerate() {
        put(&store, spans(at(number as u64, *start_ns)));
        store.seal().unwrap();
    }
    let left = numbers(&page(&store, ""));
    let newest: BTreeSet<_> = left.iter().copied().collect();
    assert!((1..STARTS.len()).contains(&left.len()), "{left:?}");
    assert!(newest.contains(&(STARTS.len() as u64 - 1)) && !newest.contains(&0), "{left:?}");
    let run = newest.last().unwrap() - newest.first().unwrap() + 1;
    assert_eq!(run, newest.len() as u64, "the oldest went first: {left:?}");
}
