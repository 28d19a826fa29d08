//! Hears of samples and of calls as they end, and says of each call why it took its time.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use andon_model::{
    Cause, HostSample, LiveCall, ModelEvent, Phase, ProcessSample, Source, Span, Status, TraceId,
    UnixNanos,
};

use crate::{
    call::{Call, is_call},
    departures::Departures,
    judge::Scene,
    machine::Machine,
    machines::{Machines, RunsOn},
    now::{Present, Waiting},
    past::{Beside, KeepAlive, Runtime, model_of},
    words::Language,
};

const MOST_RUNTIMES: usize = 64;
/// Calls that run of which is said what they wait for: each is held against all others, and thousands may
/// run. Nobody reads so many.
const MOST_TOLD: usize = 64;

/// All that is remembered is bounded: some minutes of the machine, and of 64 runtimes with 64 models
/// each what is usual and the last calls.
#[derive(Default)]
pub struct Diagnoser {
    /// What the runtimes keep an idle model for if a call says nothing.
    kept: KeepAlive,
    oom_kills: Option<fn() -> Option<u64>>,
    known: Mutex<Known>,
}

/// What Andon's own machine is asked when a call has ended and the next look is yet to come.
#[derive(Debug, Clone, Copy)]
pub struct BetweenLooks {
    /// How often the kernel has ended a process for want of memory by now; `None` where it does not
    /// count.
    pub oom_kills: fn() -> Option<u64>,
    /// Bytes of memory that the process with this pid has now; `None` where it has ended.
    pub resident_bytes: fn(u32) -> Option<u64>,
}

#[derive(Default)]
struct Known {
    machines: Machines,
    departures: Departures,
    /// Since boot, at the last look at the machine.
    oom_kills: Option<u64>,
    /// By service and host.
    runtimes: HashMap<(String, Option<String>), Runtime>,
}

impl Diagnoser {
    /// `keep_alive`: what the runtimes keep an idle model for if a call says nothing, as Ollama writes
    /// it (`5m`, `300`, `-1` for ever); Ollama's own default where it cannot be read.
    pub fn new(keep_alive: &str, between_looks: BetweenLooks) -> Self {
        let kept = KeepAlive::parse(keep_alive).unwrap_or_default();
        let mut known = Known::default();
        known.machines.here = Machine::asked(between_looks.resident_bytes);
        Self { kept, oom_kills: Some(between_looks.oom_kills), known: Mutex::new(known) }
    }

    /// What the runtimes keep an idle model for if a call says nothing.
    pub fn kept(&self) -> KeepAlive {
        self.kept
    }

    /// A look at a machine and its processes.
    pub fn note(&self, host: &HostSample, processes: &[ProcessSample]) {
        let is_here = host.host.is_none();
        let kills = self.oom_kills.filter(|_| is_here).and_then(|count| count());
        let mut known = self.lock();
        known.machines.note(host, processes);
        if is_here {
            known.oom_kills = kills;
        }
    }

    /// Where the samples of another machine come from, by which calls to a runtime there are known.
    pub fn note_address(&self, host: &str, address: IpAddr) {
        self.lock().machines.note_address(host, address);
    }

    /// What Andon's own machine is called besides: hosts of runtimes that turned out to be on it.
    pub fn set_own_hosts(&self, hosts: impl Iterator<Item = String>) {
        self.lock().machines.set_own(hosts);
    }

    /// Whether a runtime at `host[:port]` computes on Andon's own machine.
    pub fn is_here(&self, authority: &str) -> bool {
        self.lock().machines.is_here(authority)
    }

    /// What came into a runtime's memory or left it.
    pub fn note_model(&self, event: &ModelEvent) {
        self.lock().departures.note(event);
    }

    /// Says why a call took its time, on its span, and learns from it. Other spans stay as they are.
    /// `running`: the calls that run now.
    pub fn judge(&self, span: &mut Span, running: impl FnOnce() -> Vec<LiveCall>) {
        // An app that reports a call mostly says nothing of its phases: there is nothing to judge.
        if !is_call(span) || (!has_phases(span) && span.status != Status::Error) {
            return;
        }
        let running = beside(span, &running());
        let mut known = self.lock();
        let just_killed = self.just_killed(span, &known);
        let Known { machines, runtimes, departures, .. } = &mut *known;
        let runtime = runtime(runtimes, span);
        let kept = self.kept;
        let scene = Scene {
            call: Call(span),
            machine: machines.of(Call(span)),
            runtime,
            running: &running,
            kept,
            departures,
            just_killed,
        };
        let (diagnosis, is_calm) = (scene.judge(), !scene.is_strained());
        learn(runtime, span, is_calm);
        diagnosis.put(span);
    }

