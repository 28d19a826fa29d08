//! The one way in: what a request held goes to whoever keeps it, and is counted.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use andon_model::{HostSample, Judgement, LooseTexts, Observation, RawMetric, Span, TraceId};
use serde::Serialize;

use crate::{
    body::{BodyLimits, Room},
    counted::{CountedCalls, is_call},
    langfuse,
    otlp::{Machines, Places},
    sampling::{Sampling, SamplingRules},
};

/// What one request held.
#[derive(Default)]
pub struct Batch {
    pub spans: Vec<Observation>,
    /// Of spans that come in another request.
    pub texts: Vec<LooseTexts>,
    pub evaluations: Vec<Judgement>,
    pub metrics: Vec<RawMetric>,
    /// Of other machines, made of their metrics, which are there too. They come once: a request that is
    /// sent again, because it could not be kept, brings none.
    pub hosts: Vec<HostSample>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
            && self.texts.is_empty()
            && self.evaluations.is_empty()
            && self.metrics.is_empty()
            && self.hosts.is_empty()
    }

    pub(crate) fn spans_and_texts(&self) -> u64 {
        let texts: usize = self.texts.iter().map(|texts| texts.contents.len()).sum();
        (self.spans.len() + texts) as u64
    }
}

/// Why a batch was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too much waits already; soon there is room again.
    #[error("too much waits to be written; try again in a moment")]
    Busy,
    /// The disk is full, for one.
    #[error("nothing can be written at present: {0}")]
    Unavailable(String),
}

/// Protects and stores what was received.
pub trait Keep: Send + Sync + 'static {
    /// Resolves when all of it is durable. After an error some of it may be; the same ids sent again
    /// make no duplicates.
    fn keep(&self, batch: Batch) -> Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

    /// Resolves when the calls that Andon saw itself before now are known to be counted, or are not to be
    /// waited for.
    fn counted(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }

    /// The spans that are kept of some traces already, for clients that say a span piece by piece.
    fn known(&self, traces: Vec<TraceId>) -> Pin<Box<dyn Future<Output = Vec<Span>> + Send>> {
        let _ = traces;
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Told of what is not to be kept: errors of spans that are may quote its texts.
    fn leave_out(&self, _batch: &Batch) {}
}

/// By which door something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    OtlpGrpc,
    OtlpHttp,
    Datadog,
    Dogstatsd,
}

impl Protocol {
    pub const ALL: [Self; 4] = [Self::OtlpGrpc, Self::OtlpHttp, Self::Datadog, Self::Dogstatsd];
}

/// Why something, or a part of it, was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not what its type says.
    Unreadable,
    TooLarge,
    ContentType,
    ContentEncoding,
    /// Of a wrong length, or zeros only.
    TraceId,
    SpanId,
    /// Too much at once.
    Busy,
    /// The store could not write.
    Unavailable,
    /// The client went away, or was too slow.
    Unfinished,
    /// Understood, and nothing that is kept.
    NotKept,
    /// Left out by the rules of sampling.
    Sampled,
}

impl Reason {
    pub const ALL: [Self; 11] = [
        Self::Unreadable,
        Self::TooLarge,
        Self::ContentType,
        Self::ContentEncoding,
        Self::TraceId,
        Self::SpanId,
        Self::Busy,
        Self::Unavailable,
        Self::Unfinished,
        Self::NotKept,
        Self::Sampled,
    ];
}

/// What came by one door since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct IntakeCounts {
    pub protocol: Protocol,
    pub requests: u64,
    /// Of bodies, unpacked.
    pub bytes: u64,
    /// Kept, durably.
    pub spans: u64,
    /// Messages and log records that came by themselves.
    pub texts: u64,
    pub evaluations: u64,
    /// Points of metrics.
    pub metrics: u64,
    /// When the last span was kept; UTC nanoseconds.
    pub last_span_ns: Option<u64>,
    /// Only what there was.
    pub rejected: Vec<Rejected>,
}

/// How many spans, records or whole requests were not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Rejected {
    pub reason: Reason,
    pub count: u64,
}

#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    bytes: AtomicU64,
    spans: AtomicU64,
    texts: AtomicU64,
    evaluations: AtomicU64,
    metrics: AtomicU64,
    last_span_ns: AtomicU64,
    rejected: [AtomicU64; Reason::ALL.len()],
}

