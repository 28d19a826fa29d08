//! A small store of which every row is known: for tests that damage it, and for the folders that
//! earlier versions wrote (`tests/fixtures`). Those were made from what stands here, so that it is only
//! ever added to.

use std::path::Path;

use andon_model::{
    Cause, HostSample, LlmKind, Observation, Part, Policy, ProcessSample, RawContent, RawText,
    RequestId, Span, SpanId, SpanKind, Status, Timings,
};
use andon_privacy::{NoticeLanguage, Protector};
use andon_store::{
    AggregateQuery, Aggregation, Dimension, EmbeddedStore, Format, Population, Record, Store,
    Trace, TracePage,
};
use serde_json::Value;

use crate::support::*;

/// Generations that are sealed; another one stays in the log.
pub(crate) const SEALED: u64 = 2;
/// Traces of a generation, each with two spans, two texts and a judgement.
pub(crate) const TRACES: u64 = 5;
/// A day on which generations begin, an hour apart.
const DAY_S: u64 = 1_700_006_400;
const HOUR: u64 = 3_600 * SECOND;

pub(crate) fn all_traces() -> std::ops::Range<u64> {
    0..TRACES * (SEALED + 1)
}

pub(crate) fn generation_of(trace: u64) -> u64 {
    trace / TRACES
}

/// When the traces of a generation and its samples are.
pub(crate) fn start_s(generation: u64) -> u64 {
    DAY_S + generation * 3_600
}

/// The root of a trace, and its call to a model with something in every column.
pub(crate) fn spans_of(trace: u64) -> [Span; 2] {
    let mut root = span(trace, start_s(generation_of(trace)) + trace);
    root.span_id = span_id(trace, 0);
    root.request_id = RequestId::given(&format!("request-{trace}"));
    root.attributes.set("browser.visible", trace.is_multiple_of(2));
    let mut call =
        llm_span(&root, if trace.is_multiple_of(2) { "gemma3:270m" } else { "qwen3:8b" });
    call.span_id = span_id(trace, 1);
    call.env = Some("test".to_owned());
    call.version = Some("1.2.3".to_owned());
    call.host = Some("行灯".to_owned());
    call.pid = Some(4_000 + trace as u32);
    call.resource = Some("POST /api/chat".to_owned());
    call.kind = SpanKind::Client;
    call.llm_kind = Some(LlmKind::Llm);
    (call.http_method, call.http_route) = (Some("POST".to_owned()), Some("/api/chat".to_owned()));
    call.http_status = Some(200);
    call.provider = Some("ollama".to_owned());
    call.model_requested = Some("gemma3".to_owned());
    call.endpoint = Some("http://127.0.0.1:11434".to_owned());
    call.stream = Some(true);
    (call.input_tokens, call.output_tokens) = (Some(100 + trace), Some(trace));
    (call.cached_tokens, call.reasoning_tokens) = (Some(50), Some(1));
    call.finish_reason = Some("stop".to_owned());
    call.timings = Timings {
        queue_ns: Some(1),
        load_ns: Some(2),
        prompt_eval_ns: Some(3),
        ttft_ns: Some(4 + trace),
        eval_ns: Some(5),
        stall_ns: Some(6),
    };
    call.context_length = Some(4_096);
    call.model_digest = Some("sha256:0123".to_owned());
    (call.cost, call.cost_currency) = (Some(0.25), Some("JPY".to_owned()));
    call.cause = Some(Cause::ColdStart);
    call.ml_app = Some("chat".to_owned());
    call.session_id = Some(format!("session-{trace}"));
    call.user_id = Some("user".to_owned());
    if trace % TRACES == 3 {
        call.status = Status::Error;
        call.error_type = Some("timeout".to_owned());
    }
    for (name, value) in [("whole", 7_i64), ("andon.turn.call", trace as i64)] {
        call.attributes.set(name, value);
    }
    call.attributes.set("share", 0.5);
    call.attributes.set("said", "東京🗼");
    [root, call]
}

fn span_id(trace: u64, place: u8) -> SpanId {
    let mut bytes = [0x5a; 8];
    (bytes[6], bytes[7]) = (trace as u8, place);
    SpanId::from_bytes(bytes)
}

/// What was asked, and what was answered.
pub(crate) fn texts_of(trace: u64) -> [String; 2] {
    [
        format!("質問{trace}: 東京の天気は？ word{trace}"),
        format!("晴れです。{} answer{trace}", "明日も晴れるでしょう。".repeat(20)),
    ]
}

pub(crate) fn host_of(generation: u64) -> HostSample {
    let Record::Host(mut samples) = host(start_s(generation)) else { unreachable!() };
    samples.remove(0)
}

pub(crate) fn processes_of(generation: u64) -> Vec<ProcessSample> {
    let Record::Processes(samples) = processes(start_s(generation), 2) else { unreachable!() };
    samples
}

