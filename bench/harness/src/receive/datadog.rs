//! A body of `/v0.4/traces` in MessagePack, as ddtrace 4.16 was recorded to send it.

use super::{spans::Span, template::Template};

pub(crate) fn body(now_ns: u64, spans: &[Span]) -> Template {
    // One list for each trace: a span without a parent begins one.
    let begins: Vec<usize> = (0..spans.len()).filter(|at| spans[*at].parent == 0).collect();
    let mut to = Template::new(now_ns);
    list(&mut to.bytes, begins.len());
    for (which, begin) in begins.iter().enumerate() {
        let end = begins.get(which + 1).copied().unwrap_or(spans.len());
        let trace = &spans[*begin..end];
        list(&mut to.bytes, trace.len());
        for span in trace {
            self::span(&mut to, span);
        }
    }
    to
}

fn span(to: &mut Template, span: &Span) {
    let parts = 11 + usize::from(span.parent != 0) + usize::from(span.call.is_some());
    map(&mut to.bytes, parts);
    number(to, "trace_id", span.trace);
    number(to, "span_id", span.id);
    if span.parent != 0 {
        number(to, "parent_id", span.parent);
    }
    let bytes = &mut to.bytes;
    text(bytes, "start");
    bytes.push(0xcf);
    to.time_big(span.start_ns);
    let bytes = &mut to.bytes;
    text(bytes, "duration");
    bytes.push(0xcf);
    bytes.extend(span.duration_ns.to_be_bytes());
    for (name, value) in [
        ("service", span.service),
        ("name", if span.call.is_some() { "openai.request" } else { "fastapi.request" }),
        ("resource", span.name.as_str()),
        ("type", if span.call.is_some() { "llm" } else { "web" }),
    ] {
        text(bytes, name);
        text(bytes, value);
    }
    text(bytes, "error");
    bytes.push(u8::from(span.status >= 500));
    meta(bytes, span);
    text(bytes, "metrics");
    map(bytes, 3);
    for (name, value) in
        [("_sampling_priority_v1", 1.0), ("_dd.top_level", 1.0), ("process_id", 26039.0_f64)]
    {
        text(bytes, name);
        bytes.push(0xcb);
        bytes.extend(value.to_be_bytes());
    }
    if let Some(call) = &span.call {
        text(bytes, "meta_struct");
        map(bytes, 1);
        text(bytes, "_llmobs");
        let said = said(span, call);
        bytes.push(0xc6);
        bytes.extend((said.len() as u32).to_be_bytes());
        bytes.extend(said);
    }
}

fn meta(to: &mut Vec<u8>, span: &Span) {
    let status = span.status.to_string();
    let address = format!("http://shop.example:8080{}", span.path);
    let mut tags = vec![
        ("_dd.p.dm", "-0"),
        ("_dd.p.tid", "6b05c22e00000000"),
        ("language", "python"),
        ("runtime-id", "96ce8f5ca9784f2a9a0875993c85b264"),
    ];
    if span.call.is_none() {
        tags.extend([
            ("component", "fastapi"),
            ("span.kind", "server"),
            ("http.method", span.method),
            ("http.route", span.route),
            ("http.url", &address),
            ("http.status_code", &status),
            ("http.useragent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0"),
        ]);
    }
    text(to, "meta");
    map(to, tags.len());
    for (name, value) in tags {
        text(to, name);
        text(to, value);
    }
}

/// `meta_struct["_llmobs"]`, itself MessagePack.
fn said(span: &Span, call: &super::spans::Call) -> Vec<u8> {
    let mut to = Vec::new();
    let pairs = |to: &mut Vec<u8>, name: &str, pairs: &[(&str, &str)]| {
        text(to, name);
        map(to, pairs.len());
        for (name, value) in pairs {
            text(to, name);
            text(to, value);
        }
    };
    let messages = |to: &mut Vec<u8>, name: &str, role: &str, content: &str| {
        text(to, name);
        map(to, 1);
        text(to, "messages");
        list(to, 1);
        map(to, 2);
        for (name, value) in [("role", role), ("content", content)] {
            text(to, name);
            text(to, value);
        }
    };
    map(&mut to, 6);
    text(&mut to, "name");
    text(&mut to, &span.name);
    text(&mut to, "ml_app");
    text(&mut to, "shop");
    text(&mut to, "parent_id");
    text(&mut to, "undefined");
    text(&mut to, "meta");
    map(&mut to, 5);
    pairs(&mut to, "span", &[("kind", "llm")]);
    text(&mut to, "model_name");
    text(&mut to, call.model);
    text(&mut to, "model_provider");
    text(&mut to, "ollama");
    messages(&mut to, "input", "user", &call.question);
    messages(&mut to, "output", "assistant", &call.answer);
    text(&mut to, "metrics");
    map(&mut to, 2);
    for (name, value) in
        [("input_tokens", call.input_tokens), ("output_tokens", call.output_tokens)]
    {
        text(&mut to, name);
        to.push(0xcf);
        to.extend(value.to_be_bytes());
    }
    pairs(
        &mut to,
        "tags",
        &[("ml_app", "shop"), ("service", span.service), ("language", "python")],
    );
    to
}

fn number(to: &mut Template, name: &str, id: u64) {
    text(&mut to.bytes, name);
    to.bytes.push(0xcf);
    to.id(id);
}

fn map(to: &mut Vec<u8>, entries: usize) {
    to.push(0xde);
    to.extend((entries as u16).to_be_bytes());
}

fn list(to: &mut Vec<u8>, entries: usize) {
    to.push(0xdd);
    to.extend((entries as u32).to_be_bytes());
}

fn text(to: &mut Vec<u8>, text: &str) {
    match text.len() {
        length @ 0..32 => to.push(0xa0 | length as u8),
        length => {
            to.push(0xda);
            to.extend((length as u16).to_be_bytes());
        }
    }
    to.extend(text.as_bytes());
}
