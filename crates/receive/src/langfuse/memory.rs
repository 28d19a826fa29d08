//! What is remembered of the traces that come by batches, since one observation comes in several events:
//! it is created when it begins and updated when it ends, and in the order in which a client gets to it.
//!
//! Each piece is handed on and durable before it is acknowledged: with each batch the whole of what it
//! touched is handed on anew, under the same ids, and the store keeps the later: what has not ended is
//! marked ([`andon_model::PARTIAL`]), so that it stays where it can be replaced. Nothing waits here.
//!
//! Bounded in number, age and bytes; the trace that was longest not spoken of goes first. Texts in here
//! are as they came, and are neither written nor logged.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use andon_model::{Observation, Span, SpanId, TraceId, UnixNanos};

use super::{before, ids, said::Said, spans};
use crate::normalise::{self, Incoming, Origin};

const MAX_TRACES: usize = 10_000;
/// Of one trace; those that have ended go first.
const MAX_OBSERVATIONS: usize = 5_000;
const MAX_BYTES: usize = 32 << 20;
const MAX_AGE: Duration = Duration::from_secs(3_600);
/// Times at which traces were spoken of before the last time, besides as many as there are traces.
const MOST_STALE: usize = 1_024;

/// One thing that a batch says.
pub(super) enum Event {
    Trace { id: String, said: Said, seen_ns: UnixNanos },
    Observation { id: String, trace_id: String, said: Said, is_update: bool, seen_ns: UnixNanos },
}

impl Event {
    /// The trace's id, as its client calls it.
    fn trace(&self) -> &str {
        match self {
            Self::Trace { id, .. } => id,
            Self::Observation { trace_id, .. } => trace_id,
        }
    }

    fn seen_ns(&self) -> UnixNanos {
        match self {
            Self::Trace { seen_ns, .. } | Self::Observation { seen_ns, .. } => *seen_ns,
        }
    }
}

/// A trace as it is known by now.
pub(super) struct Trace {
    pub(super) trace_id: TraceId,
    /// As its client calls it.
    pub(super) id: String,
    /// What the client said of the trace itself, which is a span then: the root.
    pub(super) said: Option<Said>,
    /// When it was first spoken of.
    pub(super) seen_ns: UnixNanos,
    /// When its output was said.
    pub(super) ended_ns: Option<UnixNanos>,
    pub(super) observations: HashMap<SpanId, Observed>,
    /// What the store knew of its spans when memory did not know the trace.
    pub(super) before: HashMap<SpanId, Arc<Span>>,
    origin: Arc<Origin>,
    bytes: usize,
    version: u64,
    touched: Option<Instant>,
}

/// An observation as it is known by now.
pub(super) struct Observed {
    /// As its client calls it.
    pub(super) id: String,
    pub(super) said: Said,
    pub(super) seen_ns: UnixNanos,
    is_updated: bool,
    version: u64,
}

/// Which span was handed on, as of what was known then.
pub(super) struct HandedOn {
    key: (TraceId, SpanId),
    version: u64,
}

/// A span to be handed on.
pub(super) struct Outgoing {
    at: HandedOn,
    origin: Arc<Origin>,
    incoming: Incoming,
    before: Option<Arc<Span>>,
}

impl Outgoing {
    /// In the model's words, with what was known of it before.
    pub(super) fn observe(self) -> (HandedOn, Observation) {
        let mut seen = normalise::observe(&self.origin, self.incoming);
        if let Some(before) = &self.before {
            before::complete(&mut seen.span, before);
        }
        (self.at, seen)
    }
}

/// Memory of what came; clones are of the same.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    traces: HashMap<TraceId, Trace>,
    /// When each was spoken of; several times, of which the last counts.
    by_age: VecDeque<(Instant, TraceId)>,
    bytes: usize,
    versions: u64,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked left a map that is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The traces of a batch's events of which nothing is remembered.
    pub(super) fn unknown(&self, events: &[Event]) -> Vec<TraceId> {
        let inner = self.lock();
        let all: HashSet<_> = events.iter().map(|event| ids::trace(event.trace())).collect();
        all.into_iter().filter(|id| !inner.traces.contains_key(id)).collect()
    }

    /// Takes a batch's events in, and gives back the whole of each span that they say something of.
    /// `before`: what the store knows of [`Self::unknown`] traces.
    pub(super) fn take(
        &self,
        events: Vec<Event>,
        service: &str,
        before: Vec<Span>,
    ) -> Vec<Outgoing> {
        let mut inner = self.lock();
        let now = Instant::now();
        let origin = Arc::new(spans::origin(service));
        let mut touched = BTreeSet::new();
        for event in &events {
            inner.begin(event, &origin, now);
        }
        for span in before {
            inner.remember(span);
        }
        for event in events {
            inner.event(event, &mut touched);
        }
        let outgoing = inner.outgoing(&touched);
        inner.shrink(now);
        outgoing
    }

    /// Of spans that were handed on, those of which another batch knew more meanwhile: two requests at
    /// once may be stored in either order, and the whole has to be the last.
    pub(super) fn outdated(&self, handed_on: &[HandedOn]) -> Vec<Outgoing> {
        let inner = self.lock();
        let is_outdated =
            |old: &&HandedOn| inner.version(old.key).is_some_and(|version| version > old.version);
        let keys = handed_on.iter().filter(is_outdated).map(|old| old.key).collect();
        inner.outgoing(&keys)
    }
}

