use andon_model::{AttributeValue, LlmKind, Part, Source, SpanKind, Status};
use http::{Method, StatusCode};
use serde_json::json;

use crate::*;

const ARTICLE_TRACE: &str = "6b05c1810000000004b831e3c35a206f";

#[tokio::test]
async fn an_agent_says_what_it_takes() {
    let receiver = Receiver::new();
    let (status, said) = receiver.send(Method::GET, "/info", "application/json", b"").await;
    assert_eq!(status, StatusCode::OK);
    let endpoints = said["endpoints"].as_array().unwrap();
    for needed in ["/v0.4/traces", "/v0.5/traces", "/evp_proxy/v2/", "/telemetry/proxy/"] {
        assert!(endpoints.contains(&needed.into()), "{needed}");
    }
    assert_eq!(said["span_meta_structs"], true);
    assert_eq!(said["client_drop_p0s"], false);
    assert_eq!(said["config"]["receiver_port"], 8126);
}

#[tokio::test]
async fn the_articles_programs_make_one_trace() {
    // In the order in which they came: what was called before what called it.
    let receiver = Receiver::new();
    receiver.traces("/v0.4/traces", ARTICLE_PYTHON).await;
    receiver.traces("/v0.4/traces", ARTICLE_NODE).await;
    let id = receiver.named("/chat_request").span.trace_id;
    let spans = receiver.spans();
    let of_trace: Vec<_> = spans.values().filter(|it| it.span.trace_id == id).collect();
    assert_eq!(id.to_string(), ARTICLE_TRACE);
    let by_id = |id| of_trace.iter().find(|it| Some(it.span.span_id) == id);
    let one = |name: &str| {
        let mut found = of_trace.iter().filter(|it| it.span.name == name);
        found.next().unwrap_or_else(|| panic!("no {name}"))
    };
    // From the inside out.
    let mut way = Vec::new();
    let mut at = Some(one("urllib3.request"));
    while let Some(observation) = at {
        way.push((observation.span.service.as_str(), observation.span.name.as_str()));
        at = by_id(observation.span.parent_id);
    }
    let way: Vec<_> = way.into_iter().rev().collect();
    let expected = [
        ("granite-ai-node_app2", "express.request"),
        ("granite-ai-node_app2", "router.middleware"),
        ("granite-ai-node_app2", "router.middleware"),
        ("granite-ai-node_app2", "http.request"),
        ("llm-worker", "flask.request"),
        ("llm-worker", "flask.application"),
        ("llm-worker", "flask.dispatch_request"),
        ("llm-worker", "/chat"),
        ("requests", "requests.request"),
        ("urllib3", "urllib3.request"),
    ];
    assert_eq!(way, expected);

    let express = &one("express.request").span;
    assert_eq!((express.source, express.kind), (Source::Datadog, SpanKind::Server));
    assert_eq!(express.parent_id, None);
    assert_eq!(express.resource.as_deref(), Some("POST /chat"));
    assert_eq!(express.http_method.as_deref(), Some("POST"));
    assert_eq!(express.http_route.as_deref(), Some("/chat"));
    assert_eq!(express.http_status, Some(200));
    assert_eq!(express.env.as_deref(), Some("prod"));
    assert_eq!(express.version.as_deref(), Some("0.0.3"));
    assert_eq!(express.host.as_deref(), Some("ome"));
    assert_eq!(express.pid, Some(25403));
    assert_eq!(express.status, Status::Unset);
    assert_eq!(express.attributes["code.line.number"], AttributeValue::Int(19));
    for noise in ["_dd.p.tid", "_dd.p.dm", "_sampling_priority_v1", "_dd.agent_psr", "service"] {
        assert_eq!(express.attributes.get(noise), None, "{noise}");
    }
    // What the root alone says holds for its process.
    assert_eq!(one("requests.request").span.pid, Some(25402));
    assert_eq!(one("requests.request").span.kind, SpanKind::Client);

    let workflow = one("/chat_request");
    assert_eq!(workflow.span.llm_kind, Some(LlmKind::Workflow));
    assert_eq!(workflow.span.ml_app.as_deref(), Some("granite-ai"));
    assert_eq!(workflow.span.model_requested.as_deref(), Some("tinyllama:latest"));
    assert_eq!(workflow.span.provider.as_deref(), Some("ollama"));
    assert_eq!(workflow.span.endpoint.as_deref(), Some("/chat"));
    assert_eq!(workflow.span.stream, Some(false));
    assert!(workflow.span.input_tokens.is_some_and(|tokens| tokens > 0));
    assert!(workflow.span.output_tokens.is_some_and(|tokens| tokens > 0));
    assert_eq!(workflow.span.attributes["gen_ai.request.max_tokens"], AttributeValue::Int(40));
    assert_eq!(workflow.span.attributes["dd.metrics.quality"], AttributeValue::Int(0));
    let other = AttributeValue::from("6b05c1810000000065330c16bcb1292c");
    assert_eq!(workflow.span.attributes["dd.llmobs.trace_id"], other);
    // Cut by the program itself; here they stay as they are.
    let said = texts(workflow);
    assert_eq!(
        said[0],
        (Part::Input, "", "次の文章を要約してく*11文字目以降を非表示にしています*")
    );
    assert_eq!(said[1].0, Part::Output);
    assert!(said[1].2.ends_with("*11文字目以降を非表示にしています*"), "{}", said[1].2);
}

