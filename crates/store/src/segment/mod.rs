//! Segments: closed files of rows, in Parquet, that anybody can read while Andon runs.
//!
//! A segment is written once and never changed. Which of them count stands in the manifest alone;
//! one that no longer counts is removed when the last question that reads it has ended.

mod check;
mod grams;
mod guard;
mod host;
mod manifest;
mod merge;
mod read;
mod rebuild;
mod write;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use andon_model::UnixNanos;
use parquet::{arrow::arrow_reader::ArrowReaderMetadata, bloom_filter::Sbbf};
use serde::{Deserialize, Serialize};

pub(crate) use check::Verdict;
pub(crate) use guard::{Guarded, guard};
pub(crate) use host::{HOST, of_host};
pub(crate) use manifest::{Manifest, read_manifest, write_manifest};
pub(crate) use merge::merge;
pub(crate) use read::{Visit, batch_rows, times_of};
pub(crate) use rebuild::{has_segments, rebuild_manifest, remove_strays};
pub(crate) use write::{GROUP_ROWS, Origin, Sorted, Writer, create_private, one_file, sorted};

use crate::table::Table;

/// Extensions of files that belong to segments, or were to.
const EXTENSIONS: [&str; 3] = [EXTENSION, grams::EXTENSION, "new"];
pub(crate) const EXTENSION: &str = "parquet";

/// The id in the name of a file that belongs to a segment, or was to.
pub(crate) fn id_of_file(path: &Path) -> Option<u64> {
    let extension = path.extension()?.to_str()?;
    let id = path.file_stem()?.to_str()?.parse().ok();
    id.filter(|_| EXTENSIONS.contains(&extension))
}

/// What the manifest knows of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentInfo {
    pub(crate) table: Table,
    /// Never used again for another one.
    pub(crate) id: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Size of the index of texts beside it.
    #[serde(default)]
    pub(crate) grams_bytes: u64,
    /// Time of the earliest and of the latest row.
    pub(crate) from_ns: UnixNanos,
    pub(crate) to_ns: UnixNanos,
    /// When the newest of its rows came in.
    #[serde(default)]
    pub(crate) created_ns: UnixNanos,
    /// Over the whole file.
    pub(crate) crc32c: u32,
}

impl SegmentInfo {
    pub(crate) fn file_name(&self) -> String {
        format!("{:010}.{EXTENSION}", self.id)
    }

    /// Below the folder of all segments.
    pub(crate) fn path_in(&self, folder: &Path) -> PathBuf {
        folder.join(self.table.name()).join(self.file_name())
    }

    /// The index of texts beside it.
    pub(crate) fn grams_in(&self, folder: &Path) -> PathBuf {
        grams::path_beside(&self.path_in(folder))
    }

    pub(crate) fn overlaps(&self, from_ns: UnixNanos, to_ns: UnixNanos) -> bool {
        self.from_ns <= to_ns && from_ns <= self.to_ns
    }
}

/// A segment that counts, or did when a question began.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) info: SegmentInfo,
    pub(crate) path: PathBuf,
    metadata: OnceLock<ArrowReaderMetadata>,
    /// Which trace ids each group of rows may hold; read at the first question.
    filters: Mutex<Option<Box<[Sbbf]>>>,
    is_obsolete: AtomicBool,
    /// Whether somebody could not read it, and nobody has looked into it yet.
    suspicion: AtomicU8,
}

/// What speaks for a segment being damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Suspicion {
    None,
    /// A question failed that read it, perhaps for another reason.
    Possible,
    /// It could not be read.
    Unreadable,
}

impl Segment {
    pub(crate) fn new(info: SegmentInfo, folder: &Path) -> Self {
        let path = info.path_in(folder);
        Self {
            info,
            path,
            metadata: OnceLock::new(),
            filters: Mutex::new(None),
            is_obsolete: AtomicBool::new(false),
            suspicion: AtomicU8::new(Suspicion::None as u8),
        }
    }

    /// By table, and by time within it.
    pub(crate) fn order(&self) -> (Table, UnixNanos, u64) {
        (self.info.table, self.info.from_ns, self.info.id)
    }

    /// The file goes with the last question that reads it.
    pub(crate) fn retire(&self) {
        self.is_obsolete.store(true, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_obsolete.load(Ordering::Acquire)
    }

    /// To be looked into.
    pub(crate) fn suspect(&self, suspicion: Suspicion) {
        self.suspicion.fetch_max(suspicion as u8, Ordering::Relaxed);
    }

    pub(crate) fn suspicion(&self) -> Suspicion {
        match self.suspicion.load(Ordering::Relaxed) {
            0 => Suspicion::None,
            1 => Suspicion::Possible,
            _ => Suspicion::Unreadable,
        }
    }

    pub(crate) fn looked_into(&self) {
        self.suspicion.store(Suspicion::None as u8, Ordering::Relaxed);
    }

    fn filters(&self) -> std::sync::MutexGuard<'_, Option<Box<[Sbbf]>>> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.is_obsolete.load(Ordering::Acquire) {
            return;
        }
        // What stays behind after a crash is removed at the next start: it is in no manifest.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove an old segment");
        }
        if self.info.table == Table::Contents {
            // It may be gone, or never have been there.
            let _ = fs::remove_file(grams::path_beside(&self.path));
        }
    }
}
