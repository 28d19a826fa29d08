//! What Datadog's clients were recorded to send, through the receiver's own answers, to a keeper that
//! remembers what it got. `tests/fixtures/datadog` holds the bodies.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod broken;
mod evaluations;
mod llm;
mod traces;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use andon_model::{Judgement, Observation, Part, SpanId, TraceId};
use andon_receive::{
    Batch, BodyLimits, Intake, IntakeCounts, Keep, Protocol, Reason, Refused, datadog::Datadog,
    dogstatsd::Dogstatsd,
};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value as Json;

const ARTICLE_PYTHON: &[u8] = include_bytes!("../fixtures/datadog/article-python.v04.msgpack");
const ARTICLE_NODE: &[u8] = include_bytes!("../fixtures/datadog/article-node.v04.msgpack");
const TRACES_4: &[u8] = include_bytes!("../fixtures/datadog/ddtrace-4.16.v04.msgpack");
const EVALUATIONS_4: &[u8] = include_bytes!("../fixtures/datadog/ddtrace-4.16-evaluations.json");
const TRACES_3: &[u8] = include_bytes!("../fixtures/datadog/ddtrace-3.10.v05.msgpack");
const LLM_SPANS_3: &[u8] = include_bytes!("../fixtures/datadog/ddtrace-3.10-llmobs.json");
const EVALUATIONS_3: &[u8] = include_bytes!("../fixtures/datadog/ddtrace-3.10-evaluations.json");

const LLM_SPANS: &str = "/evp_proxy/v2/api/v2/llmobs";
const EVALUATIONS: &str = "/evp_proxy/v2/api/intake/llm-obs/v2/eval-metric";

/// Keeps everything in memory, or refuses.
#[derive(Default)]
struct Kept {
    spans: Mutex<Vec<Observation>>,
    evaluations: Mutex<Vec<Judgement>>,
    refusal: Mutex<Option<Refused>>,
}

impl Keep for Kept {
    fn keep(&self, batch: Batch) -> Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>> {
        let refusal = self.refusal.lock().unwrap().clone();
        if refusal.is_none() {
            self.spans.lock().unwrap().extend(batch.spans);
            self.evaluations.lock().unwrap().extend(batch.evaluations);
        }
        Box::pin(async { refusal.map_or(Ok(()), Err) })
    }
}

/// A receiver with what it handed on.
#[derive(Clone)]
struct Receiver {
    kept: Arc<Kept>,
    intake: Intake,
    datadog: Datadog,
}

impl Receiver {
    fn new() -> Self {
        let kept = Arc::new(Kept::default());
        let limits = BodyLimits { timeout: Duration::from_secs(5), ..BodyLimits::default() };
        let intake = Intake::new(Arc::clone(&kept) as Arc<dyn Keep>, Arc::default(), limits);
        Self {
            datadog: Datadog::new(intake.clone(), Arc::new(Dogstatsd::new(intake.clone()))),
            kept,
            intake,
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> (StatusCode, Json) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("Content-Type", kind).header("Host", "localhost:8126");
        let request = request.header("Datadog-Meta-Lang", "python");
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let response = self.datadog.clone().answer(request).await;
        let status = response.status();
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn traces(&self, path: &str, body: &[u8]) {
        let (status, said) = self.send(Method::PUT, path, "application/msgpack", body).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        assert_eq!(said["rate_by_service"]["service:,env:"], 1);
    }

    async fn json(&self, path: &str, body: &[u8]) {
        let (status, said) = self.send(Method::POST, path, "application/json", body).await;
        assert_eq!((status, said), (StatusCode::ACCEPTED, serde_json::json!({})));
    }

    /// As a store has them: of those with the same ids the last.
    fn spans(&self) -> HashMap<(TraceId, SpanId), Observation> {
        let spans = self.kept.spans.lock().unwrap();
        spans.iter().map(|it| ((it.span.trace_id, it.span.span_id), it.clone())).collect()
    }

    fn named(&self, name: &str) -> Observation {
        let mut found = self.spans().into_values().filter(|it| it.span.name == name);
        let one = found.next().unwrap_or_else(|| panic!("no span is called {name}"));
        assert!(found.next().is_none(), "{name} is there twice");
        one
    }

    fn evaluations(&self) -> Vec<Judgement> {
        self.kept.evaluations.lock().unwrap().clone()
    }

    fn counts(&self) -> IntakeCounts {
        let mut counts = self.intake.counts();
        counts.remove(Protocol::Datadog as usize)
    }

    fn rejected(&self, reason: Reason) -> u64 {
        let counts = self.counts();
        counts.rejected.iter().find(|it| it.reason == reason).map_or(0, |it| it.count)
    }
}

/// Part, role and text of each.
fn texts(of: &Observation) -> Vec<(Part, &str, &str)> {
    of.contents
        .iter()
        .map(|it| (it.part, it.role.as_deref().unwrap_or_default(), it.text.expose()))
        .collect()
}
