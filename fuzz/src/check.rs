//! What an answer may be.

use andon_receive::{Protocol, Reason};
use http::header::CONTENT_TYPE;
use prost::Message;
use serde_json::Value as Json;

use crate::{Answer, Kept, Receiver};

/// The shortest span of any protocol: two ids, and what says that it is one.
const SPAN_BYTES: usize = 12;
/// Texts that stand for several spans are copied to each, at most so many times what was sent.
const MAX_COPIES: usize = 8_192;

/// `google.rpc.Status`, as far as it is read here.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// `Export…ServiceResponse` of all three signals.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// The answer of OTLP over HTTP to a request of this type: of the same type, errors too, and it agrees
/// with what was counted.
pub fn otlp(receiver: &Receiver, form: &str, answer: &Answer, expected: &[u16]) {
    assert!(expected.contains(&answer.status.as_u16()), "{}", answer.status);
    assert_eq!(answer.headers[CONTENT_TYPE], form);
    let is_well = answer.status.is_success();
    let rejected = if form == "application/json" {
        let said: Json = serde_json::from_slice(&answer.body).unwrap();
        if is_well { rejected_of_json(&said) } else { rpc_status_of_json(&said) }
    } else if is_well {
        let said = ExportResponse::decode(&*answer.body).unwrap();
        rejected_of(&said)
    } else {
        let said = RpcStatus::decode(&*answer.body).unwrap();
        assert!(said.code > 0 && said.code <= 16 && !said.message.is_empty(), "{said:?}");
        0
    };
    assert_counted(receiver, Protocol::OtlpHttp, is_well.then_some(rejected));
}

/// That of gRPC: always 200, and the outcome in a header or a trailer.
pub fn grpc(receiver: &Receiver, answer: &Answer, expected: &[i32]) {
    assert_eq!(answer.status, 200);
    let outcome = answer.headers.get("grpc-status").or(answer.trailers.get("grpc-status"));
    let code: i32 = outcome.unwrap().to_str().unwrap().parse().unwrap();
    assert!(expected.contains(&code), "grpc-status {code}: {:?}", answer.headers);
    if code != 0 {
        assert!(answer.body.is_empty());
        return;
    }
    let (head, body) = answer.body.split_at(5);
    assert_eq!(head[0], 0, "compressed, and nobody asked for that");
    assert_eq!(u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize, body.len());
    let rejected = rejected_of(&ExportResponse::decode(body).unwrap());
    assert_counted(receiver, Protocol::OtlpGrpc, Some(rejected));
}

/// That of a port for Datadog's clients, or of Langfuse's scores: JSON, and an error says what it is.
pub fn json(answer: &Answer, expected: &[u16]) {
    assert!(expected.contains(&answer.status.as_u16()), "{}", answer.status);
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    let said: Json = serde_json::from_slice(&answer.body).unwrap();
    if !answer.status.is_success() {
        let message = said["error"]["message"].as_str().or(said["message"].as_str());
        assert!(message.is_some_and(|message| !message.is_empty()), "{said}");
    }
}

/// What was kept of so many bytes is not out of all proportion, and was counted.
pub fn proportion(receiver: &Receiver, kept: &Kept, bytes: usize) {
    assert!(kept.spans.len() <= bytes / SPAN_BYTES, "{} spans of {bytes} bytes", kept.spans.len());
    assert!(kept.weight <= bytes * MAX_COPIES + (1 << 20), "{} of {bytes} bytes", kept.weight);
    let counts = receiver.intake.counts();
    let sum = |of: fn(&andon_receive::IntakeCounts) -> u64| counts.iter().map(of).sum::<u64>();
    assert_eq!(sum(|counts| counts.spans), kept.spans.len() as u64);
    assert_eq!(sum(|counts| counts.evaluations), kept.evaluations.len() as u64);
    assert_eq!(sum(|counts| counts.metrics), kept.metrics.len() as u64);
}

fn rejected_of(said: &ExportResponse) -> u64 {
    let Some(partial) = &said.partial_success else { return 0 };
    assert!(partial.rejected > 0 && !partial.error_message.is_empty(), "{partial:?}");
    partial.rejected.unsigned_abs()
}

fn rejected_of_json(said: &Json) -> u64 {
    let Some(partial) = said.get("partialSuccess") else { return 0 };
    let counts = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"];
    let count = counts.iter().find_map(|name| partial[name].as_str()).unwrap();
    count.parse().unwrap()
}

fn rpc_status_of_json(said: &Json) -> u64 {
    assert!(said["code"].as_u64().is_some_and(|code| (1..=16).contains(&code)), "{said}");
    assert!(said["message"].as_str().is_some_and(|message| !message.is_empty()), "{said}");
    0
}

/// A request that was refused is counted with its reason; of one that was taken, each part that the
/// client is told of.
fn assert_counted(receiver: &Receiver, protocol: Protocol, rejected: Option<u64>) {
    let counts = receiver.counts(protocol);
    // Those that have nothing wrong with them, and are of no use to Andon, are not told of.
    let told = counts.rejected.iter().filter(|of| of.reason != Reason::NotKept);
    let told: u64 = told.map(|of| of.count).sum();
    assert_eq!(told, rejected.unwrap_or(1), "{:?}", counts.rejected);
}
