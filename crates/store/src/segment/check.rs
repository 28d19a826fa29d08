//! Whether a segment is what the manifest says of it.

use std::{
    fs::File,
    io::{self, Read, Seek},
    ops::ControlFlow,
    path::Path,
};

use arrow::{
    array::RecordBatch,
    row::{OwnedRow, RowConverter, SortField},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustix::io::Errno;

use super::{
    Segment, SegmentInfo, Suspicion, grams,
    read::{batch_rows, times_of},
};
use crate::{StoreError, Wrong, table::Table};

const READ_BYTES: usize = 1 << 20;
const BATCH_ROWS: usize = 4_096;
const BATCH_BYTES: u64 = 32 * 1024 * 1024;

impl Segment {
    /// An error where the bytes are not those that were written. To be asked before rows are written
    /// anew: damage would become a number like any other, with a sum that is right.
    pub(crate) fn is_as_written(&self) -> Result<(), StoreError> {
        let damaged = |reason: String| {
            self.suspect(Suspicion::Unreadable);
            StoreError::Damaged { file: self.path.display().to_string(), reason }
        };
        let file = open(&self.path, self.info.bytes).map_err(|wrong| damaged(wrong.to_string()))?;
        let found = checksum(&file).map_err(|error| StoreError::io("read", &self.path, &error))?;
        if found != self.info.crc32c {
            let wrong = Wrong::Checksum { expected: self.info.crc32c, found };
            return Err(damaged(wrong.to_string()));
        }
        Ok(())
    }
}

impl SegmentInfo {
    /// Reads the whole segment in this folder.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), Wrong> {
        let file = self.open_sized(folder)?;
        let found = checksum(&file).map_err(|error| Wrong::Unreadable(error.to_string()))?;
        if found != self.crc32c {
            return Err(Wrong::Checksum { expected: self.crc32c, found });
        }
        self.check_rows(file)
    }

    /// Whether the bytes are those that were written; rows are not looked at. `pace` is told how many
    /// were read, and says whether to go on.
    pub(crate) fn check_bytes(
        &self,
        folder: &Path,
        pace: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Verdict {
        let file = match self.open_sized(folder) {
            Ok(file) => file,
            Err(Wrong::Unreadable(reason)) => return Verdict::Unknown(reason),
            Err(wrong) => return Verdict::Damaged(wrong),
        };
        // What is in memory says nothing about the disk.
        forget_cached(&file);
        let summed = checksum_at(&file, pace);
        // And what was read for this alone is to push nothing else out of it.
        forget_cached(&file);
        match summed {
            Ok(Some(found)) if found == self.crc32c => Verdict::Whole,
            Ok(Some(found)) => Verdict::Damaged(Wrong::Checksum { expected: self.crc32c, found }),
            Ok(None) => Verdict::Stopped,
            Err(error) if is_passing(&error) => Verdict::Unknown(error.to_string()),
            Err(error) => Verdict::Damaged(Wrong::Unreadable(error.to_string())),
        }
    }

    /// Whether the file is there and as large as it should be; reads nothing of it.
    pub(crate) fn check_size(&self, folder: &Path) -> Result<(), Wrong> {
        self.open_sized(folder).map(drop)
    }

    /// Whether the index of texts beside it is whole. A segment can do without.
    pub(crate) fn check_grams(&self, folder: &Path) -> Result<(), Wrong> {
        if self.grams_bytes == 0 {
            return Ok(());
        }
        let file = open(&self.grams_in(folder), self.grams_bytes)?;
        grams::check(file).map_err(|error| Wrong::Unreadable(error.to_string()))
    }

    fn open_sized(&self, folder: &Path) -> Result<File, Wrong> {
        open(&self.path_in(folder), self.bytes)
    }

    fn check_rows(&self, file: File) -> Result<(), Wrong> {
        let unreadable = |error: &dyn std::error::Error| Wrong::Unreadable(error.to_string());
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable(&error))?;
        let said = builder.metadata().file_metadata().num_rows().unsigned_abs();
        if said != self.rows {
            return Err(Wrong::Rows { expected: self.rows, found: said });
        }
        let rows = batch_rows(builder.metadata(), BATCH_BYTES, BATCH_ROWS);
        let reader = builder.with_batch_size(rows).build().map_err(|error| unreadable(&error))?;
        let mut order = Order::of(self.table);
        for batch in reader {
            let batch = batch.map_err(|error| unreadable(&error))?;
            order.take(&batch)?;
            for time in times_of(&batch, self.table.time_column()).into_iter().flatten().flatten() {
                let time_ns = time.unsigned_abs();
                if !(self.from_ns..=self.to_ns).contains(&time_ns) {
                    let (from_ns, to_ns) = (self.from_ns, self.to_ns);
                    return Err(Wrong::Time { time_ns, from_ns, to_ns });
                }
            }
        }
        if order.rows != self.rows {
            return Err(Wrong::Rows { expected: self.rows, found: order.rows });
        }
        Ok(())
    }
}

