//! What a failing disk does: bits of a file are not what was written. Whatever they hit, the store
//! opens, says which file it is, serves all that is in the others, and can be made whole.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use andon_store::{Config, EmbeddedStore, Store, StoreError, repair, verify};

use crate::{known, known::*, support::*};

const TRIALS: u64 = 300;
/// No trial begins after so long; a busy machine gets through a part of them.
const TIME: Duration = Duration::from_secs(50);
/// Trials at a time.
const THREADS: u64 = 4;
/// Nothing that is done to a folder of a hundred kilobytes takes so long.
const HANG: Duration = Duration::from_secs(60);

/// xorshift64*: the same flips on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % sides
    }
}

/// The files of a folder by their kind: table and extension, `log` or `manifest`.
fn files_by_kind(folder: &Path) -> Vec<(String, Vec<PathBuf>)> {
    let mut kinds = vec![
        ("log".to_owned(), log_files(folder)),
        ("manifest".to_owned(), vec![folder.join("segments/manifest.json")]),
    ];
    for table in ["spans", "contents", "evaluations", "traces", "hosts", "processes", "rollups"] {
        let mut by_extension: HashMap<String, Vec<PathBuf>> = HashMap::new();
        for file in segment_files(folder, table) {
            let extension = file.extension().unwrap().to_string_lossy().into_owned();
            by_extension.entry(extension).or_default().push(file);
        }
        let named = |(extension, files)| (format!("{table}.{extension}"), files);
        let mut named: Vec<_> = by_extension.into_iter().map(named).collect();
        named.sort();
        kinds.extend(named);
    }
    kinds
}

/// One file of a copy, damaged.
struct Damage {
    kind: String,
    file: PathBuf,
    /// How manyth of its kind, from the oldest.
    place: usize,
    flips: Vec<(usize, u32)>,
    trial: u64,
}

impl Damage {
    /// One flipped bit, or now and then a few.
    fn inflict(folder: &Path, trial: u64) -> Self {
        let mut dice = Dice(trial.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut kinds = files_by_kind(folder);
        let (kind, files) = kinds.swap_remove(dice.roll(kinds.len() as u64) as usize);
        let place = dice.roll(files.len() as u64) as usize;
        let file = files[place].clone();
        let mut bytes = fs::read(&file).unwrap();
        let count = if trial.is_multiple_of(4) { 1 + dice.roll(8) } else { 1 };
        let mut flips = Vec::new();
        for _ in 0..count {
            let flip = (dice.roll(bytes.len() as u64) as usize, dice.roll(8) as u32);
            bytes[flip.0] ^= 1 << flip.1;
            flips.push(flip);
        }
        fs::write(&file, bytes).unwrap();
        Self { kind, file, place, flips, trial }
    }
}

impl Damage {
    /// Whether a question about this table can hit it: planning all of them takes most of the time.
    fn is_about(&self, table: &str) -> bool {
        let hit = self.kind.split_once('.').map_or("spans", |(hit, _)| hit);
        table == if hit == "traces" { "spans" } else { hit }
    }

    fn among(&self, expected: &Answers) -> Answers {
        let mut expected = expected.clone();
        if !(self.is_about("spans") || self.is_about("rollups")) {
            expected.figures = None;
        }
        expected.sql.retain(|(table, _)| self.is_about(table));
        expected
    }
}

impl Drop for Damage {
    /// Which one it was.
    fn drop(&mut self) {
        if thread::panicking() {
            let Self { kind, file, flips, trial, .. } = self;
            eprintln!("trial {trial}: {kind} {}, bytes and bits {flips:?}", file.display());
        }
    }
}

/// What became of a trial.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Outcome {
    /// The flips took each other back.
    Nothing,
    /// A list of segments that claims to be of a later version.
    Refused,
    /// The store knew at its start, noticed while it answered, or refused an answer.
    Noticed,
    /// All answers were right.
    Harmless,
    /// An answer was wrong, and only `verify` knew.
    Unnoticed,
}

