use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, thread, time::Duration};

use andon_store::{Config, EmbeddedStore, Retention, Store, StoreError};

use crate::support::*;

#[test]
fn everything_of_a_trace_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = span(1, 100);
    let llm = llm_span(&root, "gemma3:270m");
    let written = {
        let store = open(folder.path());
        put(&store, with_text(llm.clone(), "東京の天気は？"));
        put(&store, spans(vec![root.clone()]));
        put(&store, thumb(&llm, 1.0));
        store.trace(id(1)).unwrap().unwrap()
    };
    assert_eq!(written.spans, [root, llm]);
    assert_eq!(written.contents[0].text, "東京の天気は？");
    assert_eq!(written.evaluations[0].score, Some(1.0));
    let store = open(folder.path());
    assert_eq!(store.trace(id(1)).unwrap().unwrap(), written);
    assert_eq!(store.trace(id(2)).unwrap(), None);
    assert_eq!(store.state().replay.frames, 3);
    assert_eq!(store.state().replay.faults, []);
}

#[test]
fn appends_of_many_threads_are_all_there_once() {
    const THREADS: u64 = 8;
    const EACH: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(folder.path(), small_files()).unwrap());
    let appenders: Vec<_> = (0..THREADS)
        .map(|thread| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                let acks: Vec<_> = (0..EACH)
                    .map(|number| {
                        let trace = thread * EACH + number;
                        store.append(spans(vec![span(trace, 1_000 + trace)])).unwrap()
                    })
                    .collect();
                acks.into_iter().for_each(|ack| ack.wait().unwrap());
            })
        })
        .collect();
    appenders.into_iter().for_each(|appender| appender.join().unwrap());
    assert_eq!(page(&store, "").total_matched, THREADS * EACH);
    drop(store);
    assert!(log_files(folder.path()).len() > 3, "several files");
    let store = open(folder.path());
    assert_eq!(page(&store, "").total_matched, THREADS * EACH);
    for trace in 0..THREADS * EACH {
        assert_eq!(store.trace(id(trace)).unwrap().unwrap().spans.len(), 1, "{trace}");
    }
}

#[test]
fn an_acknowledged_record_is_visible_and_told_to_subscribers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut changes = store.subscribe();
    for trace in 0..20 {
        put(&store, spans(vec![span(trace, trace)]));
        assert!(store.trace(id(trace)).unwrap().is_some());
        assert_eq!(changes.try_recv().unwrap().as_ref(), [id(trace)]);
    }
}

#[test]
fn a_span_sent_again_is_stored_as_one_span() {
    let folder = tempfile::tempdir().unwrap();
    let mut retried = span(1, 100);
    let check = |store: &EmbeddedStore| {
        assert_eq!(page(store, "").traces[0].span_count, 1);
        let trace = store.trace(id(1)).unwrap().unwrap();
        assert_eq!((trace.spans.len(), trace.spans[0].name.as_str()), (1, "later"));
        assert_eq!(page(store, "").traces[0].name, "later");
    };
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    put(&store, spans(vec![retried.clone()]));
    // The second sending is in a later file.
    put(&store, with_text(span(2, 50), &incompressible(20_000)));
    retried.name = "later".to_owned();
    put(&store, spans(vec![retried]));
    assert!(log_files(folder.path()).len() > 1);
    check(&store);
    drop(store);
    check(&open(folder.path()));
}

#[test]
fn a_second_opener_is_told_who_holds_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let second = EmbeddedStore::open(folder.path(), Config::default());
    let pid = Some(std::process::id());
    assert_eq!(second.err().unwrap(), StoreError::Locked { pid });
    drop(store);
    open(folder.path());
}

#[test]
fn nobody_else_can_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("made/by/the/store");
    let store = open(&data);
    put(&store, spans(vec![span(1, 1)]));
    store.seal().unwrap();
    put(&store, spans(vec![span(2, 1)]));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("log")), 0o700);
    assert_eq!(mode(&data.join("segments")), 0o700);
    assert_eq!(mode(&data.join("segments/contents")), 0o700);
    assert_eq!(mode(&data.join("segments/manifest.json")), 0o600);
    assert_eq!(mode(&segment_files(&data, "spans")[0]), 0o600);
    assert_eq!(mode(&data.join("lock")), 0o600);
    assert_eq!(mode(&log_files(&data)[0]), 0o600);
}

