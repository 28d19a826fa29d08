//! What was forgotten is looked for in the bytes of every file, unpacked.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use andon_model::SpanId;
use andon_store::{
    AggregateQuery, Config, EmbeddedStore, Forget, Forgotten, Population, Record, Store,
    StoreError, verify,
};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::support::*;

const SECRET: &str = "Zwetschgendatschi-4711";
const USERS: [&str; 3] = ["ann", "bob", "cyd"];
/// Numbers from here on come in while something is forgotten.
const MEANWHILE: u64 = 100_000;

fn ann() -> Forget {
    Forget::User("ann".to_owned())
}

/// The trace of this number belongs to one of three users, in turn. What ann says, and how her
/// service is called, stands nowhere else.
fn records(number: u64) -> Vec<Record> {
    let user = USERS[number as usize % USERS.len()];
    let mut root = span(number, 10 + number);
    root.span_id = SpanId::from_bytes((number + 1).to_be_bytes());
    root.user_id = Some(user.to_owned());
    root.session_id = Some(format!("session {number}"));
    let mut call = llm_span(&root, "gemma3:270m");
    if number < MEANWHILE {
        // A span that says nothing of the user is as much theirs.
        (call.user_id, call.session_id) = (None, None);
    }
    let mut text = format!("{number}: what is the weather?");
    if user == "ann" {
        call.service = format!("service {SECRET}");
        call.attributes.set("note", format!("attribute {SECRET}"));
        text = format!("{number}: {SECRET}");
    }
    vec![spans(vec![root.clone()]), with_text(call, &text), thumb(&root, 1.0)]
}

fn fill(store: &EmbeddedStore, numbers: impl Iterator<Item = u64>, per_segment: u64) {
    for number in numbers {
        records(number).into_iter().for_each(|record| put(store, record));
        if per_segment > 0 && number % per_segment == per_segment - 1 {
            store.seal().unwrap();
        }
    }
}

fn others(numbers: impl Iterator<Item = u64>) -> BTreeSet<u64> {
    numbers.filter(|number| USERS[*number as usize % USERS.len()] != "ann").collect()
}

fn listed(store: &EmbeddedStore) -> BTreeSet<u64> {
    numbers(&page(store, "")).into_iter().collect()
}

/// Each of these traces is whole, and there is no other.
fn has_just(store: &EmbeddedStore, numbers: &BTreeSet<u64>) {
    assert_eq!(listed(store), *numbers);
    for number in numbers {
        let trace = store.trace(id(*number)).unwrap().unwrap();
        let parts = (trace.spans.len(), trace.contents.len(), trace.evaluations.len());
        assert_eq!(parts, (2, 1, 1), "trace {number}");
    }
    let state = store.state();
    let rows = numbers.len() as u64;
    assert_eq!((state.spans, state.traces), (rows * 2, rows));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Files that hold the text, in the open or in a page of Parquet.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        // The store may have let go of it meanwhile.
        let Ok(bytes) = fs::read(path) else { return false };
        let is_open = contains(&bytes, text);
        is_open || (path.extension().is_some_and(|of| of == "parquet") && is_in_a_page(path, text))
    };
    files(folder).into_iter().filter(holds).collect()
}

fn is_in_a_page(path: &Path, text: &str) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let reader = SerializedFileReader::new(file).unwrap();
    (0..reader.num_row_groups()).any(|group| {
        let group = reader.get_row_group(group).unwrap();
        (0..group.num_columns()).any(|column| {
            let pages = group.get_column_page_reader(column).unwrap();
            pages.into_iter().any(|page| contains(page.unwrap().buffer(), text))
        })
    })
}

fn kinds(files: &[PathBuf]) -> BTreeSet<&str> {
    files.iter().filter_map(|path| path.parent()?.file_name()?.to_str()).collect()
}

fn numbers_of(forgotten: &Forgotten) -> (u64, u64, u64, u64) {
    let Forgotten { traces, spans, texts, evaluations, .. } = forgotten;
    (*traces, *spans, *texts, *evaluations)
}