fn attempt(whole: &Path, expected: &Answers, trial: u64) -> Outcome {
    let folder = copy_folder(whole);
    let folder = folder.path();
    let damage = Damage::inflict(folder, trial);
    let written = whole.join(damage.file.strip_prefix(folder).unwrap());
    if fs::read(&written).unwrap() == fs::read(&damage.file).unwrap() {
        return Outcome::Nothing;
    }
    if let Some(outcome) = is_refused(folder, &damage) {
        return outcome;
    }
    is_named_by_verify(folder, &damage);
    // Before anybody opened the folder, or after.
    let (before, after) = if trial.is_multiple_of(2) { (true, false) } else { (false, true) };
    if before {
        is_made_whole(folder, &damage, expected);
    }
    let store = EmbeddedStore::open(folder, Config::default()).unwrap();
    let now = answers(&store, |table| damage.is_about(table));
    serves_the_rest(&now, &damage, expected);
    let state = store.state();
    // A segment that is written anew meanwhile is not there to be found.
    if trial.is_multiple_of(4) || damage.kind == "traces.parquet" && trial.is_multiple_of(2) {
        goes_on(&store);
    } else {
        is_named_by_a_scrub(&store, &damage);
        // Then the spans say what the hours came to.
        if damage.is_about("rollups") {
            assert_eq!(Some(figures_of(&store)), expected.figures);
        }
    }
    drop(store);
    if after {
        is_made_whole(folder, &damage, expected);
    }
    let is_named =
        state.message.is_some() || state.replay.faults_total > 0 || state.unreadable_files > 0;
    if is_named || now.sql.iter().any(|(_, answer)| answer.is_err()) {
        Outcome::Noticed
    } else if now == damage.among(expected) {
        Outcome::Harmless
    } else {
        Outcome::Unnoticed
    }
}

/// Four bits of the manifest make it one of a later version, which is not to be touched.
fn is_refused(folder: &Path, damage: &Damage) -> Option<Outcome> {
    match verify(folder) {
        Ok(_) => None,
        Err(StoreError::NewerFormat { file, .. }) => {
            assert_eq!((damage.kind.as_str(), Path::new(&file)), ("manifest", &*damage.file));
            let opened = EmbeddedStore::open(folder, Config::default()).err().unwrap();
            assert!(matches!(opened, StoreError::NewerFormat { .. }));
            Some(Outcome::Refused)
        }
        Err(other) => panic!("{other}"),
    }
}

fn is_named_by_verify(folder: &Path, damage: &Damage) {
    let found = verify(folder).unwrap();
    let damaged = found.damaged.iter().map(|one| &one.file);
    let named: Vec<_> = damaged.chain(found.unfinished.iter().map(|one| &one.file)).collect();
    assert!(
        !named.is_empty() && named.iter().all(|file| Path::new(file) == damage.file),
        "{found:?}"
    );
}

/// All rows that are not in the damaged file are served.
fn serves_the_rest(now: &Answers, damage: &Damage, expected: &Answers) {
    let (table, extension) = damage.kind.split_once('.').unwrap_or((&damage.kind, ""));
    let hit = |of, generation: u64| {
        of == table && extension == "parquet" && generation == damage.place as u64
    };
    let mut lost = 0;
    for trace in all_traces() {
        let generation = generation_of(trace);
        let (expected, now) = (&expected.traces[trace as usize], &now.traces[trace as usize]);
        let expected = expected.as_ref().unwrap();
        let mut early: Vec<_> = now.iter().flat_map(|now| &now.spans).collect();
        early.retain(|span| span.model.as_deref() != Some("late"));
        if table == "log" && generation == SEALED {
            lost += expected.spans.len() - early.len();
            continue;
        }
        let now = now.as_ref().expect("a trace that has rows in whole files");
        assert!(hit("spans", generation) || early.into_iter().eq(&expected.spans));
        assert!(hit("contents", generation) || now.contents == expected.contents);
        assert!(hit("evaluations", generation) || now.evaluations == expected.evaluations);
    }
    assert!(lost <= damage.flips.len(), "{lost} spans of the log are lost");
    for generation in 0..SEALED {
        let is_listed = |trace| numbers(&now.list).contains(&trace);
        let all = generation * TRACES..(generation + 1) * TRACES;
        assert!(hit("traces", generation) || all.into_iter().all(is_listed));
        assert!(hit("hosts", generation) || now.hosts.contains(&host_of(generation)));
        let mut processes = processes_of(generation).into_iter();
        assert!(hit("processes", generation) || processes.all(|one| now.processes.contains(&one)));
    }
}

