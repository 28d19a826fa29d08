//! Bytes of the file flipped at random: named, set aside, and what is whole is served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path, sync::OnceLock};

use andon_model::TraceId;
use andon_state::{Action, Actor, Note, Outcome, STATE_FILE, StateDb, check};
use proptest::prelude::*;
use serde_json::json;

const NOTES: u8 = 120;

/// A file of some dozen pages, and the notes in it.
fn filled() -> &'static (Vec<u8>, Vec<Vec<Note>>) {
    static FILLED: OnceLock<(Vec<u8>, Vec<Vec<Note>>)> = OnceLock::new();
    FILLED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let notes = fill(folder.path());
        // The last one to close it has written the log into it.
        (fs::read(folder.path().join(STATE_FILE)).unwrap(), notes)
    })
}

fn fill(folder: &Path) -> Vec<Vec<Note>> {
    let db = StateDb::open(folder).unwrap();
    let notes = (0..NOTES).map(|at| {
        let text = format!("note {at} {}", "long ".repeat(usize::from(at)));
        db.add_note(TraceId::from_bytes([at; 16]), u64::from(at), &text).unwrap();
        let id = db.begin(u64::from(at), Actor::Api, Action::Import, None).unwrap();
        db.end(id, u64::from(at), Outcome::Done, &json!({ "at": at })).unwrap();
        db.notes(TraceId::from_bytes([at; 16])).unwrap()
    });
    notes.collect()
}

/// Every note that is served and not marked is one that was written.
fn served(db: &StateDb, written: &[Vec<Note>]) -> usize {
    let mut whole = 0;
    for (at, expected) in (0..NOTES).zip(written) {
        for note in db.notes(TraceId::from_bytes([at; 16])).unwrap_or_default() {
            assert!(note.is_damaged || expected.contains(&note), "{note:?}");
            whole += usize::from(!note.is_damaged);
        }
    }
    let _ = db.entries(None, None, 1_000);
    whole
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_byte_is_never_served_as_true(
        places in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, written) = filled();
        let path = folder.path().join(STATE_FILE);
        let mut bytes = bytes.clone();
        for (place, flip) in &places {
            let at = place.index(bytes.len());
            bytes[at] ^= flip;
        }
        fs::write(&path, &bytes).unwrap();

        let found = check(folder.path());
        match StateDb::open(folder.path()) {
            Ok(db) => {
                let whole = served(&db, written);
                // Each flip can cost the page it is in, and those that only it leads to.
                if db.set_aside.is_none() && whole < written.len() {
                    prop_assert!(!found.unwrap().unwrap().faults.is_empty());
                }
                // It goes on: what is new is kept.
                db.add_note(TraceId::from_bytes([200; 16]), 1, "new").unwrap();
                prop_assert_eq!(db.notes(TraceId::from_bytes([200; 16])).unwrap().len(), 1);
            }
            // The number of the version is not guarded by anything.
            Err(error) => prop_assert!(error.to_string().contains("version"), "{error}"),
        }
    }
}

/// The text that says what tables there are is on a page of its own, and a flip seldom meets it.
#[test]
fn a_flipped_letter_in_the_tables_definitions_is_found() {
    let (bytes, written) = filled();
    let text = b"name  TEXT PRIMARY KEY";
    let start = bytes.windows(text.len()).position(|at| at == text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STATE_FILE);
    for at in start..start + text.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let faults = check(folder.path()).unwrap().unwrap().faults;
        assert!(!faults.is_empty(), "{at}");
        let db = StateDb::open(folder.path()).unwrap();
        assert!(db.set_aside.is_some(), "{at}");
        assert!(served(&db, written) <= written.len());
    }
}

#[test]
fn a_note_that_is_no_text_any_more_hides_no_other_one() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    let trace = TraceId::from_bytes([1; 16]);
    db.add_note(trace, 1, "the one that is hit").unwrap();
    db.add_note(trace, 2, "the other").unwrap();
    drop(db);
    let path = folder.path().join(STATE_FILE);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|text| text == b"hit").unwrap();
    bytes[at] = 0xff;
    fs::write(&path, bytes).unwrap();
    let notes = StateDb::open(folder.path()).unwrap().notes(trace).unwrap();
    let texts: Vec<_> = notes.iter().map(|note| (note.text.as_str(), note.is_damaged)).collect();
    assert_eq!(texts, [("the one that is \u{fffd}it", true), ("the other", false)]);
}

#[test]
fn what_is_whole_in_a_damaged_file_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, written) = filled();
    let path = folder.path().join(STATE_FILE);
    let mut bytes = bytes.clone();
    // A page in the middle.
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 4096].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    let aside = db.set_aside.clone().unwrap();
    assert!(aside.now.exists() && aside.taken_over > 0, "{aside:?}");
    assert!(served(&db, written) > written.len() / 2, "{aside:?}");
    assert_eq!(check(folder.path()).unwrap().unwrap().faults, Vec::<String>::new());
}

#[test]
fn a_file_of_another_kind_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(STATE_FILE), "no database\n".repeat(1_000)).unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    assert_eq!(db.set_aside.as_ref().unwrap().taken_over, 0);
    db.add_note(TraceId::from_bytes([1; 16]), 1, "new").unwrap();
    drop(db);
    assert_eq!(StateDb::open(folder.path()).unwrap().set_aside, None);
}
