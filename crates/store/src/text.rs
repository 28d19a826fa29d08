//! Looking for words in what was kept of prompts and answers, newest first.

use std::{
    collections::HashSet,
    ops::{ControlFlow, RangeInclusive},
    sync::Arc,
    time::Instant,
};

use andon_model::{Content, TraceId, UnixNanos};
use andon_search::fold;
use arrow::array::{AsArray, RecordBatch};

use crate::{
    StoreError,
    segment::{Segment, times_of},
    table::{Row as _, Table},
};

/// Traces that have a text with all of the words.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) traces: HashSet<TraceId>,
    /// There may be more, in older texts.
    pub(crate) is_partial: bool,
}

impl Found {
    /// Those that both searches found.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.traces.retain(|id| other.traces.contains(id));
        self.is_partial |= other.is_partial;
        self
    }
}

/// One search: which words, in which time, and when it is to end.
pub(crate) struct Search {
    /// Folded; a text must hold them all.
    pub(crate) words: Vec<String>,
    pub(crate) time: RangeInclusive<UnixNanos>,
    /// Traces that are enough.
    pub(crate) most: usize,
    pub(crate) deadline: Instant,
}

impl Search {
    /// Memory first, then segments, the newest first. One that cannot be read is passed to `failed`.
    pub(crate) fn run(
        &self,
        hot: &[RecordBatch],
        segments: &[Arc<Segment>],
        failed: &mut dyn FnMut(StoreError),
    ) -> Found {
        let mut found = Found::default();
        for batch in hot {
            self.add(batch, &mut found);
        }
        let mut segments: Vec<_> = segments
            .iter()
            .filter(|segment| {
                segment.info.table == Table::Contents
                    && segment.info.overlaps(*self.time.start(), *self.time.end())
            })
            .collect();
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.info.to_ns));
        for segment in segments {
            if self.is_enough(&found) {
                found.is_partial = true;
                break;
            }
            let read = segment.visit_blocks(&self.words, &mut |batch| {
                if self.is_enough(&found) {
                    found.is_partial = true;
                    return ControlFlow::Break(());
                }
                self.add(batch, &mut found);
                ControlFlow::Continue(())
            });
            if let Err(error) = read {
                failed(error);
            }
        }
        found
    }

    fn is_enough(&self, found: &Found) -> bool {
        found.traces.len() >= self.most || Instant::now() >= self.deadline
    }

    fn add(&self, batch: &RecordBatch, found: &mut Found) {
        let texts = batch.column_by_name("text").and_then(|texts| texts.as_string_opt::<i32>());
        let times = times_of(batch, Table::Contents.time_column());
        let (Some(texts), Some(times)) = (texts, times) else { return };
        let holds = |place: &usize| {
            let time_ns = times.value(*place).unsigned_abs();
            if !self.time.contains(&time_ns) {
                return false;
            }
            let text = fold(texts.value(*place));
            self.words.iter().all(|word| text.contains(word))
        };
        let places: Vec<_> = (0..batch.num_rows()).filter(holds).collect();
        let rows = Content::read(batch, &places);
        found.traces.extend(rows.into_iter().map(|content| content.trace_id));
    }
}
