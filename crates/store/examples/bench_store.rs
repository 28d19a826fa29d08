//! What the store does with millions of spans: `bench_store fill FOLDER [SPANS [CONTENTS [DAYS]]]`
//! stores them, `bench_store ask FOLDER` asks what the pages ask, `bench_store replay FOLDER` opens a
//! folder whose log was never sealed. Prints one JSON object a line.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that cannot go on says so and ends"
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use andon_generate::Recipe;
use andon_model::{Policy, TraceId};
use andon_privacy::{NoticeLanguage, Protector};
use andon_store::{
    Ack, AggregateQuery, Config, Dimension, EmbeddedStore, Filter, HeatMapQuery, Interrupt, Order,
    Population, Record, Store, StoreError, TraceQuery,
};
use serde_json::{Value, json};

/// As `andon` has it: memory figures depend on it.
#[global_allocator]
static ALLOCATOR: andon_memory::Allocator = andon_memory::Allocator;

/// 2026-11-01, so that every run asks for the same times.
const END_NS: u64 = 1_793_491_200_000_000_000;
const BATCH_SPANS: usize = 2_000;
const DAY_NS: u64 = 86_400_000_000_000;
const ROUNDS: usize = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default: u64| {
        arguments.get(place).map_or(default, |text| text.parse().expect("a number"))
    };
    let folder = arguments.get(1).map(Path::new);
    match (arguments.first().map(String::as_str), folder) {
        (Some("fill"), Some(folder)) => {
            let recipe = Recipe {
                spans: number(2, 1_000_000),
                days: number(4, 30) as u32,
                seed: 1,
                end_ns: END_NS,
                contents: number(3, 200_000),
            };
            fill(folder, recipe, number(5, 50));
        }
        (Some("ask"), Some(folder)) => ask(folder, number(2, 30)),
        (Some("replay"), Some(folder)) => replay(folder),
        _ => eprintln!(
            "bench_store fill FOLDER [SPANS [CONTENTS [DAYS [BATCHES]]]] | ask FOLDER [DAYS] | replay FOLDER"
        ),
    }
}

fn tell(value: &Value) {
    println!("{value}");
}

/// Stores the spans and tells how fast it went, quarter by quarter. Only the appends are timed: so many
/// batches are made beforehand.
fn fill(folder: &Path, recipe: Recipe, batches: u64) {
    let store = EmbeddedStore::open(folder, config()).expect("a folder to fill");
    let spans = recipe.spans;
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    let mut traces = recipe.generate().peekable();
    let (mut stored, mut text_bytes) = (0, 0);
    let (mut busy, mut quarter, mut quarter_spans) = (Duration::ZERO, Duration::ZERO, 0);
    let mut acks = Vec::new();
    while traces.peek().is_some() {
        // Made and protected first, so that this costs the measured part nothing.
        let mut records = Vec::new();
        for _ in 0..batches {
            let mut batch = Vec::new();
            while batch.len() < BATCH_SPANS
                && let Some(trace) = traces.next()
            {
                batch.extend(trace);
            }
            let batch = protector.protect(batch);
            quarter_spans += batch.get().spans.len() as u64;
            text_bytes += batch.get().contents.iter().map(|c| c.text.len() as u64).sum::<u64>();
            // Another one in reserve, for when the store is busy.
            records.push((Record::Spans(batch.clone()), Record::Spans(batch)));
        }
        let started = Instant::now();
        for (record, reserve) in records.into_iter().filter(|(record, _)| !is_empty(record)) {
            append(&store, record, &reserve, &mut acks);
        }
        quarter += started.elapsed();
        if quarter_spans * 4 >= spans {
            stored += quarter_spans;
            busy += quarter;
            let rate = quarter_spans as f64 / quarter.as_secs_f64();
            tell(
                &json!({"what": "ingest", "stored": stored, "spans_per_s": rate.round(), "rss_mib": rss("VmRSS")}),
            );
            (quarter, quarter_spans) = (Duration::ZERO, 0);
        }
    }
    let started = Instant::now();
    acks.into_iter().for_each(|ack: Ack| ack.wait().expect("stored"));
    store.seal().expect("sealed");
    busy += quarter + started.elapsed();
    stored += quarter_spans;
    tell(
        &json!({"what": "ingest all", "spans": stored, "spans_per_s": (stored as f64 / busy.as_secs_f64()).round(), "peak_rss_mib": rss("VmHWM")}),
    );
    let started = Instant::now();
    store.compact();
    tell(
        &json!({"what": "compaction", "seconds": started.elapsed().as_secs_f64(), "peak_rss_mib": rss("VmHWM")}),
    );
    let stats = store.stats();
    let bytes = |name: &str| {
        stats.tables.iter().find(|table| table.table == name).map_or(0, |table| table.bytes)
    };
    tell(&json!({
        "what": "disk",
        "bytes_per_span": bytes("spans") as f64 / stored as f64,
        "rollup_bytes_per_span": bytes("rollups") as f64 / stored as f64,
        "trace_row_bytes_per_span": bytes("traces") as f64 / stored as f64,
        "text_share": bytes("contents") as f64 / text_bytes as f64,
    }));
}