    /// Why calls that run now, among `running`, take their time; in the order of `running`, and of the
    /// first 64.
    pub fn waiting(
        &self,
        running: &[LiveCall],
        now_ns: UnixNanos,
        language: Language,
    ) -> Vec<Option<Waiting>> {
        let known = self.lock();
        let why = |call: &LiveCall| {
            let beside = others(running, (&call.service, call.trace_id), now_ns);
            let of_service = |(key, _): &(&(String, Option<String>), _)| key.0 == call.service;
            let nothing = Runtime::default();
            // Calls that run go out from this machine, which spans name as their host, or name none.
            let runtime = known.runtimes.iter().find(of_service);
            let runtime = runtime.map_or(&nothing, |(_, runtime)| runtime);
            Present {
                call,
                now_ns,
                machine: known.machines.at(runtime.address.as_deref(), None),
                runtime,
                running: &beside,
                kept: self.kept,
                departures: &known.departures,
            }
            .waiting(language)
        };
        let told = running.iter().take(MOST_TOLD).map(why);
        told.chain(std::iter::repeat_with(|| None)).take(running.len()).collect()
    }

    /// Where a call's runtime is, if that is not on Andon's own machine.
    pub fn runs_on(&self, span: &Span) -> Option<RunsOn> {
        let machine = is_call(span).then(|| self.lock().machines.runs_on(Call(span)))??;
        // Where else apps call may be somebody's cloud, which never tells.
        let is_runtime = matches!(span.source, Source::Capture | Source::Gateway);
        (is_runtime || machine.host.is_some()).then_some(machine)
    }

    /// Learns what is usual from a call that was judged before.
    pub fn learn(&self, span: &Span) {
        if is_call(span) && has_phases(span) {
            let mut known = self.lock();
            let is_calm = span.cause.is_none_or(|cause| !is_of_the_machine(cause));
            learn(runtime(&mut known.runtimes, span), span, is_calm);
        }
    }

    /// Processes that were ended for want of memory since the last look at the machine: a call that
    /// fails of it is heard of before the next one.
    fn just_killed(&self, span: &Span, known: &Known) -> u64 {
        let is_here = std::ptr::eq(known.machines.of(Call(span)), &raw const known.machines.here);
        if span.status != Status::Error || !is_here {
            return 0;
        }
        let now = self.oom_kills.and_then(|count| count());
        now.zip(known.oom_kills).map_or(0, |(now, before)| now.saturating_sub(before))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_phases(span: &Span) -> bool {
    let timings = &span.timings;
    [timings.eval_ns, timings.prompt_eval_ns, timings.load_ns].iter().any(Option::is_some)
}

fn is_of_the_machine(cause: Cause) -> bool {
    use Cause::{CpuStarved, MemoryPressure, ParallelGeneration, Steal, Throttled};
    matches!(cause, CpuStarved | Steal | Throttled | MemoryPressure | ParallelGeneration)
}

fn runtime<'a>(
    runtimes: &'a mut HashMap<(String, Option<String>), Runtime>,
    span: &Span,
) -> &'a mut Runtime {
    let key = (span.service.clone(), span.host.clone());
    // Whoever has more is told less; all of them would be forgotten in a moment anyway.
    if runtimes.len() >= MOST_RUNTIMES && !runtimes.contains_key(&key) {
        runtimes.clear();
    }
    runtimes.entry(key).or_default()
}

fn learn(runtime: &mut Runtime, span: &Span, is_calm: bool) {
    runtime.model_mut(model_of(span)).usual.learn(Call(span), is_calm);
    runtime.note(Call(span));
}

/// The calls to the same runtime that compute now.
fn beside(span: &Span, running: &[LiveCall]) -> Vec<Beside> {
    others(running, (&span.service, span.trace_id), span.end_ns())
}

fn others(
    running: &[LiveCall],
    (service, trace_id): (&str, TraceId),
    now_ns: UnixNanos,
) -> Vec<Beside> {
    let is_other = |call: &&LiveCall| {
        call.service == service
            && call.trace_id != trace_id
            && matches!(call.phase, Phase::Prompt | Phase::Generate)
    };
    let beside = |call: &LiveCall| Beside {
        trace_id: call.trace_id,
        from_ns: call.phase_since_ns.min(now_ns),
        to_ns: now_ns,
        model: Some(call.model.clone()),
    };
    running.iter().filter(is_other).map(beside).collect()
}
