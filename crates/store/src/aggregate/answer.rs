//! What is answered: groups, points in time, percentiles.

use std::{cmp::Reverse, collections::BTreeMap};

use andon_model::UnixNanos;
use serde::Serialize;

use super::{
    question::{AggregateQuery, Dimension, Order},
    sketch::Sketch,
    sums::Sums,
    tally::{Series, Tally},
};

/// Numbers about the spans of a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Aggregation {
    #[schema(value_type = u64)]
    pub from_ns: UnixNanos,
    #[schema(value_type = u64)]
    pub to_ns: UnixNanos,
    /// Time from one point to the next; null when no points were asked for.
    pub step_ns: Option<u64>,
    /// The largest groups, by the order that was asked for.
    pub groups: Vec<Group>,
    /// All groups besides; null when there are none.
    pub others: Option<Group>,
    /// All groups together.
    pub total: Group,
    /// Something was left out: a search for texts ended early, a file could not be read, or there
    /// are more groups or names than are told apart.
    pub is_partial: bool,
}

/// Spans that have these values in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Group {
    /// In the order of what was asked to tell apart; null where it is unknown.
    pub by: Vec<Option<String>>,
    pub figures: Figures,
    /// Those that have any spans, the earliest first.
    pub points: Vec<Point>,
}

/// A step of time.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Point {
    /// A multiple of the step; the first one may be before the time that was asked for.
    #[schema(value_type = u64)]
    pub start_ns: UnixNanos,
    pub figures: Figures,
}

/// What the spans of a group come to. Sums are over the spans that know the number; null when none
/// does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Figures {
    pub count: u64,
    pub errors: u64,
    pub duration: Option<Distribution>,
    /// Time to first token.
    pub ttft: Option<Distribution>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    /// Part of `input_tokens` that the runtime took from its cache.
    pub cached_tokens: Option<u64>,
    /// Part of `output_tokens` that was thinking.
    pub reasoning_tokens: Option<u64>,
    /// Of whatever currency.
    pub cost: Option<f64>,
    pub queue_ns: Option<u64>,
    pub load_ns: Option<u64>,
    pub prompt_eval_ns: Option<u64>,
    pub eval_ns: Option<u64>,
    /// Tokens by time of generation.
    pub tokens_per_s: Option<f64>,
}

/// How times are spread, in nanoseconds. Percentiles are off by 1 % at most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Distribution {
    pub mean_ns: u64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p95_ns: u64,
    pub p99_ns: u64,
    pub max_ns: u64,
}

/// How many spans took how long, over time.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct HeatMap {
    #[schema(value_type = u64)]
    pub from_ns: UnixNanos,
    #[schema(value_type = u64)]
    pub to_ns: UnixNanos,
    pub step_ns: u64,
    /// Durations between the rows, rising: one more than there are rows.
    pub edges_ns: Vec<u64>,
    /// Those that have any spans, the earliest first.
    pub columns: Vec<HeatColumn>,
    pub is_partial: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HeatColumn {
    #[schema(value_type = u64)]
    pub start_ns: UnixNanos,
    /// Of each row, the shortest durations first.
    pub counts: Vec<u64>,
}

impl Aggregation {
    pub(crate) fn of(tally: Tally, query: &AggregateQuery, step_ns: Option<u64>) -> Self {
        let (series, beyond) = tally.finish();
        let size = |series: &Series| {
            let sizes = series.points.values().map(|sums| size_of(sums, query.order));
            sizes.fold(0, u64::saturating_add)
        };
        let mut total = Together::default();
        series.iter().chain(&beyond).for_each(|series| total.add(series));
        let mut ranked: Vec<_> = series.into_iter().map(|series| (size(&series), series)).collect();
        ranked.sort_by(|(size, series), (other_size, other)| {
            (Reverse(size), &series.by).cmp(&(Reverse(other_size), &other.by))
        });
        let mut others = Together::default();
        // Only rollups lack a name: where there were too many to be told apart.
        let name = query.by.iter().position(|dimension| *dimension == Dimension::Name);
        let is_nameless = |series: &Series| name.is_some_and(|place| series.by[place].is_none());
        let is_partial = beyond.is_some() || ranked.iter().any(|(_, series)| is_nameless(series));
        let cut = ranked.split_off(query.top.min(ranked.len()));
        cut.into_iter()
            .map(|(_, series)| series)
            .chain(beyond)
            .for_each(|series| others.add(&series));
        let has_points = step_ns.is_some();
        let groups = ranked.into_iter().map(|(_, series)| Group::of(series, has_points)).collect();
        let (from_ns, to_ns) = (query.from_ns, query.to_ns);
        let others = (!others.0.points.is_empty()).then(|| Group::of(others.0, has_points));
        let total = Group::of(total.0, has_points);
        Self { from_ns, to_ns, step_ns, groups, others, total, is_partial }
    }
}

/// Several groups as one.
#[derive(Default)]
struct Together(Series);

impl Together {
    fn add(&mut self, series: &Series) {
        for (start_ns, sums) in &series.points {
            self.0.points.entry(*start_ns).or_default().merge(sums);
        }
    }
}

fn size_of(sums: &Sums, order: Order) -> u64 {
    match order {
        Order::Count => sums.count,
        Order::Errors => sums.errors,
        Order::Duration => sums.duration_ns,
        Order::Tokens => {
            let (read, written) = (sums.input_tokens, sums.output_tokens);
            read.unwrap_or(0).saturating_add(written.unwrap_or(0))
        }
    }
}

