//! Opening: folder, lock, manifest, and what is in the log and not yet in segments.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicU64, AtomicUsize},
    },
    time::Instant,
};

use tokio::sync::broadcast;

use super::{
    CHANGES_KEPT, EmbeddedStore, Shared, State,
    aside::{leave_out, set_aside},
    commit::Intake,
    compact,
    counted::Counted,
    scrub,
    scrub::{Scrub, still_damaged},
    seal::{Jobs, Sealer},
    segments::Segments,
};
use crate::{
    Config, Fault, FaultKind, ReplayReport, StoreError,
    aggregate::VERSION,
    hot::{Frozen, Hot},
    lock::FolderLock,
    log::{Disk, Files, Found, Log, Options, Scan, cut_torn_tail, survey, write_log_file},
    record::{Stored, encode_spans, kind},
    segment::{
        Manifest, Segment, SegmentInfo, read_manifest, rebuild_manifest, remove_strays,
        write_manifest,
    },
    sql::Sql,
    table::Table,
};

pub(super) const LOG_FOLDER: &str = "log";
pub(super) const SEGMENT_FOLDER: &str = "segments";
/// Where versions before 0.2 had a log of samples.
pub(super) const SAMPLE_FOLDER: &str = "samples";
const FOLDER_MODE: u32 = 0o700;

impl EmbeddedStore {
    /// Opens the data folder, makes it if need be, and takes in what the log holds.
    pub fn open(folder: &Path, config: Config) -> Result<Self, StoreError> {
        Self::open_on(folder, config, || Box::new(Disk))
    }

    /// As [`Self::open`], writing the log through the given stand-in for the disk.
    pub(crate) fn open_on(
        folder: &Path,
        config: Config,
        files: impl Fn() -> Box<dyn Files>,
    ) -> Result<Self, StoreError> {
        let started = Instant::now();
        make_folder(folder)?;
        // Questions in SQL need it from the root, without `..`.
        let whole = fs::canonicalize(folder);
        let folder = &whole.map_err(|error| StoreError::io("find", folder, &error))?;
        let lock = FolderLock::take(folder)?;
        let log_folder = own_folder(folder, LOG_FOLDER)?;
        let segment_folder = own_folder(folder, SEGMENT_FOLDER)?;
        for table in Table::ALL {
            own_folder(&segment_folder, table.name())?;
        }
        for folder in [folder, &segment_folder] {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|error| StoreError::io("sync", folder, &error))?;
        }
        let mut report = ReplayReport::default();
        let (manifest, mut left_out) = load_manifest(folder, &segment_folder, &mut report)?;
        let damaged = still_damaged(folder, &segment_folder, &manifest, &mut report);
        left_out.extend(&damaged);
        let options = options(&config, &log_folder);
        let shared = Arc::new(Shared::new(config, &manifest, &left_out, &segment_folder));
        let mut opening = Opening {
            shared: Arc::clone(&shared),
            segments: Segments { folder: segment_folder, manifest, removals: 0 },
            report,
            written: Vec::new(),
        };
        opening.take_over_samples(&folder.join(SAMPLE_FOLDER))?;
        let found = opening.replay(&log_folder)?;
        let Opening { segments, report: mut replay, .. } = opening;
        replay.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);

        let jobs = Arc::new(Jobs::default());
        let intake = Intake { shared: Arc::clone(&shared), jobs: Arc::clone(&jobs) };
        let next_sequence = segments.manifest.log_through.saturating_add(1);
        let log = Log::start(options, files(), found, next_sequence, Box::new(intake))?;
        let log = Arc::new(log);
        let segments = Arc::new(Mutex::new(segments));
        let compactor = compact::start(Arc::clone(&shared), Arc::clone(&segments))?;
        let sealer =
            Sealer::start(jobs, Arc::clone(&shared), Arc::clone(&log), Arc::clone(&segments))?;
        let scrub = Scrub::new(Arc::clone(&shared), Arc::clone(&segments), folder, &damaged);
        let scrub = Arc::new(scrub);
        let scrubber = scrub::start(Arc::clone(&scrub))?;
        let looked = Arc::clone(&shared);
        let sql = Sql::new(Arc::new(move |table| looked.snapshot(table)), &shared.config);
        Ok(Self { log, sealer, compactor, scrub, scrubber, segments, sql, shared, replay, lock })
    }
}

