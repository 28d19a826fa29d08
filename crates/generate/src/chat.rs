//! A question on Andon's own chat page: the browser's span, the gateway's, the proxy's, and that of
//! the call to the model, as `andon-gateway` and the page record them.

use andon_model::{AttributeValue, LlmKind, RequestId, Source, SpanKind, Status};

use crate::{
    call::{Call, Question, call},
    catalog::{MODELS, Service},
    random::Random,
    rhythm::Moment,
    session::Session,
    world::{Trace, World},
};

const MS: u64 = 1_000_000;
const US: u64 = 1_000;
const PATIENCE: u64 = 30_000 * MS;

/// Who asks, as three of the spans name them.
struct Asker {
    session: String,
    user: Option<String>,
    request: Option<RequestId>,
    path: &'static str,
    stream: bool,
}

pub(crate) fn trace(world: &mut World, moment: &Moment) -> Trace {
    let mut trace = world.begin(moment, Source::Gateway);
    let session = world.sessions.next(&mut world.random, moment.at_ns);
    trace.language = session.language;
    let question = question(&mut world.random, session);
    let granite = MODELS[question.model].name.starts_with("granite");
    let asker = Asker {
        session: session.id.clone(),
        user: (!session.turn.is_multiple_of(7)).then(|| session.user.clone()),
        request: RequestId::given(&world.random.hex(16)),
        path: if granite { "/granite" } else { "/chat" },
        stream: question.stream,
    };
    let made = call(world, moment, &question);
    // The way there: from the click to the gateway, to the proxy, to the model; and back again.
    let random = &mut world.random;
    let there = [
        random.log_normal(5 * MS, 120),
        random.log_normal(160 * US, 60),
        random.log_normal(90 * US, 60),
    ];
    let back = there.map(|ns| ns / 2 + random.below(60 * US));
    let inner = made.duration_ns + there[2] + back[2];
    let outer = inner + there[1] + back[1];
    let browser = browser(world, &mut trace, moment, &asker, &made);
    let gateway = world.add(&mut trace, Service::Gateway, Some(browser), moment.at_ns + there[0]);
    server(&mut trace, gateway, &asker, &made, outer, &mut world.random);
    let at_ns = moment.at_ns + there[0] + there[1];
    let proxy = world.add(&mut trace, Service::Proxy, Some(gateway), at_ns);
    server(&mut trace, proxy, &asker, &made, inner, &mut world.random);
    let llm = world.add(&mut trace, made.model.runtime, Some(proxy), at_ns + there[2]);
    model_call(world, &mut trace, llm, &asker, &question, &made);
    let painted = 18 * MS + back[0];
    trace.span(browser).duration_ns = there[0] + outer + painted;
    trace
}

/// Grows with each turn; an app that runs out of room forgets the first half.
fn question(random: &mut Random, session: &mut Session) -> Question {
    let model = &MODELS[session.model];
    let room = model.context_length * 4 / 5;
    let mut known_tokens = session.context_tokens;
    if session.context_tokens > room && random.percent(85) {
        session.context_tokens /= 2;
        known_tokens = 40;
    }
    let new_tokens = 12 + random.log_normal(46, 150);
    let most_output = if random.percent(70) { 512 } else { 40 };
    let question = Question {
        model: session.model,
        input_tokens: session.context_tokens + new_tokens,
        known_tokens,
        usual_output: 170,
        most_output,
        patience_ns: PATIENCE,
        wants_tool: false,
        stream: !random.one_in(8),
    };
    session.context_tokens += new_tokens + random.log_normal(150, 80).min(most_output);
    question
}

