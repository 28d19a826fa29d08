//! Opening: folder, lock, what a crash left, and the list from the newest files backwards.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock, atomic::AtomicU64},
    time::Instant,
};

use tokio::sync::broadcast;

use super::{CHANGES_KEPT, EmbeddedStore, SampleSink, TraceSink, add_samples};
use crate::{
    Config, ReplayReport, StoreError,
    index::{Pass, SampleIndex, TraceIndex},
    lock::FolderLock,
    log::{Disk, Files, Found, Log, Options, Position, Scan, ScanSpan, cut_torn_tail, survey},
    record::Stored,
};

const LOG_FOLDER: &str = "log";
const SAMPLE_FOLDER: &str = "samples";
const FOLDER_MODE: u32 = 0o700;

impl EmbeddedStore {
    /// Opens the data folder, makes it if need be, and reads back what the list shows.
    pub fn open(folder: &Path, config: Config) -> Result<Self, StoreError> {
        Self::open_on(folder, config, || Box::new(Disk))
    }

    /// As [`Self::open`], writing through the given stand-in for the disk.
    pub(crate) fn open_on(
        folder: &Path,
        config: Config,
        files: impl Fn() -> Box<dyn Files>,
    ) -> Result<Self, StoreError> {
        let started = Instant::now();
        make_folder(folder)?;
        let lock = FolderLock::take(folder)?;
        let log_folder = own_folder(folder, LOG_FOLDER)?;
        let sample_folder = own_folder(folder, SAMPLE_FOLDER)?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| StoreError::io("sync", folder, &error))?;

        let mut replay = ReplayReport::default();
        let mut found = survey(&log_folder, &mut replay)?;
        let traces = replay_traces(&mut found, &config, &mut replay)?;
        let mut found_samples = survey(&sample_folder, &mut replay)?;
        let samples = replay_samples(&mut found_samples, &config, &mut replay)?;
        replay.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);

        let (traces, samples) = (Arc::new(RwLock::new(traces)), Arc::new(RwLock::new(samples)));
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let sink = TraceSink { index: Arc::clone(&traces), changes: changes.clone() };
        let options = options(&config, "log", &log_folder, config.log_bytes);
        let log = Log::start(options, files(), found, Box::new(sink))?;
        let sink = SampleSink(Arc::clone(&samples));
        let options = self::options(&config, "samples", &sample_folder, config.sample_log_bytes);
        let sample_log = Log::start(options, files(), found_samples, Box::new(sink))?;
        Ok(Self {
            config,
            log_folder,
            sample_folder,
            log,
            sample_log,
            traces,
            samples,
            changes,
            replay,
            unreadable: AtomicU64::new(0),
            search: Mutex::new(()),
            _lock: lock,
        })
    }
}

/// Newest file first, until the list is full. One more file completes traces that straddle the
/// border; traces in files before that are found by id, by reading.
fn replay_traces(
    found: &mut [Found],
    config: &Config,
    report: &mut ReplayReport,
) -> Result<TraceIndex, StoreError> {
    let mut index = TraceIndex::new(config);
    for (age, segment) in found.iter_mut().rev().enumerate() {
        let full = index.unlisted_through().is_some();
        let pass = if full { Pass::KnownOnly } else { Pass::All };
        let span = ScanSpan::whole(&segment.path, config.record_bytes);
        let mut scanned = Scan::run(span, &mut |offset, kind, payload| {
            let Some(stored) = Stored::decode(kind, payload) else { return false };
            let at = Position { segment: segment.sequence, offset };
            index.apply(at, &stored, pass);
            true
        })?;
        if age == 0 {
            cut_torn_tail(segment, &mut scanned)?;
        }
        report.frames += scanned.frames;
        scanned.faults.into_iter().for_each(|fault| report.add(fault));
        if full {
            break;
        }
    }
    Ok(index)
}

/// Only the last file is read; the others are entered by the time in which they were written.
fn replay_samples(
    found: &mut [Found],
    config: &Config,
    report: &mut ReplayReport,
) -> Result<SampleIndex, StoreError> {
    let mut index = SampleIndex::default();
    let Some((last, others)) = found.split_last_mut() else { return Ok(index) };
    others.iter().for_each(|segment| index.add_unread(segment));
    let span = ScanSpan::whole(&last.path, config.record_bytes);
    let mut scanned = Scan::run(span, &mut |offset, kind, payload| {
        let Some(stored) = Stored::decode(kind, payload) else { return false };
        add_samples(&mut index, Position { segment: last.sequence, offset }, &stored);
        true
    })?;
    cut_torn_tail(last, &mut scanned)?;
    report.frames += scanned.frames;
    scanned.faults.into_iter().for_each(|fault| report.add(fault));
    Ok(index)
}

fn options(config: &Config, name: &'static str, folder: &Path, max_bytes: u64) -> Options {
    Options {
        name,
        folder: folder.to_owned(),
        commit_interval: config.commit_interval,
        commit_bytes: config.commit_bytes,
        prompt_commits: config.prompt_commits,
        pending_records: config.pending_records,
        pending_bytes: config.pending_bytes,
        record_bytes: config.record_bytes,
        segment_bytes: config.segment_bytes,
        segment_age: config.segment_age,
        retry_interval: config.retry_interval,
        max_bytes,
        max_age: config.max_age,
    }
}

fn make_folder(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(|error| StoreError::io("make the folder", folder, &error))
}

/// A folder that is the store's alone; its mode is set even if somebody else made it.
fn own_folder(data: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let folder = data.join(name);
    let set_mode =
        || -> io::Result<()> { fs::set_permissions(&folder, Permissions::from_mode(FOLDER_MODE)) };
    make_folder(&folder)?;
    set_mode().map_err(|error| StoreError::io("set the mode of", &folder, &error))?;
    Ok(folder)
}