#[test]
fn a_user_is_in_no_file_any_more_and_all_others_are() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 0..24, 4);
    store.compact();
    fill(&store, 24..31, 4);
    // What is sought is found while it is there, in segments and in the log.
    let before = files_with(folder.path(), SECRET);
    assert_eq!(kinds(&before), BTreeSet::from(["contents", "log", "rollups", "spans"]));
    assert_eq!(page(&store, &format!("text:{SECRET}")).total_matched, 11);

    let preview = store.preview_forget(&ann()).unwrap();
    assert_eq!(numbers_of(&preview), (11, 22, 11, 11));
    assert_eq!(page(&store, "").total_matched, 31);
    let done = store.forget(&ann()).unwrap();
    assert_eq!(numbers_of(&done), (11, 22, 11, 11));
    assert_eq!((done.trace_ids.len(), preview.segments), (11, done.segments));
    assert!(done.bytes_rewritten > 0);
    assert_eq!((done.not_searched.len(), done.still_open.len()), (0, 0));

    assert_eq!(files_with(folder.path(), SECRET), Vec::<PathBuf>::new());
    assert!(log_files(folder.path()).is_empty());
    let rest = others(0..31);
    has_just(&store, &rest);
    assert_eq!(page(&store, &format!("text:{SECRET}")).total_matched, 0);
    assert_eq!(page(&store, "text:weather").total_matched, 20);
    assert!(store.trace(id(0)).unwrap().is_none());
    assert!(verify(folder.path()).unwrap().is_whole());
    assert_eq!(numbers_of(&store.forget(&ann()).unwrap()), (0, 0, 0, 0));
    drop(store);
    let store = open(folder.path());
    has_just(&store, &rest);
    // A merge brings nothing back.
    store.compact();
    has_just(&store, &rest);
    assert_eq!(files_with(folder.path(), SECRET), Vec::<PathBuf>::new());
}

#[test]
fn a_session_or_a_trace_goes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 0..6, 2);
    let session = Forget::Session("session 4".to_owned());
    assert_eq!(numbers_of(&store.forget(&session).unwrap()), (1, 2, 1, 1));
    has_just(&store, &BTreeSet::from([0, 1, 2, 3, 5]));
    assert_eq!(numbers_of(&store.forget(&Forget::Trace(id(1))).unwrap()), (1, 2, 1, 1));
    has_just(&store, &BTreeSet::from([0, 2, 3, 5]));
    for nobody in [Forget::Trace(id(1)), Forget::User(String::new()), Forget::User("an".to_owned())]
    {
        let done = store.forget(&nobody).unwrap();
        assert_eq!((numbers_of(&done), done.bytes_rewritten), ((0, 0, 0, 0), 0), "{nobody:?}");
    }
    // A trace without spans that count is found by its id.
    put(&store, thumb(&span(7, 7), 1.0));
    assert_eq!(numbers_of(&store.forget(&Forget::Trace(id(7))).unwrap()), (1, 0, 0, 1));
    assert!(store.trace(id(7)).unwrap().is_none());
}

#[test]
fn sums_of_hours_count_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 0..9, 3);
    let counted = |store: &EmbeddedStore| {
        let query = AggregateQuery {
            to_ns: u64::MAX,
            of: Population::All,
            top: 1,
            ..AggregateQuery::default()
        };
        store.aggregate(&query).unwrap().total.figures.count
    };
    assert_eq!(counted(&store), 18);
    store.forget(&ann()).unwrap();
    assert_eq!(counted(&store), 12);
    store.compact();
    assert_eq!(counted(&store), 12);
    // Nothing is left to make sums of, and they are not those from before.
    for user in ["bob", "cyd"] {
        store.forget(&Forget::User(user.to_owned())).unwrap();
    }
    store.compact();
    assert_eq!(counted(&store), 0);
    drop(store);
    assert_eq!(counted(&open(folder.path())), 0);
}

/// So small that generations are written all the time.
fn small_generations() -> Config {
    Config { hot_bytes: 60_000, ..small_files() }
}

