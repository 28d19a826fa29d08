//! How far a prompt should be read by now, where the runtime does not say: from how fast it read
//! earlier ones, how long it loads, and how much of the prompt it has read before. Worked out where
//! calls are read, once, and only for a call that somebody looks at.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use andon_model::{RequestId, Span, SpanId, TraceId};

use super::{api, exchange::Call, lengths::Shape, memory::learned, reading, threads::Asker};
use crate::{
    live::{Outlook, Subject},
    runtime::{RuntimeKind, find},
};

/// Calls that a rate rests on.
const MOST_SAMPLES: usize = 16;
/// Prompts that are shorter say more of the call than of the reading.
const LEAST_TOKENS: f64 = 8.0;

/// What a call that runs is foreseen to take.
#[derive(Default)]
pub(super) struct Forecast {
    asked: AtomicBool,
    outlook: OnceLock<Option<Outlook>>,
}

/// How fast prompts were read and models loaded, by service and model.
#[derive(Default)]
pub(super) struct Paces {
    known: HashMap<(String, String), Pace>,
}

#[derive(Default)]
struct Pace {
    /// Tokens, and nanoseconds for them.
    read: VecDeque<(f64, f64)>,
    loads_ns: VecDeque<u64>,
    /// Tokens that were in the cache beyond what prompts had in common: instructions that the runtime
    /// puts before each of them.
    heads: VecDeque<u64>,
}

impl Paces {
    /// Learns from a finished call. `before`: the share of its prompt that was there before, for
    /// runtimes that do not say what they had in their cache.
    pub(super) fn learn(&mut self, span: &Span, before: f64) {
        let Some(model) = &span.model else { return };
        let pace = learned(&mut self.known, (span.service.clone(), model.clone()));
        if let (Some(all), Some(ns)) = (span.input_tokens, span.timings.prompt_eval_ns) {
            let new = match span.cached_tokens {
                Some(cached) => all.saturating_sub(cached) as f64,
                None => all as f64 * (1.0 - before),
            };
            if let Some(cached) = span.cached_tokens {
                let head = (cached as f64 - all as f64 * before).max(0.0);
                push(&mut pace.heads, head as u64);
            }
            if new >= LEAST_TOKENS && ns > 0 {
                push(&mut pace.read, (new, ns as f64));
            }
        }
        if let Some(load) = span.timings.load_ns.filter(|load| *load > 0) {
            push(&mut pace.loads_ns, load);
        }
    }

    /// Nanoseconds a token; long prompts weigh more, for they are the ones that are waited for.
    fn reading(&self, service: &str, model: &str) -> Option<f64> {
        let pace = self.known.get(&(service.to_owned(), model.to_owned()))?;
        let (tokens, ns) = pace.read.iter().fold((0.0, 0.0), |(t, n), one| (t + one.0, n + one.1));
        (tokens > 0.0).then(|| ns / tokens)
    }

    /// Tokens that the runtime will have in its cache whatever the prompt is: as many as it mostly had.
    fn head(&self, service: &str, model: &str) -> u64 {
        let pace = self.known.get(&(service.to_owned(), model.to_owned()));
        let mut heads: Vec<u64> =
            pace.map(|pace| pace.heads.iter().copied().collect()).unwrap_or_default();
        heads.sort_unstable();
        heads.get(heads.len() / 2).copied().unwrap_or(0)
    }

    /// The longest of the last loads: the short ones were of a model in memory.
    fn loading(&self, service: &str, model: &str) -> Duration {
        let pace = self.known.get(&(service.to_owned(), model.to_owned()));
        let longest = pace.and_then(|pace| pace.loads_ns.iter().max().copied());
        Duration::from_nanos(longest.unwrap_or(0))
    }
}

fn push<T>(samples: &mut VecDeque<T>, sample: T) {
    if samples.len() == MOST_SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

impl Subject for Call {
    fn trace_id(&self) -> TraceId {
        self.caller.trace_id
    }

    fn span_id(&self) -> SpanId {
        self.span_id
    }

    fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }

    fn service(&self) -> &str {
        self.service()
    }

    fn route(&self) -> &str {
        &self.path
    }

    fn model(&self) -> Option<String> {
        api::model_of(self.request.get()?.bytes())
    }

    fn outlook(self: Arc<Self>) -> Option<Outlook> {
        if let Some(outlook) = self.forecast.outlook.get() {
            return outlook.clone();
        }
        if self.request.get().is_some() && !self.forecast.asked.swap(true, Relaxed) {
            let recorder = self.shared.common.recorder.clone();
            recorder.record_later(Box::new(move || {
                let _ = self.forecast.outlook.set(outlook(&self));
                None
            }));
        }
        None
    }

    /// Ollama gives each model one call at a time unless it was told otherwise. The built-in runtime says
    /// itself who waits.
    fn slots(&self) -> Option<u32> {
        let info = self.runtime_info()?;
        match info.kind {
            RuntimeKind::Builtin => None,
            RuntimeKind::Ollama => Some(1),
            RuntimeKind::Openai => self.shared.entrance.catalog.load().slots,
        }
    }
}

