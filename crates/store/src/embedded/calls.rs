//! Calls to models of a time, one after the other: for questions that are about each of them and not
//! about sums.

use std::{ops::ControlFlow, sync::Arc};

use andon_model::Span;
use arrow::array::RecordBatch;

use super::Shared;
use crate::{
    CallQuery, StoreError,
    matching::rows_where,
    segment::{Visit, times_of},
    table::{Row, Table},
};

/// What is read of a call: where its time went, and what it asked for.
const COLUMNS: [&str; 22] = [
    "start_ns",
    "duration_ns",
    "service",
    "llm_kind",
    "status",
    "provider",
    "model",
    "model_requested",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "queue_ns",
    "load_ns",
    "prompt_eval_ns",
    "ttft_ns",
    "eval_ns",
    "stall_ns",
    "context_length",
    "cause",
    "session_id",
    "source",
    "attributes",
];

impl Shared {
    pub(super) fn visit_calls(
        &self,
        query: &CallQuery,
        take: &mut dyn FnMut(Span),
    ) -> Result<bool, StoreError> {
        let Some(last_ns) = query.to_ns.checked_sub(1) else { return Ok(false) };
        let (hot, segments) = {
            let state = self.read();
            (state.hot.batches(Table::Spans), Arc::clone(&state.segments))
        };
        let mut has_failed = false;
        for segment in segments.iter().filter(|segment| {
            segment.info.table == Table::Spans && segment.info.overlaps(query.from_ns, last_ns)
        }) {
            query.interrupt.check()?;
            let visit = Visit::between(query.from_ns, last_ns).columns(&COLUMNS);
            let read = segment.visit(visit, &mut |batch| {
                hand_out(batch, query, take);
                match query.interrupt.is_raised() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            if let Err(error) = read {
                self.note_unreadable(&error);
                has_failed = true;
            }
        }
        hot.iter().for_each(|batch| hand_out(batch, query, take));
        query.interrupt.check()?;
        Ok(has_failed)
    }
}

fn hand_out(batch: &RecordBatch, query: &CallQuery, take: &mut dyn FnMut(Span)) {
    let Some(times) = times_of(batch, Table::Spans.time_column()) else { return };
    let is_call = rows_where(batch, "llm_kind", |kind| !kind.is_empty());
    let is_wanted = |row: &usize| {
        let time_ns = times.value(*row).unsigned_abs();
        is_call[*row] && (query.from_ns..query.to_ns).contains(&time_ns)
    };
    let rows: Vec<_> = (0..batch.num_rows()).filter(is_wanted).collect();
    Span::read(batch, &rows).into_iter().for_each(take);
}
