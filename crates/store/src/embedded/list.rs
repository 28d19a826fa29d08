//! The list of traces: newest first, with how many match and what they have in common.
//!
//! Two passes over the segments of `traces`: the first reads the few columns that the filter and
//! the facets need and finds where the page ends, the second reads the rows of the page.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    ops::{ControlFlow, RangeInclusive},
    sync::Arc,
    time::Instant,
};

use andon_model::{TraceId, UnixNanos};
use arrow::array::RecordBatch;

use super::{
    Shared,
    counted::{Asked, Counted},
    parallel::share_out,
};
use crate::{
    Cursor, Filter, StoreError, TracePage, TraceQuery, TraceSummary,
    hot::{Counts, HotPage},
    matching::{Matching, needed_columns},
    segment::{Segment, Visit},
    sql::Snapshot,
    table::{Row as _, Table},
    tagged::AttributeSearch,
    text::{Found, Search},
};

impl Shared {
    pub(super) fn page(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        let most = self.config.page_rows;
        let limit = if query.limit == 0 { most } else { query.limit.min(most) };
        let found = self.search(&query.filter, &time_of(query));
        let tagged = self.search_attributes(&query.filter, &time_of(query));
        let found = match (found, tagged) {
            (Some(found), Some(tagged)) => Some(found.and(tagged)),
            (found, tagged) => found.or(tagged),
        };
        let among = found.as_ref().map(|found| &found.traces);
        let (hot, segments) = {
            let state = self.read();
            (state.hot.traces.page(query, among, limit), Arc::clone(&state.segments))
        };
        let HotPage { rows, matched, counts, superseded } = hot;
        let (time, wanted, counted) = (time_of(query), limit + 1, &self.counted);
        let scan = Scan { query, among, time, superseded, wanted, counted };
        let segments: Vec<_> =
            segments.iter().map(Arc::as_ref).filter(|one| scan.is_in_time(one)).collect();
        let count = |seen: &mut Seen, segment| {
            if let Err(error) = scan.count(segment, seen) {
                self.note_unreadable(&error);
            }
        };
        let mut seen = Seen { matched, counts, ..Seen::default() };
        share_out(&segments, &self.config, Seen::default, count)
            .into_iter()
            .for_each(|more| seen.add(&more, scan.wanted));
        query.interrupt.check()?;
        let mut page = rows;
        for segment in &segments {
            match scan.rows(segment, &seen) {
                Ok(rows) => page.extend(rows),
                Err(error) => self.note_unreadable(&error),
            }
            query.interrupt.check()?;
        }
        page.sort_unstable_by_key(|row| Reverse((row.start_ns, row.trace_id)));
        let has_more = page.len() > limit;
        page.truncate(limit);
        let last = page.last().filter(|_| has_more);
        let next_cursor = last.map(|row| Cursor { start_ns: row.start_ns, trace_id: row.trace_id });
        Ok(TracePage {
            next_cursor: next_cursor.map(|cursor| cursor.to_string()),
            traces: page,
            total_matched: seen.matched,
            is_partial: found.as_ref().is_some_and(|found| found.is_partial),
            facets: seen.counts.facets(self.config.facet_values),
        })
    }
}

impl Shared {
    /// The traces whose texts have the words of the filter; `None` when it has none.
    pub(super) fn search(
        &self,
        filter: &Filter,
        time: &RangeInclusive<UnixNanos>,
    ) -> Option<Found> {
        let words = filter.words();
        if words.is_empty() {
            return None;
        }
        let Snapshot { hot, segments } = self.snapshot(Table::Contents);
        // Texts are as old as their spans, which may begin after their trace.
        let window_ns = self.config.late_window.as_nanos() as u64;
        let search = Search {
            words,
            time: *time.start()..=time.end().saturating_add(window_ns),
            most: self.config.search_traces,
            deadline: Instant::now() + self.config.search_time,
        };
        Some(search.run(&hot, &segments, &mut |error| self.note_unreadable(&error)))
    }

    /// The traces with a span that has the attributes of the filter; `None` when it has none.
    fn search_attributes(
        &self,
        filter: &Filter,
        time: &RangeInclusive<UnixNanos>,
    ) -> Option<Found> {
        let filter = filter.attributes();
        if filter.terms.is_empty() {
            return None;
        }
        let Snapshot { hot, segments } = self.snapshot(Table::Spans);
        let window_ns = self.config.late_window.as_nanos() as u64;
        let search = AttributeSearch {
            filter,
            time: *time.start()..=time.end().saturating_add(window_ns),
            most: self.config.search_traces,
            deadline: Instant::now() + self.config.search_time,
        };
        Some(search.run(&hot, &segments, &mut |error| self.note_unreadable(&error)))
    }
}

fn time_of(query: &TraceQuery) -> RangeInclusive<UnixNanos> {
    let through_ns = query.to_ns.map_or(Some(UnixNanos::MAX), |to_ns| to_ns.checked_sub(1));
    #[expect(clippy::reversed_empty_ranges, reason = "a range of nothing")]
    through_ns.map_or(1..=0, |through_ns| query.from_ns.unwrap_or(0)..=through_ns)
}

/// One question on its way through the segments.
struct Scan<'a> {
    query: &'a TraceQuery,
    /// The only traces that are asked, where not all are.
    among: Option<&'a HashSet<TraceId>>,
    /// Starts that are asked for; none when it is empty.
    time: RangeInclusive<UnixNanos>,
    superseded: HashMap<UnixNanos, Vec<TraceId>>,
    /// Traces of the page, and one more.
    wanted: usize,
    counted: &'a Counted,
}

