//! What the capture costs, beside nginx as a bare reverse proxy: one connection, many connections,
//! and the pieces of a stream. Recording is on. By turns, so that the machine's mood meets all.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    Settings,
    fake::{FakeRuntime, MODEL, clock_ns},
    http::{Connection, Request},
    overhead::{Way, percentiles},
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
const SIGN: &str = "\"done\":true";

/// One reverse proxy, as bare as it can be.
struct Nginx {
    child: Child,
    authority: String,
}

impl Nginx {
    /// `None` where it is not installed.
    fn start(folder: &Path, upstream: &str) -> Result<Option<Self>> {
        let authority = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let at = folder.join("nginx");
        fs::create_dir_all(&at)?;
        let at = fs::canonicalize(at)?;
        let root = at.display();
        let config = format!(
            "daemon off; worker_processes 1; pid {root}/pid; error_log {root}/log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {root}/b;\n\
             proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u;\n\
             scgi_temp_path {root}/s; tcp_nodelay on;\n\
             upstream u {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}\n\
             server {{ listen {authority}; location / {{ proxy_pass http://u; proxy_buffering off;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n"
        );
        let file = at.join("conf");
        fs::write(&file, config)?;
        let started = Command::new("nginx")
            .arg("-p")
            .arg(&at)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(at.join("stderr"))?)
            .spawn();
        let Ok(child) = started else { return Ok(None) };
        let nginx = Self { child, authority };
        let began = Instant::now();
        while Connection::open(&nginx.authority).is_err() {
            ensure!(began.elapsed() < Duration::from_secs(10), "nginx does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(nginx))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker ends with it.
        if let Some(pid) =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

pub(crate) fn measure(settings: &Settings) -> Result<Part> {
    let mut part = Part { name: "capture", ..Part::default() };
    let stub = Stub::start()?;
    let runtime = format!("http://{}", stub.authority);
    let data = settings.work.join("capture");
    let log = settings.out.join("capture.log");
    let mut andon = Andon::start(&settings.andon, &data, &log, &["--runtime", &runtime])?;
    andon.wait_for_answer("/readyz")?;
    let nginx = Nginx::start(&settings.work, &stub.authority)?;
    if nginx.is_none() {
        part.notes.push("nginx is not installed: nothing to compare with".to_owned());
    }
    let nginx = nginx.as_ref().map(|nginx| nginx.authority.as_str());
    let raw_one = one_connection(settings, &stub.authority, &andon.capture, nginx, &mut part)?;
    let raw_many = many_connections(&stub.authority, &andon.capture, nginx, &mut part)?;
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
    part.raw = json!({"one": raw_one, "many": raw_many, "streams": raw_streams});
    Ok(part)
}

fn question() -> Value {
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
fn load(authority: &str, calls: usize) -> Result<f64> {
    let request = Request::post(authority, "/api/generate", "*/*", &question().to_string());
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

/// How much later a stream's pieces come through the capture: each says when it was written.
fn streams(settings: &Settings, part: &mut Part) -> Result<Value> {
    let fake = FakeRuntime::start()?;
    let runtime = format!("http://{}", fake.authority);
    let data = settings.work.join("capture-streams");
    let log = settings.out.join("capture-streams.log");
    let mut andon = Andon::start(&settings.andon, &data, &log, &["--runtime", &runtime])?;
    andon.wait_for_answer("/readyz")?;
    let nginx = Nginx::start(&settings.work.join("streams"), &fake.authority)?;
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
