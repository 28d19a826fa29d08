//! One call to a model: how long each of its phases took, how it ended, and what is to blame.
//!
//! Phases never come to more than the whole: the duration is their sum and a little that nobody
//! explains. A call that fails is made whole first and cut afterwards.

use andon_model::{Cause, RawText, Status, Timings};

use crate::{
    catalog::{MODELS, Model},
    failure::{CONTEXT_EXCEEDED, End, Failure},
    random::Random,
    rhythm::Moment,
    world::{Trace, World},
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// A model that nobody asks for so long leaves the memory, where the runtime does that.
const KEEP_ALIVE: u64 = 4 * 3_600 * SECOND;

/// What is asked of a model.
pub(crate) struct Question {
    /// Its row.
    pub(crate) model: usize,
    pub(crate) input_tokens: u64,
    /// Tokens at the start of the prompt that the runtime has read before.
    pub(crate) known_tokens: u64,
    pub(crate) usual_output: u64,
    pub(crate) most_output: u64,
    pub(crate) patience_ns: u64,
    /// The answer asks for a tool instead of ending the turn.
    pub(crate) wants_tool: bool,
    pub(crate) stream: bool,
}

/// How the call went.
pub(crate) struct Call {
    pub(crate) model: &'static Model,
    pub(crate) duration_ns: u64,
    pub(crate) timings: Timings,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    pub(crate) reasoning_tokens: Option<u64>,
    pub(crate) finish_reason: Option<&'static str>,
    pub(crate) cause: Cause,
    pub(crate) failure: Option<&'static Failure>,
    /// What the call was doing when it failed.
    pub(crate) phase: Option<&'static str>,
    stream: bool,
}

/// A machine that is slower than it should be: how often in comparison, and how many times slower
/// at loading, reading and writing.
type Slowness = (Cause, u64, [u64; 3]);

const SLOWNESS: [Slowness; 7] = [
    (Cause::CpuStarved, 30, [1, 3, 3]),
    (Cause::ParallelGeneration, 30, [1, 2, 2]),
    (Cause::PartlyOnCpu, 12, [1, 4, 5]),
    (Cause::MemoryPressure, 10, [3, 2, 2]),
    (Cause::Throttled, 10, [1, 2, 2]),
    (Cause::Steal, 8, [1, 2, 3]),
    (Cause::SlowDisk, 6, [6, 1, 1]),
];

pub(crate) fn call(world: &mut World, moment: &Moment, question: &Question) -> Call {
    let model = &MODELS[question.model];
    let fits = question.input_tokens <= model.context_length;
    let failure = if fits || model.speaks_ollama() {
        Failure::draw(&mut world.random, moment.incident)
    } else {
        Some(&CONTEXT_EXCEEDED)
    };
    if let Some(failure) = failure
        && let End::Refused(usual_ns) = failure.end
    {
        return refused(world, question, failure, usual_ns);
    }
    let must_load = must_load(world, moment, question.model);
    let random = &mut world.random;
    let slow_odds = if moment.incident { 12 } else { 3 };
    let slowness = random
        .percent(slow_odds)
        .then(|| SLOWNESS[random.weighted(SLOWNESS.iter().map(|(_, odds, _)| *odds))]);
    let mut made = answered(random, moment, question, must_load, slowness);
    if let Some(failure) = failure.or_else(|| made.outlasts(question)) {
        made.fail(random, question, failure);
    }
    made
}

fn refused(
    world: &mut World,
    question: &Question,
    failure: &'static Failure,
    usual_ns: u64,
) -> Call {
    Call {
        model: &MODELS[question.model],
        duration_ns: world.random.log_normal(usual_ns, 80),
        timings: Timings::default(),
        input_tokens: None,
        output_tokens: None,
        cached_tokens: None,
        reasoning_tokens: None,
        finish_reason: None,
        cause: failure.cause,
        failure: Some(failure),
        phase: Some("queue"),
        stream: question.stream,
    }
}

/// Why the model has to be loaded, if it has to. Servers that hold one model never do that.
fn must_load(world: &mut World, moment: &Moment, model: usize) -> Option<Cause> {
    let last = std::mem::replace(&mut world.asked_ns[model], moment.at_ns);
    if !MODELS[model].speaks_ollama() {
        return None;
    }
    if last == 0 {
        return Some(Cause::ColdStart);
    }
    if moment.at_ns.saturating_sub(last) > KEEP_ALIVE {
        return Some(Cause::KeepAliveExpired);
    }
    let unlucky = world.random.one_in(250);
    unlucky.then(|| {
        world.random.pick(&[
            Cause::ColdStart,
            Cause::Evicted,
            Cause::Evicted,
            Cause::OptionsChanged,
        ])
    })
}

/// What is read and written.
struct Tokens {
    input: u64,
    cached: u64,
    thought: u64,
    written: u64,
    /// The runtime should have had most of the prompt in its cache, and had nothing.
    forgotten: bool,
}

fn tokens(random: &mut Random, question: &Question, must_load: bool) -> Tokens {
    let model = &MODELS[question.model];
    let input = question.input_tokens.min(model.context_length);
    let lost = must_load || random.percent(5) || input < question.input_tokens;
    let cached = if lost { 0 } else { question.known_tokens.min(input.saturating_sub(1)) };
    let most = question.most_output;
    let thought = match model.thinks {
        true => random.log_normal(240, 120).min(most / 4 * 3),
        false => 0,
    };
    let answer = match model.write_ns {
        0 => 0,
        _ => random.log_normal(question.usual_output, 110).clamp(1, most - thought),
    };
    let forgotten = lost && question.known_tokens * 2 > input;
    Tokens { input, cached, thought, written: thought + answer, forgotten }
}

/// A call that nothing ends before its time.
fn answered(
    random: &mut Random,
    moment: &Moment,
    question: &Question,
    must_load: Option<Cause>,
    slowness: Option<Slowness>,
) -> Call {
    let model = &MODELS[question.model];
    let tokens = tokens(random, question, must_load.is_some());
    let factors = slowness.map_or([1; 3], |(_, _, factors)| factors);
    let (timings, duration_ns) =
        timings(random, moment, question, &tokens, must_load.is_some(), factors);
    let mut call = Call {
        model,
        duration_ns,
        timings,
        input_tokens: Some(tokens.input),
        output_tokens: (tokens.written > 0).then_some(tokens.written),
        cached_tokens: (model.write_ns > 0).then_some(tokens.cached),
        reasoning_tokens: (tokens.thought > 0).then_some(tokens.thought),
        finish_reason: match tokens.written {
            0 => None,
            written if written == question.most_output => Some("length"),
            _ if question.wants_tool => Some("tool_calls"),
            _ => Some("stop"),
        },
        cause: Cause::None,
        failure: None,
        phase: None,
        stream: question.stream,
    };
    call.cause = must_load.unwrap_or_else(|| match slowness {
        _ if tokens.input < question.input_tokens => Cause::PromptCut,
        Some((cause, ..)) => cause,
        None => blame(&call, tokens.forgotten),
    });
    call
}

/// How long each phase takes, and the whole.
fn timings(
    random: &mut Random,
    moment: &Moment,
    question: &Question,
    tokens: &Tokens,
    must_load: bool,
    [slow_load, slow_read, slow_write]: [u64; 3],
) -> (Timings, u64) {
    let model = &MODELS[question.model];
    let (new, written) = (tokens.input - tokens.cached, tokens.written);
    let busy = moment.load / 10 * if moment.incident { 4 } else { 1 };
    let queue = if random.percent(busy) { random.log_normal(300 * MS, 170) } else { 0 };
    let load = match must_load {
        true => random.log_normal(model.load_ns, 45) * slow_load,
        // A warm runtime of Ollama's kind reports the time to look its model up.
        false if model.speaks_ollama() => random.log_normal(28 * MS, 60),
        false => 0,
    };
    let read = 4 * MS + random.log_normal(new * model.read_ns, 30) * slow_read;
    let write = random.log_normal(written * model.write_ns, 20) * slow_write;
    let per_token = write / written.max(1);
    let gap = per_token * random.between(2, 5) + if random.one_in(40) { write / 4 } else { 0 };
    let rest = random.log_normal(3 * MS, 70);
    let ttft = queue + load + read + per_token + rest / 2;
    let timings = Timings {
        queue_ns: Some(queue),
        load_ns: model.speaks_ollama().then_some(load),
        prompt_eval_ns: Some(read),
        ttft_ns: (question.stream && written > 0).then_some(ttft),
        eval_ns: (written > 0).then_some(write),
        stall_ns: (question.stream && written > 1).then_some(gap.min(write)),
    };
    (timings, queue + load + read + write + rest)
}

/// The phase that took most of a long call.
fn blame(call: &Call, forgotten: bool) -> Cause {
    let took = |phase: Option<u64>| phase.unwrap_or(0);
    let (queue, whole) = (took(call.timings.queue_ns), call.duration_ns);
    let (read, write) = (took(call.timings.prompt_eval_ns), took(call.timings.eval_ns));
    if queue > SECOND && queue * 2 > whole {
        return Cause::Queue;
    }
    if forgotten && read * 5 >= whole {
        return Cause::PromptCacheLost;
    }
    if read > 2 * SECOND && read * 2 > whole {
        return Cause::LongPrompt;
    }
    if write > 15 * SECOND { Cause::LongAnswer } else { Cause::None }
}

impl Call {
    /// Writes what every recorder of such a call knows onto the span at `place`.
    pub(crate) fn write(&self, trace: &mut Trace, place: usize, random: &mut Random) {
        let model = self.model;
        let span = trace.span(place);
        span.duration_ns = self.duration_ns;
        span.timings = self.timings;
        span.provider = Some(model.provider().to_owned());
        span.model = Some(model.name.to_owned());
        span.model_requested =
            Some(if random.percent(30) { model.alias } else { model.name }.to_owned());
        span.model_digest = model.speaks_ollama().then(|| model.digest.to_owned());
        span.context_length = Some(model.context_length);
        span.stream = Some(self.stream);
        span.input_tokens = self.input_tokens;
        span.output_tokens = self.output_tokens;
        span.cached_tokens = self.cached_tokens;
        span.reasoning_tokens = self.reasoning_tokens;
        span.finish_reason = self.finish_reason.map(str::to_owned);
        span.cause = Some(self.cause);
        if let (Some((read, written, currency)), Some(input)) = (model.price, self.input_tokens) {
            let cost = input * read + self.output_tokens.unwrap_or(0) * written;
            // One division of whole numbers is the same on every machine.
            span.cost = Some(cost as f64 / 1_000_000.0);
            span.cost_currency = Some(currency.to_owned());
        }
        self.write_outcome(trace, place, random);
    }

    /// Whether the call went well: for its own span, and for those above that saw it fail.
    pub(crate) fn write_outcome(&self, trace: &mut Trace, place: usize, random: &mut Random) {
        let observation = &mut trace.observations[place];
        let Some(failure) = self.failure else {
            observation.span.status = Status::Ok;
            return;
        };
        observation.span.status = Status::Error;
        observation.span.error_type = Some(failure.error_type.to_owned());
        observation.error_message = Some(RawText::new(random.pick(failure.messages)));
    }

    pub(crate) fn http_status(&self) -> u16 {
        self.failure.map_or(200, |failure| failure.status)
    }

    pub(crate) fn endpoint(&self, random: &mut Random) -> &'static str {
        match (self.model.speaks_ollama(), self.model.write_ns) {
            (true, 0) => "/api/embed",
            (true, _) => random.pick(&["/api/chat", "/api/chat", "/api/chat", "/api/generate"]),
            (false, _) => "/v1/chat/completions",
        }
    }
}
