//! One file of the log: its name, and how one is begun.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    files::{Files, LogFile},
    frame::{HEADER_LEN, Header},
};

const EXTENSION: &str = "wal";
const DIGITS: usize = 20;

/// A file that was there at the start, or that was closed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) sequence: u64,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) created_ns: u64,
    /// Not all of it could be read: it is set aside, not removed.
    pub(crate) is_damaged: bool,
}

/// The file that is being written to.
pub(crate) struct Active {
    pub(crate) sequence: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn LogFile>,
    /// End of the last acknowledged frame; the next one goes here.
    pub(crate) len: u64,
    pub(crate) created_ns: u64,
}

impl Active {
    /// Creates a file with its header, durable with its name. A file that could not be finished is
    /// taken away again as far as the disk lets that happen.
    pub(crate) fn create(
        files: &dyn Files,
        folder: &Path,
        sequence: u64,
        now_ns: u64,
    ) -> io::Result<Self> {
        let path = folder.join(file_name(sequence));
        let file = files.create(&path)?;
        let begun = file
            .write_all_at(&Header::new(sequence, now_ns).encode(), 0)
            .and_then(|()| file.sync())
            .and_then(|()| files.sync_folder(folder));
        if let Err(error) = begun {
            // If this fails too, the next start removes the file: it holds no whole frame.
            let _ = files.remove(&path);
            return Err(error);
        }
        Ok(Self { sequence, path, file, len: HEADER_LEN, created_ns: now_ns })
    }

    pub(crate) fn close(self) -> Found {
        Found {
            sequence: self.sequence,
            path: self.path,
            bytes: self.len,
            created_ns: self.created_ns,
            is_damaged: false,
        }
    }
}

pub(crate) fn file_name(sequence: u64) -> String {
    format!("{sequence:0DIGITS$}.{EXTENSION}")
}

/// The sequence in a file's name; `None` for files that are not the log's.
pub(crate) fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let shape = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    shape.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_logs_own_names_are_taken() {
        assert_eq!(sequence_of(&file_name(42)), Some(42));
        assert_eq!(sequence_of(&file_name(u64::MAX)), Some(u64::MAX));
        for other in ["1.wal", "lock", "00000000000000000001.wal~", "99999999999999999999.wal"] {
            assert_eq!(sequence_of(other), None, "{other}");
        }
    }
}
