//! Spans that come in pieces: whatever happens to memory and log between two of them, the whole is one
//! row, and all of it.

use andon_model::{Observation, PARTIAL, Part, Policy, RawContent, RawText, Span};
use andon_privacy::{NoticeLanguage, Protector};
use andon_store::{Config, EmbeddedStore, Record, Store, Trace, TraceQuery};

use crate::support::{SECOND, eventually, id, put, small_files, span, with_text};

/// Generations of some tens of spans.
fn config() -> Config {
    Config { hot_bytes: 60_000, ..small_files() }
}

/// A span of now, since only of such more is expected.
fn begun(trace: u64) -> Span {
    let mut begun = span(trace, Span::now_ns() / SECOND - 1);
    begun.duration_ns = 0;
    begun.attributes.set(PARTIAL, true);
    begun
}

fn ended(begun: &Span) -> Span {
    let mut ended = begun.clone();
    ended.attributes.remove(PARTIAL);
    ended.duration_ns = SECOND;
    ended
}

fn with_texts(span: &Span, question: &str, answer: Option<&str>) -> Record {
    let text = |part, text: &str| RawContent { part, role: None, idx: 0, text: RawText::new(text) };
    let answer = answer.map(|answer| text(Part::Output, answer));
    let contents = [text(Part::Input, question)].into_iter().chain(answer).collect();
    let observation = Observation { contents, ..Observation::from(span.clone()) };
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    Record::Spans(protector.protect(vec![observation]))
}

/// So much beside that several generations go by.
fn flood(store: &EmbeddedStore, from: u64) {
    let now_s = Span::now_ns() / SECOND;
    for trace in from..from + 200 {
        put(store, with_text(span(trace, now_s), &format!("{trace} ").repeat(200)));
    }
    eventually("nothing was written out", || in_segments(store) > 0);
}

fn in_segments(store: &EmbeddedStore) -> u64 {
    store.stats().total.rows
}

fn trace(store: &EmbeddedStore, number: u64) -> Trace {
    store.trace(id(number)).unwrap().unwrap()
}

/// All of one trace with one span, by every way to ask.
fn assert_whole(store: &EmbeddedStore, expected: &Span, texts: &[&str]) {
    let found = store.trace(expected.trace_id).unwrap().unwrap();
    assert_eq!(found.spans, std::slice::from_ref(expected));
    let mut kept: Vec<_> = found.contents.iter().map(|text| text.text.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, texts);
    let page = store.traces(&TraceQuery::default()).unwrap();
    let rows = page.traces.iter().filter(|row| row.trace_id == expected.trace_id);
    assert!(rows.count() <= 1);
}

#[test]
fn what_ends_after_its_generation_takes_the_place_of_what_began() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), config()).unwrap();
    let first = begun(1);
    put(&store, with_texts(&first, "question", None));
    for round in 0..3 {
        flood(&store, 1_000 + round * 1_000);
        assert_whole(&store, &first, &["question"]);
    }
    let last = ended(&first);
    put(&store, with_texts(&last, "question", Some("answer")));
    assert_whole(&store, &last, &["answer", "question"]);
    store.seal().unwrap();
    assert_whole(&store, &last, &["answer", "question"]);
}

#[test]
fn others_of_its_trace_may_be_in_segments() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), config()).unwrap();
    let (first, other) = (begun(1), ended(&begun(1)));
    put(&store, with_texts(&other, "other", None));
    put(&store, with_texts(&first, "question", None));
    flood(&store, 1_000);
    put(&store, with_texts(&ended(&first), "question", Some("answer")));
    flood(&store, 2_000);
    let found = trace(&store, 1);
    assert_eq!(found.spans.len(), 2);
    assert!(found.spans.iter().all(|span| span.duration_ns == SECOND));
    assert_eq!(found.contents.len(), 3);
    drop(store);
    let store = EmbeddedStore::open(folder.path(), config()).unwrap();
    assert_eq!(trace(&store, 1).spans.len(), 2);
    let query = TraceQuery { limit: 1_000, ..TraceQuery::default() };
    let rows = store.traces(&query).unwrap().traces;
    assert_eq!(rows.iter().filter(|row| row.trace_id == id(1)).count(), 1);
}

#[test]
fn what_began_is_there_after_a_start_and_can_end_then() {
    for before in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path(), config()).unwrap();
        let first = begun(1);
        put(&store, with_texts(&first, "question", None));
        for round in 0..before {
            flood(&store, 1_000 + round * 1_000);
        }
        drop(store);
        let store = EmbeddedStore::open(folder.path(), config()).unwrap();
        assert_whole(&store, &first, &["question"]);
        let last = ended(&first);
        put(&store, with_texts(&last, "question", Some("answer")));
        flood(&store, 50_000);
        assert_whole(&store, &last, &["answer", "question"]);
        drop(store);
        let store = EmbeddedStore::open(folder.path(), config()).unwrap();
        assert_whole(&store, &last, &["answer", "question"]);
    }
}

#[test]
fn a_start_that_has_to_write_out_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    // All of it stays in the log.
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    let first = begun(1);
    put(&store, with_texts(&first, "question", None));
    let now_s = Span::now_ns() / SECOND;
    for trace in 1_000..1_300 {
        put(&store, with_text(span(trace, now_s), &format!("{trace} ").repeat(200)));
    }
    let second = begun(2);
    put(&store, with_texts(&second, "another", None));
    put(&store, with_texts(&ended(&first), "question", Some("answer")));
    drop(store);
    for _ in 0..3 {
        // Now memory is small: the log is written out while it is read.
        let store = EmbeddedStore::open(folder.path(), config()).unwrap();
        assert!(in_segments(&store) > 0);
        assert_whole(&store, &ended(&first), &["answer", "question"]);
        assert_whole(&store, &second, &["another"]);
    }
    let store = EmbeddedStore::open(folder.path(), config()).unwrap();
    put(&store, with_texts(&ended(&second), "another", Some("end")));
    assert_whole(&store, &ended(&second), &["another", "end"]);
}

#[test]
fn what_never_ends_is_written_out_after_a_while_and_at_once_when_there_is_much() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), config()).unwrap();
    let mut old = begun(1);
    old.start_ns -= 3 * 60 * 60 * SECOND;
    put(&store, with_texts(&old, "old", None));
    // More than a generation may leave to the next.
    for number in 2..300 {
        put(&store, with_texts(&begun(number), &format!("{number} ").repeat(100), None));
    }
    flood(&store, 1_000);
    let in_memory = store.stats().total.rows_in_memory;
    assert!(in_memory < 300, "{in_memory} rows stay");
    assert_eq!(trace(&store, 1).spans, [old]);
    for number in 2..300 {
        assert_eq!(trace(&store, number).spans.len(), 1, "{number}");
        assert_eq!(trace(&store, number).contents.len(), 1, "{number}");
    }
    // Who waits for all of it gets all of it.
    store.seal().unwrap();
    assert_eq!(store.stats().total.rows_in_memory, 0);
}
