//! What the capture becomes after a million calls, and what ten thousand streams take that wait for
//! their next token.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::{
    Settings,
    capture::{SIGN, load, question},
    http::{Connection, Request},
    overhead::Way,
    process::{self, Andon},
    report::{Part, Row, Target},
    statistics::Sample,
    stub::{HELD, Stub},
};

const BEFORE: usize = 100_000;
const CALLS: usize = 1_000_000;
const AT_A_TIME: usize = 50_000;
const TIMED_CALLS: usize = 4_000;
const STREAMS: usize = 10_000;
/// Files that are open beside those of the streams.
const OTHER_FILES: u64 = 200;
const SETTLING: Duration = Duration::from_secs(3);

pub(crate) fn measure(settings: &Settings) -> Result<Part> {
    let mut part = Part { name: "soak", ..Part::default() };
    let most = getrlimit(Resource::Nofile).maximum;
    // Those of Andon too, which inherits it.
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
    let stub = Stub::start()?;
    let runtime = format!("http://{}", stub.authority);
    let data = settings.work.join("soak");
    let log = settings.out.join("soak.log");
    let mut andon = Andon::start(&settings.andon, &data, &log, &["--runtime", &runtime])?;
    andon.wait_for_answer("/readyz")?;
    let raw_calls = million(&andon, &mut part)?;
    andon.stop()?;

    let data = settings.work.join("soak-streams");
    let log = settings.out.join("soak-streams.log");
    let mut andon = Andon::start(&settings.andon, &data, &log, &["--runtime", &runtime])?;
    andon.wait_for_answer("/readyz")?;
    // Each has two files in Andon, and two here.
    let fit = most.map_or(STREAMS, |most| (most.saturating_sub(OTHER_FILES) / 2) as usize);
    let raw_streams = streams(&andon, STREAMS.min(fit), &mut part)?;
    andon.stop()?;
    part.raw = json!({"calls": raw_calls, "streams": raw_streams});
    Ok(part)
}

/// Median of calls one after the other, in microseconds.
fn one_call(andon: &Andon) -> Result<f64> {
    let body = question();
    let mut way = Way::new("capture", &andon.capture, "/api/generate", "*/*", &body, SIGN)?;
    way.block(TIMED_CALLS)?;
    Ok(Sample::new(way.all).median())
}

fn recorded(andon: &Andon) -> Result<(u64, Value)> {
    let status = andon.get("/api/v1/status")?;
    Ok((status["spans_stored"].as_u64().unwrap_or(0), status["dropped"].clone()))
}

fn million(andon: &Andon, part: &mut Part) -> Result<Value> {
    load(&andon.capture, BEFORE)?;
    thread::sleep(SETTLING);
    let (memory, call) = (process::resident(andon.pid())?.total, one_call(andon)?);
    let (mut rates, mut curve) = (Vec::new(), vec![memory]);
    let mut made = BEFORE;
    while made < CALLS {
        rates.push(load(&andon.capture, AT_A_TIME)?);
        curve.push(process::resident(andon.pid())?.total);
        made += AT_A_TIME;
    }
    thread::sleep(SETTLING);
    let (memory_after, call_after) = (process::resident(andon.pid())?.total, one_call(andon)?);
    let growth = |name: &str, unit, before: f64, after: f64| Row {
        name: format!("{name} after {CALLS} calls, beside that after {BEFORE}"),
        unit,
        baseline_name: "before",
        baseline: before,
        measured: after,
        value: after / before,
        value_unit: "×",
        spread: (after / before, after / before),
        target: Some(Target::AtMost(1.2)),
    };
    part.rows.push(growth("resident memory", "MB", memory, memory_after));
    part.rows.push(growth("a call", "µs", call, call_after));
    let (spans, dropped) = recorded(andon)?;
    part.notes.push(format!("{spans} spans kept; left out of the records, by cause: {dropped}"));
    Ok(json!({"per_s": rates, "resident_mb": curve, "spans": spans, "dropped": dropped}))
}

fn streams(andon: &Andon, count: usize, part: &mut Part) -> Result<Value> {
    let before = process::resident(andon.pid())?.total;
    let body = json!({"model": crate::fake::MODEL, "stream": true,
        "messages": [{"role": "user", "content": "What is the capital of Japan?"}]});
    let request = Request::post(&andon.capture, HELD, "*/*", &body.to_string());
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Connection::open(&andon.capture)?;
        connection.write(&request)?;
        ensure!(connection.first_byte()? == b'H', "no answer begins");
        open.push(connection);
    }
    thread::sleep(SETTLING);
    let during = process::resident(andon.pid())?.total;
    let (spans_before, _) = recorded(andon)?;
    drop(open);
    thread::sleep(SETTLING);
    let (spans, dropped) = recorded(andon)?;
    part.rows.push(Row {
        name: format!("resident memory with {count} streams that wait"),
        unit: "MB",
        baseline_name: "without any",
        baseline: before,
        measured: during,
        value: during,
        value_unit: "MB",
        spread: (during, during),
        target: Some(Target::AtMost(200.0)),
    });
    part.notes.push(format!(
        "of {count} streams that all ended at once {} were recorded; left out, by cause: {dropped}",
        spans - spans_before
    ));
    Ok(json!({"streams": count, "before_mb": before, "during_mb": during}))
}
