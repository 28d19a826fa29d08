//! How a segment is read: the rows of one trace, or the rows of a time.

use std::{fmt::Display, fs::File, ops::ControlFlow};

use andon_model::{TraceId, UnixNanos};
use arrow::{
    array::{AsArray, BooleanArray, Int64Array, RecordBatch},
    datatypes::Int64Type,
    error::ArrowError,
};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
            ParquetRecordBatchReaderBuilder, RowFilter, RowSelection, RowSelector,
        },
    },
    bloom_filter::Sbbf,
    file::{
        metadata::{PageIndexPolicy, ParquetMetaData},
        statistics::Statistics,
    },
};

use super::{
    Guarded, Segment, Suspicion,
    grams::{self, BLOCK_ROWS},
    guard,
    host::{HOST, rows_of_host},
};
use crate::{StoreError, table::Row};

/// Rows that are decoded at a time, and their bytes, about: four thousand texts of a megabyte would be
/// more memory than there is.
const BATCH_ROWS: usize = 4_096;
const BATCH_BYTES: u64 = 32 * 1024 * 1024;
/// Fewer make no sense, however large they are.
const FEWEST_ROWS: usize = 16;

/// Which rows and columns of a segment are wanted.
pub(crate) struct Visit<'a> {
    from_ns: UnixNanos,
    to_ns: UnixNanos,
    columns: Option<&'a [&'a str]>,
    at: Option<Box<dyn FnMut(UnixNanos) -> bool + Send>>,
    /// Only asked about with `at`.
    host: Option<Option<String>>,
}

impl<'a> Visit<'a> {
    pub(crate) fn all() -> Self {
        Self::between(0, UnixNanos::MAX)
    }

    /// Leaves out groups of rows that are altogether outside of this time; both ends are in it.
    pub(crate) fn between(from_ns: UnixNanos, to_ns: UnixNanos) -> Self {
        Self { from_ns, to_ns, columns: None, at: None, host: None }
    }

    pub(crate) fn columns(self, columns: &'a [&'a str]) -> Self {
        Self { columns: Some(columns), ..self }
    }

    /// Only rows of a time that `is_wanted`, which is asked in the order of the file.
    pub(crate) fn at(self, is_wanted: impl FnMut(UnixNanos) -> bool + Send + 'static) -> Self {
        Self { at: Some(Box::new(is_wanted)), ..self }
    }

    /// As [`at`](Self::at), among the samples of one machine.
    pub(crate) fn of_host_at(
        self,
        host: Option<&str>,
        is_wanted: impl FnMut(UnixNanos) -> bool + Send + 'static,
    ) -> Self {
        Self { host: Some(host.map(str::to_owned)), ..self.at(is_wanted) }
    }
}

