//! Looking for traces by the attributes of their spans, newest first. There is no index of them: a
//! search that takes too long ends, and says so.

use std::{ops::ControlFlow, ops::RangeInclusive, sync::Arc, time::Instant};

use andon_model::UnixNanos;
use arrow::array::RecordBatch;

use crate::{
    Filter, StoreError,
    matching::Matching,
    segment::{Segment, Visit},
    table::Table,
    text::Found,
};

/// One search: which attributes one span is to have, in which time, and when it is to end.
pub(crate) struct AttributeSearch {
    /// Of terms about attributes alone.
    pub(crate) filter: Filter,
    pub(crate) time: RangeInclusive<UnixNanos>,
    /// Traces that are enough.
    pub(crate) most: usize,
    pub(crate) deadline: Instant,
}

const COLUMNS: [&str; 3] = ["start_ns", "trace_id", "attributes"];

impl AttributeSearch {
    /// Memory first, then segments, the newest first. One that cannot be read is passed to `failed`.
    pub(crate) fn run(
        &self,
        hot: &[RecordBatch],
        segments: &[Arc<Segment>],
        failed: &mut dyn FnMut(StoreError),
    ) -> Found {
        let mut found = Found::default();
        hot.iter().for_each(|batch| self.add(batch, &mut found));
        let (from_ns, to_ns) = (*self.time.start(), *self.time.end());
        let is_asked = |segment: &&Arc<Segment>| {
            segment.info.table == Table::Spans && segment.info.overlaps(from_ns, to_ns)
        };
        let mut segments: Vec<_> = segments.iter().filter(is_asked).collect();
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.info.to_ns));
        for segment in segments {
            let visit = Visit::between(from_ns, to_ns).columns(&COLUMNS);
            let read = segment.visit(visit, &mut |batch| {
                if found.traces.len() >= self.most || Instant::now() >= self.deadline {
                    found.is_partial = true;
                    return ControlFlow::Break(());
                }
                self.add(batch, &mut found);
                ControlFlow::Continue(())
            });
            if let Err(error) = read {
                failed(error);
            }
            if found.is_partial {
                break;
            }
        }
        found
    }

    fn add(&self, batch: &RecordBatch, found: &mut Found) {
        let matching = Matching::of(batch, &self.filter);
        let is_wanted =
            |row: &usize| self.time.contains(&matching.start_ns(*row)) && matching.matches(*row);
        let rows = (0..batch.num_rows()).filter(is_wanted);
        found.traces.extend(rows.filter_map(|row| matching.trace_id(row)));
    }
}
