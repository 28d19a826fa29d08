//! Rows of one table that are in the log and not yet in a segment.

use std::collections::BTreeSet;

use arrow::{
    array::{BooleanArray, RecordBatch},
    compute::filter_record_batch,
};

use crate::table::Row;

/// Rows that are packed into columns together. Fewer take more memory as columns than as they are.
const CHUNK_ROWS: usize = 1_024;

/// The full chunks are columns; the newest rows are not yet.
#[derive(Debug)]
pub(crate) struct Buffer<R> {
    chunks: Vec<RecordBatch>,
    tail: Vec<R>,
    /// Places of rows that were sent again; the later one counts.
    replaced: BTreeSet<u32>,
    chunk_bytes: usize,
    tail_bytes: usize,
}

impl<R> Default for Buffer<R> {
    fn default() -> Self {
        let (chunks, tail, replaced) = Default::default();
        Self { chunks, tail, replaced, chunk_bytes: 0, tail_bytes: 0 }
    }
}

impl<R: Row> Buffer<R> {
    /// The place of the row, by which it is found again.
    pub(crate) fn push(&mut self, row: R) -> u32 {
        let place = self.next_place();
        self.tail_bytes += row.weight();
        self.tail.push(row);
        if self.tail.len() == CHUNK_ROWS {
            let chunk = R::batch(&self.tail);
            self.chunk_bytes += chunk.get_array_memory_size();
            self.chunks.push(chunk);
            self.tail.clear();
            self.tail_bytes = 0;
        }
        place
    }

    pub(crate) fn next_place(&self) -> u32 {
        (self.chunks.len() * CHUNK_ROWS + self.tail.len()) as u32
    }

    /// The row at this place does not count any more.
    pub(crate) fn replace(&mut self, place: u32) {
        self.replaced.insert(place);
    }

    pub(crate) fn rows_at(&self, places: &[u32]) -> Vec<R> {
        let mut rows = Vec::with_capacity(places.len());
        for place in places {
            let (chunk, row) = (*place as usize / CHUNK_ROWS, *place as usize % CHUNK_ROWS);
            match self.chunks.get(chunk) {
                Some(chunk) => rows.extend(R::read(chunk, &[row])),
                None => rows.extend(self.tail.get(row).cloned()),
            }
        }
        rows
    }

    /// All rows that count.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        let tail = (!self.tail.is_empty()).then(|| R::batch(&self.tail));
        let batches = self.chunks.iter().cloned().chain(tail);
        if self.replaced.is_empty() {
            return batches.collect();
        }
        let alive = |number: usize, batch: &RecordBatch| {
            let first = number * CHUNK_ROWS;
            let is_alive = |row| Some(!self.replaced.contains(&((first + row) as u32)));
            (0..batch.num_rows()).map(is_alive).collect::<BooleanArray>()
        };
        batches
            .enumerate()
            .filter_map(|(number, batch)| filter_record_batch(&batch, &alive(number, &batch)).ok())
            .collect()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.chunk_bytes + self.tail_bytes
    }

    /// Rows that count.
    pub(crate) fn len(&self) -> usize {
        self.chunks.len() * CHUNK_ROWS + self.tail.len() - self.replaced.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use andon_model::{Span, TraceId};

    use super::*;

    #[test]
    fn rows_are_found_by_place_and_replaced_ones_are_left_out() {
        let mut buffer = Buffer::default();
        let rows = CHUNK_ROWS + 10;
        let spans: Vec<_> = (0..rows)
            .map(|number| Span::new(TraceId::random(), "service", number.to_string()))
            .collect();
        let places: Vec<_> = spans.iter().map(|span| buffer.push(span.clone())).collect();
        assert_eq!(buffer.rows_at(&places), spans);
        buffer.replace(3);
        buffer.replace(CHUNK_ROWS as u32 + 1);
        let kept: Vec<_> = buffer.batches().iter().flat_map(Span::read_all).collect();
        assert_eq!(kept.len(), buffer.len());
        let expected = spans
            .iter()
            .enumerate()
            .filter(|(place, _)| ![3, CHUNK_ROWS + 1].contains(place))
            .map(|(_, span)| span.clone());
        assert!(kept.into_iter().eq(expected));
    }
}
