//! An agent at work: a workflow, the agent's loop of two to fifteen calls to a model, and between
//! them tools and look-ups in an index, each of which makes the next prompt longer.

use andon_model::{AttributeValue, Cause, LlmKind, RawText, Source, SpanKind, Status, UnixNanos};

use crate::{
    call::{Call, Question, call},
    catalog::{EMBEDDING, MODELS, Service},
    rhythm::Moment,
    world::{Trace, World},
};

const MS: u64 = 1_000_000;
const US: u64 = 1_000;
const PATIENCE: u64 = 120_000 * MS;

/// An agent, as its authors named things.
struct Agent {
    service: Service,
    name: &'static str,
    workflow: &'static str,
    route: &'static str,
    system_tokens: u64,
    /// Most calls to the model are this many.
    usual_calls: u64,
    tools: &'static [Tool],
}

struct Tool {
    name: &'static str,
    usual_ns: u64,
    /// Tokens that its result adds to the prompt.
    adds: u64,
    error: &'static str,
}

const AGENTS: [Agent; 2] = [
    Agent {
        service: Service::SupportAgent,
        name: "support-agent",
        workflow: "answer_ticket",
        route: "/v1/tickets/{ticket}/answer",
        system_tokens: 620,
        usual_calls: 3,
        tools: &[
            Tool { name: "find_order", usual_ns: 42 * MS, adds: 180, error: "order not found" },
            Tool {
                name: "track_parcel",
                usual_ns: 310 * MS,
                adds: 90,
                error: "carrier did not answer in 5 s",
            },
            Tool {
                name: "read_policy",
                usual_ns: 9 * MS,
                adds: 420,
                error: "no policy of that name",
            },
            Tool { name: "issue_refund", usual_ns: 160 * MS, adds: 60, error: "limit exceeded" },
        ],
    },
    Agent {
        service: Service::ResearchAgent,
        name: "research-agent",
        workflow: "write_report",
        route: "/v1/reports",
        system_tokens: 940,
        usual_calls: 6,
        tools: &[
            Tool { name: "web_search", usual_ns: 780 * MS, adds: 640, error: "rate limited" },
            Tool {
                name: "open_page",
                usual_ns: 540 * MS,
                adds: 1_500,
                error: "certificate has expired",
            },
            Tool { name: "run_sql", usual_ns: 95 * MS, adds: 320, error: "relation is not known" },
            Tool {
                name: "run_python",
                usual_ns: 1_250 * MS,
                adds: 210,
                error: "NameError in line 12",
            },
        ],
    },
];

/// Of one run, what each of its spans needs.
struct Run {
    agent: &'static Agent,
    model: usize,
    session: String,
    user: String,
    temperature: f64,
}

pub(crate) fn trace(world: &mut World, moment: &Moment) -> Trace {
    let source = world.random.pick(&[Source::Otlp, Source::Otlp, Source::Datadog]);
    let mut trace = world.begin(moment, source);
    let session = world.sessions.next(&mut world.random, moment.at_ns);
    trace.language = session.language;
    let (id, user, turn) = (session.id.clone(), session.user.clone(), session.turn);
    let random = &mut world.random;
    let agent = &AGENTS[usize::from(random.percent(35))];
    // Small models cannot call tools.
    let model = random.pick(&[3, 4, 4, 4, 5, 6, 6]);
    let temperature = random.pick(&[0.0, 0.1, 0.3]);
    let run = Run { agent, model, session: id, user, temperature };
    let workflow = world.add(&mut trace, agent.service, None, moment.at_ns);
    describe(world, &mut trace, workflow, &run, LlmKind::Workflow, agent.workflow);
    let begin_ns = moment.at_ns + world.random.log_normal(2 * MS, 60);
    let begin_ns = task(world, &mut trace, &run, workflow, begin_ns, "load_conversation");
    let (end_ns, failed) = work(world, moment, &mut trace, &run, workflow, begin_ns, turn);
    let end_ns = task(world, &mut trace, &run, workflow, end_ns, "check_answer");
    trace.end(workflow, end_ns + 400 * US);
    let span = trace.span(workflow);
    span.kind = SpanKind::Server;
    span.http_method = Some("POST".to_owned());
    span.http_route = Some(agent.route.to_owned());
    span.http_status = Some(if failed { 500 } else { 200 });
    if failed {
        fail(&mut trace, workflow, "agent_failed", "the agent gave up after a failed call");
    }
    trace
}