impl Shared {
    fn new(config: Config, manifest: &Manifest, left_out: &HashSet<u64>, folder: &Path) -> Self {
        let segments = manifest.segments.iter().filter(|info| !left_out.contains(&info.id));
        let mut segments: Vec<_> =
            segments.map(|info| Arc::new(Segment::new(info.clone(), folder))).collect();
        segments.sort_by_key(|segment| segment.order());
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let is_lost =
            |info: &&SegmentInfo| info.table == Table::Rollups && left_out.contains(&info.id);
        let has_rollups =
            manifest.rollups == VERSION && !manifest.segments.iter().any(|info| is_lost(&info));
        let state = State { hot: Hot::new(&config), segments: Arc::new(segments), has_rollups };
        Self {
            config,
            state: RwLock::new(state),
            turn: Mutex::new(()),
            changes,
            hot_bytes: AtomicUsize::new(0),
            unreadable: AtomicU64::new(0),
            counted: Counted::default(),
        }
    }
}

/// The manifest, or what can be made of the segments when it cannot be read; and which of its
/// segments cannot be served.
fn load_manifest(
    data: &Path,
    folder: &Path,
    report: &mut ReplayReport,
) -> Result<(Manifest, HashSet<u64>), StoreError> {
    let mut fault = |error: &StoreError, file: &Path, kind| {
        let file = file.display().to_string();
        tracing::error!(%error, "damaged store");
        report.add(Fault { file, offset: 0, bytes: 0, kind });
    };
    let known = match read_manifest(folder) {
        Ok(known) => known,
        Err(error @ StoreError::Damaged { .. }) => {
            fault(&error, folder, FaultKind::BadManifest);
            None
        }
        Err(error) => return Err(error),
    };
    if let Some(mut manifest) = known {
        let left_out = leave_out(data, folder, &mut manifest, report)?;
        remove_strays(folder, &manifest)?;
        return Ok((manifest, left_out));
    }
    let mut unreadable = Vec::new();
    let mut manifest = rebuild_manifest(folder, &mut |error| unreadable.push(error))?;
    for error in unreadable {
        if let StoreError::Damaged { file, .. } | StoreError::Io { path: file, .. } = &error {
            let path = Path::new(file);
            fault(&error, path, FaultKind::BadSegment);
            // The next start would take it for a leftover.
            set_aside(data, path)?;
        }
    }
    if manifest.segments.is_empty() {
        // A new folder has rollups of all that it has.
        manifest.rollups = VERSION;
    }
    write_manifest(folder, &manifest)?;
    Ok((manifest, HashSet::new()))
}

/// The store while nobody else sees it yet.
struct Opening {
    shared: Arc<Shared>,
    segments: Segments,
    report: ReplayReport,
    /// Files of the log that were written meanwhile: what generations left to the next.
    written: Vec<Found>,
}

impl Opening {
    /// Takes in the log, oldest file first. The files that are still needed.
    fn replay(&mut self, folder: &Path) -> Result<Vec<Found>, StoreError> {
        let mut needed = Vec::new();
        let mut found = survey(folder, &mut self.report)?;
        let count = found.len();
        let newest = found.last().map_or(0, |last| last.sequence);
        for (number, file) in found.iter_mut().enumerate() {
            if file.sequence <= self.segments.manifest.log_through {
                remove(&file.path)?;
                continue;
            }
            self.read(file, number + 1 == count)?;
            needed.push(file.clone());
            let next = newest.max(self.written.last().map_or(0, |last| last.sequence)) + 1;
            if self.seal_if_due(file.sequence, folder, next)? {
                needed.drain(..).try_for_each(|file| let_go(&file))?;
            }
        }
        needed.append(&mut self.written);
        Ok(needed)
    }

