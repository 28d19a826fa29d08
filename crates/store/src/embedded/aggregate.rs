//! Numbers about spans: whole hours come from rollups where these tell apart what is asked, all else
//! from the spans in segments and in memory.

use std::{
    collections::HashSet,
    ops::{ControlFlow, Range},
    sync::Arc,
    time::Instant,
};

use andon_model::{TraceId, UnixNanos};
use arrow::array::RecordBatch;

use super::{Shared, parallel::share_out};
use crate::{
    AggregateQuery, Aggregation, Filter, HeatMap, HeatMapQuery, Interrupt, Population, StoreError,
    aggregate::{HOUR_NS, Key, ROLLUP_SUMS, SPAN_COLUMNS, Tally, is_of_rollups, step_of, tops},
    matching::{Matching, columns_of_filter, rows_where},
    segment::{Segment, Visit},
    table::Table,
};

impl Shared {
    pub(super) fn aggregate(&self, query: &AggregateQuery) -> Result<Aggregation, StoreError> {
        let step_ns = step_of(query.from_ns, query.to_ns, query.points);
        let asked = Asked {
            time: query.from_ns..query.to_ns,
            filter: &query.filter,
            of: query.of,
            keys: query.by.iter().map(|dimension| dimension.key()).collect(),
            step_ns,
            sums: &SPAN_COLUMNS,
            rollup_sums: &ROLLUP_SUMS,
            interrupt: &query.interrupt,
        };
        let (tally, is_partial) = self.gather(&asked)?;
        let mut answer = Aggregation::of(tally, query, step_ns);
        answer.is_partial |= is_partial;
        Ok(answer)
    }

    pub(super) fn heat_map(&self, query: &HeatMapQuery) -> Result<HeatMap, StoreError> {
        let (from_ns, to_ns) = (query.from_ns, query.to_ns);
        let step_ns = step_of(from_ns, to_ns, query.points.max(1)).unwrap_or(HOUR_NS);
        let asked = Asked {
            time: from_ns..to_ns,
            filter: &query.filter,
            of: query.of,
            keys: Vec::new(),
            step_ns: Some(step_ns),
            sums: &["start_ns", "duration_ns"],
            rollup_sums: &["start_ns", "durations"],
            interrupt: &query.interrupt,
        };
        let (tally, is_partial) = self.gather(&asked)?;
        let mut map = HeatMap::of(tally, from_ns, to_ns, step_ns, query.rows);
        map.is_partial |= is_partial;
        Ok(map)
    }

    fn gather(&self, asked: &Asked<'_>) -> Result<(Tally, bool), StoreError> {
        let last_ns = asked.time.end.saturating_sub(1);
        let found = self.search(asked.filter, &(asked.time.start..=last_ns));
        let among = found.as_ref().map(|found| &found.traces);
        let (hot, segments, has_rollups) = {
            let state = self.read();
            (state.hot.batches(Table::Spans), Arc::clone(&state.segments), state.has_rollups)
        };
        let is_partial = found.as_ref().is_some_and(|found| found.is_partial);
        if has_rollups && among.is_none() && asked.is_of_rollups() {
            let begin = || Gathering::new(asked, among, asked.whole_hours(), self);
            let (tally, has_failed) = gather_all(begin, &hot, &segments)?;
            if !has_failed {
                return Ok((tally, is_partial));
            }
        }
        let begin = || Gathering::new(asked, among, 0..0, self);
        let (tally, has_failed) = gather_all(begin, &hot, &segments)?;
        Ok((tally, is_partial || has_failed))
    }
}

/// What all rows come to, and whether a segment could not be read.
fn gather_all<'a>(
    begin: impl Fn() -> Gathering<'a> + Sync,
    hot: &[RecordBatch],
    segments: &[Arc<Segment>],
) -> Result<(Tally, bool), StoreError> {
    let mut all = begin();
    let time = all.asked.time.clone();
    hot.iter().for_each(|batch| all.add_spans(batch, &time));
    let segments: Vec<_> =
        segments.iter().map(Arc::as_ref).filter(|segment| all.is_asked(segment)).collect();
    for gathering in share_out(&segments, &all.shared.config, &begin, Gathering::look_into) {
        gathering.stopped.map_or(Ok(()), Err)?;
        all.has_failed |= gathering.has_failed;
        all.tally.merge(gathering.tally);
    }
    all.check()?;
    Ok((all.tally, all.has_failed))
}

/// What is wanted of which spans.
struct Asked<'a> {
    time: Range<UnixNanos>,
    filter: &'a Filter,
    of: Population,
    keys: Vec<Key>,
    step_ns: Option<u64>,
    /// Columns of spans that are added up.
    sums: &'a [&'static str],
    /// The same of rollups.
    rollup_sums: &'a [&'static str],
    interrupt: &'a Interrupt,
}

