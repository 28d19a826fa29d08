//! Small segments of one day made one, behind everything else: a generation is written every few
//! minutes, and a month of them would be a thousand files to look into.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use andon_model::{Span, UnixNanos};

use super::{
    Shared,
    background::Background,
    rollups,
    seal::DAY_NS,
    segments::{Change, SharedSegments, lock},
};
use crate::{
    Config, StoreError,
    segment::{Origin, Segment, SegmentInfo, Writer, merge},
    table::Table,
};

/// How often it is looked whether there is something to do.
const LOOK: Duration = Duration::from_secs(10);
/// A day that has been over for so long gets no more rows to speak of.
const SETTLED_NS: u64 = 2 * 60 * 60 * 1_000_000_000;
/// Segments that are merged at a time; each takes memory.
const MOST_INPUTS: usize = 8;

/// Starts the thread that merges.
pub(super) fn start(
    shared: Arc<Shared>,
    segments: SharedSegments,
) -> Result<Background, StoreError> {
    let folder = lock(&segments).folder.clone();
    Background::start("andon-compact", &folder, move |stop| {
        loop {
            // Half of the time is left to others.
            let mut pause = |worked| stop.sleep(worked);
            if let Err(error) = rollups::complete(&shared, &segments, &mut pause) {
                tracing::warn!(%error, "cannot make rollups");
            }
            if stop.sleep(LOOK) {
                return;
            }
            compact(&shared, &segments, Span::now_ns, &mut pause);
            andon_memory::give_back();
        }
    })
}

/// Merges until there is nothing to merge; at `now_ns` a day is over or not. `pause` is told how long
/// was worked, and says whether to stop.
pub(super) fn compact(
    shared: &Shared,
    segments: &SharedSegments,
    now_ns: fn() -> UnixNanos,
    pause: &mut dyn FnMut(Duration) -> bool,
) {
    loop {
        let all = Arc::clone(&shared.read().segments);
        let Some(inputs) = next(&all, &shared.config, now_ns()) else { return };
        match merge_into_one(shared, segments, &inputs, pause) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot merge segments");
                return;
            }
        }
    }
}

/// The next segments to merge: those of a day that is over, or many small ones of any day.
fn next(
    segments: &[Arc<Segment>],
    config: &Config,
    now_ns: UnixNanos,
) -> Option<Vec<Arc<Segment>>> {
    let mut days: BTreeMap<(Table, u64), Vec<&Arc<Segment>>> = BTreeMap::new();
    for segment in segments {
        let info = &segment.info;
        let day = info.from_ns / DAY_NS;
        if day == info.to_ns / DAY_NS && info.rows < config.merged_rows / 2 {
            days.entry((info.table, day)).or_default().push(segment);
        }
    }
    days.into_iter().find_map(|((_, day), mut small)| {
        let is_over = now_ns > (day + 1) * DAY_NS + SETTLED_NS
            && small.iter().all(|segment| now_ns > segment.info.created_ns + SETTLED_NS / 4);
        if small.len() < if is_over { 2 } else { config.merged_segments.max(2) } {
            return None;
        }
        // Small ones first: merging a large one with every newcomer would write it again and again.
        small.sort_by_key(|segment| segment.info.rows);
        let mut rows = 0;
        let fits = |segment: &&&Arc<Segment>| {
            rows += segment.info.rows;
            rows <= config.merged_rows
        };
        let inputs: Vec<_> =
            small.iter().take(MOST_INPUTS).take_while(fits).map(|one| Arc::clone(one)).collect();
        (inputs.len() > 1).then_some(inputs)
    })
}

fn merge_into_one(
    shared: &Shared,
    segments: &SharedSegments,
    inputs: &[Arc<Segment>],
    pause: &mut dyn FnMut(Duration) -> bool,
) -> Result<ControlFlow<()>, StoreError> {
    let Some(first) = inputs.first() else { return Ok(ControlFlow::Break(())) };
    let mut since = Instant::now();
    let mut give_way = || {
        let is_over = pause(since.elapsed());
        since = Instant::now();
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    for segment in inputs {
        segment.is_as_written()?;
        if give_way().is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    let replaces: Vec<_> = inputs.iter().map(|segment| segment.info.id).collect();
    let created_ns = inputs.iter().map(|segment| segment.info.created_ns).max().unwrap_or(0);
    let writer = {
        let mut segments = lock(segments);
        let log_through = segments.manifest.log_through;
        let origin = Origin { log_through, created_ns, replaces: &replaces };
        let id = segments.next_id();
        Writer::create(&segments.folder, first.info.table, id, origin)?
    };
    let Some(merged) = merge(inputs, writer, &mut give_way)? else {
        return Ok(ControlFlow::Break(()));
    };
    replace(shared, segments, inputs, merged)
}

fn replace(
    shared: &Shared,
    segments: &SharedSegments,
    inputs: &[Arc<Segment>],
    merged: SegmentInfo,
) -> Result<ControlFlow<()>, StoreError> {
    let mut segments = lock(segments);
    let change = Change {
        added: vec![merged],
        retired: inputs.iter().map(|segment| segment.info.id).collect(),
        rollups: None,
    };
    let counting = segments.manifest.segments.iter();
    let still = counting.filter(|info| change.retired.contains(&info.id)).count();
    if still < inputs.len() {
        // One of them was let go of, or written anew, meanwhile.
        segments.take_back(&change);
        return Ok(ControlFlow::Continue(()));
    }
    let log_through = segments.manifest.log_through;
    segments.record(&change, log_through)?;
    segments.show(&mut shared.write(), change);
    Ok(ControlFlow::Continue(()))
}