#[test]
fn others_who_write_meanwhile_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(folder.path(), small_generations()).unwrap());
    fill(&store, 0..90, 0);
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=2_u64)
        .map(|writer| {
            let (store, is_over) = (Arc::clone(&store), Arc::clone(&is_over));
            thread::spawn(move || {
                let first = writer * MEANWHILE;
                let mut next = first;
                while !is_over.load(Ordering::Relaxed) {
                    fill(&store, next..next + 1, 0);
                    next += 1;
                }
                first..next
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    let done = store.forget(&ann()).unwrap();
    assert!(done.traces >= 30 && done.still_open.is_empty(), "{done:?}");
    thread::sleep(Duration::from_millis(50));
    is_over.store(true, Ordering::Relaxed);
    let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    let mut expected = others(0..90);
    written.iter().for_each(|numbers| expected.extend(others(numbers.clone())));
    let check = |store: &EmbeddedStore| {
        for number in &expected {
            let trace = store.trace(id(*number)).unwrap().unwrap();
            let parts = (trace.spans.len(), trace.contents.len(), trace.evaluations.len());
            assert_eq!(parts, (2, 1, 1), "trace {number}");
        }
        let gone = (0..90).step_by(3).filter(|number| store.trace(id(*number)).unwrap().is_some());
        assert_eq!(gone.count(), 0);
    };
    check(&store);
    // Those of hers that came in too late are all there is left to forget.
    store.forget(&ann()).unwrap();
    check(&store);
    let mine = expected.len() as u64;
    assert_eq!((store.state().spans, store.state().traces), (mine * 2, mine));
    assert_eq!(files_with(folder.path(), SECRET), Vec::<PathBuf>::new());
}

#[test]
fn without_a_new_list_of_segments_nothing_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 0..9, 4);
    store.seal().unwrap();
    let all = (0..9).collect();
    let before: BTreeSet<_> = files(folder.path()).into_iter().collect();
    // In the way of the new list.
    let in_the_way = folder.path().join("segments/manifest.json.new");
    fs::create_dir(&in_the_way).unwrap();
    assert!(matches!(store.forget(&ann()), Err(StoreError::Io { .. })));
    assert_eq!(files(folder.path()).into_iter().collect::<BTreeSet<_>>(), before);
    has_just(&store, &all);
    let copy = copy_folder(folder.path());
    fs::remove_dir(copy.path().join("segments/manifest.json.new")).unwrap();
    has_just(&open(copy.path()), &all);
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(store.forget(&ann()).unwrap().traces, 3);
    has_just(&store, &others(0..9));
}

#[test]
fn what_cannot_be_looked_into_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 0..6, 3);
    let mut texts = segment_files(folder.path(), "contents").into_iter();
    let damaged = texts.find(|path| path.extension().is_some_and(|of| of == "parquet")).unwrap();
    let mut bytes = fs::read(&damaged).unwrap();
    let end = bytes.len() - 20;
    bytes[4..end].fill(0x55);
    fs::write(&damaged, bytes).unwrap();
    let aside = folder.path().join("set-aside");
    fs::create_dir(&aside).unwrap();
    for path in [aside.join("spans-1.parquet"), folder.path().join("log/1.damaged")] {
        fs::write(path, "anything").unwrap();
    }
    let done = store.forget(&ann()).unwrap();
    let whole = fs::canonicalize(folder.path()).unwrap();
    let mut expected = vec![
        whole.join("log/1.damaged"),
        whole.join("segments/contents").join(damaged.file_name().unwrap()),
        whole.join("set-aside/spans-1.parquet"),
    ];
    expected.sort();
    let named: Vec<_> = done.not_searched.iter().map(PathBuf::from).collect();
    assert_eq!(named, expected);
    assert_eq!((done.traces, done.texts), (2, 1));
}

const FOLDER: &str = "ANDON_TEST_FORGET_FOLDER";
const NAME: &str = "forget::a_kill_in_the_midst_leaves_all_or_nothing";
const ROUNDS: u32 = 16;

#[test]
fn a_kill_in_the_midst_leaves_all_or_nothing() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        forget_and_wait(Path::new(&folder));
    }
    let filled = tempfile::tempdir().unwrap();
    let store = open(filled.path());
    fill(&store, 0..60, 15);
    drop(store);
    let whole = copy_folder(filled.path());
    let began = Instant::now();
    open(whole.path()).forget(&ann()).unwrap();
    let takes = began.elapsed();
    let (befores, afters) = (Cell::new(0), Cell::new(0));
    // Until both were seen: on a busy machine a removal takes longer than it did at first.
    let rounds = (0..ROUNDS * 8)
        .take_while(|round| *round < ROUNDS || befores.get() == 0 || afters.get() == 0);
    for round in rounds {
        let folder = copy_folder(filled.path());
        kill_in_the_midst(folder.path(), takes * round / (ROUNDS / 2));
        let store = open(folder.path());
        if listed(&store).len() == 60 {
            befores.set(befores.get() + 1);
            has_just(&store, &(0..60).collect());
        } else {
            afters.set(afters.get() + 1);
            has_just(&store, &others(0..60));
            assert_eq!(files_with(folder.path(), SECRET), Vec::<PathBuf>::new());
        }
        assert!(verify(folder.path()).unwrap().is_whole());
    }
    let seen = (befores.get(), afters.get());
    assert!(seen.0 > 0 && seen.1 > 0, "before and after: {seen:?}");
}

fn kill_in_the_midst(folder: &Path, pause: Duration) {
    let mut child: Child = Command::new(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).find(|line| line.contains("begins"));
    thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn forget_and_wait(folder: &Path) -> ! {
    let store = open(folder);
    let mut to = std::io::stdout();
    to.write_all(b"begins\n").and_then(|()| to.flush()).unwrap();
    store.forget(&ann()).unwrap();
    loop {
        thread::park();
    }
}

#[test]
fn sent_again_it_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 0..1, 0);
    store.forget(&ann()).unwrap();
    fill(&store, 0..1, 0);
    has_just(&store, &BTreeSet::from([0]));
}
