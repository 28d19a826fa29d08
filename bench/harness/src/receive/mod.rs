//! What the receivers take in, from the wire to the durable acknowledgement, beside other receivers
//! that are sent the same bytes. A web application's spans, and calls to a model with 2 KB of messages.

mod datadog;
mod load;
mod otlp;
mod spans;
mod template;

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use load::Load;
use serde_json::{Value, json};
use template::{Template, now_ns};

use crate::{
    Settings,
    http::{Connection, Request},
    peers::Peer,
    process::Andon,
    report::{Part, Row, Target, short},
    stub::Stub,
};

const WARM_UP: Duration = Duration::from_secs(3);
const TIME: Duration = Duration::from_secs(20);
/// The others take in so much less that this is enough.
const PEER_TIME: Duration = Duration::from_secs(10);
/// Exporters at once: enough to keep two cores busy, and no more, or an answer's time is that of a queue.
const EXPORTERS: u64 = 16;
/// Of a peer, which answers one at a time.
const PEER_EXPORTERS: u64 = 4;
/// Different batches that one exporter sends in turn.
const BATCHES: u64 = 4;
/// For what a peer stores after it has answered.
const PEER_SETTLING: Duration = Duration::from_secs(30);

/// One kind of load.
struct Case {
    name: &'static str,
    form: Form,
    calls: bool,
    /// Spans a second.
    target: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Otlp,
    Datadog,
}

const CASES: [Case; 4] = [
    Case { name: "OTLP, spans", form: Form::Otlp, calls: false, target: 150e3 },
    Case { name: "OTLP, calls", form: Form::Otlp, calls: true, target: 60e3 },
    Case { name: "Datadog, spans", form: Form::Datadog, calls: false, target: 150e3 },
    Case { name: "Datadog, calls", form: Form::Datadog, calls: true, target: 60e3 },
];

impl Case {
    fn exporters(&self, authority: &str, connections: u64) -> Vec<Vec<Template>> {
        let template = |seed| {
            let now = now_ns();
            let spans = spans::batch(seed, now, self.calls);
            match self.form {
                Form::Otlp => otlp::body(now, &spans).request(
                    authority,
                    "/v1/traces",
                    "content-type: application/x-protobuf\r\n",
                ),
                Form::Datadog => datadog::body(now, &spans).request(
                    authority,
                    "/v0.4/traces",
                    "content-type: application/msgpack\r\nx-datadog-trace-count: 64\r\n\
                     datadog-meta-lang: python\r\ndatadog-meta-tracer-version: 4.16.0\r\n",
                ),
            }
        };
        (0..connections)
            .map(|which| (0..BATCHES).map(|at| template(which * BATCHES + at + 1)).collect())
            .collect()
    }
}

pub(crate) fn measure(settings: &Settings) -> Result<Part> {
    let mut part = Part { name: "receive", ..Part::default() };
    let stub = Stub::start()?;
    let mut raw = serde_json::Map::new();
    for case in &CASES {
        let andon = Andons {
            fastest: andon(settings, case, &stub, None)?,
            at_target: andon(settings, case, &stub, Some(case.target))?,
        };
        let peer = peer(settings, case)?;
        part.notes.push(note(case, &andon, peer.as_ref()));
        raw.insert(
            case.name.to_owned(),
            json!({
                "andon": raw_of(&andon.fastest), "andon_at_target": raw_of(&andon.at_target),
                "peer": peer.as_ref().map(|peer| raw_of(&peer.load)),
            }),
        );
        part.rows.extend(rows(case, &andon, peer.as_ref()));
    }
    part.raw = Value::Object(raw);
    Ok(part)
}

/// What Andon did when it was sent as much as it takes, and when as much as it has to take.
struct Andons {
    fastest: Load,
    at_target: Load,
}

fn andon(settings: &Settings, case: &Case, stub: &Stub, pace: Option<f64>) -> Result<Load> {
    let runtime = format!("http://{}", stub.authority);
    let data = settings.work.join("receive");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    let log = settings.out.join("receive.log");
    let mut andon = Andon::start(&settings.andon, &data, &log, &["--runtime", &runtime])?;
    andon.wait_for_answer("/readyz")?;
    let authority = match case.form {
        Form::Otlp => andon.otlp.clone(),
        Form::Datadog => andon.datadog.clone(),
    };
    let exporters = case.exporters(&authority, EXPORTERS);
    let load = load::drive(&authority, andon.pid(), exporters, (WARM_UP, TIME), pace)?;
    // What was acknowledged is there.
    let stored = andon.get("/api/v1/status")?["spans_stored"].as_u64();
    ensure!(
        stored == Some(load.acknowledged),
        "{} spans acknowledged, and stored {stored:?}",
        load.acknowledged
    );
    andon.stop()?;
    Ok(load)
}

/// Another receiver, and what it made of the same.
struct Beside {
    name: &'static str,
    load: Load,
    /// Spans a second that were found in it afterwards, where it says.
    stored_per_second: Option<f64>,
}

