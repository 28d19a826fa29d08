//! Moments between the steps that nobody can bring about from outside.

use andon_model::{Observation, Part, Policy, RawContent, RawText, Span};
use andon_privacy::{NoticeLanguage, Protector};

use super::*;
use crate::{Config, Record, Store, TraceQuery, embedded::compact::compact};

fn put(store: &EmbeddedStore, span: &Span) {
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    let record = Record::Spans(protector.protect(vec![Observation::from(span.clone())]));
    store.append(record).unwrap().wait().unwrap();
}

fn of_user(user: &str, start_ns: u64) -> Span {
    let mut span = Span::new(TraceId::random(), "gateway", "POST /chat");
    (span.user_id, span.start_ns) = (Some(user.to_owned()), start_ns);
    span
}

#[test]
fn what_came_in_meanwhile_is_all_that_is_left_of_its_trace() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), Config::default()).unwrap();
    let (first, other) = (of_user("ann", 1_000), of_user("bob", 2_000));
    put(&store, &first);
    put(&store, &other);
    store.seal().unwrap();
    let mut late = Span::new(first.trace_id, "gateway", "late");
    late.start_ns = 5_000;
    put(&store, &late);
    // A generation that waits for the sealer is as good as one that is filling.
    let removed = store.remove_from_segments(&Forget::User("ann".to_owned())).unwrap();
    assert_eq!((removed.traces, removed.spans), (1, 1));
    let check = || {
        let page = store.traces(&TraceQuery::default()).unwrap();
        let rows = page.traces.iter().map(|row| (row.trace_id, row.name.as_str(), row.span_count));
        let expected = [(first.trace_id, "late", 1), (other.trace_id, "POST /chat", 1)];
        assert_eq!(rows.collect::<Vec<_>>(), expected);
        assert_eq!(store.trace(first.trace_id).unwrap().unwrap().spans, [late.clone()]);
        assert_eq!((store.state().spans, store.state().traces), (2, 2));
    };
    check();
    store.seal().unwrap();
    check();
}

#[test]
fn it_returns_when_the_last_reader_of_an_old_file_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), Config::default()).unwrap();
    put(&store, &of_user("ann", 1_000));
    store.seal().unwrap();
    let read = Arc::clone(&store.shared.read().segments);
    let path = read[0].path.clone();
    let reading = Duration::from_millis(200);
    let reader = thread::spawn(move || {
        thread::sleep(reading);
        drop(read);
    });
    let began = Instant::now();
    let removed = store.forget(&Forget::User("ann".to_owned())).unwrap();
    assert!(began.elapsed() >= reading);
    assert!(!path.exists() && removed.still_open.is_empty());
    reader.join().unwrap();
}

#[test]
fn a_merge_that_is_under_way_brings_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), Config::default()).unwrap();
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    // Enough rows that the merge gives way before it has ended.
    for start_ns in 0..2 {
        let content = RawContent {
            part: Part::Input,
            role: None,
            idx: 0,
            text: RawText::new("so many words"),
        };
        let contents = vec![content];
        let one = |number: u64| {
            let span = of_user(if number == 7 { "ann" } else { "bob" }, start_ns * 10_000 + number);
            Observation { contents: contents.clone(), ..Observation::from(span) }
        };
        let record = Record::Spans(protector.protect((0..4_500).map(one).collect()));
        store.append(record).unwrap().wait().unwrap();
        store.seal().unwrap();
    }
    let removed = thread::scope(|scope| {
        let mut forgetting = None;
        let late = || u64::MAX;
        let forget = || store.remove_from_segments(&Forget::User("ann".to_owned())).unwrap();
        compact(&store.shared, &store.segments, late, &mut |_| {
            forgetting.get_or_insert_with(|| scope.spawn(forget));
            // The old files are gone only after this merge is.
            thread::sleep(Duration::from_millis(100));
            false
        });
        forgetting.unwrap().join().unwrap()
    });
    assert_eq!((removed.spans, removed.texts), (2, 2));
    assert!(removed.still_open.is_empty());
    assert_eq!(store.preview_forget(&Forget::User("ann".to_owned())).unwrap().spans, 0);
    let counting: HashSet<_> = {
        let segments = lock(&store.segments);
        segments.manifest.segments.iter().map(|info| info.id).collect()
    };
    let files =
        tables().flat_map(|table| files_in(&folder.path().join("segments").join(table.name())));
    for file in files {
        assert!(counting.contains(&id_of_file(&file).unwrap()), "{}", file.display());
    }
    assert_eq!(store.state().spans, 8_998);
}
