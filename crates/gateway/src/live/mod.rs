//! Calls that run now. Each call's state is a handful of atomics that its own task writes; the
//! registry's lock is taken when a call begins and ends, and by whoever looks.

mod outlook;
mod subject;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use andon_model::{LiveCall, Phase, Span, SpanId, UnixNanos};
use serde::Serialize;
use tokio::sync::watch;

pub(crate) use self::{
    outlook::Outlook,
    subject::{Fixed, Subject},
};

const UNKNOWN: u64 = u64::MAX;
/// Calls that are over sooner need no forecast.
const FORESEEN_AFTER: Duration = Duration::from_secs(1);
/// A token takes longer to read the more stand before it, since it looks back at all of them: twice the
/// tokens take 2.1 times as long. Measured with the small model of the tests (`bench/timeleft`); in larger
/// ones more of the work is the same for every token.
const PROMPT_GROWTH: f64 = 1.07;

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
        self.lock().insert(state.span_id, Arc::clone(&state));
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
        self.calls.lock().remove(&self.state.span_id);
        self.state.changed();
    }
}

pub(crate) struct CallState {
    subject: Arc<dyn Subject>,
    span_id: SpanId,
    model: OnceLock<String>,
    start_ns: UnixNanos,
    started: Instant,
    phase: AtomicU8,
    /// Since `started`.
    phase_began_ns: AtomicU64,
    queue_position: AtomicU32,
    load_permille: AtomicU64,
    prompt_done: AtomicU64,
    /// When that was, since `started`: a runtime reads many tokens at a time, and says nothing meanwhile.
    prompt_done_ns: AtomicU64,
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
    fn new(subject: Arc<dyn Subject>, version: watch::Sender<u64>) -> Self {
        Self {
            span_id: subject.span_id(),
            subject,
            model: OnceLock::new(),
            start_ns: Span::now_ns(),
            started: Instant::now(),
            phase: AtomicU8::new(0),
            phase_began_ns: AtomicU64::new(0),
            queue_position: AtomicU32::new(0),
            load_permille: AtomicU64::new(UNKNOWN),
            prompt_done: AtomicU64::new(UNKNOWN),
            prompt_done_ns: AtomicU64::new(0),
            prompt_total: AtomicU64::new(UNKNOWN),
            prompt_cached: AtomicU64::new(UNKNOWN),
            tokens: AtomicU64::new(0),
            version,
        }
    }

    pub(crate) fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// Empty while it is not known.
    fn model(&self) -> &str {
        if let Some(name) = self.model.get() {
            return name;
        }
        self.subject.model().map_or("", |name| self.model.get_or_init(|| name))
    }

    fn changed(&self) {
        // Whoever comes later looks first.
        if self.version.receiver_count() > 0 {
            self.version.send_modify(|version| *version = version.wrapping_add(1));
        }
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
        if self.prompt_done.swap(done, Relaxed) != done {
            self.prompt_done_ns.store(self.elapsed_ns(), Relaxed);
        }
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
        let mut now = self.phase_event();
        let prompt_parted_at = self.foresee(&mut now);
        LiveCall {
            trace_id: self.subject.trace_id(),
            span_id: self.span_id,
            request_id: self.subject.request_id().cloned(),
            service: self.subject.service().to_owned(),
            route: self.subject.route().to_owned(),
            model: self.model().to_owned(),
            start_ns: self.start_ns,
            phase: now.phase,
            phase_since_ns: self.start_ns + self.phase_began_ns.load(Relaxed),
            queue_position: now.queue_position,
            load_progress: now.load_progress,
            prompt_done: now.prompt_done,
            prompt_total: now.prompt_total,
            prompt_cached: now.prompt_cached,
            prompt_parted_at,
            tokens: now.tokens,
            tokens_per_s: now.tokens_per_s,
            eta_ms: now.eta_ms,
            eta_exact: now.eta_exact,
        }
    }

    /// Fills in from what was learned where the runtime says nothing; the part of the prompt that was
    /// another one before.
    fn foresee(&self, now: &mut PhaseEvent) -> Option<String> {
        let in_phase = self.in_phase();
        if now.phase != Phase::Prompt || in_phase < FORESEEN_AFTER {
            return None;
        }
        let outlook = Arc::clone(&self.subject).outlook()?;
        if now.prompt_total.is_none() {
            outlook.after(in_phase, now);
        }
        outlook.parted_at
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
        let (share, since_share) = match phase {
            Phase::Load => (load_progress, Duration::ZERO),
            Phase::Prompt => {
                let since = self.elapsed_ns().saturating_sub(self.prompt_done_ns.load(Relaxed));
                (prompt_share(done, total, cached), Duration::from_nanos(since).min(in_phase))
            }
            Phase::Queue | Phase::Generate => (None, Duration::ZERO),
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
            eta_ms: share.and_then(|share| remaining_ms(share, in_phase, since_share)),
            eta_exact: phase == Phase::Prompt && share.is_some(),
        }
    }
}

/// Share of the work on the prompt's uncached part that was done.
fn prompt_share(done: Option<u64>, total: Option<u64>, cached: Option<u64>) -> Option<f64> {
    let cached = cached.unwrap_or(0);
    let new = total?.checked_sub(cached).filter(|new| *new > 0)?;
    let read = done?.saturating_sub(cached) as f64 / new as f64;
    Some(read.powf(PROMPT_GROWTH))
}

/// `share` was done `since` so long, and the whole has taken `elapsed`.
fn remaining_ms(share: f64, elapsed: Duration, since: Duration) -> Option<u64> {
    // Below a twentieth the estimate jumps about more than it tells.
    (share >= 0.05).then(|| {
        let all = elapsed.saturating_sub(since).as_secs_f64() / share;
        ((all - elapsed.as_secs_f64()).max(0.0) * 1_000.0) as u64
    })
}

#[cfg(test)]
mod tests {
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
    fn time_left_follows_from_the_share_done() {
        let remaining = |share, elapsed, since| {
            remaining_ms(share, Duration::from_secs(elapsed), Duration::from_secs(since))
        };
        assert_eq!(remaining(0.5, 2, 0), Some(2_000));
        // Half was done after two seconds, and one has passed since.
        assert_eq!(remaining(0.5, 3, 1), Some(1_000));
        assert_eq!(remaining(0.5, 9, 7), Some(0));
        assert_eq!(remaining(0.01, 2, 0), None);
        let share = |done| prompt_share(Some(done), Some(110), Some(10)).unwrap();
        assert!(
            (0.45..0.5).contains(&share(60)),
            "half of the tokens are less than half of the work"
        );
        assert_eq!((share(10), share(110)), (0.0, 1.0));
        assert_eq!(prompt_share(Some(10), Some(10), Some(10)), None);
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