/// The agent's loop. Returns its end, and whether it failed.
fn work(
    world: &mut World,
    moment: &Moment,
    trace: &mut Trace,
    run: &Run,
    workflow: usize,
    begin_ns: UnixNanos,
    turn: u64,
) -> (UnixNanos, bool) {
    let agent = world.add(trace, run.agent.service, Some(workflow), begin_ns);
    describe(world, trace, agent, run, LlmKind::Agent, run.agent.name);
    let calls = world.random.log_normal(run.agent.usual_calls, 70).clamp(2, 15);
    let (mut now_ns, mut retried) = (begin_ns + 300 * US, false);
    let mut input_tokens = run.agent.system_tokens + 60 + turn.min(8) * 240;
    let mut known_tokens = run.agent.system_tokens;
    let mut made_calls = 0;
    let failed = loop {
        let question = Question {
            model: run.model,
            input_tokens,
            known_tokens,
            usual_output: if made_calls + 1 < calls { 48 } else { 230 },
            most_output: 2_048,
            patience_ns: PATIENCE,
            wants_tool: made_calls + 1 < calls,
            stream: false,
        };
        let made = call(world, moment, &question);
        now_ns = model_call(world, trace, run, agent, now_ns, &question, &made);
        if made.failure.is_some() {
            // One more try, after a pause; the second failure in a row is the agent's.
            if retried {
                break true;
            }
            retried = true;
            now_ns += 500 * MS;
            continue;
        }
        retried = false;
        made_calls += 1;
        if made_calls == calls {
            break false;
        }
        known_tokens = input_tokens + made.output_tokens.unwrap_or(0);
        let (end_ns, added) = step(world, moment, trace, run, agent, now_ns + 250 * US);
        now_ns = end_ns + 120 * US;
        input_tokens = known_tokens + added;
    };
    trace.end(agent, now_ns + 200 * US);
    if failed {
        fail(trace, agent, "llm_error", "a call to the model failed twice in a row");
    }
    (now_ns + 300 * US, failed)
}

/// What every span of an agent says.
fn describe(
    world: &mut World,
    trace: &mut Trace,
    place: usize,
    run: &Run,
    kind: LlmKind,
    name: &str,
) {
    let source = trace.source;
    let span = trace.span(place);
    span.name = name.to_owned();
    span.llm_kind = Some(kind);
    span.ml_app = Some(run.agent.name.to_owned());
    span.session_id = Some(run.session.clone());
    if kind == LlmKind::Workflow {
        span.user_id = Some(run.user.clone());
    }
    let attributes = &mut span.attributes;
    attributes.set("gen_ai.agent.name", run.agent.name);
    if source == Source::Datadog {
        attributes.set("language", "python");
        attributes.set("ddtrace.version", "3.15.0");
    } else {
        attributes.set("telemetry.sdk.language", "python");
        attributes.set("telemetry.sdk.version", "1.37.0");
    }
    if kind == LlmKind::Agent || kind == LlmKind::Workflow {
        attributes.set("thread.id", world.random.between(1, 16));
    }
}

fn task(
    world: &mut World,
    trace: &mut Trace,
    run: &Run,
    parent: usize,
    begin_ns: UnixNanos,
    name: &str,
) -> UnixNanos {
    let place = world.add(trace, run.agent.service, Some(parent), begin_ns);
    describe(world, trace, place, run, LlmKind::Task, name);
    let end_ns = begin_ns + world.random.log_normal(3 * MS, 110);
    trace.end(place, end_ns);
    end_ns
}

fn model_call(
    world: &mut World,
    trace: &mut Trace,
    run: &Run,
    parent: usize,
    begin_ns: UnixNanos,
    question: &Question,
    made: &Call,
) -> UnixNanos {
    let place = world.add(trace, run.agent.service, Some(parent), begin_ns);
    describe(world, trace, place, run, LlmKind::Llm, "");
    made.write(trace, place, &mut world.random);
    let span = trace.span(place);
    span.name = format!("chat {}", made.model.name);
    span.kind = SpanKind::Client;
    span.endpoint = Some(made.endpoint(&mut world.random).to_owned());
    // An instrumented app sees the whole and the counts, and nothing of the runtime's inside.
    span.timings.queue_ns = None;
    span.timings.stall_ns = None;
    span.cause = Some(made.cause).filter(|cause| *cause != Cause::None);
    let mut note = |name: &'static str, value: AttributeValue| span.attributes.set(name, value);
    note("gen_ai.operation.name", "chat".into());
    note("gen_ai.request.max_tokens", question.most_output.into());
    note("gen_ai.request.temperature", run.temperature.into());
    note("gen_ai.provider.name", made.model.provider().into());
    note("server.address", made.model.address().into());
    if made.failure.is_none() {
        note("gen_ai.response.id", format!("chatcmpl-{}", world.random.hex(16)).into());
    }
    if question.wants_tool {
        note("andon.request.tools", (run.agent.tools.len() as u64).into());
    }
    begin_ns + made.duration_ns
}

