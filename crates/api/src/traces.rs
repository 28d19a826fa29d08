//! The list of traces, one trace, and the machine during it.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use andon_diagnose::{ClockShift, RunsOn, clock_shifts};
use andon_model::{DeviceSample, HostSample, ProcessSample, SpanId, TraceId, UnixNanos};
use andon_store::{Filter, Interrupt, Trace, TracePage, TraceQuery};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask, ask_while_wanted},
};

/// Time shown before and after a trace.
const MARGIN_NS: u64 = 10_000_000_000;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Traces that began at or after this: UTC nanoseconds or RFC 3339.
    from: Option<String>,
    /// Traces that began before this.
    to: Option<String>,
    /// A filter: `service:gateway status:error duration:>5s words`.
    q: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Traces, newest first.
#[utoipa::path(get, path = "/api/v1/traces", params(ListParams), tag = "traces", responses(
    (status = 200, body = TracePage), (status = 400, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    params: Result<Query<ListParams>, QueryRejection>,
) -> Result<Json<TracePage>, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let bad = |name: &str, error: &dyn std::fmt::Display| {
        ApiError::BadRequest(format!("{name}: {error}"))
    };
    let query = TraceQuery {
        from_ns: time_param("from", params.from.as_deref())?,
        to_ns: time_param("to", params.to.as_deref())?,
        filter: Filter::parse(params.q.as_deref().unwrap_or_default())
            .map_err(|error| bad("q", &error))?,
        limit: params.limit.unwrap_or(100),
        cursor: params
            .cursor
            .filter(|cursor| !cursor.is_empty())
            .map(|cursor| cursor.parse().map_err(|error| bad("cursor", &error)))
            .transpose()?,
        interrupt: Interrupt::default(),
    };
    ask_while_wanted(move |interrupt| {
        Ok(state.0.store.traces(&TraceQuery { interrupt, ..query })?)
    })
    .await
    .map(Json)
}

pub(crate) fn time_param(name: &str, text: Option<&str>) -> Result<Option<UnixNanos>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let time =
        parse_time(text).map_err(|error| ApiError::BadRequest(format!("{name}: {error}")))?;
    Ok(Some(time))
}

/// A point in time as people and programs write it: UTC nanoseconds or RFC 3339.
pub fn parse_time(text: &str) -> Result<UnixNanos, TimeError> {
    if let Ok(ns) = text.parse() {
        return Ok(ns);
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| TimeError)?;
    // There is nothing from before 1970.
    Ok(u64::try_from(time.as_nanosecond()).unwrap_or(0))
}

/// Why a text is not a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither nanoseconds nor RFC 3339, such as 2026-01-31T12:00:00Z")]
pub struct TimeError;

/// An event of the stream; without ids when there were too many to name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct StoredTraces {
    trace_ids: Vec<TraceId>,
}

/// Says which traces were added or changed, as server-sent events `stored`.
#[utoipa::path(get, path = "/api/v1/traces/stream", tag = "traces", responses(
    (status = 200, description = "events `stored`", content_type = "text/event-stream",
        body = StoredTraces)))]
pub(crate) async fn stored(State(state): State<ApiState>) -> Response {
    let changes = state.0.store.subscribe();
    let stop = state.0.stop.clone();
    let events = stream::unfold(changes, |mut changes| async move {
        let ids = match changes.recv().await {
            Ok(ids) => ids.to_vec(),
            // The list asks anew whichever ids it is told.
            Err(RecvError::Lagged(_)) => Vec::new(),
            Err(RecvError::Closed) => return None,
        };
        let data = serde_json::to_string(&StoredTraces { trace_ids: ids }).unwrap_or_default();
        Some((Ok::<_, Infallible>(Event::default().event("stored").data(data)), changes))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Sse::new(events.take_until(stop.cancelled_owned())).keep_alive(keep_alive).into_response()
}

/// Everything about one trace, which of its clocks are off, and where its models ran.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct WholeTrace {
    #[serde(flatten)]
    trace: Trace,
    /// Spans that began at another time than they say, by the clock of the first one's machine.
    clock_shifts: Vec<ClockShift>,
    /// Of calls whose runtime is on another machine than Andon.
    runs_on: Vec<SpanRunsOn>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SpanRunsOn {
    span_id: SpanId,
    #[serde(flatten)]
    machine: RunsOn,
}

/// Everything about one trace.
#[utoipa::path(get, path = "/api/v1/traces/{trace_id}", tag = "traces",
    params(("trace_id" = String, Path)), responses(
    (status = 200, body = WholeTrace), (status = 400, body = ErrorBody),
    (status = 404, body = ErrorBody)))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<WholeTrace>, ApiError> {
    let trace = find(&state, &id).await?;
    let runs_on = |span| {
        let machine = state.0.diagnoser.runs_on(span)?;
        Some(SpanRunsOn { span_id: span.span_id, machine })
    };
    let runs_on = trace.spans.iter().filter_map(runs_on).collect();
    Ok(Json(WholeTrace { clock_shifts: clock_shifts(&trace.spans), runs_on, trace }))
}

pub(crate) async fn find(state: &ApiState, id: &str) -> Result<Trace, ApiError> {
    let trace_id: TraceId =
        id.parse().map_err(|error| ApiError::BadRequest(format!("trace_id: {error}")))?;
    let store = std::sync::Arc::clone(&state.0.store);
    let trace = ask(move || Ok(store.trace(trace_id)?)).await?;
    trace.ok_or_else(|| ApiError::NotFound(format!("trace {trace_id}")))
}

/// The machine during a trace, and some seconds before and after.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct TraceHost {
    /// `None` for the one that Andon runs on.
    host: Option<String>,
    #[schema(value_type = u64)]
    from_ns: UnixNanos,
    #[schema(value_type = u64)]
    to_ns: UnixNanos,
    samples: Vec<HostSample>,
    processes: Vec<ProcessCurve>,
    /// Parts of the machine, each at the times when it was looked at.
    devices: Vec<DeviceSample>,
}

