use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use andon_store::{
    AggregateQuery, Config, Dimension, EmbeddedStore, FaultKind, Repair, Store, StoreError,
    TracePage, Wrong, repair, verify,
};

use crate::support::*;

const DAY: u64 = 24 * 60 * 60;

/// Four generations of five traces, each of a root and a call; generations are a day apart.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for trace in 0..20 {
        let root = span(trace, 100 + trace + trace / 5 * DAY);
        let mut call = llm_span(&root, "gemma3:270m");
        call.output_tokens = Some(trace);
        put(&store, with_text(call, "東京の天気は？"));
        put(&store, spans(vec![root]));
        if trace % 5 == 4 {
            store.seal().unwrap();
        }
    }
    drop(store);
    folder
}

fn mend(folder: &Path) -> Repair {
    let done = repair(folder, &Config::default()).unwrap();
    let found = verify(folder).unwrap();
    assert!(found.is_whole(), "{:?}", found.damaged);
    assert!(repair(folder, &Config::default()).unwrap().is_nothing());
    done
}

fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(file, bytes).unwrap();
}

fn aside(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder.join("set-aside")) else { return Vec::new() };
    let mut files: Vec<_> = listing.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn listed(folder: &Path) -> TracePage {
    page(&open(folder), "")
}

#[test]
fn a_whole_folder_needs_no_repair_and_one_in_use_gets_none() {
    let folder = filled();
    put(&open(folder.path()), spans(vec![span(20, 1)]));
    assert!(mend(folder.path()).is_nothing());
    assert_eq!(listed(folder.path()).total_matched, 21);
    let _held = open(folder.path());
    let refused = repair(folder.path(), &Config::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }));
}

#[test]
fn a_damaged_segment_is_set_aside_and_the_rest_kept() {
    let folder = filled();
    let file = &segment_files(folder.path(), "spans")[1];
    damage(file);
    let bad = fs::read(file).unwrap();
    let done = mend(folder.path());
    assert_eq!(done.set_aside.len(), 1);
    assert!(matches!(done.set_aside[0].wrong, Wrong::Checksum { .. }));
    let kept = PathBuf::from(done.set_aside[0].now.as_ref().unwrap());
    assert_eq!((aside(folder.path()), fs::read(&kept).unwrap()), (vec![kept], bad));
    let store = open(folder.path());
    assert_eq!((store.state().spans, store.state().replay.faults_total), (30, 0));
    assert_eq!(store.trace(id(3)).unwrap().unwrap().spans.len(), 2);
    assert!(store.trace(id(7)).unwrap().unwrap().spans.is_empty(), "its text is left");
}

#[test]
fn rows_of_the_list_are_made_anew_as_they_were() {
    let folder = filled();
    let before = listed(folder.path());
    let files = segment_files(folder.path(), "traces");
    assert_eq!(files.len(), 4);
    damage(&files[0]);
    fs::remove_file(&files[2]).unwrap();
    let done = mend(folder.path());
    assert_eq!((done.traces_made, done.set_aside.len()), (10, 2));
    assert_eq!(listed(folder.path()), before);
    // Late spans find their row.
    let store = open(folder.path());
    put(&store, spans(vec![llm_span(&span(12, 112 + 2 * DAY), "qwen3:8b")]));
    store.seal().unwrap();
    let late = page(&store, "");
    assert_eq!(late.total_matched, 20);
    assert_eq!(late.traces.iter().map(|trace| trace.span_count).sum::<u64>(), 41);
}

#[test]
fn a_lost_list_of_segments_is_made_anew() {
    let folder = filled();
    let before = listed(folder.path());
    damage(&segment_files(folder.path(), "contents")[0]);
    let manifest = folder.path().join("segments/manifest.json");
    for lose in [
        |path: &Path| fs::remove_file(path).unwrap(),
        |path: &Path| {
            fs::write(path, b"{}").unwrap();
        },
    ] {
        lose(&manifest);
        let done = mend(folder.path());
        assert!(done.is_manifest_rebuilt);
        assert_eq!(listed(folder.path()), before);
    }
}

