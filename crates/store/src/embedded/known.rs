//! Rows that come in once more. A span that is known is not taken again; a text or an evaluation has
//! no such memory, and is looked for before it is sent.

use std::{collections::HashSet, hash::Hash, ops::ControlFlow};

use andon_model::{Content, Evaluation, UnixNanos};

use super::EmbeddedStore;
use crate::{segment::Visit, table::Row};

impl EmbeddedStore {
    /// The texts of which none is kept for their span, part and place.
    pub fn unknown_contents(&self, contents: Vec<Content>) -> Vec<Content> {
        let columns = ["trace_id", "span_id", "time_ns", "part", "idx"];
        let key = |one: &Content| (one.trace_id, one.span_id, one.part, one.idx);
        self.unknown(contents, &columns, |one| one.time_ns, key)
    }

    /// The evaluations of which none is kept for their span, time and evaluator.
    pub fn unknown_evaluations(&self, evaluations: Vec<Evaluation>) -> Vec<Evaluation> {
        let columns = ["trace_id", "span_id", "time_ns", "evaluator"];
        let key =
            |one: &Evaluation| (one.trace_id, one.span_id, one.time_ns, one.evaluator.clone());
        self.unknown(evaluations, &columns, |one| one.time_ns, key)
    }

    /// The same row comes with the same time: only what is kept of these times is read.
    fn unknown<R: Row, K: Eq + Hash>(
        &self,
        mut rows: Vec<R>,
        columns: &[&str],
        time: fn(&R) -> UnixNanos,
        key: fn(&R) -> K,
    ) -> Vec<R> {
        let times = rows.iter().map(time);
        let (Some(from_ns), Some(to_ns)) = (times.clone().min(), times.max()) else { return rows };
        let snapshot = self.shared.snapshot(R::TABLE);
        let mut known: HashSet<K> = HashSet::new();
        for batch in &snapshot.hot {
            known.extend(R::read_all(batch).iter().map(key));
        }
        let segments = snapshot.segments.iter();
        for segment in segments.filter(|segment| segment.info.table == R::TABLE) {
            if !segment.info.overlaps(from_ns, to_ns) {
                continue;
            }
            let is_near = move |time_ns| (from_ns..=to_ns).contains(&time_ns);
            let visit = Visit::between(from_ns, to_ns).columns(columns).at(is_near);
            let read = segment.visit(visit, &mut |batch| {
                known.extend(R::read_all(batch).iter().map(key));
                ControlFlow::Continue(())
            });
            if let Err(error) = read {
                self.shared.note_unreadable(&error);
            }
        }
        rows.retain(|row| known.insert(key(row)));
        rows
    }
}