/// One process over time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ProcessCurve {
    pid: u32,
    #[schema(value_type = u64)]
    started_ns: UnixNanos,
    name: String,
    command: String,
    role: Option<String>,
    points: Vec<ProcessPoint>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ProcessPoint {
    #[schema(value_type = u64)]
    time_ns: UnixNanos,
    cpu_cores: f64,
    rss_bytes: u64,
    major_faults_per_s: Option<f64>,
    gpu_memory_bytes: Option<u64>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TraceHostParams {
    /// The machine, by its name; the one that Andon runs on. A name that sends no samples is that one
    /// too: spans name it as well.
    host: Option<String>,
}

/// CPU, memory, processes and parts of a machine over a trace's time.
#[utoipa::path(get, path = "/api/v1/traces/{trace_id}/host", tag = "traces",
    params(("trace_id" = String, Path), TraceHostParams), responses(
    (status = 200, body = TraceHost), (status = 400, body = ErrorBody),
    (status = 404, body = ErrorBody)))]
pub(crate) async fn host(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Result<Query<TraceHostParams>, QueryRejection>,
) -> Result<Json<TraceHost>, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let trace = find(&state, &id).await?;
    let start = trace.spans.iter().map(|span| span.start_ns).min().unwrap_or(0);
    let end = trace.spans.iter().map(|span| span.end_ns()).max().unwrap_or(start);
    let (from_ns, to_ns) = (start.saturating_sub(MARGIN_NS), end.saturating_add(MARGIN_NS));
    ask(move || {
        let host = params.host.filter(|name| state.0.hosts.knows(name));
        let (store, of) = (&state.0.store, host.as_deref());
        let samples = store.host_samples(of, from_ns, to_ns)?;
        let processes = curves(store.process_samples(of, from_ns, to_ns)?);
        let devices = store.device_samples(of, from_ns, to_ns)?;
        Ok(Json(TraceHost { host, from_ns, to_ns, samples, processes, devices }))
    })
    .await
}

fn curves(samples: Vec<ProcessSample>) -> Vec<ProcessCurve> {
    let mut curves: BTreeMap<(u32, UnixNanos), ProcessCurve> = BTreeMap::new();
    for sample in samples {
        let curve = curves.entry((sample.pid, sample.started_ns)).or_insert_with(|| ProcessCurve {
            pid: sample.pid,
            started_ns: sample.started_ns,
            name: sample.name,
            command: sample.command,
            role: sample.role,
            points: Vec::new(),
        });
        curve.points.push(ProcessPoint {
            time_ns: sample.time_ns,
            cpu_cores: sample.cpu_cores,
            rss_bytes: sample.rss_bytes,
            major_faults_per_s: sample.major_faults_per_s,
            gpu_memory_bytes: sample.gpu_memory_bytes,
        });
    }
    curves.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nanoseconds_or_rfc_3339() {
        assert_eq!(time_param("from", Some("1000")).unwrap(), Some(1_000));
        assert_eq!(
            time_param("from", Some("1970-01-01T09:00:01+09:00")).unwrap(),
            Some(1_000_000_000)
        );
        assert!(time_param("from", Some("yesterday")).is_err());
    }
}
