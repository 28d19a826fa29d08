//! `andon import FILE…`: takes in what `andon export` wrote. What is in the store already is passed
//! over, so that a file can be sent again after it broke off.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::ExitCode,
};

use andon_model::{Content, Evaluation, Span};
use andon_privacy::{Protector, SpanBatch};
use andon_state::Action;
use andon_store::{EmbeddedStore, Record, Store, StoreError};
use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{cli::ImportArgs, config::Config, pipeline::RECORD_BYTES, store::record};

/// Rows and bytes of one append.
const BATCH_ROWS: usize = 2_000;
const BATCH_BYTES: usize = 1 << 20;
/// The longest line. A span within its limits is far below.
const LINE_BYTES: u64 = 64 << 20;

pub(crate) fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let folder = &config.data;
    let store = EmbeddedStore::open(folder, config.store.clone())
        .with_context(|| format!("cannot open the data folder {}", folder.display()))?;
    let protector = config.protector();
    let before = store.state().spans;
    let mut import = Import::new(&store, protector);
    let outcome = args.files.iter().try_for_each(|file| import.read(file));
    let Taken { spans, contents, evaluations, known } = import.taken;
    let new = store.state().spans.saturating_sub(before);
    eprintln!("took in {new} spans, {contents} texts and {evaluations} evaluations");
    eprintln!("there already: {} spans, {known} others", (spans as u64).saturating_sub(new));
    let details = json!({ "spans": new, "contents": contents, "evaluations": evaluations });
    record(folder, Action::Import, &details)?;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// A line of an export.
enum Row {
    Span(Box<Span>),
    Content(Content),
    Evaluation(Evaluation),
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    spans: usize,
    contents: usize,
    evaluations: usize,
    known: usize,
}

struct Import<'a> {
    store: &'a EmbeddedStore,
    protector: Protector,
    batch: SpanBatch,
    evaluations: Vec<Evaluation>,
    bytes: usize,
    taken: Taken,
}

impl<'a> Import<'a> {
    fn new(store: &'a EmbeddedStore, protector: Protector) -> Self {
        let (batch, evaluations, taken) = Default::default();
        Self { store, protector, batch, evaluations, bytes: 0, taken }
    }

    fn read(&mut self, path: &Path) -> anyhow::Result<()> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let place = || format!("{}, line {number}", path.display());
            let mut limited = file.by_ref().take(LINE_BYTES);
            let read = limited.read_until(b'\n', &mut line).with_context(place)?;
            if read == 0 {
                break;
            }
            if read as u64 == LINE_BYTES {
                self.send()?;
                bail!("{}: a line of more than {LINE_BYTES} bytes", place());
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match parse(&line).with_context(place) {
                Ok(row) => self.add(row, line.len()),
                Err(error) => {
                    // What came before the bad line is good all the same.
                    self.send()?;
                    return Err(error);
                }
            }
            if self.rows() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
                self.send().with_context(|| format!("up to {}", place()))?;
            }
        }
        self.send().with_context(|| format!("at the end of {}", path.display()))
    }

    fn rows(&self) -> usize {
        self.batch.spans.len() + self.batch.contents.len() + self.evaluations.len()
    }

    fn add(&mut self, row: Row, bytes: usize) {
        self.bytes += bytes;
        match row {
            Row::Span(span) => self.batch.spans.push(*span),
            Row::Content(content) => self.batch.contents.push(content),
            Row::Evaluation(mut evaluation) => {
                self.protector.limits().bound_evaluation(&mut evaluation);
                self.evaluations.push(evaluation);
            }
        }
    }

    /// Returns when what was gathered is durable, so that the next batch is held against it too.
    fn send(&mut self) -> anyhow::Result<()> {
        let (mut batch, evaluations) =
            (std::mem::take(&mut self.batch), std::mem::take(&mut self.evaluations));
        self.bytes = 0;
        let sent = batch.contents.len() + evaluations.len();
        batch.contents = self.store.unknown_contents(batch.contents);
        let evaluations = self.store.unknown_evaluations(evaluations);
        let counts = (batch.spans.len(), batch.contents.len(), evaluations.len());
        for batch in self.protector.protect_again(batch).split(RECORD_BYTES) {
            append(self.store, Record::Spans(batch))?;
        }
        append(self.store, Record::Evaluations(evaluations))?;
        let taken = &mut self.taken;
        taken.spans += counts.0;
        taken.contents += counts.1;
        taken.evaluations += counts.2;
        taken.known += sent - counts.1 - counts.2;
        Ok(())
    }
}

fn append(store: &EmbeddedStore, record: Record) -> Result<(), StoreError> {
    loop {
        match store.append(record.clone()) {
            Ok(ack) => return ack.wait(),
            Err(StoreError::Busy) => store.wait_while_busy(),
            Err(error) => return Err(error),
        }
    }
}

/// What a line is shows in its fields: a span's own would read from any object.
fn parse(line: &[u8]) -> anyhow::Result<Row> {
    let value: Value = serde_json::from_slice(line).context("not JSON")?;
    let has = |names: &[&str]| names.iter().all(|name| value.get(name).is_some());
    if has(&["trace_id", "span_id", "evaluator"]) {
        return read(value, "evaluation").map(Row::Evaluation);
    }
    if has(&["trace_id", "span_id", "part", "text"]) {
        return read(value, "text").map(Row::Content);
    }
    if has(&["trace_id", "span_id", "start_ns", "service", "name"]) {
        return read(value, "span").map(|span| Row::Span(Box::new(span)));
    }
    bail!("neither a span, a text nor an evaluation")
}

fn read<T: DeserializeOwned>(value: Value, what: &str) -> anyhow::Result<T> {
    serde_json::from_value(value).with_context(|| format!("no whole {what}"))
}

#[cfg(test)]
mod tests;
