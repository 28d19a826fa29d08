//! Numbers that other programs measure over time.

use serde::{Deserialize, Serialize};

use crate::{Attributes, Source, UnixNanos, named::named};

named! {
    /// What a point says.
    pub enum MetricKind {
        /// How much there was at a moment.
        Gauge = "gauge",
        /// How much was added.
        Sum = "sum",
        Histogram = "histogram",
        /// How many different values there were.
        Set = "set",
        /// Something that happened; `value` is empty.
        Event = "event",
        /// 0 is well, 1 a warning, 2 critical, 3 unknown.
        ServiceCheck = "service_check",
    }
}

named! {
    /// Since when a sum or a histogram adds up (OpenTelemetry's aggregation temporality).
    pub enum Temporality {
        /// Since the point before.
        Delta = "delta",
        /// Since the program began.
        Cumulative = "cumulative",
    }
}

/// One point of a metric. Field names are the columns of the table `metrics`; unknown is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MetricPoint {
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    /// When what it adds up began.
    #[schema(value_type = Option<u64>)]
    pub start_ns: Option<UnixNanos>,
    pub name: String,
    pub kind: MetricKind,
    pub temporality: Option<Temporality>,
    pub unit: Option<String>,
    /// Of a gauge, a sum, a set or a service check.
    pub value: Option<f64>,
    /// Of a histogram, as the next four.
    pub count: Option<u64>,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// JSON: `[[upper bound or null, count], …]`, of the bounds that hold something.
    pub buckets: Option<String>,
    pub service: Option<String>,
    pub env: Option<String>,
    pub host: Option<String>,
    pub source: Source,
    #[schema(value_type = std::collections::BTreeMap<String, crate::AttributeValue>)]
    pub tags: Attributes,
}

impl MetricPoint {
    /// A point of which nothing is known but this.
    pub fn new(name: impl Into<String>, kind: MetricKind, time_ns: UnixNanos) -> Self {
        Self {
            time_ns,
            start_ns: None,
            name: name.into(),
            kind,
            temporality: None,
            unit: None,
            value: None,
            count: None,
            sum: None,
            min: None,
            max: None,
            buckets: None,
            service: None,
            env: None,
            host: None,
            source: Source::Otlp,
            tags: Attributes::new(),
        }
    }
}