fn config() -> Config {
    Config::default()
}

fn is_empty(record: &Record) -> bool {
    matches!(record, Record::Spans(batch) if batch.get().spans.is_empty())
}

fn append(store: &EmbeddedStore, record: Record, reserve: &Record, acks: &mut Vec<Ack>) {
    if acks.len() >= 8 {
        acks.remove(0).wait().expect("stored");
    }
    if store.is_busy() {
        store.wait_while_busy();
    }
    let mut record = record;
    loop {
        match store.append(record) {
            Ok(ack) => return acks.push(ack),
            Err(StoreError::Busy) => {
                store.wait_while_busy();
                record = reserve.clone();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Leaves 100 MB in the log, as a process that was killed would, and opens the folder.
fn replay(folder: &Path) {
    const LOG_BYTES: u64 = 100 << 20;
    let open = |hot_bytes| {
        let config = Config { hot_bytes, ..config() };
        EmbeddedStore::open(folder, config).expect("a folder")
    };
    // Nothing is sealed while it is filled.
    let store = open(4 << 30);
    let recipe = Recipe { spans: 2_000_000, days: 1, seed: 2, end_ns: END_NS, contents: 100_000 };
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    let (mut spans, mut acks) = (0, Vec::new());
    let mut traces = recipe.generate();
    while store.stats().log.bytes < LOG_BYTES {
        let batch: Vec<_> = traces.by_ref().take(200).flatten().collect();
        spans += batch.len();
        let record = Record::Spans(protector.protect(batch));
        append(&store, record.clone(), &record, &mut acks);
    }
    acks.into_iter().for_each(|ack: Ack| ack.wait().expect("stored"));
    let bytes = store.stats().log.bytes;
    drop(store);
    let started = Instant::now();
    let store = open(Config::default().hot_bytes);
    tell(&json!({
        "what": "replay", "log_mib": bytes >> 20, "spans": spans, "ms": ms(started.elapsed()),
        "frames": store.state().replay.frames,
    }));
}

/// Asks what the pages ask, each question several times at different places.
fn ask(folder: &Path, days: u64) {
    let started = Instant::now();
    let store = EmbeddedStore::open(folder, config()).expect("a filled folder");
    tell(&json!({"what": "open", "ms": ms(started.elapsed()), "rss_mib": rss("VmRSS")}));
    let range = |days: u64| (Some(END_NS - days * DAY_NS), Some(END_NS));
    let list = |filter: &str, days: u64| {
        let (from_ns, to_ns) = range(days);
        let filter = Filter::parse(filter).expect("a filter");
        let query = TraceQuery { from_ns, to_ns, filter, limit: 50, ..TraceQuery::default() };
        store.traces(&query).expect("a page")
    };
    let ids: Vec<TraceId> = {
        let (from_ns, to_ns) = range(days);
        let query = TraceQuery { from_ns, to_ns, limit: 500, ..TraceQuery::default() };
        store.traces(&query).expect("a page").traces.iter().map(|trace| trace.trace_id).collect()
    };
    for (name, filter, days) in [
        ("list 24 h", "", 1),
        ("list 7 d", "", 7),
        ("list 30 d", "", days),
        ("list 30 d of a service", "service:gateway", days),
        ("list 30 d of a model, slow", "model:gemma duration:>5s", days),
        ("list 30 d with errors", "status:error", days),
        ("text 30 d: a rare Japanese word", "text:蛍光灯", days),
        ("text 30 d: a common Japanese word", "text:です", days),
        ("text 30 d: an English word", "text:warehouse", days),
        ("text 30 d: no such word", "text:qzxvkj", days),
    ] {
        if !is_asked(name) {
            continue;
        }
        let page = list(filter, days);
        let more = json!({"matched": page.total_matched, "partial": page.is_partial});
        measure(name, more, |_| drop(list(filter, days)));
    }
    // Of which nothing is remembered.
    measure("list 30 d, another filter each time", json!({}), |round| {
        drop(list(&format!("duration:>{}ms", 100 + round), days));
    });
    ask_for_numbers(&store, days);
    measure("trace by id", json!({}), |round| {
        assert!(store.trace(ids[round * 7 % ids.len()]).expect("an answer").is_some());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let from = END_NS - DAY_NS;
    let all = END_NS - days * DAY_NS;
    for (name, sql) in [
        (
            "sql: 24 h by minute with percentiles",
            format!(
                "SELECT start_ns / 60000000000 AS minute, count(*), approx_percentile_cont(duration_ns, 0.95) FROM spans WHERE start_ns >= {from} GROUP BY 1"
            ),
        ),
        (
            "sql: 30 d by hour, one service",
            format!(
                "SELECT start_ns / 3600000000000 AS hour, count(*), avg(duration_ns) FROM spans WHERE service = 'gateway' AND start_ns >= {all} GROUP BY 1"
            ),
        ),
        (
            "sql: 30 d by hour, all services",
            format!(
                "SELECT service, start_ns / 3600000000000 AS hour, count(*), avg(duration_ns) FROM spans WHERE start_ns >= {all} GROUP BY 1, 2"
            ),
        ),
        (
            "sql: latest 50 slow of a day",
            format!(
                "SELECT * FROM spans WHERE start_ns >= {from} AND duration_ns > 5000000000 ORDER BY start_ns DESC LIMIT 50"
            ),
        ),
        (
            "sql: heat map of a day",
            format!(
                "SELECT start_ns / 600000000000 AS t, floor(log10(duration_ns) * 4) AS d, count(*) FROM spans WHERE start_ns >= {from} GROUP BY 1, 2"
            ),
        ),
    ] {
        measure(name, json!({}), |_| {
            let asked = store.sql(&sql).expect("a question");
            drop(runtime.block_on(asked).expect("an answer"));
        });
    }
    tell(&json!({"what": "memory", "rss_mib": rss("VmRSS"), "peak_rss_mib": rss("VmHWM")}));
}

/// What the overview asks.
fn ask_for_numbers(store: &EmbeddedStore, days: u64) {
    let question = |filter: &str, days: u64, of, by: &[Dimension], points| AggregateQuery {
        // As the page has it: a week and more begin with an hour, and end now.
        from_ns: END_NS - days * DAY_NS,
        to_ns: END_NS,
        filter: Filter::parse(filter).expect("a filter"),
        of,
        by: by.to_vec(),
        points,
        top: 10,
        order: Order::Count,
        interrupt: Interrupt::default(),
    };
    let (calls, all) = (Population::Calls, Population::All);
    for (name, query) in [
        ("overview 24 h", question("", 1, calls, &[], 144)),
        ("overview 24 h, all spans", question("", 1, all, &[], 144)),
        ("overview 24 h by model", question("", 1, calls, &[Dimension::Model], 144)),
        ("overview 24 h of a service", question("service:gateway", 1, all, &[], 144)),
        ("overview 7 d", question("", 7, calls, &[], 168)),
        ("overview 7 d by service", question("", 7, all, &[Dimension::Service], 168)),
        ("overview 30 d", question("", days, calls, &[], 120)),
        ("overview 30 d, all spans", question("", days, all, &[], 120)),
        ("overview 30 d by model", question("", days, calls, &[Dimension::Model], 120)),
        ("overview 30 d by cause", question("", days, calls, &[Dimension::Cause], 0)),
        ("overview 30 d of a service", question("service:gateway", days, all, &[], 120)),
        ("overview 30 d of slow ones (spans)", question("duration:>5s", days, all, &[], 120)),
    ] {
        if !is_asked(name) {
            continue;
        }
        let answer = store.aggregate(&query).expect("numbers");
        let more = json!({"count": answer.total.figures.count, "partial": answer.is_partial});
        measure(name, more, |_| drop(store.aggregate(&query).expect("numbers")));
    }
    for (name, days) in [("heat map 24 h", 1), ("heat map 7 d", 7), ("heat map 30 d", days)] {
        let query = HeatMapQuery {
            from_ns: END_NS - days * DAY_NS,
            to_ns: END_NS,
            filter: Filter::default(),
            of: all,
            points: 144,
            rows: 24,
            interrupt: Interrupt::default(),
        };
        measure(name, json!({}), |_| drop(store.heat_map(&query).expect("a map")));
    }
}

/// A part of a name, behind all other arguments, asks that alone.
fn is_asked(name: &str) -> bool {
    std::env::args().nth(4).is_none_or(|part| name.contains(&part))
}

fn measure(name: &str, more: Value, mut ask: impl FnMut(usize)) {
    if !is_asked(name) {
        return;
    }
    let started = Instant::now();
    ask(0);
    let first = started.elapsed();
    let cpu = cpu_ms();
    let mut times: Vec<_> = (1..=ROUNDS)
        .map(|round| {
            let started = Instant::now();
            ask(round);
            started.elapsed()
        })
        .collect();
    times.sort();
    tell(&json!({
        "what": name, "first_ms": ms(first), "p50_ms": ms(times[ROUNDS / 2]),
        "p95_ms": ms(times[ROUNDS * 95 / 100 - 1]), "cpu_ms": (cpu_ms() - cpu) / ROUNDS as f64,
        "rss_mib": rss("VmRSS"), "more": more,
    }));
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

/// What all threads have worked since the start, to the tick of the kernel's clock.
fn cpu_ms() -> f64 {
    const MS_PER_TICK: f64 = 10.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may have spaces in it: user and system time are the 14th and the 15th.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * MS_PER_TICK
}

/// A line of what the kernel says of this process's memory, in MiB.
fn rss(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    found.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
