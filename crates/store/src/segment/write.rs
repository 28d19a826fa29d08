//! How a segment is written. The encodings were chosen by measurement (`bench/RESULTS.md`).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use andon_model::UnixNanos;
use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, UInt32Array, new_null_array},
    compute::{SortColumn, concat_batches, lexsort_to_indices, rank, take_record_batch},
    datatypes::{DataType, Field, Int32Type, Int64Type, SchemaRef, UInt32Type},
};
use parquet::{
    arrow::{ArrowSchemaConverter, ArrowWriter},
    basic::{Compression, Encoding, ZstdLevel},
    file::{
        metadata::{KeyValue, SortingColumn},
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};

use super::{
    SegmentInfo,
    grams::{BLOCK_ROWS, Grams},
};
use crate::{StoreError, table::Table};

/// Rows of a row group: what a question reads at least of a column's dictionary.
pub(crate) const GROUP_ROWS: usize = 65_536;
/// Rows of a page: what a trace by its id reads at least of a column.
const PAGE_ROWS: usize = 4_096;
/// Rows that are written at a time when they are put in order.
const PIECE_ROWS: usize = 8_192;
/// Bytes of a page of texts, before compression.
const TEXT_PAGE_BYTES: usize = 1024 * 1024;
/// What came in is merged within hours.
const ZSTD_LEVEL: i32 = 1;
/// What was merged or exported stays, and was written with time to spare.
const KEPT_ZSTD_LEVEL: i32 = 6;
/// Traces that a row group's filter takes for its own though they are not: one in a hundred.
const FALSE_POSITIVES: f64 = 0.01;
/// In the list every new trace is looked for, in all files of a day before and after.
const LISTED_FALSE_POSITIVES: f64 = 0.0001;

/// Where a segment comes from; stands in the file as well, for the day when the manifest is lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// All of the log up to this file is in this segment and in those before it.
    pub(crate) log_through: u64,
    /// When the newest of the rows came in.
    pub(crate) created_ns: UnixNanos,
    /// Segments whose rows are in this one.
    pub(crate) replaces: &'a [u64],
}

pub(super) const LOG_THROUGH_KEY: &str = "andon.log_through";
pub(super) const CREATED_KEY: &str = "andon.created_ns";
pub(super) const REPLACES_KEY: &str = "andon.replaces";

/// Writes rows, which come sorted, into a new file.
pub(crate) struct Writer {
    table: Table,
    id: u64,
    path: PathBuf,
    arrow: ArrowWriter<Summed>,
    grams: Option<Grams>,
    created_ns: UnixNanos,
    from_ns: UnixNanos,
    to_ns: UnixNanos,
    rows: u64,
    unfinished: Unfinished,
}

/// A file that is removed unless it comes to count: whatever goes wrong, a merge that is tried again
/// and again is not to fill the disk with beginnings.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What stays behind is removed at the next start.
            let _ = fs::remove_file(path);
        }
    }
}

impl Writer {
    pub(crate) fn create(
        folder: &Path,
        table: Table,
        id: u64,
        origin: Origin<'_>,
    ) -> Result<Self, StoreError> {
        let path = folder.join(table.name()).join(format!("{id:010}.new"));
        let file =
            create_private(&path).map_err(|error| StoreError::io("create", &path, &error))?;
        let summed = Summed { file: io::BufWriter::new(file), crc32c: 0, bytes: 0 };
        let properties = properties(table, origin, !origin.replaces.is_empty());
        let arrow = ArrowWriter::try_new(summed, table.schema(), Some(properties))
            .map_err(|error| StoreError::segment("begin", &path, &error))?;
        let (created_ns, from_ns) = (origin.created_ns, UnixNanos::MAX);
        let grams = (table == Table::Contents).then(Grams::default);
        let unfinished = Unfinished(Some(path.clone()));
        let (to_ns, rows) = (0, 0);
        Ok(Self { table, id, path, arrow, grams, created_ns, from_ns, to_ns, rows, unfinished })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let batch = &in_columns_of(self.table, batch)?;
        let times = batch.column_by_name(self.table.time_column());
        let times = times.and_then(|times| times.as_primitive_opt::<Int64Type>());
        for time in times.into_iter().flatten().flatten() {
            let time_ns = time.unsigned_abs();
            self.from_ns = self.from_ns.min(time_ns);
            self.to_ns = self.to_ns.max(time_ns);
        }
        self.rows += batch.num_rows() as u64;
        if let Some(grams) = &mut self.grams {
            grams.add(batch);
        }
        self.arrow.write(batch).map_err(|error| StoreError::segment("write", &self.path, &error))
    }