#[test]
fn a_closed_store_refuses_appends_and_still_answers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ack = store.append(spans(vec![span(1, 1)])).unwrap();
    store.close();
    ack.wait().unwrap();
    assert_eq!(store.append(spans(vec![span(2, 1)])).err(), Some(StoreError::Closed));
    assert!(store.trace(id(1)).unwrap().is_some());
}

#[test]
fn too_large_and_too_many_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        record_bytes: 10_000,
        pending_records: 4,
        // Nothing is committed at once, so that the intake fills.
        prompt_commits: 0,
        commit_interval: Duration::from_secs(2),
        ..Config::default()
    };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    let large = store.append(with_text(span(1, 1), &"x".repeat(20_000)));
    assert!(matches!(large, Err(StoreError::TooLarge { limit: 10_000, .. })));
    put(&store, spans(vec![span(0, 1)]));
    let acks: Vec<_> =
        (1..5).map(|trace| store.append(spans(vec![span(trace, 1)])).unwrap()).collect();
    assert_eq!(store.append(spans(vec![span(9, 1)])).err(), Some(StoreError::Busy));
    acks.into_iter().for_each(|ack| ack.wait().unwrap());
    assert_eq!(page(&store, "").total_matched, 5);
}

#[test]
fn the_oldest_segments_go_when_there_are_too_many_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Retention { bytes: 40_000, age: Duration::from_secs(3_600) };
    let config = Config { keep_contents: keep, keep_spans: keep, ..small_files() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    for trace in 0..10 {
        put(&store, with_text(span(trace, 100 + trace), &incompressible(10_000)));
        store.seal().unwrap();
    }
    let on_disk = |table| -> u64 {
        let files = segment_files(folder.path(), table);
        files.iter().map(|file| fs::metadata(file).unwrap().len()).sum()
    };
    assert!(on_disk("contents") <= 40_000, "{}", on_disk("contents"));
    assert!(on_disk("spans") + on_disk("traces") <= 40_000);
    let tables = ["spans", "contents", "traces", "evaluations", "hosts", "processes", "rollups"];
    let log: u64 =
        log_files(folder.path()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert_eq!(store.state().bytes_on_disk, tables.map(on_disk).iter().sum::<u64>() + log);
    let texts = |number| store.trace(id(number)).unwrap().map_or(0, |trace| trace.contents.len());
    assert_eq!((texts(0), texts(9)), (0, 1));
    let listed = numbers(&page(&store, ""));
    drop(store);
    assert_eq!(numbers(&page(&open(folder.path()), "")), listed);
}

#[test]
fn segments_older_than_the_limit_go() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    put(&first, spans(vec![span(1, 1)]));
    first.seal().unwrap();
    drop(first);
    let keep = Retention { bytes: u64::MAX, age: Duration::from_millis(1_500) };
    let config = Config { keep_spans: keep, ..Config::default() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    assert!(store.trace(id(1)).unwrap().is_some(), "not yet");
    thread::sleep(Duration::from_millis(1_600));
    put(&store, spans(vec![span(2, 2)]));
    store.seal().unwrap();
    assert_eq!(store.trace(id(1)).unwrap(), None);
    assert!(store.trace(id(2)).unwrap().is_some());
    assert_eq!(segment_files(folder.path(), "spans").len(), 1);
}

#[test]
fn flush_does_not_wait_out_the_interval() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        prompt_commits: 0,
        commit_interval: Duration::from_secs(3_600),
        ..Config::default()
    };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    let ack = store.append(spans(vec![span(1, 1)])).unwrap();
    store.flush().unwrap();
    ack.wait().unwrap();
    let ack = store.append(spans(vec![span(2, 1)])).unwrap();
    drop(store);
    ack.wait().unwrap();
    assert_eq!(page(&open(folder.path()), "").total_matched, 2);
}

#[test]
fn waiting_inside_a_runtime_does_not_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    runtime.block_on(async {
        store.append(spans(vec![span(1, 1)])).unwrap().wait().unwrap();
        store.append(spans(vec![span(2, 1)])).unwrap().await.unwrap();
    });
}

#[test]
fn nothing_that_was_acknowledged_is_in_memory_alone_after_a_seal() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { hot_bytes: 20_000, ..Config::default() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    for round in 0..20 {
        // Enough that a generation is on its way when the seal is asked for.
        for trace in 0..6 {
            put(&store, with_text(span(round * 10 + trace, trace), &incompressible(5_000)));
        }
        store.seal().unwrap();
        assert_eq!(store.stats().total.rows_in_memory, 0, "round {round}");
    }
}