/// Between two calls: a tool, or a look-up. Returns the end and the tokens that it adds.
fn step(
    world: &mut World,
    moment: &Moment,
    trace: &mut Trace,
    run: &Run,
    parent: usize,
    begin_ns: UnixNanos,
) -> (UnixNanos, u64) {
    if world.random.percent(30) {
        return retrieval(world, moment, trace, run, parent, begin_ns);
    }
    let tool = &run.agent.tools[world.random.below(run.agent.tools.len() as u64) as usize];
    let place = world.add(trace, run.agent.service, Some(parent), begin_ns);
    describe(world, trace, place, run, LlmKind::Tool, tool.name);
    let took_ns = world.random.log_normal(tool.usual_ns, 130);
    trace.end(place, begin_ns + took_ns);
    let span = trace.span(place);
    span.attributes.set("gen_ai.tool.name", tool.name);
    span.attributes.set("gen_ai.tool.call.id", format!("call_{}", world.random.hex(12)));
    if world.random.percent(if moment.incident { 20 } else { 3 }) {
        fail(trace, place, "tool_error", tool.error);
    }
    (begin_ns + took_ns, world.random.log_normal(tool.adds, 80))
}

/// The question becomes a vector, the vector some passages.
fn retrieval(
    world: &mut World,
    moment: &Moment,
    trace: &mut Trace,
    run: &Run,
    parent: usize,
    begin_ns: UnixNanos,
) -> (UnixNanos, u64) {
    let retrieval = world.add(trace, run.agent.service, Some(parent), begin_ns);
    describe(world, trace, retrieval, run, LlmKind::Retrieval, "find_passages");
    let question = Question {
        model: EMBEDDING,
        input_tokens: 6 + world.random.log_normal(24, 80),
        known_tokens: 0,
        usual_output: 0,
        most_output: 0,
        patience_ns: PATIENCE,
        wants_tool: false,
        stream: false,
    };
    let made = call(world, moment, &question);
    let embedding = world.add(trace, run.agent.service, Some(retrieval), begin_ns + 150 * US);
    describe(world, trace, embedding, run, LlmKind::Embedding, "");
    made.write(trace, embedding, &mut world.random);
    let span = trace.span(embedding);
    span.name = format!("embeddings {}", MODELS[EMBEDDING].name);
    span.kind = SpanKind::Client;
    span.endpoint = Some("/api/embed".to_owned());
    span.attributes.set("gen_ai.operation.name", "embeddings");
    span.attributes.set("server.address", made.model.address());
    let mut now_ns = begin_ns + 150 * US + made.duration_ns;
    let passages = world.random.between(3, 12);
    if made.failure.is_none() {
        now_ns = search(world, trace, run, retrieval, now_ns + 80 * US, passages);
    }
    trace.end(retrieval, now_ns + 100 * US);
    trace.span(retrieval).attributes.set("retrieval.documents", passages);
    if made.failure.is_some() {
        fail(trace, retrieval, "embedding_failed", "the question could not be embedded");
        return (now_ns + 100 * US, 30);
    }
    (now_ns + 100 * US, passages * world.random.between(60, 140))
}

fn search(
    world: &mut World,
    trace: &mut Trace,
    run: &Run,
    parent: usize,
    begin_ns: UnixNanos,
    passages: u64,
) -> UnixNanos {
    let place = world.add(trace, Service::KnowledgeIndex, Some(parent), begin_ns);
    let end_ns = begin_ns + world.random.log_normal(14 * MS, 100);
    trace.end(place, end_ns);
    let span = trace.span(place);
    span.name = "POST /collections/{collection}/query".to_owned();
    span.kind = SpanKind::Server;
    span.http_method = Some("POST".to_owned());
    span.http_route = Some("/collections/{collection}/query".to_owned());
    span.http_status = Some(200);
    span.session_id = Some(run.session.clone());
    span.attributes.set("db.operation.name", "query");
    span.attributes.set("db.response.returned_rows", passages);
    end_ns
}

fn fail(trace: &mut Trace, place: usize, error_type: &str, message: &str) {
    let observation = &mut trace.observations[place];
    observation.span.status = Status::Error;
    observation.span.error_type = Some(error_type.to_owned());
    observation.error_message = Some(RawText::new(message));
}
