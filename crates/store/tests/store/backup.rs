use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use andon_store::{Config, EmbeddedStore, Store, StoreError, backup, restore, verify};

use crate::support::*;

fn filled(folder: &Path) {
    let store = open(folder);
    for trace in 0..10 {
        put(&store, with_text(span(trace, 10 + trace), "東京の天気は？"));
        put(&store, thumb(&span(trace, 10 + trace), 1.0));
        if trace % 4 == 0 {
            store.seal().unwrap();
        }
    }
    put(&store, host(5));
    store.seal().unwrap();
}

fn check(folder: &Path) {
    assert!(verify(folder).unwrap().is_whole());
    let store = open(folder);
    assert_eq!(numbers(&page(&store, "")), (0..10).rev().collect::<Vec<_>>());
    let trace = store.trace(id(3)).unwrap().unwrap();
    assert_eq!(trace.contents[0].text, "東京の天気は？");
    assert_eq!((trace.evaluations.len(), store.state().replay.faults_total), (1, 0));
    assert_eq!(store.host_samples(None, 0, 100 * SECOND).unwrap().len(), 1);
}

fn reason(error: StoreError) -> &'static str {
    match error {
        StoreError::Unfit { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn what_was_backed_up_is_there_after_the_folder_was_lost() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(folder.path());
    let copy = other.path().join("monday");
    let copied = backup(folder.path(), &copy).unwrap();
    assert_eq!((copied.rows, copied.linked), (45, copied.segments + 4));
    fs::remove_dir_all(folder.path()).unwrap();
    let restored = restore(&copy, folder.path()).unwrap();
    assert_eq!(restored.rows, copied.rows);
    check(folder.path());
    // A backup that was looked into is one still.
    check(&copy);
    let third = tempfile::tempdir().unwrap();
    restore(&copy, third.path()).unwrap();
    // It goes on where it was.
    put(&open(third.path()), spans(vec![span(77, 77)]));
    assert_eq!(page(&open(third.path()), "").total_matched, 11);
}

#[test]
fn on_another_disk_files_are_copied() {
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let copied = backup(folder.path(), elsewhere.path()).unwrap();
    if copied.linked == 0 {
        assert_eq!(copied.rows, 45);
    }
    drop(folder);
    check(elsewhere.path());
}

#[test]
fn a_backup_of_a_folder_in_use_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { merged_segments: 2, ..small_files() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    put(&store, spans(vec![span(0, 1)]));
    let written = AtomicU64::new(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for trace in 1..80 {
                put(&store, with_text(span(trace, 100 + trace), &incompressible(2_000)));
                written.store(trace + 1, Ordering::SeqCst);
                if trace % 3 == 0 {
                    // Its row is written anew, and the segment that had it goes.
                    put(&store, spans(vec![llm_span(&span(trace / 2, 100 + trace / 2), "m")]));
                    store.seal().unwrap();
                    store.compact();
                }
            }
        });
        let mut made = 0;
        while written.load(Ordering::SeqCst) < 80 {
            let copy = tempfile::tempdir().unwrap();
            let before = written.load(Ordering::SeqCst);
            store.seal().unwrap();
            backup(folder.path(), copy.path()).unwrap();
            let after = written.load(Ordering::SeqCst);
            let found = verify(copy.path()).unwrap();
            assert!(found.is_whole(), "{:?}", found.damaged);
            let copied = open(copy.path());
            let listed = page(&copied, "");
            assert!((before..=after + 1).contains(&listed.total_matched), "{before} {after}");
            assert_eq!(copied.state().traces, listed.total_matched);
            made += 1;
        }
        assert!(made > 1);
    });
}

#[test]
fn a_folder_with_something_in_it_is_not_backed_up_into_nor_restored_into() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(folder.path());
    let notes = copy.path().join("notes.txt");
    fs::write(&notes, b"mine").unwrap();
    assert_eq!(reason(backup(folder.path(), copy.path()).unwrap_err()), "is not empty");
    fs::remove_file(&notes).unwrap();
    backup(folder.path(), copy.path()).unwrap();

    let busy = tempfile::tempdir().unwrap();
    put(&open(busy.path()), spans(vec![span(1, 1)]));
    assert_eq!(reason(restore(copy.path(), busy.path()).unwrap_err()), "holds records already");
    assert_eq!(numbers(&page(&open(busy.path()), "")), [1]);
    open(busy.path()).seal().unwrap();
    assert_eq!(reason(restore(copy.path(), busy.path()).unwrap_err()), "holds records already");

    // One that was opened, and has only what is not the store's.
    let fresh = tempfile::tempdir().unwrap();
    drop(open(fresh.path()));
    fs::create_dir(fresh.path().join("models")).unwrap();
    let held = open(fresh.path());
    assert!(matches!(restore(copy.path(), fresh.path()), Err(StoreError::Locked { .. })));
    drop(held);
    restore(copy.path(), fresh.path()).unwrap();
    check(fresh.path());
}

#[test]
fn what_is_no_whole_backup_is_not_restored() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let to = tempfile::tempdir().unwrap();
    assert!(reason(restore(folder.path(), to.path()).unwrap_err()).starts_with("is no backup"));
    filled(folder.path());
    put(&open(folder.path()), spans(vec![span(11, 11)]));
    let in_log = restore(folder.path(), to.path()).unwrap_err();
    assert_eq!(reason(in_log), "is no backup: it has records in a log");

    backup(folder.path(), copy.path()).unwrap();
    let file = &segment_files(copy.path(), "spans")[0];
    let mut bytes = fs::read(file).unwrap();
    bytes[100] ^= 1;
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
    match restore(copy.path(), to.path()).unwrap_err() {
        StoreError::Damaged { file: named, .. } => assert_eq!(named, file.to_string_lossy()),
        other => panic!("{other}"),
    }
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
}