/// Spans still come in and are sealed, also those of traces that are in the damaged file. A first try
/// may meet the damage; by the next one it is out of the way.
fn goes_on(store: &EmbeddedStore) {
    for generation in 0..=SEALED {
        let [root, _] = spans_of(generation * TRACES);
        put(store, spans(vec![llm_span(&root, "late")]));
    }
    let end = Instant::now() + HANG;
    while let Err(error) = store.seal() {
        assert!(Instant::now() < end, "{error}");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(page(store, "model:late").total_matched, SEALED + 1);
}

fn is_named_by_a_scrub(store: &EmbeddedStore, damage: &Damage) {
    store.scrub();
    let is_segment = damage.kind.contains('.');
    let damaged = store.state().scrub.damaged;
    let expected = is_segment.then(|| damage.file.display().to_string());
    assert_eq!(damaged, expected.into_iter().collect::<Vec<_>>());
}

fn is_made_whole(folder: &Path, damage: &Damage, expected: &Answers) {
    let copy = copy_folder(folder);
    repair(copy.path(), &Config::default()).unwrap();
    let found = verify(copy.path()).unwrap();
    assert!(found.is_whole() && found.unfinished.is_empty(), "{found:?}");
    // Asking everything takes longer than all the rest.
    if !damage.trial.is_multiple_of(5) {
        return;
    }
    let store = EmbeddedStore::open(copy.path(), Config::default()).unwrap();
    assert_eq!(store.state().replay.faults_total, 0);
    let now = answers(&store, |table| damage.is_about(table));
    assert!(now.sql.iter().all(|(_, answer)| answer.is_ok()), "{:?}", now.sql);
    serves_the_rest(&now, damage, expected);
}

/// Runs a trial on a thread of its own, so that one that hangs is a failure and not a wait; `None` for
/// one that failed.
fn attempt_in_time(whole: &Path, expected: &Answers, trial: u64) -> Option<Outcome> {
    let (done, outcome) = mpsc::channel();
    let (whole, expected) = (whole.to_owned(), expected.clone());
    thread::spawn(move || done.send(attempt(&whole, &expected, trial)));
    let outcome = outcome.recv_timeout(HANG);
    assert!(outcome != Err(mpsc::RecvTimeoutError::Timeout), "trial {trial} hangs");
    outcome.ok()
}

#[test]
fn flipped_bits_are_named_the_rest_is_served_and_repair_makes_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    known::fill(folder.path());
    let whole = copy_folder(folder.path());
    let expected = answers(&open(folder.path()), |_| true);
    let (next, end) = (AtomicU64::new(0), Instant::now() + TIME);
    let outcomes = Mutex::new(HashMap::<Option<Outcome>, u64>::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let trial = next.fetch_add(1, Ordering::Relaxed);
                    if trial >= TRIALS || Instant::now() >= end {
                        return;
                    }
                    let outcome = attempt_in_time(whole.path(), &expected, trial);
                    *outcomes.lock().unwrap().entry(outcome).or_default() += 1;
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    println!("{outcomes:?}");
    assert_eq!(outcomes.get(&None), None, "see above");
    // It would be no test if little was hit.
    let count = |outcome| outcomes.get(&Some(outcome)).copied().unwrap_or(0);
    let trials: u64 = outcomes.values().sum();
    assert!(count(Outcome::Noticed) > trials / 10, "{outcomes:?}");
    assert!(count(Outcome::Nothing) + count(Outcome::Refused) < trials / 10, "{outcomes:?}");
}