#[test]
fn what_is_readable_of_a_damaged_log_goes_into_segments() {
    let folder = filled();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    for trace in 30..40 {
        put(&store, with_text(span(trace, trace), &incompressible(1_000)));
    }
    drop(store);
    let files = log_files(folder.path());
    assert!(files.len() > 2);
    damage(&files[1]);
    // All of the last one, whose end a start cuts off.
    let last = files.len() - 1;
    let bytes = fs::metadata(&files[last]).unwrap().len() as usize;
    fs::write(&files[last], vec![0xff; bytes]).unwrap();
    let done = mend(folder.path());
    assert!(done.log_places >= 2);
    let kept = listed(folder.path()).total_matched;
    assert!((23..29).contains(&kept), "{kept}");
    assert!(files.iter().all(|file| !file.exists()));
    assert_eq!(log_files(folder.path()), Vec::<PathBuf>::new());
    let named: Vec<_> = done.set_aside.iter().map(|one| PathBuf::from(&one.file)).collect();
    assert_eq!(named, [files[1].clone(), files[last].clone()]);
    let kept = fs::read(done.set_aside[1].now.as_ref().unwrap()).unwrap();
    assert_eq!(kept, vec![0xff; bytes]);
}

#[test]
fn an_index_of_texts_that_is_damaged_is_done_without() {
    let folder = filled();
    let is_index = |file: &PathBuf| file.extension().is_some_and(|of| of == "grams");
    let index = segment_files(folder.path(), "contents").into_iter().find(is_index).unwrap();
    damage(&index);
    let done = mend(folder.path());
    assert_eq!((done.set_aside.len(), &done.set_aside[0].now), (1, &None));
    let store = open(folder.path());
    assert_eq!(page(&store, "text:天気").total_matched, 20);
}

#[test]
fn a_start_leaves_out_a_segment_of_another_size_or_none() {
    let folder = filled();
    let files = segment_files(folder.path(), "spans");
    let bytes = fs::metadata(&files[0]).unwrap().len();
    OpenOptions::new().write(true).open(&files[0]).unwrap().set_len(bytes / 2).unwrap();
    let away = folder.path().join("away");
    fs::rename(&files[1], &away).unwrap();
    let store = open(folder.path());
    let faults = store.state().replay.faults;
    let named: Vec<_> = faults.iter().map(|fault| PathBuf::from(&fault.file)).collect();
    assert_eq!(named, files[..2]);
    assert!(faults.iter().all(|fault| fault.kind == FaultKind::BadSegment));
    assert_eq!((store.state().spans, store.state().healthy), (20, true));
    assert_eq!(aside(folder.path()).len(), 1);
    put(&store, spans(vec![span(50, 50)]));
    store.seal().unwrap();
    drop(store);
    // It counts again when it is back.
    fs::rename(&away, &files[1]).unwrap();
    let store = open(folder.path());
    assert_eq!((store.state().spans, store.state().replay.faults_total), (31, 0));
    assert_eq!(store.trace(id(7)).unwrap().unwrap().spans.len(), 2);
}

#[test]
fn lost_sums_of_hours_are_made_anew() {
    let folder = filled();
    let total = |folder: &Path| {
        let query = AggregateQuery {
            to_ns: 10 * DAY * SECOND,
            by: vec![Dimension::Model],
            points: 20,
            top: 5,
            ..AggregateQuery::default()
        };
        open(folder).aggregate(&query).unwrap()
    };
    let before = total(folder.path());
    assert_eq!(before.total.figures.count, 20);
    let file = &segment_files(folder.path(), "rollups")[1];
    damage(file);
    let done = mend(folder.path());
    assert_eq!(done.set_aside.len(), 1);
    // An hour of each of four days, of the roots and of their calls.
    assert_eq!((done.rollups_made, done.traces_made), (8, 0));
    assert_eq!(total(folder.path()), before);
}
