use std::io;

/// Why an index cannot be used. The caller's answer is the same for all: scan, and rebuild.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("cannot read index")]
    Io(#[from] io::Error),
    /// Too short, or without the marks: a torn write or another kind of file.
    #[error("not a complete index file")]
    NotAnIndex,
    #[error("index version {found} is not supported")]
    Version { found: u32 },
    #[error("index is damaged: {what} at byte {offset}")]
    Damaged { what: &'static str, offset: u64 },
}
