//! Around the reader of Parquet files. Damage that it does not expect (a type of 72 bits in a schema)
//! makes it panic; that is no reason for the log's thread, or a question, to end.

use std::{
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, error::ArrowError};

use crate::StoreError;

/// What `read` reads of this file; a panic is damage like any other.
pub(crate) fn guard<T, E: Display>(
    path: &Path,
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, StoreError> {
    let damaged = |reason| StoreError::Damaged { file: path.display().to_string(), reason };
    // Whatever was half done belongs to the reader, which is not asked again.
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| damaged(error.to_string())),
        Err(_) => Err(damaged("its reader broke down".to_owned())),
    }
}

/// Batches of a file, up to the first that cannot be read.
pub(crate) struct Guarded<R> {
    /// `None` behind an error.
    reader: Option<R>,
    path: PathBuf,
}

impl<R> Guarded<R> {
    pub(crate) fn new(reader: R, path: &Path) -> Self {
        Self { reader: Some(reader), path: path.to_owned() }
    }
}

impl<R: Iterator<Item = Result<RecordBatch, ArrowError>>> Iterator for Guarded<R> {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        let read = guard(&self.path, || reader.next().transpose()).transpose();
        if !matches!(read, Some(Ok(_))) {
            self.reader = None;
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_damage_and_ends_the_batches() {
        let path = Path::new("1.parquet");
        let broken =
            guard(path, || -> Result<(), ArrowError> { unreachable!("a type of 72 bits") });
        let Err(StoreError::Damaged { file, reason }) = broken else { panic!("{broken:?}") };
        assert_eq!((file.as_str(), reason.as_str()), ("1.parquet", "its reader broke down"));
        let mut asked = 0;
        let reader = std::iter::from_fn(|| {
            asked += 1;
            assert!(asked < 2, "a page that is not there");
            Some(Ok(RecordBatch::new_empty(crate::table::Table::Spans.schema())))
        });
        let read: Vec<_> = Guarded::new(reader, path).map(|batch| batch.is_ok()).collect();
        assert_eq!((read, asked), (vec![true, false], 2));
    }
}
