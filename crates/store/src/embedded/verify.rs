//! Whether every file of a data folder is what it was written as. Reads only, whether or not a
//! process has the folder.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    thread,
    time::Duration,
};

use super::open::{LOG_FOLDER, SEGMENT_FOLDER};
use crate::{
    Config, Fault, FaultKind, StoreError, holder,
    log::{Checked, check_log_file, list_log_files},
    record::Stored,
    segment::{Manifest, SegmentInfo, read_manifest, rebuild_manifest},
};

/// How often the list of segments is read again because some of them went meanwhile.
const ROUNDS: usize = 10;
/// How often, and how long apart, a file that is being written to is read before its end is called
/// damaged.
const LOG_TRIES: usize = 4;
const LOG_WAIT: Duration = Duration::from_millis(150);

/// What a look at every file came to.
#[derive(Debug, Default)]
pub struct Verification {
    pub segments: u64,
    /// Rows in the segments that are whole.
    pub rows: u64,
    pub bytes: u64,
    pub log_files: u64,
    /// Whole frames of the log.
    pub frames: u64,
    pub damaged: Vec<Damaged>,
    /// Writes that a crash cut short: nothing acknowledged is missing, and the next start cuts them
    /// off.
    pub unfinished: Vec<Fault>,
}

/// A file, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    pub file: String,
    pub wrong: Wrong,
}

/// What can be wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("it is missing")]
    Missing,
    #[error("it has {found} bytes and should have {expected}")]
    Size { expected: u64, found: u64 },
    #[error("its CRC32C is {found:08x} and should be {expected:08x}")]
    Checksum { expected: u32, found: u32 },
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it has {found} rows and should have {expected}")]
    Rows { expected: u64, found: u64 },
    #[error("row {row} is out of order")]
    Order { row: u64 },
    #[error("a row of {time_ns} ns lies outside of its time, {from_ns} to {to_ns}")]
    Time { time_ns: u64, from_ns: u64, to_ns: u64 },
    /// In a file of the log.
    #[error("{bytes} bytes from byte {offset} on are damaged ({kind:?})")]
    Frame { offset: u64, bytes: u64, kind: FaultKind },
    /// Beside the manifest there is nothing that says which segments count.
    #[error("it is missing, though there are segments")]
    NoManifest,
}

impl Verification {
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty()
    }

    fn add(&mut self, path: &Path, wrong: Wrong) {
        self.damaged.push(Damaged { file: path.display().to_string(), wrong });
    }
}

/// Looks at every file of a data folder.
pub fn verify(folder: &Path) -> Result<Verification, StoreError> {
    let is_in_use = holder(folder).is_some();
    let mut found = Verification::default();
    // The log first: what leaves it meanwhile is in segments that are looked at after that.
    verify_log(&folder.join(LOG_FOLDER), is_in_use, &mut found)?;
    verify_segments(&folder.join(SEGMENT_FOLDER), is_in_use, &mut found)?;
    found.damaged.sort_by(|left, right| left.file.cmp(&right.file));
    Ok(found)
}

pub(super) fn verify_log(
    folder: &Path,
    is_in_use: bool,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let files = list_log_files(folder)?;
    let count = files.len();
    for (number, (sequence, path)) in files.into_iter().enumerate() {
        let is_last = number + 1 == count;
        let Some(checked) = read_log_file(&path, sequence, is_last, is_in_use)? else { continue };
        found.log_files += 1;
        found.frames += checked.frames;
        for fault in checked.faults {
            match fault.kind {
                FaultKind::TornTail | FaultKind::EmptyFile if is_in_use => {}
                FaultKind::TornTail | FaultKind::EmptyFile => found.unfinished.push(fault),
                kind => {
                    let Fault { offset, bytes, .. } = fault;
                    found.add(&path, Wrong::Frame { offset, bytes, kind });
                }
            }
        }
    }
    Ok(())
}

/// `None` when the file went meanwhile, because what it held is in segments.
fn read_log_file(
    path: &Path,
    sequence: u64,
    is_last: bool,
    is_in_use: bool,
) -> Result<Option<Checked>, StoreError> {
    let record_bytes = Config::default().record_bytes;
    let mut tries = if is_in_use { LOG_TRIES } else { 1 };
    loop {
        tries -= 1;
        let understood = &mut |kind, payload: &[u8]| Stored::decode(kind, payload).is_some();
        let checked = check_log_file(path, sequence, is_last, record_bytes, understood)?;
        let is_whole = checked.as_ref().is_none_or(|checked| checked.faults.is_empty());
        if is_whole || tries == 0 {
            return Ok(checked);
        }
        // What is being written right now may be half there.
        thread::sleep(LOG_WAIT);
    }
}

fn verify_segments(
    folder: &Path,
    is_in_use: bool,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let Some(mut manifest) = manifest_of(folder, found)? else { return Ok(()) };
    let mut seen = HashSet::new();
    let mut missing: HashMap<u64, SegmentInfo> = HashMap::new();
    for _ in 0..if is_in_use { ROUNDS } else { 1 } {
        for info in manifest.segments.iter().filter(|info| seen.insert(info.id)) {
            match verify_segment(folder, info, found) {
                Err(Wrong::Missing) => {
                    missing.insert(info.id, info.clone());
                }
                Err(wrong) => found.add(&info.path_in(folder), wrong),
                Ok(()) => found.rows += info.rows,
            }
        }
        if missing.is_empty() || !is_in_use {
            break;
        }
        // Those that do not count any more may be gone; others count in their place.
        let Some(next) = read_manifest(folder)? else { break };
        manifest = next;
        missing.retain(|id, _| manifest.segments.iter().any(|info| info.id == *id));
    }
    missing.into_values().for_each(|info| found.add(&info.path_in(folder), Wrong::Missing));
    Ok(())
}

fn verify_segment(
    folder: &Path,
    info: &SegmentInfo,
    found: &mut Verification,
) -> Result<(), Wrong> {
    info.check(folder)?;
    found.segments += 1;
    found.bytes += info.bytes;
    match info.check_grams(folder) {
        // It may have gone with its segment.
        Err(Wrong::Missing) if info.check_size(folder).is_err() => {}
        Err(wrong) => found.add(&info.grams_in(folder), wrong),
        Ok(()) => found.bytes += info.grams_bytes,
    }
    Ok(())
}

/// What says which segments count. Where that is lost, the segments as they are found.
fn manifest_of(folder: &Path, found: &mut Verification) -> Result<Option<Manifest>, StoreError> {
    let path = Manifest::path_in(folder);
    let wrong = match read_manifest(folder) {
        Ok(Some(manifest)) => return Ok(Some(manifest)),
        Ok(None) => Wrong::NoManifest,
        Err(StoreError::Damaged { reason, .. }) => Wrong::Unreadable(reason),
        Err(error) => return Err(error),
    };
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut unreadable = Vec::new();
    let rebuilt = rebuild_manifest(folder, &mut |error| unreadable.push(error))?;
    if wrong != Wrong::NoManifest || !rebuilt.segments.is_empty() || !unreadable.is_empty() {
        found.add(&path, wrong);
    }
    for error in unreadable {
        match error {
            StoreError::Damaged { file, reason } => {
                found.damaged.push(Damaged { file, wrong: Wrong::Unreadable(reason) });
            }
            error => return Err(error),
        }
    }
    Ok(Some(rebuilt))
}