/// The appends of a generation: three for each trace, and the samples.
pub(crate) fn records(generation: u64) -> Vec<Record> {
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    let traces = generation * TRACES..(generation + 1) * TRACES;
    let of_trace = |trace| {
        let [root, call] = spans_of(trace);
        let text = |text, part, role: &str| {
            let (role, text) = (Some(role.to_owned()), RawText::new(text));
            RawContent { part, role, idx: 0, text }
        };
        let [asked, answered] = texts_of(trace);
        let contents =
            vec![text(asked, Part::Input, "user"), text(answered, Part::Output, "assistant")];
        let mut seen = Observation { contents, ..Observation::from(call) };
        if seen.span.status == Status::Error {
            seen.error_message = Some(RawText::new("timed out after 30 s"));
        }
        [
            Record::Spans(protector.protect(vec![seen])),
            thumb(&root, 1.0),
            Record::Spans(protector.protect(vec![root.into()])),
        ]
    };
    let samples =
        [Record::Host(vec![host_of(generation)]), Record::Processes(processes_of(generation))];
    traces.flat_map(of_trace).chain(samples).collect()
}

/// Fills a folder; the last generation stays in the log.
pub(crate) fn fill(folder: &Path) {
    let store = open(folder);
    for generation in 0..=SEALED {
        records(generation).into_iter().for_each(|record| put(&store, record));
        if generation < SEALED {
            store.seal().unwrap();
        }
    }
}

/// Everything that can be asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answers {
    pub(crate) list: TracePage,
    pub(crate) traces: Vec<Option<Trace>>,
    /// Traces in which words were found.
    pub(crate) found: Vec<Vec<u64>>,
    pub(crate) hosts: Vec<HostSample>,
    pub(crate) processes: Vec<ProcessSample>,
    /// Where spans or rollups are asked about.
    pub(crate) figures: Option<Aggregation>,
    pub(crate) sql: Vec<(&'static str, Result<Value, String>)>,
}

/// A question about each table that can be asked in SQL.
const QUESTIONS: [(&str, &str); 5] = [
    (
        "spans",
        "SELECT service, status, count(*) AS n, sum(duration_ns) AS t, sum(output_tokens) AS o \
         FROM spans GROUP BY service, status ORDER BY service, status",
    ),
    (
        "contents",
        "SELECT part, count(*) AS n, sum(character_length(text)) AS c FROM contents \
         GROUP BY part ORDER BY part",
    ),
    (
        "evaluations",
        "SELECT evaluator, count(*) AS n, sum(score) AS s FROM evaluations GROUP BY evaluator",
    ),
    ("hosts", "SELECT count(*) AS n, sum(cpu_busy_cores) AS c FROM hosts"),
    ("processes", "SELECT name, count(*) AS n FROM processes GROUP BY name"),
];

/// All answers, those in SQL about the tables that `is_asked` names.
pub(crate) fn answers(store: &EmbeddedStore, is_asked: impl Fn(&str) -> bool) -> Answers {
    let (from_ns, to_ns) = (start_s(0) * SECOND, (start_s(SEALED) + 3_600) * SECOND);
    let words = ["天気", "word1", "answer7", "晴れるでしょう"];
    let found = words.map(|word| numbers(&page(store, &format!("text:{word}"))));
    Answers {
        list: page(store, ""),
        traces: all_traces().map(|trace| store.trace(id(trace)).unwrap()).collect(),
        found: found.to_vec(),
        hosts: store.host_samples(None, from_ns, to_ns).unwrap(),
        processes: store.process_samples(None, from_ns, to_ns).unwrap(),
        figures: (is_asked("spans") || is_asked("rollups")).then(|| figures_of(store)),
        sql: QUESTIONS
            .into_iter()
            .filter(|(table, _)| is_asked(table))
            .map(|(table, question)| (table, ask(store, question)))
            .collect(),
    }
}

/// By model, of whole hours, so that rollups are asked.
pub(crate) fn figures_of(store: &EmbeddedStore) -> Aggregation {
    let query = AggregateQuery {
        from_ns: start_s(0) * SECOND / HOUR * HOUR,
        to_ns: (start_s(SEALED) + 3_600) * SECOND / HOUR * HOUR,
        of: Population::All,
        by: vec![Dimension::Model],
        top: 9,
        ..AggregateQuery::default()
    };
    store.aggregate(&query).unwrap()
}

/// An answer in SQL as JSON.
pub(crate) fn ask(store: &EmbeddedStore, question: &str) -> Result<Value, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answering = store.sql(question).map_err(|error| error.to_string())?;
    let answer = runtime.block_on(answering).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    answer.write(Format::Json, &mut bytes).unwrap();
    Ok(serde_json::from_slice(&bytes).unwrap())
}