/// Where all receivers hand on what they have read. Clones are of the same.
#[derive(Clone)]
pub struct Intake {
    keep: Arc<dyn Keep>,
    counters: Arc<[Counters; Protocol::ALL.len()]>,
    counted: Arc<CountedCalls>,
    sampling: Arc<Sampling>,
    pub(crate) places: Arc<Mutex<Places>>,
    machines: Arc<Mutex<Machines>>,
    pub(crate) langfuse: langfuse::Memory,
    pub(crate) room: Room,
}

impl Intake {
    /// `counted`: what is counted already, Andon's own calls among it.
    pub fn new(keep: Arc<dyn Keep>, counted: Arc<CountedCalls>, limits: BodyLimits) -> Self {
        Self {
            keep,
            counters: Arc::default(),
            counted,
            sampling: Arc::default(),
            places: Arc::default(),
            machines: Arc::default(),
            langfuse: langfuse::Memory::default(),
            room: Room::new(limits),
        }
    }

    /// With rules by which not all traces are kept.
    pub fn with_sampling(self, rules: SamplingRules) -> Self {
        Self { sampling: Arc::new(Sampling::new(rules)), ..self }
    }

    /// With the names of the machine that is sampled already: no samples are made of its metrics.
    pub fn with_own_machine(self, names: Vec<String>) -> Self {
        self.machines().leave_out(names);
        self
    }

    pub(crate) fn machines(&self) -> MutexGuard<'_, Machines> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn counts(&self) -> Vec<IntakeCounts> {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let of = |protocol: Protocol| {
            let counters = &self.counters[protocol as usize];
            let rejected = Reason::ALL
                .into_iter()
                .map(|reason| Rejected { reason, count: get(&counters.rejected[reason as usize]) });
            IntakeCounts {
                protocol,
                requests: get(&counters.requests),
                bytes: get(&counters.bytes),
                spans: get(&counters.spans),
                texts: get(&counters.texts),
                evaluations: get(&counters.evaluations),
                metrics: get(&counters.metrics),
                last_span_ns: Some(get(&counters.last_span_ns)).filter(|time| *time > 0),
                rejected: rejected.filter(|rejected| rejected.count > 0).collect(),
            }
        };
        Protocol::ALL.into_iter().map(of).collect()
    }

    pub(crate) fn count_request(&self, protocol: Protocol, bytes: usize) {
        let counters = &self.counters[protocol as usize];
        counters.requests.fetch_add(1, Ordering::Relaxed);
        counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn reject(&self, protocol: Protocol, reason: Reason, count: u64) {
        self.counters[protocol as usize].rejected[reason as usize]
            .fetch_add(count, Ordering::Relaxed);
    }

    /// The spans that are kept of these traces.
    pub(crate) async fn known(&self, traces: Vec<TraceId>) -> Vec<Span> {
        if traces.is_empty() { Vec::new() } else { self.keep.known(traces).await }
    }

    /// Hands on, and waits until it is durable.
    pub(crate) async fn keep(&self, protocol: Protocol, mut batch: Batch) -> Result<(), Refused> {
        if batch.is_empty() {
            return Ok(());
        }
        let left_out = self.sampling.apply(&mut batch);
        if !left_out.is_empty() {
            self.keep.leave_out(&left_out);
            self.reject(protocol, Reason::Sampled, left_out.spans_and_texts());
            if batch.is_empty() {
                return Ok(());
            }
        }
        if batch.spans.iter().any(|seen| is_call(&seen.span)) {
            self.keep.counted().await;
        }
        self.counted.settle(&mut batch.spans);
        let spans = batch.spans.len() as u64;
        let texts = batch.texts.iter().map(|texts| texts.contents.len() as u64).sum::<u64>();
        let evaluations = batch.evaluations.len() as u64;
        let metrics = batch.metrics.len() as u64;
        if let Err(refused) = self.keep.keep(batch).await {
            let reason = match refused {
                Refused::Busy => Reason::Busy,
                Refused::Unavailable(_) => Reason::Unavailable,
            };
            self.reject(protocol, reason, spans + texts + evaluations + metrics);
            return Err(refused);
        }
        let counters = &self.counters[protocol as usize];
        counters.spans.fetch_add(spans, Ordering::Relaxed);
        counters.texts.fetch_add(texts, Ordering::Relaxed);
        counters.evaluations.fetch_add(evaluations, Ordering::Relaxed);
        counters.metrics.fetch_add(metrics, Ordering::Relaxed);
        if spans > 0 {
            counters.last_span_ns.store(andon_model::Span::now_ns(), Ordering::Relaxed);
        }
        Ok(())
    }
}
