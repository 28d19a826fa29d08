//! A table handed out as one stream, from files that are held open: a segment that stops counting
//! meanwhile is read to its end all the same.

use std::{
    fs::File,
    io,
    io::Write,
    path::{Path, PathBuf},
};

use andon_model::{
    Content, DeviceSample, Evaluation, HostSample, MetricPoint, ModelEvent, ProcessSample, Span,
    UnixNanos,
};
use arrow::array::{BooleanArray, Int64Array, RecordBatch};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
    },
};
use serde::Serialize;

use super::open::SEGMENT_FOLDER;
use crate::{
    StoreError, TraceSummary,
    segment::{
        GROUP_ROWS, Guarded, SegmentInfo, batch_rows, guard, one_file, read_manifest, sorted,
        times_of,
    },
    table::{Row, Table},
};

/// Rows that are decoded at a time, and their bytes, about.
const BATCH_ROWS: usize = 4_096;
const BATCH_BYTES: u64 = 32 * 1024 * 1024;
/// How often the files are looked for again because one went before it was opened.
const TRIES: usize = 20;

/// Which rows are wanted: those of a table from one time on, and before another.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    pub table: Table,
    pub from_ns: UnixNanos,
    pub to_ns: UnixNanos,
}

/// How rows are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// An object a line, as the API writes them.
    JsonLines,
    /// One file as the store writes them.
    Parquet,
}

/// Writes the selected rows that are in segments of a data folder; how many. What is only in the log
/// is not among them: [`Store::seal`](crate::Store::seal) comes first.
pub fn export(
    folder: &Path,
    selection: Selection,
    format: ExportFormat,
    to: &mut (dyn Write + Send),
) -> Result<u64, StoreError> {
    let held = hold(&folder.join(SEGMENT_FOLDER), selection)?;
    match (format, selection.table) {
        (ExportFormat::Parquet, _) => parquet(held, selection, to),
        (_, Table::Spans) => lines::<Span>(held, selection, to),
        (_, Table::Contents) => lines::<Content>(held, selection, to),
        (_, Table::Evaluations) => lines::<Evaluation>(held, selection, to),
        (_, Table::Traces) => lines::<TraceSummary>(held, selection, to),
        (_, Table::Hosts) => lines::<HostSample>(held, selection, to),
        (_, Table::Processes) => lines::<ProcessSample>(held, selection, to),
        (_, Table::Metrics) => lines::<MetricPoint>(held, selection, to),
        (_, Table::Devices) => lines::<DeviceSample>(held, selection, to),
        (_, Table::ModelEvents) => lines::<ModelEvent>(held, selection, to),
        // Made of spans, and made anew where these are taken in.
        (_, Table::Rollups) => Ok(0),
    }
}

/// An open segment.
struct Held {
    info: SegmentInfo,
    file: File,
    path: PathBuf,
}

/// Opens all segments of one moment that may have such rows, the earliest first.
fn hold(segments: &Path, selection: Selection) -> Result<Vec<Held>, StoreError> {
    let last_ns = selection.to_ns.saturating_sub(1);
    for _ in 0..TRIES {
        let Some(manifest) = read_manifest(segments)? else { return Ok(Vec::new()) };
        let mut infos = manifest.segments;
        infos.retain(|info| {
            info.table == selection.table && info.overlaps(selection.from_ns, last_ns)
        });
        infos.sort_by_key(|info| (info.from_ns, info.id));
        if let Some(held) = open_all(segments, infos)? {
            return Ok(held);
        }
    }
    Err(StoreError::unfit(segments, "lacks a segment; see: andon store verify"))
}

/// `None` when one is not there any more.
fn open_all(segments: &Path, infos: Vec<SegmentInfo>) -> Result<Option<Vec<Held>>, StoreError> {
    let mut held = Vec::with_capacity(infos.len());
    for info in infos {
        let path = info.path_in(segments);
        match File::open(&path) {
            Ok(file) => held.push(Held { info, file, path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("open", &path, &error)),
        }
    }
    Ok(Some(held))
}

impl Held {
    fn visit(
        self,
        selection: Selection,
        take: &mut dyn FnMut(&RecordBatch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Self { info, file, path } = self;
        let reader = guard(&path, || reader(file, &info, selection))?;
        Guarded::new(reader, &path).try_for_each(|batch| take(&batch?))
    }
}

fn reader(
    file: File,
    info: &SegmentInfo,
    selection: Selection,
) -> Result<ParquetRecordBatchReader, parquet::errors::ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let rows = batch_rows(builder.metadata(), BATCH_BYTES, BATCH_ROWS);
    let builder = builder.with_batch_size(rows);
    let Selection { table, from_ns, to_ns } = selection;
    if from_ns <= info.from_ns && info.to_ns < to_ns {
        return builder.build();
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), [table.time_column()]);
    let is_wanted = move |time: &i64| Some((from_ns..to_ns).contains(&time.unsigned_abs()));
    let by_time = ArrowPredicateFn::new(mask, move |batch: RecordBatch| {
        let times = times_of(&batch, table.time_column()).into_iter().flat_map(Int64Array::values);
        Ok(times.map(is_wanted).collect::<BooleanArray>())
    });
    builder.with_row_filter(RowFilter::new(vec![Box::new(by_time)])).build()
}

fn lines<R: Row + Serialize>(
    held: Vec<Held>,
    selection: Selection,
    to: &mut (dyn Write + Send),
) -> Result<u64, StoreError> {
    let mut count = 0;
    for segment in held {
        segment.visit(selection, &mut |batch| {
            for row in R::read_all(batch) {
                serde_json::to_writer(&mut *to, &row)
                    .map_err(io::Error::from)
                    .and_then(|()| to.write_all(b"\n"))
                    .map_err(|error| cannot_write(&error))?;
                count += 1;
            }
            Ok(())
        })?;
    }
    to.flush().map_err(|error| cannot_write(&error))?;
    Ok(count)
}

/// Each group of rows is sorted by itself.
fn parquet(
    held: Vec<Held>,
    selection: Selection,
    to: &mut (dyn Write + Send),
) -> Result<u64, StoreError> {
    let failed = |error: parquet::errors::ParquetError| cannot_write(&error);
    let mut writer = one_file(selection.table, to).map_err(failed)?;
    let (mut group, mut waiting, mut count) = (Vec::new(), 0, 0);
    let mut write = |group: &mut Vec<RecordBatch>| -> Result<(), StoreError> {
        writer.write(&sorted(selection.table, group)?).map_err(failed)?;
        group.clear();
        Ok(())
    };
    for segment in held {
        segment.visit(selection, &mut |batch| {
            count += batch.num_rows() as u64;
            let room = (GROUP_ROWS - waiting).min(batch.num_rows());
            group.push(batch.slice(0, room));
            waiting += room;
            if waiting == GROUP_ROWS {
                write(&mut group)?;
                waiting = batch.num_rows() - room;
                group.extend((waiting > 0).then(|| batch.slice(room, waiting)));
            }
            Ok(())
        })?;
    }
    if waiting > 0 {
        write(&mut group)?;
    }
    writer.close().map_err(failed)?;
    Ok(count)
}

fn cannot_write(error: &dyn std::error::Error) -> StoreError {
    let (path, reason) = ("the export".to_owned(), error.to_string());
    StoreError::Io { action: "write", path, reason }
}
