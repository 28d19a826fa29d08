//! What lines add up to within ten seconds, by name and tags.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use andon_model::{MetricKind, MetricPoint, RawMetric, Source, Temporality, UnixNanos};
use serde_json::json;

use super::line::{Check, Common, Event, Kind, Line, Metric};
use crate::{normalise::RawAttributes, value::Value};

/// Curves within one interval; what would be more is counted.
const MAX_SERIES: usize = 20_000;
/// Different values of one set.
const MAX_SET: usize = 65_536;
/// Bounds of buckets are so far apart that a percentile is off by 1 % at most (DDSketch,
/// arXiv:1908.10693, section 2).
const GAMMA: f64 = 1.01 / 0.99;
/// Values nearer to 0 are 0.
const SMALLEST: f64 = 1e-9;

/// Series of one interval.
#[derive(Default)]
pub(super) struct Series {
    curves: HashMap<Key, Curve>,
    /// What is of a moment of its own: events, checks, and points with a time.
    alone: Vec<RawMetric>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    kind: Kind,
    unit: Option<&'static str>,
    tags: Vec<(String, String)>,
    container: Option<String>,
}

enum Curve {
    Sum(f64),
    Last(f64),
    Spread(Box<Spread>),
    Set(HashSet<u64>),
}

#[derive(Default)]
struct Spread {
    count: f64,
    sum: f64,
    min: Option<f64>,
    max: Option<f64>,
    /// By the exponent of their upper bound; negative values, zero and positive ones apart.
    below: BTreeMap<i32, f64>,
    zero: f64,
    above: BTreeMap<i32, f64>,
}

impl Series {
    pub(super) fn is_empty(&self) -> bool {
        self.curves.is_empty() && self.alone.is_empty()
    }

    /// Adds a line; `false` where there is no room for it.
    pub(super) fn add(&mut self, line: &Line<'_>, now_ns: UnixNanos) -> bool {
        match line {
            Line::Metric(metric) => self.add_metric(metric),
            Line::Event(event) => self.put_alone(event_point(event, now_ns)),
            Line::Check(check) => self.put_alone(check_point(check, now_ns)),
        }
    }

    fn put_alone(&mut self, point: RawMetric) -> bool {
        let fits = self.alone.len() < MAX_SERIES;
        if fits {
            self.alone.push(point);
        }
        fits
    }

    fn add_metric(&mut self, metric: &Metric<'_>) -> bool {
        let mut tags: Vec<(String, String)> = metric
            .common
            .tags
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        tags.sort_unstable();
        tags.dedup();
        let key = Key {
            name: metric.name.to_owned(),
            kind: metric.kind,
            unit: metric.unit,
            tags,
            container: metric.common.container.map(str::to_owned),
        };
        if let Some(time_s) = metric.common.time_s {
            // It says itself when it was, and was added up by its client.
            let mut curve = Curve::new(metric.kind);
            curve.add(metric);
            let time_ns = time_s.saturating_mul(1_000_000_000);
            return self.put_alone(curve.point(key, None, time_ns));
        }
        if !self.curves.contains_key(&key) && self.curves.len() == MAX_SERIES {
            return false;
        }
        self.curves.entry(key).or_insert_with(|| Curve::new(metric.kind)).add(metric);
        true
    }

    /// All that was added, as points of one interval.
    pub(super) fn finish(self, from_ns: UnixNanos, to_ns: UnixNanos) -> Vec<RawMetric> {
        let curves = self.curves.into_iter();
        let mut points = self.alone;
        points.extend(curves.map(|(key, curve)| curve.point(key, Some(from_ns), to_ns)));
        points
    }
}