impl Asked<'_> {
    fn is_of_rollups(&self) -> bool {
        let is_of_hours = self.step_ns.is_none_or(|step_ns| step_ns.is_multiple_of(HOUR_NS));
        is_of_hours && is_of_rollups(self.filter)
    }

    fn whole_hours(&self) -> Range<UnixNanos> {
        let end = self.time.end - self.time.end % HOUR_NS;
        self.time.start.div_ceil(HOUR_NS).saturating_mul(HOUR_NS)..end
    }

    fn columns(&self, sums: &[&'static str], needs_ids: bool) -> Vec<&'static str> {
        let mut columns = sums.to_vec();
        columns.extend(columns_of_filter(self.filter));
        let words = self.keys.iter().filter_map(|key| match key {
            Key::Word(column) => Some(*column),
            Key::Root => None,
        });
        columns.extend(words);
        match self.of {
            Population::Calls => columns.push("llm_kind"),
            Population::Roots => columns.extend(["parent_id", "is_root"]),
            Population::All => {}
        }
        if needs_ids {
            columns.push("trace_id");
        }
        columns
    }
}

/// One question on its way through memory and segments.
struct Gathering<'a> {
    asked: &'a Asked<'a>,
    among: Option<&'a HashSet<TraceId>>,
    /// Time that is answered from rollups; none when it is empty.
    hours: Range<UnixNanos>,
    shared: &'a Shared,
    since: Instant,
    tally: Tally,
    /// A segment could not be read.
    has_failed: bool,
    /// Why the question does not go on.
    stopped: Option<StoreError>,
}

impl<'a> Gathering<'a> {
    fn new(
        asked: &'a Asked<'a>,
        among: Option<&'a HashSet<TraceId>>,
        hours: Range<UnixNanos>,
        shared: &'a Shared,
    ) -> Self {
        let tally = Tally::new(asked.keys.clone(), asked.step_ns, shared.config.aggregate_slots);
        let (since, has_failed) = (Instant::now(), false);
        Self { asked, among, hours, shared, since, tally, has_failed, stopped: None }
    }

    fn is_asked(&self, segment: &Segment) -> bool {
        let time = match segment.info.table {
            Table::Spans => &self.asked.time,
            Table::Rollups => &self.hours,
            _ => return false,
        };
        !time.is_empty() && segment.info.overlaps(time.start, time.end - 1)
    }

    fn look_into(&mut self, segment: &Segment) {
        let stretches = match segment.info.table {
            Table::Rollups => vec![self.hours.clone()],
            _ => self.beside_hours(),
        };
        for stretch in stretches {
            if self.stopped.is_none() {
                self.stopped = self.read(segment, stretch).err();
            }
        }
    }

    /// The time that is answered from spans.
    fn beside_hours(&self) -> Vec<Range<UnixNanos>> {
        let (time, hours) = (&self.asked.time, &self.hours);
        if hours.is_empty() {
            return vec![time.clone()];
        }
        vec![time.start..hours.start, hours.end..time.end]
    }

    fn read(&mut self, segment: &Segment, time: Range<UnixNanos>) -> Result<(), StoreError> {
        if time.is_empty() || !segment.info.overlaps(time.start, time.end - 1) {
            return Ok(());
        }
        let is_of_spans = segment.info.table == Table::Spans;
        let sums = if is_of_spans { self.asked.sums } else { self.asked.rollup_sums };
        let columns = self.asked.columns(sums, self.among.is_some());
        let mut visit = Visit::between(time.start, time.end - 1).columns(&columns);
        if is_of_spans && !self.hours.is_empty() {
            // A piece of an hour: most of the file is not read.
            let time = time.clone();
            visit = visit.at(move |start_ns| time.contains(&start_ns));
        }
        let mut allowed = Ok(());
        let visited = segment.visit(visit, &mut |batch| {
            if is_of_spans {
                self.add_spans(batch, &time);
            } else {
                self.add_rollups(batch, &time);
            }
            allowed = self.check();
            if allowed.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Err(error) = visited {
            self.shared.note_unreadable(&error);
            self.has_failed = true;
        }
        allowed
    }

    /// Whether the question may go on.
    fn check(&self) -> Result<(), StoreError> {
        let config = &self.shared.config;
        if self.tally.weight() > config.aggregate_bytes {
            return Err(StoreError::QuestionTooLarge { limit: config.aggregate_bytes });
        }
        if self.since.elapsed() > config.aggregate_time {
            let seconds = config.aggregate_time.as_secs();
            return Err(StoreError::QuestionTooLong { seconds });
        }
        self.asked.interrupt.check()
    }

    /// Spans in memory are of rollups as little as any others that are not in segments.
    fn add_spans(&mut self, batch: &RecordBatch, time: &Range<UnixNanos>) {
        let rows = self.wanted(batch, time);
        self.tally.add_spans(batch, &rows);
    }

    fn add_rollups(&mut self, batch: &RecordBatch, time: &Range<UnixNanos>) {
        let rows = self.wanted(batch, time);
        self.tally.add_rollups(batch, &rows);
    }

    fn wanted(&self, batch: &RecordBatch, time: &Range<UnixNanos>) -> Vec<usize> {
        let matching = Matching::of(batch, self.asked.filter);
        let is_of = is_of(batch, self.asked.of);
        let is_among = |row: usize| {
            self.among
                .is_none_or(|among| matching.trace_id(row).is_some_and(|id| among.contains(&id)))
        };
        (0..batch.num_rows())
            .filter(|row| {
                time.contains(&matching.start_ns(*row))
                    && is_of.as_ref().is_none_or(|is_of| is_of[*row])
                    && matching.matches(*row)
                    && is_among(*row)
            })
            .collect()
    }
}

/// For each row whether it is counted; `None` where all are.
fn is_of(batch: &RecordBatch, of: Population) -> Option<Vec<bool>> {
    if of == Population::Roots {
        return Some(tops(batch));
    }
    let operations = of.operations()?;
    Some(rows_where(batch, "llm_kind", |word| operations.contains(&word)))
}
