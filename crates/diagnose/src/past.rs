//! What a runtime did before: when it was last asked for which model, with which options, and which
//! calls ran beside each other.

use std::collections::{HashMap, VecDeque};

use andon_model::{AttributeValue, Phase, Span, SpanId, Status, TraceId, UnixNanos};

use crate::{call::Call, diagnosis::Fact, usual::Usual};

const MOST_MODELS: usize = 64;
const MOST_CALLS: usize = 256;
/// Options that are part of how a model is loaded; another value of one makes Ollama load it anew
/// (`Runner` in <https://github.com/ollama/ollama/blob/main/api/types.go>).
const OF_THE_LOAD: [&str; 6] =
    ["num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"];

/// Of one runtime.
#[derive(Default)]
pub(crate) struct Runtime {
    models: HashMap<String, Model>,
    pub(crate) pauses: Pauses,
    /// `host:port`, as its last call said it.
    pub(crate) address: Option<String>,
    calls: VecDeque<Ended>,
}

/// Pauses between two calls to a model of which the first did not say how long it is to be kept: what
/// a runtime's own setting is (`OLLAMA_KEEP_ALIVE`), which is nowhere to be asked for.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    /// The longest after which a model was still there.
    pub(crate) survived_ns: u64,
    /// The shortest after which one was gone, for no other reason.
    pub(crate) lost_ns: Option<u64>,
}

impl Pauses {
    fn note(&mut self, pause_ns: u64, was_gone: bool) {
        if was_gone {
            self.lost_ns = Some(self.lost_ns.map_or(pause_ns, |known| known.min(pause_ns)));
            // The setting has changed since, if it had been there for longer.
            self.survived_ns = self.survived_ns.min(pause_ns);
        } else {
            self.survived_ns = self.survived_ns.max(pause_ns);
            self.lost_ns = self.lost_ns.filter(|lost| *lost > pause_ns);
        }
    }
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) usual: Usual,
    pub(crate) last: Option<LastUse>,
}

/// The last call to a model.
pub(crate) struct LastUse {
    pub(crate) end_ns: UnixNanos,
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) options: Vec<(&'static str, String)>,
    pub(crate) pid: Option<u32>,
}

/// How long a call wanted its model to be kept afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Nanoseconds.
    For(u64),
    Always,
}

/// A call that has ended.
pub(crate) struct Ended {
    pub(crate) span_id: SpanId,
    pub(crate) trace_id: TraceId,
    pub(crate) model: String,
    pub(crate) start_ns: UnixNanos,
    pub(crate) end_ns: UnixNanos,
    /// When it computed: read or wrote.
    pub(crate) worked: (UnixNanos, UnixNanos),
    pub(crate) loaded: bool,
}

/// A call that runs now.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    pub(crate) trace_id: TraceId,
    pub(crate) model: Option<String>,
    pub(crate) from_ns: UnixNanos,
    pub(crate) to_ns: UnixNanos,
}

impl Beside {
    /// Nanoseconds of it within that time.
    pub(crate) fn overlap(&self, from_ns: UnixNanos, to_ns: UnixNanos) -> u64 {
        self.to_ns.min(to_ns).saturating_sub(self.from_ns.max(from_ns))
    }

    pub(crate) fn fact(&self) -> Fact {
        Fact::OtherCall { trace_id: self.trace_id, model: self.model.clone() }
    }
}

