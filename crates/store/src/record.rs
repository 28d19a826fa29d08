//! What goes into the log, and how it looks there: MessagePack. Spans and texts, which come by the
//! hundred thousand, are written as lists of their fields; a later version may add fields behind
//! those that there are. All else has field names.

use andon_model::{
    DeviceSample, Evaluation, HostSample, MetricPoint, ModelEvent, ProcessSample, Span, Timings,
};
use andon_privacy::{Protected, SpanBatch};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// One append. What it holds is durable as a whole or not at all.
#[derive(Debug, Clone)]
pub enum Record {
    Spans(Protected<SpanBatch>),
    Evaluations(Vec<Evaluation>),
    Host(Vec<HostSample>),
    Processes(Vec<ProcessSample>),
    Metrics(Vec<MetricPoint>),
    Devices(Vec<DeviceSample>),
    ModelEvents(Vec<ModelEvent>),
}

/// What a span usually takes.
const SPAN_BYTES: usize = 384;

/// The kinds of frames. Numbers are on disk for good.
pub(crate) mod kind {
    /// With field names, as versions before 0.2 wrote them.
    pub(crate) const NAMED_SPANS: u8 = 1;
    pub(crate) const EVALUATIONS: u8 = 2;
    pub(crate) const HOST: u8 = 3;
    pub(crate) const PROCESSES: u8 = 4;
    pub(crate) const SPANS: u8 = 5;
    pub(crate) const METRICS: u8 = 6;
    pub(crate) const DEVICES: u8 = 7;
    pub(crate) const MODEL_EVENTS: u8 = 8;
    /// Spans and texts that an earlier frame holds already, of which more is to come.
    pub(crate) const CARRIED: u8 = 9;
}

/// A record read back.
#[derive(Debug)]
pub(crate) enum Stored {
    Spans(SpanBatch),
    /// What one generation left to the next.
    Carried(SpanBatch),
    Evaluations(Vec<Evaluation>),
    Host(Vec<HostSample>),
    Processes(Vec<ProcessSample>),
    Metrics(Vec<MetricPoint>),
    Devices(Vec<DeviceSample>),
    ModelEvents(Vec<ModelEvent>),
}

impl Record {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Spans(_) => kind::SPANS,
            Self::Evaluations(_) => kind::EVALUATIONS,
            Self::Host(_) => kind::HOST,
            Self::Processes(_) => kind::PROCESSES,
            Self::Metrics(_) => kind::METRICS,
            Self::Devices(_) => kind::DEVICES,
            Self::ModelEvents(_) => kind::MODEL_EVENTS,
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::Spans(batch) => batch.get().spans.is_empty() && batch.get().contents.is_empty(),
            Self::Evaluations(evaluations) => evaluations.is_empty(),
            Self::Host(samples) => samples.is_empty(),
            Self::Processes(samples) => samples.is_empty(),
            Self::Metrics(points) => points.is_empty(),
            Self::Devices(samples) => samples.is_empty(),
            Self::ModelEvents(events) => events.is_empty(),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Spans(batch) => encode_spans(batch.get()),
            Self::Evaluations(evaluations) => named(evaluations),
            Self::Host(samples) => named(samples),
            Self::Processes(samples) => named(samples),
            Self::Metrics(points) => named(points),
            Self::Devices(samples) => named(samples),
            Self::ModelEvents(events) => named(events),
        }
    }
}

/// As frames of the kinds [`kind::SPANS`] and [`kind::CARRIED`] hold them.
pub(crate) fn encode_spans(batch: &SpanBatch) -> Result<Vec<u8>, StoreError> {
    let SpanBatch { spans, contents } = batch;
    let texts: usize = contents.iter().map(|content| content.text.len()).sum();
    let mut bytes = Vec::with_capacity((spans.len() + contents.len()) * SPAN_BYTES + texts);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes);
    written(batch.serialize(&mut serializer))?;
    Ok(bytes)
}

impl From<Record> for Stored {
    fn from(record: Record) -> Self {
        let stored = match record {
            Record::Spans(batch) => Self::Spans(batch.into_inner()),
            Record::Evaluations(evaluations) => Self::Evaluations(evaluations),
            Record::Host(samples) => Self::Host(samples),
            Record::Processes(samples) => Self::Processes(samples),
            Record::Metrics(points) => Self::Metrics(points),
            Record::Devices(samples) => Self::Devices(samples),
            Record::ModelEvents(events) => Self::ModelEvents(events),
        };
        stored.cut_to_columns()
    }
}

/// The largest number that a column holds; as a time it is in the year 2262.
const MOST: u64 = i64::MAX as u64;

impl Stored {
    /// `None` for a kind or a payload that this version does not know.
    pub(crate) fn decode(kind: u8, payload: &[u8]) -> Option<Self> {
        let stored = match kind {
            kind::SPANS | kind::NAMED_SPANS => parse(payload).map(Self::Spans),
            kind::CARRIED => parse(payload).map(Self::Carried),
            kind::EVALUATIONS => parse(payload).map(Self::Evaluations),
            kind::HOST => parse(payload).map(Self::Host),
            kind::PROCESSES => parse(payload).map(Self::Processes),
            kind::METRICS => parse(payload).map(Self::Metrics),
            kind::DEVICES => parse(payload).map(Self::Devices),
            kind::MODEL_EVENTS => parse(payload).map(Self::ModelEvents),
            _ => None,
        };
        stored.map(Self::cut_to_columns)
    }

