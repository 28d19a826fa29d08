//! Calls that went past the transparent capture: one span each, of programs that know nothing of
//! Andon. They have no trace around them, but the capture places them in their conversation.

use andon_model::{AttributeValue, LlmKind, RequestId, Source, Span, SpanKind};

use crate::{
    call::{Call, Question, call},
    catalog::{EMBEDDING, MODELS},
    random::Random,
    rhythm::Moment,
    session::draw_model,
    world::{Language, Trace, World},
};

const MS: u64 = 1_000_000;
const MINUTE: u64 = 60_000 * MS;

/// A program, and what it calls itself.
struct Client {
    app: Option<&'static str>,
    agent: &'static str,
    /// Tokens of a usual prompt and answer.
    usual: (u64, u64),
    patience_ns: u64,
    talks: bool,
}

const CLIENTS: [Client; 7] = [
    Client {
        app: Some("open-webui"),
        agent: "Python/3.11 aiohttp/3.12.15",
        usual: (900, 260),
        patience_ns: 10 * MINUTE,
        talks: true,
    },
    Client {
        app: Some("continue"),
        agent: "Continue/1.2.4 node-fetch/3.3.2",
        usual: (2_600, 180),
        patience_ns: 5 * MINUTE,
        talks: true,
    },
    Client {
        app: Some("minutes-bot"),
        agent: "openai-python/1.109.1",
        usual: (3_800, 420),
        patience_ns: 10 * MINUTE,
        talks: false,
    },
    Client {
        app: None,
        agent: "ollama-python/0.6.0 (x86_64 linux) Python/3.12.3",
        usual: (320, 210),
        patience_ns: 2 * MINUTE,
        talks: true,
    },
    Client {
        app: None,
        agent: "ollama-js/0.6.0 (x64 linux Node.js/v22.19.0)",
        usual: (260, 190),
        patience_ns: 2 * MINUTE,
        talks: true,
    },
    Client {
        app: Some("ticket-triage"),
        agent: "langchain-ollama/0.3.8 httpx/0.28.1",
        usual: (1_100, 36),
        patience_ns: MINUTE,
        talks: false,
    },
    Client {
        app: None,
        agent: "curl/8.5.0",
        usual: (60, 150),
        patience_ns: 2 * MINUTE,
        talks: false,
    },
];

pub(crate) fn trace(world: &mut World, moment: &Moment) -> Trace {
    let mut trace = world.begin(moment, Source::Capture);
    let random = &mut world.random;
    trace.language = Language::draw(random);
    let client = &CLIENTS[random.below(CLIENTS.len() as u64) as usize];
    let embeds = random.percent(15);
    let turn = if client.talks { random.below(6) } else { 0 };
    let model = if embeds { EMBEDDING } else { draw_model(random) };
    let question = question(random, client, model, turn);
    let made = call(world, moment, &question);
    let place = world.add(&mut trace, made.model.runtime, None, moment.at_ns);
    made.write(&mut trace, place, &mut world.random);
    let span = trace.span(place);
    let random = &mut world.random;
    frame(span, random, client, &made);
    details(span, random, &question, &made);
    if !embeds {
        conversation(span, random, turn, question.known_tokens);
    }
    trace
}

fn question(random: &mut Random, client: &Client, model: usize, turn: u64) -> Question {
    let (usual_input, usual_output) = client.usual;
    let new_tokens = 8 + random.log_normal(usual_input, 120);
    let known_tokens = turn * (usual_output + usual_input / 4);
    // Programs know how much a model takes, mostly.
    let room = MODELS[model].context_length;
    let input_tokens = new_tokens + known_tokens;
    let fits = input_tokens < room || random.percent(10);
    Question {
        model,
        input_tokens: if fits { input_tokens } else { room / 2 + input_tokens % (room / 2) },
        known_tokens,
        usual_output,
        most_output: random.pick(&[128, 512, 1_024, 2_048, 4_096]),
        patience_ns: client.patience_ns,
        wants_tool: client.talks && random.one_in(9),
        stream: client.talks && !random.one_in(10),
    }
}

/// What is known without reading a body.
fn frame(span: &mut Span, random: &mut Random, client: &Client, made: &Call) {
    let endpoint = made.endpoint(random);
    let operation = match endpoint {
        "/api/embed" => "embeddings",
        "/api/generate" => "text_completion",
        _ => "chat",
    };
    let verb = if operation == "text_completion" { "generate" } else { operation };
    let asked = span.model_requested.as_deref().unwrap_or(made.model.name);
    span.name = format!("{verb} {asked}");
    span.resource = Some(format!("POST {endpoint}"));
    span.kind = SpanKind::Client;
    span.llm_kind = Some(if operation == "embeddings" { LlmKind::Embedding } else { LlmKind::Llm });
    span.http_method = Some("POST".to_owned());
    span.http_status = Some(made.http_status());
    span.endpoint = Some(endpoint.to_owned());
    span.ml_app = client.app.map(str::to_owned);
    span.request_id = if random.one_in(4) { RequestId::given(&random.hex(12)) } else { None };
    let mut note = |name: &'static str, value: AttributeValue| span.attributes.set(name, value);
    note("gen_ai.operation.name", operation.into());
    note("user_agent.original", client.agent.into());
    note("server.address", made.model.address().into());
    note("andon.runtime.version", made.model.runtime_version().into());
    if made.model.speaks_ollama() {
        note("andon.model.on_gpu", (made.model.on_gpu as f64 / 100.0).into());
        note("andon.model.quantization", made.model.quantization.into());
    } else if made.failure.is_none() {
        note("gen_ai.response.id", format!("chatcmpl-{}", random.hex(16)).into());
    }
}

fn details(span: &mut Span, random: &mut Random, question: &Question, made: &Call) {
    let mut note = |name: &'static str, value: AttributeValue| span.attributes.set(name, value);
    if let Some(gap) = made.timings.stall_ns {
        note("andon.stream.p95_gap_ns", (gap / 2).into());
    }
    if made.model.write_ns == 0 {
        return;
    }
    note("gen_ai.request.max_tokens", question.most_output.into());
    if random.percent(60) {
        note("gen_ai.request.temperature", random.pick(&[0.0, 0.1, 0.6, 0.7, 0.8]).into());
    }
    if made.model.speaks_ollama() {
        match random.below(3) {
            _ if question.wants_tool => {}
            0 => note("andon.request.options.num_ctx", made.model.context_length.into()),
            1 => note("andon.request.keep_alive", random.pick(&["5m", "30m", "24h"]).into()),
            _ => {}
        }
    } else if random.one_in(3) {
        note("gen_ai.request.top_p", random.pick(&[0.9, 0.95, 1.0]).into());
    }
    if question.wants_tool {
        note("andon.request.tools", random.between(1, 12).into());
    }
}

/// Where the capture's memory of earlier calls places this one.
fn conversation(span: &mut Span, random: &mut Random, turn: u64, known_tokens: u64) {
    let thread = random.hex(16);
    let prompt = span.input_tokens.unwrap_or(0) * 4;
    let mut note = |name: &'static str, value: AttributeValue| span.attributes.set(name, value);
    note("gen_ai.conversation.id", thread.as_str().into());
    note("andon.prompt.parts", (turn * 2 + 2).into());
    note("andon.prompt.shared_parts", (turn * 2).into());
    note("andon.prompt.bytes", prompt.into());
    note("andon.prompt.shared_bytes", (known_tokens * 4).min(prompt).into());
    span.session_id = Some(thread);
}
