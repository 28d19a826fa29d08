//! What a call should take, where nobody says how far it is.

use std::time::Duration;

use andon_model::Phase;

use super::PhaseEvent;

/// What takes longer than it should is not done yet all the same.
const MOST_FORESEEN: f64 = 0.99;

/// What a call should take, learned from earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub(crate) prompt_tokens: u64,
    pub(crate) cached_tokens: u64,
    /// Loading the model; 0 where it is in memory.
    pub(crate) load: Duration,
    /// Reading what is not cached of the prompt.
    pub(crate) prompt: Duration,
    /// Its first token will be seen.
    pub(crate) streams: bool,
    /// The part of the prompt that was another one before.
    pub(crate) parted_at: Option<String>,
}

impl Outlook {
    /// Where a call should be `waited` after it went to its runtime.
    pub(super) fn after(&self, waited: Duration, now: &mut PhaseEvent) {
        let ends = self.load + self.prompt;
        let left = |end: Duration| {
            Some(end.saturating_sub(waited).as_millis() as u64).filter(|left| *left > 0)
        };
        if waited < self.load {
            now.phase = Phase::Load;
            now.load_progress = Some(waited.as_secs_f64() / self.load.as_secs_f64());
            now.eta_ms = left(self.load);
            return;
        }
        if waited >= ends && !self.streams {
            // Nothing comes before everything does: by now it should be writing.
            now.phase = Phase::Generate;
            return;
        }
        let reading = waited.saturating_sub(self.load).as_secs_f64();
        let share = (reading / self.prompt.as_secs_f64().max(0.001)).min(MOST_FORESEEN);
        let new = self.prompt_tokens.saturating_sub(self.cached_tokens);
        now.prompt_total = Some(self.prompt_tokens);
        now.prompt_cached = Some(self.cached_tokens);
        now.prompt_done = Some(self.cached_tokens + (new as f64 * share) as u64);
        now.eta_ms = left(ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{LiveCalls, tests::fixed};

    #[test]
    fn what_nobody_says_is_foreseen_and_never_said_to_be_done() {
        let outlook = Outlook {
            prompt_tokens: 1_000,
            cached_tokens: 200,
            load: Duration::from_secs(2),
            prompt: Duration::from_secs(8),
            streams: true,
            parted_at: None,
        };
        let at = |seconds, outlook: &Outlook| {
            let mut now = LiveCalls::default().begin(fixed()).state.phase_event();
            now.phase = Phase::Prompt;
            outlook.after(Duration::from_secs(seconds), &mut now);
            now
        };
        let loading = at(1, &outlook);
        assert_eq!((loading.phase, loading.load_progress), (Phase::Load, Some(0.5)));
        let reading = at(6, &outlook);
        assert_eq!((reading.prompt_done, reading.prompt_total), (Some(600), Some(1_000)));
        assert_eq!((reading.eta_ms, reading.eta_exact), (Some(4_000), false));
        let late = at(60, &outlook);
        assert_eq!((late.phase, late.prompt_done), (Phase::Prompt, Some(992)));
        assert_eq!(late.eta_ms, None);
        assert_eq!(at(60, &Outlook { streams: false, ..outlook }).phase, Phase::Generate);
    }
}
