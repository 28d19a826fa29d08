//! A machine with a runtime, whose calls are made up.

use andon_diagnose::{Diagnoser, Diagnosis, Fact};
use andon_model::{
    Cause, HostSample, LlmKind, ProcessSample, Span, SpanKind, Status, Timings, TraceId,
};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000 * MS;
/// What a token takes on this machine.
pub(crate) const READ_NS: u64 = 2 * MS;
pub(crate) const WRITE_NS: u64 = 40 * MS;

/// A machine with a runtime, whose clock goes on from call to call.
pub(crate) struct World {
    pub(crate) diagnoser: Diagnoser,
    pub(crate) now: u64,
    pub(crate) calls: u64,
}

/// A call to be made.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) model: &'static str,
    pub(crate) load: u64,
    pub(crate) read: u64,
    pub(crate) cached: u64,
    pub(crate) written: u64,
    pub(crate) queue: u64,
    pub(crate) slow: f64,
}

impl Default for Ask {
    fn default() -> Self {
        Self { model: "m", load: MS, read: 200, cached: 0, written: 50, queue: 0, slow: 1.0 }
    }
}

impl Ask {
    pub(crate) fn span(&self, at: u64) -> Span {
        let mut span = Span::new(TraceId::random(), "ollama", "chat m");
        let prompt = (self.read as f64 * READ_NS as f64 * self.slow) as u64;
        let write = (self.written as f64 * WRITE_NS as f64 * self.slow) as u64;
        span.start_ns = at;
        span.duration_ns = self.queue + self.load + prompt + write + 5 * MS;
        span.kind = SpanKind::Client;
        span.llm_kind = Some(LlmKind::Llm);
        span.status = Status::Ok;
        span.model = Some(self.model.to_owned());
        span.input_tokens = Some(self.read + self.cached);
        span.cached_tokens = Some(self.cached);
        span.output_tokens = Some(self.written);
        span.pid = Some(7);
        span.timings = Timings {
            queue_ns: Some(self.queue),
            load_ns: Some(self.load),
            prompt_eval_ns: Some(prompt),
            eval_ns: Some(write),
            ..Timings::default()
        };
        span
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self { diagnoser: Diagnoser::default(), now: 1_000 * S, calls: 0 }
    }

    /// One that has answered some calls.
    pub(crate) fn warm() -> Self {
        let mut world = Self::new();
        world.ask(Ask { load: 3 * S, ..Ask::default() });
        for _ in 0..8 {
            world.ask(Ask::default());
        }
        world
    }

    pub(crate) fn wait(&mut self, ns: u64) {
        self.now += ns;
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> Span {
        self.see(ask.span(self.now), |_| {}, &[])
    }

    /// With what the machine is like meanwhile.
    pub(crate) fn see(
        &mut self,
        mut span: Span,
        machine: impl Fn(&mut HostSample),
        processes: &[(&str, f64, Option<&str>)],
    ) -> Span {
        let end = span.end_ns();
        while self.now < end + S {
            let mut host = HostSample {
                time_ns: self.now,
                cpu_count: 4,
                cpu_busy_cores: 2.0,
                memory_total_bytes: 4 << 30,
                memory_used_bytes: 2 << 30,
                ..HostSample::default()
            };
            machine(&mut host);
            let seen = processes.iter().map(|(name, cores, role)| ProcessSample {
                role: role.map(str::to_owned),
                ..process(name, *cores, self.now)
            });
            self.diagnoser.note(&host, &seen.collect::<Vec<_>>());
            self.now += S;
        }
        self.calls += 1;
        self.diagnoser.judge(&mut span, Vec::new);
        self.now = self.now.max(end);
        span
    }
}

pub(crate) fn process(name: &str, cpu_cores: f64, time_ns: u64) -> ProcessSample {
    ProcessSample {
        time_ns,
        pid: 1,
        started_ns: 1,
        name: name.to_owned(),
        command: name.to_owned(),
        role: None,
        cpu_cores,
        rss_bytes: 1 << 20,
        threads: 1,
        read_bytes_per_s: None,
        write_bytes_per_s: None,
        major_faults_per_s: None,
        gpu_memory_bytes: None,
        cpu_throttled: None,
        host: None,
    }
}

pub(crate) fn cause(span: &Span) -> Cause {
    span.cause.unwrap()
}

pub(crate) fn facts(span: &Span) -> Vec<Fact> {
    Diagnosis::of(span).unwrap().findings.remove(0).facts
}
