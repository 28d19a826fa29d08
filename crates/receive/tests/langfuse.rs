//! Recorded batches of Langfuse's older SDKs, as they came, in the model's words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::HashMap;

use andon_model::{
    AttributeValue, LlmKind, Observation, PARTIAL, Part, SpanId, Status, TraceId, WHOLE_TRACE,
};
use andon_receive::{Reason, Refused};
use http::StatusCode;
use serde_json::{Value, json};
use support::{Bench, JSON};

const PYTHON: &str = include_str!("fixtures/langfuse/python-2.json");
const JAVASCRIPT: &str = include_str!("fixtures/langfuse/javascript-3.json");
const BATCHES: &str = "/api/public/ingestion";

/// The last of each span, as the store keeps them.
#[derive(Default)]
struct Known(HashMap<(TraceId, SpanId), Observation>);

impl Known {
    fn of(bench: &Bench) -> Self {
        let all = bench.spans().into_iter();
        Self(all.map(|seen| ((seen.span.trace_id, seen.span.span_id), seen)).collect())
    }

    fn called(&self, name: &str) -> &Observation {
        let mut all = self.0.values().filter(|seen| seen.span.name == name);
        let first = all.next().unwrap_or_else(|| panic!("{name} is not there"));
        assert!(all.next().is_none(), "{name} is there twice");
        first
    }
}

async fn post(bench: &Bench, batch: &Value) -> Value {
    let (status, said) = bench.post(BATCHES, JSON, batch.to_string()).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    serde_json::from_slice(&said).unwrap()
}

async fn replayed(recording: &str) -> (Bench, Known) {
    replay(serde_json::from_str(recording).unwrap()).await
}

async fn replay(batches: Vec<Value>) -> (Bench, Known) {
    let bench = Bench::new();
    for batch in &batches {
        let said = post(&bench, batch).await;
        assert_eq!(said["errors"], json!([]));
        let taken = said["successes"].as_array().unwrap().len();
        assert_eq!(taken, batch["batch"].as_array().unwrap().len());
    }
    let known = Known::of(&bench);
    (bench, known)
}

fn texts(of: &Observation, part: Part) -> Vec<&str> {
    let texts = of.contents.iter().filter(|content| content.part == part);
    texts.map(|content| content.text.expose()).collect()
}

fn number(of: &Observation, name: &str) -> Option<f64> {
    match of.span.attributes.get(name)? {
        AttributeValue::Float(number) => Some(*number),
        AttributeValue::Int(number) => Some(*number as f64),
        _ => None,
    }
}

#[tokio::test]
async fn a_chat_is_a_trace_with_its_user_session_and_call() {
    let (bench, known) = replayed(PYTHON).await;
    let (root, call) = (known.called("filter:chat"), known.called("answer"));
    assert_eq!(root.span.llm_kind, Some(LlmKind::Workflow));
    assert_eq!(root.span.parent_id, None);
    assert_eq!(texts(root, Part::Output), ["月曜日です。"]);
    let span = &call.span;
    assert_eq!(span.parent_id, Some(root.span.span_id));
    assert_eq!(span.trace_id, root.span.trace_id);
    assert_eq!(span.llm_kind, Some(LlmKind::Llm));
    assert_eq!(span.model.as_deref(), Some("gemma3:270m"));
    assert_eq!((span.input_tokens, span.output_tokens), (Some(21), Some(6)));
    assert_eq!(span.user_id.as_deref(), Some("hana@example.com"));
    assert_eq!(span.service, "library");
    assert_eq!(number(call, "gen_ai.request.temperature"), Some(0.2));
    assert_eq!(number(call, "gen_ai.request.max_tokens"), Some(24.0));
    assert_eq!(texts(call, Part::System), ["短く答えてください。"]);
    assert_eq!(texts(call, Part::Input), ["図書館は何曜日に休みますか。"]);
    assert_eq!(texts(call, Part::Output), ["月曜日です。"]);
    // It began in one request and ended in another.
    assert!(span.duration_ns > 1_000_000_000);
    assert!(root.span.duration_ns >= span.duration_ns);
    assert_eq!(span.attributes.get(PARTIAL), None);
    let batches = bench.batches();
    let judged = batches.iter().flat_map(|batch| &batch.evaluations);
    let judged: Vec<_> = judged.map(|judged| &judged.evaluation).collect();
    assert_eq!(judged.len(), 2);
    assert!(judged.iter().all(|judged| judged.trace_id == span.trace_id));
    let ids: Vec<_> = judged.iter().map(|judged| judged.span_id).collect();
    assert_eq!(ids, [span.span_id, WHOLE_TRACE]);
}

