//! What a model can be bound by: the memory that it lies in.

use andon_capacity::{Measured, Roof};
use andon_gateway::DiscoveredModel;

/// With less of it than this in a memory, a model counts as being in the other one.
const NOTHING: f64 = 0.02;

/// The memories of one machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Roofs {
    pub(crate) measured: Option<Measured>,
    /// Bytes a second that come from a GPU's memory at most.
    pub(crate) gpu_bytes_per_s: Option<f64>,
}

impl Roofs {
    /// `None` where something of it is not known.
    pub(crate) fn over(self, model: &DiscoveredModel) -> Option<Roof> {
        let on_gpu = match model.on_gpu().unwrap_or(0.0) {
            share if share < NOTHING => 0.0,
            share if share > 1.0 - NOTHING => 1.0,
            share => share,
        };
        // What all tokens share is left out with the experts that are not asked: the bound is a little
        // high.
        let active = model.experts.map_or(1.0, |experts| experts.share());
        let count = |value: f64| (value * active) as u64;
        let operations = self.measured.and_then(|measured| measured.operations_per_s);
        Some(Roof {
            memory_bytes_per_s: self.bytes_per_s(on_gpu)?,
            operations_per_s: operations.filter(|_| on_gpu == 0.0),
            model_bytes: count(model.size_bytes? as f64),
            parameters: model.parameter_size.as_deref().and_then(parameters).map(count),
        })
    }

    /// Of weights of which a share is on a GPU: its layers and the others work one after the other.
    fn bytes_per_s(self, on_gpu: f64) -> Option<f64> {
        let seconds_a_byte = |share: f64, bytes_per_s: Option<f64>| match share {
            0.0 => Some(0.0),
            share => bytes_per_s.filter(|it| *it > 0.0).map(|it| share / it),
        };
        let machine = self.measured.map(|measured| measured.memory_bytes_per_s);
        let there = seconds_a_byte(on_gpu, self.gpu_bytes_per_s)?;
        let here = seconds_a_byte(1.0 - on_gpu, machine)?;
        Some(1.0 / (there + here))
    }
}

/// `268.10M`, `7.2B`.
fn parameters(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit = match text.chars().last()? {
        'K' => 1e3,
        'M' => 1e6,
        'B' => 1e9,
        'T' => 1e12,
        _ => return text.parse().ok(),
    };
    text[..text.len() - 1].parse::<f64>().ok().map(|number| (number * unit).round())
}

#[cfg(test)]
mod tests {
    use andon_gateway::Experts;

    use super::*;

    #[test]
    fn the_number_of_parameters_is_read_as_runtimes_write_it() {
        assert_eq!(parameters("268.10M"), Some(268.1e6));
        assert_eq!(parameters("7B"), Some(7e9));
        assert_eq!(parameters("1000"), Some(1000.0));
        assert_eq!(parameters("large"), None);
        assert_eq!(parameters(""), None);
    }

    #[test]
    fn a_model_is_bound_by_the_memory_that_it_lies_in() {
        let measured = Measured {
            time_ns: 0,
            threads: 2,
            memory_bytes_per_s: 1e10,
            operations_per_s: Some(1e11),
        };
        let model = DiscoveredModel {
            size_bytes: Some(1_000),
            memory_bytes: Some(1_200),
            parameter_size: Some("1K".to_owned()),
            ..DiscoveredModel::default()
        };
        let here = Roofs { measured: Some(measured), gpu_bytes_per_s: None };
        let roof = here.over(&model).unwrap();
        assert_eq!((roof.parameters, roof.operations_per_s), (Some(1_000), Some(1e11)));
        assert_eq!(roof.memory_bytes_per_s, 1e10);
        let experts = Experts { count: 8, used: 2 };
        let experts = DiscoveredModel { experts: Some(experts), ..model.clone() };
        assert_eq!(here.over(&experts).unwrap().model_bytes, 250);

        let half = DiscoveredModel { gpu_bytes: Some(600), ..model.clone() };
        assert_eq!(here.over(&half), None, "nobody says how fast the GPU is");
        let both = Roofs { gpu_bytes_per_s: Some(1e12), ..here };
        let roof = both.over(&half).unwrap();
        assert!((roof.memory_bytes_per_s / 1e9 - 19.8).abs() < 0.01, "{roof:?}");
        assert_eq!(roof.operations_per_s, None);
        let whole = DiscoveredModel { gpu_bytes: Some(1_190), ..model.clone() };
        let only = Roofs { measured: None, gpu_bytes_per_s: Some(1e12) };
        assert_eq!(only.over(&whole).unwrap().memory_bytes_per_s, 1e12);
        assert_eq!(only.over(&model), None, "the machine was not measured");
    }
}
