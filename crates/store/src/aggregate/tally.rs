//! Rows put into groups: by the words that they have in common and by when they began.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use andon_model::UnixNanos;
use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::Int64Type,
};

use super::sums::{RollupSums, SpanSums, Sums};
use crate::{matching::words, table::Table};

/// What rows are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A column of words.
    Word(&'static str),
    /// Whether it is the top of its trace: [`ROOT`], or nothing.
    Root,
}

/// Stands in the place of a word for the top of a trace.
pub(crate) const ROOT: &str = "root";

/// A word among all of one tally; 0 is none.
type WordId = u32;

/// Sums of each group at each step of time.
pub(crate) struct Tally {
    keys: Vec<Key>,
    /// `None` puts all times together.
    step_ns: Option<u64>,
    words: Words,
    groups: HashMap<Box<[WordId]>, u32>,
    names: Vec<Box<[WordId]>>,
    slots: HashMap<(u32, UnixNanos), usize>,
    sums: Vec<Sums>,
    /// Slots that there may be; what is beyond goes to [`OTHERS`].
    most_slots: usize,
}

/// The group of what found no slot of its own.
const OTHERS: u32 = u32::MAX;

/// Words by their number.
#[derive(Default)]
struct Words {
    ids: HashMap<Arc<str>, WordId>,
    all: Vec<Arc<str>>,
}

impl Words {
    fn id(&mut self, word: &str) -> WordId {
        if let Some(id) = self.ids.get(word) {
            return *id;
        }
        let word: Arc<str> = word.into();
        self.all.push(Arc::clone(&word));
        let id = self.all.len() as WordId;
        self.ids.insert(word, id);
        id
    }

    fn word(&self, id: WordId) -> Option<&Arc<str>> {
        self.all.get((id as usize).checked_sub(1)?)
    }
}

/// One group, and its sums at each step that it has any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    /// In the order of the keys.
    pub(crate) by: Vec<Option<Arc<str>>>,
    pub(crate) points: BTreeMap<UnixNanos, Sums>,
}

impl Tally {
    pub(crate) fn new(keys: Vec<Key>, step_ns: Option<u64>, most_slots: usize) -> Self {
        Self {
            keys,
            step_ns,
            words: Words::default(),
            groups: HashMap::new(),
            names: Vec::new(),
            slots: HashMap::new(),
            sums: Vec::new(),
            most_slots,
        }
    }

    /// Adds these rows of a batch of spans.
    pub(crate) fn add_spans(&mut self, batch: &RecordBatch, rows: &[usize]) {
        let sums = SpanSums::of(batch);
        self.add(batch, rows, |own, row| sums.add_to(own, row));
    }

    /// Adds these rows of a batch of rollups.
    pub(crate) fn add_rollups(&mut self, batch: &RecordBatch, rows: &[usize]) {
        let sums = RollupSums::of(batch);
        self.add(batch, rows, |own, row| sums.add_to(own, row));
    }

    fn add(
        &mut self,
        batch: &RecordBatch,
        rows: &[usize],
        mut add_to: impl FnMut(&mut Sums, usize),
    ) {
        let ids = self.ids_of(batch);
        let starts = batch.column_by_name(Table::Spans.time_column());
        let starts = starts.and_then(|starts| starts.as_primitive_opt::<Int64Type>());
        // Rows come sorted: most belong where the one before did.
        let (mut of_row, mut last) = (vec![0; ids.len()], None);
        for row in rows {
            let start_ns = starts.map_or(0, |starts| starts.value(*row).unsigned_abs());
            let step = self.step_of(start_ns);
            // Not by comparing slices: that calls a function, which is slow on empty ones.
            let is_same = of_row.iter().zip(&ids).all(|(id, column)| *id == column[*row]);
            let slot = match last {
                Some((at, slot)) if is_same && at == step => slot,
                _ => {
                    of_row.iter_mut().zip(&ids).for_each(|(id, column)| *id = column[*row]);
                    self.slot(&of_row, step)
                }
            };
            last = Some((step, slot));
            add_to(&mut self.sums[slot], *row);
        }
    }

    /// Adds what is known of a group.
    pub(crate) fn add_sums(&mut self, by: &[Option<Arc<str>>], start_ns: UnixNanos, sums: &Sums) {
        let id = |word: &Option<Arc<str>>| word.as_deref().map_or(0, |word| self.words.id(word));
        let ids: Vec<_> = by.iter().map(id).collect();
        let slot = self.slot(&ids, self.step_of(start_ns));
        self.sums[slot].merge(sums);
    }