impl Inner {
    /// Makes the trace of an event known, and young again.
    fn begin(&mut self, event: &Event, origin: &Arc<Origin>, now: Instant) {
        let (id, trace_id) = (event.trace(), ids::trace(event.trace()));
        let trace = self.traces.entry(trace_id).or_insert_with(|| {
            let trace = Trace::new(trace_id, id, event.seen_ns(), origin);
            self.bytes += trace.bytes;
            trace
        });
        if trace.touched != Some(now) {
            trace.touched = Some(now);
            self.by_age.push_back((now, trace_id));
        }
    }

    fn remember(&mut self, span: Span) {
        let Some(trace) = self.traces.get_mut(&span.trace_id) else { return };
        // Another request may have made it known meanwhile.
        if trace.before.len() < MAX_OBSERVATIONS && !trace.observations.contains_key(&span.span_id)
        {
            let bytes = size_of::<Span>() + span.attributes.weight();
            trace.bytes += bytes;
            self.bytes += bytes;
            trace.before.insert(span.span_id, Arc::new(span));
        }
    }

    fn event(&mut self, event: Event, touched: &mut BTreeSet<(TraceId, SpanId)>) {
        self.versions += 1;
        let version = self.versions;
        let seen_ns = event.seen_ns();
        let trace_id = ids::trace(event.trace());
        let Some(trace) = self.traces.get_mut(&trace_id) else { return };
        let before = trace.bytes;
        trace.seen_ns = trace.seen_ns.min(seen_ns);
        match event {
            Event::Trace { said, .. } => {
                if trace.take(said, seen_ns, version) {
                    touched.extend(trace.observations.keys().map(|span| (trace_id, *span)));
                }
            }
            Event::Observation { id, said, is_update, .. } => {
                let span_id = ids::observation(&id);
                trace.observe(span_id, id, said, is_update, seen_ns, version);
                touched.insert((trace_id, span_id));
            }
        }
        // Whatever happens within it, the root lasts as long.
        trace.version = version;
        if trace.said.is_some() {
            touched.insert((trace_id, ids::root(&trace.id)));
        }
        self.bytes = self.bytes + trace.bytes - before;
    }

    fn version(&self, (trace_id, span_id): (TraceId, SpanId)) -> Option<u64> {
        let trace = self.traces.get(&trace_id)?;
        match trace.observations.get(&span_id) {
            Some(observed) => Some(observed.version),
            None => (span_id == ids::root(&trace.id)).then_some(trace.version),
        }
    }

    fn outgoing(&self, keys: &BTreeSet<(TraceId, SpanId)>) -> Vec<Outgoing> {
        let one = |key: &(TraceId, SpanId)| {
            let trace = self.traces.get(&key.0)?;
            let incoming = match trace.observations.get(&key.1) {
                Some(observed) => spans::of_observation(trace, key.1, observed),
                None => spans::of_trace(trace, trace.said.as_ref()?),
            };
            let origin = Arc::clone(&trace.origin);
            let at = HandedOn { key: *key, version: self.version(*key)? };
            let before = trace.before.get(&key.1).cloned();
            Some(Outgoing { at, origin, incoming, before })
        };
        keys.iter().filter_map(one).collect()
    }

    fn shrink(&mut self, now: Instant) {
        // One that nobody speaks of is in front for an hour, and all others are spoken of meanwhile.
        if self.by_age.len() > 2 * self.traces.len() + MOST_STALE {
            let traces = &self.traces;
            let is_last = |(spoken_of, id): &(Instant, TraceId)| {
                traces.get(id).is_some_and(|trace| trace.touched == Some(*spoken_of))
            };
            self.by_age.retain(is_last);
        }
        while let Some((spoken_of, oldest)) = self.by_age.front().copied() {
            let trace = self.traces.get(&oldest);
            let is_of_later = trace.is_none_or(|trace| trace.touched != Some(spoken_of));
            let is_over = self.traces.len() > MAX_TRACES
                || self.bytes > MAX_BYTES
                || now.duration_since(spoken_of) > MAX_AGE;
            if !is_of_later && !is_over {
                break;
            }
            self.by_age.pop_front();
            if !is_of_later && let Some(trace) = self.traces.remove(&oldest) {
                self.bytes -= trace.bytes;
            }
        }
    }
}

impl Trace {
    fn new(trace_id: TraceId, id: &str, seen_ns: UnixNanos, origin: &Arc<Origin>) -> Self {
        Self {
            trace_id,
            id: id.to_owned(),
            said: None,
            seen_ns,
            ended_ns: None,
            observations: HashMap::new(),
            before: HashMap::new(),
            origin: Arc::clone(origin),
            bytes: 256 + id.len(),
            version: 0,
            touched: None,
        }
    }