impl Curve {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Sum(0.0),
            Kind::Gauge => Self::Last(0.0),
            Kind::Spread => Self::Spread(Box::default()),
            Kind::Set => Self::Set(HashSet::new()),
        }
    }

    fn add(&mut self, metric: &Metric<'_>) {
        let weight = 1.0 / metric.rate;
        for text in &metric.values {
            let value = || text.parse::<f64>().unwrap_or(0.0);
            match self {
                Self::Sum(sum) => *sum += value() * weight,
                Self::Last(last) => *last = value(),
                Self::Spread(spread) => spread.add(value(), weight),
                Self::Set(values) if values.len() < MAX_SET => {
                    let mut hasher = DefaultHasher::new();
                    text.hash(&mut hasher);
                    values.insert(hasher.finish());
                }
                Self::Set(_) => {}
            }
        }
    }

    fn point(self, key: Key, from_ns: Option<UnixNanos>, time_ns: UnixNanos) -> RawMetric {
        let kind = match &self {
            Self::Sum(_) => MetricKind::Sum,
            Self::Last(_) => MetricKind::Gauge,
            Self::Spread(_) => MetricKind::Histogram,
            Self::Set(_) => MetricKind::Set,
        };
        let tags = key.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut raw = named(&key.name, kind, time_ns, tags);
        let point = &mut raw.point;
        point.unit = key.unit.map(str::to_owned);
        if let Some(container) = key.container {
            point.tags.set("container.id", container);
        }
        match self {
            Self::Sum(sum) => {
                // Numbers that are none by themselves are no lines; added up they may come to one.
                point.value = Some(sum).filter(|sum| sum.is_finite());
                point.temporality = Some(Temporality::Delta);
                point.start_ns = from_ns;
            }
            Self::Last(last) => point.value = Some(last),
            Self::Set(values) => {
                point.value = Some(values.len() as f64);
                point.start_ns = from_ns;
            }
            Self::Spread(spread) => {
                point.temporality = Some(Temporality::Delta);
                point.start_ns = from_ns;
                spread.fill(point);
            }
        }
        raw
    }
}

impl Spread {
    fn add(&mut self, value: f64, weight: f64) {
        self.count += weight;
        self.sum += value * weight;
        self.min = Some(self.min.map_or(value, |least| least.min(value)));
        self.max = Some(self.max.map_or(value, |most| most.max(value)));
        if value.abs() < SMALLEST {
            self.zero += weight;
            return;
        }
        // A finite number's exponent is within some thirty thousand.
        let exponent = (value.abs().ln() / GAMMA.ln()).ceil() as i32;
        let side = if value > 0.0 { &mut self.above } else { &mut self.below };
        *side.entry(exponent).or_default() += weight;
    }

    fn fill(self, point: &mut MetricPoint) {
        let bound = |exponent: i32| GAMMA.powi(exponent);
        let round = |count: f64| count.round() as u64;
        point.count = Some(round(self.count));
        point.sum = Some(self.sum).filter(|sum| sum.is_finite());
        (point.min, point.max) = (self.min, self.max);
        let below = self.below.into_iter().rev();
        let mut all: Vec<_> =
            below.map(|(exponent, count)| json!([-bound(exponent - 1), round(count)])).collect();
        if self.zero > 0.0 {
            all.push(json!([0.0, round(self.zero)]));
        }
        all.extend(
            self.above.into_iter().map(|(exponent, count)| json!([bound(exponent), round(count)])),
        );
        point.buckets = Some(serde_json::Value::Array(all).to_string());
    }
}

/// A point with its tags, some of which are columns.
fn named<'a>(
    name: &str,
    kind: MetricKind,
    time_ns: UnixNanos,
    tags: impl Iterator<Item = (&'a str, &'a str)>,
) -> RawMetric {
    let mut point = MetricPoint::new(name, kind, time_ns);
    point.source = Source::Datadog;
    let mut raw = RawAttributes::default();
    for (name, value) in tags {
        let column = match name {
            "service" => &mut point.service,
            "env" => &mut point.env,
            "host" => &mut point.host,
            _ => {
                let value = match value {
                    "" => Value::Bool(true),
                    text => Value::Text(text.to_owned().into()),
                };
                raw.add(name.to_owned(), &value);
                continue;
            }
        };
        *column = Some(value.to_owned());
    }
    let tags = raw.finish(&mut point.tags);
    RawMetric { point, tags }
}

fn at(common: &Common<'_>, now_ns: UnixNanos) -> UnixNanos {
    common.time_s.map_or(now_ns, |time_s| time_s.saturating_mul(1_000_000_000))
}

/// Title and text are what somebody wrote.
fn event_point(event: &Event<'_>, now_ns: UnixNanos) -> RawMetric {
    let common = &event.common;
    let tags = common.tags.iter().copied();
    let mut raw = named("event", MetricKind::Event, at(common, now_ns), tags);
    raw.point.host = common.host.map(str::to_owned).or(raw.point.host);
    if let Some(alert) = event.alert {
        raw.point.tags.set("event.alert_type", alert);
    }
    let mut words = RawAttributes::with(raw.tags);
    words.hold("event.title", event.title.replace("\\n", "\n"), andon_model::Holds::Words);
    words.hold("event.text", event.text.replace("\\n", "\n"), andon_model::Holds::Words);
    let tags = words.finish(&mut raw.point.tags);
    RawMetric { point: raw.point, tags }
}

