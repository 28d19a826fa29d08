//! Makes a damaged data folder whole again, at the price of what cannot be read. Nothing is deleted:
//! damaged files are set aside.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    EmbeddedStore,
    aside::{copy_aside, set_aside},
    open::{LOG_FOLDER, SEGMENT_FOLDER, own_folder},
    retrace::make_rows,
    rollups,
    verify::{Damaged, Verification, Wrong, verify_log},
};
use crate::{
    Config, Store, StoreError,
    aggregate::VERSION,
    lock::FolderLock,
    segment::{Manifest, read_manifest, rebuild_manifest, write_manifest},
    table::Table,
};

/// What was done.
#[derive(Debug, Default)]
pub struct Repair {
    pub is_manifest_rebuilt: bool,
    pub set_aside: Vec<SetAside>,
    /// Rows of the list of traces that were made anew from their spans.
    pub traces_made: u64,
    /// Sums of hours that were made anew from the spans.
    pub rollups_made: u64,
    /// Damaged places in the log; what is before and behind them was kept.
    pub log_places: u64,
}

/// A file that does not count any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    pub file: String,
    pub wrong: Wrong,
    /// Where it is now; `None` for one that was missing, or can be done without.
    pub now: Option<String>,
}

/// Repairs a data folder that nobody has in use.
pub fn repair(folder: &Path, config: &Config) -> Result<Repair, StoreError> {
    let mut done = Repair::default();
    let lock = FolderLock::take(folder)?;
    let segments = own_folder(folder, SEGMENT_FOLDER)?;
    for table in Table::ALL {
        own_folder(&segments, table.name())?;
    }
    let mut manifest = done.manifest(folder, &segments)?;
    done.check_segments(folder, &segments, &mut manifest)?;
    // What was set aside is in no manifest from here on, whatever happens.
    write_manifest(&segments, &manifest)?;
    done.traces_made = make_rows(&segments, &mut manifest, config)?;
    if manifest.rollups != VERSION {
        done.rollups_made = rollups::make(&segments, &mut manifest)?;
    }
    write_manifest(&segments, &manifest)?;
    drop(lock);
    done.empty_log(folder, config)?;
    Ok(done)
}

impl Repair {
    pub fn is_nothing(&self) -> bool {
        let Self { is_manifest_rebuilt, set_aside, traces_made, rollups_made, log_places } = self;
        let made = traces_made + rollups_made;
        !is_manifest_rebuilt && set_aside.is_empty() && made == 0 && *log_places == 0
    }

    fn move_away(&mut self, data: &Path, path: &Path, wrong: Wrong) -> Result<(), StoreError> {
        let now = Some(set_aside(data, path)?.display().to_string());
        self.set_aside.push(SetAside { file: path.display().to_string(), wrong, now });
        Ok(())
    }

    /// The manifest, or what the segments say of themselves.
    fn manifest(&mut self, data: &Path, segments: &Path) -> Result<Manifest, StoreError> {
        match read_manifest(segments) {
            Ok(Some(manifest)) => return Ok(manifest),
            Ok(None) => {}
            Err(StoreError::Damaged { reason, .. }) => {
                self.move_away(data, &Manifest::path_in(segments), Wrong::Unreadable(reason))?;
            }
            Err(error) => return Err(error),
        }
        let mut unreadable = Vec::new();
        let manifest = rebuild_manifest(segments, &mut |error| unreadable.push(error))?;
        for error in unreadable {
            match error {
                StoreError::Damaged { file, reason } => {
                    self.move_away(data, Path::new(&file), Wrong::Unreadable(reason))?;
                }
                error => return Err(error),
            }
        }
        self.is_manifest_rebuilt = !manifest.segments.is_empty() || !self.set_aside.is_empty();
        Ok(manifest)
    }

    /// Leaves in the manifest what is whole.
    fn check_segments(
        &mut self,
        data: &Path,
        segments: &Path,
        manifest: &mut Manifest,
    ) -> Result<(), StoreError> {
        let mut whole = Vec::with_capacity(manifest.segments.len());
        for mut info in std::mem::take(&mut manifest.segments) {
            let path = info.path_in(segments);
            let checked = info.check(segments);
            if checked.is_err() && info.table == Table::Rollups {
                manifest.rollups = 0;
            }
            match checked {
                Ok(()) => {}
                Err(wrong @ Wrong::Missing) => {
                    let file = path.display().to_string();
                    self.set_aside.push(SetAside { file, wrong, now: None });
                    continue;
                }
                Err(wrong) => {
                    self.move_away(data, &path, wrong)?;
                    continue;
                }
            }
            if let Err(wrong) = info.check_grams(segments) {
                let path = info.grams_in(segments);
                // It says nothing that the segment does not say; questions read all texts instead.
                let _ = fs::remove_file(&path);
                let file = path.display().to_string();
                self.set_aside.push(SetAside { file, wrong, now: None });
                info.grams_bytes = 0;
            }
            whole.push(info);
        }
        manifest.segments = whole;
        Ok(())
    }

    /// Moves what can be read of the log into segments, and its damaged files out of the way.
    fn empty_log(&mut self, folder: &Path, config: &Config) -> Result<(), StoreError> {
        let mut before = Verification::default();
        verify_log(&folder.join(LOG_FOLDER), false, &mut before)?;
        self.log_places = before.damaged.len() as u64;
        if before.damaged.is_empty() {
            return Ok(());
        }
        let mut files: Vec<PathBuf> = Vec::new();
        for Damaged { file, wrong } in before.damaged {
            let path = PathBuf::from(&file);
            if files.last() != Some(&path) {
                // A start cuts off what it cannot read at the end of the last file.
                let now = Some(copy_aside(folder, &path)?.display().to_string());
                self.set_aside.push(SetAside { file, wrong, now });
                files.push(path);
            }
        }
        let store = EmbeddedStore::open(folder, config.clone())?;
        store.seal()?;
        store.close();
        // What was readable in them is in segments; the store sets some of them aside by itself.
        for path in files.iter().flat_map(|path| [path.clone(), path.with_extension("damaged")]) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