fn browser(
    world: &mut World,
    trace: &mut Trace,
    moment: &Moment,
    asker: &Asker,
    made: &Call,
) -> usize {
    let place = world.add(trace, Service::Browser, None, moment.at_ns);
    made.write_outcome(trace, place, &mut world.random);
    trace.observations[place].error_message = None;
    let span = trace.span(place);
    span.name = "ask".to_owned();
    span.kind = SpanKind::Client;
    span.source = Source::Rum;
    span.session_id = Some(asker.session.clone());
    let outcome = match (span.error_type.as_deref(), world.random.one_in(2)) {
        (None, _) => "done",
        (Some("client_gone"), true) => "stopped",
        (Some("client_gone"), false) => "left",
        (Some(_), _) => "error",
    };
    if matches!(outcome, "stopped" | "left") {
        span.status = Status::Ok;
        span.error_type = None;
    }
    let attributes = &mut span.attributes;
    attributes.set("outcome", outcome);
    attributes.set("phases", phases(made));
    attributes.set("pieces", made.output_tokens.unwrap_or(0));
    if let Some(first) = made.timings.ttft_ns {
        attributes.set("first_token_ms", first.div_ceil(MS));
    }
    attributes.set("view.id", world.random.hex(16));
    attributes.set("url.full", "http://127.0.0.1:3000/");
    place
}

fn phases(made: &Call) -> &'static str {
    let timings = &made.timings;
    let loaded = timings.load_ns.is_some_and(|ns| ns > 100 * MS);
    match (timings.queue_ns.is_some_and(|ns| ns > 0), loaded, timings.eval_ns.is_some()) {
        (_, _, false) => "queue",
        (true, true, _) => "queue load prompt generate",
        (true, false, _) => "queue prompt generate",
        (false, true, _) => "load prompt generate",
        (false, false, _) => "prompt generate",
    }
}

/// The gateway's span or the proxy's.
fn server(
    trace: &mut Trace,
    place: usize,
    asker: &Asker,
    made: &Call,
    duration_ns: u64,
    random: &mut Random,
) {
    made.write_outcome(trace, place, random);
    let span = trace.span(place);
    span.duration_ns = duration_ns;
    span.name = format!("POST {}", asker.path);
    span.resource = Some(span.name.clone());
    span.kind = SpanKind::Server;
    span.http_method = Some("POST".to_owned());
    span.http_route = Some(asker.path.to_owned());
    span.http_status = Some(made.http_status());
    span.model_requested = Some(made.model.name.to_owned());
    span.stream = Some(asker.stream);
    span.session_id = Some(asker.session.clone());
    span.user_id.clone_from(&asker.user);
    span.request_id.clone_from(&asker.request);
    if made.failure.is_some() {
        span.cause = Some(made.cause);
        if let Some(phase) = made.phase {
            span.attributes.set("andon.error.phase", phase);
        }
    } else {
        span.model = Some(made.model.name.to_owned());
    }
}

fn model_call(
    world: &mut World,
    trace: &mut Trace,
    place: usize,
    asker: &Asker,
    question: &Question,
    made: &Call,
) {
    made.write(trace, place, &mut world.random);
    let random = &mut world.random;
    let endpoint = made.endpoint(random);
    let span = trace.span(place);
    let verb = if endpoint.ends_with("generate") { "generate" } else { "chat" };
    span.name = format!("{verb} {}", made.model.name);
    span.kind = SpanKind::Client;
    span.llm_kind = Some(LlmKind::Llm);
    span.endpoint = Some(endpoint.to_owned());
    span.session_id = Some(asker.session.clone());
    span.user_id.clone_from(&asker.user);
    span.request_id.clone_from(&asker.request);
    let mut note = |name: &'static str, value: AttributeValue| span.attributes.set(name, value);
    note("gen_ai.request.max_tokens", question.most_output.into());
    note("gen_ai.request.temperature", random.pick(&[0.0, 0.2, 0.7, 0.7, 0.8, 1.0]).into());
    note("server.address", made.model.address().into());
    note("andon.runtime.version", made.model.runtime_version().into());
    note("andon.model.quantization", made.model.quantization.into());
    if made.model.speaks_ollama() && made.failure.is_none() {
        note("andon.runtime.total_ns", made.duration_ns.into());
        note("andon.runtime.threads", if made.model.on_gpu == 0 { 4_u64 } else { 8 }.into());
    }
    if let Some(phase) = made.phase {
        note("andon.error.phase", phase.into());
    }
}
