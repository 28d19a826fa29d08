//! Which segments count: changed here alone, on disk first and then for questions.

use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use andon_model::Span;

use super::{Shared, State, retain::outdated};
use crate::{
    StoreError,
    aggregate::VERSION,
    segment::{Manifest, Segment, SegmentInfo, write_manifest},
};

/// The segments' folder and its manifest.
pub(super) struct Segments {
    pub(super) folder: PathBuf,
    pub(super) manifest: Manifest,
    /// How often spans were taken out of segments since the start.
    pub(super) removals: u64,
}

/// The sealer and the compactor take turns.
pub(super) type SharedSegments = Arc<Mutex<Segments>>;

pub(super) fn lock(segments: &SharedSegments) -> MutexGuard<'_, Segments> {
    segments.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is to count from now on, and what not any more.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) added: Vec<SegmentInfo>,
    pub(super) retired: HashSet<u64>,
    /// The version of the rollups from then on, where it changes; 0 where they are to be made.
    pub(super) rollups: Option<u32>,
}

impl Segments {
    /// An id that no segment has.
    pub(super) fn next_id(&mut self) -> u64 {
        let id = self.manifest.next_id;
        self.manifest.next_id += 1;
        id
    }

    /// Makes a change durable. What it added is removed where that fails: it would fill a full disk
    /// further with every try.
    pub(super) fn record(&mut self, change: &Change, log_through: u64) -> Result<(), StoreError> {
        let kept = self.manifest.segments.iter().filter(|info| !change.retired.contains(&info.id));
        let segments = kept.chain(&change.added).cloned().collect();
        let rollups = change.rollups.unwrap_or(self.manifest.rollups);
        let manifest = Manifest { log_through, segments, rollups, ..self.manifest.clone() };
        if let Err(error) = write_manifest(&self.folder, &manifest) {
            self.take_back(change);
            return Err(error);
        }
        self.manifest = manifest;
        Ok(())
    }

    pub(super) fn take_back(&self, change: &Change) {
        for info in &change.added {
            // The next start removes what is in no manifest.
            let _ = fs::remove_file(info.path_in(&self.folder));
            if info.grams_bytes > 0 {
                let _ = fs::remove_file(info.grams_in(&self.folder));
            }
        }
    }

    /// Shows a change to questions, after it was recorded.
    pub(super) fn show(&self, state: &mut State, change: Change) {
        let (gone, mut kept): (Vec<_>, Vec<_>) = state
            .segments
            .iter()
            .cloned()
            .partition(|segment| change.retired.contains(&segment.info.id));
        gone.iter().for_each(|segment| segment.retire());
        let added = change.added.into_iter();
        kept.extend(added.map(|info| Arc::new(Segment::new(info, &self.folder))));
        kept.sort_by_key(|segment| segment.order());
        state.segments = Arc::new(kept);
        if let Some(version) = change.rollups {
            state.has_rollups = version == VERSION;
        }
    }

    /// Lets go of segments that have had their time.
    pub(super) fn retain(&mut self, shared: &Shared) {
        let retired = outdated(&self.manifest.segments, &shared.config, Span::now_ns());
        if retired.is_empty() {
            return;
        }
        let change = Change { retired, ..Change::default() };
        match self.record(&change, self.manifest.log_through) {
            Ok(()) => self.show(&mut shared.write(), change),
            Err(error) => tracing::warn!(%error, "cannot let go of old segments"),
        }
    }
}
