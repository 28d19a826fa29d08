//! Several sorted segments made one, in bounded memory: first the keys of all rows tell in which
//! order the rows come, then the rows follow, a few thousand at a time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::interleave_record_batch,
    datatypes::{Int32Type, Int64Type},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::{Guarded, Segment, SegmentInfo, Visit, Writer, write::in_columns_of};
use crate::{
    StoreError,
    aggregate::{Rolling, Rollup},
    table::{Row as _, Table},
};

/// Rows that are written at a time.
const OUT_ROWS: usize = 4_096;
/// Rows of all inputs together that are held decoded, and their bytes, about.
const HELD_ROWS: usize = 8_192;
const HELD_BYTES: u64 = 16 * 1024 * 1024;

/// Writes the rows of all segments, which are of one table, in its order; rollups of the same hour
/// and group become one. `pause` is called now and then, so that the caller can give way; when it
/// says so, nothing more is written.
pub(crate) fn merge(
    segments: &[Arc<Segment>],
    writer: Writer,
    pause: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<SegmentInfo>, StoreError> {
    let mut keys = Vec::with_capacity(segments.len());
    for segment in segments {
        keys.push(Keys::of(segment)?);
    }
    let count = segments.len().max(1);
    let held = (HELD_ROWS / count).clamp(256, OUT_ROWS);
    let inputs =
        segments.iter().map(|segment| Input::open(segment, held, HELD_BYTES / count as u64));
    let mut inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    // Of large rows fewer are written at a time: those on their way are held besides.
    let out_rows = inputs.iter().map(|input| input.batch_rows).min().unwrap_or(1) * count;
    let out_rows = out_rows.min(OUT_ROWS);
    let mut gathering = Gathering::new(inputs.len());
    let mut out = Out::new(writer);
    let mut order = Order::of(&keys);
    while let Some(input) = order.next(&keys) {
        let (row, fresh) = inputs[input].next_row()?;
        gathering.add(input, row, fresh, &inputs[input]);
        if gathering.rows.len() >= out_rows {
            out.write(&gathering.take()?)?;
            if pause().is_break() {
                out.writer.discard();
                return Ok(None);
            }
        }
    }
    if !gathering.rows.is_empty() {
        out.write(&gathering.take()?)?;
    }
    out.finish().map(Some)
}

/// Where the rows go, which come in order.
struct Out {
    writer: Writer,
    /// Rollups that may have more of their hour and group to come.
    rolling: Option<Rolling>,
}

impl Out {
    fn new(writer: Writer) -> Self {
        let rolling = (writer.table() == Table::Rollups).then(Rolling::new);
        Self { writer, rolling }
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let Some(rolling) = &mut self.rolling else { return self.writer.write(batch) };
        rolling.add_rollups(batch);
        let done = rolling.take_done();
        if done.is_empty() { Ok(()) } else { self.writer.write(&Rollup::batch(&done)) }
    }

    fn finish(mut self) -> Result<SegmentInfo, StoreError> {
        let rest = self.rolling.take().map(Rolling::finish).unwrap_or_default();
        if !rest.is_empty() {
            self.writer.write(&Rollup::batch(&rest))?;
        }
        self.writer.finish()
    }
}

/// What the rows of a segment are sorted by: a rank of the word, where there is one, and a time.
struct Keys {
    words: Vec<Box<str>>,
    /// For each row the place of its word.
    word: Vec<u32>,
    time: Vec<i64>,
}

impl Keys {
    fn of(segment: &Segment) -> Result<Self, StoreError> {
        let columns = segment.info.table.sort_columns();
        let mut keys = Self { words: Vec::new(), word: Vec::new(), time: Vec::new() };
        segment.visit(Visit::all().columns(columns), &mut |batch| {
            keys.add(batch, columns);
            ControlFlow::Continue(())
        })?;
        Ok(keys)
    }

    fn add(&mut self, batch: &RecordBatch, columns: &[&str]) {
        for column in columns {
            let Some(array) = batch.column_by_name(column) else { continue };
            if let Some(times) = array.as_primitive_opt::<Int64Type>() {
                self.time.extend(times.values());
            } else if let Some(words) = array.as_dictionary_opt::<Int32Type>()
                && let Some(values) = words.values().as_string_opt::<i32>()
            {
                for key in words.keys() {
                    let word = key.map_or("", |key| values.value(key as usize));
                    self.add_word(word);
                }
            }
        }
    }

    /// Rows come sorted: a word is that of the row before, or a new one.
    fn add_word(&mut self, word: &str) {
        if self.words.last().is_none_or(|last| **last != *word) {
            self.words.push(word.into());
        }
        self.word.push(self.words.len() as u32 - 1);
    }

    fn at(&self, row: usize) -> Option<(&str, i64)> {
        let time = *self.time.get(row)?;
        let word = self.word.get(row).and_then(|word| self.words.get(*word as usize));
        Some((word.map_or("", |word| word), time))
    }
}

/// Which input the next row comes from.
struct Order<'a> {
    /// The smallest on top; equal ones in the order of the inputs.
    heads: BinaryHeap<Reverse<(&'a str, i64, usize)>>,
    next: Vec<usize>,
}

impl<'a> Order<'a> {
    fn of(keys: &'a [Keys]) -> Self {
        let heads = keys.iter().enumerate().filter_map(|(input, keys)| {
            let (word, time) = keys.at(0)?;
            Some(Reverse((word, time, input)))
        });
        Self { heads: heads.collect(), next: vec![1; keys.len()] }
    }

    fn next(&mut self, keys: &'a [Keys]) -> Option<usize> {
        let mut top = self.heads.peek_mut()?;
        let input = top.0.2;
        let row = self.next[input];
        self.next[input] += 1;
        match keys[input].at(row) {
            Some((word, time)) => top.0 = (word, time, input),
            None => {
                PeekMut::pop(top);
            }
        }
        Some(input)
    }
}

/// A segment that is read from its first row to its last.
struct Input {
    reader: Guarded<ParquetRecordBatchReader>,
    table: Table,
    path: PathBuf,
    batch_rows: usize,
    batch: Option<RecordBatch>,
    next: usize,
}

impl Input {
    fn open(segment: &Segment, most_rows: usize, bytes: u64) -> Result<Self, StoreError> {
        let (reader, batch_rows) = segment.read_through(most_rows, bytes)?;
        let (table, path) = (segment.info.table, segment.path.clone());
        Ok(Self { reader, table, path, batch_rows, batch: None, next: 0 })
    }

    /// The place of the next row in [`Self::batch`], and whether that is another one than before.
    fn next_row(&mut self) -> Result<(usize, bool), StoreError> {
        let is_spent = self.batch.as_ref().is_none_or(|batch| self.next >= batch.num_rows());
        if is_spent {
            let read = self.reader.next().ok_or_else(|| StoreError::Damaged {
                file: self.path.display().to_string(),
                reason: "it ends too early".to_owned(),
            })?;
            // Another version may have written it.
            self.batch = Some(in_columns_of(self.table, &read?)?);
            self.next = 0;
        }
        self.next += 1;
        Ok((self.next - 1, is_spent))
    }
}

/// Rows on their way out.
struct Gathering {
    /// The batches that the rows are in.
    batches: Vec<RecordBatch>,
    /// Of each input, its latest among them.
    latest: Vec<Option<usize>>,
    /// Batch and place of each row.
    rows: Vec<(usize, usize)>,
}

impl Gathering {
    fn new(inputs: usize) -> Self {
        Self { batches: Vec::new(), latest: vec![None; inputs], rows: Vec::with_capacity(OUT_ROWS) }
    }

    fn add(&mut self, input: usize, row: usize, is_fresh: bool, from: &Input) {
        let latest = &mut self.latest[input];
        let batch = match *latest {
            Some(batch) if !is_fresh => batch,
            _ => {
                self.batches.extend(from.batch.clone());
                *latest.insert(self.batches.len().saturating_sub(1))
            }
        };
        self.rows.push((batch, row));
    }

    fn take(&mut self) -> Result<RecordBatch, StoreError> {
        let batches: Vec<_> = self.batches.iter().collect();
        let taken = interleave_record_batch(&batches, &self.rows);
        self.batches.clear();
        self.latest.fill(None);
        self.rows.clear();
        taken.map_err(|error| StoreError::Encode(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use andon_model::{Span, TraceId};
    use proptest::prelude::*;

    use super::*;
    use crate::segment::{Origin, sorted};

    const ORIGIN: Origin<'_> = Origin { log_through: 0, created_ns: 0, replaces: &[] };

    fn write(folder: &std::path::Path, id: u64, spans: &[Span]) -> Arc<Segment> {
        let mut writer = Writer::create(folder, Table::Spans, id, ORIGIN).unwrap();
        writer.write(&sorted(Table::Spans, &[Span::batch(spans)]).unwrap()).unwrap();
        Arc::new(Segment::new(writer.finish().unwrap(), folder))
    }

    fn read(segment: &Segment) -> Vec<Span> {
        segment
            .read_through(100, u64::MAX)
            .unwrap()
            .0
            .flat_map(|batch| Span::read_all(&batch.unwrap()))
            .collect()
    }

    fn key(span: &Span) -> (String, u64) {
        (span.service.clone(), span.start_ns)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn all_rows_are_there_once_and_in_order(
            inputs in proptest::collection::vec(
                proptest::collection::vec((0..5_u8, 0..50_u64), 1..300), 1..5,
            ),
        ) {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("spans")).unwrap();
            let mut all = Vec::new();
            let mut segments = Vec::new();
            for (id, rows) in inputs.iter().enumerate() {
                let spans: Vec<_> = rows
                    .iter()
                    .map(|(service, start_ns)| {
                        let mut span = Span::new(TraceId::random(), format!("s{service}"), "name");
                        span.start_ns = *start_ns;
                        span.attributes.set("andon.turn", *start_ns);
                        span
                    })
                    .collect();
                segments.push(write(folder.path(), id as u64, &spans));
                all.extend(spans);
            }
            let writer = Writer::create(folder.path(), Table::Spans, 99, ORIGIN).unwrap();
            let merged = merge(&segments, writer, &mut || ControlFlow::Continue(())).unwrap();
            let mut rows = read(&Segment::new(merged.unwrap(), folder.path()));
            prop_assert!(rows.is_sorted_by_key(key));
            let by_id = |span: &Span| span.span_id;
            rows.sort_by_key(by_id);
            all.sort_by_key(by_id);
            prop_assert_eq!(rows, all);
        }
    }

    #[test]
    fn what_is_stopped_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("spans")).unwrap();
        let spans: Vec<_> =
            (0..OUT_ROWS + 1).map(|_| Span::new(TraceId::random(), "a", "b")).collect();
        let segments = [write(folder.path(), 1, &spans), write(folder.path(), 2, &spans)];
        let writer = Writer::create(folder.path(), Table::Spans, 99, ORIGIN).unwrap();
        let merged = merge(&segments, writer, &mut || ControlFlow::Break(())).unwrap();
        assert_eq!(merged, None);
        assert_eq!(std::fs::read_dir(folder.path().join("spans")).unwrap().count(), 2);
    }
}
