//! What many spans come to: numbers that can be added, in any order.

use andon_model::{Named as _, Status};
use arrow::{
    array::{Array, AsArray, BinaryArray, Float64Array, Int64Array, RecordBatch},
    datatypes::{Float64Type, Int64Type},
};

use super::sketch::Sketch;
use crate::matching::rows_where;

/// Sums over spans; `None` where none of them knows the number.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    pub(crate) duration_ns: u64,
    pub(crate) duration_max_ns: u64,
    pub(crate) durations: Sketch,
    /// Times to first token.
    pub(crate) ttft_ns: u64,
    pub(crate) ttft_max_ns: u64,
    pub(crate) ttfts: Sketch,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) cached_tokens: Option<u64>,
    pub(crate) reasoning_tokens: Option<u64>,
    pub(crate) cost: Option<f64>,
    pub(crate) queue_ns: Option<u64>,
    pub(crate) load_ns: Option<u64>,
    pub(crate) prompt_eval_ns: Option<u64>,
    pub(crate) eval_ns: Option<u64>,
    /// Tokens of answers whose time of generation is known.
    pub(crate) timed_tokens: u64,
    /// That time.
    pub(crate) timed_ns: u64,
}

/// Columns of spans that sums are made of.
pub(crate) const SPAN_COLUMNS: [&str; 14] = [
    "start_ns",
    "duration_ns",
    "status",
    "ttft_ns",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
    "queue_ns",
    "load_ns",
    "prompt_eval_ns",
    "eval_ns",
    "adjusted_count",
];

impl Sums {
    pub(crate) fn merge(&mut self, other: &Self) {
        let sum = |own: &mut u64, other: u64| *own = own.saturating_add(other);
        sum(&mut self.count, other.count);
        sum(&mut self.errors, other.errors);
        sum(&mut self.duration_ns, other.duration_ns);
        self.duration_max_ns = self.duration_max_ns.max(other.duration_max_ns);
        self.durations.merge(&other.durations);
        sum(&mut self.ttft_ns, other.ttft_ns);
        self.ttft_max_ns = self.ttft_max_ns.max(other.ttft_max_ns);
        self.ttfts.merge(&other.ttfts);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        add(&mut self.cached_tokens, other.cached_tokens);
        add(&mut self.reasoning_tokens, other.reasoning_tokens);
        if let Some(cost) = other.cost {
            *self.cost.get_or_insert(0.0) += cost;
        }
        add(&mut self.queue_ns, other.queue_ns);
        add(&mut self.load_ns, other.load_ns);
        add(&mut self.prompt_eval_ns, other.prompt_eval_ns);
        add(&mut self.eval_ns, other.eval_ns);
        sum(&mut self.timed_tokens, other.timed_tokens);
        sum(&mut self.timed_ns, other.timed_ns);
    }

    /// Memory, about.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.durations.weight() + self.ttfts.weight()
    }
}

fn add(own: &mut Option<u64>, other: Option<u64>) {
    if let Some(other) = other {
        *own = Some(own.unwrap_or(0).saturating_add(other));
    }
}

/// The columns of a batch of spans that sums are made of, where it has them.
pub(crate) struct SpanSums<'a> {
    durations: Option<&'a Int64Array>,
    ttfts: Option<&'a Int64Array>,
    input_tokens: Option<&'a Int64Array>,
    output_tokens: Option<&'a Int64Array>,
    cached_tokens: Option<&'a Int64Array>,
    reasoning_tokens: Option<&'a Int64Array>,
    costs: Option<&'a Float64Array>,
    queues: Option<&'a Int64Array>,
    loads: Option<&'a Int64Array>,
    prompts: Option<&'a Int64Array>,
    evals: Option<&'a Int64Array>,
    /// So many spans a row stands for.
    adjusted_counts: Option<&'a Int64Array>,
    /// For each row whether it failed.
    failed: Vec<bool>,
}

impl<'a> SpanSums<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Self {
        let numbers = |name| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        Self {
            durations: numbers("duration_ns"),
            ttfts: numbers("ttft_ns"),
            input_tokens: numbers("input_tokens"),
            output_tokens: numbers("output_tokens"),
            cached_tokens: numbers("cached_tokens"),
            reasoning_tokens: numbers("reasoning_tokens"),
            costs: floats(batch, "cost"),
            queues: numbers("queue_ns"),
            loads: numbers("load_ns"),
            prompts: numbers("prompt_eval_ns"),
            evals: numbers("eval_ns"),
            adjusted_counts: numbers("adjusted_count"),
            failed: rows_where(batch, "status", |word| word == Status::Error.name()),
        }
    }

    /// Adds the span in this row, as often as it stands for one.
    pub(crate) fn add_to(&self, sums: &mut Sums, row: usize) {
        let times = number(self.adjusted_counts, row).unwrap_or(1).max(1);
        let sum = |own: &mut u64, one: u64| {
            *own = own.saturating_add(one.saturating_mul(times));
        };
        let add = |own: &mut Option<u64>, numbers| {
            add(own, number(numbers, row).map(|one| one.saturating_mul(times)));
        };
        sum(&mut sums.count, 1);
        sum(&mut sums.errors, u64::from(self.failed.get(row).copied().unwrap_or(false)));
        let duration_ns = number(self.durations, row).unwrap_or(0);
        sum(&mut sums.duration_ns, duration_ns);
        sums.duration_max_ns = sums.duration_max_ns.max(duration_ns);
        sums.durations.add(duration_ns, times);
        if let Some(ttft_ns) = number(self.ttfts, row) {
            sum(&mut sums.ttft_ns, ttft_ns);
            sums.ttft_max_ns = sums.ttft_max_ns.max(ttft_ns);
            sums.ttfts.add(ttft_ns, times);
        }
        add(&mut sums.input_tokens, self.input_tokens);
        add(&mut sums.output_tokens, self.output_tokens);
        add(&mut sums.cached_tokens, self.cached_tokens);
        add(&mut sums.reasoning_tokens, self.reasoning_tokens);
        add_cost(&mut sums.cost, self.costs, row, times as f64);
        add(&mut sums.queue_ns, self.queues);
        add(&mut sums.load_ns, self.loads);
        add(&mut sums.prompt_eval_ns, self.prompts);
        add(&mut sums.eval_ns, self.evals);
        let (output_tokens, eval_ns) = (number(self.output_tokens, row), number(self.evals, row));
        if let (Some(tokens), Some(eval_ns @ 1..)) = (output_tokens, eval_ns) {
            sum(&mut sums.timed_tokens, tokens);
            sum(&mut sums.timed_ns, eval_ns);
        }
    }
}