impl Group {
    fn of(series: Series, has_points: bool) -> Self {
        let Series { by, points } = series;
        let mut all = Sums::default();
        points.values().for_each(|sums| all.merge(sums));
        let point = |(start_ns, sums)| Point { start_ns, figures: Figures::of(&sums) };
        Self {
            by: by.into_iter().map(|word| word.map(|word| word.as_ref().to_owned())).collect(),
            figures: Figures::of(&all),
            points: if has_points { points.into_iter().map(point).collect() } else { Vec::new() },
        }
    }
}

impl Figures {
    fn of(sums: &Sums) -> Self {
        let seconds = sums.timed_ns as f64 / 1e9;
        Self {
            count: sums.count,
            errors: sums.errors,
            duration: Distribution::of(&sums.durations, sums.duration_ns, sums.duration_max_ns),
            ttft: Distribution::of(&sums.ttfts, sums.ttft_ns, sums.ttft_max_ns),
            input_tokens: sums.input_tokens,
            output_tokens: sums.output_tokens,
            cached_tokens: sums.cached_tokens,
            reasoning_tokens: sums.reasoning_tokens,
            cost: sums.cost,
            queue_ns: sums.queue_ns,
            load_ns: sums.load_ns,
            prompt_eval_ns: sums.prompt_eval_ns,
            eval_ns: sums.eval_ns,
            tokens_per_s: (sums.timed_ns > 0).then(|| sums.timed_tokens as f64 / seconds),
        }
    }
}

impl Distribution {
    fn of(sketch: &Sketch, sum_ns: u64, max_ns: u64) -> Option<Self> {
        // The middle of the last bin may lie above all values of it.
        let quantile = |share| sketch.quantile(share).map(|value| value.min(max_ns));
        Some(Self {
            mean_ns: sum_ns.checked_div(sketch.count())?,
            p50_ns: quantile(0.5)?,
            p90_ns: quantile(0.9)?,
            p95_ns: quantile(0.95)?,
            p99_ns: quantile(0.99)?,
            max_ns,
        })
    }
}

impl HeatMap {
    pub(crate) fn of(
        tally: Tally,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
        step_ns: u64,
        rows: usize,
    ) -> Self {
        let (series, beyond) = tally.finish();
        let mut all = Together::default();
        series.iter().chain(&beyond).for_each(|series| all.add(series));
        let points = all.0.points;
        let edges_ns = edges(&points, rows.max(1));
        let column = |(start_ns, sums): (UnixNanos, Sums)| {
            let mut counts = vec![0; edges_ns.len().saturating_sub(1)];
            for (duration_ns, count) in sums.durations.bins() {
                let row = edges_ns.partition_point(|edge| *edge <= duration_ns);
                let row = row.saturating_sub(1).min(counts.len().saturating_sub(1));
                if let Some(own) = counts.get_mut(row) {
                    *own += count;
                }
            }
            HeatColumn { start_ns, counts }
        };
        let columns = points.into_iter().map(column).collect();
        Self { from_ns, to_ns, step_ns, edges_ns, columns, is_partial: beyond.is_some() }
    }
}

/// Mantissas of edges within a power of ten, the finest first.
const SCALES: [&[f64]; 5] = [
    &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
    &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
    &[1.0, 2.0, 5.0],
    &[1.0, 3.0],
    &[1.0],
];

/// Round durations around all that there are, by the finest scale that has few enough rows.
fn edges(points: &BTreeMap<UnixNanos, Sums>, rows: usize) -> Vec<u64> {
    let bins = || points.values().flat_map(|sums| sums.durations.bins()).map(|(middle, _)| middle);
    let (Some(first), Some(last)) = (bins().min(), bins().max()) else { return Vec::new() };
    let of_scale = |scale: &[f64]| {
        let round = (0..20).flat_map(|power| scale.iter().map(move |one| one * 10_f64.powi(power)));
        let mut all: Vec<_> = std::iter::once(0).chain(round.map(|edge| edge as u64)).collect();
        all.dedup();
        let begin = all.partition_point(|edge| *edge <= first) - 1;
        let end = all.partition_point(|edge| *edge <= last).min(all.len() - 1);
        all[begin.min(end - 1)..=end].to_vec()
    };
    let scales = SCALES.into_iter().map(of_scale);
    let mut coarsest = Vec::new();
    for edges in scales {
        if edges.len() <= rows + 1 {
            return edges;
        }
        coarsest = edges;
    }
    // Fewer still: the lowest rows become one.
    let surplus = coarsest.len() - rows - 1;
    coarsest.drain(1..=surplus);
    coarsest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(durations: &[u64]) -> BTreeMap<UnixNanos, Sums> {
        let mut sums = Sums::default();
        durations.iter().for_each(|duration| sums.durations.add(*duration, 1));
        BTreeMap::from([(0, sums)])
    }

    #[test]
    fn edges_are_round_hold_all_and_are_few_enough() {
        for rows in [1, 2, 5, 12, 40] {
            for durations in [&[0_u64][..], &[0, 7], &[1_500_000, 90_000_000_000], &[u64::MAX]] {
                let edges = edges(&points(durations), rows);
                assert!((2..=rows + 1).contains(&edges.len()), "{rows} {durations:?} {edges:?}");
                assert!(edges.is_sorted());
                assert!(edges[0] <= durations[0]);
                assert!(edges[edges.len() - 1] >= durations[durations.len() - 1] / 2);
            }
        }
        let edges = edges(&points(&[15_000_000, 900_000_000]), 6);
        assert_eq!(
            edges,
            [
                10_000_000,
                20_000_000,
                50_000_000,
                100_000_000,
                200_000_000,
                500_000_000,
                1_000_000_000
            ]
        );
    }
}
