//! Where one call stands, in a handful of atomics.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use andon_model::{LiveCall, Phase, Span, SpanId, UnixNanos};
use serde::Serialize;
use tokio::sync::watch;

use super::Subject;
use crate::runtime::RuntimeEvent;

const UNKNOWN: u64 = u64::MAX;
/// Calls that are over sooner need no forecast.
const FORESEEN_AFTER: Duration = Duration::from_secs(1);
/// A token takes longer to read the more stand before it, since it looks back at all of them: twice the
/// tokens take 2.1 times as long. Measured with the small model of the tests (`bench/timeleft`); in larger
/// ones more of the work is the same for every token.
const PROMPT_GROWTH: f64 = 1.07;

pub(crate) struct CallState {
    pub(super) subject: Arc<dyn Subject>,
    span_id: SpanId,
    model: OnceLock<String>,
    pub(super) start_ns: UnixNanos,
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
    pub(super) phase: Phase,
    pub(super) phase_since_ms: u64,
    pub(super) elapsed_ms: u64,
    pub(super) queue_position: Option<u32>,
    pub(super) load_progress: Option<f64>,
    pub(super) prompt_done: Option<u64>,
    pub(super) prompt_total: Option<u64>,
    pub(super) prompt_cached: Option<u64>,
    pub(super) tokens: u64,
    pub(super) tokens_per_s: Option<f64>,
    pub(super) eta_ms: Option<u64>,
    pub(super) eta_exact: bool,
}

impl CallState {
    pub(super) fn new(subject: Arc<dyn Subject>, version: watch::Sender<u64>) -> Self {
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
    pub(super) fn model(&self) -> &str {
        if let Some(name) = self.model.get() {
            return name;
        }
        self.subject.model().map_or("", |name| self.model.get_or_init(|| name))
    }

    pub(super) fn changed(&self) {
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

    /// Takes what a runtime says of where the call stands; the phase that it is in by that, which is not
    /// entered yet. `None`: it says something else.
    pub(crate) fn hear(&self, event: &RuntimeEvent) -> Option<Phase> {
        match *event {
            RuntimeEvent::Queue { position } => {
                self.set_queue_position(position);
                Some(Phase::Queue)
            }
            RuntimeEvent::Load { progress } => {
                self.set_load_progress(progress);
                Some(Phase::Load)
            }
            RuntimeEvent::Prompt { done, total, cached } => {
                self.set_prompt(done, total, cached);
                Some(Phase::Prompt)
            }
            _ => None,
        }
    }

    /// 0 = its turn.
    pub(crate) fn set_queue_position(&self, position: u32) {
        if self.queue_position.swap(position, Relaxed) != position {
            self.changed();
        }
    }

    fn set_load_progress(&self, share: f64) {
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
    use super::*;

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
}
