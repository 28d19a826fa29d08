//! The one small file that says which segments count, and up to where the log is in them.
//!
//! It is replaced as a whole by a rename, so that a reader and a crash find either what was before
//! or what came after. Its checksum stands in front of its body.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{SegmentInfo, write::create_private};
use crate::StoreError;

const FILE_NAME: &str = "manifest.json";
const FORMAT: u32 = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Log files with a sequence up to this are in segments.
    pub(crate) log_through: u64,
    /// The same for the samples' log of versions before 0.2.
    #[serde(default)]
    pub(crate) samples_through: u64,
    pub(crate) next_id: u64,
    /// The version of the rollups of all spans; 0 where they are to be made.
    #[serde(default)]
    pub(crate) rollups: u32,
    pub(crate) segments: Vec<SegmentInfo>,
}

impl Manifest {
    /// Where it is in the folder of all segments.
    pub(crate) fn path_in(folder: &Path) -> PathBuf {
        folder.join(FILE_NAME)
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    format: u32,
    crc32c: u32,
    #[serde(borrow)]
    manifest: &'a RawValue,
}

/// `None` when there is none yet.
pub(crate) fn read_manifest(folder: &Path) -> Result<Option<Manifest>, StoreError> {
    let path = folder.join(FILE_NAME);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", &path, &error)),
    };
    parse(&bytes, &path).map(Some)
}

fn parse(bytes: &[u8], path: &Path) -> Result<Manifest, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { file: path.display().to_string(), reason };
    let envelope: Envelope<'_> =
        serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if envelope.format > FORMAT {
        let (file, version) = (path.display().to_string(), envelope.format);
        return Err(StoreError::NewerFormat { file, version, known: FORMAT });
    }
    if envelope.format == 0 {
        return Err(damaged("there is no format 0".to_owned()));
    }
    let body = envelope.manifest.get();
    if crc32c::crc32c(body.as_bytes()) != envelope.crc32c {
        return Err(damaged("its checksum is another".to_owned()));
    }
    serde_json::from_str(body).map_err(|error| damaged(error.to_string()))
}

pub(crate) fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let path = folder.join(FILE_NAME);
    let failed = |error: io::Error| StoreError::io("write", &path, &error);
    let body = serde_json::value::to_raw_value(manifest)
        .map_err(|error| StoreError::Encode(error.to_string()))?;
    let crc32c = crc32c::crc32c(body.get().as_bytes());
    let bytes = serde_json::to_vec(&Envelope { format: FORMAT, crc32c, manifest: &body })
        .map_err(|error| StoreError::Encode(error.to_string()))?;
    replace(&path, &bytes).map_err(failed)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside: PathBuf = path.with_extension("json.new");
    let mut file = create_private(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    fn manifest() -> Manifest {
        let info = SegmentInfo {
            table: Table::Spans,
            id: 7,
            rows: 3,
            bytes: 1_000,
            grams_bytes: 0,
            from_ns: 1,
            to_ns: 2,
            created_ns: 3,
            crc32c: 9,
        };
        Manifest {
            log_through: 4,
            samples_through: 0,
            next_id: 8,
            rollups: 1,
            segments: vec![info],
        }
    }

    #[test]
    fn reads_back_what_was_written_last() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_manifest(folder.path()).unwrap(), None);
        write_manifest(folder.path(), &Manifest::default()).unwrap();
        write_manifest(folder.path(), &manifest()).unwrap();
        assert_eq!(read_manifest(folder.path()).unwrap(), Some(manifest()));
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let folder = tempfile::tempdir().unwrap();
        write_manifest(folder.path(), &manifest()).unwrap();
        let path = folder.path().join(FILE_NAME);
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match parse(&bad, &path) {
                Ok(_) => panic!("bit {bit}"),
                Err(StoreError::Damaged { .. } | StoreError::NewerFormat { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
