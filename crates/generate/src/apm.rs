//! Ordinary traces of services around the models, as tracers of Datadog and OpenTelemetry send
//! them: pages, calls from service to service, queries, queues. See [`crate::shop`] for who asks
//! whom.

use andon_model::{Attributes, RawText, Source, SpanKind, Status, UnixNanos};

use crate::{
    catalog::Service,
    random::Random,
    rhythm::Moment,
    shop::{ENTRIES, Operation, Query, Step},
    world::{Trace, World},
};

const MS: u64 = 1_000_000;
const US: u64 = 1_000;
/// A trace in so many asks once per row what it should have asked once.
const ROW_BY_ROW_ODDS: u64 = 250;

pub(crate) fn trace(world: &mut World, moment: &Moment) -> Trace {
    let source = world.random.pick(&[Source::Datadog, Source::Otlp]);
    let trace = world.begin(moment, source);
    let entry = world.random.weighted(ENTRIES.iter().map(|(weight, _)| *weight));
    let row_by_row = world.random.one_in(ROW_BY_ROW_ODDS);
    let rows = if row_by_row { world.random.between(40, 280) } else { 1 };
    let mut request = Request { world, moment, trace, rows };
    request.serve(ENTRIES[entry].1, None, moment.at_ns);
    request.trace
}

/// A request on its way through the shop.
struct Request<'a> {
    world: &'a mut World,
    moment: &'a Moment,
    trace: Trace,
    /// How many times the next query is asked.
    rows: u64,
}

/// When something ended, and whether it went well.
struct Outcome {
    end_ns: UnixNanos,
    failed: bool,
}

