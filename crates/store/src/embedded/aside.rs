//! Segments that cannot be served are taken out of the way, and never deleted: somebody may be able
//! to read more of them than Andon.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::open::own_folder;
use crate::{
    Fault, FaultKind, ReplayReport, StoreError, Wrong,
    segment::{Manifest, create_private, write_manifest},
    table::Table,
};

pub(super) const SET_ASIDE_FOLDER: &str = "set-aside";

/// Moves a file out of the store; where to.
pub(super) fn set_aside(data: &Path, path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error| StoreError::io("set aside", path, &error);
    let to = place_for(data, path)?;
    fs::rename(path, &to).map_err(failed)?;
    for folder in [to.parent(), path.parent()].into_iter().flatten() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(to)
}

/// As [`set_aside`]; the file stays as well.
pub(super) fn copy_aside(data: &Path, path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error| StoreError::io("set aside", path, &error);
    let to = place_for(data, path)?;
    let copied = create_private(&to).and_then(|mut copy| {
        io::copy(&mut File::open(path)?, &mut copy)?;
        copy.sync_all()
    });
    copied.map_err(failed)?;
    if let Some(folder) = to.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(to)
}

/// A name that says where the file was, and that nothing has yet.
fn place_for(data: &Path, path: &Path) -> Result<PathBuf, StoreError> {
    let folder = own_folder(data, SET_ASIDE_FOLDER)?;
    let part = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let was_in = part(path.parent().and_then(Path::file_name));
    let name = format!("{was_in}-{}", part(path.file_name()));
    let mut to = folder.join(&name);
    for number in 1.. {
        if !to.exists() {
            break;
        }
        to = folder.join(format!("{name}.{number}"));
    }
    Ok(to)
}

/// What a start does with segments that are not as the manifest says: one of another size is set
/// aside. One that is not there is left out, and counts again when it is back.
pub(super) fn leave_out(
    data: &Path,
    segments: &Path,
    manifest: &mut Manifest,
    report: &mut ReplayReport,
) -> Result<HashSet<u64>, StoreError> {
    let (mut left_out, mut gone) = (HashSet::new(), HashSet::new());
    let mut lost_rollups = false;
    for info in &manifest.segments {
        let Err(wrong) = info.check_size(segments) else { continue };
        let path = info.path_in(segments);
        tracing::error!(path = %path.display(), %wrong, "a segment is left out");
        let (file, bytes) = (path.display().to_string(), info.bytes);
        report.add(Fault { file, offset: 0, bytes, kind: FaultKind::BadSegment });
        left_out.insert(info.id);
        if matches!(wrong, Wrong::Size { .. }) {
            set_aside(data, &path)?;
            gone.insert(info.id);
            lost_rollups |= info.table == Table::Rollups;
        }
    }
    if lost_rollups {
        manifest.rollups = 0;
    }
    if !gone.is_empty() {
        manifest.segments.retain(|info| !gone.contains(&info.id));
        write_manifest(segments, manifest)?;
    }
    Ok(left_out)
}