#[tokio::test]
async fn the_articles_failure_is_one_though_its_span_says_nothing() {
    let receiver = Receiver::new();
    receiver.traces("/v0.4/traces", ARTICLE_PYTHON).await;
    let failed = receiver.named("/chat_error");
    assert_eq!(failed.span.status, Status::Error);
    let message = failed.error_message.as_ref().unwrap().expose();
    assert!(!message.is_empty());
    // Its words are nowhere else: neither an attribute nor one that would be protected by less.
    for (name, value) in &failed.span.attributes {
        assert_ne!(*value, AttributeValue::from(message), "{name}");
    }
    assert!(failed.attributes.iter().all(|it| it.text.expose() != message));
    assert_eq!(failed.span.attributes.get("error"), None);
}

#[tokio::test]
async fn json_and_msgpack_say_the_same() {
    let body = json!([[{
        "trace_id": u64::MAX, "span_id": "18446744073709551614", "parent_id": 0, "name": "web.request",
        "service": "shop", "resource": "GET /", "type": null, "start": 1_700_000_000_000_000_000u64,
        "duration": 1.5e9, "error": 1, "unknown": [{"deep": {}}],
        "meta": {"_dd.p.tid": "6b05c18100000000", "http.status_code": 503, "error.msg": "失敗", "none": null},
        "metrics": {"rows": 3.0, "share": 0.25},
    }, {"trace_id": u64::MAX, "span_id": 7, "parent_id": u64::MAX - 1}]]);
    let packed = rmp_serde::to_vec(&body).unwrap();
    for (kind, body) in [("application/msgpack", packed), ("text/json", body.to_string().into())] {
        let receiver = Receiver::new();
        let (status, said) = receiver.send(Method::POST, "/v0.3/traces", kind, &body).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        let span = receiver.named("web.request");
        assert_eq!(span.span.trace_id.to_string(), "6b05c18100000000ffffffffffffffff");
        assert_eq!(span.span.span_id.to_string(), "fffffffffffffffe");
        assert_eq!(
            (span.span.start_ns, span.span.duration_ns),
            (1_700_000_000_000_000_000, 1_500_000_000)
        );
        assert_eq!((span.span.status, span.span.http_status), (Status::Error, Some(503)));
        assert_eq!(span.span.error_type.as_deref(), Some("503"));
        assert_eq!(span.error_message.unwrap().expose(), "失敗");
        assert_eq!(span.span.attributes["rows"], AttributeValue::Int(3));
        assert_eq!(span.span.attributes["share"], AttributeValue::Float(0.25));
        assert_eq!(span.span.attributes["telemetry.sdk.language"], AttributeValue::from("python"));
        // What one span says of the trace's id holds for all of the chunk.
        let other = receiver.named("");
        assert_eq!(other.span.trace_id, span.span.trace_id);
        assert_eq!(other.span.parent_id, Some(span.span.span_id));
    }
}

