//! What comes into a runtime's memory and leaves it, seen from one look at its models to the next.

use std::collections::BTreeMap;

use andon_model::{ModelEvent, ModelEventKind, UnixNanos, UnloadReason};

use super::DiscoveredModel;

/// A model that stays is told of again so often: whoever looks at an hour need not read a month.
const HELD_AGAIN_NS: u64 = 3_600_000_000_000;
/// A model goes a moment before its time is up, by the clock of another process.
const EARLY_NS: u64 = 1_000_000_000;
/// Of one runtime; further ones in memory are not told of.
const MOST_MODELS: usize = 256;

/// The memory of one runtime.
#[derive(Debug, Default)]
pub struct RuntimeMemory {
    /// What was last told of each model that is in memory.
    held: BTreeMap<String, ModelEvent>,
    looked_ns: Option<UnixNanos>,
}

impl RuntimeMemory {
    /// What has changed since the look before, the models that left first. `models`: all that the
    /// runtime has; `None` where there is no runtime.
    pub fn look(
        &mut self,
        runtime: &str,
        models: Option<&[DiscoveredModel]>,
        now_ns: UnixNanos,
    ) -> Vec<ModelEvent> {
        let blank = ModelEvent {
            time_ns: now_ns,
            after_ns: self.looked_ns,
            runtime: runtime.to_owned(),
            ..ModelEvent::default()
        };
        let loaded = models.unwrap_or_default().iter().filter(|model| model.loaded);
        let loaded: BTreeMap<_, _> =
            loaded.take(MOST_MODELS).map(|model| (model.name.as_str(), model)).collect();
        let came: Vec<_> =
            loaded.values().filter_map(|model| self.told_of(model, &blank)).collect();
        let new = came.iter().find(|event| event.kind == ModelEventKind::Loaded);
        let is_gone = |name: &String| !loaded.contains_key(name.as_str());
        let mut gone: Vec<_> = self.held.extract_if(.., |name, _| is_gone(name)).collect();
        let left = gone.iter_mut().map(|(_, last)| {
            let (reason, other_model) = match (models, new) {
                (None, _) => (Some(UnloadReason::RuntimeGone), None),
                _ if is_over(last, now_ns) => (Some(UnloadReason::Expired), None),
                (_, Some(new)) => (Some(UnloadReason::Evicted), Some(new.model.clone())),
                _ => (None, None),
            };
            let kind = ModelEventKind::Unloaded;
            let (time_ns, after_ns) = (now_ns, self.looked_ns);
            ModelEvent { time_ns, after_ns, kind, reason, other_model, ..std::mem::take(last) }
        });
        let events: Vec<_> = left.chain(came.iter().cloned()).collect();
        self.held.extend(came.into_iter().map(|event| (event.model.clone(), event)));
        // Whatever has come until the next look at one that is there, nobody saw come.
        self.looked_ns = models.map(|_| now_ns);
        events
    }

    /// `None` where nothing has changed. Remembers until when it is kept, which each call puts off.
    fn told_of(&mut self, model: &DiscoveredModel, blank: &ModelEvent) -> Option<ModelEvent> {
        let now = ModelEvent {
            model: model.name.clone(),
            kind: ModelEventKind::Loaded,
            memory_bytes: model.memory_bytes,
            gpu_bytes: model.gpu_bytes,
            context_length: model.loaded_context_length,
            expires_ns: model.expires_ns,
            ..blank.clone()
        };
        let Some(last) = self.held.get_mut(&model.name) else {
            // What was there before the first look, nobody has seen come.
            let kind = match self.looked_ns {
                Some(_) => ModelEventKind::Loaded,
                None => ModelEventKind::Held,
            };
            return Some(ModelEvent { kind, ..now });
        };
        let place = |of: &ModelEvent| (of.memory_bytes, of.gpu_bytes, of.context_length);
        if place(last) != place(&now) {
            return Some(now);
        }
        last.expires_ns = now.expires_ns;
        // By a clock that may have been set.
        let is_due = now.time_ns.abs_diff(last.time_ns) >= HELD_AGAIN_NS;
        is_due.then_some(ModelEvent { kind: ModelEventKind::Held, ..now })
    }
}

fn is_over(last: &ModelEvent, now_ns: UnixNanos) -> bool {
    last.expires_ns.is_some_and(|ends| ends <= now_ns.saturating_add(EARLY_NS))
}

#[cfg(test)]
mod tests {
    use ModelEventKind::{Held, Loaded, Unloaded};

    use super::*;

    const S: u64 = 1_000_000_000;

    fn model(name: &str, loaded: bool, ends_s: u64) -> DiscoveredModel {
        let expires_ns = loaded.then_some(ends_s * S);
        let memory_bytes = loaded.then_some(1_000);
        let name = name.to_owned();
        DiscoveredModel { name, loaded, expires_ns, memory_bytes, ..DiscoveredModel::default() }
    }

    fn look(
        memory: &mut RuntimeMemory,
        models: Option<&[DiscoveredModel]>,
        now_s: u64,
    ) -> Vec<(String, ModelEventKind, Option<UnloadReason>)> {
        let events = memory.look("ollama", models, now_s * S);
        assert!(events.iter().all(|event| event.time_ns == now_s * S));
        events.into_iter().map(|event| (event.model, event.kind, event.reason)).collect()
    }

    #[test]
    fn what_comes_and_goes_is_told_once_with_its_reason() {
        let mut memory = RuntimeMemory::default();
        let mut see = |models: &[DiscoveredModel], now_s| look(&mut memory, Some(models), now_s);
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(see(&[model("a", true, 300)], 10), [(a.clone(), Held, None)]);
        assert_eq!(see(&[model("a", true, 400)], 15), []);
        // Its time was put off by a call, so that it is another one that took its place.
        assert_eq!(
            see(&[model("a", false, 0), model("b", true, 320)], 350),
            [(a.clone(), Unloaded, Some(UnloadReason::Evicted)), (b.clone(), Loaded, None)]
        );
        assert_eq!(
            see(&[model("b", false, 0)], 355),
            [(b.clone(), Unloaded, Some(UnloadReason::Expired))]
        );
        assert_eq!(see(&[model("b", true, 900)], 360), [(b.clone(), Loaded, None)]);
        assert_eq!(see(&[model("b", false, 0)], 365), [(b, Unloaded, None)]);
        assert_eq!(see(&[model("a", true, 900)], 370), [(a.clone(), Loaded, None)]);
        assert_eq!(look(&mut memory, None, 375), [(a, Unloaded, Some(UnloadReason::RuntimeGone))]);
    }

    #[test]
    fn a_model_that_stays_is_told_of_each_hour_and_one_that_is_loaded_anew_at_once() {
        let mut memory = RuntimeMemory::default();
        let kept = [model("a", true, 1_000_000)];
        assert_eq!(look(&mut memory, Some(&kept), 0).len(), 1);
        assert_eq!(look(&mut memory, Some(&kept), 3_599), []);
        assert_eq!(look(&mut memory, Some(&kept), 3_600), [("a".to_owned(), Held, None)]);
        let anew = [DiscoveredModel { loaded_context_length: Some(8_192), ..kept[0].clone() }];
        assert_eq!(look(&mut memory, Some(&anew), 3_605), [("a".to_owned(), Loaded, None)]);
    }
}