    pub(crate) fn table(&self) -> Table {
        self.table
    }

    /// Takes back what was written.
    pub(crate) fn discard(self) {
        let Self { arrow, path, .. } = self;
        drop(arrow);
        // What stays behind is removed at the next start.
        let _ = fs::remove_file(path);
    }

    /// Durable under its name when this returns, and part of nothing until a manifest says so.
    pub(crate) fn finish(self) -> Result<SegmentInfo, StoreError> {
        let (path, mut unfinished) = (self.path, self.unfinished);
        let io_failed = |error: io::Error| StoreError::io("write", &path, &error);
        let Summed { file, crc32c, bytes } = self
            .arrow
            .into_inner()
            .map_err(|error| StoreError::segment("finish", &path, &error))?;
        let file = file.into_inner().map_err(|error| io_failed(error.into_error()))?;
        file.sync_all().map_err(io_failed)?;
        let mut info = SegmentInfo {
            table: self.table,
            id: self.id,
            rows: self.rows,
            bytes,
            grams_bytes: 0,
            from_ns: self.from_ns.min(self.to_ns),
            to_ns: self.to_ns,
            created_ns: self.created_ns,
            crc32c,
        };
        let named = path.with_file_name(info.file_name());
        if let Some(grams) = self.grams {
            info.grams_bytes = grams.finish(&named).map_err(io_failed)?;
        }
        fs::rename(&path, &named).map_err(io_failed)?;
        unfinished.0 = None;
        if let Some(folder) = path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_failed)?;
        }
        Ok(info)
    }
}

/// Rows with the columns that their table has today: what an earlier version did not write is unknown.
pub(crate) fn in_columns_of(table: Table, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
    let schema = table.schema();
    if batch.schema_ref() == &schema {
        return Ok(batch.clone());
    }
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name());
        let column = column.filter(|column| column.data_type() == field.data_type());
        column.cloned().unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).map_err(|error| StoreError::Encode(error.to_string()))
}

/// A file that is no segment, and looks like one.
pub(crate) fn one_file<W: Write + Send>(
    table: Table,
    to: W,
) -> Result<ArrowWriter<W>, parquet::errors::ParquetError> {
    let origin = Origin { log_through: 0, created_ns: 0, replaces: &[] };
    ArrowWriter::try_new(to, table.schema(), Some(properties(table, origin, true)))
}

/// All rows of the batches in the order of their table.
pub(crate) fn sorted(table: Table, batches: &[RecordBatch]) -> Result<RecordBatch, StoreError> {
    let Sorted { rows, order } = Sorted::of(table, batches)?;
    take_record_batch(&rows, &order).map_err(|error| StoreError::Encode(error.to_string()))
}

/// Rows, and the order that they have in their table.
pub(crate) struct Sorted {
    pub(crate) rows: RecordBatch,
    /// Places in `rows`.
    pub(crate) order: UInt32Array,
}

impl Sorted {
    pub(crate) fn of(table: Table, batches: &[RecordBatch]) -> Result<Self, StoreError> {
        let failed = |error: arrow::error::ArrowError| StoreError::Encode(error.to_string());
        let rows = concat_batches(&table.schema(), batches).map_err(failed)?;
        let columns = table.sort_columns().iter().filter_map(|name| {
            let values = rows.column_by_name(name)?;
            Some(SortColumn { values: ranked(values), options: None })
        });
        let order = lexsort_to_indices(&columns.collect::<Vec<_>>(), None).map_err(failed)?;
        Ok(Self { rows, order })
    }

