//! A model's pace over time.

use std::collections::BTreeMap;

use andon_model::UnixNanos;
use serde::Serialize;

use crate::{
    Served,
    cells::{pace_read, pace_written},
    figures::median,
};

/// A step of time in which a model was called.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CurvePoint {
    /// Where the step begins.
    #[schema(value_type = u64)]
    pub time_ns: UnixNanos,
    pub calls: u64,
    /// Medians over the calls of the step, tokens a second.
    pub written_per_s: Option<f64>,
    pub read_per_s: Option<f64>,
    /// Calls that loaded the model, and what that took, together.
    pub loads: u64,
    pub load_ns: u64,
    /// The longest wait for others.
    pub queue_ns: u64,
}

/// The steps that have calls, in the order of time.
pub fn curve<'a>(calls: impl IntoIterator<Item = &'a Served>, step_ns: u64) -> Vec<CurvePoint> {
    let mut steps: BTreeMap<u64, Vec<&Served>> = BTreeMap::new();
    for call in calls {
        steps.entry(call.arrived_ns / step_ns.max(1)).or_default().push(call);
    }
    let point = |(step, calls): (u64, Vec<&Served>)| CurvePoint {
        time_ns: step * step_ns.max(1),
        calls: calls.len() as u64,
        written_per_s: median(calls.iter().filter_map(|call| pace_written(call)).collect()),
        read_per_s: median(calls.iter().filter_map(|call| pace_read(call)).collect()),
        loads: calls.iter().filter(|call| call.load_ns.is_some()).count() as u64,
        load_ns: calls.iter().filter_map(|call| call.load_ns).fold(0, u64::saturating_add),
        queue_ns: calls.iter().map(|call| call.queue_ns).max().unwrap_or(0),
    };
    steps.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::tests::{SECOND, served};

    #[test]
    fn calls_are_gathered_in_steps() {
        let load = Served { load_ns: Some(4 * SECOND), queue_ns: 7, ..served(3, "m") };
        let points = curve([&served(1, "m"), &load, &served(25, "m")], 10 * SECOND);
        assert_eq!(points.len(), 2);
        assert_eq!((points[0].calls, points[0].loads, points[0].load_ns), (2, 1, 4 * SECOND));
        assert_eq!((points[0].queue_ns, points[0].written_per_s), (7, Some(10.0)));
        assert_eq!(points[1].time_ns, 20 * SECOND);
    }
}
