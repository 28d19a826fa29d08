//! Which field of which type is which column.

use std::sync::Arc;

use andon_model::{
    Content, DeviceSample, Evaluation, EvaluationSource, HostSample, MetricKind, MetricPoint,
    MetricType, ModelEvent, Part, Policy, ProcessSample, Span, SpanId, Status, Timings, TraceId,
};
use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    datatypes::{Field, FieldRef},
};

use super::{
    Table,
    attribute::Map,
    codec::{Codec, Flag, Float, Id, Kind, Number, Spread, Text, Word},
};
use crate::{TraceSummary, aggregate::Rollup};

/// A row of a table.
pub(crate) trait Row: Sized + Clone {
    const TABLE: Table;

    fn fields() -> Vec<FieldRef>;
    fn arrays(rows: &[Self]) -> Vec<ArrayRef>;
    /// The rows at these places of a batch.
    fn read(batch: &RecordBatch, places: &[usize]) -> Vec<Self>;
    /// Memory that a row takes, about.
    fn weight(&self) -> usize;

    fn batch(rows: &[Self]) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let schema = Self::TABLE.schema();
        RecordBatch::try_new_with_options(Arc::clone(&schema), Self::arrays(rows), &options)
            .unwrap_or_else(|error| {
                // Schema and arrays come from one list of columns.
                tracing::error!(%error, "rows do not fit their own table");
                RecordBatch::new_empty(schema)
            })
    }

    fn read_all(batch: &RecordBatch) -> Vec<Self> {
        Self::read(batch, &(0..batch.num_rows()).collect::<Vec<_>>())
    }
}

macro_rules! columns {
    (
        $row:ty, $table:expr, $blank:expr, |$weighed:ident| $weight:expr;
        $($($path:ident).+: $codec:ty,)+
    ) => {
        impl Row for $row {
            const TABLE: Table = $table;

            fn fields() -> Vec<FieldRef> {
                vec![$(Arc::new(Field::new(
                    last(stringify!($($path).+)), <$codec as Kind>::data_type(), true,
                )),)+]
            }

            fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
                vec![$({
                    let values = rows.iter().map(|row| &row.$($path).+);
                    let mut builder = <$codec as Codec<_>>::builder_for(values);
                    for row in rows {
                        <$codec as Codec<_>>::append(&mut builder, &row.$($path).+);
                    }
                    <$codec as Kind>::finish(builder)
                },)+]
            }

            fn read(batch: &RecordBatch, places: &[usize]) -> Vec<Self> {
                let mut rows = vec![$blank; places.len()];
                $(
                    let column = batch.column_by_name(last(stringify!($($path).+)));
                    if let Some(reader) = column.and_then(|column| <$codec as Kind>::reader(column))
                    {
                        for (row, place) in rows.iter_mut().zip(places) {
                            row.$($path).+ = <$codec as Codec<_>>::get(&reader, *place);
                        }
                    }
                )+
                rows
            }

            fn weight(&self) -> usize {
                let $weighed = self;
                $weight
            }
        }
    };
}

