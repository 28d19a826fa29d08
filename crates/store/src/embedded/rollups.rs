//! Rollups of all spans, made where there are none: in a folder from before there were any, or
//! after some were lost.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use andon_model::UnixNanos;

use super::{
    Shared,
    seal::DAY_NS,
    segments::{Change, SharedSegments, lock},
};
use crate::{
    StoreError,
    aggregate::{Rolling, Rollup, VERSION},
    segment::{Origin, Segment, SegmentInfo, Visit, Writer, sorted, times_of},
    table::{Row as _, Table},
};

/// Days that get a file each: beyond, times are out of order, and days share files.
const MOST_DAYS: usize = 1_000;
/// Rows of such a file, at least.
const SHARED_ROWS: usize = 1_000;

/// Makes rollups when they are not whole. Until then, questions are answered from the spans. `pause`
/// is told how long was worked, and says whether to stop.
pub(super) fn complete(
    shared: &Shared,
    segments: &SharedSegments,
    pause: &mut dyn FnMut(Duration) -> bool,
) -> Result<(), StoreError> {
    if shared.read().has_rollups {
        return Ok(());
    }
    let (spans, before, folder, log_through, removals) = {
        let segments = lock(segments);
        let spans = shared.read().segments.iter().filter(is_of_spans).cloned().collect::<Vec<_>>();
        let before = segments.manifest.segments.clone();
        let (folder, log_through) = (segments.folder.clone(), segments.manifest.log_through);
        (spans, before, folder, log_through, segments.removals)
    };
    let mut since = Instant::now();
    let mut job = Job {
        folder: &folder,
        spans: &spans,
        log_through,
        next_id: &mut || lock(segments).next_id(),
        pause: &mut || {
            let is_over = pause(since.elapsed());
            since = Instant::now();
            is_over
        },
    };
    let retired = outdated(&before, &spans);
    let mut change = Change { retired, rollups: Some(VERSION), ..Change::default() };
    let made = job.run(&mut change.added);
    let mut segments = lock(segments);
    let counting = segments.manifest.segments.iter();
    let still = counting.filter(|info| change.retired.contains(&info.id)).count();
    // Somebody else may have made them meanwhile, merged some of those before, or removed spans.
    let is_overtaken =
        shared.read().has_rollups || still < change.retired.len() || segments.removals != removals;
    if is_overtaken || !matches!(made, Ok(ControlFlow::Continue(()))) {
        segments.take_back(&change);
        return made.map(|_| ());
    }
    let log_through = segments.manifest.log_through;
    segments.record(&change, log_through)?;
    segments.show(&mut shared.write(), change);
    Ok(())
}

/// As [`complete`], of a folder that nobody has in use; how many rows.
pub(super) fn make(
    folder: &Path,
    manifest: &mut crate::segment::Manifest,
) -> Result<u64, StoreError> {
    let infos = manifest.segments.iter().filter(|info| info.table == Table::Spans);
    let spans: Vec<_> = infos.map(|info| Arc::new(Segment::new(info.clone(), folder))).collect();
    let retired = outdated(&manifest.segments, &spans);
    let (log_through, next_id) = (manifest.log_through, &mut manifest.next_id);
    let mut added = Vec::new();
    let mut job = Job {
        folder,
        spans: &spans,
        log_through,
        next_id: &mut || {
            *next_id += 1;
            *next_id - 1
        },
        pause: &mut || false,
    };
    let _ = job.run(&mut added)?;
    manifest.segments.retain(|info| !retired.contains(&info.id));
    let rows = added.iter().map(|info| info.rows).sum();
    manifest.segments.extend(added);
    manifest.rollups = VERSION;
    Ok(rows)
}

fn is_of_spans(segment: &&Arc<Segment>) -> bool {
    segment.info.table == Table::Spans
}

