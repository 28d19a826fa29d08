//! SHA-256 of model files: for `digest` in listings, and against altered files.
//!
//! A sum is remembered with the file's size and time of change, so that a file of gigabytes is
//! read once.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::failure::Failure;

const READ_BYTES: usize = 1024 * 1024;
/// Largest checksum file that is read.
const MAX_LIST_BYTES: u64 = 64 * 1024;

/// What tells two states of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

/// Sums computed so far.
#[derive(Debug, Default)]
pub(crate) struct Checksums {
    known: Mutex<HashMap<PathBuf, (Stamp, String)>>,
}

impl Checksums {
    /// The sum, if it was computed for the file in this state.
    pub(crate) fn known(&self, path: &Path, stamp: Stamp) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(path).filter(|(of, _)| *of == stamp).map(|(_, sum)| sum.clone())
    }

    /// The sum, computed where need be. `step` hears how much was read and may say «stop».
    pub(crate) fn compute(
        &self,
        path: &Path,
        mut step: impl FnMut(u64) -> bool,
    ) -> io::Result<Option<String>> {
        let mut file = File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        if let Some(sum) = self.known(path, stamp) {
            return Ok(Some(sum));
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut done = 0;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            done += count as u64;
            if !step(done) {
                return Ok(None);
            }
        }
        let sum = hex(&hash.finalize());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(path.to_owned(), (stamp, sum.clone()));
        Ok(Some(sum))
    }

    /// Refuses a file that does not match the `FILE.sha256` beside it; without one all is well.
    pub(crate) fn verify(&self, path: &Path, step: impl FnMut(u64)) -> Result<(), Failure> {
        let Some((list, expected)) = expected_sum(path) else { return Ok(()) };
        let mut step = step;
        let failed = |error: io::Error| Failure::Load {
            path: path.to_owned(),
            reason: format!("cannot read it: {error}"),
        };
        let actual = self.compute(path, |done| {
            step(done);
            true
        });
        let actual = actual.map_err(failed)?.unwrap_or_default();
        if actual == expected {
            return Ok(());
        }
        Err(Failure::Checksum { path: path.to_owned(), list, expected, actual })
    }
}

/// The checksum file beside a model, and the sum it states.
pub(crate) fn expected_sum(path: &Path) -> Option<(PathBuf, String)> {
    let mut name = path.file_name()?.to_owned();
    name.push(".sha256");
    let list = path.with_file_name(name);
    let file = File::open(&list).ok()?;
    let mut text = String::new();
    file.take(MAX_LIST_BYTES).read_to_string(&mut text).ok()?;
    let sum = text.split_whitespace().next()?.to_lowercase();
    (sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some((list, sum))
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_changed_file_is_refused_with_both_sums() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        std::fs::write(&path, "abc").unwrap();
        let sums = Checksums::default();
        assert_eq!(sums.verify(&path, |_| ()), Ok(()));
        std::fs::write(folder.path().join("m.gguf.sha256"), format!("{ABC}  m.gguf\n")).unwrap();
        assert_eq!(sums.verify(&path, |_| ()), Ok(()));
        std::fs::write(&path, "abcd").unwrap();
        let error = sums.verify(&path, |_| ()).unwrap_err().to_string();
        assert!(error.contains("m.gguf") && error.contains(ABC) && error.contains("88d4266f"));
    }
}
