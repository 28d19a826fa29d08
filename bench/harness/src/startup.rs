//! From the start of the process to listening, with an empty data folder and with a filled one.
//!
//! The socket is bound before the store is opened, so a connection alone says little: what counts
//! is the first answer.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{
    Settings,
    process::{Andon, folder_size},
    report::{Part, Row, Target},
    statistics::Sample,
};

const STARTS: usize = 12;

#[derive(Default)]
struct Times {
    connect: Vec<f64>,
    answer: Vec<f64>,
}

impl Times {
    fn add(&mut self, settings: &Settings, data: &Path) -> Result<()> {
        let log = settings.out.join("start.log");
        let mut andon = Andon::start(&settings.andon, data, &log, &settings.builtin(&[]))?;
        let connect = andon.wait_for_connect()?;
        let answer = andon.wait_for_answer("/healthz")?;
        andon.stop()?;
        self.connect.push(connect.as_secs_f64() * 1e3);
        self.answer.push(answer.as_secs_f64() * 1e3);
        Ok(())
    }
}

/// `filled` is a data folder with the records of an earlier part.
pub(crate) fn measure(settings: &Settings, filled: &Path) -> Result<Part> {
    let fresh = settings.work.join("start");
    let (mut empty, mut full, mut bare) = (Times::default(), Times::default(), Vec::new());
    let has_filled = filled.is_dir();
    for _ in 0..STARTS {
        bare.push(run_help(settings)?);
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        empty.add(settings, &fresh)?;
        if has_filled {
            full.add(settings, filled)?;
        }
    }
    let bare = Sample::new(bare);
    let mut rows = rows_of("empty", &bare, empty.connect, empty.answer);
    let mut notes = vec![format!(
        "{STARTS} starts of each kind by turns, with the built-in runtime; files in the page cache"
    )];
    if has_filled {
        rows.extend(rows_of("filled", &bare, full.connect, full.answer));
        notes.push(format!(
            "the filled folder holds {:.1} MB of the overhead part's calls",
            folder_size(filled)?
        ));
    } else {
        notes.push("no filled folder: the overhead part did not run".to_owned());
    }
    let raw = json!({"bare_ms": bare.to_json()});
    Ok(Part { name: "start", rows, notes, raw })
}

/// Milliseconds for what any start costs: loading the program and reading its arguments.
fn run_help(settings: &Settings) -> Result<f64> {
    let started = Instant::now();
    let status = Command::new(&settings.andon)
        .args(["up", "--help"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cannot start andon")?;
    let elapsed = started.elapsed();
    ensure!(status.success(), "andon up --help: {status}");
    Ok(elapsed.as_secs_f64() * 1e3)
}

fn rows_of(kind: &str, bare: &Sample, connect: Vec<f64>, answer: Vec<f64>) -> Vec<Row> {
    [("a connection is accepted", connect), ("the first answer", answer)]
        .into_iter()
        .map(|(what, times)| {
            let times = Sample::new(times);
            Row {
                name: format!("start, {kind} data folder, until {what}"),
                unit: "ms",
                baseline_name: "`andon up --help`",
                baseline: bare.median(),
                measured: times.median(),
                value: times.median(),
                value_unit: "ms",
                spread: (times.least(), times.most()),
                target: Some(Target::AtMost(300.0)),
            }
        })
        .collect()
}
