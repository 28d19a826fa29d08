//! From a call and what is known around it to its [`Diagnosis`].

use andon_model::{AttributeValue, Cause, Phase, Status};

use crate::{
    call::{Call, PHASES, total},
    departures::Departures,
    diagnosis::{Diagnosis, Fact, Finding},
    failure,
    loads::{self, Memory},
    machine::Machine,
    past::{Beside, KeepAlive, Runtime, model_of, options},
    speed::{self, Strain},
    usual::{LONG, Usual},
};

/// What takes less is nobody's trouble.
const LEAST_NS: u64 = 200_000_000;
/// The share of a call that a cause must have taken: where the runtime says so itself, and where it
/// follows from what is usual.
const LEAST_TOLD: f64 = 0.2;
const LEAST_RECKONED: f64 = 0.25;
/// A load is worth saying where nothing else is.
const LEAST_LOAD: f64 = 0.05;
/// A phase is slow when it takes so many times what its tokens usually take.
pub(crate) const SLOW: f64 = 1.35;
/// And this slow when nothing explains it.
const ODDLY_SLOW: f64 = 2.0;
const ODDLY_LEAST_NS: u64 = 1_000_000_000;
/// Reading fewer tokens than these is no long prompt, however slow it was.
pub(crate) const LONG_PROMPT_TOKENS: u64 = 256;
/// Where nothing is known to be usual: the share that reading must take.
const LONG_PROMPT_SHARE: f64 = 0.4;
/// A cache lost is worth saying from so many tokens on.
const LEAST_LOST_TOKENS: u64 = 32;

/// All that a judgement rests on.
pub(crate) struct Scene<'a> {
    pub(crate) call: Call<'a>,
    pub(crate) machine: &'a Machine,
    pub(crate) runtime: &'a Runtime,
    /// Other calls to the same runtime that run still.
    pub(crate) running: &'a [Beside],
    /// What the runtime keeps a model for if nothing is said.
    pub(crate) kept: KeepAlive,
    pub(crate) departures: &'a Departures,
    /// Processes that were ended for want of memory since the machine was last looked at.
    pub(crate) just_killed: u64,
}

