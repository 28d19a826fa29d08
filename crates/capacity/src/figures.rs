//! Medians and the like.

use serde::Serialize;

/// The middle of some values, and what nineteen of twenty stay below.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Spread {
    pub p50: f64,
    pub p95: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        Some(Self { p50: at(&values, 0.5)?, p95: at(&values, 0.95)? })
    }
}

/// The value below which that share of the sorted ones lies (nearest rank).
fn at(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    at(&values, 0.5)
}

/// What `share` of the values stay below.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    at(&values, share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank_is_one_of_the_values() {
        let spread = Spread::of((1..=20).map(f64::from).collect()).unwrap();
        assert_eq!((spread.p50, spread.p95), (10.0, 19.0));
        assert_eq!(Spread::of(vec![3.0]).unwrap().p95, 3.0);
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(quantile(vec![2.0, 1.0], 0.9), Some(2.0));
    }
}
