//! What all spans of a trace come to: the row of the list, derived anew whenever a span arrives.
//!
//! The root is the earliest span whose parent is not known. When that is a browser's, the row is
//! named after the server span below it («POST /chat»): «browser» in every row would tell nothing.

use std::collections::{HashMap, HashSet};

use andon_model::{Cause, Source, SpanId, SpanKind, Status, TraceId};

use super::{digest::Digest, traces::Entry};
use crate::{
    TraceSummary,
    query::{Filter, Test, TextField},
};

/// So few spans are looked through faster than they are hashed.
const FEW: usize = 32;
/// How far up from a span other LLM spans are looked for; parents may form a ring.
const MAX_DEPTH: usize = 64;

/// Which spans stand for their trace, as places in [`Entry::digests`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Roles {
    root: u32,
    face: u32,
    llm: Option<u32>,
}

impl Roles {
    pub(super) fn of(digests: &[Digest]) -> Self {
        let is_few = digests.len() <= FEW;
        let hashed = digests.iter().map(|digest| digest.span_id).filter(|_| !is_few);
        let hashed: HashSet<SpanId> = hashed.collect();
        let is_known = |id: SpanId| match is_few {
            true => digests.iter().any(|digest| digest.span_id == id),
            false => hashed.contains(&id),
        };
        let is_top = |digest: &Digest| {
            digest.parent_id.is_none_or(|parent| parent == digest.span_id || !is_known(parent))
        };
        let earliest = |wanted: &dyn Fn(&Digest) -> bool| {
            let places = digests.iter().enumerate().filter(|(_, digest)| wanted(digest));
            places.min_by_key(|(place, digest)| (digest.start_ns, *place)).map(|(place, _)| place)
        };
        let root = earliest(&is_top).or_else(|| earliest(&|_| true)).unwrap_or(0);
        let from_browser =
            digests.get(root).is_some_and(|digest| digest.shape.source == Source::Rum);
        let server = |digest: &Digest| {
            digest.shape.kind == SpanKind::Server && digest.shape.source != Source::Rum
        };
        let face = if from_browser { earliest(&server).unwrap_or(root) } else { root };
        let llm = digests
            .iter()
            .enumerate()
            .filter(|(_, digest)| digest.is_call())
            .max_by_key(|(place, digest)| (digest.is_llm(), digest.start_ns, *place))
            .map(|(place, _)| place as u32);
        Self { root: root as u32, face: face as u32, llm }
    }
}

/// A trace of the list that has at least one span.
pub(super) struct View<'a> {
    id: TraceId,
    entry: &'a Entry,
    root: &'a Digest,
    face: &'a Digest,
    llm: Option<&'a Digest>,
}

impl<'a> View<'a> {
    pub(super) fn new(id: TraceId, entry: &'a Entry) -> Option<Self> {
        let at = |place: u32| entry.digests.get(place as usize);
        let roles = entry.roles;
        let (root, face) = (at(roles.root)?, at(roles.face)?);
        Some(Self { id, entry, root, face, llm: roles.llm.and_then(at) })
    }

