//! What can go wrong with the state, in terms its callers can act on.

use std::{io, path::Path};

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("cannot {action} {path}: {reason}")]
    Io { action: &'static str, path: String, reason: String },
    /// A later Andon wrote this file; opening it with this one could destroy it.
    #[error("{file} has format version {version}; this Andon knows up to {known}")]
    NewerFormat { file: String, version: i64, known: i64 },
    #[error("{file} is damaged: {reason}")]
    Damaged { file: String, reason: String },
    #[error("{file} {reason}")]
    Unfit { file: String, reason: &'static str },
    #[error("the note has {bytes} bytes; the limit is {limit}")]
    NoteTooLarge { bytes: usize, limit: usize },
    #[error("the trace has {limit} notes already")]
    TooManyNotes { limit: usize },
    /// The disk is full, say.
    #[error("the state cannot be read or written: {0}")]
    Database(#[from] rusqlite::Error),
}

impl StateError {
    pub(crate) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), reason: error.to_string() }
    }

    /// What is wrong, without the file's name.
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Damaged { reason, .. } => reason,
            Self::Database(error) => error.to_string(),
            error => error.to_string(),
        }
    }

    /// Whether the file itself is broken, and not only what was asked of it.
    pub(crate) fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Damaged { .. } => true,
            Self::Database(error) => {
                matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
            }
            _ => false,
        }
    }
}