    /// The rows in their order, a few at a time: all of them stand in memory often enough.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Result<RecordBatch, StoreError>> {
        (0..self.order.len()).step_by(PIECE_ROWS).map(|from| {
            let places = self.order.slice(from, PIECE_ROWS.min(self.order.len() - from));
            let taken = take_record_batch(&self.rows, &places);
            taken.map_err(|error| StoreError::Encode(error.to_string()))
        })
    }
}

/// A column that sorts as this one does: words are compared once, and not once for each pair of rows.
fn ranked(column: &ArrayRef) -> ArrayRef {
    let Some(words) = column.as_dictionary_opt::<Int32Type>() else { return Arc::clone(column) };
    match rank(words.values(), None) {
        Ok(ranks) => {
            let of_key = |key: i32| ranks.get(key as usize).copied().unwrap_or_default();
            Arc::new(words.keys().unary::<_, UInt32Type>(of_key))
        }
        // Of another type than words: compared as they are.
        Err(_) => Arc::clone(column),
    }
}

/// Owner only: prompts may be in there.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// `is_kept`: for longer than until the next merge.
fn properties(table: Table, origin: Origin<'_>, is_kept: bool) -> WriterProperties {
    let level = if is_kept { KEPT_ZSTD_LEVEL } else { ZSTD_LEVEL };
    let level = ZstdLevel::try_new(level).unwrap_or_default();
    let replaces: Vec<_> = origin.replaces.iter().map(u64::to_string).collect();
    let key_values = [
        ("andon.version", env!("CARGO_PKG_VERSION").to_owned()),
        (LOG_THROUGH_KEY, origin.log_through.to_string()),
        (CREATED_KEY, origin.created_ns.to_string()),
        (REPLACES_KEY, replaces.join(",")),
    ];
    let key_values = key_values.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec();
    let page_rows = if table == Table::Contents { BLOCK_ROWS } else { PAGE_ROWS };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(key_values))
        .set_sorting_columns(Some(sorting(table)));
    for name in ["service", table.time_column(), "duration_ns"] {
        properties = properties
            .set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
    }
    for path in compressed_columns(table, is_kept) {
        properties = properties.set_column_compression(path, Compression::ZSTD(level));
    }
    for (path, encoding) in plain_columns(table) {
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, encoding);
    }
    if table.has_trace_id() {
        let trace_id = ColumnPath::from("trace_id");
        let wrong = match table {
            Table::Traces => LISTED_FALSE_POSITIVES,
            _ => FALSE_POSITIVES,
        };
        properties = properties
            .set_column_bloom_filter_enabled(trace_id.clone(), true)
            .set_column_bloom_filter_fpp(trace_id, wrong);
    }
    if table == Table::Contents {
        properties =
            properties.set_column_data_page_size_limit(ColumnPath::from("text"), TEXT_PAGE_BYTES);
    }
    properties.build()
}

fn sorting(table: Table) -> Vec<SortingColumn> {
    let schema: SchemaRef = table.schema();
    let place = |name: &&str| schema.index_of(name).ok();
    let columns = table.sort_columns().iter().filter_map(place);
    // The map of attributes is the last column: before it leaves and columns have one number.
    columns
        .map(|place| SortingColumn {
            column_idx: place as i32,
            descending: false,
            nulls_first: true,
        })
        .collect()
}

