//! What the capture costs, beside nginx as a bare reverse proxy: one connection, many connections,
//! and the pieces of a stream. Recording is on. By turns, so that the machine's mood meets all.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    Settings,
    fake::{FakeRuntime, MODEL, clock_ns},
    http::{Connection, Request},
    overhead::{Way, percentiles},
    peers::Peer,
    process::{self, Andon},
    report::{Part, Row, Target, short},
    statistics::Sample,
    stub::Stub,
};

const WARM_UP_CALLS: usize = 2_000;
const BLOCKS: usize = 20;
const ROUNDS: usize = 7;
const CONNECTIONS: usize = 32;
const CALLS_A_ROUND: usize = 40_000;
const STREAMS: usize = 12;
const CHAT: &str = "/v1/chat/completions";
/// It is a hundred times slower.
const LITELLM_BLOCKS: usize = 5;
const LITELLM_CALLS: usize = 60;
const LITELLM_LOAD: usize = 1_500;
pub(crate) const SIGN: &str = "\"done\":true";

pub(crate) fn measure(settings: &Settings) -> Result<Part> {
    let mut part = Part { name: "capture", ..Part::default() };
    let stub = Stub::start()?;
    let runtime = format!("http://{}", stub.authority);
    let data = settings.work.join("capture");
    let log = settings.out.join("capture.log");
    let mut andon = Andon::start(&settings.andon, &data, &log, &["--runtime", &runtime])?;
    andon.wait_for_answer("/readyz")?;
    let nginx = Peer::nginx(&settings.work, &stub.authority)?;
    if nginx.is_none() {
        part.notes.push("nginx is not installed: nothing to compare with".to_owned());
    }
    let nginx = nginx.as_ref().map(|nginx| nginx.authority.as_str());
    let raw_one = one_connection(settings, &stub.authority, &andon.capture, nginx, &mut part)?;
    let raw_many = many_connections(&stub.authority, &andon.capture, nginx, &mut part)?;
    let raw_litellm = litellm(settings, &stub.authority, &andon, &mut part)?;
    let status = andon.get("/api/v1/status")?;
    let resident = process::resident(andon.pid())?.total;
    part.rows.push(Row {
        name: "resident memory after all captured calls".to_owned(),
        unit: "MB",
        baseline_name: "the target",
        baseline: 40.0,
        measured: resident,
        value: resident,
        value_unit: "MB",
        spread: (resident, resident),
        target: Some(Target::AtMost(40.0)),
    });
    part.notes.push(format!("left out of the records, by cause: {}", status["dropped"]));
    andon.stop()?;
    let raw_streams = streams(settings, &mut part)?;
    part.raw = json!({"one": raw_one, "many": raw_many, "streams": raw_streams,
        "litellm": raw_litellm});
    Ok(part)
}

pub(crate) fn question() -> Value {
    json!({"model": MODEL, "stream": true, "options": {"num_predict": 40},
        "prompt": "What is the capital of Japan?"})
}

fn one_connection(
    settings: &Settings,
    stub: &str,
    capture: &str,
    nginx: Option<&str>,
    part: &mut Part,
) -> Result<Value> {
    let way =
        |name, authority| Way::new(name, authority, "/api/generate", "*/*", &question(), SIGN);
    let mut ways = vec![way("direct", stub)?, way("capture", capture)?];
    ways.extend(nginx.map(|nginx| way("nginx", nginx)).transpose()?);
    for way in &mut ways {
        for _ in 0..WARM_UP_CALLS {
            way.call()?;
        }
    }
    for _ in 0..BLOCKS {
        for way in &mut ways {
            way.block((settings.calls / BLOCKS).max(1))?;
        }
    }
    for (share, name, most) in [(0.5, "p50", 2.0), (0.99, "p99", 5.0)] {
        let at = |way: &Way| Sample::new(way.all.clone()).percentile(share);
        let added = at(&ways[1]) - at(&ways[0]);
        let spread: Sample = (0..BLOCKS)
            .map(|block| {
                ways[1].blocks[block].percentile(share) - ways[0].blocks[block].percentile(share)
            })
            .collect();
        let theirs = ways.get(2).map(|nginx| at(nginx) - at(&ways[0]));
        let by = theirs.unwrap_or(f64::NAN);
        part.rows.push(Row {
            name: format!("added by the capture at one connection, {name}"),
            unit: "µs",
            baseline_name: "added by nginx",
            baseline: by,
            measured: added,
            value: added / by,
            value_unit: "×",
            spread: (spread.least() / by, spread.most() / by),
            target: theirs.map(|_| Target::AtMost(most)),
        });
    }
    part.notes.extend(ways.iter().map(percentiles));
    Ok(ways
        .iter()
        .map(|way| json!({"way": way.name, "us": Sample::new(way.all.clone()).to_json()}))
        .collect())
}

