//! Metrics of OTLP. Points are kept as they were sent: what adds up since the program began stays so, and
//! says it.

use andon_model::{MetricKind, MetricPoint, RawMetric, Temporality};
use serde_json::{Value as Json, json};

use super::{
    export::{Rejections, Shared},
    wire::{
        Buckets, ExponentialPoint, HistogramPoint, Metric, MetricsRequest, NumberPoint,
        SummaryPoint,
    },
};
use crate::{
    intake::{Batch, Reason},
    normalise::{Field, RawAttributes, field_of},
    value::{KeyValue, some_text, utf8},
};

/// Buckets that are kept of one point; with more of them than this it keeps its sums alone.
const MAX_BUCKETS: usize = 512;

pub(super) fn observe(request: MetricsRequest, rejections: &mut Rejections) -> Batch {
    let mut batch = Batch::default();
    let mut shared = Shared::new();
    for resource in request.resource_metrics {
        let origin = Origin::of(&resource.resource.unwrap_or_default().attributes);
        for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            let count = count(&metric);
            let bytes = origin.bytes() + metric.name.len() + metric.unit.len();
            if shared.take(count, bytes) {
                batch.metrics.extend(points(&origin, &metric));
            } else {
                rejections.add_several(Reason::TooLarge, count as u64);
            }
        }
    }
    batch
}

/// Who measured.
#[derive(Default)]
struct Origin {
    service: Option<String>,
    env: Option<String>,
    host: Option<String>,
}

impl Origin {
    fn of(attributes: &[KeyValue]) -> Self {
        let mut origin = Self::default();
        for attribute in attributes {
            let (Some(value), Ok(name)) = (attribute.value(), std::str::from_utf8(&attribute.key))
            else {
                continue;
            };
            let place = match field_of(name).map(|(field, _)| field) {
                Some(Field::Service) => &mut origin.service,
                Some(Field::Env) => &mut origin.env,
                Some(Field::Host) => &mut origin.host,
                _ => continue,
            };
            *place = Some(value.to_words());
        }
        origin
    }

    fn bytes(&self) -> usize {
        [&self.service, &self.env, &self.host].into_iter().flatten().map(String::len).sum()
    }
}

fn count(of: &Metric) -> usize {
    let numbers = [
        of.gauge.as_ref().map(|it| it.data_points.len()),
        of.sum.as_ref().map(|it| it.data_points.len()),
    ];
    let spreads = [
        of.histogram.as_ref().map(|it| it.data_points.len()),
        of.exponential_histogram.as_ref().map(|it| it.data_points.len()),
        of.summary.as_ref().map(|it| it.data_points.len()),
    ];
    numbers.into_iter().chain(spreads).flatten().sum()
}

fn points(origin: &Origin, metric: &Metric) -> Vec<RawMetric> {
    let name = utf8(&metric.name).into_owned();
    let point = |kind, temporality, time: (u64, u64), attributes: &[KeyValue]| {
        let (start_ns, time_ns) = time;
        let time_ns = if time_ns == 0 { andon_model::Span::now_ns() } else { time_ns };
        let mut point = MetricPoint::new(name.clone(), kind, time_ns);
        point.start_ns = Some(start_ns).filter(|time| *time > 0);
        point.temporality = temporality;
        point.unit = some_text(&metric.unit);
        point.service.clone_from(&origin.service);
        point.env.clone_from(&origin.env);
        point.host.clone_from(&origin.host);
        let mut raw = RawAttributes::default();
        for attribute in attributes {
            if let Some(value) = attribute.value() {
                let name = utf8(&attribute.key).into_owned();
                raw.add(name, value);
            }
        }
        let tags = raw.finish(&mut point.tags);
        RawMetric { point, tags }
    };
    let number = |kind, temporality, of: &NumberPoint| {
        let time = (of.start_time_unix_nano, of.time_unix_nano);
        let mut raw = point(kind, temporality, time, &of.attributes);
        raw.point.value = of.as_double.or(of.as_int.map(|number| number as f64)).filter(finite);
        raw
    };
    let mut all = Vec::new();
    if let Some(gauge) = &metric.gauge {
        all.extend(gauge.data_points.iter().map(|of| number(MetricKind::Gauge, None, of)));
    }
    if let Some(sum) = &metric.sum {
        let temporality = temporality(sum.aggregation_temporality);
        all.extend(sum.data_points.iter().map(|of| number(MetricKind::Sum, temporality, of)));
    }
    if let Some(histogram) = &metric.histogram {
        let temporality = temporality(histogram.aggregation_temporality);
        all.extend(histogram.data_points.iter().map(|of| {
            let time = (of.start_time_unix_nano, of.time_unix_nano);
            let mut raw = point(MetricKind::Histogram, temporality, time, &of.attributes);
            explicit(&mut raw.point, of);
            raw
        }));
    }
    if let Some(histogram) = &metric.exponential_histogram {
        let temporality = temporality(histogram.aggregation_temporality);
        all.extend(histogram.data_points.iter().map(|of| {
            let time = (of.start_time_unix_nano, of.time_unix_nano);
            let mut raw = point(MetricKind::Histogram, temporality, time, &of.attributes);
            exponential(&mut raw.point, of);
            raw
        }));
    }
    if let Some(summary) = &metric.summary {
        all.extend(summary.data_points.iter().map(|of| {
            let time = (of.start_time_unix_nano, of.time_unix_nano);
            let cumulative = Some(Temporality::Cumulative);
            let mut raw = point(MetricKind::Histogram, cumulative, time, &of.attributes);
            summed(&mut raw.point, of);
            raw
        }));
    }
    all
}