/// Columns, down to those that are nested, that take less room compressed than the work is worth.
///
/// Whoever reads a compressed column holds 100 KB for unpacking it, and a merge reads all columns of eight
/// segments at once. So in what came in, which is merged within hours, only texts are compressed: numbers and
/// words of a dictionary are small enough until then. Ids are random.
fn compressed_columns(table: Table, is_kept: bool) -> Vec<ColumnPath> {
    // Small, and read by the month for one answer: unpacking would be half of the work.
    if table == Table::Rollups {
        return Vec::new();
    }
    let schema = table.schema();
    let Ok(leaves) = ArrowSchemaConverter::new().convert(&schema) else { return Vec::new() };
    let is_compressed = |path: &ColumnPath| {
        let name = path.parts().first().map_or("", String::as_str);
        let kind = schema.field_with_name(name).map(Field::data_type);
        let is_text = kind.is_ok_and(|kind| {
            matches!(
                kind,
                DataType::Utf8 | DataType::Binary | DataType::Map(..) | DataType::List(_)
            )
        });
        is_text || (is_kept && name != "span_id")
    };
    leaves.columns().iter().map(|leaf| leaf.path().clone()).filter(is_compressed).collect()
}

/// Columns whose values hardly repeat: a dictionary would only be in the way.
fn plain_columns(table: Table) -> Vec<(ColumnPath, Encoding)> {
    let schema = table.schema();
    let encoding = |name: &str, kind: &DataType| match (name, kind) {
        ("span_id" | "parent_id" | "text", _) | (_, DataType::Binary) => Some(Encoding::PLAIN),
        (name, DataType::Int64) if name == table.time_column() => {
            Some(Encoding::DELTA_BINARY_PACKED)
        }
        (name, DataType::Int64) if name.ends_with("_ns") => Some(Encoding::PLAIN),
        _ => None,
    };
    let fields = schema.fields().iter();
    fields
        .filter_map(|field| {
            let encoding = encoding(field.name(), field.data_type())?;
            Some((ColumnPath::from(field.name().as_str()), encoding))
        })
        .collect()
}

/// Sums up what is written on the way to the file.
struct Summed {
    file: io::BufWriter<File>,
    crc32c: u32,
    bytes: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use andon_model::{Span, TraceId};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;
    use crate::table::Row as _;

    /// The names of the columns that are compressed in a file of spans.
    fn compressed(file: File) -> Vec<String> {
        let reader = SerializedFileReader::new(file).unwrap();
        let columns = reader.metadata().row_group(0).columns().iter();
        let compressed = columns.filter(|column| column.compression() != Compression::UNCOMPRESSED);
        compressed.map(|column| column.column_path().parts()[0].clone()).collect()
    }

    #[test]
    fn what_came_in_is_compressed_where_it_is_text_and_what_stays_is_all_but_its_random_ids() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("spans")).unwrap();
        let rows = [Span::batch(&[Span::new(TraceId::random(), "service", "name")])];
        let written = |id, replaces: &[u64]| {
            let origin = Origin { log_through: 0, created_ns: 0, replaces };
            let mut writer = Writer::create(folder.path(), Table::Spans, id, origin).unwrap();
            Sorted::of(Table::Spans, &rows).unwrap().pieces().for_each(|piece| {
                writer.write(&piece.unwrap()).unwrap();
            });
            let name = writer.finish().unwrap().file_name();
            compressed(File::open(folder.path().join("spans").join(name)).unwrap())
        };
        let fresh = written(1, &[]);
        assert!(fresh.contains(&"attributes".to_owned()), "{fresh:?}");
        assert!(!fresh.iter().any(|name| name.ends_with("_ns") || name == "service"), "{fresh:?}");

        let merged = written(2, &[1]);
        let is_there = |name: &str| merged.iter().any(|column| column == name);
        assert!(is_there("service") && is_there("start_ns") && !is_there("span_id"), "{merged:?}");

        let path = folder.path().join("exported");
        let mut exported = one_file(Table::Spans, create_private(&path).unwrap()).unwrap();
        exported.write(&rows[0]).unwrap();
        exported.close().unwrap();
        assert_eq!(compressed(File::open(&path).unwrap()), merged);
    }
}