#[tokio::test]
async fn statements_links_events_and_documents_are_kept() {
    let stack = rmp_serde::to_vec(&json!({"frames": [{"file": "a.py", "line": 3}]})).unwrap();
    let linked =
        json!([{"trace_id": "6b05c18100000000ffffffffffffffff", "span_id": "00000000000000aa"}]);
    let body = json!([[{
        "trace_id": 1, "span_id": 2, "name": "pg", "service": "db", "type": "sql",
        "resource": "INSERT INTO prompts VALUES ('秘密の話')",
        "meta": {"_dd.span_links": linked.to_string(),
            "events": json!([{"name": "cached", "time_unix_nano": 5, "attributes": {"key": "k"}}]).to_string()},
        "span_events": [{"name": "exception", "time_unix_nano": 9, "attributes":
            {"exception.message": {"type": 0, "string_value": "no"}}}],
        "span_links": [{"trace_id": 4, "trace_id_high": 3, "span_id": 5}],
    }]]);
    let mut tree: Vec<Vec<std::collections::BTreeMap<String, rmp_serde_value::Value>>> = rmp(&body);
    tree[0][0].insert("meta_struct".into(), rmp_serde_value::documents("_dd.stack", &stack));
    let receiver = Receiver::new();
    receiver.traces("/v0.4/traces", &rmp_serde::to_vec(&tree).unwrap()).await;
    let span = receiver.named("pg");
    assert_eq!(span.span.resource.as_deref(), Some("INSERT"));
    let held = |name: &str| {
        let found = span.attributes.iter().find(|it| it.name == name);
        found.map(|it| it.text.expose().to_owned())
    };
    assert_eq!(held("db.query.text").as_deref(), Some("INSERT INTO prompts VALUES (?)"));
    assert_eq!(held("event.1.exception.message").as_deref(), Some("no"));
    let document = span.span.attributes["meta_struct._dd.stack"].clone();
    assert_eq!(document, AttributeValue::from(r#"{"frames":[{"file":"a.py","line":3}]}"#));
    let link = span.span.attributes["link.0.trace_id"].clone();
    assert_eq!(link, AttributeValue::from("00000000000000030000000000000004"));
    assert_eq!(span.span.attributes["event.0.name"], AttributeValue::from("cached"));
}

#[tokio::test]
async fn one_bad_span_does_not_cost_the_others() {
    let body = json!([
        [{"trace_id": 0, "span_id": 1}, {"trace_id": 1, "span_id": 0}, 5, {"trace_id": 1, "span_id": 1, "name": "good"}],
        null,
        [],
    ]);
    let receiver = Receiver::new();
    receiver.traces("/v0.4/traces", &rmp_serde::to_vec(&body).unwrap()).await;
    receiver.named("good");
    for reason in [Reason::TraceId, Reason::SpanId, Reason::Unreadable] {
        assert_eq!(receiver.rejected(reason), 1, "{reason:?}");
    }
    assert_eq!(receiver.counts().spans, 1);
}

#[tokio::test]
async fn what_a_client_calls_besides_is_answered_and_counted() {
    let receiver = Receiver::new();
    let calls = [
        ("/telemetry/proxy/api/v2/apmtelemetry", StatusCode::ACCEPTED),
        ("/v0.7/config", StatusCode::NOT_FOUND),
        ("/v0.6/stats", StatusCode::OK),
        ("/evp_proxy/v4/api/v2/citestcycle", StatusCode::ACCEPTED),
        ("/profiling/v1/input", StatusCode::OK),
    ];
    for (path, expected) in calls {
        let (status, _) = receiver.send(Method::POST, path, "application/json", b"{}").await;
        assert_eq!(status, expected, "{path}");
    }
    assert_eq!(receiver.rejected(Reason::NotKept), calls.len() as u64);
    let (status, said) = receiver.send(Method::POST, "/v1.0/traces", "", b"x").await;
    assert_eq!(
        (status, said["error"]["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("not_found"))
    );
    let (status, _) = receiver.send(Method::GET, "/v0.4/traces", "", b"").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let page = Request::put("/v0.4/traces").header("Origin", "https://a.page");
    let page = page.body(Full::new(Bytes::from_static(b"\x90"))).unwrap();
    let answer = receiver.datadog.clone().answer(page).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_packed_body_is_unpacked() {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(ARTICLE_NODE).unwrap();
    let receiver = Receiver::new();
    let request = Request::post("/v0.4/traces").header("Content-Encoding", "gzip");
    let request = request.body(Full::new(Bytes::from(packed.finish().unwrap()))).unwrap();
    let response = receiver.datadog.clone().answer(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(receiver.counts().bytes, ARTICLE_NODE.len() as u64);
    assert!(receiver.counts().spans > 10);
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged() {
    let receiver = Receiver::new();
    let full = Refused::Unavailable("the disk is full".to_owned());
    let refusals = [(Refused::Busy, 429, "busy"), (full, 503, "unavailable")];
    for (refusal, expected, code) in refusals {
        *receiver.kept.refusal.lock().unwrap() = Some(refusal);
        let kind = "application/msgpack";
        for (path, kind, body) in
            [("/v0.4/traces", kind, ARTICLE_NODE), (LLM_SPANS, "application/json", LLM_SPANS_3)]
        {
            let (status, said) = receiver.send(Method::POST, path, kind, body).await;
            assert_eq!((status.as_u16(), said["error"]["code"].as_str()), (expected, Some(code)));
        }
    }
    *receiver.kept.refusal.lock().unwrap() = None;
    receiver.traces("/v0.4/traces", ARTICLE_NODE).await;
    receiver.json(LLM_SPANS, LLM_SPANS_3).await;
}

fn rmp<T: serde::de::DeserializeOwned>(json: &Json) -> T {
    rmp_serde::from_slice(&rmp_serde::to_vec(json).unwrap()).unwrap()
}

/// JSON with bytes in it.
mod rmp_serde_value {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    pub(super) enum Value {
        Json(serde_json::Value),
        Documents(std::collections::BTreeMap<String, Packed>),
    }

    #[derive(Deserialize)]
    pub(super) struct Packed(Vec<u8>);

    impl Serialize for Packed {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }

    pub(super) fn documents(name: &str, packed: &[u8]) -> Value {
        Value::Documents([(name.to_owned(), Packed(packed.to_vec()))].into())
    }
}
