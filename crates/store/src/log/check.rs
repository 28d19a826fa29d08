//! Reading the log to see whether it is whole. Changes nothing, so that it can be done while another
//! process writes.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    FORMAT_VERSION,
    frame::{self, HEADER_LEN, Header, PREFIX_LEN},
    scan::Scan,
    segment::sequence_of,
};
use crate::{Fault, FaultKind, StoreError};

/// A file of the log as it was read.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) frames: u64,
    /// A [`FaultKind::TornTail`] or [`FaultKind::EmptyFile`] is what a crash, or a write that is under
    /// way, leaves; nothing acknowledged was in there.
    pub(crate) faults: Vec<Fault>,
}

/// The files of the log by their sequence, oldest first.
pub(crate) fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let failed = |error| StoreError::io("list", folder, &error);
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in listing {
        let entry = entry.map_err(failed)?;
        let sequence = entry.file_name().to_str().and_then(sequence_of);
        files.extend(sequence.map(|sequence| (sequence, entry.path())));
    }
    files.sort();
    Ok(files)
}

/// `is_last`: the file that is, or was, being written to. `understood` says whether it knows what is
/// in a frame. `None` when the file went meanwhile.
pub(crate) fn check(
    path: &Path,
    sequence: u64,
    is_last: bool,
    record_bytes: usize,
    understood: &mut dyn FnMut(u8, &[u8]) -> bool,
) -> Result<Option<Checked>, StoreError> {
    match look_through(path, sequence, is_last, record_bytes, understood) {
        Err(StoreError::Io { .. }) if !path.exists() => Ok(None),
        checked => checked.map(Some),
    }
}

fn look_through(
    path: &Path,
    sequence: u64,
    is_last: bool,
    record_bytes: usize,
    understood: &mut dyn FnMut(u8, &[u8]) -> bool,
) -> Result<Checked, StoreError> {
    let failed = |error: io::Error| StoreError::io("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let fault =
        |offset, bytes, kind| Fault { file: path.display().to_string(), offset, bytes, kind };
    let mut checked = Checked::default();
    let mut start = [0; HEADER_LEN as usize];
    if bytes < HEADER_LEN {
        checked.faults.push(fault(0, bytes, FaultKind::EmptyFile));
        return Ok(checked);
    }
    file.read_exact_at(&mut start, 0).map_err(failed)?;
    let header = Header::decode(&start);
    if let Some(Header { version, .. }) = header.filter(|header| header.version > FORMAT_VERSION) {
        let file = path.display().to_string();
        return Err(StoreError::NewerFormat { file, version, known: FORMAT_VERSION });
    }
    if header.is_none_or(|header| header.sequence != sequence) {
        checked.faults.push(fault(0, HEADER_LEN, FaultKind::BadHeader));
    }
    let scanned = Scan::run(path, record_bytes, understood)?;
    checked.frames = scanned.frames;
    checked.faults.extend(scanned.faults);
    if let Some(last) = checked.faults.last_mut().filter(|last| {
        is_last && last.kind == FaultKind::CorruptTail && is_cut_short(&file, last, record_bytes)
    }) {
        last.kind = FaultKind::TornTail;
    }
    Ok(checked)
}

/// Whether what begins here is the beginning of a frame whose end was never written.
fn is_cut_short(file: &File, tail: &Fault, record_bytes: usize) -> bool {
    let mut prefix = [0; PREFIX_LEN];
    if tail.bytes < PREFIX_LEN as u64 {
        return true;
    }
    if file.read_exact_at(&mut prefix, tail.offset).is_err() {
        return false;
    }
    let said = frame::prefix(&prefix, frame::body_limit(record_bytes));
    said.is_some_and(|(length, _)| length as u64 > tail.bytes - PREFIX_LEN as u64)
}
