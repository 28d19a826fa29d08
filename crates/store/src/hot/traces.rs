//! The traces that have rows in memory, newest last: what the list needs of them, and where their
//! rows are.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::Bound,
};

use andon_model::{Content, Named as _, Part, Span, SpanId, TraceId, UnixNanos};

use super::{
    At,
    digest::{Digest, Digester},
    view::{Roles, View},
};
use crate::{Config, FacetCount, Facets, TraceQuery, TraceSummary};

/// What a trace takes besides its rows, about.
const ENTRY_BYTES: usize = 250;
const DIGEST_BYTES: usize = 300;

#[derive(Debug)]
pub(crate) struct TraceIndex {
    entries: HashMap<TraceId, Entry>,
    order: BTreeSet<(UnixNanos, TraceId)>,
    digester: Digester,
    digests: usize,
    spans_per_trace: usize,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) digests: Vec<Digest>,
    /// Spans beyond the limit of one trace.
    pub(super) uncounted_spans: u64,
    pub(super) start_ns: UnixNanos,
    pub(super) end_ns: UnixNanos,
    pub(super) roles: Roles,
    /// Rows of spans beyond the limit.
    uncounted: Vec<At>,
    contents: Vec<(ContentKey, At)>,
    evaluations: Vec<At>,
    /// Whether its spans in segments are among the digests.
    is_complete: bool,
    /// The newest generation that has rows of it.
    touched: u32,
    /// The first and the last generation with spans that its row in segments does not know of.
    changed: Option<(u32, u32)>,
    /// The start in its row in segments, and in the one that is being written.
    sealed_start_ns: Option<UnixNanos>,
    sealing_start_ns: Option<UnixNanos>,
}

/// What one text replaces when it is sent again.
pub(super) type ContentKey = (SpanId, Part, u32);

/// Rows of `traces` that are to be written, and of which traces older rows must go.
#[derive(Debug, Default)]
pub(crate) struct Superseded {
    pub(crate) rows: Vec<TraceSummary>,
    pub(crate) older: HashSet<TraceId>,
}

/// What the traces in memory add to a page of the list.
#[derive(Debug, Default)]
pub(crate) struct HotPage {
    /// Newest first, at most one more than asked for.
    pub(crate) rows: Vec<TraceSummary>,
    pub(crate) matched: u64,
    pub(crate) counts: Counts,
    /// Traces whose row in segments does not count, by the start that stands there.
    pub(crate) superseded: HashMap<UnixNanos, Vec<TraceId>>,
}

/// Where the rows of one trace are.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) spans: Vec<At>,
    pub(crate) contents: Vec<At>,
    pub(crate) evaluations: Vec<At>,
}

impl Entry {
    fn place_of(&self, span_id: SpanId) -> Option<usize> {
        self.digests.iter().position(|digest| digest.span_id == span_id)
    }

    /// Keeps a digest, at its place or as one more of at most so many. Whether it is one more.
    fn put(&mut self, place: Option<usize>, digest: Digest, most: usize) -> bool {
        match place {
            Some(place) => self.digests[place] = digest,
            None if self.digests.len() < most => {
                push(&mut self.digests, digest);
                return true;
            }
            None => {
                self.uncounted_spans += 1;
                self.uncounted.push(digest.at);
            }
        }
        false
    }
}

/// A trace's entry, made where there is none yet.
fn entry_of<'a>(
    entries: &'a mut HashMap<TraceId, Entry>,
    order: &mut BTreeSet<(UnixNanos, TraceId)>,
    id: TraceId,
    time_ns: UnixNanos,
) -> &'a mut Entry {
    entries.entry(id).or_insert_with(|| {
        order.insert((time_ns, id));
        Entry { start_ns: time_ns, end_ns: time_ns, ..Entry::default() }
    })
}

/// A vector begins with room for four, and most traces of apps have one span.
fn push<T>(all: &mut Vec<T>, one: T) {
    if all.len() < 4 {
        all.reserve_exact(1);
    }
    all.push(one);
}

