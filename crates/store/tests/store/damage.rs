use std::{fs, fs::OpenOptions, os::unix::fs::FileExt, path::Path};

use andon_store::{Config, EmbeddedStore, FaultKind, Store, StoreError};

use crate::support::*;

/// A folder with traces 0 to 4, a frame each, and where each frame begins and the last one ends.
fn five_frames() -> (tempfile::TempDir, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut ends = Vec::new();
    for trace in 0..5 {
        put(&store, spans(vec![span(trace, 10 + trace)]));
        ends.push(fs::metadata(&log_files(folder.path())[0]).unwrap().len());
    }
    drop(store);
    let mut starts = vec![32];
    starts.extend(ends);
    (folder, starts)
}

fn listed(folder: &Path) -> Vec<u64> {
    let mut numbers = numbers(&page(&open(folder), ""));
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_log_cut_at_any_byte_keeps_every_frame_before_the_cut() {
    let (folder, starts) = five_frames();
    let every_byte_of_the_last = starts[4]..=starts[5];
    for cut in (0..starts[4]).step_by(23).chain(every_byte_of_the_last) {
        let copy = copy_folder(folder.path());
        let file = &log_files(copy.path())[0];
        OpenOptions::new().write(true).open(file).unwrap().set_len(cut).unwrap();
        let whole = starts[1..].iter().filter(|end| **end <= cut).count() as u64;
        let store = open(copy.path());
        let mut found = numbers(&page(&store, ""));
        found.sort_unstable();
        assert_eq!(found, (0..whole).collect::<Vec<_>>(), "cut at {cut}");

        let report = store.state().replay;
        let clean = starts.contains(&cut);
        assert_eq!(report.faults_total, u64::from(!clean), "cut at {cut}");
        if let Some(fault) = report.faults.first() {
            let (kind, offset) = match cut {
                ..32 => (FaultKind::EmptyFile, 0),
                _ => (FaultKind::TornTail, starts[whole as usize]),
            };
            assert_eq!((fault.kind, fault.offset, fault.bytes), (kind, offset, cut - offset));
        }
        if cut % 16 != 0 {
            continue;
        }
        // It goes on as if nothing had happened.
        put(&store, spans(vec![span(77, 77)]));
        drop(store);
        let reopened = open(copy.path());
        assert_eq!(page(&reopened, "").total_matched, whole + 1);
        assert_eq!(reopened.state().replay.faults_total, 0, "repaired once: cut at {cut}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_costs_one_frame_at_most(place in 0.0..1.0f64, bit in 0u8..8) {
        let (folder, starts) = five_frames();
        let file = &log_files(folder.path())[0];
        let offset = (place * starts[5] as f64) as u64;
        flip(file, offset, bit);
        let hit = starts.iter().rposition(|start| *start <= offset).map(|place| place as u64);
        let expected: Vec<u64> = (0..5).filter(|trace| Some(*trace) != hit).collect();
        proptest::prop_assert_eq!(listed(folder.path()), expected);
    }

    #[test]
    fn garbage_behind_the_last_frame_is_cut(bytes in proptest::collection::vec(0u8..=255, 1..600)) {
        let (folder, starts) = five_frames();
        let file = OpenOptions::new().write(true).open(&log_files(folder.path())[0]).unwrap();
        file.write_all_at(&bytes, starts[5]).unwrap();
        proptest::prop_assert_eq!(listed(folder.path()), (0..5).collect::<Vec<_>>());
        proptest::prop_assert_eq!(listed(folder.path()), (0..5).collect::<Vec<_>>());
    }
}

#[test]
fn damage_in_an_older_file_is_reported_and_the_rest_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    for trace in 0..20 {
        put(&store, with_text(span(trace, trace), &incompressible(1_000)));
    }
    drop(store);
    let files = log_files(folder.path());
    assert!(files.len() >= 4);
    flip(&files[1], 500, 3);
    flip(&files[2], 3, 0);
    let store = open(folder.path());
    assert_eq!(page(&store, "").total_matched, 19);
    let state = store.state();
    let kinds: Vec<_> = state.replay.faults.iter().map(|fault| fault.kind).collect();
    assert!(kinds.contains(&FaultKind::CorruptFrame) && kinds.contains(&FaultKind::BadHeader));
    assert!(state.replay.faults.iter().any(|fault| fault.file == files[1].to_string_lossy()));
    assert!(state.healthy && state.message.is_some());
}

#[test]
fn a_damaged_segment_is_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for trace in 0..2 {
        put(&store, spans(vec![span(trace, 1)]));
        store.seal().unwrap();
    }
    drop(store);
    let files = segment_files(folder.path(), "spans");
    let bytes = fs::metadata(&files[0]).unwrap().len();
    fs::write(&files[0], vec![0; bytes as usize]).unwrap();
    let store = open(folder.path());
    assert_eq!(store.trace(id(0)).unwrap(), None);
    assert_eq!(store.trace(id(1)).unwrap().unwrap().spans, [span_of(&store, 1)]);
    assert!(store.state().unreadable_files > 0);
    assert_eq!(page(&store, "").total_matched, 2);
}

fn span_of(store: &EmbeddedStore, number: u64) -> andon_model::Span {
    store.trace(id(number)).unwrap().unwrap().spans[0].clone()
}

#[test]
fn files_that_are_not_the_logs_are_left_alone() {
    let (folder, _) = five_frames();
    for name in ["notes.txt", "00000000000000000001.wal.bak", "1.wal"] {
        fs::write(folder.path().join("log").join(name), b"mine").unwrap();
    }
    assert_eq!(listed(folder.path()), [0, 1, 2, 3, 4]);
    assert_eq!(fs::read(folder.path().join("log/notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_file_of_a_later_version_is_refused_and_not_touched() {
    let (folder, _) = five_frames();
    let file = &log_files(folder.path())[0];
    let mut bytes = fs::read(file).unwrap();
    bytes[8] = 2;
    let crc = crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    fs::write(file, &bytes).unwrap();
    match EmbeddedStore::open(folder.path(), Config::default()).err().unwrap() {
        StoreError::NewerFormat { version: 2, known: 1, .. } => {}
        other => panic!("{other}"),
    }
    assert_eq!(fs::read(file).unwrap(), bytes);
}

fn flip(file: &Path, offset: u64, bit: u8) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << bit], offset).unwrap();
}

/// CRC32C, the slow and plain way: a second opinion on the format.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
        })
    })
}
