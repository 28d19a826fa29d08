//! What is comparable: calls of about the same prompt, with about as much of it in the cache.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Served, Spread};

/// Prompts of fewer tokens than this, each four times the one before; the last are all longer ones.
const LENGTHS: [u64; 5] = [128, 512, 2_048, 8_192, u64::MAX];
/// Shares of the prompt that were cached.
const HARDLY: f64 = 0.1;
const NEARLY_ALL: f64 = 0.9;

/// How much of a prompt was in the runtime's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// Under a tenth.
    None,
    Part,
    /// Over nine tenths.
    Most,
}

/// Calls to one model that are alike. Two models are compared cell by cell.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Cell {
    /// Tokens of the prompt, from `prompt_from` to below `prompt_below`; no end where it is `None`.
    pub prompt_from: u64,
    pub prompt_below: Option<u64>,
    pub cache: CacheState,
    pub calls: u64,
    /// Nanoseconds from the question to the first token, without waiting and loading.
    pub read_ns: Spread,
    /// Tokens a second that were written; `None` where answers were too short to say.
    pub written_per_s: Option<Spread>,
    /// Tokens a second that were read anew; `None` where too few were.
    pub read_per_s: Option<Spread>,
    /// Nanoseconds of whole calls without waiting and loading.
    pub work_ns: Spread,
}

/// The cells that have calls, in the order of their prompts.
pub fn cells<'a>(calls: impl IntoIterator<Item = &'a Served>) -> Vec<Cell> {
    let mut alike: BTreeMap<(usize, CacheState), Vec<&Served>> = BTreeMap::new();
    for call in calls {
        let length = LENGTHS.iter().position(|below| call.prompt < *below);
        let place = length.unwrap_or(LENGTHS.len() - 1);
        alike.entry((place, cache_state(call))).or_default().push(call);
    }
    alike.into_iter().filter_map(|((place, cache), calls)| cell(place, cache, &calls)).collect()
}

fn cache_state(call: &Served) -> CacheState {
    let cached = 1.0 - call.read as f64 / call.prompt.max(1) as f64;
    match cached {
        share if share < HARDLY => CacheState::None,
        share if share > NEARLY_ALL => CacheState::Most,
        _ => CacheState::Part,
    }
}

fn cell(place: usize, cache: CacheState, calls: &[&Served]) -> Option<Cell> {
    let of = |value: fn(&Served) -> f64| Spread::of(calls.iter().map(|call| value(call)).collect());
    Some(Cell {
        prompt_from: place.checked_sub(1).map_or(0, |before| LENGTHS[before]),
        prompt_below: Some(LENGTHS[place]).filter(|below| *below != u64::MAX),
        cache,
        calls: calls.len() as u64,
        read_ns: of(|call| call.read_ns as f64)?,
        written_per_s: written_per_s(calls.iter().copied()),
        read_per_s: read_per_s(calls.iter().copied()),
        work_ns: of(|call| (call.read_ns.saturating_add(call.write_ns)) as f64)?,
    })
}

/// Tokens a second that were written by calls that wrote enough to say.
pub fn written_per_s<'a>(calls: impl IntoIterator<Item = &'a Served>) -> Option<Spread> {
    Spread::of(calls.into_iter().filter_map(pace_written).collect())
}

/// Tokens a second that were read anew by calls that read enough to say.
pub fn read_per_s<'a>(calls: impl IntoIterator<Item = &'a Served>) -> Option<Spread> {
    Spread::of(calls.into_iter().filter_map(pace_read).collect())
}

/// `None` where too few tokens were written to say.
pub(crate) fn pace_written(call: &Served) -> Option<f64> {
    per_s(call.written, 4, call.write_ns)
}

/// `None` where too few tokens were read to say.
pub(crate) fn pace_read(call: &Served) -> Option<f64> {
    per_s(call.read, 8, call.read_ns)
}

fn per_s(tokens: u64, least: u64, ns: u64) -> Option<f64> {
    (tokens >= least && ns > 0).then(|| tokens as f64 * 1e9 / ns as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::tests::served;

    #[test]
    fn prompts_of_a_size_and_a_cache_are_together() {
        let short = served(0, "m");
        let cached = Served { prompt: 1_000, ..served(9, "m") };
        let partly = Served { prompt: 200, ..served(9, "m") };
        let long = Served { prompt: 9_000, read: 9_000, ..served(9, "m") };
        let cells = cells([&short, &short, &cached, &partly, &long]);
        let told: Vec<_> =
            cells.iter().map(|it| (it.prompt_from, it.prompt_below, it.cache, it.calls)).collect();
        assert_eq!(
            told,
            [
                (0, Some(128), CacheState::None, 2),
                (128, Some(512), CacheState::Part, 1),
                (512, Some(2_048), CacheState::Part, 1),
                (8_192, None, CacheState::None, 1),
            ]
        );
        assert_eq!(cells[0].written_per_s.unwrap().p50, 10.0);
        assert_eq!(cells[0].read_per_s.unwrap().p50, 100.0);
    }
}