fn open(path: &Path, expected: u64) -> Result<File, Wrong> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((found, file)) if found == expected => Ok(file),
        Ok((found, _)) => Err(Wrong::Size { expected, found }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Wrong::Missing),
        Err(error) => Err(Wrong::Unreadable(error.to_string())),
    }
}

/// What a look at the bytes of a segment came to.
#[derive(Debug)]
pub(crate) enum Verdict {
    Whole,
    Damaged(Wrong),
    /// It could not be read for a reason that may pass.
    Unknown(String),
    Stopped,
}

fn checksum(mut file: &File) -> io::Result<u32> {
    let summed = checksum_at(file, &mut |_| ControlFlow::Continue(()))?;
    file.rewind()?;
    Ok(summed.unwrap_or_default())
}

/// `None` when `pace` did not go on.
fn checksum_at(
    mut file: &File,
    pace: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> io::Result<Option<u32>> {
    let mut buffer = vec![0; READ_BYTES];
    let mut crc32c = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Some(crc32c));
        }
        crc32c = crc32c::crc32c_append(crc32c, &buffer[..read]);
        if pace(read).is_break() {
            return Ok(None);
        }
    }
}

fn forget_cached(file: &File) {
    if let Err(error) = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed) {
        tracing::debug!(%error, "a segment stays in memory");
    }
}

/// Whether another try may go well: it is this process, or the machine, that lacks something.
fn is_passing(error: &io::Error) -> bool {
    let lacking = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::INTR];
    error
        .raw_os_error()
        .is_some_and(|code| lacking.iter().any(|errno| errno.raw_os_error() == code))
}

/// Follows rows, which are to come in the order of their table.
struct Order {
    columns: &'static [&'static str],
    last: Option<(RowConverter, OwnedRow)>,
    rows: u64,
}

impl Order {
    fn of(table: Table) -> Self {
        Self { columns: table.sort_columns(), last: None, rows: 0 }
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), Wrong> {
        let unreadable = |error: arrow::error::ArrowError| Wrong::Unreadable(error.to_string());
        let names = self.columns.iter();
        let columns: Vec<_> =
            names.filter_map(|name| batch.column_by_name(name).cloned()).collect();
        let (converter, mut last) = match self.last.take() {
            Some((converter, last)) => (converter, Some(last)),
            None => {
                let fields = columns.iter().map(|one| SortField::new(one.data_type().clone()));
                (RowConverter::new(fields.collect()).map_err(unreadable)?, None)
            }
        };
        let rows = converter.convert_columns(&columns).map_err(unreadable)?;
        for row in &rows {
            if last.as_ref().is_some_and(|last| last.row() > row) {
                return Err(Wrong::Order { row: self.rows });
            }
            last = Some(row.owned());
            self.rows += 1;
        }
        self.last = last.map(|last| (converter, last));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use andon_model::{Span, TraceId};

    use super::*;
    use crate::{
        segment::{Origin, Writer},
        table::Row,
    };

    fn written(starts_ns: &[u64]) -> (tempfile::TempDir, SegmentInfo) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("spans")).unwrap();
        let origin = Origin { log_through: 0, created_ns: 0, replaces: &[] };
        let mut writer = Writer::create(folder.path(), Table::Spans, 1, origin).unwrap();
        for start_ns in starts_ns {
            let mut span = Span::new(TraceId::random(), "gateway", "POST /chat");
            span.start_ns = *start_ns;
            writer.write(&Span::batch(&[span])).unwrap();
        }
        (folder, writer.finish().unwrap())
    }

    #[test]
    fn a_row_out_of_order_is_found_across_batches() {
        let last = BATCH_ROWS as u64 + 10;
        let (folder, info) = written(&(1..=last).collect::<Vec<_>>());
        assert_eq!(info.check(folder.path()), Ok(()));
        let (folder, info) = written(&(1..=BATCH_ROWS as u64).chain([7]).collect::<Vec<_>>());
        assert_eq!(info.check(folder.path()), Err(Wrong::Order { row: BATCH_ROWS as u64 }));
    }

    #[test]
    fn rows_and_times_are_held_against_what_the_manifest_says() {
        let (folder, info) = written(&[5, 6, 7]);
        let fewer = SegmentInfo { rows: 2, ..info.clone() };
        assert_eq!(fewer.check(folder.path()), Err(Wrong::Rows { expected: 2, found: 3 }));
        let shorter = SegmentInfo { to_ns: 6, ..info };
        let wrong = Wrong::Time { time_ns: 7, from_ns: 5, to_ns: 6 };
        assert_eq!(shorter.check(folder.path()), Err(wrong));
    }
}