/// The columns of a batch of rollups, where it has them.
pub(crate) struct RollupSums<'a> {
    counts: Option<&'a Int64Array>,
    errors: Option<&'a Int64Array>,
    durations_ns: Option<&'a Int64Array>,
    durations_max_ns: Option<&'a Int64Array>,
    durations: Option<&'a BinaryArray>,
    ttfts_ns: Option<&'a Int64Array>,
    ttfts_max_ns: Option<&'a Int64Array>,
    ttfts: Option<&'a BinaryArray>,
    input_tokens: Option<&'a Int64Array>,
    output_tokens: Option<&'a Int64Array>,
    cached_tokens: Option<&'a Int64Array>,
    reasoning_tokens: Option<&'a Int64Array>,
    costs: Option<&'a Float64Array>,
    queues: Option<&'a Int64Array>,
    loads: Option<&'a Int64Array>,
    prompts: Option<&'a Int64Array>,
    evals: Option<&'a Int64Array>,
    timed_tokens: Option<&'a Int64Array>,
    timed_ns: Option<&'a Int64Array>,
}

impl<'a> RollupSums<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Self {
        let numbers = |name| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let sketches = |name| batch.column_by_name(name)?.as_binary_opt::<i32>();
        Self {
            counts: numbers("count"),
            errors: numbers("errors"),
            durations_ns: numbers("duration_ns"),
            durations_max_ns: numbers("duration_max_ns"),
            durations: sketches("durations"),
            ttfts_ns: numbers("ttft_ns"),
            ttfts_max_ns: numbers("ttft_max_ns"),
            ttfts: sketches("ttfts"),
            input_tokens: numbers("input_tokens"),
            output_tokens: numbers("output_tokens"),
            cached_tokens: numbers("cached_tokens"),
            reasoning_tokens: numbers("reasoning_tokens"),
            costs: floats(batch, "cost"),
            queues: numbers("queue_ns"),
            loads: numbers("load_ns"),
            prompts: numbers("prompt_eval_ns"),
            evals: numbers("eval_ns"),
            timed_tokens: numbers("timed_tokens"),
            timed_ns: numbers("timed_ns"),
        }
    }

    /// Adds the rollup in this row.
    pub(crate) fn add_to(&self, sums: &mut Sums, row: usize) {
        let sum = |own: &mut u64, numbers| {
            *own = own.saturating_add(number(numbers, row).unwrap_or(0));
        };
        let most = |own: &mut u64, numbers| *own = number(numbers, row).unwrap_or(0).max(*own);
        // What cannot be read is no sketch of this version: the file's checksum tells of damage.
        let merge = |own: &mut Sketch, sketches: Option<&BinaryArray>| {
            let written = sketches.filter(|sketches| sketches.is_valid(row));
            written.and_then(|sketches| own.merge_written(sketches.value(row)))
        };
        sum(&mut sums.count, self.counts);
        sum(&mut sums.errors, self.errors);
        sum(&mut sums.duration_ns, self.durations_ns);
        most(&mut sums.duration_max_ns, self.durations_max_ns);
        merge(&mut sums.durations, self.durations);
        sum(&mut sums.ttft_ns, self.ttfts_ns);
        most(&mut sums.ttft_max_ns, self.ttfts_max_ns);
        merge(&mut sums.ttfts, self.ttfts);
        add(&mut sums.input_tokens, number(self.input_tokens, row));
        add(&mut sums.output_tokens, number(self.output_tokens, row));
        add(&mut sums.cached_tokens, number(self.cached_tokens, row));
        add(&mut sums.reasoning_tokens, number(self.reasoning_tokens, row));
        add_cost(&mut sums.cost, self.costs, row, 1.0);
        add(&mut sums.queue_ns, number(self.queues, row));
        add(&mut sums.load_ns, number(self.loads, row));
        add(&mut sums.prompt_eval_ns, number(self.prompts, row));
        add(&mut sums.eval_ns, number(self.evals, row));
        sum(&mut sums.timed_tokens, self.timed_tokens);
        sum(&mut sums.timed_ns, self.timed_ns);
    }
}

fn floats<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a Float64Array> {
    batch.column_by_name(name)?.as_primitive_opt::<Float64Type>()
}

fn add_cost(own: &mut Option<f64>, costs: Option<&Float64Array>, row: usize, times: f64) {
    if let Some(costs) = costs.filter(|costs| costs.is_valid(row)) {
        *own.get_or_insert(0.0) += costs.value(row) * times;
    }
}

fn number(numbers: Option<&Int64Array>, row: usize) -> Option<u64> {
    numbers.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row).unsigned_abs())
}