fn outlook(call: &Call) -> Option<Outlook> {
    let asked = reading::request(call.api, call.request.get()?, call.encoding.as_deref())?;
    let model = asked.model.as_deref()?;
    let app = call.app();
    let user = asked.user.as_deref().or(call.caller.user_id.as_deref());
    let asker = Asker { app: app.as_deref(), user, key: call.key };
    let contents = asked.contents.as_slice();
    let past = call.shared.past();
    let found = find(&call.models, model);
    // Spans have the name that the runtime answered with.
    let name = found.map_or(model, |found| &found.name);
    let ns_a_token = past.paces.reading(call.service(), name)?;
    let before = past.threads.look(&asker, (call.service(), name), contents);
    let tokens = past.lengths.estimate(name, Shape::of(contents), before.start).tokens;
    let is_loaded = found.is_none_or(|found| found.loaded);
    // What is loaded anew has nothing in its cache.
    let head = if is_loaded { past.paces.head(call.service(), name) as f64 } else { 0.0 };
    let new = (tokens * (1.0 - before.share) - head).max(0.0);
    Some(Outlook {
        prompt_tokens: tokens as u64,
        cached_tokens: (tokens - new) as u64,
        load: if is_loaded { Duration::ZERO } else { past.paces.loading(call.service(), name) },
        prompt: Duration::from_nanos((new * ns_a_token) as u64),
        streams: asked.stream == Some(true),
        parted_at: before.parted_at,
    })
}

#[cfg(test)]
mod tests {
    use andon_model::Timings;

    use super::{super::memory::MOST_MODELS, *};

    const MS: u64 = 1_000_000;

    fn span(all: u64, cached: Option<u64>, read_ms: u64, load_ms: u64) -> Span {
        let mut span = Span::new(TraceId::random(), "ollama", "chat tiny".to_owned());
        span.model = Some("tiny".to_owned());
        (span.input_tokens, span.cached_tokens) = (Some(all), cached);
        span.timings = Timings {
            prompt_eval_ns: Some(read_ms * MS),
            load_ns: Some(load_ms * MS),
            ..Timings::default()
        };
        span
    }

    #[test]
    fn a_pace_is_learned_from_what_was_read_and_not_from_what_was_cached() {
        let mut paces = Paces::default();
        assert_eq!(paces.reading("ollama", "tiny"), None);
        paces.learn(&span(1_000, Some(900), 200, 5_000), 0.9);
        assert_eq!(paces.reading("ollama", "tiny"), Some(2.0 * MS as f64));
        // What the runtime does not say is taken from the prompt's own history.
        paces.learn(&span(1_000, None, 1_000, 2), 0.5);
        assert_eq!(paces.reading("ollama", "tiny"), Some(2.0 * MS as f64));
        assert_eq!(paces.reading("gpu-box", "tiny"), None);
        assert_eq!(paces.loading("ollama", "tiny"), Duration::from_secs(5));
        // Beyond the nine tenths that were there before, nothing was cached.
        assert_eq!(paces.head("ollama", "tiny"), 0);
        for _ in 0..2 {
            paces.learn(&span(1_000, Some(160), 100, 0), 0.01);
        }
        assert_eq!(paces.head("ollama", "tiny"), 150);
    }

    #[test]
    fn old_paces_and_models_are_forgotten() {
        let mut paces = Paces::default();
        for _ in 0..MOST_SAMPLES {
            paces.learn(&span(100, Some(0), 1_000, 0), 0.0);
        }
        for _ in 0..MOST_SAMPLES {
            paces.learn(&span(100, Some(0), 100, 0), 0.0);
        }
        assert_eq!(paces.reading("ollama", "tiny"), Some(MS as f64));
        for number in 0..2 * MOST_MODELS {
            let mut other = span(100, None, 10, 0);
            other.model = Some(format!("model {number}"));
            paces.learn(&other, 0.0);
        }
        assert_eq!(paces.known.len(), MOST_MODELS);
    }
}
