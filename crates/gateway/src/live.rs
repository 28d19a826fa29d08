//! Calls that run now. Each call's state is a handful of atomics that its own task writes; the
//! registry's lock is taken when a call begins and ends, and by whoever looks.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use andon_model::{LiveCall, Phase, RequestId, Span, SpanId, TraceId, UnixNanos};
use serde::Serialize;
use tokio::sync::watch;

const UNKNOWN: u64 = u64::MAX;

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
        let states: Vec<_> = self.lock().values().cloned().collect();
        let mut calls: Vec<_> = states.iter().map(|state| state.look()).collect();
        calls.sort_by_key(|call| call.start_ns);
        calls
    }

    /// Changes whenever a call begins, ends or enters another phase.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn begin(&self, fixed: Fixed) -> Running {
        let state = Arc::new(CallState::new(fixed, self.version.clone()));
        self.lock().insert(state.fixed.span_id, Arc::clone(&state));
        state.changed();
        Running { calls: self.clone(), state }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SpanId, Arc<CallState>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What does not change during a call.
pub(crate) struct Fixed {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) request_id: RequestId,
    pub(crate) service: String,
    pub(crate) route: String,
    pub(crate) model: ModelName,
}

/// The model's name, or where it can be read once somebody looks: finding it in a captured request
/// costs more than passing the request on.
pub(crate) enum ModelName {
    Known(String),
    Unread(Box<dyn Fn() -> Option<String> + Send + Sync>),
}

/// A registered call; leaves the registry when dropped.
pub(crate) struct Running {
    calls: LiveCalls,
    pub(crate) state: Arc<CallState>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.state.fixed.span_id);
        self.state.changed();
    }
}

pub(crate) struct CallState {
    fixed: Fixed,
    model: OnceLock<String>,
    start_ns: UnixNanos,
    started: Instant,
    phase: AtomicU8,
    /// Since `started`.
    phase_began_ns: AtomicU64,
    queue_position: AtomicU32,
    load_permille: AtomicU64,
    prompt_done: AtomicU64,
    prompt_total: AtomicU64,
    prompt_cached: AtomicU64,
    tokens: AtomicU64,
    version: watch::Sender<u64>,
}

/// A phase event of a streamed answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PhaseEvent {
    phase: Phase,
    phase_since_ms: u64,
    elapsed_ms: u64,
    queue_position: Option<u32>,
    load_progress: Option<f64>,
    prompt_done: Option<u64>,
    prompt_total: Option<u64>,
    prompt_cached: Option<u64>,
    tokens: u64,
    tokens_per_s: Option<f64>,
    eta_ms: Option<u64>,
    eta_exact: bool,
}

impl CallState {
    fn new(fixed: Fixed, version: watch::Sender<u64>) -> Self {
        Self {
            fixed,
            model: OnceLock::new(),
            start_ns: Span::now_ns(),
            started: Instant::now(),
            phase: AtomicU8::new(0),
            phase_began_ns: AtomicU64::new(0),
            queue_position: AtomicU32::new(0),
            load_permille: AtomicU64::new(UNKNOWN),
            prompt_done: AtomicU64::new(UNKNOWN),
            prompt_total: AtomicU64::new(UNKNOWN),
            prompt_cached: AtomicU64::new(UNKNOWN),
            tokens: AtomicU64::new(0),
            version,
        }
    }

    pub(crate) fn span_id(&self) -> SpanId {
        self.fixed.span_id
    }

