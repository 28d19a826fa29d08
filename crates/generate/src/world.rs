//! What lasts from one trace to the next: which versions run, which models are in memory, who is in
//! the midst of a conversation. Its size does not depend on how much is made.

use andon_model::{Observation, Source, Span, SpanId, Status, TraceId, UnixNanos};

use crate::{
    catalog::{MODELS, SERVICES, Service},
    random::Random,
    rhythm::Moment,
    session::Sessions,
};

const DAY: u64 = 86_400_000_000_000;

/// What people write in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Japanese,
}

impl Language {
    pub(crate) fn draw(random: &mut Random) -> Self {
        if random.one_in(2) { Self::Japanese } else { Self::English }
    }
}

/// A trace in the making. A parent stands before its children.
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    pub(crate) language: Language,
    /// Where the app runs; Andon's own parts do not say.
    pub(crate) env: &'static str,
    pub(crate) source: Source,
    pub(crate) observations: Vec<Observation>,
}

impl Trace {
    /// The span at this place, as [`World::add`] gave it.
    pub(crate) fn span(&mut self, place: usize) -> &mut Span {
        &mut self.observations[place].span
    }

    pub(crate) fn id_of(&self, place: usize) -> SpanId {
        self.observations[place].span.span_id
    }

    pub(crate) fn len(&self) -> usize {
        self.observations.len()
    }

    /// Ends a span when its last child has ended.
    pub(crate) fn end(&mut self, place: usize, end_ns: UnixNanos) {
        let span = self.span(place);
        span.duration_ns = end_ns.saturating_sub(span.start_ns);
        if span.status == Status::Unset {
            span.status = Status::Ok;
        }
    }
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) sessions: Sessions,
    /// When each model was last asked; 0 is never.
    pub(crate) asked_ns: [UnixNanos; MODELS.len()],
    /// What every span begins as. A copy costs neither a draw of an id nor a look at the clock.
    blank: Span,
    day: u64,
    versions: [Option<String>; SERVICES.len()],
}

impl World {
    pub(crate) fn new(random: Random, sessions: Sessions) -> Self {
        Self {
            random,
            sessions,
            asked_ns: [0; MODELS.len()],
            blank: Span::default(),
            day: u64::MAX,
            versions: [const { None }; SERVICES.len()],
        }
    }

    pub(crate) fn begin(&mut self, moment: &Moment, source: Source) -> Trace {
        let day = moment.at_ns / DAY;
        if day != self.day {
            self.day = day;
            self.versions = std::array::from_fn(|place| SERVICES[place].version(day));
        }
        let random = &mut self.random;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&random.next().to_be_bytes());
        id[8..].copy_from_slice(&random.next().max(1).to_be_bytes());
        let env = match random.below(100) {
            0..86 => "production",
            86..97 => "staging",
            _ => "development",
        };
        Trace {
            id: TraceId::from_bytes(id),
            language: Language::English,
            env,
            source,
            observations: Vec::with_capacity(8),
        }
    }

    /// Adds a span of `service`, with what the service says of itself, and returns its place.
    pub(crate) fn add(
        &mut self,
        trace: &mut Trace,
        service: Service,
        parent: Option<usize>,
        start_ns: UnixNanos,
    ) -> usize {
        let row = service.row();
        let version = &self.versions[service as usize];
        let mut observation = Observation::from(self.blank.clone());
        let span = &mut observation.span;
        span.trace_id = trace.id;
        span.span_id = SpanId::from_bytes(self.random.next().max(1).to_be_bytes());
        span.parent_id = parent.map(|place| trace.id_of(place));
        span.start_ns = start_ns;
        span.service = row.name.to_owned();
        span.source = trace.source;
        // The processes of one trace are chosen by its id: a service has one of them in it.
        let draw = u64::from(trace.id.as_bytes()[0]);
        if let Some((host, pid)) = row.process(draw, self.day) {
            span.host = Some(host.to_owned());
            span.pid = Some(pid);
        }
        if let Some(version) = version {
            span.version = Some(version.clone());
            span.env = Some(trace.env.to_owned());
        }
        trace.observations.push(observation);
        trace.len() - 1
    }
}
