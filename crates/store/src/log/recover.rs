//! What a start does to the log before anything else: list its files, take away those that hold
//! nothing, and, once they were read, cut off what a crash left half-written at the very end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::Path,
};

use andon_model::Span;

use super::{
    FORMAT_VERSION,
    files::Disk,
    frame::{HEADER_LEN, Header, encode},
    scan::Scanned,
    segment::{Active, Found, sequence_of},
};
use crate::{Fault, FaultKind, ReplayReport, StoreError};

/// The files of the log, oldest first.
pub(crate) fn survey(folder: &Path, report: &mut ReplayReport) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    let listing = fs::read_dir(folder).map_err(|error| StoreError::io("list", folder, &error))?;
    for entry in listing {
        let entry = entry.map_err(|error| StoreError::io("list", folder, &error))?;
        let Some(sequence) = entry.file_name().to_str().and_then(sequence_of) else { continue };
        if let Some(segment) = look_at(&entry.path(), sequence, report)? {
            found.push(segment);
        }
    }
    found.sort_by_key(|segment| segment.sequence);
    report.segments += found.len() as u64;
    Ok(found)
}

/// Writes a whole file of the log, durable with its name when this returns.
pub(crate) fn write_log_file(
    folder: &Path,
    sequence: u64,
    frames: &[(u8, Vec<u8>)],
) -> Result<Found, StoreError> {
    let write = || {
        let mut active = Active::create(&Disk, folder, sequence, Span::now_ns())?;
        let bytes: Vec<u8> =
            frames.iter().flat_map(|(kind, payload)| encode(*kind, payload)).collect();
        active.file.write_all_at(&bytes, active.len)?;
        active.file.sync()?;
        active.len += bytes.len() as u64;
        Ok(active.close())
    };
    write().map_err(|error| StoreError::io("write into", folder, &error))
}

/// Reads a file's header. `None` when the file held nothing and was removed.
fn look_at(
    path: &Path,
    sequence: u64,
    report: &mut ReplayReport,
) -> Result<Option<Found>, StoreError> {
    let (bytes, header) =
        read_header(path).map_err(|error| StoreError::io("read", path, &error))?;
    let fault =
        |offset, bytes, kind| Fault { file: path.display().to_string(), offset, bytes, kind };
    if bytes < HEADER_LEN {
        fs::remove_file(path).map_err(|error| StoreError::io("remove", path, &error))?;
        report.add(fault(0, bytes, FaultKind::EmptyFile));
        return Ok(None);
    }
    if let Some(header) = header.filter(|header| header.version > FORMAT_VERSION) {
        let (file, version) = (path.display().to_string(), header.version);
        return Err(StoreError::NewerFormat { file, version, known: FORMAT_VERSION });
    }
    let whole = header.filter(|header| header.sequence == sequence);
    if whole.is_none() {
        report.add(fault(0, HEADER_LEN, FaultKind::BadHeader));
    }
    let created_ns = whole.map_or(0, |header| header.created_ns);
    Ok(Some(Found { sequence, path: path.to_owned(), bytes, created_ns, is_damaged: false }))
}

fn read_header(path: &Path) -> io::Result<(u64, Option<Header>)> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut start = [0; HEADER_LEN as usize];
    let header = match file.read_exact(&mut start) {
        Ok(()) => Header::decode(&start),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(error),
    };
    Ok((bytes, header))
}

/// Only the last file can have been in the middle of a write. What follows its last whole frame was
/// never acknowledged. Takes what the scan of that file found.
pub(crate) fn cut_torn_tail(last: &mut Found, scanned: &mut Scanned) -> Result<(), StoreError> {
    if scanned.good_end >= last.bytes {
        return Ok(());
    }
    OpenOptions::new()
        .write(true)
        .open(&last.path)
        .and_then(|file| file.set_len(scanned.good_end).and_then(|()| file.sync_all()))
        .map_err(|error| StoreError::io("cut the torn end of", &last.path, &error))?;
    last.bytes = scanned.good_end;
    if let Some(fault) = scanned.faults.last_mut() {
        fault.kind = FaultKind::TornTail;
    }
    Ok(())
}
