use andon_model::{AttributeValue, LlmKind, Part, Policy, Status};
use andon_privacy::{NoticeLanguage, Protector};
use serde_json::json;

use crate::*;

/// All kinds, as all versions of the client say them: `with_call` where the fixture has a tool's call.
fn check_kinds(receiver: &Receiver, with_call: bool) {
    let kinds = [
        ("session", LlmKind::Workflow),
        ("run", LlmKind::Agent),
        ("post", LlmKind::Task),
        ("lookup", LlmKind::Tool),
        ("generate", LlmKind::Llm),
        ("broken", LlmKind::Llm),
        ("emb", LlmKind::Embedding),
        ("docs", LlmKind::Retrieval),
    ];
    assert_eq!(receiver.spans().len(), kinds.len());
    for (name, kind) in kinds {
        let span = receiver.named(name).span;
        assert_eq!(span.llm_kind, Some(kind), "{name}");
        assert_eq!(span.session_id.as_deref(), Some("sess-42"), "{name}");
        assert_eq!(span.ml_app.as_deref(), Some("support-bot"), "{name}");
        assert_eq!(span.service, "support", "{name}");
        assert!(span.pid.is_some(), "{name}: as the application's span says");
    }
    let root = receiver.named("session").span;
    assert_eq!(root.parent_id, None);
    let agent = receiver.named("run").span;
    assert_eq!(agent.parent_id, Some(root.span_id));
    assert_eq!(agent.attributes["dd.tags.user"], AttributeValue::from("u1"));

    let call = receiver.named("generate");
    assert_eq!(call.span.parent_id, Some(agent.span_id));
    assert_eq!(call.span.model.as_deref(), Some("granite3.2:2b"));
    assert_eq!(call.span.model_requested.as_deref(), Some("granite3.2:2b"));
    assert_eq!(call.span.provider.as_deref(), Some("ollama"));
    assert_eq!((call.span.input_tokens, call.span.output_tokens), (Some(31), Some(12)));
    assert_eq!(call.span.timings.ttft_ns, Some(500_000_000));
    assert_eq!(call.span.attributes["gen_ai.request.temperature"], AttributeValue::Float(0.2));
    assert_eq!(call.span.attributes["gen_ai.request.max_tokens"], AttributeValue::Int(40));
    assert_eq!(call.span.attributes["dd.tags.plan"], AttributeValue::from("pro"));
    let mut expected = vec![
        (Part::System, "system", "You are kind."),
        (Part::Input, "user", "ローカルLLMとは?"),
        (Part::Output, "assistant", "はい、わかりました。"),
    ];
    if with_call {
        expected.push((Part::Tool, "call", r#"lookup({"q":"ローカルLLMとは?"})"#));
    }
    assert_eq!(texts(&call), expected);
    let of = |name: &str| receiver.named(name);
    let expected = [
        (Part::Input, "", "ローカルLLMとは?"),
        (Part::Document, "", "観測性とは内部状態を知ること。"),
        (Part::Document, "", "second"),
    ];
    assert_eq!(texts(&of("docs")), expected);
    assert_eq!(texts(&of("lookup"))[1], (Part::Output, "assistant", r#"{"rows": 3}"#));
    assert_eq!(texts(&of("emb"))[0], (Part::Input, "", "ローカルLLMとは?"));
    assert_eq!(of("emb").span.input_tokens, Some(4));
    let broken = of("broken");
    assert_eq!(broken.span.status, Status::Error);
    assert_eq!(broken.span.error_type.as_deref(), Some("builtins.TimeoutError"));
    let message = broken.error_message.unwrap();
    assert_eq!(message.expose(), "Read timed out. (read timeout=30)");
    let stacks = broken.attributes.iter().filter(|it| it.name == "error.stack");
    assert_eq!(stacks.count(), 1, "the stack is protected as an error is");
}

#[tokio::test]
async fn what_is_inside_the_span_is_said_of_it() {
    let receiver = Receiver::new();
    receiver.traces("/v0.4/traces", TRACES_4).await;
    check_kinds(&receiver, true);
    let call = receiver.named("generate").span;
    assert_eq!(call.trace_id.to_string(), "6b05c22e00000000cced1c54ef071053");
    let other = AttributeValue::from("6b05c22e00000000595e204b2dc09aff");
    assert_eq!(call.attributes["dd.llmobs.trace_id"], other);
}

#[tokio::test]
async fn what_is_sent_twice_is_one_span_in_either_order() {
    for event_first in [true, false] {
        let receiver = Receiver::new();
        if event_first {
            receiver.json(LLM_SPANS, LLM_SPANS_3).await;
            assert_eq!(receiver.spans().len(), 8, "each is durable before it is acknowledged");
            receiver.traces("/v0.5/traces", TRACES_3).await;
        } else {
            receiver.traces("/v0.5/traces", TRACES_3).await;
            receiver.json(LLM_SPANS, LLM_SPANS_3).await;
        }
        check_kinds(&receiver, false);
        let call = receiver.named("generate").span;
        assert_eq!(call.trace_id.to_string(), "6b05c23d00000000c5a854a5499cbec1");
        let other = AttributeValue::from("6b05c23d000000002c990b47d70840e7");
        assert_eq!(call.attributes["dd.llmobs.trace_id"], other);
        // One half that is sent again takes nothing from the whole.
        receiver.traces("/v0.5/traces", TRACES_3).await;
        check_kinds(&receiver, false);
        receiver.json("/evp_proxy/v4/api/v2/llmobs", LLM_SPANS_3).await;
        check_kinds(&receiver, false);
    }
}

#[tokio::test]
async fn both_halves_at_once_end_as_the_whole() {
    let receiver = Receiver::new();
    let (one, other) = (receiver.clone(), receiver.clone());
    let traces = tokio::spawn(async move { one.traces("/v0.5/traces", TRACES_3).await });
    let events = tokio::spawn(async move { other.json("/api/v2/llmobs", LLM_SPANS_3).await });
    traces.await.unwrap();
    events.await.unwrap();
    check_kinds(&receiver, false);
}

#[tokio::test]
async fn a_sender_without_the_other_id_is_joined_too() {
    let mut events: Json = serde_json::from_slice(LLM_SPANS_3).unwrap();
    for event in events.as_array_mut().unwrap() {
        event["spans"][0]["_dd"].take();
    }
    let receiver = Receiver::new();
    receiver.traces("/v0.5/traces", TRACES_3).await;
    receiver.json(LLM_SPANS, events.to_string().as_bytes()).await;
    check_kinds(&receiver, false);
}

#[tokio::test]
async fn an_event_without_its_trace_is_a_span() {
    // As dd-trace for Node.js and ddtrace 2.x send it: one event, several spans.
    let body = json!({"_dd.stage": "raw", "event_type": "span", "spans": [
        {"trace_id": "6b05c23d00000000c5a854a5499cbec1", "span_id": "9", "parent_id": "undefined",
         "name": "OpenAI.createChatCompletion", "start_ns": 1_700_000_000_000_000_000u64, "duration": 5e6,
         "status": "ok", "tags": ["service:web", "env:prod", "plan:a:b"], "meta": {"span.kind": "llm",
            "model_name": "custom", "model_provider": "openai", "input": {"messages": [{"content": "短く"},
            {"role": "tool", "content": "", "tool_results": [{"name": "f", "result": "42"}]}]},
            "metadata": {"stream": true, "note": "山田さんの件", "top_p": 0.9, "error": {"why": "quota"}}},
         "metrics": {"input_tokens": 5, "total_tokens": 8, "cache_read_input_tokens": 2, "speed": 1.5}},
        {"trace_id": "6b05c23d00000000c5a854a5499cbec1", "name": "nobody's"},
    ]});
    let receiver = Receiver::new();
    receiver.json(LLM_SPANS, body.to_string().as_bytes()).await;
    assert_eq!(receiver.rejected(Reason::SpanId), 1);
    let call = receiver.named("OpenAI.createChatCompletion");
    let span = &call.span;
    assert_eq!((span.service.as_str(), span.env.as_deref()), ("web", Some("prod")));
    assert_eq!((span.start_ns, span.duration_ns), (1_700_000_000_000_000_000, 5_000_000));
    assert_eq!((span.model.as_deref(), span.provider.as_deref()), (None, Some("openai")));
    assert_eq!(
        (span.input_tokens, span.output_tokens, span.cached_tokens),
        (Some(5), Some(3), Some(2))
    );
    assert_eq!(span.stream, Some(true));
    assert_eq!(span.attributes["gen_ai.request.top_p"], AttributeValue::Float(0.9));
    assert_eq!(span.attributes["dd.metrics.speed"], AttributeValue::Float(1.5));
    assert_eq!(span.attributes["dd.tags.plan"], AttributeValue::from("a:b"));
    assert_eq!(span.attributes.get("dd.metadata.note"), None, "somebody's words are protected");
    assert!(call.attributes.iter().any(|it| it.name == "dd.metadata.note"));
    assert_eq!(span.status, Status::Error);
    assert_eq!(call.error_message.as_ref().unwrap().expose(), r#"{"why":"quota"}"#);
    assert_eq!(texts(&call), [(Part::Input, "user", "短く"), (Part::Tool, "tool", "42")]);
}

/// A failed call within a workflow that has the text, and the caller of both.
fn failing() -> (Json, Json) {
    let id = "6b05c23d00000000c5a854a5499cbec1";
    let trace = 0xc5a8_54a5_499c_bec1_u64;
    let words = "no answer to 私の名前は山田です";
    let meta = json!({"_dd.p.tid": "6b05c23d00000000", "error.type": "E", "error.message": words, "error.stack": words});
    let traces = json!([[
        {"trace_id": trace, "span_id": 1, "name": "flask.request", "service": "s", "error": 1, "meta": meta},
        {"trace_id": trace, "span_id": 2, "parent_id": 1, "name": "flow", "service": "s", "type": "llm"},
        {"trace_id": trace, "span_id": 3, "parent_id": 2, "name": "call", "service": "s", "type": "llm",
         "error": 1, "meta": meta},
    ]]);
    let event = |span: &str, name: &str, kind: &str, rest: Json| {
        let mut meta = rest;
        meta["span.kind"] = kind.into();
        json!({"trace_id": id, "span_id": span, "parent_id": "undefined", "name": name, "meta": meta,
            "_dd": {"apm_trace_id": id}})
    };
    let flow = event("2", "flow", "workflow", json!({"input": {"value": "私の名前は山田です"}}));
    let call = event("3", "call", "llm", json!({"error.message": words, "error.type": "E"}));
    (traces, json!([{"spans": [flow, call]}]))
}

/// The words of a failure as they are kept, by the names of their spans.
fn kept_words(protector: &Protector, receiver: &Receiver, names: &[&str]) -> Vec<Option<String>> {
    let spans = receiver.kept.spans.lock().unwrap().clone();
    let batch = protector.protect(spans).into_inner();
    let of = |name: &&str| batch.spans.iter().rfind(|span| span.name == *name).unwrap();
    names.iter().map(|name| of(name).error_message.clone()).collect()
}

#[tokio::test]
async fn a_failure_says_nothing_that_was_asked() {
    let (traces, events) = failing();
    let traces = rmp_serde::to_vec(&traces).unwrap();
    let protector = Protector::new(Policy::Mask(5), NoticeLanguage::English);
    let receiver = Receiver::new();
    receiver.json(LLM_SPANS, events.to_string().as_bytes()).await;
    receiver.traces("/v0.4/traces", &traces).await;
    let words = kept_words(&protector, &receiver, &["flask.request", "call"]);
    assert_eq!(words, [Some("no answer to […]".to_owned()), Some("no answer to […]".to_owned())]);
    // In the other order the words wait for the texts, or are masked as texts.
    let protector = Protector::new(Policy::Mask(5), NoticeLanguage::English);
    let receiver = Receiver::new();
    receiver.traces("/v0.4/traces", &traces).await;
    let failed = receiver.named("call");
    assert_eq!((failed.span.status, failed.span.error_type.as_deref()), (Status::Error, Some("E")));
    assert!(failed.attributes.iter().all(|it| it.name != "error.stack"));
    let words = kept_words(&protector, &receiver, &["flask.request", "call"]);
    assert_eq!(words, [Some("no an*hidden from character 6 on*".to_owned()), None]);
    receiver.json(LLM_SPANS, events.to_string().as_bytes()).await;
    let whole = receiver.named("call");
    assert!(whole.attributes.iter().any(|it| it.name == "error.stack"));
    let words = kept_words(&protector, &receiver, &["call"]);
    assert_eq!(words, [Some("no answer to […]".to_owned())]);
}
