//! Every segment is read once in a while, slowly, to see whether it is still what was written: a disk
//! loses bits without saying so, and a Parquet file with a flipped one may read as another number. One
//! that is damaged is left out of answers, named in the status, and remembered over a restart;
//! `andon store repair` sets it aside. A segment that a question could not read is looked into at once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use andon_model::{Span, UnixNanos};
use serde::{Deserialize, Serialize};

use super::{
    Shared,
    background::Background,
    segments::{SharedSegments, lock},
};
use crate::{
    Fault, FaultKind, ReplayReport, StoreError, Wrong,
    segment::{Manifest, Segment, SegmentInfo, Suspicion, Verdict},
    table::Table,
};

/// How often it is looked whether there is something to do.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is written down how far a round has come.
const NOTE: Duration = Duration::from_secs(60);
/// A segment that was found whole is above suspicion for so long, when only a question failed.
const TRUSTED: Duration = Duration::from_secs(10 * 60);
const FILE_NAME: &str = "scrub.json";

/// How whole the segments are, as far as they were read in the background.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ScrubState {
    /// When the last round through all segments ended; unknown before the first.
    #[schema(value_type = Option<u64>)]
    pub round_ended_ns: Option<UnixNanos>,
    /// Files that are not what was written. A segment among them is left out of answers; an index of
    /// texts is done without.
    pub damaged: Vec<String>,
}

/// What is written down, so that a restart goes on where it was. The ids are those of segments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    began_ns: UnixNanos,
    ended_ns: Option<UnixNanos>,
    /// All up to this one were read in the round that began then; `None` when it has ended.
    through: Option<u64>,
    damaged: BTreeSet<u64>,
}

/// What is known, and how segments are read.
pub(super) struct Scrub {
    shared: Arc<Shared>,
    segments: SharedSegments,
    folder: PathBuf,
    /// Where it is written down how far it is.
    file: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    progress: Progress,
    /// Damaged files by the segment that they belong to.
    files: BTreeMap<u64, PathBuf>,
    trusted: HashMap<u64, Instant>,
    noted: Instant,
}

impl Scrub {
    /// `damaged`: segments that are left out from the start on.
    pub(super) fn new(
        shared: Arc<Shared>,
        segments: SharedSegments,
        data: &Path,
        damaged: &HashSet<u64>,
    ) -> Self {
        let file = data.join(FILE_NAME);
        let mut progress = read(&file);
        progress.damaged.retain(|id| damaged.contains(id));
        let (folder, files) = {
            let segments = lock(&segments);
            let infos = segments.manifest.segments.iter();
            let damaged = infos.filter(|info| progress.damaged.contains(&info.id));
            let files = damaged.map(|info| (info.id, info.path_in(&segments.folder))).collect();
            (segments.folder.clone(), files)
        };
        let (trusted, noted) = (HashMap::new(), Instant::now());
        let known = Mutex::new(Known { progress, files, trusted, noted });
        Self { shared, segments, folder, file, known }
    }

    pub(super) fn state(&self) -> ScrubState {
        let known = self.lock();
        let damaged = known.files.values().map(|path| path.display().to_string()).collect();
        ScrubState { round_ended_ns: known.progress.ended_ns, damaged }
    }

    /// Looks into all segments now, as fast as the disk allows.
    pub(super) fn all(&self) {
        let now_ns = Span::now_ns();
        {
            let mut known = self.lock();
            (known.progress.began_ns, known.progress.through) = (now_ns, Some(0));
            known.trusted.clear();
        }
        while self.next(now_ns, &mut |_| ControlFlow::Continue(())).is_continue() {}
    }

    /// Looks into what is suspect, or else into the next segment of a round that is due. `Break` when
    /// there is nothing to do, or when `pace` says so.
    fn next(
        &self,
        now_ns: UnixNanos,
        pace: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if let Some(suspect) = self.worst() {
            match suspect.suspicion() {
                // Somebody may be waiting for it to be out of the way.
                Suspicion::Unreadable => {
                    self.look_into(&suspect, &mut |_| ControlFlow::Continue(()))?;
                }
                Suspicion::Possible | Suspicion::None => self.look_into(&suspect, pace)?,
            }
            suspect.looked_into();
            return ControlFlow::Continue(());
        }
        let Some((began_ns, through)) = self.round(now_ns) else { return ControlFlow::Break(()) };
        let Some(next) = self.first_behind(through) else {
            self.end_round(now_ns);
            return ControlFlow::Break(());
        };
        self.look_into(&next, pace)?;
        let mut known = self.lock();
        // Somebody may have begun another one meanwhile.
        if known.progress.began_ns == began_ns {
            known.progress.through = known.progress.through.max(Some(next.info.id));
        }
        if known.noted.elapsed() >= NOTE {
            self.note(&mut known);
        }
        ControlFlow::Continue(())
    }

    /// When the round began and how far it is; begins one when it is time to.
    fn round(&self, now_ns: UnixNanos) -> Option<(UnixNanos, u64)> {
        let progress = &mut self.lock().progress;
        if progress.through.is_none() {
            let interval_ns = self.shared.config.scrub_interval.as_nanos();
            // A clock that was set back begins a round as well.
            let is_due = match now_ns.checked_sub(progress.began_ns) {
                Some(since_ns) => u128::from(since_ns) >= interval_ns,
                None => true,
            };
            if is_due {
                (progress.began_ns, progress.through) = (now_ns, Some(0));
            }
        }
        progress.through.map(|through| (progress.began_ns, through))
    }

