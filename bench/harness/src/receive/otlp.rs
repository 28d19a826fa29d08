//! `ExportTraceServiceRequest` in protobuf, as far as it is sent here
//! (opentelemetry-proto, `collector/trace/v1/trace_service.proto`).

use super::{spans::Span, template::Template};

/// The upper half of all trace ids: clients draw it by chance, which changes nothing here.
const TRACE_HIGH: u64 = 0x0af7_6519_16cd_43dd;

const LENGTH: u64 = 2;
const FIXED64: u64 = 1;
const VARINT: u64 = 0;

pub(crate) fn body(now_ns: u64, spans: &[Span]) -> Template {
    let service = spans.first().map_or("", |span| span.service);
    let mut resource = Vec::new();
    for (name, value) in [
        ("service.name", service),
        ("service.version", "1.4.2"),
        ("deployment.environment.name", "production"),
        ("telemetry.sdk.language", "python"),
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.version", "1.39.1"),
        ("host.name", "vps-1"),
    ] {
        message(&mut resource, 1, &attribute(name, &Value::Text(value)));
    }
    let mut scope = Vec::new();
    message(&mut scope, 1, b"opentelemetry.instrumentation.asgi");
    message(&mut scope, 2, b"0.60b1");

    let mut scope_spans = Template::new(now_ns);
    message(&mut scope_spans.bytes, 1, &scope);
    for span in spans {
        nested(&mut scope_spans, 2, &self::span(now_ns, span));
    }
    let mut resource_spans = Template::new(now_ns);
    message(&mut resource_spans.bytes, 1, &resource);
    nested(&mut resource_spans, 2, &scope_spans);
    let mut request = Template::new(now_ns);
    nested(&mut request, 1, &resource_spans);
    request
}

fn span(now_ns: u64, span: &Span) -> Template {
    let mut to = Template::new(now_ns);
    tag(&mut to.bytes, 1, LENGTH);
    varint(&mut to.bytes, 16);
    to.bytes.extend(TRACE_HIGH.to_be_bytes());
    to.id(span.trace);
    id(&mut to, 2, span.id);
    if span.parent != 0 {
        id(&mut to, 4, span.parent);
    }
    message(&mut to.bytes, 5, span.name.as_bytes());
    tag(&mut to.bytes, 6, VARINT);
    varint(&mut to.bytes, if span.call.is_some() { 3 } else { 2 });
    tag(&mut to.bytes, 7, FIXED64);
    to.time_little(span.start_ns);
    tag(&mut to.bytes, 8, FIXED64);
    to.time_little(span.start_ns + span.duration_ns);
    for (name, value) in attributes(span) {
        message(&mut to.bytes, 9, &attribute(name, &value));
    }
    if span.status >= 500 {
        let mut status = Vec::new();
        tag(&mut status, 3, VARINT);
        varint(&mut status, 2);
        message(&mut to.bytes, 15, &status);
    }
    to
}

fn attributes(span: &Span) -> Vec<(&'static str, Value<'_>)> {
    let Some(call) = &span.call else {
        return vec![
            ("http.request.method", Value::Text(span.method)),
            ("url.scheme", Value::Text("http")),
            ("url.path", Value::Text(&span.path)),
            ("http.route", Value::Text(span.route)),
            ("http.response.status_code", Value::Number(span.status)),
            ("server.address", Value::Text("shop.example")),
            ("server.port", Value::Number(8080)),
            ("client.address", Value::Text("203.0.113.7")),
            ("network.protocol.version", Value::Text("1.1")),
            ("user_agent.original", Value::Text("Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0")),
        ];
    };
    let message = |role: &str, text: &str| {
        format!(r#"[{{"role":"{role}","parts":[{{"type":"text","content":"{text}"}}]}}]"#)
    };
    vec![
        ("gen_ai.operation.name", Value::Text("chat")),
        ("gen_ai.provider.name", Value::Text("ollama")),
        ("gen_ai.request.model", Value::Text(call.model)),
        ("gen_ai.response.model", Value::Text(call.model)),
        ("gen_ai.request.max_tokens", Value::Number(512)),
        ("gen_ai.usage.input_tokens", Value::Number(call.input_tokens)),
        ("gen_ai.usage.output_tokens", Value::Number(call.output_tokens)),
        ("server.address", Value::Text("127.0.0.1")),
        ("server.port", Value::Number(11434)),
        ("gen_ai.input.messages", Value::Own(message("user", &call.question))),
        ("gen_ai.output.messages", Value::Own(message("assistant", &call.answer))),
    ]
}

enum Value<'a> {
    Text(&'a str),
    Own(String),
    Number(u64),
}

fn attribute(name: &str, value: &Value) -> Vec<u8> {
    let mut any = Vec::new();
    match value {
        Value::Text(text) => message(&mut any, 1, text.as_bytes()),
        Value::Own(text) => message(&mut any, 1, text.as_bytes()),
        Value::Number(number) => {
            tag(&mut any, 3, VARINT);
            varint(&mut any, *number);
        }
    }
    let mut pair = Vec::new();
    message(&mut pair, 1, name.as_bytes());
    message(&mut pair, 2, &any);
    pair
}

fn id(to: &mut Template, field: u64, id: u64) {
    tag(&mut to.bytes, field, LENGTH);
    varint(&mut to.bytes, 8);
    to.id(id);
}

fn nested(to: &mut Template, field: u64, of: &Template) {
    tag(&mut to.bytes, field, LENGTH);
    varint(&mut to.bytes, of.bytes.len() as u64);
    to.append(of);
}

fn message(to: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    tag(to, field, LENGTH);
    varint(to, bytes.len() as u64);
    to.extend(bytes);
}

fn tag(to: &mut Vec<u8>, field: u64, kind: u64) {
    varint(to, field << 3 | kind);
}

fn varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}
