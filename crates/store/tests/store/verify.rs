use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use andon_store::{Config, EmbeddedStore, FaultKind, Store, Verification, Wrong, verify};

use crate::support::*;

/// Two generations in segments, and spans in the log.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for trace in 0..40 {
        put(&store, with_text(span(trace, 100 - trace), "明日の東京の天気は？"));
        put(&store, thumb(&span(trace, 100 - trace), 1.0));
        if trace % 20 == 19 {
            put(&store, host(trace));
            store.seal().unwrap();
        }
    }
    put(&store, spans(vec![span(40, 40)]));
    put(&store, spans(vec![span(41, 41)]));
    drop(store);
    folder
}

/// What is wrong with the one file that is.
#[track_caller]
fn only(found: &Verification, file: &Path) -> Wrong {
    assert_eq!(found.damaged.len(), 1, "{:?}", found.damaged);
    assert_eq!(found.damaged[0].file, file.to_string_lossy());
    found.damaged[0].wrong.clone()
}

fn manifest_file(folder: &Path) -> PathBuf {
    folder.join("segments/manifest.json")
}

#[test]
fn a_whole_folder_is_whole_and_not_touched() {
    let folder = filled();
    let before = snapshot(folder.path());
    let found = verify(folder.path()).unwrap();
    assert!(found.is_whole(), "{:?}", found.damaged);
    assert_eq!((found.segments, found.rows), (12, 3 * 40 + 2 + 40 + 2));
    assert_eq!((found.log_files, found.frames, found.unfinished.len()), (1, 2, 0));
    assert_eq!(snapshot(folder.path()), before);
}

/// Every file with its bytes.
fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn any_flipped_bit_of_a_segment_or_its_index_is_found() {
    let folder = filled();
    for table in ["spans", "contents", "traces"] {
        for file in segment_files(folder.path(), table) {
            let good = fs::read(&file).unwrap();
            for place in (0..good.len()).step_by(211) {
                let mut bad = good.clone();
                bad[place] ^= 1 << (place % 8);
                fs::write(&file, bad).unwrap();
                let wrong = only(&verify(folder.path()).unwrap(), &file);
                let is_named = match file.extension().unwrap().to_str().unwrap() {
                    "parquet" => matches!(wrong, Wrong::Checksum { .. }),
                    _ => matches!(wrong, Wrong::Unreadable(_)),
                };
                assert!(is_named, "{wrong}");
            }
            fs::write(&file, good).unwrap();
        }
    }
}

#[test]
fn a_cut_and_a_missing_segment_are_named() {
    let folder = filled();
    let files = segment_files(folder.path(), "evaluations");
    let bytes = fs::metadata(&files[0]).unwrap().len();
    OpenOptions::new().write(true).open(&files[0]).unwrap().set_len(bytes - 1).unwrap();
    let wrong = only(&verify(folder.path()).unwrap(), &files[0]);
    assert_eq!(wrong, Wrong::Size { expected: bytes, found: bytes - 1 });
    fs::remove_file(&files[0]).unwrap();
    assert_eq!(only(&verify(folder.path()).unwrap(), &files[0]), Wrong::Missing);
}

#[test]
fn a_damaged_or_lost_manifest_is_named_and_the_segments_read_all_the_same() {
    let folder = filled();
    let manifest = manifest_file(folder.path());
    fs::write(&manifest, b"{}").unwrap();
    let found = verify(folder.path()).unwrap();
    assert!(matches!(only(&found, &manifest), Wrong::Unreadable(_)));
    assert_eq!(found.segments, 12);
    fs::remove_file(&manifest).unwrap();
    assert_eq!(only(&verify(folder.path()).unwrap(), &manifest), Wrong::NoManifest);
    assert!(verify(tempfile::tempdir().unwrap().path()).unwrap().is_whole());
}

#[test]
fn a_damaged_frame_is_named_and_a_write_cut_short_is_not_damage() {
    let folder = filled();
    let file = &log_files(folder.path())[0];
    let good = fs::read(file).unwrap();
    let check = |bytes: &[u8]| {
        fs::write(file, bytes).unwrap();
        verify(folder.path()).unwrap()
    };
    let cut = check(&good[..good.len() - 3]);
    assert!(cut.is_whole());
    assert_eq!((cut.frames, cut.unfinished[0].kind), (1, FaultKind::TornTail));

    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    match only(&check(&bad), file) {
        Wrong::Frame { kind: FaultKind::CorruptTail, .. } => {}
        other => panic!("{other}"),
    }
    let mut bad = good.clone();
    bad[50] ^= 1;
    match only(&check(&bad), file) {
        Wrong::Frame { kind: FaultKind::CorruptFrame, offset: 32, .. } => {}
        other => panic!("{other}"),
    }
}

#[test]
fn a_folder_in_use_is_whole_while_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { merged_segments: 2, ..small_files() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for trace in 0..60 {
                put(&store, with_text(span(trace % 20, trace), &incompressible(2_000)));
                if trace % 3 == 0 {
                    store.seal().unwrap();
                    store.compact();
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut looks = 0;
        while !done.load(Ordering::Relaxed) {
            let found = verify(folder.path()).unwrap();
            assert!(found.is_whole(), "{:?}", found.damaged);
            looks += 1;
        }
        assert!(looks > 1);
    });
    assert_eq!(verify(folder.path()).unwrap().log_files, store.stats().log.files);
}
