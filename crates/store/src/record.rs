//! What goes into the log, and how it looks there: MessagePack with field names, so that a later
//! version with more fields reads it and an earlier one finds the fields that it knows.

use andon_model::{Evaluation, HostSample, ProcessSample};
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
}

/// What a span usually takes, its field names included.
const SPAN_BYTES: usize = 1_536;

/// The kinds of frames. Numbers are on disk for good.
pub(crate) mod kind {
    pub(crate) const SPANS: u8 = 1;
    pub(crate) const EVALUATIONS: u8 = 2;
    pub(crate) const HOST: u8 = 3;
    pub(crate) const PROCESSES: u8 = 4;
}

/// A record read back.
#[derive(Debug)]
pub(crate) enum Stored {
    Spans(SpanBatch),
    Evaluations(Vec<Evaluation>),
    Host(Vec<HostSample>),
    Processes(Vec<ProcessSample>),
}

impl Record {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Spans(_) => kind::SPANS,
            Self::Evaluations(_) => kind::EVALUATIONS,
            Self::Host(_) => kind::HOST,
            Self::Processes(_) => kind::PROCESSES,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Spans(batch) => batch.get().spans.is_empty() && batch.get().contents.is_empty(),
            Self::Evaluations(evaluations) => evaluations.is_empty(),
            Self::Host(samples) => samples.is_empty(),
            Self::Processes(samples) => samples.is_empty(),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Spans(batch) => {
                let SpanBatch { spans, contents, .. } = batch.get();
                let texts: usize = contents.iter().map(|content| content.text.len()).sum();
                let most_names = (spans.len() + contents.len()) * SPAN_BYTES;
                named(batch.get(), most_names + texts)
            }
            Self::Evaluations(evaluations) => named(evaluations, 0),
            Self::Host(samples) => named(samples, 0),
            Self::Processes(samples) => named(samples, 0),
        }
    }
}

impl From<Record> for Stored {
    fn from(record: Record) -> Self {
        match record {
            Record::Spans(batch) => Self::Spans(batch.into_inner()),
            Record::Evaluations(evaluations) => Self::Evaluations(evaluations),
            Record::Host(samples) => Self::Host(samples),
            Record::Processes(samples) => Self::Processes(samples),
        }
    }
}

impl Stored {
    /// `None` for a kind or a payload that this version does not know.
    pub(crate) fn decode(kind: u8, payload: &[u8]) -> Option<Self> {
        match kind {
            kind::SPANS => parse(payload).map(Self::Spans),
            kind::EVALUATIONS => parse(payload).map(Self::Evaluations),
            kind::HOST => parse(payload).map(Self::Host),
            kind::PROCESSES => parse(payload).map(Self::Processes),
            _ => None,
        }
    }
}

/// `room`: bytes that it will likely take.
fn named<T: Serialize>(value: &T, room: usize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(room);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    value.serialize(&mut serializer).map_err(|error| StoreError::Encode(error.to_string()))?;
    Ok(bytes)
}

fn parse<T: for<'de> Deserialize<'de>>(payload: &[u8]) -> Option<T> {
    rmp_serde::from_slice(payload)
        .inspect_err(|error| tracing::warn!(%error, "a whole frame cannot be decoded"))
        .ok()
}

#[cfg(test)]
mod tests {
    use andon_model::{
        AttributeValue, Cause, LlmKind, Observation, Policy, RequestId, Span, SpanId, TraceId,
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
        span.timings.ttft_ns = Some(u64::MAX);
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
    fn a_kind_from_a_later_version_is_passed_over() {
        assert!(Stored::decode(9, &[0x90]).is_none());
        assert!(Stored::decode(kind::SPANS, b"\xc1").is_none());
    }
}
