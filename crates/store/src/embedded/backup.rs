//! Copies of a data folder's segments, made while it is in use, and taken back.
//!
//! A segment never changes, so a copy costs a link where both folders are on one disk. The manifest
//! is a moment: when all the files that it names were caught, the copy is of that moment, whatever
//! happens to the folder meanwhile. A copy is a data folder itself; it takes its name last, so that
//! one which was cut short is not taken for a whole one.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::Path,
};

use super::open::{LOG_FOLDER, SEGMENT_FOLDER, make_folder, own_folder};
use crate::{
    StoreError,
    lock::FolderLock,
    log::list_log_files,
    segment::{Manifest, SegmentInfo, create_private, has_segments, read_manifest, write_manifest},
    table::Table,
    verify,
};

/// A copy that is not whole yet.
const UNFINISHED: &str = "segments.new";
/// How often a copy is begun again because a segment went before it was caught.
const TRIES: usize = 20;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    pub segments: u64,
    pub rows: u64,
    pub bytes: u64,
    /// Files that take no room of their own, because both names are of one file.
    pub linked: u64,
}

/// Copies everything that is in segments into a new or empty folder. What is only in the log is not
/// part of it: [`Store::seal`](crate::Store::seal) comes first.
pub fn backup(folder: &Path, to: &Path) -> Result<Copied, StoreError> {
    make_folder(to)?;
    let mut entries = fs::read_dir(to).map_err(|error| StoreError::io("list", to, &error))?;
    if entries.next().is_some() {
        return Err(StoreError::unfit(to, "is not empty"));
    }
    copy_segments(&folder.join(SEGMENT_FOLDER), to)
}

/// Takes a backup back into a data folder that holds no records, after reading all of it.
pub fn restore(from: &Path, folder: &Path) -> Result<Copied, StoreError> {
    let segments = from.join(SEGMENT_FOLDER);
    if read_manifest(&segments)?.is_none() {
        return Err(StoreError::unfit(from, "is no backup: it has no list of segments"));
    }
    let found = verify(from)?;
    if let Some(damaged) = found.damaged.into_iter().next() {
        return Err(StoreError::Damaged { file: damaged.file, reason: damaged.wrong.to_string() });
    }
    if found.frames > 0 {
        return Err(StoreError::unfit(from, "is no backup: it has records in a log"));
    }
    make_folder(folder)?;
    let _lock = FolderLock::take(folder)?;
    make_way(folder)?;
    copy_segments(&segments, folder)
}

/// Removes what a store without records is made of.
fn make_way(folder: &Path) -> Result<(), StoreError> {
    let segments = folder.join(SEGMENT_FOLDER);
    let holds_records = !list_log_files(&folder.join(LOG_FOLDER))?.is_empty()
        || has_segments(&segments)?
        || read_manifest(&segments)?.is_some_and(|manifest| !manifest.segments.is_empty());
    if holds_records {
        return Err(StoreError::unfit(folder, "holds records already"));
    }
    for path in [segments, folder.join(UNFINISHED)] {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes a segments' folder in `to` that is a copy of this one.
fn copy_segments(segments: &Path, to: &Path) -> Result<Copied, StoreError> {
    let unfinished = own_folder(to, UNFINISHED)?;
    for table in Table::ALL {
        own_folder(&unfinished, table.name())?;
    }
    let (manifest, linked) = catch_all(segments, &unfinished)?;
    for table in Table::ALL {
        sync_folder(&unfinished.join(table.name()))?;
    }
    write_manifest(&unfinished, &manifest)?;
    let named = to.join(SEGMENT_FOLDER);
    fs::rename(&unfinished, &named).map_err(|error| StoreError::io("name", &named, &error))?;
    sync_folder(to)?;
    to.canonicalize().ok().as_deref().and_then(Path::parent).map_or(Ok(()), sync_folder)?;
    let size = |info: &SegmentInfo| info.bytes + info.grams_bytes;
    Ok(Copied {
        segments: manifest.segments.len() as u64,
        rows: manifest.segments.iter().map(|info| info.rows).sum(),
        bytes: manifest.segments.iter().map(size).sum(),
        linked,
    })
}

/// Catches all segments of one moment. That moment's manifest, and how many files were linked.
fn catch_all(segments: &Path, to: &Path) -> Result<(Manifest, u64), StoreError> {
    let mut caught = Caught::default();
    let mut lost = None;
    for _ in 0..TRIES {
        let manifest = read_manifest(segments)?
            .ok_or_else(|| StoreError::unfit(segments, "has no list of segments"))?;
        if lost.is_some_and(|id| manifest.segments.iter().any(|info| info.id == id)) {
            break;
        }
        lost = None;
        for info in &manifest.segments {
            if !caught.catch(info, segments, to)? {
                lost = Some(info.id);
                break;
            }
        }
        if lost.is_none() {
            return caught.finish(manifest, to);
        }
    }
    Err(StoreError::unfit(segments, "lacks a segment; see: andon store verify"))
}

/// Files that are in the copy so far.
#[derive(Default)]
struct Caught {
    segments: Vec<SegmentInfo>,
    ids: HashSet<u64>,
    without_grams: HashSet<u64>,
    linked: u64,
}

impl Caught {
    /// `false` when the file is not there any more.
    fn catch(&mut self, info: &SegmentInfo, from: &Path, to: &Path) -> Result<bool, StoreError> {
        if self.ids.contains(&info.id) {
            return Ok(true);
        }
        if !self.place(&info.path_in(from), &info.path_in(to))? {
            return Ok(false);
        }
        // A segment can do without the index of its texts.
        if info.grams_bytes > 0 && !self.place(&info.grams_in(from), &info.grams_in(to))? {
            self.without_grams.insert(info.id);
        }
        self.ids.insert(info.id);
        self.segments.push(info.clone());
        Ok(true)
    }

    fn place(&mut self, from: &Path, to: &Path) -> Result<bool, StoreError> {
        match fs::hard_link(from, to) {
            Ok(()) => {
                self.linked += 1;
                return Ok(true);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            // Another disk, or one without links.
            Err(error) => tracing::debug!(%error, "copying instead of linking"),
        }
        let copied = (|| {
            let mut source = File::open(from)?;
            let mut copy = create_private(to)?;
            io::copy(&mut source, &mut copy)?;
            copy.sync_all()
        })();
        match copied {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => Ok(false),
            Err(error) => Err(StoreError::io("copy", from, &error)),
        }
    }

    /// Leaves out what was caught and is not of this moment.
    fn finish(self, manifest: Manifest, to: &Path) -> Result<(Manifest, u64), StoreError> {
        let counting: HashSet<_> = manifest.segments.iter().map(|info| info.id).collect();
        for info in self.segments.iter().filter(|info| !counting.contains(&info.id)) {
            let path = info.path_in(to);
            fs::remove_file(&path).map_err(|error| StoreError::io("remove", &path, &error))?;
            // It may never have been there.
            let _ = fs::remove_file(info.grams_in(to));
        }
        let mut segments = manifest.segments;
        for info in segments.iter_mut().filter(|info| self.without_grams.contains(&info.id)) {
            info.grams_bytes = 0;
        }
        Ok((Manifest { segments, ..manifest }, self.linked))
    }
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|error| StoreError::io("sync", folder, &error))
}