    /// Empty while it is not known.
    fn model(&self) -> &str {
        let read = match (&self.fixed.model, self.model.get()) {
            (ModelName::Known(name), _) | (_, Some(name)) => return name,
            (ModelName::Unread(read), None) => read(),
        };
        read.map_or("", |name| self.model.get_or_init(|| name))
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version = version.wrapping_add(1));
    }

    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(UNKNOWN)
    }

    /// Enters a phase; true if it was another one.
    pub(crate) fn enter(&self, phase: Phase) -> bool {
        let before = self.phase.swap(phase as u8, Relaxed);
        if before == phase as u8 {
            return false;
        }
        self.phase_began_ns.store(self.elapsed_ns(), Relaxed);
        self.changed();
        true
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            1 => Phase::Load,
            2 => Phase::Prompt,
            3 => Phase::Generate,
            _ => Phase::Queue,
        }
    }

    /// How long the present phase has lasted.
    pub(crate) fn in_phase(&self) -> Duration {
        let began = self.phase_began_ns.load(Relaxed);
        Duration::from_nanos(self.elapsed_ns().saturating_sub(began))
    }

    /// 0 = its turn.
    pub(crate) fn set_queue_position(&self, position: u32) {
        if self.queue_position.swap(position, Relaxed) != position {
            self.changed();
        }
    }

    pub(crate) fn set_load_progress(&self, share: f64) {
        self.load_permille.store((share.clamp(0.0, 1.0) * 1_000.0) as u64, Relaxed);
    }

    pub(crate) fn set_prompt(&self, done: u64, total: u64, cached: u64) {
        self.prompt_done.store(done, Relaxed);
        self.prompt_total.store(total, Relaxed);
        self.prompt_cached.store(cached, Relaxed);
    }

    pub(crate) fn add_token(&self) {
        self.tokens.fetch_add(1, Relaxed);
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.tokens.load(Relaxed)
    }

    pub(crate) fn look(&self) -> LiveCall {
        let now = self.phase_event();
        LiveCall {
            trace_id: self.fixed.trace_id,
            span_id: self.fixed.span_id,
            request_id: self.fixed.request_id.clone(),
            service: self.fixed.service.clone(),
            route: self.fixed.route.clone(),
            model: self.model().to_owned(),
            start_ns: self.start_ns,
            phase: now.phase,
            phase_since_ns: self.start_ns + self.phase_began_ns.load(Relaxed),
            queue_position: now.queue_position,
            load_progress: now.load_progress,
            prompt_done: now.prompt_done,
            prompt_total: now.prompt_total,
            prompt_cached: now.prompt_cached,
            tokens: now.tokens,
            tokens_per_s: now.tokens_per_s,
            eta_ms: now.eta_ms,
            eta_exact: now.eta_exact,
        }
    }

    /// Where the call stands now. Copies no text: a stream says it at each change of phase.
    pub(crate) fn phase_event(&self) -> PhaseEvent {
        let known = |cell: &AtomicU64| Some(cell.load(Relaxed)).filter(|value| *value != UNKNOWN);
        let phase = self.phase();
        let in_phase = self.in_phase();
        let position = self.queue_position.load(Relaxed);
        let tokens = self.tokens();
        let load_progress = known(&self.load_permille).map(|permille| permille as f64 / 1_000.0);
        let (done, total, cached) =
            (known(&self.prompt_done), known(&self.prompt_total), known(&self.prompt_cached));
        let share = match phase {
            Phase::Load => load_progress,
            Phase::Prompt => prompt_share(done, total, cached),
            Phase::Queue | Phase::Generate => None,
        };
        PhaseEvent {
            phase,
            phase_since_ms: in_phase.as_millis() as u64,
            elapsed_ms: self.elapsed_ns() / 1_000_000,
            queue_position: (phase == Phase::Queue && position > 0).then_some(position),
            load_progress,
            prompt_done: done,
            prompt_total: total,
            prompt_cached: cached,
            tokens,
            tokens_per_s: (phase == Phase::Generate && tokens > 1)
                .then(|| (tokens - 1) as f64 / in_phase.as_secs_f64().max(0.001)),
            eta_ms: share.and_then(|share| remaining_ms(share, in_phase)),
            eta_exact: phase == Phase::Prompt && share.is_some(),
        }
    }
}

/// Share of the prompt's uncached part that was read.
fn prompt_share(done: Option<u64>, total: Option<u64>, cached: Option<u64>) -> Option<f64> {
    let cached = cached.unwrap_or(0);
    let new = total?.checked_sub(cached).filter(|new| *new > 0)?;
    Some(done?.saturating_sub(cached) as f64 / new as f64)
}

fn remaining_ms(share: f64, elapsed: Duration) -> Option<u64> {
    // Below a twentieth the estimate jumps about more than it tells.
    (share >= 0.05)
        .then(|| (elapsed.as_secs_f64() * 1_000.0 * (1.0 - share).max(0.0) / share) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed() -> Fixed {
        Fixed {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            request_id: RequestId::from_caller(None),
            service: "proxy".to_owned(),
            route: "/chat".to_owned(),
            model: ModelName::Known("m".to_owned()),
        }
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
    fn time_left_follows_from_the_share_done() {
        assert_eq!(remaining_ms(0.5, Duration::from_secs(2)), Some(2_000));
        assert_eq!(remaining_ms(0.01, Duration::from_secs(2)), None);
        assert_eq!(prompt_share(Some(60), Some(110), Some(10)), Some(0.5));
        assert_eq!(prompt_share(Some(10), Some(10), Some(10)), None);
    }
}