    pub(super) fn service(&self) -> &'a str {
        &self.face.shape.service
    }

    pub(super) fn model(&self) -> Option<&'a str> {
        self.llm?.shape.model.as_deref()
    }

    fn model_requested(&self) -> Option<&'a str> {
        self.llm?.shape.model_requested.as_deref()
    }

    pub(super) fn status(&self) -> Status {
        let statuses = [Some(self.root), Some(self.face), self.llm];
        let has = |wanted| statuses.iter().flatten().any(|digest| digest.status == wanted);
        if has(Status::Error) {
            Status::Error
        } else if has(Status::Ok) {
            Status::Ok
        } else {
            Status::Unset
        }
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        let of_llm = self.llm.and_then(|digest| digest.cause);
        of_llm.or(self.face.cause).or(self.root.cause)
    }

    /// The call's own error says more than what the spans around it made of it.
    fn error_type(&self) -> Option<&'a str> {
        [self.llm, Some(self.face), Some(self.root)]
            .into_iter()
            .flatten()
            .find_map(|digest| digest.shape.error_type.as_deref())
    }

    fn host(&self) -> Option<&'a str> {
        let of_llm = self.llm.and_then(|digest| digest.shape.host.as_deref());
        of_llm.or(self.face.shape.host.as_deref())
    }

    fn session(&self) -> Option<&'a str> {
        self.first_known(Digest::session)
    }

    fn request(&self) -> Option<&'a str> {
        self.first_known(Digest::request)
    }

    fn first_known(&self, of: fn(&'a Digest) -> Option<&'a str>) -> Option<&'a str> {
        of(self.face).or_else(|| of(self.root)).or_else(|| self.entry.digests.iter().find_map(of))
    }

    fn duration_ns(&self) -> u64 {
        self.entry.end_ns.saturating_sub(self.entry.start_ns)
    }

    pub(super) fn matches(&self, filter: &Filter) -> bool {
        filter.terms.iter().all(|term| self.passes(&term.test) != term.negated)
    }

    fn passes(&self, test: &Test) -> bool {
        let shape = &self.face.shape;
        let any = |texts: &[Option<&str>], pattern: &crate::query::Pattern| {
            texts.iter().flatten().any(|text| pattern.matches(text))
        };
        match test {
            // Looked for beforehand: only traces that have it are asked.
            Test::Content(_) | Test::Attribute(..) => true,
            Test::Status(status) => self.status() == *status,
            Test::Cause(cause) => self.cause() == Some(*cause),
            Test::Duration { comparison, nanos } => comparison.holds(self.duration_ns(), *nanos),
            Test::Text(TextField::Service, pattern) => pattern.matches(&shape.service),
            Test::Text(TextField::Model, pattern) => {
                any(&[self.model(), self.model_requested()], pattern)
            }
            Test::Text(TextField::Name, pattern) => {
                any(&[Some(&shape.name), shape.resource.as_deref()], pattern)
            }
            Test::Text(TextField::Session, pattern) => any(&[self.session()], pattern),
            Test::Text(TextField::Request, pattern) => any(&[self.request()], pattern),
            Test::Text(TextField::Host, pattern) => any(&[self.host()], pattern),
            Test::Anywhere(pattern) => {
                let texts = [
                    Some(&*shape.name),
                    Some(&*shape.service),
                    shape.resource.as_deref(),
                    self.model(),
                    self.model_requested(),
                    self.error_type(),
                    self.request(),
                    self.session(),
                ];
                any(&texts, pattern) || pattern.starts(&self.id.to_string())
            }
        }
    }

    pub(super) fn summary(&self) -> TraceSummary {
        let shape = &self.face.shape;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let tokens = Tokens::sum(&self.entry.digests);
        let cause = self.cause();
        TraceSummary {
            trace_id: self.id,
            start_ns: self.entry.start_ns,
            duration_ns: self.duration_ns(),
            service: shape.service.as_ref().to_owned(),
            name: shape.name.as_ref().to_owned(),
            resource: owned(shape.resource.as_deref()),
            model: owned(self.model()),
            model_requested: owned(self.model_requested()),
            status: self.status(),
            http_status: self.face.http_status.or(self.root.http_status),
            error_type: owned(self.error_type()),
            cause,
            cold_start: cause.is_some_and(Cause::is_load),
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            cached_tokens: tokens.cached,
            span_count: self.entry.digests.len() as u64 + self.entry.uncounted_spans,
            session_id: owned(self.session()),
            request_id: owned(self.request()),
            stream: self.llm.and_then(|digest| digest.stream).or(self.face.stream),
            timings: self
                .llm
                .and_then(|digest| digest.llm.as_deref())
                .map(|llm| llm.timings)
                .unwrap_or_default(),
            host: owned(self.host()),
        }
    }
}

/// Tokens of all calls of a trace. A call that was recorded twice, by the application and by the
/// proxy below it, is counted once: at the outermost span that knows the number.
#[derive(Default)]
struct Tokens {
    input: Option<u64>,
    output: Option<u64>,
    cached: Option<u64>,
}

impl Tokens {
    fn sum(digests: &[Digest]) -> Self {
        // With one call there is none above it.
        let has_one = digests.iter().filter(|digest| digest.llm.is_some()).count() <= 1;
        let by_id: HashMap<_, _> = match has_one {
            true => HashMap::new(),
            false => digests.iter().map(|digest| (digest.span_id, digest)).collect(),
        };
        let mut tokens = Self::default();
        for digest in digests {
            let Some(llm) = &digest.llm else { continue };
            let add = |sum: &mut Option<u64>, of: fn(&super::digest::Llm) -> Option<u64>| {
                let outer = || ancestors(digest, &by_id).any(|outer| knows(outer, of));
                if let Some(count) = of(llm).filter(|_| !outer()) {
                    *sum = Some(sum.unwrap_or(0).saturating_add(count));
                }
            };
            add(&mut tokens.input, |llm| llm.input_tokens);
            add(&mut tokens.output, |llm| llm.output_tokens);
            add(&mut tokens.cached, |llm| llm.cached_tokens);
        }
        tokens
    }
}

fn knows(digest: &Digest, of: fn(&super::digest::Llm) -> Option<u64>) -> bool {
    digest.llm.as_deref().is_some_and(|llm| of(llm).is_some())
}

fn ancestors<'a>(
    digest: &'a Digest,
    by_id: &'a HashMap<SpanId, &'a Digest>,
) -> impl Iterator<Item = &'a Digest> {
    let parent = |digest: &&Digest| {
        let parent = digest.parent_id.and_then(|id| by_id.get(&id)).copied();
        parent.filter(|parent| parent.span_id != digest.span_id)
    };
    std::iter::successors(parent(&digest), parent).take(MAX_DEPTH)
}