/// What the first pass has come to.
#[derive(Default)]
pub(super) struct Seen {
    /// Starts of the newest traces that match and follow the cursor; the oldest of them on top.
    newest: BinaryHeap<Reverse<UnixNanos>>,
    matched: u64,
    counts: Counts,
}

impl Seen {
    fn note_start(&mut self, start_ns: UnixNanos, wanted: usize) {
        if self.newest.len() < wanted {
            self.newest.push(Reverse(start_ns));
        } else if self.newest.peek().is_some_and(|oldest| oldest.0 < start_ns) {
            self.newest.pop();
            self.newest.push(Reverse(start_ns));
        }
    }

    fn add(&mut self, more: &Self, wanted: usize) {
        more.newest.iter().for_each(|Reverse(start_ns)| self.note_start(*start_ns, wanted));
        self.matched += more.matched;
        self.counts.merge(&more.counts);
    }

    /// How much there is to remember.
    pub(super) fn len(&self) -> usize {
        self.newest.len() + self.counts.len()
    }
}

impl Scan<'_> {
    fn is_in_time(&self, segment: &Segment) -> bool {
        let time = &self.time;
        segment.info.table == Table::Traces && segment.info.overlaps(*time.start(), *time.end())
    }

    /// First pass: counts what matches. A segment that counts with all of its rows comes to the same
    /// each time, which is remembered.
    fn count(&self, segment: &Segment, seen: &mut Seen) -> Result<(), StoreError> {
        let info = &segment.info;
        let is_here = |start: &UnixNanos| (info.from_ns..=info.to_ns).contains(start);
        let needs_ids = self.superseded.keys().any(is_here)
            || self.query.cursor.is_some()
            || self.among.is_some();
        if needs_ids || !self.time.contains(&info.from_ns) || !self.time.contains(&info.to_ns) {
            return self.read(segment, needs_ids, seen);
        }
        let asked = Asked { segment: info.id, filter: &self.query.filter, wanted: self.wanted };
        let known = match self.counted.get(&asked) {
            Some(known) => known,
            None => {
                let mut own = Seen::default();
                self.read(segment, needs_ids, &mut own)?;
                let own = Arc::new(own);
                if !self.query.interrupt.is_raised() {
                    self.counted.remember(&asked, &own);
                }
                own
            }
        };
        seen.add(&known, self.wanted);
        Ok(())
    }

    fn read(&self, segment: &Segment, needs_ids: bool, seen: &mut Seen) -> Result<(), StoreError> {
        let columns = needed_columns(&self.query.filter, needs_ids);
        let visit = Visit::between(*self.time.start(), *self.time.end()).columns(&columns);
        segment.visit(visit, &mut |batch| {
            self.count_batch(batch, seen);
            if self.query.interrupt.is_raised() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
    }

    fn count_batch(&self, batch: &RecordBatch, seen: &mut Seen) {
        let matching = Matching::of(batch, &self.query.filter);
        let mut places = Vec::with_capacity(batch.num_rows());
        for place in 0..batch.num_rows() {
            let start_ns = matching.start_ns(place);
            if !self.time.contains(&start_ns) || !self.is_wanted(&matching, place) {
                continue;
            }
            places.push(place);
            if self.follows_cursor(&matching, place) {
                seen.note_start(start_ns, self.wanted);
            }
        }
        seen.matched += places.len() as u64;
        matching.count(&places, &mut seen.counts);
    }

    fn is_wanted(&self, matching: &Matching<'_>, place: usize) -> bool {
        let is_among = || {
            self.among
                .is_none_or(|among| matching.trace_id(place).is_some_and(|id| among.contains(&id)))
        };
        matching.matches(place) && is_among() && !self.is_superseded(matching, place)
    }

    fn is_superseded(&self, matching: &Matching<'_>, place: usize) -> bool {
        if self.superseded.is_empty() {
            return false;
        }
        let ids = self.superseded.get(&matching.start_ns(place));
        ids.is_some_and(|ids| matching.trace_id(place).is_some_and(|id| ids.contains(&id)))
    }

    fn follows_cursor(&self, matching: &Matching<'_>, place: usize) -> bool {
        self.query.cursor.is_none_or(|cursor| {
            let id = matching.trace_id(place).unwrap_or(TraceId::from_bytes([0; 16]));
            (matching.start_ns(place), id) < cursor.key()
        })
    }

    /// Second pass: the rows from where the page ends.
    fn rows(&self, segment: &Segment, seen: &Seen) -> Result<Vec<TraceSummary>, StoreError> {
        let Some(Reverse(end_ns)) = seen.newest.peek().copied() else { return Ok(Vec::new()) };
        let cursor_ns = self.query.cursor.map_or(UnixNanos::MAX, |cursor| cursor.start_ns);
        let through_ns = cursor_ns.min(*self.time.end());
        let mut rows = Vec::new();
        if end_ns > through_ns || !segment.info.overlaps(end_ns, through_ns) {
            return Ok(rows);
        }
        let is_wanted = move |start_ns| (end_ns..=through_ns).contains(&start_ns);
        let visit = Visit::between(end_ns, through_ns).at(is_wanted);
        segment.visit(visit, &mut |batch| {
            let matching = Matching::of(batch, &self.query.filter);
            let places: Vec<_> = (0..batch.num_rows())
                .filter(|place| {
                    self.is_wanted(&matching, *place) && self.follows_cursor(&matching, *place)
                })
                .collect();
            rows.extend(TraceSummary::read(batch, &places));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }
}