fn peer(settings: &Settings, case: &Case) -> Result<Option<Beside>> {
    match case.form {
        Form::Otlp => phoenix(settings, case),
        Form::Datadog => test_agent(settings, case),
    }
}

fn phoenix(settings: &Settings, case: &Case) -> Result<Option<Beside>> {
    let Some(program) = &settings.phoenix else { return Ok(None) };
    let Some(peer) = Peer::phoenix(program, &settings.work)? else { return Ok(None) };
    let exporters = case.exporters(&peer.authority, PEER_EXPORTERS);
    let load = load::drive(&peer.authority, peer.pid(), exporters, (WARM_UP, PEER_TIME), None)?;
    // It answers before it stores: the time until all is stored counts, as far as that is waited for.
    let begun = std::time::Instant::now();
    let (mut stored, mut since) = (0, begun);
    while stored < load.acknowledged && begun.elapsed() < PEER_SETTLING {
        std::thread::sleep(Duration::from_millis(500));
        let now = phoenix_spans(&peer)?;
        if now != stored {
            (stored, since) = (now, std::time::Instant::now());
        }
    }
    let seconds = (WARM_UP + PEER_TIME + since.duration_since(begun)).as_secs_f64();
    Ok(Some(Beside { name: "Phoenix", load, stored_per_second: Some(stored as f64 / seconds) }))
}

fn phoenix_spans(peer: &Peer) -> Result<u64> {
    let query = r#"{"query":"{projects{edges{node{recordCount}}}}"}"#;
    let mut connection = Connection::open(&peer.authority)?;
    let request = Request::post(&peer.authority, "/graphql", "application/json", query);
    let answer: Value = serde_json::from_slice(&connection.send(&request)?.body)?;
    let projects = answer["data"]["projects"]["edges"].as_array();
    let counts = projects.with_context(|| format!("no projects in {answer}"))?.iter();
    Ok(counts.filter_map(|project| project["node"]["recordCount"].as_u64()).sum())
}

fn test_agent(settings: &Settings, case: &Case) -> Result<Option<Beside>> {
    let Some(program) = &settings.test_agent else { return Ok(None) };
    let Some(peer) = Peer::test_agent(program, &settings.work)? else { return Ok(None) };
    let exporters = case.exporters(&peer.authority, PEER_EXPORTERS);
    let load = load::drive(&peer.authority, peer.pid(), exporters, (WARM_UP, PEER_TIME), None)?;
    Ok(Some(Beside { name: "ddapm-test-agent", load, stored_per_second: None }))
}

fn rows(case: &Case, andon: &Andons, peer: Option<&Beside>) -> Vec<Row> {
    let against = |of: fn(&Load) -> f64| peer.map_or(f64::NAN, |peer| of(&peer.load));
    let stored = peer.and_then(|peer| peer.stored_per_second);
    let row = |what: &str, unit, measured, baseline, target| Row {
        name: format!("{}: {what}", case.name),
        unit,
        baseline_name: peer.map_or("nothing beside it", |peer| peer.name),
        baseline,
        measured,
        value: measured,
        value_unit: unit,
        spread: (measured, measured),
        target: Some(target),
    };
    vec![
        row(
            "durable",
            "spans/s",
            andon.fastest.per_second,
            stored.unwrap_or_else(|| against(|load| load.per_second)),
            Target::AtLeast(case.target),
        ),
        row(
            "p99 of an acknowledgement at that rate",
            "ms",
            andon.at_target.answers.percentile(0.99),
            against(|load| load.answers.percentile(0.99)),
            Target::AtMost(150.0),
        ),
        row(
            "resident memory at that rate, most",
            "MB",
            andon.at_target.resident,
            against(|load| load.resident),
            Target::AtMost(150.0),
        ),
    ]
}

fn note(case: &Case, andon: &Andons, peer: Option<&Beside>) -> String {
    let of = |load: &Load| {
        format!(
            "{} spans acknowledged, {} a second, {} batches refused for a moment, half of the answers \
             within {} ms, 99 % within {} ms, {} MB at most",
            load.acknowledged,
            short(load.per_second),
            load.refused,
            short(load.answers.median()),
            short(load.answers.percentile(0.99)),
            short(load.resident)
        )
    };
    let beside = peer.map_or(String::new(), |peer| {
        format!("; {} ({PEER_EXPORTERS} connections): {}", peer.name, of(&peer.load))
    });
    let (fastest, at_target) = (of(&andon.fastest), of(&andon.at_target));
    let name = case.name;
    format!(
        "{name} ({EXPORTERS} connections): {fastest}; at the target's rate: {at_target}{beside}"
    )
}

fn raw_of(load: &Load) -> Value {
    json!({
        "acknowledged": load.acknowledged,
        "per_second": load.per_second,
        "answers_ms": load.answers.to_json(),
        "refused": load.refused,
        "resident_mb": load.resident,
    })
}
