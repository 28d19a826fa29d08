//! Calls that run now. Each call's state is a handful of atomics that its own task writes; the
//! registry's lock is taken when a call begins and ends, and by whoever looks.

mod outlook;
mod state;
mod subject;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use andon_model::{LiveCall, Phase, SpanId};
use tokio::sync::watch;

pub use self::state::PhaseEvent;
pub(crate) use self::{
    outlook::Outlook,
    state::CallState,
    subject::{Fixed, Subject},
};
use crate::runtime::RuntimeEvent;

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct LiveCalls {
    calls: Arc<Mutex<HashMap<SpanId, Arc<CallState>>>>,
    version: watch::Sender<u64>,
}

impl Default for LiveCalls {
    fn default() -> Self {
        Self { calls: Arc::default(), version: watch::Sender::new(0) }
    }
}

impl LiveCalls {
    /// What runs now, oldest first.
    pub fn snapshot(&self) -> Vec<LiveCall> {
        let mut states: Vec<_> = self.lock().values().cloned().collect();
        states.sort_by_key(|state| state.start_ns);
        line_up(&states);
        states.iter().map(|state| state.look()).collect()
    }

    /// Changes whenever a call begins, ends or enters another phase.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn begin(&self, subject: Arc<dyn Subject>) -> Running {
        let state = Arc::new(CallState::new(subject, self.version.clone()));
        self.lock().insert(state.span_id(), Arc::clone(&state));
        state.changed();
        Running { calls: self.clone(), state }
    }

    /// How far a prompt of a service is read, told by other means than the call's answer, which say
    /// not of which call: taken for the one that is being read, if there is just one.
    pub(crate) fn prompt_read(&self, service: &str, read: PromptRead) {
        let mut states: Vec<_> = self.lock().values().cloned().collect();
        states.sort_by_key(|state| state.start_ns);
        line_up(&states);
        let is_read = |state: &&Arc<CallState>| {
            state.phase() == Phase::Prompt && state.subject.service() == service
        };
        let mut candidates = states.iter().filter(is_read);
        if let (Some(state), None) = (candidates.next(), candidates.next()) {
            state.set_prompt(read.done, read.total, read.cached);
        }
    }

    /// What a runtime says of one call apart from its answer.
    pub(crate) fn hear(&self, call: SpanId, event: &RuntimeEvent) {
        let state = self.lock().get(&call).cloned();
        // Words of the prompt may be slower than the answer's first.
        let Some(state) = state.filter(|state| state.phase() != Phase::Generate) else { return };
        match (state.hear(event), event) {
            // What follows is the answer, of which nothing is seen before its end if it is no stream.
            (_, RuntimeEvent::Prompt { done, total, .. }) if done >= total => {
                state.enter(Phase::Generate);
            }
            (Some(phase), _) => {
                state.enter(phase);
            }
            (None, _) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SpanId, Arc<CallState>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says of each call whether it waits for others to the same model, where the runtime does not say it
/// itself but works on so many at a time. `states`: oldest first.
fn line_up(states: &[Arc<CallState>]) {
    let mut lines: HashMap<(&str, &str), Vec<&CallState>> = HashMap::new();
    for state in states {
        lines.entry((state.subject.service(), state.model())).or_default().push(state);
    }
    for line in lines.values() {
        let writing = line.iter().filter(|state| state.phase() == Phase::Generate).count();
        for (ahead, state) in line.iter().enumerate() {
            let Some(slots) = state.subject.slots() else { continue };
            // More that write at a time than was known of: there are as many places.
            let slots = writing.max(slots as usize);
            match state.phase() {
                Phase::Prompt | Phase::Queue if ahead >= slots => {
                    state.set_queue_position((ahead + 1 - slots) as u32);
                    state.enter(Phase::Queue);
                }
                Phase::Queue => {
                    state.set_queue_position(0);
                    state.enter(Phase::Prompt);
                }
                _ => {}
            }
        }
    }
}

/// How far a prompt is read, in tokens. The cached ones count as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PromptRead {
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) cached: u64,
}

