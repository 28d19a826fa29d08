//! Records to store, and short ways to ask for them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use andon_model::{
    Evaluation, EvaluationSource, HostSample, LlmKind, MetricType, Observation, Part, Policy,
    ProcessSample, RawContent, RawText, Span, SpanId, SpanKind, Status, TraceId,
};
use andon_privacy::{NoticeLanguage, Protector};
use andon_store::{
    Config, EmbeddedStore, Filter, Record, Store, StoreError, TracePage, TraceQuery,
};

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(folder, Config::default()).unwrap()
}

/// Files of a few kilobytes, so that a test sees several.
pub(crate) fn small_files() -> Config {
    Config {
        segment_bytes: 4_096,
        commit_bytes: 4_096,
        commit_interval: Duration::from_millis(5),
        rows_per_thread: 10,
        ..Config::default()
    }
}

pub(crate) fn id(number: u64) -> TraceId {
    let mut bytes = [0xa5; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    TraceId::from_bytes(bytes)
}

pub(crate) fn span(trace: u64, start_s: u64) -> Span {
    let mut span = Span::new(id(trace), "gateway", "POST /chat");
    span.start_ns = start_s * SECOND;
    span.duration_ns = SECOND;
    span.kind = SpanKind::Server;
    span.status = Status::Ok;
    span
}

pub(crate) fn llm_span(parent: &Span, model: &str) -> Span {
    let mut span = parent.clone();
    span.span_id = SpanId::random();
    span.parent_id = Some(parent.span_id);
    span.start_ns += SECOND / 10;
    span.duration_ns /= 2;
    span.service = "proxy".to_owned();
    span.name = "chat".to_owned();
    span.kind = SpanKind::Client;
    span.llm_kind = Some(LlmKind::Llm);
    span.model = Some(model.to_owned());
    span
}

pub(crate) fn spans(spans: Vec<Span>) -> Record {
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    Record::Spans(protector.protect(spans.into_iter().map(Observation::from).collect()))
}

pub(crate) fn with_text(span: Span, text: &str) -> Record {
    let content = RawContent { part: Part::Input, role: None, idx: 0, text: RawText::new(text) };
    let observation = Observation { contents: vec![content], ..Observation::from(span) };
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    Record::Spans(protector.protect(vec![observation]))
}

pub(crate) fn thumb(span: &Span, score: f64) -> Record {
    Record::Evaluations(vec![Evaluation {
        trace_id: span.trace_id,
        span_id: span.span_id,
        time_ns: span.start_ns + 5 * SECOND,
        evaluator: "user".to_owned(),
        version: None,
        metric_type: MetricType::Score,
        score: Some(score),
        label: None,
        reason: None,
        source: EvaluationSource::Human,
        duration_ns: None,
    }])
}

pub(crate) fn host(time_s: u64) -> Record {
    Record::Host(vec![HostSample {
        time_ns: time_s * SECOND,
        cpu_count: 2,
        cpu_busy_cores: 1.5,
        memory_total_bytes: 1 << 32,
        memory_used_bytes: 1 << 31,
        disk_write_bytes_per_s: Some(1.0),
        // Versions before 0.2 wrote these in any case.
        cpu_iowait_cores: Some(0.0),
        cpu_steal_cores: Some(0.0),
        swap_total_bytes: Some(0),
        swap_used_bytes: Some(0),
        disk_read_bytes_per_s: Some(0.0),
        network_receive_bytes_per_s: Some(0.0),
        network_send_bytes_per_s: Some(0.0),
        major_faults_per_s: Some(0.0),
        ..HostSample::default()
    }])
}

pub(crate) fn processes(time_s: u64, count: u32) -> Record {
    let sample = |pid| ProcessSample {
        time_ns: time_s * SECOND,
        pid,
        started_ns: 7,
        name: "runtime".to_owned(),
        command: "runtime --model some.gguf".to_owned(),
        role: Some("runtime".to_owned()),
        cpu_cores: 1.9,
        rss_bytes: 1 << 28,
        threads: 3,
        read_bytes_per_s: None,
        write_bytes_per_s: Some(2.5),
        major_faults_per_s: None,
        gpu_memory_bytes: None,
        cpu_throttled: None,
        host: None,
    };
    Record::Processes((1..=count).map(sample).collect())
}

pub(crate) fn put(store: &EmbeddedStore, record: Record) {
    let mut answer = store.append(record.clone()).and_then(|ack| ack.wait());
    // Small generations fill faster than they are sealed.
    while answer == Err(StoreError::Busy) {
        std::thread::sleep(Duration::from_millis(2));
        answer = store.append(record.clone()).and_then(|ack| ack.wait());
    }
    answer.unwrap();
}

pub(crate) fn page(store: &EmbeddedStore, filter: &str) -> TracePage {
    let filter = Filter::parse(filter).unwrap();
    store.traces(&TraceQuery { filter, ..TraceQuery::default() }).unwrap()
}

/// Numbers given to [`id`], newest first.
pub(crate) fn numbers(page: &TracePage) -> Vec<u64> {
    let number = |id: &TraceId| u64::from_be_bytes(id.as_bytes()[8..].try_into().unwrap());
    page.traces.iter().map(|trace| number(&trace.trace_id)).collect()
}

/// The files of the log, oldest first.
pub(crate) fn log_files(folder: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder.join("log")).unwrap();
    let mut files: Vec<_> = listing.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A copy as a crash would leave it: without whatever the store does when it closes.
pub(crate) fn copy_folder(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    copy_into(from, to.path());
    to
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&copy).unwrap();
            copy_into(&path, &copy);
        } else if path.file_name().unwrap() != "lock" {
            fs::copy(&path, copy).unwrap();
        }
    }
}

/// The segments of a table, oldest first.
pub(crate) fn segment_files(folder: &Path, table: &str) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder.join("segments").join(table)).unwrap();
    let mut files: Vec<_> = listing.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Text that no compression makes much smaller.
pub(crate) fn incompressible(bytes: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state % 90) as u8)
    };
    (0..bytes).map(|_| next()).collect()
}

/// Waits for what happens on another thread.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(std::time::Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
