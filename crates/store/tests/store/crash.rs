//! `kill -9`, for real: this test binary runs itself as a child that appends, and kills it.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use andon_store::{Config, EmbeddedStore, Store};

use crate::support::*;

const FOLDER: &str = "ANDON_TEST_CRASH_FOLDER";
const FIRST: &str = "ANDON_TEST_CRASH_FIRST";
const ROUNDS: u64 = 12;
/// More than a round can get through.
const ROUND_IDS: u64 = 1_000_000;
const APPENDERS: u64 = 4;

#[test]
fn every_acknowledged_span_survives_kill_9() {
    if std::env::var_os(FOLDER).is_some() {
        append_until_killed();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = start_child(folder.path(), round * ROUND_IDS);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let before = acknowledged.len();
        // The clock of the kill starts with the first acknowledgement.
        acknowledged.extend(lines.find_map(|line| acknowledged_id(&line.unwrap())));
        let pause = Duration::from_micros(500 + round * 7_919 % 60_000);
        let killer = thread::spawn(move || {
            thread::sleep(pause);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        acknowledged.extend(lines.map_while(Result::ok).filter_map(|line| acknowledged_id(&line)));
        killer.join().unwrap();
        assert!(acknowledged.len() > before, "the child got something done");

        let store = EmbeddedStore::open(folder.path(), small_generations()).unwrap();
        for trace in &acknowledged {
            let found = store.trace(id(*trace)).unwrap();
            assert_eq!(found.unwrap().spans.len(), 1, "acknowledged and gone: {trace}");
        }
    }
}

/// So small that a kill often comes while segments are written.
fn small_generations() -> Config {
    Config { hot_bytes: 60_000, ..small_files() }
}

/// The line behind the last newline may be cut short, so a line counts with its full stop only.
fn acknowledged_id(line: &str) -> Option<u64> {
    line.strip_prefix("acknowledged ")?.strip_suffix('.')?.parse().ok()
}

fn start_child(folder: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::every_acknowledged_span_survives_kill_9", "--exact", "--nocapture"])
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
                    let record = with_text(span(trace, trace), "some words of a question");
                    if store.append(record).and_then(|ack| ack.wait()).is_ok() {
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
