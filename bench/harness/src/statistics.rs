//! Medians and percentiles. No means: one interrupted call would move them.

use serde_json::{Value, json};

/// Measurements of one thing, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which `share` (0 to 1) of them lie, between neighbours where it falls there.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
        let place = share.clamp(0.0, 1.0) * last as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        let part = place - place.floor();
        self.0[low] * (1.0 - part) + self.0[high] * part
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(0.5)
    }

    pub(crate) fn least(&self) -> f64 {
        self.percentile(0.0)
    }

    pub(crate) fn most(&self) -> f64 {
        self.percentile(1.0)
    }

    /// For the machine-readable result.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "n": self.len(),
            "min": self.least(),
            "p50": self.median(),
            "p90": self.percentile(0.9),
            "p99": self.percentile(0.99),
            "max": self.most(),
        })
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self::new(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_fall_between_neighbours() {
        let sample: Sample = [4.0, 1.0, 3.0, 2.0].into_iter().collect();
        assert_eq!((sample.least(), sample.median(), sample.most()), (1.0, 2.5, 4.0));
        assert_eq!(sample.percentile(1.0 / 3.0), 2.0);
    }

    #[test]
    fn of_nothing_there_is_no_median() {
        assert!(Sample::default().median().is_nan());
    }
}