impl TraceIndex {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeSet::new(),
            digester: Digester::default(),
            digests: 0,
            spans_per_trace: config.spans_per_trace,
        }
    }

    /// Whether all spans of the trace are known, those in segments too.
    pub(crate) fn is_complete(&self, id: TraceId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.is_complete)
    }

    /// Makes known which spans of a trace are in segments already.
    pub(crate) fn recall(&mut self, id: TraceId, sealed: &[Span]) {
        let Some(first) = sealed.first() else { return };
        let start_ns = sealed.iter().map(|span| span.start_ns).min().unwrap_or(first.start_ns);
        for span in sealed {
            self.insert_sealed(span);
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.sealed_start_ns = Some(start_ns);
        }
        self.derive(id);
    }

    /// Takes in a span of a generation, and says where it was if it was sent before. One that is in an
    /// earlier generation, or in a segment, stays as it is. [`Self::derive`] is to follow when all of a
    /// batch are in.
    pub(super) fn add_span(&mut self, span: &Span, at: At, generation: u32) -> Option<At> {
        let entry = entry_of(&mut self.entries, &mut self.order, span.trace_id, span.start_ns);
        let place = entry.place_of(span.span_id);
        let known = place.map(|place| entry.digests[place].at);
        if known.is_some_and(|known| !known.is_in(generation)) {
            return known;
        }
        entry.touched = generation;
        entry.is_complete = true;
        let first = entry.changed.map_or(generation, |(first, _)| first);
        entry.changed = Some((first, generation));
        let digest = self.digester.digest(span, at);
        self.digests += usize::from(entry.put(place, digest, self.spans_per_trace));
        known
    }

    /// A span that is in a segment.
    fn insert_sealed(&mut self, span: &Span) {
        let entry = entry_of(&mut self.entries, &mut self.order, span.trace_id, span.start_ns);
        let place = entry.place_of(span.span_id);
        let digest = self.digester.digest(span, At::Sealed);
        self.digests += usize::from(entry.put(place, digest, self.spans_per_trace));
    }

    /// Whether a span of this id is known, wherever it is.
    pub(super) fn knows(&self, id: TraceId, span_id: SpanId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.place_of(span_id).is_some())
    }

    /// A span is at another place now, in a later generation. `false` where it is not known to be at the
    /// first one.
    pub(super) fn carry(&mut self, span: &Span, from: At, to: At) -> bool {
        let (At::Hot { generation: old, .. }, At::Hot { generation, .. }) = (from, to) else {
            return false;
        };
        let Some(entry) = self.entries.get_mut(&span.trace_id) else { return false };
        let Some(place) = entry.place_of(span.span_id) else { return false };
        if entry.digests[place].at != from {
            return false;
        }
        entry.digests[place].at = to;
        entry.touched = generation;
        // A row in the list without any span in segments would be taken for another trace's at a start.
        let has_others = entry.digests.iter().any(|digest| digest.at.is_in(old))
            || entry.uncounted.iter().any(|at| at.is_in(old));
        let first = entry.changed.map_or(generation, |(first, _)| first);
        entry.changed = Some((if has_others { first } else { generation }, generation));
        true
    }

    /// The texts of a span in a generation, and their places.
    pub(super) fn texts_of(&self, span: &Span, wanted: u32) -> Vec<(ContentKey, u32)> {
        let all = self.entries.get(&span.trace_id).into_iter().flat_map(|entry| &entry.contents);
        let of_span = all.filter(|((of, ..), _)| *of == span.span_id);
        let in_it = of_span.filter_map(|(key, at)| match at {
            At::Hot { generation, place } if *generation == wanted => Some((*key, *place)),
            At::Hot { .. } | At::Sealed => None,
        });
        in_it.collect()
    }

    /// As [`Self::carry`] for a text.
    pub(super) fn move_text(&mut self, span: &Span, key: ContentKey, to: At) {
        let entry = self.entries.get_mut(&span.trace_id).into_iter();
        let known = entry.flat_map(|entry| &mut entry.contents).find(|(known, _)| *known == key);
        if let Some((_, at)) = known {
            *at = to;
        }
    }

    /// Where the text was that this one replaces.
    pub(super) fn add_content(
        &mut self,
        content: &Content,
        at: At,
        generation: u32,
        is_again: bool,
    ) -> Option<At> {
        let entry = self.entry(content.trace_id, content.time_ns);
        entry.touched = generation;
        let key = (content.span_id, content.part, content.idx);
        let known = is_again.then(|| entry.contents.iter_mut().find(|(known, _)| *known == key));
        match known.flatten() {
            Some((_, place)) => Some(std::mem::replace(place, at)),
            None => {
                push(&mut entry.contents, (key, at));
                None
            }
        }
    }

    pub(super) fn add_evaluation(
        &mut self,
        id: TraceId,
        time_ns: UnixNanos,
        at: At,
        generation: u32,
    ) {
        let entry = self.entry(id, time_ns);
        entry.touched = generation;
        push(&mut entry.evaluations, at);
    }

    fn entry(&mut self, id: TraceId, time_ns: UnixNanos) -> &mut Entry {
        entry_of(&mut self.entries, &mut self.order, id, time_ns)
    }

    /// Works out anew what the spans of a trace come to.
    pub(super) fn derive(&mut self, id: TraceId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.digests.is_empty() {
            return;
        }
        entry.roles = Roles::of(&entry.digests);
        let old_start_ns = entry.start_ns;
        entry.start_ns =
            entry.digests.iter().map(|digest| digest.start_ns).min().unwrap_or(old_start_ns);
        entry.end_ns = entry.digests.iter().map(|digest| digest.end_ns).max().unwrap_or(0);
        if entry.start_ns != old_start_ns {
            self.order.remove(&(old_start_ns, id));
            self.order.insert((entry.start_ns, id));
        }
    }

    /// The rows of `traces` that the seal of a generation writes.
    pub(crate) fn seal(&mut self, generation: u32) -> Superseded {
        let mut superseded = Superseded::default();
        for (id, entry) in &mut self.entries {
            if entry.changed.is_none_or(|(first, _)| first > generation) {
                continue;
            }
            let Some(view) = View::new(*id, entry) else { continue };
            superseded.rows.push(view.summary());
            if entry.sealed_start_ns.is_some() {
                superseded.older.insert(*id);
            }
            entry.sealing_start_ns = Some(entry.start_ns);
        }
        superseded
    }

    /// The generation is in segments now: what has no later rows is forgotten.
    pub(crate) fn sealed(&mut self, generation: u32) {
        let (order, digests) = (&mut self.order, &mut self.digests);
        let is_later = |at: &At| matches!(at, At::Hot { generation: of, .. } if *of > generation);
        self.entries.retain(|id, entry| {
            if entry.touched <= generation {
                order.remove(&(entry.start_ns, *id));
                *digests -= entry.digests.len();
                return false;
            }
            for digest in &mut entry.digests {
                if !is_later(&digest.at) {
                    digest.at = At::Sealed;
                }
            }
            entry.uncounted.retain(is_later);
            entry.contents.retain(|(_, at)| is_later(at));
            entry.evaluations.retain(is_later);
            entry.changed = entry
                .changed
                .filter(|(_, last)| *last > generation)
                .map(|(first, last)| (first.max(generation + 1), last));
            entry.sealed_start_ns = entry.sealing_start_ns.take().or(entry.sealed_start_ns);
            true
        });
    }

    /// The rows in segments of these traces are gone; what came in after them stays.
    pub(crate) fn forget_sealed(&mut self, gone: &HashSet<TraceId>) {
        let is_hot = |at: &At| matches!(at, At::Hot { .. });
        for id in gone {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            let digests = entry.digests.len();
            entry.digests.retain(|digest| is_hot(&digest.at));
            self.digests -= digests - entry.digests.len();
            entry.uncounted.retain(is_hot);
            entry.uncounted_spans = entry.uncounted.len() as u64;
            entry.contents.retain(|(_, at)| is_hot(at));
            entry.evaluations.retain(is_hot);
            entry.sealed_start_ns = None;
            self.derive(*id);
        }
    }

    /// Where the rows of a trace are; `None` when none are in memory.
    pub(crate) fn places_of(&self, id: TraceId) -> Option<Places> {
        let entry = self.entries.get(&id)?;
        let mut spans: Vec<_> = entry.digests.iter().map(|digest| digest.at).collect();
        spans.extend(&entry.uncounted);
        let contents = entry.contents.iter().map(|(_, at)| *at).collect();
        Some(Places { spans, contents, evaluations: entry.evaluations.clone() })
    }

    /// Traces that only memory knows of.
    pub(crate) fn unsealed_traces(&self) -> u64 {
        let is_new = |entry: &&Entry| !entry.digests.is_empty() && entry.sealed_start_ns.is_none();
        self.entries.values().filter(is_new).count() as u64
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * ENTRY_BYTES + self.digests * DIGEST_BYTES
    }

    /// `among`: the only traces that are asked, where not all are. `limit`: rows wanted.
    pub(crate) fn page(
        &self,
        query: &TraceQuery,
        among: Option<&HashSet<TraceId>>,
        limit: usize,
    ) -> HotPage {
        let mut page = HotPage { superseded: self.superseded(), ..HotPage::default() };
        for key in self.keys(query).rev() {
            if among.is_some_and(|among| !among.contains(&key.1)) {
                continue;
            }
            let view = self.entries.get(&key.1).and_then(|entry| View::new(key.1, entry));
            let Some(view) = view.filter(|view| view.matches(&query.filter)) else { continue };
            page.matched += 1;
            page.counts.add(&view);
            let is_before = query.cursor.is_none_or(|cursor| *key < cursor.key());
            if is_before && page.rows.len() <= limit {
                page.rows.push(view.summary());
            }
        }
        page
    }

    fn superseded(&self) -> HashMap<UnixNanos, Vec<TraceId>> {
        let mut superseded: HashMap<_, Vec<_>> = HashMap::new();
        for (id, entry) in &self.entries {
            if let Some(start_ns) = entry.sealed_start_ns {
                superseded.entry(start_ns).or_default().push(*id);
            }
        }
        superseded
    }

    fn keys(
        &self,
        query: &TraceQuery,
    ) -> impl DoubleEndedIterator<Item = &(UnixNanos, TraceId)> + use<'_> {
        let lowest = |time_ns| (time_ns, TraceId::from_bytes([0; 16]));
        let from_ns = query.from_ns.unwrap_or(0);
        let to_ns = query.to_ns.map(|to_ns| to_ns.max(from_ns));
        let end = to_ns.map_or(Bound::Unbounded, |to_ns| Bound::Excluded(lowest(to_ns)));
        // An excluded end that equals an included start is an empty range, not a panic.
        self.order.range((Bound::Included(lowest(from_ns)), end))
    }
}