    /// Adds all of another one with the same keys and the same step.
    pub(crate) fn merge(&mut self, other: Self) {
        let (series, others) = other.finish();
        for Series { by, points } in series {
            points.iter().for_each(|(start_ns, sums)| self.add_sums(&by, *start_ns, sums));
        }
        for (step, sums) in others.into_iter().flat_map(|others| others.points) {
            let slot = self.slot_of_others(step);
            self.sums[slot].merge(&sums);
        }
    }

    fn step_of(&self, start_ns: UnixNanos) -> UnixNanos {
        self.step_ns.map_or(0, |step_ns| start_ns - start_ns % step_ns)
    }

    /// For each key the word of each row.
    fn ids_of(&mut self, batch: &RecordBatch) -> Vec<Vec<WordId>> {
        let Self { keys, words: known, .. } = self;
        let of_key = |key: &Key| match key {
            Key::Word(column) => word_ids(batch, column, known),
            Key::Root => {
                let root = known.id(ROOT);
                tops(batch).into_iter().map(|is_top| if is_top { root } else { 0 }).collect()
            }
        };
        keys.iter().map(of_key).collect()
    }

    fn slot(&mut self, ids: &[WordId], step: UnixNanos) -> usize {
        let is_full = self.sums.len() >= self.most_slots;
        let group = match self.groups.get(ids) {
            Some(group) => *group,
            None if is_full => OTHERS,
            None => {
                let group = self.names.len() as u32;
                self.names.push(ids.into());
                self.groups.insert(ids.into(), group);
                group
            }
        };
        if let Some(slot) = self.slots.get(&(group, step)) {
            return *slot;
        }
        if is_full { self.slot_of_others(step) } else { self.new_slot(group, step) }
    }

    fn slot_of_others(&mut self, step: UnixNanos) -> usize {
        let known = self.slots.get(&(OTHERS, step)).copied();
        known.unwrap_or_else(|| self.new_slot(OTHERS, step))
    }

    fn new_slot(&mut self, group: u32, step: UnixNanos) -> usize {
        self.sums.push(Sums::default());
        self.slots.insert((group, step), self.sums.len() - 1);
        self.sums.len() - 1
    }

    /// Memory, about.
    pub(crate) fn weight(&self) -> usize {
        self.sums.iter().map(Sums::weight).sum()
    }

    pub(crate) fn slots(&self) -> usize {
        self.sums.len()
    }

    /// All groups, in no order, and what found no place in one.
    pub(crate) fn finish(self) -> (Vec<Series>, Option<Series>) {
        let Self { words, names, slots, mut sums, .. } = self;
        let named = |ids: &[WordId]| Series {
            by: ids.iter().map(|id| words.word(*id).cloned()).collect(),
            points: BTreeMap::new(),
        };
        let mut series: Vec<_> = names.iter().map(|ids| named(ids)).collect();
        let mut others: Option<Series> = None;
        for ((group, step), slot) in slots {
            let own = std::mem::take(&mut sums[slot]);
            let series = match series.get_mut(group as usize) {
                Some(series) => series,
                None => others.get_or_insert_default(),
            };
            series.points.insert(step, own);
        }
        (series, others)
    }
}

fn word_ids(batch: &RecordBatch, column: &str, known: &mut Words) -> Vec<WordId> {
    let Some((words, values)) = words(batch, column)
        .and_then(|words| Some((words, words.values().as_string_opt::<i32>()?)))
    else {
        return vec![0; batch.num_rows()];
    };
    // A dictionary may hold more words than occur.
    let mut ids: Vec<Option<WordId>> = vec![None; values.len()];
    let mut id_of = |key: i32| {
        let id = ids.get_mut(key as usize)?;
        Some(*id.get_or_insert_with(|| known.id(values.value(key as usize))))
    };
    words.keys().iter().map(|key| key.and_then(&mut id_of).unwrap_or(0)).collect()
}

/// For each row, of spans or of rollups, whether it is the top of its trace.
pub(crate) fn tops(batch: &RecordBatch) -> Vec<bool> {
    if let Some(parents) = batch.column_by_name("parent_id") {
        return (0..batch.num_rows()).map(|row| parents.is_null(row)).collect();
    }
    let tops = batch.column_by_name("is_root").and_then(|tops| tops.as_boolean_opt());
    let is_top = |row| tops.is_some_and(|tops| tops.is_valid(row) && tops.value(row));
    (0..batch.num_rows()).map(is_top).collect()
}