/// Requests a second with so many calls under way: one thread writes to all connections, then reads
/// all answers, so that the client's own switching is not what is measured.
pub(crate) fn load(authority: &str, calls: usize) -> Result<f64> {
    load_of(authority, "/api/generate", &question(), calls)
}

fn load_of(authority: &str, path: &str, body: &Value, calls: usize) -> Result<f64> {
    let request = Request::post(authority, path, "*/*", &body.to_string());
    let mut connections =
        (0..CONNECTIONS).map(|_| Connection::open(authority)).collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    for connection in &mut connections {
        connection.write(&request)?;
    }
    let mut left = calls;
    while left > 0 {
        for connection in &mut connections {
            let answer = connection.read()?;
            ensure!(answer.status == 200, "status {}: {}", answer.status, answer.text());
            connection.write(&request)?;
        }
        left = left.saturating_sub(CONNECTIONS);
    }
    for connection in &mut connections {
        connection.read()?;
    }
    Ok(calls as f64 / began.elapsed().as_secs_f64())
}

fn many_connections(
    stub: &str,
    capture: &str,
    nginx: Option<&str>,
    part: &mut Part,
) -> Result<Value> {
    let ways = [("direct", Some(stub)), ("capture", Some(capture)), ("nginx", nginx)];
    let mut rates = [const { Vec::new() }; 3];
    for round in 0..=ROUNDS {
        for ((_, authority), rates) in ways.iter().zip(&mut rates) {
            let Some(authority) = authority else { continue };
            let rate = load(authority, CALLS_A_ROUND)?;
            // The first warms up.
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let [_, ours, theirs] = rates.clone().map(Sample::new);
    let shares: Sample = rates[1].iter().zip(&rates[2]).map(|(a, b)| a / b).collect();
    let both = nginx.is_some();
    part.rows.push(Row {
        name: format!("requests a second at {CONNECTIONS} connections"),
        unit: "/s",
        baseline_name: "nginx",
        baseline: theirs.median(),
        measured: ours.median(),
        value: if both { shares.median() } else { f64::NAN },
        value_unit: "×",
        spread: (shares.least(), shares.most()),
        target: both.then_some(Target::AtLeast(0.8)),
    });
    Ok(ways
        .iter()
        .zip(rates)
        .map(|((name, _), rates)| json!({"way": name, "per_s": rates}))
        .collect())
}

/// The usual proxy beside it, with one call as both know it.
fn litellm(settings: &Settings, stub: &str, andon: &Andon, part: &mut Part) -> Result<Value> {
    let peer = match &settings.litellm {
        Some(program) => Peer::litellm(program, &settings.work, stub)?,
        None => None,
    };
    let Some(peer) = peer else {
        part.notes.push("LiteLLM is not installed: not beside it".to_owned());
        return Ok(Value::Null);
    };
    let body = json!({"model": "stub",
        "messages": [{"role": "user", "content": "What is the capital of Japan?"}]});
    let way = |name, authority| Way::new(name, authority, CHAT, "*/*", &body, "\"finish_reason\"");
    let mut ways = [
        way("direct chat", stub)?,
        way("capture chat", &andon.capture)?,
        way("LiteLLM", &peer.authority)?,
    ];
    for _ in 0..LITELLM_BLOCKS {
        for way in &mut ways {
            way.block(LITELLM_CALLS)?;
        }
    }
    let median = |way: &Way| Sample::new(way.all.clone()).median();
    let [direct, ours, theirs] = [0, 1, 2].map(|at| median(&ways[at]));
    let spread: Sample = (0..LITELLM_BLOCKS)
        .map(|at| {
            let of = |way: usize| ways[way].blocks[at].median();
            (of(1) - of(0)) / (of(2) - of(0))
        })
        .collect();
    part.rows.push(Row {
        name: "added to a chat at one connection, p50".to_owned(),
        unit: "µs",
        baseline_name: "added by LiteLLM",
        baseline: theirs - direct,
        measured: ours - direct,
        value: (ours - direct) / (theirs - direct),
        value_unit: "×",
        spread: (spread.least(), spread.most()),
        target: None,
    });
    let memory = process::resident(peer.pid())?.total;
    let rate = load_of(&peer.authority, CHAT, &body, LITELLM_LOAD)?;
    part.notes.push(format!(
        "LiteLLM: {} requests a second at {CONNECTIONS} connections, {} MB",
        short(rate),
        short(memory)
    ));
    part.notes.extend(ways.iter().map(percentiles));
    Ok(json!({"per_s": rate, "resident_mb": memory,
        "us": ways.map(|way| Sample::new(way.all).to_json())}))
}

/// How much later a stream's pieces come through the capture: each says when it was written.
fn streams(settings: &Settings, part: &mut Part) -> Result<Value> {
    let fake = FakeRuntime::start()?;
    let runtime = format!("http://{}", fake.authority);
    let data = settings.work.join("capture-streams");
    let log = settings.out.join("capture-streams.log");
    let mut andon = Andon::start(&settings.andon, &data, &log, &["--runtime", &runtime])?;
    andon.wait_for_answer("/readyz")?;
    let nginx = Peer::nginx(&settings.work.join("streams"), &fake.authority)?;
    let ways =
        [Some(&fake.authority), Some(&andon.capture), nginx.as_ref().map(|it| &it.authority)];
    let mut delays = [const { Vec::new() }; 3];
    for round in 0..=STREAMS {
        for (authority, delays) in ways.into_iter().zip(&mut delays) {
            let Some(authority) = authority else { continue };
            let body = question().to_string();
            let request = Request::post(authority, "/api/chat", "*/*", &body);
            let answer = Connection::open(authority)?.send(&request)?;
            ensure!(answer.status == 200, "status {}", answer.status);
            if round > 0 {
                delays.extend(delays_of(&answer.body, &answer.arrivals)?);
            }
        }
    }
    andon.stop()?;
    let [direct, through, theirs] = delays.map(Sample::new);
    let added = |share| through.percentile(share) - direct.percentile(share);
    part.rows.push(Row {
        name: "added to a piece of a stream, p50".to_owned(),
        unit: "µs",
        baseline_name: "the runtime alone",
        baseline: direct.median(),
        measured: through.median(),
        value: added(0.5),
        value_unit: "µs",
        spread: (added(0.1), added(0.9)),
        target: Some(Target::AtMost(30.0)),
    });
    part.notes.push(format!(
        "pieces of {STREAMS} streams each way; the spread is that of the 10th and 90th percentile; \
         p99 of a piece {} µs directly, {} µs through the capture; nginx adds {} µs at p50",
        short(direct.percentile(0.99)),
        short(through.percentile(0.99)),
        short(theirs.median() - direct.median())
    ));
    Ok(json!({"direct_us": direct.to_json(), "capture_us": through.to_json(),
        "nginx_us": theirs.to_json()}))
}

/// Microseconds from writing to arriving, for each line.
fn delays_of(body: &[u8], arrivals: &[(Instant, usize)]) -> Result<Vec<f64>> {
    let mut delays = Vec::new();
    let mut begin = 0;
    for (when, end) in arrivals {
        for line in body[begin..*end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line).context("a piece that is no line")?;
            if let Some(written) = line["at_ns"].as_u64() {
                delays.push(clock_ns(*when).saturating_sub(written) as f64 / 1e3);
            }
        }
        begin = *end;
    }
    Ok(delays)
}