impl Request<'_> {
    fn random(&mut self) -> &mut Random {
        &mut self.world.random
    }

    fn is_datadog(&self) -> bool {
        self.trace.source == Source::Datadog
    }

    /// The service's side of an operation, with everything that it does for it.
    fn serve(
        &mut self,
        operation: &'static Operation,
        parent: Option<usize>,
        begin_ns: UnixNanos,
    ) -> Outcome {
        let place = self.world.add(&mut self.trace, operation.service, parent, begin_ns);
        let own_ns = self.random().log_normal(operation.own_ns, 70);
        let pause_ns = own_ns / (operation.steps.len() as u64 + 1);
        let (mut now_ns, mut failed) = (begin_ns + pause_ns, false);
        for step in operation.steps {
            let done = self.step(operation, step, place, now_ns);
            now_ns = done.end_ns + pause_ns;
            if done.failed && self.random().percent(70) {
                failed = true;
                break;
            }
        }
        self.trace.end(place, now_ns);
        if operation.method.is_empty() {
            self.describe_consumer(operation, place);
        } else {
            self.describe_server(operation, place, failed);
        }
        if failed {
            self.fail(place, "upstream_failed", "a service behind this one failed");
        }
        Outcome { end_ns: now_ns, failed }
    }

    fn step(
        &mut self,
        operation: &'static Operation,
        step: &'static Step,
        parent: usize,
        now_ns: UnixNanos,
    ) -> Outcome {
        let (share, service) = (step.share(), operation.service);
        if !self.random().percent(share) {
            return Outcome { end_ns: now_ns, failed: false };
        }
        match step {
            Step::Query(_, query) => self.queries(service, query, parent, now_ns),
            Step::Cache(_, command) => self.cache(service, command, parent, now_ns),
            Step::Internal(_, name, usual_ns) => {
                self.internal(service, name, *usual_ns, parent, now_ns)
            }
            Step::Call(_, callee) => self.ask(service, callee, parent, now_ns),
            Step::Publish(_, consumer) => self.publish(service, consumer, parent, now_ns),
        }
    }

    fn queries(
        &mut self,
        service: Service,
        query: &'static Query,
        parent: usize,
        begin_ns: UnixNanos,
    ) -> Outcome {
        let mut outcome = Outcome { end_ns: begin_ns, failed: false };
        for _ in 0..std::mem::replace(&mut self.rows, 1) {
            outcome = self.query(service, query, parent, outcome.end_ns + 40 * US);
        }
        outcome
    }

    fn query(
        &mut self,
        service: Service,
        query: &'static Query,
        parent: usize,
        begin_ns: UnixNanos,
    ) -> Outcome {
        // Datadog names the database a service of its own; with OpenTelemetry the app is the service.
        let service = if self.is_datadog() { Service::Postgres } else { service };
        let place = self.world.add(&mut self.trace, service, Some(parent), begin_ns);
        let random = &mut self.world.random;
        let slow = if random.one_in(300) { 20 } else { 1 };
        let end_ns = begin_ns + random.log_normal(query.usual_ns, 90) * slow;
        let rows = random.log_normal(6, 150);
        self.trace.end(place, end_ns);
        let datadog = self.is_datadog();
        let span = self.trace.span(place);
        span.kind = SpanKind::Client;
        let attributes = &mut span.attributes;
        if datadog {
            span.name = "postgres.query".to_owned();
            span.resource = Some(query.text.to_owned());
            attributes.set("span.type", "sql");
            attributes.set("db.name", "shop");
            attributes.set("db.row_count", rows);
        } else {
            span.name = format!("{} {}", query.verb, query.table);
            attributes.set("db.query.text", query.text);
            attributes.set("db.namespace", "shop");
            attributes.set("db.response.returned_rows", rows);
        }
        attributes.set("db.system.name", "postgresql");
        attributes.set("db.operation.name", query.verb);
        attributes.set("server.address", "db-1.internal");
        let failed = self.goes_wrong(80, 1);
        if failed {
            self.fail(place, "57014", "canceling statement due to statement timeout");
            self.trace.end(place, begin_ns + 5_000 * MS);
            return Outcome { end_ns: begin_ns + 5_000 * MS, failed };
        }
        Outcome { end_ns, failed }
    }

    fn cache(
        &mut self,
        service: Service,
        command: &'static str,
        parent: usize,
        begin_ns: UnixNanos,
    ) -> Outcome {
        let service = if self.is_datadog() { Service::Redis } else { service };
        let place = self.world.add(&mut self.trace, service, Some(parent), begin_ns);
        let end_ns = begin_ns + self.random().log_normal(380 * US, 80);
        self.trace.end(place, end_ns);
        let datadog = self.is_datadog();
        let span = self.trace.span(place);
        span.kind = SpanKind::Client;
        span.name = if datadog { "redis.command" } else { command }.to_owned();
        span.resource = datadog.then(|| command.to_owned());
        span.attributes.set("db.system.name", "redis");
        span.attributes.set("db.operation.name", command);
        span.attributes.set("server.address", "redis.internal");
        let failed = self.goes_wrong(20, 1);
        if failed {
            self.fail(place, "ConnectionError", "connection to redis.internal:6379 was reset");
        }
        Outcome { end_ns, failed }
    }

    fn internal(
        &mut self,
        service: Service,
        name: &'static str,
        usual_ns: u64,
        parent: usize,
        begin_ns: UnixNanos,
    ) -> Outcome {
        let place = self.world.add(&mut self.trace, service, Some(parent), begin_ns);
        let end_ns = begin_ns + self.random().log_normal(usual_ns, 80);
        let thread = self.random().between(1, 64);
        self.trace.end(place, end_ns);
        let span = self.trace.span(place);
        span.name = name.to_owned();
        span.attributes.set("code.function.name", name);
        span.attributes.set("thread.id", thread);
        Outcome { end_ns, failed: false }
    }

    /// The caller's side of a call, around the callee's.
    fn ask(
        &mut self,
        service: Service,
        callee: &'static Operation,
        parent: usize,
        begin_ns: UnixNanos,
    ) -> Outcome {
        let place = self.world.add(&mut self.trace, service, Some(parent), begin_ns);
        let network_ns = self.random().log_normal(450 * US, 70);
        let refused = self.goes_wrong(30, 1);
        let mut outcome = if refused {
            Outcome { end_ns: begin_ns + 2 * network_ns, failed: true }
        } else {
            self.serve(callee, Some(place), begin_ns + network_ns)
        };
        outcome.end_ns += network_ns;
        self.trace.end(place, outcome.end_ns);
        let datadog = self.is_datadog();
        let span = self.trace.span(place);
        span.kind = SpanKind::Client;
        span.http_method = Some(callee.method.to_owned());
        span.http_status = (!refused).then_some(if outcome.failed { 500 } else { 200 });
        let peer = callee.service.row().name;
        if datadog {
            span.name = "http.request".to_owned();
            span.resource = Some(format!("{} {}", callee.method, callee.route));
            span.attributes.set("span.type", "http");
            span.attributes.set("out.host", peer);
        } else {
            span.name = callee.method.to_owned();
            span.attributes.set("server.address", peer);
            span.attributes.set("server.port", 8080_u64);
        }
        if refused {
            self.fail(place, "ECONNREFUSED", "connection refused");
        } else if outcome.failed {
            self.fail(place, "500", "the answer has status 500");
        }
        outcome
    }

    /// The message is taken after the request has long gone on.
    fn publish(
        &mut self,
        service: Service,
        consumer: &'static Operation,
        parent: usize,
        begin_ns: UnixNanos,
    ) -> Outcome {
        let place = self.world.add(&mut self.trace, service, Some(parent), begin_ns);
        let end_ns = begin_ns + self.random().log_normal(2 * MS, 60);
        let waits_ns = self.random().log_normal(70 * MS, 180);
        self.trace.end(place, end_ns);
        let datadog = self.is_datadog();
        let span = self.trace.span(place);
        span.kind = SpanKind::Producer;
        name_message(span, consumer, datadog, "send");
        self.serve(consumer, Some(place), end_ns + waits_ns);
        Outcome { end_ns, failed: false }
    }

    fn describe_consumer(&mut self, operation: &'static Operation, place: usize) {
        let datadog = self.is_datadog();
        let offset = self.random().below(1 << 32);
        let span = self.trace.span(place);
        span.kind = SpanKind::Consumer;
        name_message(span, operation, datadog, "process");
        span.attributes.set("messaging.kafka.offset", offset);
        span.attributes.set("messaging.destination.partition.id", offset % 12);
    }

    fn describe_server(&mut self, operation: &'static Operation, place: usize, failed: bool) {
        let datadog = self.is_datadog();
        let random = &mut self.world.random;
        let status = match (failed, random.below(100)) {
            (true, _) => 500,
            (false, 0) => 404,
            (false, 1) => 401,
            (false, _) => 200,
        };
        let path = path(operation.route, random.below(20_000));
        let row = operation.service.row();
        let is_page = operation.service == Service::ShopWeb;
        let agent = is_page.then(|| random.pick(&BROWSERS));
        let user = (is_page && random.percent(40)).then(|| crate::session::user(random));
        let span = self.trace.span(place);
        span.kind = SpanKind::Server;
        span.http_method = Some(operation.method.to_owned());
        span.http_route = Some(operation.route.to_owned());
        span.http_status = Some(status);
        span.user_id = user;
        let named = format!("{} {}", operation.method, operation.route);
        if datadog {
            span.name = "http.server.request".to_owned();
            span.resource = Some(named);
        } else {
            span.name = named;
        }
        describe_request(&mut span.attributes, datadog, path, agent, row.language);
    }

    /// Of ten thousand so many, in an incident and otherwise.
    fn goes_wrong(&mut self, in_incident: u64, otherwise: u64) -> bool {
        let odds = if self.moment.incident { 10 * in_incident } else { 5 * otherwise };
        self.random().below(10_000) < odds
    }

    fn fail(&mut self, place: usize, error_type: &str, message: &str) {
        let observation = &mut self.trace.observations[place];
        observation.span.status = Status::Error;
        observation.span.error_type = Some(error_type.to_owned());
        observation.error_message = Some(RawText::new(message));
    }
}