impl Scene<'_> {
    pub(crate) fn judge(&self) -> Diagnosis {
        let nothing = Usual::default();
        let model = self.runtime.model(model_of(self.call.0));
        let usual = model.map_or(&nothing, |model| &model.usual);
        let mut findings: Vec<Finding> = Vec::new();
        findings.extend(self.queue());
        let lost = self.lost_cache(usual);
        let has_lost = lost.is_some();
        findings.extend(self.load(usual, lost.as_ref()));
        if self.call.loaded_ns().is_none() {
            findings.extend(lost);
        }
        findings.extend(self.slow(Phase::Prompt, usual));
        findings.extend(self.slow(Phase::Generate, usual));
        findings.extend(self.long_prompt(usual).filter(|_| !has_lost));
        findings.extend(self.long_answer(usual));
        findings.extend(self.outside(usual));
        let findings = together(findings);
        if self.call.0.status == Status::Error {
            return failure::diagnosis(self, findings);
        }
        self.conclude(findings)
    }

    /// Whether something is known that slowed the call down, so that it says little of what is usual.
    pub(crate) fn is_strained(&self) -> bool {
        if self.call.0.duration_ns < LEAST_NS {
            return false;
        }
        [Phase::Prompt, Phase::Generate]
            .into_iter()
            .filter(|phase| self.call.ns(*phase).is_some())
            .any(|phase| !self.strains(phase).is_empty())
    }

    fn strains(&self, phase: Phase) -> Vec<Strain> {
        speed::strains(self.call, phase, self.machine, self.runtime, self.running)
    }

    fn queue(&self) -> Option<Finding> {
        let ns = self.call.ns(Phase::Queue).filter(|ns| *ns > 0)?;
        let (from_ns, to_ns) = self.call.extent(Phase::Queue);
        let ended = self.runtime.beside(self.call.0, from_ns, to_ns);
        let ahead = ended.last().or_else(|| self.running.first());
        Some(Finding::new(Cause::Queue, Phase::Queue, ns).with(ahead.map(Beside::fact)))
    }

    /// With the prompt that had to be read anew for it.
    fn load(&self, usual: &Usual, lost: Option<&Finding>) -> Vec<Finding> {
        let Some(ns) = self.call.loaded_ns() else { return Vec::new() };
        let mut cost = ns;
        let mut slow = Vec::new();
        if let Some(usual_ns) =
            usual.load_ns().filter(|usual| ns as f64 > *usual as f64 * ODDLY_SLOW)
        {
            let extra = ns - usual_ns;
            slow = self.slow_load(extra, usual_ns);
            if !slow.is_empty() {
                cost = usual_ns;
            }
        }
        cost = cost.saturating_add(lost.map_or(0, |lost| lost.ns));
        let memory = Memory { runtime: self.runtime, kept: self.kept, departures: self.departures };
        let load = loads::finding(self.call, cost, memory, self.machine);
        // The cache went with the model, and what it had held was read anew.
        slow.push(load.with(lost.into_iter().flat_map(|lost| lost.facts.clone())));
        slow
    }

    fn slow_load(&self, extra: u64, usual_ns: u64) -> Vec<Finding> {
        let pace = Fact::UsualTime { ns: usual_ns };
        let strains = self.strains(Phase::Load);
        let (from_ns, to_ns) = self.call.extent(Phase::Load);
        let during = self.machine.during(from_ns, to_ns);
        let disk = during.filter(|it| it.io_pressure.is_some_and(|io| io >= 0.3));
        match disk {
            Some(during) => {
                let disk =
                    Fact::Disk { read_bytes_per_s: during.disk_read, pressure: during.io_pressure };
                let when = Fact::When { from_ns, to_ns };
                vec![Finding::new(Cause::SlowDisk, Phase::Load, extra).with([pace, disk, when])]
            }
            None => speed::findings(strains, Phase::Load, extra, &pace),
        }
    }

    /// The prompt began like earlier ones, and was read anew all the same.
    fn lost_cache(&self, usual: &Usual) -> Option<Finding> {
        let call = self.call;
        let (all, cached) = (call.0.input_tokens?, call.0.cached_tokens?);
        let read_ns = call.ns(Phase::Prompt)?;
        let read = all.saturating_sub(cached);
        let parted = call.word("andon.prompt.parted_at");
        let known = (all as f64 * call.shared()?) as u64;
        let lost = match parted {
            // What follows the part that changed was there before too.
            Some(_) if cached < all / 2 => read.saturating_sub(usual.read_tokens().unwrap_or(0)),
            _ => known.saturating_sub(cached),
        };
        if lost < LEAST_LOST_TOKENS || read == 0 {
            return None;
        }
        // What was slow beside is another cause's cost.
        let now = read_ns as f64 / read as f64;
        let pace = usual.ns_per_token_read(read).map_or(now, |usual| usual.min(now));
        let ns = (lost as f64 * pace) as u64;
        let facts = [Fact::Prompt { read, cached, usual: usual.read_tokens() }];
        // With another size of context even a loaded model begins with an empty cache.
        let last = self.runtime.model(model_of(call.0)).and_then(|model| model.last.as_ref());
        let option = last.and_then(|last| loads::changed(&last.options, &options(call.0)));
        if let Some(option) = option {
            let finding = Finding::new(Cause::OptionsChanged, Phase::Prompt, ns);
            return Some(finding.with([option]).with(facts));
        }
        let parted = parted.map(|at| Fact::Parted { at: at.to_owned() });
        Some(Finding::new(Cause::PromptCacheLost, Phase::Prompt, ns).with(facts).with(parted))
    }

    fn slow(&self, phase: Phase, usual: &Usual) -> Vec<Finding> {
        let tokens = match phase {
            Phase::Prompt => self.call.read(),
            _ => self.call.0.output_tokens,
        };
        let ns = self.call.ns(phase).filter(|ns| *ns >= LEAST_NS);
        let (Some(tokens), Some(ns)) = (tokens, ns) else { return Vec::new() };
        let pace = match phase {
            Phase::Prompt => usual.ns_per_token_read(tokens),
            _ => usual.ns_per_token_written(tokens),
        };
        let Some(pace) = pace else { return Vec::new() };
        let expected = pace * tokens as f64;
        let times = ns as f64 / expected.max(1.0);
        if times < SLOW {
            return Vec::new();
        }
        let slow_ns = ns.saturating_sub(expected as u64);
        let fact = Fact::Pace { now: tokens as f64 * 1e9 / ns as f64, usual: 1e9 / pace };
        let strains = self.strains(phase);
        if strains.is_empty() && times >= ODDLY_SLOW && slow_ns >= ODDLY_LEAST_NS {
            return vec![Finding::new(Cause::Unknown, phase, slow_ns).with([fact])];
        }
        speed::findings(strains, phase, slow_ns, &fact)
    }

    fn long_prompt(&self, usual: &Usual) -> Option<Finding> {
        let (read, ns) = (self.call.read()?, self.call.ns(Phase::Prompt)?);
        if read < LONG_PROMPT_TOKENS || ns < LEAST_NS {
            return None;
        }
        let usual_tokens = usual.read_tokens();
        let extra_tokens = match usual_tokens {
            Some(usual) if read < usual.saturating_mul(LONG) => return None,
            Some(usual) => read - usual,
            None if (ns as f64) < self.call.0.duration_ns as f64 * LONG_PROMPT_SHARE => {
                return None;
            }
            None => read,
        };
        let pace = usual.ns_per_token_read(read).unwrap_or(f64::MAX).min(ns as f64 / read as f64);
        let cached = self.call.0.cached_tokens.unwrap_or(0);
        let fact = Fact::Prompt { read, cached, usual: usual_tokens };
        let ns = (extra_tokens as f64 * pace) as u64;
        Some(Finding::new(Cause::LongPrompt, Phase::Prompt, ns).with([fact]))
    }

    fn long_answer(&self, usual: &Usual) -> Option<Finding> {
        let (tokens, ns) = (self.call.0.output_tokens?, self.call.ns(Phase::Generate)?);
        if ns < LEAST_NS {
            return None;
        }
        let middle = usual.exceeded_by(tokens)?;
        let now = ns as f64 / tokens as f64;
        let pace = usual.ns_per_token_written(tokens).unwrap_or(f64::MAX).min(now);
        let ns = ((tokens - middle) as f64 * pace) as u64;
        let fact = Fact::Answer { tokens, usual: middle };
        Some(Finding::new(Cause::LongAnswer, Phase::Generate, ns).with([fact]))
    }

    /// Time that passed on the way: no phase has it, and the runtime does not count it.
    fn outside(&self, usual: &Usual) -> Option<Finding> {
        let rest = self.call.rest_ns().filter(|rest| *rest >= LEAST_NS)?;
        let usual_ns = usual.rest_ns();
        let inside = self.call.number("andon.runtime.total_ns").map(|all| {
            let phases = [Phase::Load, Phase::Prompt, Phase::Generate];
            all.saturating_sub(total(phases.into_iter().filter_map(|it| self.call.ns(it))))
        });
        let outside = rest.saturating_sub(inside.unwrap_or(0));
        let ns = outside.saturating_sub(usual_ns.unwrap_or(0));
        let waited = || inside.is_none().then(|| self.untold_queue(ns))?;
        let fact = usual_ns.map(|ns| Fact::UsualTime { ns });
        let on_the_way = || Finding::new(Cause::Network, None, ns).with(fact);
        (ns > 0).then(|| waited().unwrap_or_else(on_the_way))
    }

    /// llama-server counts what it does, and not how long a call waits for a slot: that is what nobody
    /// explains at a call's beginning, while others were worked on.
    fn untold_queue(&self, ns: u64) -> Option<Finding> {
        if self.call.ns(Phase::Queue).is_some() {
            return None;
        }
        let from_ns = self.call.0.start_ns;
        let to_ns = from_ns.saturating_add(ns);
        let ended = self.runtime.beside(self.call.0, from_ns, to_ns);
        let all = ended.iter().chain(self.running);
        let ahead = all.max_by_key(|other| other.overlap(from_ns, to_ns))?;
        let is_most = ahead.overlap(from_ns, to_ns) >= ns / 2;
        is_most.then(|| Finding::new(Cause::Queue, Phase::Queue, ns).with([ahead.fact()]))
    }

    fn conclude(&self, mut findings: Vec<Finding>) -> Diagnosis {
        findings.retain(|finding| self.is_worth_saying(finding));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.ns));
        if let Some(cut) = self.cut() {
            // No matter of time, and worse: the model has not seen what it was asked.
            findings.insert(0, cut);
        }
        let load_alone = findings.len() == 1 && findings[0].cause.is_load();
        let main = findings.first().filter(|main| load_alone || self.is_main(main));
        let Some(main) = main else { return Diagnosis::none() };
        Diagnosis { cause: main.cause, confidence: self.confidence(main), findings }
    }

    fn share(&self, finding: &Finding) -> f64 {
        finding.ns as f64 / self.call.0.duration_ns.max(1) as f64
    }

    fn is_worth_saying(&self, finding: &Finding) -> bool {
        match finding.cause.is_load() {
            true => self.share(finding) >= LEAST_LOAD || finding.ns >= LEAST_NS * 5,
            false => finding.ns >= LEAST_NS && self.share(finding) >= LEAST_RECKONED / 2.0,
        }
    }

    fn is_main(&self, finding: &Finding) -> bool {
        let least = match finding.cause {
            Cause::PromptCut => return true,
            cause if cause.is_load() => LEAST_LOAD,
            Cause::Queue | Cause::PromptCacheLost => LEAST_TOLD,
            _ => LEAST_RECKONED,
        };
        self.share(finding) >= least
    }

    /// What the runtime itself said is surer than what follows from medians.
    fn confidence(&self, main: &Finding) -> f32 {
        let sure = match main.cause {
            Cause::PromptCut | Cause::Queue => 0.95,
            Cause::ColdStart | Cause::KeepAliveExpired | Cause::Evicted => 0.95,
            Cause::OptionsChanged | Cause::PromptCacheLost => 0.9,
            Cause::LongAnswer | Cause::LongPrompt => 0.85,
            Cause::Unknown => 0.3,
            _ => 0.7,
        };
        let share = self.share(main).clamp(0.0, 1.0) as f32;
        sure * (0.7 + 0.3 * share)
    }

    fn cut(&self) -> Option<Finding> {
        let number = |name| self.call.number(name);
        let fact = Fact::Cut {
            tokens: number("andon.prompt.cut_tokens")?,
            limit: number("andon.prompt.limit")?,
            enough: number("andon.prompt.enough_context")?,
        };
        Some(Finding::new(Cause::PromptCut, Phase::Prompt, 0).with([fact]))
    }

    /// The phase in which a call ended that failed: as it was told, else the last one that had begun.
    pub(crate) fn last_phase(&self) -> Option<Phase> {
        let told = match self.call.0.attributes.get("andon.error.phase") {
            Some(AttributeValue::Text(name)) => PHASES.into_iter().find(|it| it.as_str() == name),
            _ => None,
        };
        told.or_else(|| PHASES.into_iter().rfind(|it| self.call.ns(*it).is_some_and(|ns| ns > 0)))
    }
}

/// One finding for each cause: what starved the prompt starved the answer too.
fn together(findings: Vec<Finding>) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for finding in findings {
        match all.iter_mut().find(|known| known.cause == finding.cause) {
            Some(known) if known.ns >= finding.ns => known.ns = known.ns.saturating_add(finding.ns),
            Some(known) => *known = Finding { ns: known.ns.saturating_add(finding.ns), ..finding },
            None => all.push(finding),
        }
    }
    all
}
