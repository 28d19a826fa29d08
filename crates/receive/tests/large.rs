//! Requests that are small on the wire and large in what they come to.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use andon_receive::Reason;
use http::StatusCode;
use serde_json::{Value, json};
use support::{Bench, JSON, PROTOBUF, length_delimited};

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

fn text(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

/// Spans of one resource.
fn traces(of: &Value, spans: Vec<Value>) -> String {
    let scope = json!({"spans": spans});
    json!({"resourceSpans": [{"resource": {"attributes": [of]}, "scopeSpans": [scope]}]})
        .to_string()
}

fn span(at: u64, attributes: Vec<Value>) -> Value {
    json!({"traceId": TRACE, "spanId": format!("{:016x}", at + 1), "startTimeUnixNano": "1",
        "attributes": attributes})
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    length_delimited(number << 3 | 2, bytes)
}

/// Two bytes each, of which each would take 72 to 300.
#[tokio::test]
async fn many_empty_messages_are_refused_before_they_are_read() {
    let bench = Bench::new();
    let spans = [0x12, 0].repeat(2 << 20);
    let keys = [0x4a, 0].repeat(4 << 20);
    let values = [0x0a, 0].repeat(8 << 20);
    let value = field(2, &field(5, &values));
    let scopes = [
        field(2, &spans),
        field(2, &field(2, &keys)),
        field(2, &field(2, &field(9, &value))),
        // A message that says that it ends before the one in it does: that is read to its end.
        [vec![0x12, 2], field(2, &keys)].concat(),
    ];
    for scope in scopes {
        let body = field(1, &scope);
        let (status, said) = bench.post("/v1/traces", PROTOBUF, body).await;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{said}");
        assert!(said.contains("too many values"), "{said}");
    }
    let body = field(1, &field(2, &spans));
    let framed = [&[0][..], &(body.len() as u32).to_be_bytes(), &body].concat();
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let response = bench.send(path, "application/grpc", framed.into()).await;
    assert_eq!(response.headers()["grpc-status"], "8");
    let points = field(10, &field(1, &field(8, &field(2, &vec![1; 40 << 20]))));
    let body = field(1, &field(2, &field(2, &points)));
    let (status, _) = bench.post("/v1/metrics", PROTOBUF, body).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let spans = format!("[{}{{}}]", "{},".repeat(2 << 20));
    let body = format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":{spans}}}]}}]}}");
    let (status, _) = bench.post("/v1/traces", JSON, body).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(bench.rejected(), [(Reason::TooLarge, 1), (Reason::TooLarge, 6)]);
    // What clients send is far from it.
    let attributes = (0..200).map(|at| text(&format!("name.{at}"), "value")).collect::<Vec<_>>();
    let spans = (0..500).map(|at| span(at, attributes.clone())).collect();
    let body = traces(&text("service.name", "s"), spans);
    let (status, _) = bench.post("/v1/traces", JSON, body).await;
    assert_eq!((status, bench.spans().len()), (StatusCode::OK, 500));
}

#[tokio::test]
async fn what_a_resource_says_is_not_copied_without_limit() {
    let bench = Bench::new();
    let of = text("service.name", &"x".repeat(1 << 20));
    let body = traces(&of, (0..200).map(|at| span(at, vec![])).collect());
    let (status, said) = bench.post("/v1/traces", JSON, body).await;
    assert_eq!(status, StatusCode::OK);
    // 128 MiB, and each copy is a little more than one.
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["partialSuccess"]["rejectedSpans"], "73");
    let why = said["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(why.contains("resource"), "{why}");
    assert_eq!(bench.spans().len(), 127);
    assert_eq!(bench.rejected(), [(Reason::TooLarge, 73)]);
}

#[tokio::test]
async fn what_a_metric_is_called_is_not_copied_without_limit() {
    let bench = Bench::new();
    let points: Vec<_> = (0..200).map(|at| json!({"timeUnixNano": "5", "asInt": at})).collect();
    let metrics = json!([
        {"name": "x".repeat(1 << 20), "gauge": {"dataPoints": points}},
        {"name": "y", "gauge": {"dataPoints": points}},
    ]);
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string();
    let (status, said) = bench.post("/v1/metrics", JSON, body).await;
    assert_eq!(status, StatusCode::OK);
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["partialSuccess"]["rejectedDataPoints"], "200");
    assert_eq!(bench.batches()[0].metrics.len(), 200);
}

/// It takes minutes where each name makes a copy of the long value to compare with.
#[tokio::test]
async fn many_names_of_one_field_beside_a_long_value_cost_no_more_than_others() {
    let bench = Bench::new();
    let mut attributes = vec![text("gen_ai.provider.name", &"x".repeat(8 << 20))];
    attributes.extend((0..20_000).map(|_| text("gen_ai.system", "y")));
    let body = traces(&text("service.name", "s"), vec![span(1, attributes)]);
    let (status, _) = bench.post("/v1/traces", JSON, body).await;
    assert_eq!(status, StatusCode::OK);
    let span = bench.spans().remove(0).span;
    assert_eq!(span.attributes["gen_ai.system"], "y".into());
    assert_eq!(span.provider.map(|name| name.len()), Some(8 << 20));
}

/// It takes minutes where each looks for a place behind all others.
#[tokio::test]
async fn many_records_of_one_moment_have_a_place_each() {
    let bench = Bench::new();
    let record = |at: u64| {
        let body = json!({"stringValue": at.to_string()});
        json!({"traceId": TRACE, "spanId": "eee19b7ec3c1b174", "timeUnixNano": "5000", "body": body})
    };
    let records: Vec<_> = (0..20_000).map(record).collect();
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
    let mut places = Vec::new();
    // Sent again, each has the place that it had.
    for _ in 0..2 {
        let (status, _) = bench.post("/v1/logs", JSON, body.clone()).await;
        assert_eq!(status, StatusCode::OK);
        let batch = bench.batches().pop().unwrap();
        places.push(batch.texts[0].contents.iter().map(|text| text.idx).collect::<Vec<_>>());
    }
    assert_eq!(places[0], places[1]);
    assert!(places[0][..60].is_sorted());
    places[0].sort_unstable();
    places[0].dedup();
    assert_eq!(places[0].len(), 20_000);
}
