//! What can go wrong with the store, in terms its callers can act on.

use std::{io, path::Path};

use parquet::errors::ParquetError;

/// Every error of this crate. It can be cloned, because one failed commit answers many appends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bounded intake is full; the same record may be tried again a moment later.
    #[error("the store's intake is full")]
    Busy,
    /// Nothing can be written at present. The store tries again by itself; reads go on.
    #[error("the store cannot write: {reason}")]
    Unavailable { reason: String },
    #[error("a record of {bytes} bytes is over the limit of {limit}")]
    TooLarge { bytes: usize, limit: usize },
    /// Another process holds the data folder.
    #[error("the data folder is in use{}", pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Locked { pid: Option<u32> },
    /// A later Andon wrote this file; opening it with this one could destroy it.
    #[error("{file} has format version {version}; this Andon knows up to {known}")]
    NewerFormat { file: String, version: u32, known: u32 },
    #[error("cannot {action} {path}: {reason}")]
    Io { action: &'static str, path: String, reason: String },
    /// A file that cannot be read; the others are served.
    #[error("{file} is damaged: {reason}")]
    Damaged { file: String, reason: String },
    /// A folder that is not what was asked for, and was left as it is.
    #[error("{folder} {reason}")]
    Unfit { folder: String, reason: &'static str },
    #[error("cannot encode a record: {0}")]
    Encode(String),
    #[error("the time range is over the limit of {limit_hours} h")]
    RangeTooLong { limit_hours: u64 },
    #[error(
        "the question takes more than {limit} bytes of memory: ask for less time, fewer points or fewer groups"
    )]
    QuestionTooLarge { limit: usize },
    #[error("the question took longer than {seconds} s: ask for less time, or fewer words")]
    QuestionTooLong { seconds: u64 },
    /// Nobody waits for the answer any more.
    #[error("the question was interrupted")]
    Interrupted,
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), reason: error.to_string() }
    }

    pub(crate) fn unfit(folder: &Path, reason: &'static str) -> Self {
        Self::Unfit { folder: folder.display().to_string(), reason }
    }

    pub(crate) fn segment(action: &'static str, path: &Path, error: &ParquetError) -> Self {
        Self::Io { action, path: path.display().to_string(), reason: error.to_string() }
    }
}
