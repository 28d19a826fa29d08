//! The index of a segment's texts, in a file beside it: from a pattern to the blocks of rows that may
//! hold it. Without the file, which a crash or damage may have taken, every block may.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use andon_search::{Index, IndexBuilder};
use arrow::array::{AsArray, RecordBatch};

use super::write::create_private;
use crate::StoreError;

/// Rows of a block; a page of texts is one block.
pub(crate) const BLOCK_ROWS: usize = 512;
pub(crate) const EXTENSION: &str = "grams";

pub(crate) fn path_beside(segment: &Path) -> PathBuf {
    segment.with_extension(EXTENSION)
}

/// Collects the texts of a segment as it is written.
#[derive(Default)]
pub(super) struct Grams {
    builder: IndexBuilder,
    rows: usize,
}

impl Grams {
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        let texts = batch.column_by_name("text").and_then(|texts| texts.as_string_opt::<i32>());
        for text in texts.into_iter().flatten() {
            self.builder.add((self.rows / BLOCK_ROWS) as u32, text.unwrap_or_default());
            self.rows += 1;
        }
    }

    /// Writes the index beside the segment; its size.
    pub(super) fn finish(self, segment: &Path) -> io::Result<u64> {
        let path = path_beside(segment);
        let beside = path.with_extension("grams.new");
        let mut file = io::BufWriter::new(create_private(&beside)?);
        self.builder.finish(&mut file)?;
        file.flush()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        file.metadata().map(|metadata| metadata.len())
    }
}

/// The blocks that may hold all patterns, ascending; `None` when any block may.
pub(super) fn candidates(
    segment: &Path,
    patterns: &[String],
) -> Result<Option<Vec<u32>>, StoreError> {
    let path = path_beside(segment);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open", &path, &error)),
    };
    let damaged = |error: andon_search::IndexError| StoreError::Damaged {
        file: path.display().to_string(),
        reason: error.to_string(),
    };
    let index = Index::open(file).map_err(damaged)?;
    let mut common: Option<Vec<u32>> = None;
    for pattern in patterns {
        let Some(blocks) = index.candidates(pattern).map_err(damaged)? else { continue };
        common = Some(match common {
            None => blocks,
            Some(before) => {
                before.into_iter().filter(|block| blocks.binary_search(block).is_ok()).collect()
            }
        });
    }
    Ok(common)
}

/// Whether the index can be read.
pub(super) fn check(file: File) -> Result<(), andon_search::IndexError> {
    Index::open(file)?.check()
}