impl Step {
    fn share(&self) -> u64 {
        match self {
            Self::Query(share, _)
            | Self::Cache(share, _)
            | Self::Internal(share, ..)
            | Self::Call(share, _)
            | Self::Publish(share, _) => *share,
        }
    }
}

const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36",
];

fn describe_request(
    attributes: &mut Attributes,
    datadog: bool,
    path: String,
    agent: Option<&str>,
    language: &'static str,
) {
    let (path_name, agent_name, language_name) = match datadog {
        true => ("http.url", "http.useragent", "language"),
        false => ("url.path", "user_agent.original", "telemetry.sdk.language"),
    };
    attributes.set(path_name, path);
    attributes.set(language_name, language);
    if let Some(agent) = agent {
        attributes.set(agent_name, agent);
    }
    if datadog {
        attributes.set("span.type", "web");
    } else {
        attributes.set("url.scheme", "http");
        attributes.set("network.protocol.version", "1.1");
    }
}

fn name_message(
    span: &mut andon_model::Span,
    consumer: &Operation,
    datadog: bool,
    verb: &'static str,
) {
    let named = format!("{verb} {}", consumer.route);
    if datadog {
        span.name = if verb == "send" { "kafka.produce" } else { "kafka.consume" }.to_owned();
        span.resource = Some(named);
    } else {
        span.name = named;
    }
    span.attributes.set("messaging.system", "kafka");
    span.attributes.set("messaging.destination.name", consumer.route);
    span.attributes.set("messaging.operation.name", verb);
}

/// The route with a number for what stands in braces.
fn path(route: &str, number: u64) -> String {
    match route.split_once('{').zip(route.split_once('}')) {
        Some(((head, _), (_, tail))) => format!("{head}{number}{tail}"),
        None => route.to_owned(),
    }
}