impl Segment {
    /// The rows of one trace; none, quickly, of a trace that is not in here.
    pub(crate) fn rows_of<R: Row>(&self, id: TraceId) -> Result<Vec<R>, StoreError> {
        let groups = self.groups_of(id)?;
        let mut rows = Vec::new();
        if groups.is_empty() {
            return Ok(rows);
        }
        let builder = self.builder()?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["trace_id"]);
        let wanted = *id.as_bytes();
        let is_wanted = ArrowPredicateFn::new(mask, move |batch: RecordBatch| {
            let Some(ids) = batch.column(0).as_fixed_size_binary_opt() else {
                return Err(ArrowError::SchemaError("trace_id is of another type".to_owned()));
            };
            Ok(ids.iter().map(|id| Some(id == Some(&wanted[..]))).collect::<BooleanArray>())
        });
        let builder = builder
            .with_row_groups(groups)
            .with_row_filter(RowFilter::new(vec![Box::new(is_wanted)]));
        for batch in self.batches(builder)? {
            rows.extend(R::read_all(&batch?));
        }
        Ok(rows)
    }

    /// Whether the trace can be in here. Now and then it can, and is not.
    pub(crate) fn may_hold(&self, id: TraceId) -> Result<bool, StoreError> {
        self.with_filters(|filters| filters.iter().any(|filter| filter.check(&id.as_bytes()[..])))
    }

    /// Hands out rows in the order of the file, until `take` has had enough.
    pub(crate) fn visit(
        &self,
        visit: Visit<'_>,
        take: &mut dyn FnMut(&RecordBatch) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let builder = self.builder()?;
        let groups = self.groups_between(&builder, &visit);
        let schema = builder.parquet_schema();
        let mask = match visit.columns {
            Some(columns) => ProjectionMask::columns(schema, columns.iter().copied()),
            None => ProjectionMask::all(),
        };
        let time_column = self.info.table.time_column();
        let time_mask = match visit.host {
            Some(_) => ProjectionMask::columns(schema, [time_column, HOST]),
            None => ProjectionMask::columns(schema, [time_column]),
        };
        let mut builder = builder.with_row_groups(groups).with_projection(mask);
        if let Some(mut is_wanted) = visit.at {
            let by_time = ArrowPredicateFn::new(time_mask, move |batch: RecordBatch| {
                let times = times_of(&batch, time_column).into_iter().flat_map(Int64Array::values);
                let among =
                    visit.host.as_ref().and_then(|host| rows_of_host(&batch, host.as_deref()));
                let is_among = |row| among.as_ref().is_none_or(|among| among.value(row));
                let wanted = times
                    .enumerate()
                    .map(|(row, time)| Some(is_among(row) && is_wanted(time.unsigned_abs())));
                Ok(wanted.collect::<BooleanArray>())
            });
            builder = builder.with_row_filter(RowFilter::new(vec![Box::new(by_time)]));
        }
        for batch in self.batches(builder)? {
            if take(&batch?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Hands out blocks of rows that may hold texts with all of these words (folded), the last block
    /// first, until `take` has had enough.
    pub(crate) fn visit_blocks(
        &self,
        words: &[String],
        take: &mut dyn FnMut(&RecordBatch) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let all = 0..self.info.rows.div_ceil(BLOCK_ROWS as u64) as u32;
        let blocks = match grams::candidates(&self.path, words) {
            Ok(Some(blocks)) => blocks,
            Ok(None) => all.collect(),
            Err(error) => {
                tracing::warn!(%error, "reading all texts instead");
                all.collect()
            }
        };
        for block in blocks.into_iter().rev() {
            let first = block as usize * BLOCK_ROWS;
            let rows = BLOCK_ROWS.min((self.info.rows as usize).saturating_sub(first));
            let selection = vec![RowSelector::skip(first), RowSelector::select(rows)];
            let builder = self.builder()?;
            let builder = builder.with_row_selection(RowSelection::from(selection));
            for batch in self.batches(builder)? {
                if take(&batch?).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// All rows from the first to the last, so many at a time as make about so many bytes; and how many
    /// that are at most.
    pub(crate) fn read_through(
        &self,
        most_rows: usize,
        bytes: u64,
    ) -> Result<(Guarded<ParquetRecordBatchReader>, usize), StoreError> {
        let builder = self.builder()?;
        let rows = batch_rows(builder.metadata(), bytes, most_rows);
        let reader = self.guard(|| builder.with_batch_size(rows).build())?;
        Ok((Guarded::new(reader, &self.path), rows))
    }

    fn batches(
        &self,
        builder: ParquetRecordBatchReaderBuilder<File>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, StoreError>>, StoreError> {
        let rows = batch_rows(builder.metadata(), BATCH_BYTES, BATCH_ROWS);
        let reader = self.guard(|| builder.with_batch_size(rows).build())?;
        Ok(Guarded::new(reader, &self.path).inspect(|batch| {
            if batch.is_err() {
                self.suspect(Suspicion::Unreadable);
            }
        }))
    }

    /// As [`guard`]; what cannot be read makes the segment suspect.
    fn guard<T, E: Display>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, StoreError> {
        guard(&self.path, read).inspect_err(|_| self.suspect(Suspicion::Unreadable))
    }

    fn builder(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, StoreError> {
        let file = self.open()?;
        if let Some(known) = self.metadata.get() {
            return Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, known.clone()));
        }
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let read = self.guard(|| ArrowReaderMetadata::load(&file, options))?;
        let metadata = self.metadata.get_or_init(|| read).clone();
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata))
    }

    fn open(&self) -> Result<File, StoreError> {
        File::open(&self.path).map_err(|error| {
            self.suspect(Suspicion::Unreadable);
            StoreError::io("open", &self.path, &error)
        })
    }

    /// Groups of rows whose filter lets the trace through.
    fn groups_of(&self, id: TraceId) -> Result<Vec<usize>, StoreError> {
        self.with_filters(|filters| {
            let groups = filters.iter().enumerate();
            let may_hold = |(_, filter): &(usize, &Sbbf)| filter.check(&id.as_bytes()[..]);
            groups.filter(may_hold).map(|(group, _)| group).collect()
        })
    }

    /// Asks the filters on trace ids, which are read at the first call.
    fn with_filters<T>(&self, ask: impl FnOnce(&[Sbbf]) -> T) -> Result<T, StoreError> {
        let mut filters = self.filters();
        let filters = match &mut *filters {
            Some(filters) => filters,
            none => none.insert(self.read_filters()?),
        };
        Ok(ask(filters))
    }

    fn read_filters(&self) -> Result<Box<[Sbbf]>, StoreError> {
        let builder = self.builder()?;
        let schema = builder.parquet_schema();
        let Some(column) = schema.columns().iter().position(|column| column.name() == "trace_id")
        else {
            return Ok(Box::default());
        };
        (0..builder.metadata().num_row_groups())
            .map(|group| {
                let read = || builder.get_row_group_column_bloom_filter(group, column);
                let filter = self.guard(read)?;
                // Without a filter every trace can be in here.
                Ok(filter.unwrap_or_else(|| Sbbf::new(&[0xff; 32])))
            })
            .collect()
    }

    fn groups_between(
        &self,
        builder: &ParquetRecordBatchReaderBuilder<File>,
        visit: &Visit<'_>,
    ) -> Vec<usize> {
        let time = self.info.table.time_column();
        let schema = builder.parquet_schema();
        let column = schema.columns().iter().position(|column| column.name() == time);
        let overlaps = |group: usize| {
            let metadata = builder.metadata().row_group(group);
            let statistics = column.and_then(|column| metadata.column(column).statistics());
            let Some(Statistics::Int64(times)) = statistics else { return true };
            let (first, last) = (times.min_opt(), times.max_opt());
            first.is_none_or(|first| first.unsigned_abs() <= visit.to_ns)
                && last.is_none_or(|last| last.unsigned_abs() >= visit.from_ns)
        };
        (0..builder.metadata().num_row_groups()).filter(|group| overlaps(*group)).collect()
    }
}

/// How many rows are about so many bytes when they are decoded, going by all rows of the file; at most
/// `most`.
pub(crate) fn batch_rows(metadata: &ParquetMetaData, bytes: u64, most: usize) -> usize {
    let groups = metadata.row_groups().iter();
    let all: u64 = groups.map(|group| group.total_byte_size().unsigned_abs()).sum();
    let rows = metadata.file_metadata().num_rows().unsigned_abs();
    let of_one = (all / rows.max(1)).max(1);
    usize::try_from(bytes / of_one).unwrap_or(most).max(FEWEST_ROWS).min(most)
}

pub(crate) fn times_of<'a>(batch: &'a RecordBatch, time_column: &str) -> Option<&'a Int64Array> {
    batch.column_by_name(time_column)?.as_primitive_opt::<Int64Type>()
}

#[cfg(test)]
mod tests {
    use andon_model::{Content, Part, Policy, SpanId};

    use super::*;
    use crate::{
        segment::{Origin, Writer},
        table::Table,
    };

    fn text(number: u64) -> Content {
        let text = format!("{number:08} ").repeat(10_000);
        Content {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            time_ns: number,
            part: Part::Input,
            role: None,
            idx: 0,
            original_length: text.len() as u64,
            kept_length: text.len() as u64,
            policy: Policy::Full,
            text,
        }
    }

    #[test]
    fn large_rows_are_decoded_a_few_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("contents")).unwrap();
        let origin = Origin { log_through: 0, created_ns: 0, replaces: &[] };
        let mut writer = Writer::create(folder.path(), Table::Contents, 1, origin).unwrap();
        let texts: Vec<_> = (0..60).map(text).collect();
        writer.write(&Content::batch(&texts)).unwrap();
        let segment = Segment::new(writer.finish().unwrap(), folder.path());
        let builder = segment.builder().unwrap();
        // 90 kB each.
        let rows = |bytes| batch_rows(builder.metadata(), bytes, BATCH_ROWS);
        assert_eq!((rows(0), rows(3_000_000), rows(1 << 40)), (FEWEST_ROWS, 33, BATCH_ROWS));
        let mut read = Vec::new();
        segment
            .visit(Visit::all(), &mut |batch| {
                read.extend(Content::read_all(batch));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(read, texts);
    }
}