#[tokio::test]
async fn decorated_functions_are_spans_and_a_failure_is_one() {
    let (_, known) = replayed(PYTHON).await;
    let (root, inner) = (known.called("library"), known.called("look_up"));
    assert_eq!(inner.span.parent_id, Some(root.span.span_id));
    assert_eq!(inner.span.session_id.as_deref(), Some("s-9"));
    let call = &known.called("reply").span;
    assert_eq!((call.input_tokens, call.cached_tokens), (Some(5), Some(2)));
    let failed = known.called("within");
    assert_eq!(failed.span.status, Status::Error);
    assert!(failed.error_message.as_ref().unwrap().expose().contains("the shelf of"));
    assert_eq!(known.called("fails").span.status, Status::Error);
}

#[tokio::test]
async fn an_image_is_its_type_size_and_hash() {
    for (recording, name) in [(PYTHON, "look"), (JAVASCRIPT, "answer")] {
        let (_, known) = replayed(recording).await;
        let seen = known.called(name);
        let asked = texts(seen, Part::Input).join("\n");
        assert!(asked.contains("[image/png, 12 bytes, sha256 f02a830cf03a1cf7"), "{asked}");
        assert!(!asked.contains("langfuseMedia") && !asked.contains("image at"), "{asked}");
    }
}

#[tokio::test]
async fn events_may_come_in_any_order() {
    let mut batches: Vec<Value> = serde_json::from_str(JAVASCRIPT).unwrap();
    let (_, known) = replay(batches.clone()).await;
    as_it_was(&known);
    batches.reverse();
    batches.iter_mut().for_each(|batch| batch["batch"].as_array_mut().unwrap().reverse());
    let (_, known) = replay(batches).await;
    as_it_was(&known);
}

fn as_it_was(known: &Known) {
    let (root, call) = (known.called("library"), known.called("answer"));
    let span = &call.span;
    assert_eq!((span.input_tokens, span.output_tokens), (Some(14), Some(5)));
    assert_eq!(texts(call, Part::Output), ["月曜日です。"]);
    assert!(span.duration_ns > 60_000_000, "{}", span.duration_ns);
    assert!(span.timings.ttft_ns.unwrap() > 30_000_000);
    assert_eq!(number(call, "gen_ai.request.max_tokens"), Some(20.0));
    assert_eq!(span.parent_id, Some(root.span.span_id));
    assert_eq!(span.session_id.as_deref(), Some("chat-8"));
    let (found, within) = (known.called("found"), known.called("look up"));
    assert_eq!(found.span.parent_id, Some(within.span.span_id));
    assert_eq!(found.span.attributes.get(PARTIAL), None);
    let gone = known.0.values().find(|seen| seen.span.status == Status::Error).unwrap();
    assert!(gone.error_message.as_ref().unwrap().expose().contains("is gone"));
}

/// One span of one trace, in as many batches as there are bodies.
fn event(kind: &str, body: Value) -> Value {
    json!({"batch": [{"id": "e", "type": kind, "timestamp": "2026-12-01T04:42:10Z", "body": body}]})
}

