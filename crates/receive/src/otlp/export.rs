//! The three things that are exported, and what becomes of a request for one of them.

use std::time::Instant;

use super::{
    logs, metrics, traces,
    wire::{ExportResponse, LogsRequest, MetricsRequest, PartialSuccess, TracesRequest},
};
use crate::intake::{Batch, Intake, Protocol, Reason, Refused};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// A request, read.
pub(super) enum Export {
    Traces(TracesRequest),
    Metrics(MetricsRequest),
    Logs(LogsRequest),
}

/// Bytes of what a request says once for many spans or points, counted as often as it is copied to one.
const MAX_SHARED_BYTES: usize = 128 << 20;

/// What is left of them.
pub(super) struct Shared(usize);

impl Shared {
    pub(super) fn new() -> Self {
        Self(MAX_SHARED_BYTES)
    }

    /// Whether there may be so many copies of so many bytes.
    pub(super) fn take(&mut self, copies: usize, bytes: usize) -> bool {
        let left = self.0.checked_sub(copies.saturating_mul(bytes));
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// Parts of a request that could not be taken.
#[derive(Default)]
pub(super) struct Rejections {
    counts: Vec<(Reason, u64)>,
    silent: Vec<Reason>,
}

impl Rejections {
    pub(super) fn add(&mut self, reason: Reason) {
        self.add_several(reason, 1);
    }

    pub(super) fn add_several(&mut self, reason: Reason, more: u64) {
        match self.counts.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += more,
            None => self.counts.push((reason, more)),
        }
    }

    /// What the client need not hear of: it did nothing wrong.
    pub(super) fn count_silently(&mut self, reason: Reason) {
        self.silent.push(reason);
    }

    fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// In words for whoever sent them.
    fn message(&self) -> String {
        let words = |(reason, count): &(Reason, u64)| {
            let what = match reason {
                Reason::TraceId => "without a trace id of 16 bytes that are not all 0",
                Reason::SpanId => "without a span id of 8 bytes that are not all 0",
                Reason::TooLarge => "of a resource, scope or metric that says too much",
                _ => "not kept",
            };
            format!("{count} {what}")
        };
        self.counts.iter().map(words).collect::<Vec<_>>().join(", ")
    }
}

/// Normalises, hands on and waits until it is durable. What was rejected is in the answer.
pub(super) async fn keep(
    intake: &Intake,
    protocol: Protocol,
    export: Export,
) -> Result<ExportResponse, Refused> {
    let mut rejections = Rejections::default();
    let batch = match export {
        Export::Traces(request) => traces::observe(request, &mut rejections),
        Export::Logs(request) => logs::observe(request, &intake.places, &mut rejections),
        Export::Metrics(request) => {
            let hosts = intake.machines().take(&request, Instant::now());
            Batch { hosts, ..metrics::observe(request, &mut rejections) }
        }
    };
    intake.keep(protocol, batch).await?;
    for (reason, count) in &rejections.counts {
        intake.reject(protocol, *reason, *count);
    }
    for reason in &rejections.silent {
        intake.reject(protocol, *reason, 1);
    }
    let rejected = rejections.total();
    let partial_success = (rejected > 0).then(|| PartialSuccess {
        rejected: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: rejections.message(),
    });
    Ok(ExportResponse { partial_success })
}