    /// Numbers that no column holds, cut: a row is to be in memory what it will be in a segment, or a
    /// trace of the year 2500 would be two.
    fn cut_to_columns(mut self) -> Self {
        let cut = |number: &mut u64| *number = MOST.min(*number);
        match &mut self {
            Self::Spans(SpanBatch { spans, contents })
            | Self::Carried(SpanBatch { spans, contents }) => {
                spans.iter_mut().flat_map(numbers_of).for_each(cut);
                contents.iter_mut().map(|content| &mut content.time_ns).for_each(cut);
            }
            Self::Evaluations(rows) => {
                let durations = |row: &mut Evaluation| row.duration_ns.iter_mut().for_each(cut);
                rows.iter_mut().for_each(durations);
                rows.iter_mut().map(|row| &mut row.time_ns).for_each(cut);
            }
            Self::Host(rows) => rows.iter_mut().map(|row| &mut row.time_ns).for_each(cut),
            Self::Processes(rows) => rows.iter_mut().map(|row| &mut row.time_ns).for_each(cut),
            Self::Devices(rows) => rows.iter_mut().map(|row| &mut row.time_ns).for_each(cut),
            Self::ModelEvents(rows) => {
                // For ever is three centuries to Ollama, which no column holds.
                rows.iter_mut().flat_map(|row| &mut row.expires_ns).for_each(cut);
                rows.iter_mut().map(|row| &mut row.time_ns).for_each(cut);
            }
            Self::Metrics(rows) => rows.iter_mut().for_each(|row| {
                let MetricPoint { time_ns, start_ns, count, .. } = row;
                [time_ns].into_iter().chain(start_ns).chain(count).for_each(cut);
            }),
        }
        self
    }
}

fn numbers_of(span: &mut Span) -> impl Iterator<Item = &mut u64> {
    let Timings { queue_ns, load_ns, prompt_eval_ns, ttft_ns, eval_ns, stall_ns } =
        &mut span.timings;
    let known = [
        queue_ns,
        load_ns,
        prompt_eval_ns,
        ttft_ns,
        eval_ns,
        stall_ns,
        &mut span.input_tokens,
        &mut span.output_tokens,
        &mut span.cached_tokens,
        &mut span.reasoning_tokens,
        &mut span.context_length,
        &mut span.adjusted_count,
    ];
    [&mut span.start_ns, &mut span.duration_ns].into_iter().chain(known.into_iter().flatten())
}

fn named<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    written(value.serialize(&mut serializer))?;
    Ok(bytes)
}

fn written(written: Result<(), rmp_serde::encode::Error>) -> Result<(), StoreError> {
    written.map_err(|error| StoreError::Encode(error.to_string()))
}

fn parse<T: for<'de> Deserialize<'de>>(payload: &[u8]) -> Option<T> {
    rmp_serde::from_slice(payload)
        .inspect_err(|error| tracing::warn!(%error, "a whole frame cannot be decoded"))
        .ok()
}

#[cfg(test)]
mod tests {
    use andon_model::{
        AttributeValue, Cause, LlmKind, Observation, Policy, RequestId, SpanId, TraceId,
    };
    use andon_privacy::{NoticeLanguage, Protector};

    use super::*;

    #[test]
    fn a_span_with_everything_in_it_reads_back_the_same() {
        let mut span = Span::new(TraceId::random(), "gateway", "POST /chat");
        span.parent_id = Some(SpanId::random());
        span.llm_kind = Some(LlmKind::Llm);
        span.cause = Some(Cause::ColdStart);
        span.request_id = Some(RequestId::from_caller(None));
        span.timings.ttft_ns = Some(MOST);
        for (name, value) in [
            ("whole", AttributeValue::Float(1.0)),
            ("negative", AttributeValue::Int(-1)),
            ("yes", AttributeValue::Bool(true)),
            ("text", AttributeValue::Text("東京🗼".to_owned())),
        ] {
            span.attributes.set(name, value);
        }
        let protector = Protector::new(Policy::Full, NoticeLanguage::English);
        let record = Record::Spans(protector.protect(vec![Observation::from(span.clone())]));
        let encoded = record.encode().unwrap();
        match Stored::decode(record.kind(), &encoded) {
            Some(Stored::Spans(batch)) => assert_eq!(batch.spans, [span]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn spans_of_earlier_versions_are_read() {
        let span = Span::new(TraceId::random(), "gateway", "POST /chat");
        let batch = SpanBatch { spans: vec![span], contents: Vec::new() };
        match Stored::decode(kind::NAMED_SPANS, &named(&batch).unwrap()) {
            Some(Stored::Spans(read)) => assert_eq!(read, batch),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_span_with_fewer_fields_than_today_is_read() {
        // An array of the first four fields: what a version that knew no more would have written.
        let span = Span::new(TraceId::random(), "", "");
        let short = rmp_serde::to_vec(&(
            vec![(span.trace_id, span.span_id, span.parent_id, 7_u64)],
            Vec::<()>::new(),
        ));
        match Stored::decode(kind::SPANS, &short.unwrap()) {
            Some(Stored::Spans(read)) => {
                assert_eq!((read.spans[0].span_id, read.spans[0].start_ns), (span.span_id, 7));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_kind_from_a_later_version_is_passed_over() {
        assert!(Stored::decode(10, &[0x90]).is_none());
        assert!(Stored::decode(kind::SPANS, b"\xc1").is_none());
    }
}
