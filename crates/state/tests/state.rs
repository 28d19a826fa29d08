//! The state over lives of its file: reopened, copied, of another version, with somebody else at it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, thread};

use andon_model::TraceId;
use andon_state::{
    Action, Actor, MOST_NOTE_BYTES, MOST_NOTES, Outcome, STATE_FILE, StateDb, StateError, Subject,
    SubjectKind, backup, check, restore,
};
use serde_json::json;

fn trace(byte: u8) -> TraceId {
    TraceId::from_bytes([byte; 16])
}

fn user(name: &str) -> Subject {
    Subject { kind: SubjectKind::User, name: name.to_owned() }
}

/// Whether some file below a folder holds these bytes.
fn is_on_disk(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_on_disk(&path, bytes);
        }
        fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    let note = db.add_note(trace(1), 5, "カラオケの夜から遅い").unwrap();
    db.set("language", b"ja").unwrap();
    let id = db.begin(7, Actor::Api, Action::Forget, Some(&user("ann"))).unwrap();
    db.end(id, 9, Outcome::Done, &json!({ "traces": 3 })).unwrap();
    drop(db);

    let db = StateDb::open(folder.path()).unwrap();
    assert_eq!(db.set_aside, None);
    assert_eq!(db.notes(trace(1)).unwrap(), [note]);
    assert_eq!(db.notes(trace(2)).unwrap(), []);
    assert_eq!(db.setting("language").unwrap().as_deref(), Some(b"ja".as_slice()));
    let entries = db.entries(Some(&user("ann")), None, 10).unwrap();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.begun_ns, entry.ended_ns), (7, Some(9)));
    assert_eq!((entry.action, entry.outcome), (Action::Forget, Some(Outcome::Done)));
    assert_eq!(entry.details, Some(json!({ "traces": 3 })));
    let mode = fs::metadata(folder.path().join(STATE_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(check(folder.path()).unwrap().unwrap().faults, Vec::<String>::new());
}

#[test]
fn a_record_tells_whose_it_is_only_to_who_knows_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    db.begin(1, Actor::Api, Action::Forget, Some(&user("ann@example.org"))).unwrap();
    let session = Subject { kind: SubjectKind::Session, name: "ann@example.org".to_owned() };
    assert_eq!(db.entries(Some(&user("ann@example.org")), None, 10).unwrap().len(), 1);
    assert_eq!(db.entries(Some(&user("bob@example.org")), None, 10).unwrap(), []);
    assert_eq!(db.entries(Some(&session), None, 10).unwrap(), []);
    assert!(!is_on_disk(folder.path(), b"ann@example.org"));
}

#[test]
fn what_never_ended_is_seen_to_have_begun() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    db.begin(3, Actor::CommandLine, Action::Repair, None).unwrap();
    drop(db);
    let db = StateDb::open(folder.path()).unwrap();
    let entry = &db.entries(None, None, 10).unwrap()[0];
    assert_eq!((entry.ended_ns, entry.outcome, &entry.details), (None, None, &None));
}

#[test]
fn entries_come_newest_first_a_page_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    for at in 0..7 {
        db.begin(at, Actor::Api, Action::Import, None).unwrap();
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = db.entries(None, before, 3).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|entry| entry.begun_ns));
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn a_note_that_was_removed_is_on_no_byte_of_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    let one = db.add_note(trace(1), 1, "Wednesday, unseen otherwise").unwrap();
    db.add_note(trace(2), 2, "Thursday, unseen otherwise").unwrap();
    db.add_note(trace(3), 30, "Friday, unseen otherwise").unwrap();
    assert!(is_on_disk(folder.path(), b"Wednesday"));
    assert!(!db.remove_note(trace(2), one.id).unwrap(), "it is another trace's");
    assert!(db.remove_note(trace(1), one.id).unwrap());
    assert!(!is_on_disk(folder.path(), b"Wednesday"));
    assert_eq!(db.remove_notes_of(&[trace(1), trace(2)]).unwrap(), 1);
    assert!(!is_on_disk(folder.path(), b"Thursday"));
    assert_eq!(db.remove_notes_before(30).unwrap(), 0);
    assert_eq!(db.remove_notes_before(31).unwrap(), 1);
    assert!(!is_on_disk(folder.path(), b"Friday"));
    // Its number is not given again: a client may hold it still.
    assert!(db.add_note(trace(1), 40, "later").unwrap().id > one.id + 2);
}

#[test]
fn notes_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    let long = "n".repeat(MOST_NOTE_BYTES + 1);
    assert!(matches!(db.add_note(trace(1), 1, &long), Err(StateError::NoteTooLarge { .. })));
    for _ in 0..MOST_NOTES {
        db.add_note(trace(1), 1, "n").unwrap();
    }
    assert!(matches!(db.add_note(trace(1), 1, "n"), Err(StateError::TooManyNotes { .. })));
    db.add_note(trace(2), 1, "another trace's").unwrap();
}

#[test]
fn a_copy_is_of_one_moment_while_somebody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path()).unwrap();
    db.add_note(trace(0), 0, "first").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for at in 1..60 {
                // Both or none.
                db.add_note(trace(at), u64::from(at), "n").unwrap();
                let id = db.begin(u64::from(at), Actor::Api, Action::Import, None).unwrap();
                db.end(id, u64::from(at), Outcome::Done, &json!(at)).unwrap();
            }
        });
        for _ in 0..5 {
            let to = tempfile::tempdir().unwrap();
            assert!(backup(folder.path(), to.path()).unwrap());
            assert_eq!(check(to.path()).unwrap().unwrap().faults, Vec::<String>::new());
            let copy = StateDb::open(to.path()).unwrap();
            let entries = copy.entries(None, None, 1_000).unwrap();
            let whole = entries.iter().skip(1).all(|entry| entry.outcome == Some(Outcome::Done));
            assert!(whole, "{entries:?}");
            assert_eq!(copy.notes(trace(0)).unwrap().len(), 1);
        }
    });
}

#[test]
fn a_copy_is_taken_back_only_where_nothing_is_lost_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let (to, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(!backup(folder.path(), to.path()).unwrap(), "there is no state yet");
    let db = StateDb::open(folder.path()).unwrap();
    let note = db.add_note(trace(1), 1, "kept").unwrap();
    db.begin(1, Actor::Api, Action::Forget, Some(&user("ann"))).unwrap();
    assert!(backup(folder.path(), to.path()).unwrap());
    assert!(matches!(backup(folder.path(), to.path()), Err(StateError::Unfit { .. })));
    assert!(matches!(restore(to.path(), folder.path()), Err(StateError::Unfit { .. })));

    // One that was opened once and never used makes way.
    StateDb::open(other.path()).unwrap();
    assert!(restore(to.path(), other.path()).unwrap());
    let db = StateDb::open(other.path()).unwrap();
    assert_eq!(db.notes(trace(1)).unwrap(), [note]);
    assert_eq!(db.entries(Some(&user("ann")), None, 10).unwrap().len(), 1, "the key went along");
}

#[test]
fn a_file_of_a_later_andon_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    StateDb::open(folder.path()).unwrap();
    let path = folder.path().join(STATE_FILE);
    let later = rusqlite::Connection::open(&path).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    drop(later);
    let before = fs::read(&path).unwrap();
    let error = StateDb::open(folder.path()).unwrap_err();
    assert!(matches!(error, StateError::NewerFormat { version: 99, .. }), "{error}");
    assert!(matches!(check(folder.path()), Err(StateError::NewerFormat { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
}
