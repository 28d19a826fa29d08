//! An hour of spans that have everything in common which pages ask for, in one row.
//!
//! Rollups are written with the spans that they count, in the same change of the manifest, so that
//! both say the same at any moment. What comes late has rows of its own: they add up.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use andon_model::{Cause, LlmKind, Named, Status, UnixNanos};
use arrow::array::RecordBatch;

use super::{
    sums::{SPAN_COLUMNS, Sums},
    tally::{Key, ROOT, Series, Tally},
};
use crate::{
    segment::times_of,
    table::{Row, Table},
};

pub(crate) const HOUR_NS: u64 = 60 * 60 * 1_000_000_000;
/// What rollups hold, and how; another one makes all of them anew from the spans.
pub(crate) const VERSION: u32 = 1;
/// Names of spans of one service that a day's rollups tell apart; those beyond are one without name.
const MOST_NAMES: usize = 1_000;

/// The columns of `traces` and spans that rollups keep apart.
pub(crate) const KEYS: [Key; 9] = [
    Key::Word("service"),
    Key::Word("name"),
    Key::Word("llm_kind"),
    Key::Word("model"),
    Key::Word("model_requested"),
    Key::Word("status"),
    Key::Word("cause"),
    Key::Word("cost_currency"),
    Key::Root,
];

/// Columns of rollups that are added up, and their time.
pub(crate) const ROLLUP_SUMS: [&str; 20] = [
    "start_ns",
    "count",
    "errors",
    "duration_ns",
    "duration_max_ns",
    "durations",
    "ttft_ns",
    "ttft_max_ns",
    "ttfts",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
    "queue_ns",
    "load_ns",
    "prompt_eval_ns",
    "eval_ns",
    "timed_tokens",
    "timed_ns",
];

#[derive(Debug, Clone, Default)]
pub(crate) struct Rollup {
    /// When the hour began.
    pub(crate) start_ns: UnixNanos,
    pub(crate) service: Option<String>,
    /// `None` for those beyond [`MOST_NAMES`].
    pub(crate) name: Option<String>,
    pub(crate) llm_kind: Option<LlmKind>,
    pub(crate) model: Option<String>,
    pub(crate) model_requested: Option<String>,
    pub(crate) status: Option<Status>,
    pub(crate) cause: Option<Cause>,
    pub(crate) cost_currency: Option<String>,
    pub(crate) is_root: bool,
    pub(crate) sums: Sums,
}

impl Rollup {
    /// Columns of spans that rollups are made of.
    pub(crate) fn span_columns() -> Vec<&'static str> {
        let keys = KEYS.iter().map(|key| match key {
            Key::Word(column) => column,
            Key::Root => "parent_id",
        });
        let mut columns: Vec<_> = SPAN_COLUMNS.into_iter().chain(keys).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    fn new(start_ns: UnixNanos, by: &[Option<Arc<str>>], sums: Sums) -> Self {
        let word = |place: usize| by.get(place).and_then(|word| word.as_deref());
        let owned = |place| word(place).map(str::to_owned);
        Self {
            start_ns,
            service: owned(0),
            name: owned(1),
            llm_kind: named(word(2)),
            model: owned(3),
            model_requested: owned(4),
            status: named(word(5)),
            cause: named(word(6)),
            cost_currency: owned(7),
            is_root: word(8) == Some(ROOT),
            sums,
        }
    }
}

fn named<T: Named>(word: Option<&str>) -> Option<T> {
    word.and_then(T::from_name)
}

/// Makes rollups: of spans, or fewer of many.
pub(crate) struct Rolling {
    tally: Tally,
    /// Slots at which it is folded the next time.
    fold_at: usize,
}

/// So many groups are looked through for services with too many names, and as many again then.
const FOLD_SLOTS: usize = 20_000;

impl Rolling {
    pub(crate) fn new() -> Self {
        let tally = Tally::new(KEYS.to_vec(), Some(HOUR_NS), usize::MAX);
        Self { tally, fold_at: FOLD_SLOTS }
    }

    /// Adds the spans that began from `from_ns` on and before `to_ns`.
    pub(crate) fn add_spans(&mut self, batch: &RecordBatch, from_ns: UnixNanos, to_ns: UnixNanos) {
        let starts = times_of(batch, Table::Spans.time_column());
        let is_within = |row: &usize| {
            let start_ns = starts.map_or(0, |starts| starts.value(*row).unsigned_abs());
            (from_ns..to_ns).contains(&start_ns)
        };
        let rows: Vec<_> = (0..batch.num_rows()).filter(is_within).collect();
        self.tally.add_spans(batch, &rows);
        self.fold_when_large();
    }

    pub(crate) fn add_rollups(&mut self, batch: &RecordBatch) {
        self.tally.add_rollups(batch, &(0..batch.num_rows()).collect::<Vec<_>>());
        self.fold_when_large();
    }

    fn fold_when_large(&mut self) {
        if self.tally.slots() <= self.fold_at {
            return;
        }
        let series = std::mem::replace(self, Self::new()).series();
        self.tally = regrouped(&series);
        self.fold_at = FOLD_SLOTS.max(2 * self.tally.slots());
    }

