//! How fast a model can be at most on this machine, so that «slow» can be told from «as fast as this box
//! can».
//!
//! To write a token, all weights that take part are read from memory once: tokens a second are at most
//! the memory's bandwidth over the bytes of the weights. To read a token of a prompt, each of these
//! weights is multiplied and added once: at most the machine's operations a second over twice their
//! number (the roofline model: Williams, Waterman, Patterson, «Roofline: an insightful visual
//! performance model for multicore architectures», CACM 52(4), 2009).

use serde::{Deserialize, Serialize};

use crate::{
    Served,
    cells::{pace_read, pace_written},
    figures::quantile,
};

/// What the machine does at most, measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Measured {
    /// When it was measured.
    pub time_ns: u64,
    pub threads: u32,
    /// Bytes a second that come from memory.
    pub memory_bytes_per_s: f64,
    /// Operations a second of a product of matrices as llama.cpp computes it, weights in 8 bits; a
    /// multiplication with its addition counts as two. `None` where it cannot compute here.
    pub operations_per_s: Option<f64>,
}

/// What a bound is reckoned from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roof {
    pub memory_bytes_per_s: f64,
    /// `None` where it was not measured, as on a GPU.
    pub operations_per_s: Option<f64>,
    /// Bytes of the weights.
    pub model_bytes: u64,
    pub parameters: Option<u64>,
}

/// Tokens a second at most, and how near to it calls come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Bound {
    pub written_per_s: f64,
    pub read_per_s: Option<f64>,
    /// What the better calls reach of the bound, 0 to 1 and a little more: one in twenty is faster.
    pub written_share: Option<f64>,
    pub read_share: Option<f64>,
}

/// `None` where nothing is known of the model's size.
pub fn bound<'a>(roof: Roof, calls: impl IntoIterator<Item = &'a Served>) -> Option<Bound> {
    if roof.model_bytes == 0 || roof.memory_bytes_per_s <= 0.0 {
        return None;
    }
    let calls: Vec<_> = calls.into_iter().collect();
    let written: Vec<_> = calls.iter().filter_map(|call| pace_written(call)).collect();
    let read: Vec<_> = calls.iter().filter_map(|call| pace_read(call)).collect();
    let written_per_s = roof.memory_bytes_per_s / roof.model_bytes as f64;
    let parameters = roof.parameters.filter(|count| *count > 0);
    let read_per_s = roof
        .operations_per_s
        .zip(parameters)
        .map(|(operations, parameters)| operations / (2.0 * parameters as f64));
    Some(Bound {
        written_per_s,
        read_per_s,
        written_share: quantile(written, 0.95).map(|best| best / written_per_s),
        read_share: quantile(read, 0.95).zip(read_per_s).map(|(best, most)| best / most),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::tests::served;

    #[test]
    fn a_token_takes_all_weights_once() {
        let roof = Roof {
            memory_bytes_per_s: 20e9,
            operations_per_s: Some(200e9),
            model_bytes: 1_000_000_000,
            parameters: Some(500_000_000),
        };
        let bound = bound(roof, &[served(0, "m")]).unwrap();
        assert_eq!((bound.written_per_s, bound.read_per_s), (20.0, Some(200.0)));
        assert_eq!((bound.written_share, bound.read_share), (Some(0.5), Some(0.5)));
        assert!(super::bound(Roof { model_bytes: 0, ..roof }, &[]).is_none());
    }
}