    /// Takes in the samples' log of versions before 0.2, and lets go of it.
    fn take_over_samples(&mut self, folder: &Path) -> Result<(), StoreError> {
        if !folder.exists() {
            return Ok(());
        }
        let mut found = survey(folder, &mut self.report)?;
        let (count, log_through) = (found.len(), self.segments.manifest.log_through);
        for (number, file) in found.iter_mut().enumerate() {
            if file.sequence > self.segments.manifest.samples_through {
                self.read(file, number + 1 == count)?;
                self.segments.manifest.samples_through = file.sequence;
                self.seal(log_through)?;
            }
            let_go(file)?;
        }
        // Stays where something damaged lies in it.
        if let Err(error) = fs::remove_dir(folder) {
            tracing::debug!(%error, "the folder of samples stays");
        }
        Ok(())
    }

    fn read(&mut self, file: &mut Found, is_last: bool) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let mut scanned =
            Scan::run(&file.path, shared.config.record_bytes, &mut |kind, payload| {
                let Some(stored) = Stored::decode(kind, payload) else { return false };
                shared.take_in(vec![stored]);
                true
            })?;
        if is_last {
            cut_torn_tail(file, &mut scanned)?;
        }
        self.report.frames += scanned.frames;
        file.is_damaged = scanned.faults.iter().any(|fault| fault.kind != FaultKind::TornTail);
        scanned.faults.into_iter().for_each(|fault| self.report.add(fault));
        Ok(())
    }

    /// Writes out what is in memory where that is enough. What it leaves to the next generation is in a log
    /// file of its own before, of this sequence.
    fn seal_if_due(
        &mut self,
        log_through: u64,
        folder: &Path,
        sequence: u64,
    ) -> Result<bool, StoreError> {
        let most_carried = self.shared.most_carried();
        let frozen = {
            let mut state = self.shared.write();
            if !state.hot.is_due(&self.shared.config) {
                return Ok(false);
            }
            state.hot.freeze(most_carried)
        };
        let Some(Frozen { rows, carried }) = frozen else { return Ok(true) };
        if !carried.is_empty() {
            let frames = carried.iter().map(|piece| Ok((kind::CARRIED, encode_spans(piece)?)));
            let frames = frames.collect::<Result<Vec<_>, StoreError>>()?;
            self.written.push(write_log_file(folder, sequence, &frames)?);
        }
        self.segments.seal(&self.shared, &rows, log_through).map(|()| true)
    }

    fn seal(&mut self, log_through: u64) -> Result<(), StoreError> {
        let frozen = self.shared.write().hot.freeze(0);
        frozen.map_or(Ok(()), |frozen| self.segments.seal(&self.shared, &frozen.rows, log_through))
    }
}

fn let_go(file: &Found) -> Result<(), StoreError> {
    if file.is_damaged {
        let aside = Disk.set_aside(&file.path);
        return aside.map_err(|error| StoreError::io("set aside", &file.path, &error));
    }
    remove(&file.path)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    fs::remove_file(path).map_err(|error| StoreError::io("remove", path, &error))
}

fn options(config: &Config, folder: &Path) -> Options {
    Options {
        name: "log",
        folder: folder.to_owned(),
        commit_interval: config.commit_interval,
        commit_bytes: config.commit_bytes,
        prompt_commits: config.prompt_commits,
        pending_records: config.pending_records,
        pending_bytes: config.pending_bytes,
        record_bytes: config.record_bytes,
        segment_bytes: config.segment_bytes,
        retry_interval: config.retry_interval,
    }
}

pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(|error| StoreError::io("make the folder", folder, &error))
}

/// A folder that is the store's alone; its mode is set even if somebody else made it.
pub(super) fn own_folder(data: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let folder = data.join(name);
    let set_mode =
        || -> io::Result<()> { fs::set_permissions(&folder, Permissions::from_mode(FOLDER_MODE)) };
    make_folder(&folder)?;
    set_mode().map_err(|error| StoreError::io("set the mode of", &folder, &error))?;
    Ok(folder)
}
