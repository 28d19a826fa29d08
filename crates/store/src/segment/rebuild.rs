//! The manifest made anew from the segments themselves, when it is lost or damaged.

use std::{
    collections::HashSet,
    fs::{self, File},
    path::Path,
};

use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    file::statistics::Statistics,
};

use super::{
    EXTENSION, EXTENSIONS, Manifest, SegmentInfo,
    grams::path_beside,
    guard,
    write::{CREATED_KEY, LOG_THROUGH_KEY, REPLACES_KEY},
};
use crate::{StoreError, table::Table};

/// What a segment says of itself.
struct Found {
    info: SegmentInfo,
    log_through: u64,
    replaces: Vec<u64>,
}

/// Files that are no segments are passed to `damaged` and left where they are.
pub(crate) fn rebuild_manifest(
    folder: &Path,
    damaged: &mut dyn FnMut(StoreError),
) -> Result<Manifest, StoreError> {
    let mut manifest = Manifest { next_id: 1, ..Manifest::default() };
    let mut replaced = HashSet::new();
    for table in Table::ALL {
        for (id, path) in files_of(folder, table)? {
            manifest.next_id = manifest.next_id.max(id + 1);
            match look_at(table, id, &path) {
                Ok(Found { info, log_through, replaces }) => {
                    manifest.log_through = manifest.log_through.max(log_through);
                    replaced.extend(replaces);
                    manifest.segments.push(info);
                }
                Err(error) => damaged(error),
            }
        }
    }
    manifest.segments.retain(|info| !replaced.contains(&info.id));
    Ok(manifest)
}

/// Whether there is any segment, whether it counts or not.
pub(crate) fn has_segments(folder: &Path) -> Result<bool, StoreError> {
    for table in Table::ALL {
        if folder.join(table.name()).exists() && !files_of(folder, table)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes what a crash left of segments that were never to count, or do not any more.
pub(crate) fn remove_strays(folder: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let mut known: HashSet<_> = manifest.segments.iter().map(|info| info.path_in(folder)).collect();
    let contents = manifest.segments.iter().filter(|info| info.table == Table::Contents);
    known.extend(contents.map(|info| path_beside(&info.path_in(folder))));
    for table in Table::ALL {
        let folder = folder.join(table.name());
        let failed = |error| StoreError::io("list", &folder, &error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_ours =
                path.extension().is_some_and(|of| EXTENSIONS.iter().any(|ext| of == *ext));
            if is_ours && !known.contains(&path) {
                tracing::info!(path = %path.display(), "removing a file that does not count");
                fs::remove_file(&path).map_err(|error| StoreError::io("remove", &path, &error))?;
            }
        }
    }
    Ok(())
}

/// The segments in a table's folder, whether they count or not.
fn files_of(folder: &Path, table: Table) -> Result<Vec<(u64, std::path::PathBuf)>, StoreError> {
    let folder = folder.join(table.name());
    let failed = |error| StoreError::io("list", &folder, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let id = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(id) = id.filter(|_| path.extension().is_some_and(|ext| ext == EXTENSION)) {
            files.push((id, path));
        }
    }
    files.sort();
    Ok(files)
}

fn look_at(table: Table, id: u64, path: &Path) -> Result<Found, StoreError> {
    let bytes = fs::read(path).map_err(|error| StoreError::io("read", path, &error))?;
    let file = File::open(path).map_err(|error| StoreError::io("open", path, &error))?;
    let read = guard(path, || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))?;
    let metadata = read.metadata();
    let (mut from_ns, mut to_ns) = (u64::MAX, 0);
    for group in metadata.row_groups() {
        let columns = group.columns().iter();
        let times = columns
            .filter(|column| column.column_path().string() == table.time_column())
            .find_map(|column| match column.statistics() {
                Some(Statistics::Int64(times)) => times.min_opt().zip(times.max_opt()),
                _ => None,
            });
        let (first, last) = times.unwrap_or((&0, &i64::MAX));
        from_ns = from_ns.min(first.unsigned_abs());
        to_ns = to_ns.max(last.unsigned_abs());
    }
    let value = |key: &str| {
        let entries = metadata.file_metadata().key_value_metadata()?.iter();
        entries.clone().find(|entry| entry.key == key)?.value.clone()
    };
    let info = SegmentInfo {
        table,
        id,
        rows: metadata.file_metadata().num_rows().unsigned_abs(),
        bytes: bytes.len() as u64,
        grams_bytes: fs::metadata(path_beside(path)).map_or(0, |metadata| metadata.len()),
        from_ns: from_ns.min(to_ns),
        to_ns,
        created_ns: value(CREATED_KEY).and_then(|text| text.parse().ok()).unwrap_or(0),
        crc32c: crc32c::crc32c(&bytes),
    };
    let log_through = value(LOG_THROUGH_KEY).and_then(|text| text.parse().ok()).unwrap_or(0);
    let replaces = value(REPLACES_KEY).unwrap_or_default();
    let replaces = replaces.split(',').filter_map(|id| id.parse().ok()).collect();
    Ok(Found { info, log_through, replaces })
}
