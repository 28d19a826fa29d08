//! What a request takes once it is read, looked at before it is: two bytes can stand for a span, which takes
//! three hundred, and a packed request of 64 KB for ten gigabytes of these.
//!
//! In protobuf it is one pass over the heads of all messages, which copies nothing and goes wherever
//! `prost` goes, into a message that runs beyond its end as well. What is broken is left for `prost` to say.

use std::mem::size_of;

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::{
    Event, Link, LogRecord, ResourceLogs, ResourceSpans, ScopeLogs, ScopeSpans, Span,
    metrics::{
        ExponentialPoint, HistogramPoint, Metric, NumberPoint, ResourceMetrics, ScopeMetrics,
        SummaryPoint,
    },
};
use crate::{
    otlp::export::Signal,
    value::{AnyValue, KeyValue},
};

/// Bytes of all messages of a request, read. Texts do not count: they are slices of the body. What clients
/// send takes about as much as its body, which may be 64 MiB.
const MAX_BYTES: usize = 256 << 20;
/// In JSON each of them is an object; a real one of 64 MiB has a million.
const MAX_OBJECTS: usize = 2 << 20;
/// As deep as `prost` goes.
const MAX_DEPTH: u32 = 100;

/// Why a request is not even read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request holds too many values; send it in several")]
pub(crate) struct TooMany;

/// Messages that hold others.
#[derive(Clone, Copy)]
enum Kind {
    Request(Signal),
    Resource(Signal),
    Scope(Signal),
    Span,
    Record,
    Metric,
    /// Points of a metric.
    Data(u32),
    Histogram,
    Exponential,
    Buckets,
    /// Attributes, as this field, and nothing else.
    Attributes(u32),
    Attribute,
    Any,
    Array,
    Map,
}

impl Kind {
    /// What a field of it holds, and bytes of that in memory; of what is a part of its owner, none.
    fn within(self, field: u32) -> Option<(Self, usize)> {
        let attribute = Some((Self::Attribute, size_of::<KeyValue>()));
        match (self, field) {
            (Self::Request(signal), 1) => {
                let sizes = [
                    size_of::<ResourceSpans>(),
                    size_of::<ResourceMetrics>(),
                    size_of::<ResourceLogs>(),
                ];
                Some((Self::Resource(signal), sizes[signal as usize]))
            }
            (Self::Resource(_), 1) => Some((Self::Attributes(1), 0)),
            (Self::Resource(signal), 2) => {
                let sizes =
                    [size_of::<ScopeSpans>(), size_of::<ScopeMetrics>(), size_of::<ScopeLogs>()];
                Some((Self::Scope(signal), sizes[signal as usize]))
            }
            (Self::Scope(Signal::Traces), 2) => Some((Self::Span, size_of::<Span>())),
            (Self::Scope(Signal::Logs), 2) => Some((Self::Record, size_of::<LogRecord>())),
            (Self::Scope(Signal::Metrics), 2) => Some((Self::Metric, size_of::<Metric>())),
            (Self::Span, 11) => Some((Self::Attributes(3), size_of::<Event>())),
            (Self::Span, 13) => Some((Self::Attributes(4), size_of::<Link>())),
            (Self::Record, 5) => Some((Self::Any, 0)),
            (Self::Metric, 5 | 7 | 9..=11) => Some((Self::Data(field), 0)),
            (Self::Data(5 | 7), 1) => Some((Self::Attributes(7), size_of::<NumberPoint>())),
            (Self::Data(9), 1) => Some((Self::Histogram, size_of::<HistogramPoint>())),
            (Self::Data(10), 1) => Some((Self::Exponential, size_of::<ExponentialPoint>())),
            (Self::Data(11), 1) => Some((Self::Attributes(7), size_of::<SummaryPoint>())),
            (Self::Exponential, 8 | 9) => Some((Self::Buckets, 0)),
            (Self::Attributes(of), _) if field == of => attribute,
            (Self::Span | Self::Histogram, 9) | (Self::Record, 6) | (Self::Exponential, 1) => {
                attribute
            }
            (Self::Attribute, 2) => Some((Self::Any, 0)),
            (Self::Any, 5) => Some((Self::Array, 0)),
            (Self::Any, 6) => Some((Self::Map, 0)),
            (Self::Array, 1) => Some((Self::Any, size_of::<AnyValue>())),
            (Self::Map, 1) => attribute,
            _ => None,
        }
    }
}

/// Whether a request in protobuf may be read.
pub(crate) fn weigh(signal: Signal, mut body: &[u8]) -> Result<(), TooMany> {
    let mut left = MAX_BYTES;
    match message(Kind::Request(signal), &mut body, 0, MAX_DEPTH, &mut left) {
        Err(Stop::TooMany) => Err(TooMany),
        Ok(()) | Err(Stop::Broken) => Ok(()),
    }
}

/// As [`weigh`], in JSON.
pub(crate) fn weigh_json(body: &[u8]) -> Result<(), TooMany> {
    let objects = body.iter().filter(|byte| **byte == b'{').count();
    if objects > MAX_OBJECTS { Err(TooMany) } else { Ok(()) }
}

enum Stop {
    TooMany,
    Broken,
}

impl From<prost::DecodeError> for Stop {
    fn from(_: prost::DecodeError) -> Self {
        Self::Broken
    }
}

fn take(left: &mut usize, bytes: usize) -> Result<(), Stop> {
    *left = left.checked_sub(bytes).ok_or(Stop::TooMany)?;
    Ok(())
}

/// Passes over a message that ends where `end` bytes are left.
fn message(
    kind: Kind,
    bytes: &mut &[u8],
    end: usize,
    depth: u32,
    left: &mut usize,
) -> Result<(), Stop> {
    let depth = depth.checked_sub(1).ok_or(Stop::Broken)?;
    while bytes.len() > end {
        let (field, wire) = decode_key(bytes)?;
        let Some((inner, size)) = kind.within(field) else {
            let before = bytes.len();
            skip_field(wire, field, bytes, DecodeContext::default())?;
            if matches!(kind, Kind::Buckets) {
                // A count takes eight bytes, and one on the wire.
                take(left, (before - bytes.len()).saturating_mul(8))?;
            }
            continue;
        };
        if wire != WireType::LengthDelimited {
            return Err(Stop::Broken);
        }
        take(left, size)?;
        let length = usize::try_from(decode_varint(bytes)?).map_err(|_| Stop::Broken)?;
        let end = bytes.len().checked_sub(length).ok_or(Stop::Broken)?;
        message(inner, bytes, end, depth, left)?;
    }
    if bytes.len() == end { Ok(()) } else { Err(Stop::Broken) }
}
