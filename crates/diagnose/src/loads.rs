//! Why a model was not in memory.

use andon_model::{Cause, Phase, Span};

use crate::{
    call::Call,
    departures::{self, Departures},
    diagnosis::{Fact, Finding},
    machine::Machine,
    past::{KeepAlive, LastUse, Runtime, model_of, options},
};

/// A model goes a moment before its time is up, by the clock of another process.
const EARLY_NS: u64 = 250_000_000;

/// What is known of what a runtime had in memory.
#[derive(Clone, Copy)]
pub(crate) struct Memory<'a> {
    pub(crate) runtime: &'a Runtime,
    /// What it keeps a model for if nothing is said.
    pub(crate) kept: KeepAlive,
    pub(crate) departures: &'a Departures,
}

/// The cause of a load, and its facts; `ns` is what it cost.
pub(crate) fn finding(call: Call<'_>, ns: u64, memory: Memory<'_>, machine: &Machine) -> Finding {
    finding_of(call, Some(&options(call.0)), ns, memory, machine)
}

/// The same where what the call `asked` for may not be known.
pub(crate) fn finding_of(
    call: Call<'_>,
    asked: Option<&[(&'static str, String)]>,
    ns: u64,
    memory: Memory<'_>,
    machine: &Machine,
) -> Finding {
    let span = call.0;
    let (from_ns, to_ns) = call.extent(Phase::Load);
    let last = memory.runtime.model(model_of(span)).and_then(|model| model.last.as_ref());
    let known = last.and_then(|last| reason(span, asked, last, memory.runtime, memory.kept));
    // Calls that came by another way are not known, but what they left behind is.
    let seen = || {
        let left = memory.departures.last(&span.service, model_of(span), from_ns)?;
        let is_since = last.is_none_or(|last| left.time_ns > last.end_ns);
        departures::reason(left).filter(|_| is_since)
    };
    let first = || Fact::FirstCall { runtime_restarted: false };
    let (cause, fact) =
        known.or_else(seen).unwrap_or_else(|| (Cause::ColdStart, last.is_none().then(first)));
    let rise = machine.runtime_memory(from_ns, to_ns).filter(|(before, after)| after > before);
    let rise = rise.map(|(before, after)| Fact::MemoryRise { before, after });
    let room = rise.as_ref().and_then(|rise| room(rise, machine));
    Finding::new(cause, Phase::Load, ns)
        .with(fact)
        .with(rise)
        .with(room)
        .with([Fact::When { from_ns, to_ns }])
}

fn room(rise: &Fact, machine: &Machine) -> Option<Fact> {
    let Fact::MemoryRise { before, after } = rise else { return None };
    Some(Fact::Room { free: machine.free_memory()?, model: after - before })
}

/// Which came first since the model was last used: another runtime, other options, another model, or
/// the end of its time. `None`: none of these.
fn reason(
    span: &Span,
    asked: Option<&[(&'static str, String)]>,
    last: &LastUse,
    runtime: &Runtime,
    kept: KeepAlive,
) -> Option<(Cause, Option<Fact>)> {
    if last.pid.zip(span.pid).is_some_and(|(before, now)| before != now) {
        return Some((Cause::ColdStart, Some(Fact::FirstCall { runtime_restarted: true })));
    }
    let idle = span.start_ns.saturating_sub(last.end_ns);
    let kept = match last.keep_alive.unwrap_or(kept) {
        KeepAlive::Always => u64::MAX,
        KeepAlive::For(ns) => ns,
    };
    // What nobody said is known from what happened before.
    let seen = Some(&runtime.pauses).filter(|_| last.keep_alive.is_none());
    let kept = seen.and_then(|seen| seen.lost_ns).map_or(kept, |lost| lost.min(kept));
    let gone_at = last.end_ns.saturating_add(kept);
    let until = gone_at.min(span.end_ns());
    if let Some(other) = runtime.loaded_between(model_of(span), last.end_ns, until) {
        return Some((Cause::Evicted, Some(Fact::OtherModel { model: other.model.clone() })));
    }
    if idle.saturating_add(EARLY_NS) >= kept {
        let survived = seen.map_or(0, |seen| seen.survived_ns).min(idle);
        let kept_ns = kept.max(survived);
        return Some((Cause::KeepAliveExpired, Some(Fact::Idle { ns: idle, kept_ns })));
    }
    let option = asked.and_then(|asked| changed(&last.options, asked))?;
    Some((Cause::OptionsChanged, Some(option)))
}

/// The first option that is another one than before, or there no more.
pub(crate) fn changed(
    before: &[(&'static str, String)],
    now: &[(&'static str, String)],
) -> Option<Fact> {
    let get = |list: &[(&'static str, String)], name: &str| {
        list.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let mut names = before.iter().chain(now).map(|(name, _)| *name);
    let name = names.find(|name| get(before, name) != get(now, name))?;
    Some(Fact::Option { name: name.to_owned(), from: get(before, name), to: get(now, name) })
}