#[tokio::test]
async fn each_batch_hands_on_the_whole_of_what_it_touched() {
    let bench = Bench::new();
    let body = json!({"id": "g", "traceId": "t", "name": "n", "input": "q", "model": "m",
        "startTime": "2026-12-01T04:42:10Z"});
    post(&bench, &event("generation-create", body)).await;
    let begun = Known::of(&bench);
    let begun = begun.called("n");
    assert_eq!(begun.span.attributes.get(PARTIAL), Some(&true.into()));
    assert_eq!(begun.span.parent_id, None, "nothing was said of the trace itself");
    let ended =
        json!({"id": "g", "traceId": "t", "endTime": "2026-12-01T04:42:11Z", "output": "a"});
    post(&bench, &event("generation-update", ended)).await;
    let known = Known::of(&bench);
    let whole = known.called("n");
    assert_eq!((texts(whole, Part::Input), texts(whole, Part::Output)), (vec!["q"], vec!["a"]));
    assert_eq!(whole.span.duration_ns, 1_000_000_000);
    // What is said of the trace is for all that is in it, also for what came before.
    post(&bench, &event("trace-create", json!({"id": "t", "sessionId": "s"}))).await;
    let known = Known::of(&bench);
    let whole = known.called("n");
    assert_eq!(whole.span.session_id.as_deref(), Some("s"));
    assert_eq!(whole.span.parent_id, Some(known.called("trace").span.span_id));
    assert_eq!(known.0.len(), 2);
}

#[tokio::test]
async fn what_began_before_a_start_ends_after_it() {
    let bench = Bench::new();
    let root = json!({"id": "t", "name": "chat", "userId": "u", "sessionId": "s", "input": "q"});
    let body = json!({"id": "g", "traceId": "t", "name": "n", "input": "q", "model": "m",
        "modelParameters": {"temperature": 0.5}, "startTime": "2026-12-01T04:42:10Z"});
    post(&bench, &event("trace-create", root)).await;
    post(&bench, &event("generation-create", body)).await;
    let bench = bench.again();
    let ended = json!({"id": "g", "traceId": "t", "endTime": "2026-12-01T04:42:11Z", "output": "a",
        "usage": {"input": 3, "output": 4}});
    post(&bench, &event("generation-update", ended)).await;
    post(&bench, &event("trace-create", json!({"id": "t", "output": "a"}))).await;
    let known = Known::of(&bench);
    assert_eq!(known.0.len(), 2);
    let (root, call) = (known.called("chat"), known.called("n"));
    assert_eq!(call.span.parent_id, Some(root.span.span_id));
    assert_eq!(call.span.duration_ns, 1_000_000_000);
    assert_eq!(call.span.model.as_deref(), Some("m"));
    assert_eq!(call.span.session_id.as_deref(), Some("s"));
    assert_eq!((call.span.input_tokens, call.span.output_tokens), (Some(3), Some(4)));
    assert_eq!(number(call, "gen_ai.request.temperature"), Some(0.5));
    assert_eq!(call.span.attributes.get(PARTIAL), None);
    assert_eq!(root.span.user_id.as_deref(), Some("u"));
    assert_eq!(root.span.start_ns, call.span.start_ns);
    assert_eq!(root.span.duration_ns, 1_000_000_000);
}

#[tokio::test]
async fn what_is_wrong_costs_itself_alone_and_a_full_store_everything() {
    let bench = Bench::new();
    let mut batch = event("span-create", json!({"id": "s", "traceId": "t", "name": "good"}));
    let wrong = json!({"id": "w", "type": "span-create", "body": {"id": "x", "name": {}}});
    batch["batch"].as_array_mut().unwrap().push(wrong);
    let said = post(&bench, &batch).await;
    assert_eq!(said["successes"], json!([{"id": "e", "status": 201}]));
    assert_eq!(said["errors"][0]["id"], "w");
    assert_eq!(said["errors"][0]["status"], 400);
    assert_eq!(bench.spans().len(), 1);
    assert_eq!(bench.rejected(), [(Reason::Unreadable, 1)]);
    for garbage in ["", "[]", "{\"batch\": 5}", "{\"batch\": [", "\u{1}"] {
        let (status, said) = bench.post(BATCHES, JSON, garbage).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{garbage}");
        assert!(String::from_utf8_lossy(&said).contains("is not what is sent here"), "{garbage}");
    }
    for (refusal, expected) in [
        (Refused::Busy, StatusCode::TOO_MANY_REQUESTS),
        (Refused::Unavailable("no room".to_owned()), StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let bench = Bench::refusing(refusal);
        let (status, _) = bench.post(BATCHES, JSON, batch.to_string()).await;
        assert_eq!(status, expected, "clients try that again");
    }
}
