//! `kill -9`, for real: this test binary runs itself as a child that appends, and kills it.

use std::{
    collections::HashSet,
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use andon_model::SpanId;
use andon_store::{Config, EmbeddedStore, Format, Record, Store};

use crate::support::*;

const FOLDER: &str = "ANDON_TEST_CRASH_FOLDER";
const FIRST: &str = "ANDON_TEST_CRASH_FIRST";
const ROUNDS: u64 = 200;
/// More than a round can get through.
const ROUND_IDS: u64 = 1_000_000;
const APPENDERS: u64 = 4;
/// Of each round so many spans are sent once more after it.
const RETRIED: usize = 20;

#[test]
fn every_acknowledged_span_survives_kill_9_and_none_is_there_twice() {
    if std::env::var_os(FOLDER).is_some() {
        append_until_killed();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        let of_round = kill_in_the_midst(folder.path(), round);
        assert!(!of_round.is_empty(), "the child got something done");
        if round % 3 == 0 {
            tear_the_end(folder.path(), round);
        }
        let store = EmbeddedStore::open(folder.path(), small_generations()).unwrap();
        for trace in of_round.iter().take(RETRIED) {
            put(&store, numbered(*trace));
        }
        acknowledged.extend(of_round);
        let stored = stored_numbers(&store, "spans");
        let mut texts = stored_numbers(&store, "contents");
        let distinct: HashSet<_> = stored.iter().copied().collect();
        assert_eq!(distinct.len(), stored.len(), "some are there twice after round {round}");
        let lost: Vec<_> = acknowledged.difference(&distinct).collect();
        assert!(lost.is_empty(), "acknowledged and gone after round {round}: {lost:?}");
        texts.sort_unstable();
        assert!(texts.is_sorted_by(|one, next| one < next), "texts are there twice");
        assert_eq!(texts.len(), stored.len(), "each span has its text");
        assert_eq!(page(&store, "").total_matched, distinct.len() as u64);
    }
}

/// Lets a child append, kills it, and tells what it was told to be safe.
fn kill_in_the_midst(folder: &Path, round: u64) -> Vec<u64> {
    let mut child = start_child(folder, round * ROUND_IDS);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The clock of the kill starts with the first acknowledgement.
    let mut acknowledged: Vec<_> =
        lines.find_map(|line| acknowledged_id(&line.unwrap())).into_iter().collect();
    let pause = Duration::from_micros(500 + round * 7_919 % 60_000);
    let killer = thread::spawn(move || {
        thread::sleep(pause);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    acknowledged.extend(lines.map_while(Result::ok).filter_map(|line| acknowledged_id(&line)));
    killer.join().unwrap();
    acknowledged
}

/// What a power cut leaves of a write that was never acknowledged: a part of a frame, or any bytes.
fn tear_the_end(folder: &Path, round: u64) {
    let Some(last) = log_files(folder).pop() else { return };
    let garbage: Vec<u8> = (0..round % 97 + 1).map(|byte| (byte * round) as u8).collect();
    OpenOptions::new().append(true).open(last).unwrap().write_all(&garbage).unwrap();
}

/// A span that is the same whenever it is sent.
fn numbered(number: u64) -> Record {
    let mut span = span(number, number);
    span.span_id = SpanId::from_bytes((number + 1).to_be_bytes());
    with_text(span, "some words of a question")
}

fn stored_numbers(store: &EmbeddedStore, table: &str) -> Vec<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let asked = store.sql(&format!("SELECT span_id FROM {table}")).unwrap();
    let answer = runtime.block_on(asked).unwrap();
    assert!(!answer.is_partial);
    let mut csv = Vec::new();
    answer.write(Format::Csv, &mut csv).unwrap();
    let ids = String::from_utf8(csv).unwrap();
    ids.lines().skip(1).map(|id| u64::from_str_radix(id, 16).unwrap() - 1).collect()
}

/// So small that a kill often comes while segments are written.
fn small_generations() -> Config {
    Config { hot_bytes: 60_000, sql_rows: usize::MAX, ..small_files() }
}

/// The line behind the last newline may be cut short, so a line counts with its full stop only.
fn acknowledged_id(line: &str) -> Option<u64> {
    line.strip_prefix("acknowledged ")?.strip_suffix('.')?.parse().ok()
}

fn start_child(folder: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "crash::every_acknowledged_span_survives_kill_9_and_none_is_there_twice",
            "--exact",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn append_until_killed() -> ! {
    let folder = std::env::var_os(FOLDER).unwrap();
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Arc::new(EmbeddedStore::open(Path::new(&folder), small_generations()).unwrap());
    let appenders: Vec<_> = (0..APPENDERS)
        .map(|appender| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                for trace in (first + appender..first + ROUND_IDS).step_by(APPENDERS as usize) {
                    if store.append(numbered(trace)).and_then(|ack| ack.wait()).is_ok() {
                        // One write a line, so that lines of several threads do not mix.
                        let line = format!("acknowledged {trace}.\n");
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                    }
                }
            })
        })
        .collect();
    appenders.into_iter().for_each(|appender| appender.join().unwrap());
    std::process::exit(0);
}
