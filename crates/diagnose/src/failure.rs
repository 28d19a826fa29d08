//! Why a call failed.

use andon_model::{Cause, Phase, Span};

use crate::{
    diagnosis::{Diagnosis, Fact, Finding},
    judge::Scene,
};

/// A runtime that was ended by the kernel is missed a moment later.
const KILLED_WITHIN_NS: u64 = 5_000_000_000;

/// With what made it slow before it failed, if that is known.
pub(crate) fn diagnosis(scene: &Scene<'_>, mut slow: Vec<Finding>) -> Diagnosis {
    let span = scene.call.0;
    let mut cause = told(span);
    let seen = scene.machine.oom_kills(
        span.start_ns.saturating_sub(KILLED_WITHIN_NS),
        span.end_ns().saturating_add(KILLED_WITHIN_NS),
    );
    let kills = seen.saturating_add(scene.just_killed);
    let mut facts = Vec::new();
    if kills > 0 && matches!(cause, Cause::RuntimeDown | Cause::OutOfMemory) {
        cause = Cause::OutOfMemory;
        facts.push(Fact::OomKills { count: kills });
    }
    if cause == Cause::None {
        // What was asked was wrong; nothing was slow or broken.
        return Diagnosis::none();
    }
    let main = Finding::new(cause, scene.last_phase(), span.duration_ns).with(facts);
    slow.retain(|finding| finding.ns as f64 >= span.duration_ns as f64 * 0.2);
    slow.sort_by_key(|finding| std::cmp::Reverse(finding.ns));
    slow.extend(unfinished(scene, &slow));
    slow.insert(0, main);
    let confidence = if cause == Cause::Unknown { 0.3 } else { 0.95 };
    Diagnosis { cause, confidence, findings: slow }
}

/// The phase in which the time ran out took it all, and nobody could say how long it would have taken.
fn unfinished(scene: &Scene<'_>, known: &[Finding]) -> Option<Finding> {
    let phase = scene.last_phase()?;
    let ns = scene.call.ns(phase)?;
    let is_most = ns as f64 >= scene.call.0.duration_ns as f64 * 0.5;
    let cause = match phase {
        Phase::Queue => Cause::Queue,
        Phase::Load => Cause::ColdStart,
        Phase::Prompt => Cause::LongPrompt,
        Phase::Generate => Cause::LongAnswer,
    };
    let is_known = known.iter().any(|finding| finding.phase == Some(phase));
    (is_most && !is_known).then(|| Finding::new(cause, phase, ns))
}

/// What the recorder said, or what an SDK's words mean.
fn told(span: &Span) -> Cause {
    match span.cause {
        Some(cause) if !matches!(cause, Cause::Unknown) => return cause,
        _ => {}
    }
    if let Some(cause) = span.http_status.and_then(of_status) {
        return cause;
    }
    let words = [span.error_type.as_deref(), span.error_message.as_deref()];
    words.into_iter().flatten().find_map(of_words).unwrap_or(Cause::Unknown)
}

fn of_status(status: u16) -> Option<Cause> {
    match status {
        408 | 504 => Some(Cause::Timeout),
        429 => Some(Cause::QueueFull),
        499 => Some(Cause::ClientGone),
        502 => Some(Cause::RuntimeDown),
        _ => None,
    }
}

/// Words that clients and runtimes use.
const WORDS: [(&str, Cause); 18] = [
    ("timeout", Cause::Timeout),
    ("timed out", Cause::Timeout),
    ("deadline exceeded", Cause::Timeout),
    ("connection refused", Cause::RuntimeDown),
    ("econnrefused", Cause::RuntimeDown),
    ("connecterror", Cause::RuntimeDown),
    ("apiconnectionerror", Cause::RuntimeDown),
    ("connection reset", Cause::RuntimeDown),
    ("out of memory", Cause::OutOfMemory),
    ("requires more system memory", Cause::OutOfMemory),
    ("context length", Cause::ContextExceeded),
    ("context window", Cause::ContextExceeded),
    ("exceed_context_size", Cause::ContextExceeded),
    ("ratelimiterror", Cause::QueueFull),
    ("maximum pending requests", Cause::QueueFull),
    ("model not found", Cause::ModelMissing),
    ("try pulling it first", Cause::ModelMissing),
    ("cancelled", Cause::ClientGone),
];

fn of_words(text: &str) -> Option<Cause> {
    let text = text.to_lowercase();
    WORDS.iter().find(|(word, _)| text.contains(word)).map(|(_, cause)| *cause)
}