/// Rollups that are made anew from these segments. Those of a time whose spans are gone stay.
pub(super) fn outdated(infos: &[SegmentInfo], segments: &[Arc<Segment>]) -> HashSet<u64> {
    let spans = segments.iter().filter(is_of_spans);
    let oldest_day = spans.map(|segment| segment.info.from_ns / DAY_NS).min();
    let is_outdated = |info: &&SegmentInfo| {
        info.table == Table::Rollups && oldest_day.is_some_and(|day| info.to_ns / DAY_NS >= day)
    };
    infos.iter().filter(is_outdated).map(|info| info.id).collect()
}

struct Job<'a> {
    folder: &'a Path,
    spans: &'a [Arc<Segment>],
    log_through: u64,
    next_id: &'a mut dyn FnMut() -> u64,
    /// Whether to stop.
    pause: &'a mut dyn FnMut() -> bool,
}

impl Job<'_> {
    /// A segment of rollups for each day, or for several where there are too many days.
    fn run(&mut self, added: &mut Vec<SegmentInfo>) -> Result<ControlFlow<()>, StoreError> {
        let days = days(self.spans)?;
        let least_rows = if days.len() > MOST_DAYS { SHARED_ROWS } else { 1 };
        let (mut rows, mut created_ns) = (Vec::new(), 0);
        for (day, spans) in days {
            let ControlFlow::Continue(of_day) = self.day(day, &spans)? else {
                return Ok(ControlFlow::Break(()));
            };
            rows.extend(of_day);
            created_ns = spans.iter().map(|one| one.info.created_ns).fold(created_ns, u64::max);
            if rows.len() >= least_rows {
                added.push(self.write(&std::mem::take(&mut rows), created_ns)?);
            }
        }
        if !rows.is_empty() {
            added.push(self.write(&rows, created_ns)?);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn day(
        &mut self,
        day: u64,
        spans: &[&Arc<Segment>],
    ) -> Result<ControlFlow<(), Vec<Rollup>>, StoreError> {
        let (from_ns, to_ns) = (day * DAY_NS, (day + 1).saturating_mul(DAY_NS));
        let columns = Rollup::span_columns();
        let mut rolling = Rolling::new();
        for segment in spans {
            let mut is_over = false;
            let visit = Visit::between(from_ns, to_ns - 1).columns(&columns);
            segment.visit(visit, &mut |batch| {
                rolling.add_spans(batch, from_ns, to_ns);
                is_over = (self.pause)();
                if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if is_over {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(rolling.finish()))
    }

    fn write(&mut self, rows: &[Rollup], created_ns: UnixNanos) -> Result<SegmentInfo, StoreError> {
        let origin = Origin { log_through: self.log_through, created_ns, replaces: &[] };
        let mut writer = Writer::create(self.folder, Table::Rollups, (self.next_id)(), origin)?;
        writer.write(&sorted(Table::Rollups, &[Rollup::batch(rows)])?)?;
        writer.finish()
    }
}

/// The days that have spans, and the segments where these are.
fn days(spans: &[Arc<Segment>]) -> Result<BTreeMap<u64, Vec<&Arc<Segment>>>, StoreError> {
    let mut days: BTreeMap<u64, Vec<&Arc<Segment>>> = BTreeMap::new();
    let time_column = Table::Spans.time_column();
    for segment in spans {
        let (first, last) = (segment.info.from_ns / DAY_NS, segment.info.to_ns / DAY_NS);
        let mut own = BTreeSet::from([first, last]);
        // Times apart by years may share a file.
        if last - first > 1 {
            segment.visit(Visit::all().columns(&[time_column]), &mut |batch| {
                let times = times_of(batch, time_column).into_iter().flatten().flatten();
                own.extend(times.map(|time| time.unsigned_abs() / DAY_NS));
                ControlFlow::Continue(())
            })?;
        }
        own.into_iter().for_each(|day| days.entry(day).or_default().push(segment));
    }
    Ok(days)
}