    /// Whether all that is in it is another now.
    fn take(&mut self, said: Said, seen_ns: UnixNanos, version: u64) -> bool {
        if said.output.is_some() {
            self.ended_ns = self.ended_ns.max(Some(seen_ns));
        }
        let inherited = |said: &Said| {
            let of = [&said.session_id, &said.user_id, &said.environment, &said.release];
            of.map(Clone::clone)
        };
        let before = self.said.as_ref().map(inherited);
        let weighed = self.said.as_ref().map_or(0, Said::weight);
        let known = self.said.get_or_insert_default();
        known.take(said, true);
        self.bytes = self.bytes + known.weight() - weighed;
        let is_another = before != Some(inherited(known));
        if is_another {
            self.observations.values_mut().for_each(|observed| observed.version = version);
        }
        is_another
    }

    fn observe(
        &mut self,
        span_id: SpanId,
        id: String,
        said: Said,
        is_update: bool,
        seen_ns: UnixNanos,
        version: u64,
    ) {
        if self.observations.len() >= MAX_OBSERVATIONS && !self.observations.contains_key(&span_id)
        {
            self.forget_ended();
        }
        let before = self.observations.get(&span_id).map_or(0, |known| known.said.weight());
        let known = self.observations.entry(span_id).or_insert_with(|| Observed {
            id,
            said: Said::default(),
            seen_ns,
            is_updated: false,
            version,
        });
        known.said.take(said, is_update || !known.is_updated);
        known.is_updated |= is_update;
        known.seen_ns = known.seen_ns.min(seen_ns);
        known.version = version;
        self.bytes = self.bytes + known.said.weight() - before;
    }

    /// Of observations that have ended no more is said, in most cases.
    fn forget_ended(&mut self) {
        let ends = self.observations.values().filter_map(|observed| observed.said.end_time);
        self.ended_ns = self.ended_ns.max(ends.max());
        self.observations.retain(|_, observed| observed.said.end_time.is_none());
        if self.observations.len() >= MAX_OBSERVATIONS {
            self.observations.clear();
        }
        self.before.clear();
        let said = self.said.as_ref().map_or(0, Said::weight);
        let observed = self.observations.values().map(|observed| observed.said.weight());
        self.bytes = 256 + self.id.len() + said + observed.sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(trace: usize, text: &str) -> Event {
        let said = format!(r#"{{"input": "{text}"}}"#);
        Event::Observation {
            id: "g".to_owned(),
            trace_id: trace.to_string(),
            said: serde_json::from_str(&said).unwrap(),
            is_update: false,
            seen_ns: 1,
        }
    }

    #[test]
    fn it_forgets_what_was_longest_not_spoken_of_and_never_grows_without_limit() {
        let memory = Memory::default();
        for trace in 0..MAX_TRACES + 100 {
            memory.take(vec![begun(trace, "x")], "", Vec::new());
            // Always young.
            memory.take(vec![begun(0, "x")], "", Vec::new());
        }
        let is_known = |trace: usize| memory.unknown(&[begun(trace, "")]).is_empty();
        assert!(is_known(0) && !is_known(1) && is_known(MAX_TRACES + 99));
        let inner = memory.lock();
        assert_eq!(inner.traces.len(), MAX_TRACES);
        assert!(inner.by_age.len() <= 2 * MAX_TRACES + MOST_STALE + 1, "{}", inner.by_age.len());
        let counted: usize = inner.traces.values().map(|trace| trace.bytes).sum();
        assert_eq!(counted, inner.bytes);
        drop(inner);
        for trace in 0..20 {
            memory.take(vec![begun(trace, &"x".repeat(MAX_BYTES / 8))], "", Vec::new());
        }
        let inner = memory.lock();
        assert!(inner.bytes <= MAX_BYTES && inner.traces.len() < 20, "{}", inner.bytes);
    }

    #[test]
    fn a_trace_of_very_many_observations_keeps_those_that_run() {
        let memory = Memory::default();
        let event = |at: usize, end: &str| Event::Observation {
            id: at.to_string(),
            trace_id: "t".to_owned(),
            said: serde_json::from_str(end).unwrap(),
            is_update: false,
            seen_ns: 1,
        };
        memory.take(vec![event(0, "{}")], "", Vec::new());
        for at in 1..=MAX_OBSERVATIONS {
            let ended = r#"{"endTime": "2026-12-01T04:42:12Z"}"#;
            memory.take(vec![event(at, ended)], "", Vec::new());
        }
        let inner = memory.lock();
        let trace = &inner.traces[&ids::trace("t")];
        assert_eq!(trace.observations.len(), 2);
        assert!(trace.observations.contains_key(&ids::observation("0")));
        assert_eq!(trace.ended_ns, Some(1_796_100_132_000_000_000));
        assert_eq!(trace.bytes, inner.bytes);
    }
}
