//! Room on the disk under a folder.

use std::path::Path;

use crate::HostError;

/// Bytes of the file system that holds a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    pub total: u64,
    /// What an ordinary user may still write; the part kept back for root is not in it.
    pub free: u64,
}

/// The room at `path`; where it does not exist yet, at the nearest folder above it.
#[cfg(unix)]
pub fn disk_free(path: &Path) -> Result<DiskSpace, HostError> {
    let fail = |source| HostError::DiskFree { path: path.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(fail)?;
    let mut missing = rustix::io::Errno::NOENT;
    for folder in absolute.ancestors() {
        match rustix::fs::statvfs(folder) {
            Ok(space) => {
                return Ok(DiskSpace {
                    total: space.f_blocks.saturating_mul(space.f_frsize),
                    free: space.f_bavail.saturating_mul(space.f_frsize),
                });
            }
            Err(error) if error == rustix::io::Errno::NOENT => missing = error,
            Err(error) => return Err(fail(error.into())),
        }
    }
    Err(fail(missing.into()))
}

#[cfg(not(unix))]
pub fn disk_free(_path: &Path) -> Result<DiskSpace, HostError> {
    Err(HostError::Unsupported { what: "the free space of a disk" })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_one_that_is_yet_to_be_made_have_the_same_room() {
        let folder = tempfile::tempdir().unwrap();
        let here = disk_free(folder.path()).unwrap();
        let later = disk_free(&folder.path().join("not/yet")).unwrap();
        assert!(here.total > 0 && here.free <= here.total);
        assert_eq!(here.total, later.total);
    }

    #[test]
    fn a_path_below_a_file_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = disk_free(&file.path().join("x")).unwrap_err();
        assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
    }
}