/// The row that these spans of one trace come to.
pub(crate) fn summary_of(id: TraceId, spans: &[Span], config: &Config) -> Option<TraceSummary> {
    let mut index = TraceIndex::new(config);
    index.recall(id, spans);
    View::new(id, index.entries.get(&id)?).map(|view| view.summary())
}

/// How often which value occurs.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) service: HashMap<String, u64>,
    pub(crate) model: HashMap<String, u64>,
    pub(crate) cause: HashMap<String, u64>,
    pub(crate) status: HashMap<String, u64>,
}

impl Counts {
    fn add(&mut self, view: &View<'_>) {
        count(&mut self.service, view.service(), 1);
        count(&mut self.status, view.status().name(), 1);
        view.model().into_iter().for_each(|model| count(&mut self.model, model, 1));
        view.cause().into_iter().for_each(|cause| count(&mut self.cause, cause.name(), 1));
    }

    pub(crate) fn merge(&mut self, more: &Self) {
        let add = |own: &mut HashMap<String, u64>, more: &HashMap<String, u64>| {
            more.iter().for_each(|(value, number)| count(own, value, *number));
        };
        add(&mut self.service, &more.service);
        add(&mut self.model, &more.model);
        add(&mut self.cause, &more.cause);
        add(&mut self.status, &more.status);
    }

    /// Different values.
    pub(crate) fn len(&self) -> usize {
        self.service.len() + self.model.len() + self.cause.len() + self.status.len()
    }

    /// `most`: values of one facet.
    pub(crate) fn facets(self, most: usize) -> Facets {
        Facets {
            cause: ranked(self.cause, most),
            service: ranked(self.service, most),
            model: ranked(self.model, most),
            status: ranked(self.status, most),
        }
    }
}

pub(crate) fn count(counts: &mut HashMap<String, u64>, value: &str, more: u64) {
    match counts.get_mut(value) {
        Some(count) => *count += more,
        None => {
            counts.insert(value.to_owned(), more);
        }
    }
}

fn ranked(counts: HashMap<String, u64>, most: usize) -> Vec<FacetCount> {
    let mut ranked: Vec<_> =
        counts.into_iter().map(|(value, count)| FacetCount { value, count }).collect();
    ranked.sort_by(|left, right| {
        right.count.cmp(&left.count).then_with(|| left.value.cmp(&right.value))
    });
    ranked.truncate(most);
    ranked
}
