//! Rows of `traces` made anew from the spans in segments, where the rows were lost.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
    path::Path,
};

use andon_model::{Span, TraceId, UnixNanos};
use arrow::array::{AsArray, RecordBatch};

use super::seal::DAY_NS;
use crate::{
    Config, StoreError, TraceSummary,
    hot::summary_of,
    segment::{Manifest, Origin, Segment, Visit, Writer, sorted, times_of},
    table::{Row, Table},
};

/// Traces whose spans are in memory at a time.
const AT_A_TIME: usize = 10_000;
/// Days of these traces that get a file each.
const MOST_DAYS: usize = 40;

/// Writes a row for each trace that has spans and no row, and adds the new segments to the manifest;
/// how many rows.
pub(super) fn make_rows(
    folder: &Path,
    manifest: &mut Manifest,
    config: &Config,
) -> Result<u64, StoreError> {
    let of_table = |table| {
        let infos = manifest.segments.iter().filter(move |info| info.table == table);
        infos.map(|info| Segment::new(info.clone(), folder)).collect::<Vec<_>>()
    };
    let spans = of_table(Table::Spans);
    let mut starts = starts_of(&spans)?;
    for segment in of_table(Table::Traces) {
        visit_ids(&segment, &mut |id, _| {
            starts.remove(&id);
        })?;
    }
    let mut traces: Vec<_> = starts.into_iter().map(|(id, start_ns)| (start_ns, id)).collect();
    traces.sort_unstable();
    let window_ns = u64::try_from(config.late_window.as_nanos()).unwrap_or(u64::MAX);
    for traces in traces.chunks(AT_A_TIME) {
        let (Some((from_ns, _)), Some((last_ns, _))) = (traces.first(), traces.last()) else {
            break;
        };
        let to_ns = last_ns.saturating_add(window_ns);
        let near: Vec<_> =
            spans.iter().filter(|segment| segment.info.overlaps(*from_ns, to_ns)).collect();
        let ids = traces.iter().map(|(_, id)| *id).collect();
        let found = spans_of(&near, &ids, *from_ns, to_ns)?;
        let rows = found.into_iter().filter_map(|(id, spans)| summary_of(id, &spans, config));
        let created_ns = near.iter().map(|segment| segment.info.created_ns).max().unwrap_or(0);
        write(folder, manifest, created_ns, rows.collect())?;
    }
    Ok(traces.len() as u64)
}

/// When each trace began.
fn starts_of(spans: &[Segment]) -> Result<HashMap<TraceId, UnixNanos>, StoreError> {
    let mut starts: HashMap<TraceId, UnixNanos> = HashMap::new();
    for segment in spans {
        visit_ids(segment, &mut |id, start_ns| {
            let start = starts.entry(id).or_insert(start_ns);
            *start = start_ns.min(*start);
        })?;
    }
    Ok(starts)
}

/// Hands out the trace and the start of every row.
fn visit_ids(
    segment: &Segment,
    take: &mut dyn FnMut(TraceId, UnixNanos),
) -> Result<(), StoreError> {
    let time_column = segment.info.table.time_column();
    segment.visit(Visit::all().columns(&["trace_id", time_column]), &mut |batch| {
        let times = times_of(batch, time_column).into_iter().flatten();
        for (id, time) in ids_of(batch).zip(times) {
            if let Some(id) = id {
                take(id, time.unwrap_or_default().unsigned_abs());
            }
        }
        ControlFlow::Continue(())
    })
}

pub(super) fn ids_of(batch: &RecordBatch) -> impl Iterator<Item = Option<TraceId>> {
    let ids = batch.column_by_name("trace_id").and_then(|ids| ids.as_fixed_size_binary_opt());
    let id = |id: Option<&[u8]>| id.and_then(|id| id.try_into().ok()).map(TraceId::from_bytes);
    ids.into_iter().flatten().map(id)
}

fn spans_of(
    segments: &[&Segment],
    ids: &HashSet<TraceId>,
    from_ns: UnixNanos,
    to_ns: UnixNanos,
) -> Result<HashMap<TraceId, Vec<Span>>, StoreError> {
    let mut found: HashMap<TraceId, Vec<Span>> = HashMap::new();
    for segment in segments {
        segment.visit(Visit::between(from_ns, to_ns), &mut |batch| {
            let is_wanted = |id: Option<TraceId>| id.is_some_and(|id| ids.contains(&id));
            let wanted: Vec<_> = ids_of(batch)
                .enumerate()
                .filter_map(|(place, id)| is_wanted(id).then_some(place))
                .collect();
            for span in Span::read(batch, &wanted) {
                found.entry(span.trace_id).or_default().push(span);
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(found)
}

/// A segment for each day, as everywhere; rows of more days than there are in good order share one.
fn write(
    folder: &Path,
    manifest: &mut Manifest,
    created_ns: UnixNanos,
    rows: Vec<TraceSummary>,
) -> Result<(), StoreError> {
    let mut days: BTreeMap<u64, Vec<TraceSummary>> = BTreeMap::new();
    for row in rows {
        days.entry(row.start_ns / DAY_NS).or_default().push(row);
    }
    if days.len() > MOST_DAYS {
        let all = days.into_values().flatten().collect();
        days = BTreeMap::from([(0, all)]);
    }
    for rows in days.into_values() {
        let origin = Origin { log_through: manifest.log_through, created_ns, replaces: &[] };
        let mut writer = Writer::create(folder, Table::Traces, manifest.next_id, origin)?;
        manifest.next_id += 1;
        writer.write(&sorted(Table::Traces, &[TraceSummary::batch(&rows)])?)?;
        manifest.segments.push(writer.finish()?);
    }
    Ok(())
}
