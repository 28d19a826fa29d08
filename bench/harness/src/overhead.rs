//! What Andon adds to a call: the same client, the same fake runtime, once directly and once
//! through the proxy, and through gateway and proxy. Sequential calls on one kept connection, in
//! short blocks by turns, so that a change of the machine's mood meets all of them.

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    Settings,
    fake::{FakeRuntime, MODEL},
    http::{Connection, Request},
    process::{self, Andon},
    report::{Part, Row, Target, short},
    statistics::Sample,
};

const WARM_UP_CALLS: usize = 500;
const BLOCKS: usize = 20;
const QUESTION: &str = "What is the capital of Japan?";

/// One way to ask, with a connection of its own.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    connection: Connection,
    request: Request,
    /// What an answer must hold to count as one.
    sign: &'static str,
    pub(crate) blocks: Vec<Sample>,
    pub(crate) all: Vec<f64>,
}

impl Way {
    pub(crate) fn new(
        name: &'static str,
        authority: &str,
        path: &str,
        accept: &str,
        body: &Value,
        sign: &'static str,
    ) -> Result<Self> {
        let request = Request::post(authority, path, accept, &body.to_string());
        let connection = Connection::open(authority)?;
        Ok(Self { name, connection, request, sign, blocks: Vec::new(), all: Vec::new() })
    }

    /// Microseconds of one call.
    pub(crate) fn call(&mut self) -> Result<f64> {
        let started = Instant::now();
        let answer = self.connection.send(&self.request)?;
        let elapsed = started.elapsed();
        ensure!(
            answer.status == 200 && answer.text().contains(self.sign),
            "{}: status {}: {}",
            self.name,
            answer.status,
            answer.text()
        );
        Ok(elapsed.as_secs_f64() * 1e6)
    }

    pub(crate) fn block(&mut self, calls: usize) -> Result<()> {
        let times = (0..calls).map(|_| self.call()).collect::<Result<Vec<_>>>()?;
        self.all.extend(&times);
        self.blocks.push(Sample::new(times));
        Ok(())
    }
}

/// Leaves the data folder as it is: it is the filled one of the starts.
pub(crate) fn measure(settings: &Settings, data: &Path) -> Result<Part> {
    let fake = FakeRuntime::start()?;
    let runtime = format!("http://{}", fake.authority);
    let log = settings.out.join("overhead.log");
    let mut andon = Andon::start(&settings.andon, data, &log, &["--runtime", &runtime])?;
    andon.wait_for_answer("/readyz")?;

    let direct = json!({"model": MODEL, "stream": true, "options": {"num_predict": 40},
        "prompt": QUESTION});
    let chat = json!({"message": QUESTION});
    let (json_type, sse) = ("application/json", "text/event-stream");
    let reply = "\"reply\":\"Hi\"";
    let (gateway, proxy) = (&andon.listen, &andon.proxy);
    let mut ways = [
        Way::new("direct", &fake.authority, "/api/generate", "*/*", &direct, "\"done\":true")?,
        Way::new("proxy", proxy, "/chat", json_type, &chat, reply)?,
        Way::new("gateway and proxy", gateway, "/chat", json_type, &chat, reply)?,
        Way::new("gateway and proxy, streamed", gateway, "/chat", sse, &chat, "event: done")?,
    ];
    for way in &mut ways {
        for _ in 0..WARM_UP_CALLS {
            way.call()?;
        }
    }
    let mut asked = vec![json!(null); ways.len()];
    for _ in 0..BLOCKS {
        for (at, way) in ways.iter_mut().enumerate() {
            fake.take_counts();
            way.block((settings.calls / BLOCKS).max(1))?;
            asked[at] = json!(fake.take_counts());
        }
    }
    let status = andon.get("/api/v1/status")?;
    let resident = process::resident(andon.pid())?.total;
    andon.stop()?;

    let (direct, through) = ways.split_first().ok_or_else(|| anyhow::anyhow!("no ways"))?;
    let rows = through.iter().map(|way| row(direct, way)).collect();
    let mut notes = vec![format!(
        "{} calls of each way in {BLOCKS} blocks by turns; «Andon» and «baseline» are p50 of a whole \
         call, the added time is their difference, its spread that of the blocks",
        direct.all.len()
    )];
    notes.extend(ways.iter().map(percentiles));
    notes.push(format!("left out of the records because a queue was full: {}", status["dropped"]));
    notes.push(format!(
        "resident memory after all calls: {} MB, with {} spans kept",
        short(resident),
        status["spans_stored"]
    ));
    let raw = ways.iter().zip(asked).map(|(way, asked)| {
        json!({"way": way.name, "us": Sample::new(way.all.clone()).to_json(),
            "runtime_asked_in_last_block": asked})
    });
    Ok(Part { name: "overhead", rows, notes, raw: raw.collect() })
}

pub(crate) fn percentiles(way: &Way) -> String {
    let sample = Sample::new(way.all.clone());
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| short(sample.percentile(share)));
    format!("{}: p50 {p50} µs, p90 {p90} µs, p99 {p99} µs", way.name)
}

fn row(direct: &Way, way: &Way) -> Row {
    let added: Sample = way
        .blocks
        .iter()
        .zip(&direct.blocks)
        .map(|(through, direct)| through.median() - direct.median())
        .collect();
    let measured = Sample::new(way.all.clone()).median();
    let baseline = Sample::new(direct.all.clone()).median();
    Row {
        name: format!("added by {}", way.name),
        unit: "µs",
        baseline_name: "the runtime alone",
        baseline,
        measured,
        value: measured - baseline,
        value_unit: "µs",
        spread: (added.least(), added.most()),
        target: way.name.starts_with("gateway").then_some(Target::AtMost(150.0)),
    }
}