    fn end_round(&self, now_ns: UnixNanos) {
        let still: HashSet<_> = {
            let segments = lock(&self.segments);
            segments.manifest.segments.iter().map(|info| info.id).collect()
        };
        let mut known = self.lock();
        (known.progress.through, known.progress.ended_ns) = (None, Some(now_ns));
        known.progress.damaged.retain(|id| still.contains(id));
        known.files.retain(|id, _| still.contains(id));
        known.trusted.clear();
        self.note(&mut known);
    }

    /// Only this one is held: the others are to go when they do not count any more.
    fn first_behind(&self, through: u64) -> Option<Arc<Segment>> {
        let state = self.shared.read();
        let behind = state.segments.iter().filter(|segment| segment.info.id > through);
        behind.min_by_key(|segment| segment.info.id).cloned()
    }

    /// The segment that is most suspect, if any is. One that was found whole just now is not.
    fn worst(&self) -> Option<Arc<Segment>> {
        let suspects: Vec<_> = {
            let state = self.shared.read();
            let suspects = state.segments.iter().filter(|one| one.suspicion() != Suspicion::None);
            suspects.cloned().collect()
        };
        let known = self.lock();
        let is_trusted = |segment: &Arc<Segment>| {
            let trusted = match segment.suspicion() {
                Suspicion::Unreadable => LOOK,
                Suspicion::Possible | Suspicion::None => TRUSTED,
            };
            let since = known.trusted.get(&segment.info.id);
            since.is_some_and(|since| since.elapsed() < trusted)
        };
        let (trusted, suspects): (Vec<_>, Vec<_>) = suspects.into_iter().partition(is_trusted);
        trusted.into_iter().for_each(|segment| segment.looked_into());
        suspects.into_iter().max_by_key(|segment| segment.suspicion() as u8)
    }

    /// Reads a segment and the index beside it.
    fn look_into(
        &self,
        segment: &Segment,
        pace: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (info, folder) = (&segment.info, &self.folder);
        // Its file goes when nobody reads it any more.
        let mut pace = |bytes| match segment.is_retired() {
            true => ControlFlow::Break(()),
            false => pace(bytes),
        };
        let verdict = match info.check_bytes(folder, &mut pace) {
            // The right bytes, and yet somebody could not read them.
            Verdict::Whole if segment.suspicion() == Suspicion::Unreadable => {
                match info.check(folder) {
                    Ok(()) => Verdict::Whole,
                    Err(wrong) => Verdict::Damaged(wrong),
                }
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Stopped => return ControlFlow::Break(()),
            Verdict::Unknown(reason) => {
                tracing::warn!(path = %segment.path.display(), reason, "a segment was not read");
            }
            Verdict::Damaged(wrong) => self.leave_out(segment, &wrong),
            Verdict::Whole => {
                let mut known = self.lock();
                known.trusted.insert(info.id, Instant::now());
                if let Err(wrong) = info.check_grams(folder) {
                    let path = info.grams_in(folder);
                    tracing::error!(path = %path.display(), %wrong, "an index of texts is damaged");
                    known.files.insert(info.id, path);
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// From here on no question and no merge reads it. It stays in the manifest, so that it goes with
    /// its time, and counts again when its bytes are back.
    fn leave_out(&self, segment: &Segment, wrong: &Wrong) {
        let path = &segment.path;
        tracing::error!(path = %path.display(), %wrong, "a damaged segment is left out of answers");
        {
            let mut state = self.shared.write();
            let others = state.segments.iter().filter(|one| one.info.id != segment.info.id);
            state.segments = Arc::new(others.cloned().collect());
            // They are made anew; until then, the spans are asked.
            state.has_rollups &= segment.info.table != Table::Rollups;
        }
        let mut known = self.lock();
        known.progress.damaged.insert(segment.info.id);
        known.files.insert(segment.info.id, path.clone());
        self.note(&mut known);
    }

    /// Writes down how far it is. Lost, it begins anew.
    fn note(&self, known: &mut Known) {
        known.noted = Instant::now();
        let beside = self.file.with_extension("json.new");
        let text = serde_json::to_vec(&known.progress).unwrap_or_default();
        if let Err(error) = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &self.file))
        {
            tracing::debug!(%error, "how far the scrub is was not written down");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &Path) -> Progress {
    fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Which of the segments that were damaged before the restart still are; they are reported.
pub(super) fn still_damaged(
    data: &Path,
    folder: &Path,
    manifest: &Manifest,
    report: &mut ReplayReport,
) -> HashSet<u64> {
    let before = read(&data.join(FILE_NAME)).damaged;
    let infos = manifest.segments.iter().filter(|info| before.contains(&info.id));
    let is_damaged =
        |info: &&SegmentInfo| info.check_size(folder).is_ok() && info.check(folder).is_err();
    infos
        .filter(is_damaged)
        .map(|info| {
            let (file, bytes) = (info.path_in(folder).display().to_string(), info.bytes);
            report.add(Fault { file, offset: 0, bytes, kind: FaultKind::BadSegment });
            info.id
        })
        .collect()
}

/// Starts the thread that reads.
pub(super) fn start(scrub: Arc<Scrub>) -> Result<Background, StoreError> {
    let file = scrub.file.clone();
    Background::start("andon-scrub", &file, move |stop| {
        let rate = scrub.shared.config.scrub_bytes_per_s.max(1) as f64;
        let mut pace = |bytes: usize| {
            let is_over = stop.sleep(Duration::from_secs_f64(bytes as f64 / rate));
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        while !stop.sleep(LOOK) {
            while scrub.next(Span::now_ns(), &mut pace).is_continue() {}
        }
        scrub.note(&mut scrub.lock());
    })
}
