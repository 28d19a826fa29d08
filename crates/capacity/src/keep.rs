//! What a runtime keeps in memory, as far as its calls show: how many models at once, and for how long.

use std::collections::HashMap;

use andon_diagnose::KeepAlive;
use andon_model::UnixNanos;

use crate::Served;

/// So many pauses make it known for how long a model is kept.
const ENOUGH_PAUSES: usize = 5;

/// For how long the runtime keeps a model where a call says nothing: `told`, unless the calls show
/// something else. A runtime's own setting (`OLLAMA_KEEP_ALIVE`) is nowhere to be asked for, but each
/// pause after which a model was there, or was loaded anew, says on which side of it the setting lies.
pub(crate) fn kept(calls: &[Served], told: KeepAlive) -> KeepAlive {
    let pauses = pauses(calls);
    let told_ns = match told {
        KeepAlive::For(ns) => ns,
        KeepAlive::Always => u64::MAX,
    };
    let is_wrong = |(pause, loaded): &&(u64, bool)| (*pause >= told_ns) != *loaded;
    let wrong_as_told = pauses.iter().filter(is_wrong).count();
    if pauses.len() < ENOUGH_PAUSES {
        return told;
    }
    // All are longer than the limit at first, so that those without a load are wrong.
    let mut wrong = pauses.iter().filter(|(_, loaded)| !loaded).count();
    let (mut fewest, mut limit) = (wrong, pauses.first().map_or(0, |(pause, _)| *pause));
    for (place, (_, loaded)) in pauses.iter().enumerate() {
        wrong = if *loaded { wrong + 1 } else { wrong - 1 };
        if wrong < fewest {
            (fewest, limit) = (wrong, pauses.get(place + 1).map_or(u64::MAX, |(pause, _)| *pause));
        }
    }
    // A model that another one pushed out is no sign of a time.
    if wrong_as_told <= fewest + pauses.len() / 20 {
        return told;
    }
    if limit == u64::MAX { KeepAlive::Always } else { KeepAlive::For(limit) }
}

/// Times between two calls to the same model, of which the first did not say how long it is to be kept,
/// and whether the second loaded it; the shortest first.
fn pauses(calls: &[Served]) -> Vec<(u64, bool)> {
    let mut last: HashMap<&str, &Served> = HashMap::new();
    let mut pauses = Vec::new();
    for call in calls {
        let Some(before) = last.insert(&call.model, call) else { continue };
        if before.keep_alive.is_none() {
            let pause = call.arrived_ns.saturating_sub(before.ended_ns());
            pauses.push((pause, call.load_ns.is_some()));
        }
    }
    pauses.sort_unstable();
    pauses
}

/// The most models that were in memory at the same time; `None` where no model ever had to make room,
/// so that nothing is known of a limit. A model was there from one call to the next if the next did not
/// load it.
pub(crate) fn at_once(calls: &[Served], had_to_make_room: bool) -> Option<usize> {
    if !had_to_make_room {
        return None;
    }
    let mut last: HashMap<&str, UnixNanos> = HashMap::new();
    let mut turns: Vec<(UnixNanos, i64)> = Vec::new();
    for call in calls {
        let from = match last.get(&*call.model) {
            Some(end) if call.load_ns.is_none() => (*end).min(call.arrived_ns),
            _ => call.arrived_ns,
        };
        turns.extend([(from, 1), (call.ended_ns(), -1)]);
        let end = last.entry(&call.model).or_default();
        *end = call.ended_ns().max(*end);
    }
    Some(most_of_distinct(calls, turns))
}

/// Stretches of one model overlap only where its own calls do, which are one model all the same: no more
/// can be there than there are models.
fn most_of_distinct(calls: &[Served], mut turns: Vec<(UnixNanos, i64)>) -> usize {
    turns.sort_unstable();
    let (mut now, mut most) = (0_i64, 1_i64);
    for (_, change) in turns {
        now += change;
        most = most.max(now);
    }
    let mut models: Vec<_> = calls.iter().map(|call| &call.model).collect();
    models.sort_unstable();
    models.dedup();
    usize::try_from(most).unwrap_or(1).min(models.len().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::tests::{SECOND, served};

    fn after(pauses_s: &[(u64, bool)]) -> Vec<Served> {
        let mut at_s = 0;
        let mut calls = vec![served(0, "m")];
        for (pause_s, loaded) in pauses_s {
            // A call takes three seconds.
            at_s += 3 + pause_s;
            let load_ns = loaded.then_some(1);
            calls.push(Served { load_ns, ..served(at_s, "m") });
        }
        calls
    }

    #[test]
    fn the_time_that_a_model_is_kept_is_seen_from_its_loads() {
        let five_minutes = KeepAlive::default();
        let as_told = after(&[(10, false), (400, true), (200, false), (310, true), (20, false)]);
        assert_eq!(kept(&as_told, five_minutes), five_minutes);
        let always = after(&[(10, false), (4_000, false), (900, false), (610, false), (20, false)]);
        assert_eq!(kept(&always, five_minutes), KeepAlive::Always);
        let half_an_hour =
            after(&[(10, false), (4_000, true), (900, false), (1_700, false), (2_000, true)]);
        assert_eq!(kept(&half_an_hour, five_minutes), KeepAlive::For(2_000 * SECOND));
        assert_eq!(kept(&always[..3], five_minutes), five_minutes);
    }

    #[test]
    fn models_that_push_each_other_out_are_never_there_together() {
        let load = |mut call: Served| {
            call.load_ns = Some(SECOND);
            call
        };
        let one_by_one = [load(served(0, "a")), load(served(10, "b")), load(served(20, "a"))];
        assert_eq!(at_once(&one_by_one, true), Some(1));
        assert_eq!(at_once(&one_by_one, false), None);
        let both = [load(served(0, "a")), load(served(10, "b")), served(20, "a"), served(30, "b")];
        assert_eq!(at_once(&both, true), Some(2));
    }
}