/// `timings.queue_ns` is the column `queue_ns`.
fn last(path: &'static str) -> &'static str {
    path.rsplit('.').next().unwrap_or(path).trim()
}

/// What a span takes in a column store without its texts, about.
const SPAN_BYTES: usize = 400;

columns! {
    Span, Table::Spans, Span::default(),
    |span| SPAN_BYTES
        + span.error_message.as_ref().map_or(0, String::len)
        + span.attributes.weight();
    trace_id: Id<16>,
    span_id: Id<8>,
    parent_id: Id<8>,
    start_ns: Number,
    duration_ns: Number,
    service: Word,
    env: Word,
    version: Word,
    host: Word,
    pid: Number,
    name: Word,
    resource: Word,
    kind: Word,
    llm_kind: Word,
    status: Word,
    error_type: Word,
    error_message: Text,
    http_method: Word,
    http_route: Word,
    http_status: Number,
    provider: Word,
    model: Word,
    model_requested: Word,
    endpoint: Word,
    stream: Flag,
    input_tokens: Number,
    output_tokens: Number,
    cached_tokens: Number,
    reasoning_tokens: Number,
    finish_reason: Word,
    timings.queue_ns: Number,
    timings.load_ns: Number,
    timings.prompt_eval_ns: Number,
    timings.ttft_ns: Number,
    timings.eval_ns: Number,
    timings.stall_ns: Number,
    context_length: Number,
    model_digest: Word,
    cost: Float,
    cost_currency: Word,
    cause: Word,
    ml_app: Word,
    session_id: Text,
    user_id: Text,
    request_id: Text,
    source: Word,
    attributes: Map,
    adjusted_count: Number,
}

columns! {
    Content, Table::Contents, blank_content(),
    |content| 128 + content.text.len();
    trace_id: Id<16>,
    span_id: Id<8>,
    time_ns: Number,
    part: Word,
    role: Word,
    idx: Number,
    text: Text,
    policy: Word,
    original_length: Number,
    kept_length: Number,
}

columns! {
    Evaluation, Table::Evaluations, blank_evaluation(),
    |evaluation| 128 + evaluation.reason.as_ref().map_or(0, String::len);
    trace_id: Id<16>,
    span_id: Id<8>,
    time_ns: Number,
    evaluator: Word,
    version: Word,
    metric_type: Word,
    score: Float,
    label: Word,
    reason: Text,
    source: Word,
    duration_ns: Number,
}

columns! {
    TraceSummary, Table::Traces, TraceSummary::blank(),
    |_trace| 300;
    trace_id: Id<16>,
    start_ns: Number,
    duration_ns: Number,
    service: Word,
    name: Word,
    resource: Word,
    model: Word,
    model_requested: Word,
    status: Word,
    http_status: Number,
    error_type: Word,
    cause: Word,
    cold_start: Flag,
    input_tokens: Number,
    output_tokens: Number,
    cached_tokens: Number,
    span_count: Number,
    session_id: Text,
    request_id: Text,
    stream: Flag,
    timings.queue_ns: Number,
    timings.load_ns: Number,
    timings.prompt_eval_ns: Number,
    timings.ttft_ns: Number,
    timings.eval_ns: Number,
    timings.stall_ns: Number,
    host: Word,
}

columns! {
    HostSample, Table::Hosts, HostSample::default(),
    |_host| 256;
    time_ns: Number,
    cpu_count: Number,
    cpu_busy_cores: Float,
    cpu_iowait_cores: Float,
    cpu_steal_cores: Float,
    memory_total_bytes: Number,
    memory_used_bytes: Number,
    swap_total_bytes: Number,
    swap_used_bytes: Number,
    disk_read_bytes_per_s: Float,
    disk_write_bytes_per_s: Float,
    network_receive_bytes_per_s: Float,
    network_send_bytes_per_s: Float,
    major_faults_per_s: Float,
    cpu_user_cores: Float,
    cpu_system_cores: Float,
    load_1m: Float,
    memory_cached_bytes: Number,
    swap_in_bytes_per_s: Float,
    swap_out_bytes_per_s: Float,
    cpu_pressure: Float,
    memory_pressure: Float,
    memory_stall: Float,
    io_pressure: Float,
    io_stall: Float,
    cpu_throttled: Float,
    oom_kills: Number,
    host: Word,
}

columns! {
    ProcessSample, Table::Processes, blank_process(),
    |_process| 128;
    time_ns: Number,
    pid: Number,
    started_ns: Number,
    name: Word,
    command: Word,
    role: Word,
    cpu_cores: Float,
    rss_bytes: Number,
    threads: Number,
    read_bytes_per_s: Float,
    write_bytes_per_s: Float,
    major_faults_per_s: Float,
    gpu_memory_bytes: Number,
    host: Word,
    cpu_throttled: Float,
}

columns! {
    DeviceSample, Table::Devices, DeviceSample::default(),
    |_device| 192;
    time_ns: Number,
    kind: Word,
    id: Word,
    name: Word,
    utilization: Float,
    memory_used_bytes: Number,
    memory_total_bytes: Number,
    frequency_hz: Float,
    temperature_c: Float,
    power_w: Float,
    power_limit_w: Float,
    memory_bandwidth_bytes_per_s: Float,
    throttled: Flag,
    host: Word,
}

columns! {
    ModelEvent, Table::ModelEvents, ModelEvent::default(),
    |_event| 128;
    time_ns: Number,
    after_ns: Number,
    runtime: Word,
    model: Word,
    kind: Word,
    reason: Word,
    other_model: Word,
    memory_bytes: Number,
    gpu_bytes: Number,
    context_length: Number,
    expires_ns: Number,
}

columns! {
    MetricPoint, Table::Metrics, MetricPoint::new("", MetricKind::Gauge, 0),
    |point| 200 + point.tags.weight() + point.buckets.as_ref().map_or(0, String::len);
    time_ns: Number,
    start_ns: Number,
    name: Word,
    kind: Word,
    temporality: Word,
    unit: Word,
    value: Float,
    count: Number,
    sum: Float,
    min: Float,
    max: Float,
    buckets: Text,
    service: Word,
    env: Word,
    host: Word,
    source: Word,
    tags: Map,
}

columns! {
    Rollup, Table::Rollups, Rollup::default(),
    |rollup| 200 + rollup.sums.weight();
    start_ns: Number,
    service: Word,
    name: Word,
    llm_kind: Word,
    model: Word,
    model_requested: Word,
    status: Word,
    cause: Word,
    cost_currency: Word,
    is_root: Flag,
    sums.count: Number,
    sums.errors: Number,
    sums.duration_ns: Number,
    sums.duration_max_ns: Number,
    sums.durations: Spread,
    sums.ttft_ns: Number,
    sums.ttft_max_ns: Number,
    sums.ttfts: Spread,
    sums.input_tokens: Number,
    sums.output_tokens: Number,
    sums.cached_tokens: Number,
    sums.reasoning_tokens: Number,
    sums.cost: Float,
    sums.queue_ns: Number,
    sums.load_ns: Number,
    sums.prompt_eval_ns: Number,
    sums.eval_ns: Number,
    sums.timed_tokens: Number,
    sums.timed_ns: Number,
}

fn blank_content() -> Content {
    Content {
        trace_id: TraceId::from_bytes([0; 16]),
        span_id: SpanId::from_bytes([0; 8]),
        time_ns: 0,
        part: Part::Input,
        role: None,
        idx: 0,
        text: String::new(),
        policy: Policy::None,
        original_length: 0,
        kept_length: 0,
    }
}

fn blank_evaluation() -> Evaluation {
    Evaluation {
        trace_id: TraceId::from_bytes([0; 16]),
        span_id: SpanId::from_bytes([0; 8]),
        time_ns: 0,
        evaluator: String::new(),
        version: None,
        metric_type: MetricType::Score,
        score: None,
        label: None,
        reason: None,
        source: EvaluationSource::Builtin,
        duration_ns: None,
    }
}

fn blank_process() -> ProcessSample {
    ProcessSample {
        time_ns: 0,
        pid: 0,
        started_ns: 0,
        name: String::new(),
        command: String::new(),
        role: None,
        cpu_cores: 0.0,
        rss_bytes: 0,
        threads: 0,
        read_bytes_per_s: None,
        write_bytes_per_s: None,
        major_faults_per_s: None,
        gpu_memory_bytes: None,
        cpu_throttled: None,
        host: None,
    }
}

impl TraceSummary {
    fn blank() -> Self {
        Self {
            trace_id: TraceId::from_bytes([0; 16]),
            start_ns: 0,
            duration_ns: 0,
            service: String::new(),
            name: String::new(),
            resource: None,
            model: None,
            model_requested: None,
            status: Status::Unset,
            http_status: None,
            error_type: None,
            cause: None,
            cold_start: false,
            input_tokens: None,
            output_tokens: None,
            cached_tokens: None,
            span_count: 0,
            session_id: None,
            request_id: None,
            stream: None,
            timings: Timings::default(),
            host: None,
        }
    }
}