fn finite(number: &f64) -> bool {
    number.is_finite()
}

fn temporality(said: i32) -> Option<Temporality> {
    match said {
        1 => Some(Temporality::Delta),
        2 => Some(Temporality::Cumulative),
        _ => None,
    }
}

fn explicit(point: &mut MetricPoint, of: &HistogramPoint) {
    point.count = Some(of.count);
    point.sum = of.sum.filter(finite);
    point.min = of.min.filter(finite);
    point.max = of.max.filter(finite);
    let bounds = of.explicit_bounds.iter().map(|bound| json!(bound)).chain([Json::Null]);
    point.buckets = buckets(bounds.zip(of.bucket_counts.iter().copied()));
}

fn summed(point: &mut MetricPoint, of: &SummaryPoint) {
    point.count = Some(of.count);
    point.sum = Some(of.sum).filter(finite);
}

/// The bounds of bucket `i` are powers of 2^(2^-scale): it holds what is above `base^i` and at most
/// `base^(i+1)` (opentelemetry-proto, `ExponentialHistogramDataPoint`).
fn exponential(point: &mut MetricPoint, of: &ExponentialPoint) {
    point.count = Some(of.count);
    point.sum = of.sum.filter(finite);
    point.min = of.min.filter(finite);
    point.max = of.max.filter(finite);
    let exponent = |index: f64| (index * 2f64.powi(-of.scale.clamp(-10, 20))).exp2();
    let place = |of: &Buckets, at: usize| f64::from(of.offset) + at as f64;
    let mut all = Vec::new();
    if let Some(negative) = &of.negative {
        // From the one that is furthest from 0 on.
        let counts = negative.bucket_counts.iter().copied().enumerate().rev();
        all.extend(counts.map(|(at, count)| (-exponent(place(negative, at)), count)));
    }
    all.push((0.0, of.zero_count));
    if let Some(positive) = &of.positive {
        let counts = positive.bucket_counts.iter().copied().enumerate();
        all.extend(counts.map(|(at, count)| (exponent(place(positive, at) + 1.0), count)));
    }
    point.buckets = buckets(all.into_iter().map(|(bound, count)| (json!(bound), count)));
}

/// Those that hold something.
fn buckets(all: impl Iterator<Item = (Json, u64)>) -> Option<String> {
    let kept: Vec<Json> =
        all.filter(|(_, count)| *count > 0).map(|(bound, count)| json!([bound, count])).collect();
    (!kept.is_empty() && kept.len() <= MAX_BUCKETS).then(|| Json::Array(kept).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_buckets_have_the_bounds_of_their_scale() {
        let mut point = MetricPoint::new("m", MetricKind::Histogram, 1);
        let of = ExponentialPoint {
            count: 6,
            scale: 0,
            zero_count: 1,
            positive: Some(Buckets { offset: 1, bucket_counts: vec![2, 0, 1] }),
            negative: Some(Buckets { offset: 0, bucket_counts: vec![1, 1] }),
            ..ExponentialPoint::default()
        };
        exponential(&mut point, &of);
        // (2,4], (8,16]; [-2,-1), [-4,-2) by their upper bounds.
        let expected = "[[-2.0,1],[-1.0,1],[0.0,1],[4.0,2],[16.0,1]]";
        assert_eq!(point.buckets.as_deref(), Some(expected));
    }

    #[test]
    fn numbers_that_are_none_and_buckets_without_end_are_left_out() {
        let point = NumberPoint { as_double: Some(f64::NAN), ..NumberPoint::default() };
        let mut metric = Metric { gauge: Some(Default::default()), ..Metric::default() };
        metric.gauge.iter_mut().for_each(|gauge| gauge.data_points.push(point.clone()));
        assert_eq!(points(&Origin::default(), &metric)[0].point.value, None);
        let many = (0..2_000).map(|at| (json!(at), 1));
        assert_eq!(buckets(many), None);
    }

    #[test]
    fn a_value_of_any_kind_of_number_is_one() {
        let of = |value: Json| {
            let text = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m",
                "sum": {"aggregationTemporality": 2, "dataPoints": [value]}}]}]}]});
            let request: MetricsRequest = serde_json::from_value(text).unwrap();
            let point = observe(request, &mut Rejections::default()).metrics.remove(0).point;
            (point.value, point.temporality)
        };
        let cumulative = Some(Temporality::Cumulative);
        assert_eq!(of(json!({"asDouble": 2})), (Some(2.0), cumulative));
        assert_eq!(of(json!({"asInt": "7"})), (Some(7.0), cumulative));
        assert_eq!(of(json!({"asInt": 7})), (Some(7.0), cumulative));
    }
}
