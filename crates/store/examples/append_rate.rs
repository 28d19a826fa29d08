//! How fast spans become durable, how large they are, and how much memory the list takes.
//!
//! `cargo run --profile fast -p andon-store --example append_rate [APPENDERS] [SPANS_PER_APPEND] [SECONDS]`
//!
//! Each line names its unit. The folder is a temporary one on the disk of `TMPDIR`.

use std::{
    env,
    io::{self, Write},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use andon_model::{LlmKind, Observation, Policy, Span, SpanKind, TraceId};
use andon_privacy::{NoticeLanguage, Protector};
use andon_store::{Config, EmbeddedStore, Record, Store, StoreError, TraceQuery};

const SPANS_PER_TRACE: u64 = 4;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    if let (Some("open"), Some(folder)) = (env::args().nth(1).as_deref(), env::args().nth(2)) {
        return measure_open(std::path::Path::new(&folder));
    }
    let argument =
        |place, otherwise: u64| env::args().nth(place).map_or(Ok(otherwise), |text| text.parse());
    let (appenders, spans, seconds) = (argument(1, 4)?, argument(2, 1_000)?, argument(3, 5)?);
    let folder = env::temp_dir().join(format!("andon-append-rate-{}", std::process::id()));
    let measured = measure(&folder, appenders, spans, Duration::from_secs(seconds));
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(
    folder: &std::path::Path,
    appenders: u64,
    spans: u64,
    time: Duration,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let store = Arc::new(EmbeddedStore::open(folder, Config::default())?);
    let lone = lone_append(&store)?;
    writeln!(out, "lone append to acknowledgement, median: {} us", lone.as_micros())?;

    let (acknowledged, elapsed) = flood(&store, appenders, spans, time)?;
    let bytes = store.state().bytes_on_disk;
    let rate = acknowledged as f64 / elapsed.as_secs_f64();
    writeln!(out, "{appenders} appenders x {spans} spans: {rate:.0} spans/s acknowledged")?;
    writeln!(out, "{:.0} bytes/span on disk", bytes as f64 / acknowledged as f64)?;

    let asked = Instant::now();
    let page = store.traces(&TraceQuery { limit: 100, ..TraceQuery::default() })?;
    writeln!(out, "list of {} traces: {} us", page.total_matched, asked.elapsed().as_micros())?;
    let asked = Instant::now();
    let trace = page.traces.first().map(|row| store.trace(row.trace_id)).transpose()?.flatten();
    let found = trace.map_or(0, |trace| trace.spans.len());
    writeln!(out, "one trace of {found} spans: {} us", asked.elapsed().as_micros())?;
    drop(store);
    drop(out);
    // Opening is measured in a process that has done nothing else.
    let opened = Command::new(env::current_exe()?).arg("open").arg(folder).status()?;
    if opened.success() { Ok(()) } else { Err("opening again failed".into()) }
}

fn measure_open(folder: &std::path::Path) -> Result<(), Failure> {
    let (rss_before, cpu_before, started) = (rss_kib()?, cpu_ticks()?, Instant::now());
    let store = EmbeddedStore::open(folder, Config::default())?;
    let (took, cpu) = (started.elapsed().as_millis(), 10 * (cpu_ticks()? - cpu_before));
    let state = store.state();
    let mut out = io::stdout().lock();
    let (mib, traces, spans) = (state.bytes_on_disk >> 20, state.traces, state.spans);
    writeln!(out, "opened {mib} MiB in {took} ms, {cpu} ms of CPU time")?;
    let grown = rss_kib()?.saturating_sub(rss_before);
    writeln!(out, "list of {traces} traces, {spans} spans: {} MiB of memory", grown >> 10)?;
    Ok(())
}

/// CPU time of this process in hundredths of a second, which is the tick of every Linux build.
fn cpu_ticks() -> Result<u64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("no stat")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |place: usize| -> Result<u64, Failure> {
        Ok(fields.get(place).ok_or("a short stat")?.parse()?)
    };
    Ok(ticks(11)? + ticks(12)?)
}

fn lone_append(store: &EmbeddedStore) -> Result<Duration, StoreError> {
    let mut times = Vec::new();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(150));
        let started = Instant::now();
        store.append(batch(SPANS_PER_TRACE))?.wait()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn flood(
    store: &Arc<EmbeddedStore>,
    appenders: u64,
    spans: u64,
    time: Duration,
) -> Result<(u64, Duration), Failure> {
    let (acknowledged, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let started = Instant::now();
    let threads: Vec<_> = (0..appenders)
        .map(|_| {
            let (store, acknowledged) = (Arc::clone(store), Arc::clone(&acknowledged));
            let over = Arc::clone(&over);
            thread::spawn(move || -> Result<(), StoreError> {
                while !over.load(Ordering::Relaxed) {
                    match store.append(batch(spans)) {
                        Ok(ack) => ack.wait()?,
                        Err(StoreError::Busy) => continue,
                        Err(error) => return Err(error),
                    }
                    acknowledged.fetch_add(spans, Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    thread::sleep(time);
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| "an appender panicked")??;
    }
    Ok((acknowledged.load(Ordering::Relaxed), started.elapsed()))
}

fn batch(spans: u64) -> Record {
    let protector = Protector::new(Policy::Mask(10), NoticeLanguage::English);
    let traces = spans.div_ceil(SPANS_PER_TRACE);
    let observations = (0..traces).flat_map(|_| trace()).take(spans as usize);
    Record::Spans(protector.protect(observations.map(Observation::from).collect()))
}

fn trace() -> Vec<Span> {
    let id = TraceId::random();
    let mut parent = None;
    ["browser", "gateway", "proxy", "runtime"]
        .into_iter()
        .map(|service| {
            let mut span = Span::new(id, service, "POST /chat");
            span.parent_id = parent.replace(span.span_id);
            span.kind = SpanKind::Server;
            span.duration_ns = u64::from(span.span_id.as_bytes()[0]) * 1_000_003;
            span.session_id = Some(span.span_id.to_string());
            span.attributes.set("andon.threads", 2_i64);
            if service == "proxy" {
                span.llm_kind = Some(LlmKind::Llm);
                span.model = Some("gemma3:270m".to_owned());
                span.input_tokens = Some(span.duration_ns % 500);
                span.output_tokens = Some(span.duration_ns % 300);
                span.timings.eval_ns = Some(span.duration_ns / 2);
            }
            span
        })
        .collect()
}

fn rss_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let number = line.split_whitespace().nth(1).ok_or("no number")?;
    Ok(number.parse()?)
}