impl Runtime {
    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        self.models.get(name)
    }

    /// Where nothing more fits, the model that was not asked for longest is forgotten.
    pub(crate) fn model_mut(&mut self, name: &str) -> &mut Model {
        if self.models.len() >= MOST_MODELS && !self.models.contains_key(name) {
            let age = |model: &Model| model.last.as_ref().map_or(0, |last| last.end_ns);
            let oldest = self.models.iter().min_by_key(|(_, model)| age(model));
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.models.remove(&oldest);
            }
        }
        self.models.entry(name.to_owned()).or_default()
    }

    pub(crate) fn note(&mut self, call: Call<'_>) {
        let span = call.0;
        let name = model_of(span);
        let was_answered = span.status != Status::Error;
        if was_answered && let Some((pause_ns, was_gone)) = self.pause(call) {
            self.pauses.note(pause_ns, was_gone);
        }
        if was_answered || call.loaded_ns().is_some() {
            let last = LastUse {
                end_ns: span.end_ns(),
                keep_alive: keep_alive(span),
                options: options(span),
                pid: span.pid,
            };
            let model = self.model_mut(name);
            // Spans come in the order in which their calls end, nearly.
            if model.last.as_ref().is_none_or(|known| known.end_ns <= last.end_ns) {
                model.last = Some(last);
            }
        }
        if let Some(address) = call.word("server.address").filter(|it| self.is_new(it)) {
            self.address = Some(address.to_owned());
        }
        if self.calls.len() == MOST_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(Ended {
            span_id: span.span_id,
            trace_id: span.trace_id,
            model: name.to_owned(),
            start_ns: span.start_ns,
            end_ns: span.end_ns(),
            worked: (call.extent(Phase::Prompt).0, span.end_ns()),
            loaded: call.loaded_ns().is_some() && was_answered,
        });
    }

    fn is_new(&self, address: &str) -> bool {
        self.address.as_deref() != Some(address)
    }

    /// The pause before a call, and whether the model was gone after it; `None` where something else than
    /// a time may have made it go.
    fn pause(&self, call: Call<'_>) -> Option<(u64, bool)> {
        let span = call.0;
        let last = self.model(model_of(span))?.last.as_ref()?;
        let is_same = last.pid == span.pid && last.options == options(span);
        if last.keep_alive.is_some() || !is_same || span.start_ns < last.end_ns {
            return None;
        }
        call.ns(Phase::Load)?;
        let was_gone = call.loaded_ns().is_some();
        let other = self.loaded_between(model_of(span), last.end_ns, span.end_ns());
        (!was_gone || other.is_none()).then_some((span.start_ns - last.end_ns, was_gone))
    }

    /// The first load of another model after `from_ns` and before `to_ns`.
    pub(crate) fn loaded_between(
        &self,
        but: &str,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Option<&Ended> {
        self.calls
            .iter()
            .filter(|call| call.loaded && call.model != but)
            .find(|call| call.start_ns < to_ns && call.end_ns > from_ns)
    }

    /// Calls that computed in that time, and for how long of it; the same call seen twice counts once.
    pub(crate) fn beside(&self, call: &Span, from_ns: UnixNanos, to_ns: UnixNanos) -> Vec<Beside> {
        let at_once = |other: &&Ended| {
            other.span_id != call.span_id
                && other.trace_id != call.trace_id
                && other.worked.0 < to_ns
                && other.worked.1 > from_ns
        };
        let beside = |other: &Ended| Beside {
            trace_id: other.trace_id,
            model: Some(other.model.clone()),
            from_ns: other.worked.0,
            to_ns: other.worked.1,
        };
        self.calls.iter().filter(at_once).map(beside).collect()
    }
}

/// The name that what is usual is kept under.
pub(crate) fn model_of(span: &Span) -> &str {
    span.model.as_deref().or(span.model_requested.as_deref()).unwrap_or_default()
}

pub(crate) fn options(span: &Span) -> Vec<(&'static str, String)> {
    let value = |name: &'static str| {
        let value = span.attributes.get(&format!("andon.request.options.{name}"))?;
        Some((name, in_words(value)))
    };
    OF_THE_LOAD.into_iter().filter_map(value).collect()
}

fn in_words(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Int(value) => value.to_string(),
        AttributeValue::Float(value) => value.to_string(),
        AttributeValue::Bool(value) => value.to_string(),
    }
}

/// What a call said, as a number of seconds or in words.
pub(crate) fn keep_alive(span: &Span) -> Option<KeepAlive> {
    match span.attributes.get("andon.request.keep_alive")? {
        AttributeValue::Int(seconds) => Some(KeepAlive::of_seconds(*seconds as f64)),
        AttributeValue::Float(seconds) => Some(KeepAlive::of_seconds(*seconds)),
        AttributeValue::Text(text) => KeepAlive::parse(text),
        AttributeValue::Bool(_) => None,
    }
}

/// Five minutes, as Ollama and Andon's own runtime have it.
impl Default for KeepAlive {
    fn default() -> Self {
        Self::For(300_000_000_000)
    }
}

impl KeepAlive {
    /// Seconds, or a duration as Go writes it (`5m`, `1h30m`); negative is for ever.
    pub fn parse(text: &str) -> Option<Self> {
        duration_s(text).map(Self::of_seconds)
    }

    fn of_seconds(seconds: f64) -> Self {
        match seconds < 0.0 {
            true => Self::Always,
            false => Self::For((seconds * 1e9) as u64),
        }
    }
}

fn duration_s(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 6] =
        [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
    let (sign, mut rest) = match text.trim().strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.trim()),
    };
    if let Ok(seconds) = rest.parse::<f64>() {
        return Some(sign * seconds);
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..length].parse().ok()?;
        rest = rest.get(length..)?;
        let (unit, seconds) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        sum += number * seconds;
        rest = &rest[unit.len()..];
    }
    Some(sign * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keep_alive_is_read_as_ollama_reads_it() {
        let read = |value: AttributeValue| {
            let mut span = Span::default();
            span.attributes.set("andon.request.keep_alive", value);
            keep_alive(&span)
        };
        let seconds = |seconds: u64| Some(KeepAlive::For(seconds * 1_000_000_000));
        assert_eq!(read(AttributeValue::Int(60)), seconds(60));
        assert_eq!(read("90s".into()), seconds(90));
        assert_eq!(read("1h30m".into()), seconds(5_400));
        assert_eq!(read("0".into()), seconds(0));
        assert_eq!(read(AttributeValue::Int(-1)), Some(KeepAlive::Always));
        assert_eq!(read("-1m".into()), Some(KeepAlive::Always));
        assert_eq!(read("soon".into()), None);
    }
}