    /// With at most [`MOST_NAMES`] names for each service.
    fn series(self) -> Vec<Series> {
        let (mut series, _) = self.tally.finish();
        let frequent = frequent_names(&series);
        for series in &mut series {
            let [service, name, ..] = series.by.as_mut_slice() else { continue };
            let is_kept = frequent.get(service).is_none_or(|names| names.contains(name));
            if !is_kept {
                *name = None;
            }
        }
        series
    }

    /// Those that come before the last service and hour, for rows that came in the order of the table.
    pub(crate) fn take_done(&mut self) -> Vec<Rollup> {
        let mut rollups = std::mem::replace(self, Self::new()).finish();
        let order = |rollup: &Rollup| (rollup.service.clone(), rollup.start_ns);
        let last = rollups.last().map(order);
        let done = rollups.partition_point(|rollup| Some(order(rollup)) < last);
        let rest = rollups.split_off(done);
        self.add_rollups(&Rollup::batch(&rest));
        rollups
    }

    /// In the order of the table, each group once for each hour.
    pub(crate) fn finish(self) -> Vec<Rollup> {
        let (series, _) = regrouped(&self.series()).finish();
        let mut rollups: Vec<_> = series
            .into_iter()
            .flat_map(|Series { by, points }| {
                let rollup = |(start_ns, sums)| Rollup::new(start_ns, &by, sums);
                points.into_iter().map(rollup).collect::<Vec<_>>()
            })
            .collect();
        rollups.sort_unstable_by(|one, other| {
            let order = |rollup: &Rollup| (rollup.service.clone(), rollup.start_ns);
            order(one).cmp(&order(other))
        });
        rollups
    }
}

/// Names that were taken away make one group of several.
fn regrouped(series: &[Series]) -> Tally {
    let mut tally = Tally::new(KEYS.to_vec(), Some(HOUR_NS), usize::MAX);
    for Series { by, points } in series {
        for (start_ns, sums) in points {
            tally.add_sums(by, *start_ns, sums);
        }
    }
    tally
}

type Word = Option<Arc<str>>;

/// Of each service that has too many names, those to keep.
fn frequent_names(series: &[Series]) -> HashMap<Word, HashSet<Word>> {
    let mut counts: HashMap<&Word, HashMap<&Word, u64>> = HashMap::new();
    for Series { by, points } in series {
        let [service, name, ..] = by.as_slice() else { continue };
        let spans: u64 = points.values().map(|sums| sums.count).sum();
        *counts.entry(service).or_default().entry(name).or_default() += spans;
    }
    let crowded = counts.into_iter().filter(|(_, names)| names.len() > MOST_NAMES);
    crowded
        .map(|(service, names)| {
            let mut names: Vec<_> = names.into_iter().collect();
            names.sort_unstable_by_key(|(name, spans)| (Reverse(*spans), *name));
            let kept = names.into_iter().take(MOST_NAMES).map(|(name, _)| name.clone()).collect();
            (service.clone(), kept)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use andon_model::{Span, TraceId};

    use super::*;

    fn named_span(service: &str, name: String) -> Span {
        let mut span = Span::new(TraceId::random(), service, name);
        (span.start_ns, span.duration_ns) = (5 * HOUR_NS + 7, 1_000);
        span
    }

    #[test]
    fn every_column_is_a_key_or_is_added_up() {
        let keys = KEYS.iter().map(|key| match key {
            Key::Word(column) => column,
            Key::Root => "is_root",
        });
        let mut named: Vec<_> = ROLLUP_SUMS.into_iter().chain(keys).collect();
        named.sort_unstable();
        let schema = Table::Rollups.schema();
        let mut columns: Vec<_> =
            schema.fields().iter().map(|field| field.name().as_str()).collect();
        columns.sort_unstable();
        assert_eq!(named, columns);
    }

    #[test]
    fn names_without_end_become_one_group_without_name() {
        let mut spans: Vec<_> = (0..MOST_NAMES * 2)
            .map(|number| named_span("crowded", format!("GET /item/{number}")))
            .collect();
        spans.extend((0..50).map(|_| named_span("crowded", "GET /".to_owned())));
        spans.push(named_span("calm", "GET /item/1".to_owned()));
        let mut rolling = Rolling::new();
        rolling.add_spans(&Span::batch(&spans), 0, UnixNanos::MAX);
        let rollups = rolling.finish();
        assert_eq!(rollups.len(), 1 + MOST_NAMES + 1);
        let count = |service: &str, name: Option<&str>| {
            let is_wanted = |rollup: &&Rollup| {
                rollup.service.as_deref() == Some(service) && rollup.name.as_deref() == name
            };
            rollups.iter().filter(is_wanted).map(|rollup| rollup.sums.count).sum::<u64>()
        };
        assert_eq!(count("crowded", Some("GET /")), 50);
        assert_eq!(count("crowded", None), MOST_NAMES as u64 + 1);
        assert_eq!(count("calm", Some("GET /item/1")), 1);
        assert!(rollups.iter().all(|rollup| rollup.start_ns == 5 * HOUR_NS));
    }
}