/// A registered call; leaves the registry when dropped.
pub(crate) struct Running {
    calls: LiveCalls,
    pub(crate) state: Arc<CallState>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.state.span_id());
        self.state.changed();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use andon_model::{RequestId, TraceId};

    use super::*;

    pub(super) fn fixed() -> Arc<Fixed> {
        Arc::new(Fixed {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            request_id: RequestId::from_caller(None),
            service: "proxy".to_owned(),
            route: "/chat".to_owned(),
            model: "m".to_owned(),
        })
    }

    #[test]
    fn a_call_is_seen_while_it_runs_and_gone_afterwards() {
        let calls = LiveCalls::default();
        let running = calls.begin(fixed());
        running.state.enter(Phase::Prompt);
        running.state.set_prompt(60, 110, 10);
        let seen = &calls.snapshot()[0];
        assert_eq!((seen.phase, seen.prompt_done), (Phase::Prompt, Some(60)));
        assert!(seen.eta_exact);
        drop(running);
        assert!(calls.snapshot().is_empty());
    }

    #[test]
    fn what_a_runtime_says_of_a_call_is_heard_until_it_writes() {
        let calls = LiveCalls::default();
        let running = calls.begin(fixed());
        let hear = |event| {
            calls.hear(running.state.span_id(), &event);
            let seen = calls.snapshot().remove(0);
            (seen.phase, seen.queue_position, seen.load_progress, seen.prompt_done)
        };
        let queue = RuntimeEvent::Queue { position: 2 };
        assert_eq!(hear(queue), (Phase::Queue, Some(2), None, None));
        let load = RuntimeEvent::Load { progress: 0.25 };
        assert_eq!(hear(load), (Phase::Load, None, Some(0.25), None));
        let prompt = |done| RuntimeEvent::Prompt { done, total: 100, cached: 0 };
        assert_eq!((hear(prompt(64)).0, hear(prompt(64)).3), (Phase::Prompt, Some(64)));
        assert_eq!(hear(prompt(100)).0, Phase::Generate);
        assert_eq!(hear(prompt(64)).0, Phase::Generate, "that word came late");
        assert_eq!(hear(prompt(64)).3, Some(100));
        // Of a call that is over, or was never there.
        calls.hear(SpanId::random(), &prompt(1));
    }

    /// One that goes to a runtime with so many places.
    struct Placed(Arc<Fixed>, u32);

    impl Subject for Placed {
        fn trace_id(&self) -> TraceId {
            self.0.trace_id
        }

        fn span_id(&self) -> SpanId {
            self.0.span_id
        }

        fn request_id(&self) -> Option<&RequestId> {
            self.0.request_id()
        }

        fn service(&self) -> &str {
            &self.0.service
        }

        fn route(&self) -> &str {
            &self.0.route
        }

        fn model(&self) -> Option<String> {
            self.0.model()
        }

        fn slots(&self) -> Option<u32> {
            Some(self.1)
        }
    }

    #[test]
    fn calls_that_wait_for_others_have_a_place() {
        let calls = LiveCalls::default();
        let mut running: Vec<Running> = Vec::new();
        for _ in 0..4 {
            let call = calls.begin(Arc::new(Placed(fixed(), 1)));
            call.state.enter(Phase::Prompt);
            running.push(call);
            std::thread::sleep(Duration::from_millis(1));
        }
        let places = || calls.snapshot().iter().map(|call| call.queue_position).collect::<Vec<_>>();
        assert_eq!(places(), [None, Some(1), Some(2), Some(3)]);
        running.remove(0);
        assert_eq!(places(), [None, Some(1), Some(2)]);
        assert_eq!(calls.snapshot()[0].phase, Phase::Prompt);
        // Two write at a time: so there are two places.
        running[0].state.enter(Phase::Generate);
        running[1].state.enter(Phase::Generate);
        assert_eq!(places(), [None, None, Some(1)]);
    }
}
