//! Damage that nobody has asked for yet is found in the background.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use andon_model::Span;
use andon_store::{Config, EmbeddedStore, FaultKind, ScrubState, Store};

use crate::{known, known::*, support::*};

/// A byte in the middle of what columns hold, before what the file says of its own layout.
fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    // In place, as a disk does it, under whoever has it open.
    fs::write(file, bytes).unwrap();
}

fn filled() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    known::fill(folder.path());
    let first = segment_files(folder.path(), "spans")[0].clone();
    (folder, first)
}

/// Traces of which there are spans.
fn with_spans(store: &EmbeddedStore) -> Vec<u64> {
    let has_spans = |trace: &u64| !store.trace(id(*trace)).unwrap().unwrap().spans.is_empty();
    all_traces().filter(has_spans).collect()
}

#[test]
fn a_flipped_byte_in_a_column_takes_its_segment_out_of_answers_until_it_is_mended() {
    let (folder, file) = filled();
    let whole = fs::read(&file).unwrap();
    let store = open(folder.path());
    store.scrub();
    let before = store.state();
    assert!(before.scrub.round_ended_ns.is_some() && before.scrub.damaged.is_empty());
    damage(&file);
    store.scrub();
    let state = store.state();
    assert_eq!(state.scrub.damaged, [file.display().to_string()]);
    assert!(state.healthy && state.message.unwrap().contains(&file.display().to_string()));
    let others: Vec<_> = all_traces().skip(TRACES as usize).collect();
    assert_eq!(with_spans(&store), others);
    let count = |store: &EmbeddedStore| {
        ask(store, "SELECT count(*) AS n FROM spans").unwrap()[0]["n"].as_u64().unwrap()
    };
    assert_eq!(count(&store), 2 * (TRACES * SEALED));
    // What is left out is merged into nothing, and everything goes on.
    store.compact();
    put(&store, spans(vec![llm_span(&spans_of(0)[0], "late")]));
    store.seal().unwrap();
    assert_eq!((count(&store), file.exists()), (2 * TRACES * SEALED + 1, true));
    drop(store);
    // A restart knows it from before.
    let store = open(folder.path());
    let state = store.state();
    assert_eq!(state.scrub.damaged, [file.display().to_string()]);
    assert_eq!(state.replay.faults[0].kind, FaultKind::BadSegment);
    assert_eq!(count(&store), 2 * TRACES * SEALED + 1);
    drop(store);
    fs::write(&file, whole).unwrap();
    let store = open(folder.path());
    assert_eq!((store.state().scrub.damaged.len(), store.state().message), (0, None));
    assert_eq!(count(&store), 2 * TRACES * (SEALED + 1) + 1);
}

#[test]
fn a_round_begins_by_itself_and_goes_on_after_a_restart_where_it_was() {
    let (folder, _) = filled();
    // A start reads none of these.
    let hosts = segment_files(folder.path(), "hosts");
    let (first, last) = (hosts[0].clone(), hosts[1].clone());
    damage(&first);
    damage(&last);
    // A round that has the first one behind it.
    let progress = format!("{{\"began_ns\":{},\"through\":{}}}", Span::now_ns(), number(&first));
    fs::write(folder.path().join("scrub.json"), progress).unwrap();
    let store = open(folder.path());
    eventually("the round ends", || store.state().scrub.round_ended_ns.is_some());
    assert_eq!(store.state().scrub.damaged, [last.display().to_string()]);
    drop(store);
    // It is not time for another one; with a shorter interval it is.
    let config = Config { scrub_interval: Duration::from_millis(1), ..Config::default() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    let both = [first.display().to_string(), last.display().to_string()];
    eventually("another round finds it", || store.state().scrub.damaged == both);
    drop(store);
    // What cannot be read begins anew.
    fs::write(folder.path().join("scrub.json"), b"{\"through\":").unwrap();
    let store = open(folder.path());
    assert_eq!(store.state().scrub, ScrubState::default());
    eventually("a new round", || store.state().scrub.damaged == both);
}

fn number(file: &Path) -> u64 {
    file.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn a_damaged_list_of_traces_is_found_by_whoever_needs_it_and_holds_nothing_up() {
    let (folder, _) = filled();
    let store = open(folder.path());
    let file = &segment_files(folder.path(), "traces")[0];
    fs::write(file, vec![0; fs::metadata(file).unwrap().len() as usize]).unwrap();
    // A late span has the row of its trace written anew.
    put(&store, spans(vec![llm_span(&spans_of(0)[0], "late")]));
    eventually("it is sealed", || store.seal().is_ok());
    assert_eq!(store.state().scrub.damaged, [file.display().to_string()]);
    assert_eq!(numbers(&page(&store, "model:late")), [0]);
    assert_eq!(store.trace(id(0)).unwrap().unwrap().spans.len(), 3);
}

#[test]
fn a_question_in_sql_that_fails_has_the_files_looked_into() {
    let (folder, file) = filled();
    let store = open(folder.path());
    fs::write(&file, vec![0; fs::metadata(&file).unwrap().len() as usize]).unwrap();
    let question = "SELECT count(*) AS n, sum(duration_ns) AS d FROM spans";
    assert!(ask(&store, question).is_err());
    eventually("the rest is answered", || ask(&store, question).is_ok());
    assert_eq!(ask(&store, question).unwrap()[0]["n"], 2 * TRACES * SEALED);
    assert_eq!(store.state().scrub.damaged, [file.display().to_string()]);
}

#[test]
fn damaged_sums_are_made_anew_from_the_spans() {
    let (folder, _) = filled();
    let store = open(folder.path());
    let before = answers(&store, |table| table == "rollups").figures;
    let file = &segment_files(folder.path(), "rollups")[0];
    damage(file);
    store.scrub();
    assert_eq!(store.state().scrub.damaged, [file.display().to_string()]);
    assert_eq!(answers(&store, |table| table == "rollups").figures, before);
    store.compact();
    assert_eq!(answers(&store, |table| table == "rollups").figures, before);
    drop(store);
    let store = open(folder.path());
    assert_eq!(answers(&store, |table| table == "rollups").figures, before);
    assert_eq!((store.state().message, store.state().scrub.damaged.len()), (None, 0));
}

#[test]
fn a_damaged_segment_is_merged_into_nothing_and_holds_no_merge_up() {
    let (folder, file) = filled();
    let store = open(folder.path());
    damage(&file);
    eventually("it is found", || {
        store.compact();
        !store.state().scrub.damaged.is_empty()
    });
    assert_eq!(store.state().scrub.damaged, [file.display().to_string()]);
    // The hosts come after the spans, and are merged all the same.
    store.compact();
    // The files go when nobody reads them any more, and the scrub may.
    eventually("hosts are merged", || segment_files(folder.path(), "hosts").len() == 1);
    let others: Vec<_> = all_traces().skip(TRACES as usize).collect();
    assert_eq!((with_spans(&store), file.exists()), (others, true));
}