fn check_point(check: &Check<'_>, now_ns: UnixNanos) -> RawMetric {
    let common = &check.common;
    let tags = common.tags.iter().copied();
    let mut raw = named(check.name, MetricKind::ServiceCheck, at(common, now_ns), tags);
    raw.point.host = common.host.map(str::to_owned).or(raw.point.host);
    raw.point.value = Some(f64::from(check.status));
    let mut words = RawAttributes::with(raw.tags);
    if let Some(message) = check.message {
        let message = message.replace("\\n", "\n");
        words.hold("service_check.message", message, andon_model::Holds::Words);
    }
    let tags = words.finish(&mut raw.point.tags);
    RawMetric { point: raw.point, tags }
}

#[cfg(test)]
mod tests {
    use super::{super::line::read, *};

    fn points(lines: &[&str]) -> Vec<MetricPoint> {
        let mut series = Series::default();
        for line in lines {
            assert!(series.add(&read(line).unwrap(), 5), "{line}");
        }
        let mut points: Vec<_> = series.finish(10, 20).into_iter().map(|raw| raw.point).collect();
        points.sort_by(|a, b| a.name.cmp(&b.name).then(a.time_ns.cmp(&b.time_ns)));
        points
    }

    #[test]
    fn each_kind_adds_up_as_it_should() {
        let all = points(&[
            "c:1|c",
            "c:2|c|@0.5",
            "g:1|g",
            "g:7|g",
            "s:a|s",
            "s:b|s",
            "s:a|s",
            "d:1:2:3|d",
            "d:-4|d",
            "d:0|d",
        ]);
        let [counter, spread, gauge, set] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((counter.value, counter.kind), (Some(5.0), MetricKind::Sum));
        assert_eq!((counter.start_ns, counter.time_ns), (Some(10), 20));
        assert_eq!(gauge.value, Some(7.0));
        assert_eq!(set.value, Some(2.0));
        assert_eq!((spread.count, spread.sum), (Some(5), Some(2.0)));
        assert_eq!((spread.min, spread.max), (Some(-4.0), Some(3.0)));
        let buckets: Vec<(f64, u64)> =
            serde_json::from_str(spread.buckets.as_deref().unwrap()).unwrap();
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 5);
        assert!(buckets.is_sorted_by(|(a, _), (b, _)| a < b), "{buckets:?}");
        for (value, (bound, _)) in [-4.0, 0.0, 1.0, 2.0, 3.0].into_iter().zip(&buckets) {
            assert!(value <= *bound && bound - value <= 0.021 * f64::abs(value), "{value} {bound}");
        }
    }

    #[test]
    fn what_adds_up_to_no_number_is_not_told() {
        let all = points(&["c:1e308:1e308|c", "h:1e308:1e308|h", "k:1|c"]);
        let values: Vec<_> = all.iter().map(|point| (point.value, point.sum)).collect();
        assert_eq!(values, [(None, None), (None, None), (Some(1.0), None)]);
    }

    #[test]
    fn tags_tell_curves_apart_and_some_are_columns() {
        let all = points(&["c:1|c|#b:2,a:1", "c:1|c|#a:1,b:2", "c:1|c|#service:web,env:prod,beta"]);
        assert_eq!(all.len(), 2);
        let of_web = all.iter().find(|point| point.service.is_some()).unwrap();
        assert_eq!(of_web.env.as_deref(), Some("prod"));
        assert_eq!(of_web.tags.get("beta"), Some(&true.into()));
        assert_eq!(of_web.value, Some(1.0));
        assert!(all.iter().any(|point| point.value == Some(2.0)));
    }

    #[test]
    fn what_has_a_time_is_of_that_time() {
        let all = points(&["c:1|c|T7", "_sc|db|1|m:slow", "_e{2,1}:ab|c"]);
        let times: Vec<_> = all.iter().map(|point| (point.name.as_str(), point.time_ns)).collect();
        assert_eq!(times, [("c", 7_000_000_000), ("db", 5), ("event", 5)]);
        // What people wrote is not among the plain tags.
        assert!(all.iter().all(|point| point.tags.is_empty()));
    }

    #[test]
    fn series_are_bounded() {
        let mut series = Series::default();
        let added = (0..MAX_SERIES + 5).filter(|at| {
            let line = format!("m{at}:1|c");
            series.add(&read(&line).unwrap(), 0)
        });
        assert_eq!(added.count(), MAX_SERIES);
        assert!(series.add(&read("m1:1|c").unwrap(), 0));
    }
}
