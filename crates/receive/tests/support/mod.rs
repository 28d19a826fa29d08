//! A receiver whose batches are looked at, and recorded requests to send it.
#![allow(dead_code)]

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex},
};

use andon_model::{Observation, Span, SpanId, TraceId};
use andon_receive::{
    Batch, BodyLimits, Intake, Keep, Reason, Refused,
    otlp::{Body, Origins, Otlp},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};

pub(crate) const JSON: &str = "application/json";
pub(crate) const PROTOBUF: &str = "application/x-protobuf";

/// Takes what there is, or refuses it.
#[derive(Default)]
pub(crate) struct Kept {
    batches: Mutex<Vec<Batch>>,
    refusal: Option<Refused>,
}

impl Keep for Kept {
    fn keep(&self, batch: Batch) -> Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>> {
        let outcome = self.refusal.clone().map_or(Ok(()), Err);
        if outcome.is_ok() {
            self.batches.lock().unwrap().push(batch);
        }
        Box::pin(async move { outcome })
    }

    fn known(&self, traces: Vec<TraceId>) -> Pin<Box<dyn Future<Output = Vec<Span>> + Send>> {
        let batches = self.batches.lock().unwrap();
        let all = batches.iter().flat_map(|batch| &batch.spans).map(|seen| seen.span.clone());
        let of_these = all.filter(|span| traces.contains(&span.trace_id));
        // The last of each, as the store has them.
        let last: HashMap<SpanId, Span> = of_these.map(|span| (span.span_id, span)).collect();
        Box::pin(std::future::ready(last.into_values().collect()))
    }
}

pub(crate) struct Bench {
    pub(crate) kept: Arc<Kept>,
    pub(crate) intake: Intake,
    otlp: Otlp,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Kept::default())
    }

    pub(crate) fn refusing(refusal: Refused) -> Self {
        Self::with(Kept { refusal: Some(refusal), ..Kept::default() })
    }

    fn with(kept: Kept) -> Self {
        Self::over(Arc::new(kept))
    }

    fn over(kept: Arc<Kept>) -> Self {
        let intake =
            Intake::new(Arc::clone(&kept) as Arc<dyn Keep>, Arc::default(), BodyLimits::default());
        let otlp = Otlp::new(intake.clone(), Origins::default());
        Self { kept, intake, otlp }
    }

    /// The same store after a start of everything else.
    pub(crate) fn again(&self) -> Self {
        Self::over(Arc::clone(&self.kept))
    }

    pub(crate) async fn send(&self, path: &str, form: &str, body: Bytes) -> Response<Body> {
        let request = Request::post(path).header("content-type", form);
        self.otlp.clone().answer(request.body(Full::new(body)).unwrap()).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        form: &str,
        body: impl Into<Bytes>,
    ) -> (StatusCode, Bytes) {
        let response = self.send(path, form, body.into()).await;
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    /// Sends all requests of a recording, in their order.
    pub(crate) async fn replay(&self, case: &str) {
        for Recorded { path, form, encoding, body } in requests(case) {
            let mut request = Request::post(path).header("content-type", form);
            if let Some(encoding) = encoding {
                request = request.header("content-encoding", encoding);
            }
            let request = request.body(Full::new(Bytes::from(body))).unwrap();
            let response = self.otlp.clone().answer(request).await;
            assert_eq!(response.status(), StatusCode::OK, "{case}");
        }
    }

    pub(crate) fn batches(&self) -> std::sync::MutexGuard<'_, Vec<Batch>> {
        self.kept.batches.lock().unwrap()
    }

    pub(crate) fn spans(&self) -> Vec<Observation> {
        self.batches().iter().flat_map(|batch| batch.spans.clone()).collect()
    }

    pub(crate) fn rejected(&self) -> Vec<(Reason, u64)> {
        let counts = self.intake.counts();
        let rejected = counts.into_iter().flat_map(|counts| counts.rejected);
        rejected.map(|rejected| (rejected.reason, rejected.count)).collect()
    }
}

pub(crate) struct Recorded {
    pub(crate) path: &'static str,
    pub(crate) form: &'static str,
    pub(crate) encoding: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/otlp")
}

/// The names of all recordings.
pub(crate) fn cases() -> Vec<String> {
    let all = fs::read_dir(folder()).unwrap();
    let mut names: Vec<_> =
        all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn requests(case: &str) -> Vec<Recorded> {
    let mut files: Vec<_> =
        fs::read_dir(folder().join(case)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let request = |file: PathBuf| {
        let body = fs::read(&file).unwrap();
        let name = file.to_string_lossy().into_owned();
        let paths = [("-traces", "/v1/traces"), ("-metrics", "/v1/metrics"), ("", "/v1/logs")];
        let path = paths.into_iter().find(|(part, _)| name.contains(part)).unwrap().1;
        let encoding = body.starts_with(&[0x1f, 0x8b]).then_some("gzip");
        Recorded {
            path,
            form: if body.starts_with(b"{") { JSON } else { PROTOBUF },
            encoding,
            body,
        }
    };
    files.into_iter().map(request).collect()
}

/// A field of protobuf: its tag, its length and its bytes.
pub(crate) fn length_delimited(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    let mut length = bytes.len();
    while length >= 0x80 {
        all.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    all.push(length as u8);
    all.extend_from_slice(bytes);
    all
}
