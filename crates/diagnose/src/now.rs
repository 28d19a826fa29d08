//! Why a call that still runs takes its time: the same causes, from what is known by now.

use andon_model::{Cause, LiveCall, Phase, Span, UnixNanos};
use serde::Serialize;

use crate::{
    call::{Call, LEAST_LOAD_NS},
    departures::Departures,
    diagnosis::{Fact, Finding},
    judge::{LONG_PROMPT_TOKENS, SLOW},
    loads::{self, Memory},
    machine::Machine,
    past::{Beside, KeepAlive, Runtime},
    speed,
    usual::{LONG, Usual},
    words::{Language, Told},
};

/// What waits for less needs no reason yet.
const LEAST_NS: u64 = 1_000_000_000;
/// Pressure passes: what slows a call down now was there a moment ago.
const RECENT_NS: u64 = 5_000_000_000;
/// Fewer tokens say nothing of a pace.
const LEAST_TOKENS: u64 = 8;

/// What a call waits for now, and why that takes long.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Waiting {
    pub cause: Cause,
    /// In words.
    pub sentence: String,
}

/// What is known of a call that runs.
pub(crate) struct Present<'a> {
    pub(crate) call: &'a LiveCall,
    pub(crate) now_ns: UnixNanos,
    pub(crate) machine: &'a Machine,
    pub(crate) runtime: &'a Runtime,
    /// Other calls to the same runtime that run now.
    pub(crate) running: &'a [Beside],
    pub(crate) kept: KeepAlive,
    pub(crate) departures: &'a Departures,
}

impl Present<'_> {
    pub(crate) fn waiting(&self, language: Language) -> Option<Waiting> {
        if self.in_phase_ns() < LEAST_NS {
            return None;
        }
        let finding = self.finding()?;
        let told = Told {
            cause: finding.cause,
            total_ns: self.now_ns.saturating_sub(self.call.start_ns),
            ns: None,
            phase: finding.phase,
            facts: &finding.facts,
            model: Some(&self.call.model),
            service: None,
            message: None,
            is_reckoned: !self.call.eta_exact,
        };
        language.waiting(&told).map(|sentence| Waiting { cause: finding.cause, sentence })
    }

    fn finding(&self) -> Option<Finding> {
        let nothing = Usual::default();
        let model = self.runtime.model(&self.call.model);
        let usual = model.map_or(&nothing, |model| &model.usual);
        match self.call.phase {
            Phase::Queue => Some(self.queue()),
            Phase::Load => Some(self.load(usual)),
            Phase::Prompt => self.slow(self.read_by_now()?, usual).or_else(|| self.prompt(usual)),
            Phase::Generate => self.slow(self.call.tokens, usual).or_else(|| self.answer(usual)),
        }
    }

    fn in_phase_ns(&self) -> u64 {
        self.now_ns.saturating_sub(self.call.phase_since_ns)
    }

    fn queue(&self) -> Finding {
        let ahead = self.running.first().map(Beside::fact);
        Finding::new(Cause::Queue, Phase::Queue, self.in_phase_ns()).with(ahead)
    }

    fn load(&self, usual: &Usual) -> Finding {
        let fact = usual.load_ns().map(|ns| Fact::UsualTime { ns });
        let span = self.as_a_span();
        let ns = self.in_phase_ns();
        let memory = Memory { runtime: self.runtime, kept: self.kept, departures: self.departures };
        loads::finding_of(Call(&span), None, ns, memory, self.machine).with(fact)
    }

    /// As far as is known; which options it asked for is not.
    fn as_a_span(&self) -> Span {
        let call = self.call;
        let mut span = Span::new(call.trace_id, &call.service, call.route.clone());
        (span.span_id, span.start_ns) = (call.span_id, call.start_ns);
        span.duration_ns = self.now_ns.saturating_sub(call.start_ns);
        span.model = Some(call.model.clone());
        span.timings.load_ns = Some(self.in_phase_ns().max(LEAST_LOAD_NS));
        span
    }

    fn read_by_now(&self) -> Option<u64> {
        self.call.prompt_done?.checked_sub(self.call.prompt_cached.unwrap_or(0))
    }

    fn prompt(&self, usual: &Usual) -> Option<Finding> {
        let cached = self.call.prompt_cached.unwrap_or(0);
        let read = self.call.prompt_total?.checked_sub(cached)?;
        let usual_tokens = usual.read_tokens();
        let parted = self.call.prompt_parted_at.clone();
        let is_long = read >= LONG_PROMPT_TOKENS
            && usual_tokens.is_none_or(|usual| read >= usual.saturating_mul(LONG));
        if !is_long && parted.is_none() {
            return None;
        }
        let cause = if parted.is_some() { Cause::PromptCacheLost } else { Cause::LongPrompt };
        let parted = parted.map(|at| Fact::Parted { at });
        let facts = [Fact::Prompt { read, cached, usual: usual_tokens }];
        Some(Finding::new(cause, Phase::Prompt, self.in_phase_ns()).with(facts).with(parted))
    }

    fn answer(&self, usual: &Usual) -> Option<Finding> {
        let tokens = self.call.tokens;
        let fact = Fact::Answer { tokens, usual: usual.exceeded_by(tokens)? };
        let finding = Finding::new(Cause::LongAnswer, Phase::Generate, self.in_phase_ns());
        Some(finding.with([fact]))
    }

    /// The phase's pace, and what strained the machine these last seconds.
    fn slow(&self, tokens: u64, usual: &Usual) -> Option<Finding> {
        let phase = self.call.phase;
        // What nobody told is itself reckoned from the usual pace.
        if tokens < LEAST_TOKENS || (phase == Phase::Prompt && !self.call.eta_exact) {
            return None;
        }
        let pace = match phase {
            Phase::Prompt => usual.ns_per_token_read(tokens)?,
            _ => usual.ns_per_token_written(tokens)?,
        };
        let ns = self.in_phase_ns();
        let expected = pace * tokens as f64;
        if (ns as f64) < expected * SLOW {
            return None;
        }
        let fact = Fact::Pace { now: tokens as f64 * 1e9 / ns as f64, usual: 1e9 / pace };
        let from_ns = self.call.phase_since_ns.max(self.now_ns.saturating_sub(RECENT_NS));
        let span = self.as_a_span();
        let strains = speed::strains_between(
            Call(&span),
            (from_ns, self.now_ns),
            self.machine,
            self.runtime,
            self.running,
        );
        speed::findings(strains, phase, ns.saturating_sub(expected as u64), &fact)
            .into_iter()
            .next()
    }
}
