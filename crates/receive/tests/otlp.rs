//! Recorded exports of real clients, as they came over the wire, in the model's words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use andon_model::{LlmKind, MetricKind, Observation, Part, Status, Temporality};
use andon_receive::{Batch, Reason, Refused};
use http::StatusCode;
use serde_json::{Value, json};
use support::{Bench, JSON, PROTOBUF, length_delimited};

/// All spans of a recording's requests.
async fn spans(case: &str) -> Vec<Observation> {
    let bench = Bench::new();
    bench.replay(case).await;
    bench.spans()
}

fn texts(of: &Observation, part: Part) -> Vec<&str> {
    let texts = of.contents.iter().filter(|content| content.part == part);
    texts.map(|content| content.text.expose()).collect()
}

const QUESTION: &str = "なぜ空は青いの？ Why is the sky blue?";
const ANSWER: &str = "The sky is blue because of scattering.";

/// The same call, instrumented by each: what differs is what a library does not say.
#[tokio::test]
async fn one_call_instrumented_in_five_ways_is_the_same() {
    struct Told {
        case: &'static str,
        provider: Option<&'static str>,
        finish_reason: Option<&'static str>,
        has_parameters: bool,
    }
    let told = |case, provider, finish_reason, has_parameters| Told {
        case,
        provider,
        finish_reason,
        has_parameters,
    };
    for Told { case, provider, finish_reason, has_parameters } in [
        told("openllmetry-ollama-http", Some("ollama"), None, false),
        told("openllmetry-openai-events-http", Some("openai"), Some("stop"), true),
        told("openinference-openai-http", Some("openai"), Some("stop"), true),
        told("openlit-ollama-http", Some("ollama"), Some("stop"), true),
        told("otel-openai-v2-default-http", Some("openai"), Some("stop"), true),
    ] {
        let all = spans(case).await;
        let first = all.iter().find(|seen| seen.span.llm_kind == Some(LlmKind::Llm)).expect(case);
        let span = &first.span;
        let models = (span.model.as_deref(), span.model_requested.as_deref());
        assert_eq!(models, (Some("tinyllama"), Some("tinyllama")), "{case}");
        assert_eq!((span.input_tokens, span.output_tokens), (Some(26), Some(8)), "{case}");
        assert_eq!(span.provider.as_deref(), provider, "{case}");
        assert_eq!(span.finish_reason.as_deref(), finish_reason, "{case}");
        assert_eq!(span.cached_tokens, None, "{case}");
        assert_eq!(span.service, "andon-sample", "{case}");
        assert_eq!(span.env.as_deref(), Some("test"), "{case}");
        let temperature = span.attributes.get("gen_ai.request.temperature");
        assert_eq!(temperature, has_parameters.then_some(&0.2.into()), "{case}");
        let no_texts_here = ["openllmetry-openai-events-http", "otel-openai-v2-default-http"];
        if no_texts_here.contains(&case) {
            assert!(first.contents.is_empty(), "{case}");
            continue;
        }
        assert_eq!(texts(first, Part::System), ["You are terse."], "{case}");
        assert_eq!(texts(first, Part::Input), [QUESTION], "{case}");
        assert_eq!(texts(first, Part::Output), [ANSWER], "{case}");
    }
}

#[tokio::test]
async fn messages_in_logs_become_texts_of_their_span() {
    for case in ["openllmetry-openai-events-http", "otel-openai-v2-default-http"] {
        let bench = Bench::new();
        bench.replay(case).await;
        let first = bench.spans().remove(0).span;
        let batches = bench.batches();
        let loose = batches.iter().flat_map(|batch| &batch.texts);
        let loose: Vec<_> = loose.filter(|texts| texts.span_id == first.span_id).collect();
        assert_eq!(loose.len(), 1, "{case}");
        assert_eq!(loose[0].trace_id, first.trace_id, "{case}");
        let contents = &loose[0].contents;
        let said: Vec<_> =
            contents.iter().map(|content| (content.part, content.text.expose())).collect();
        let expected =
            [(Part::System, "You are terse."), (Part::Input, QUESTION), (Part::Output, ANSWER)];
        assert_eq!(said, expected, "{case}");
    }
}

#[tokio::test]
async fn the_same_spans_come_out_of_protobuf_json_and_gzip() {
    let of = |all: &[Observation]| -> Vec<_> {
        let mut all: Vec<_> = all
            .iter()
            .map(|seen| {
                let span = &seen.span;
                (span.name.clone(), span.kind, span.status, span.service.clone())
            })
            .collect();
        all.sort_by_key(|(name, ..)| name.clone());
        all
    };
    assert_eq!(of(&spans("plain-http").await), of(&spans("plain-http-gzip").await));
    assert_eq!(of(&spans("js-sdk-node-json").await), of(&spans("js-sdk-node-proto").await));
}

#[tokio::test]
async fn a_tree_with_events_links_and_errors_is_kept() {
    let all = spans("plain-http").await;
    let by_name = |name: &str, status: Status| {
        let found = all.iter().find(|seen| seen.span.name == name && seen.span.status == status);
        found.unwrap_or_else(|| panic!("{name}"))
    };
    let root = by_name("POST /chat", Status::Error);
    assert_eq!(root.span.parent_id, None);
    assert_eq!(root.span.http_status, Some(500));
    let call = by_name("chat tinyllama", Status::Error);
    assert_eq!(call.span.parent_id, Some(root.span.span_id));
    assert_eq!(call.span.error_type.as_deref(), Some("TimeoutError"));
    assert!(call.error_message.is_some());
    assert_eq!(call.span.session_id.as_deref(), Some("conv-9"));
    let tool = by_name("execute_tool get_weather", Status::Unset);
    assert_eq!(tool.span.llm_kind, Some(LlmKind::Tool));
    assert!(all.iter().any(|seen| seen.span.attributes.get("link.0.trace_id").is_some()));
}

#[tokio::test]
async fn metrics_are_points_with_their_tags() {
    let bench = Bench::new();
    bench.replay("otel-openai-v2-default-http").await;
    let batches = bench.batches();
    let points: Vec<_> = batches.iter().flat_map(|batch| &batch.metrics).collect();
    let input = points.iter().find(|raw| {
        raw.point.name == "gen_ai.client.token.usage"
            && raw.point.tags.get("gen_ai.token.type") == Some(&"input".into())
            && raw.point.tags.get("gen_ai.request.model") == Some(&"tinyllama".into())
    });
    let point = &input.unwrap().point;
    assert_eq!(point.kind, MetricKind::Histogram);
    assert_eq!(point.temporality, Some(Temporality::Cumulative));
    assert_eq!(point.service.as_deref(), Some("andon-sample"));
    assert!(point.sum.unwrap() > 0.0 && point.count.unwrap() > 0);
    let buckets: Vec<(Option<f64>, u64)> =
        serde_json::from_str(point.buckets.as_deref().unwrap()).unwrap();
    assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), point.count.unwrap());
}

#[tokio::test]
async fn langfuse_is_understood_with_its_own_names() {
    let all = spans("langfuse-http").await;
    let call = all.iter().find(|seen| seen.span.name == "OpenAI-generation").unwrap();
    assert_eq!(call.span.llm_kind, Some(LlmKind::Llm));
    assert_eq!((call.span.input_tokens, call.span.output_tokens), (Some(26), Some(8)));
    assert_eq!(texts(call, Part::Input), [QUESTION]);
    assert_eq!(texts(call, Part::Output), [ANSWER]);
    let failed = all.iter().find(|seen| seen.span.status == Status::Error).unwrap();
    assert!(failed.error_message.is_some());
    let retrieved = all.iter().find(|seen| seen.span.name == "retrieve").unwrap();
    // Escaped on the wire, and searched for as it is read.
    assert!(texts(retrieved, Part::Input)[0].contains("なぜ"));
}

#[tokio::test]
async fn scores_of_langfuse_are_evaluations_of_their_trace() {
    let bench = Bench::new();
    let body = include_bytes!("fixtures/otlp-langfuse-scores.json").to_vec();
    let (status, said) = bench.post("/api/public/scores", JSON, body).await;
    assert_eq!(status, StatusCode::OK);
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["id"], "28eb7aa509410f81");
    let judged = bench.batches()[0].evaluations[0].evaluation.clone();
    assert_eq!((judged.evaluator.as_str(), judged.score), ("quality", Some(0.8)));
    let (status, said) = bench.post("/api/public/scores", JSON, "[{\"name\": \"q\"}]").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(String::from_utf8_lossy(&said).contains("score 0: it names no traceId"));
}

#[tokio::test]
async fn no_text_stays_where_it_would_not_be_masked() {
    for case in support::cases() {
        for seen in spans(&case).await {
            let plain = serde_json::to_string(&seen.span).unwrap();
            for words in ["なぜ空", "Why is the sky", "sky is blue", "You are terse", "\\u306a"]
            {
                assert!(!plain.contains(words), "{case}: {words} in {plain}");
            }
        }
    }
}

/// A request of one span, in JSON.
fn one_span(change: impl FnOnce(&mut Value)) -> Value {
    let mut span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "n",
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": "1544712661000000000",
    });
    change(&mut span);
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
}

#[tokio::test]
async fn a_bad_span_costs_itself_alone_and_is_told() {
    let bench = Bench::new();
    let mut request = one_span(|span| span["traceId"] = json!("00"));
    let good = one_span(|_| {});
    let all = request["resourceSpans"].as_array_mut().unwrap();
    all.push(good["resourceSpans"][0].clone());
    all.push(one_span(|span| span["spanId"] = json!("zz"))["resourceSpans"][0].clone());
    let (status, body) = bench.post("/v1/traces", JSON, request.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    let said: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(said["partialSuccess"]["rejectedSpans"], "2");
    assert!(said["partialSuccess"]["errorMessage"].as_str().unwrap().contains("trace id"));
    assert_eq!(bench.spans().len(), 1);
    let counts = bench.rejected();
    assert_eq!(counts, [(Reason::TraceId, 1), (Reason::SpanId, 1)]);
}

#[tokio::test]
async fn numbers_come_as_numbers_and_as_texts() {
    let bench = Bench::new();
    let request = one_span(|span| {
        span["attributes"] = json!([
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": 64}},
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "9007199254740993"}},
            {"key": "a.nan", "value": {"doubleValue": "NaN"}},
            {"key": "nothing", "value": {}},
            {"key": "seed", "value": {"intValue": 5}},
            {"key": "llm.top_k", "value": {"intValue": 40}},
            {"key": "unheard", "value": {"someValue": [1, {"x": 2}]}},
        ]);
        span["kind"] = json!("SPAN_KIND_SERVER");
        span["unknown"] = json!({"field": [1]});
    });
    let (status, body) = bench.post("/v1/traces/", JSON, request.to_string()).await;
    assert_eq!((status, body.as_ref()), (StatusCode::OK, &b"{}"[..]));
    let span = bench.spans().remove(0).span;
    assert_eq!(span.input_tokens, Some(64));
    assert_eq!(span.output_tokens, Some(9_007_199_254_740_993));
    assert_eq!(span.kind, andon_model::SpanKind::Server);
    // An app's own name, and a library's for a parameter.
    assert_eq!(span.attributes["seed"], 5i64.into());
    assert_eq!(span.attributes["gen_ai.request.top_k"], 40i64.into());
}

#[tokio::test]
async fn times_that_cannot_be_are_borne() {
    let bench = Bench::new();
    for (start, end) in [
        (json!("0"), json!("0")),
        (json!(-5), json!(7)),
        (json!("18446744073709551615"), json!("1")),
        (json!(1.5), json!(1e30)),
    ] {
        let request = one_span(|span| {
            (span["startTimeUnixNano"], span["endTimeUnixNano"]) = (start, end);
        });
        let (status, _) = bench.post("/v1/traces", JSON, request.to_string()).await;
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(bench.spans().len(), 4);
}

#[tokio::test]
async fn errors_have_the_form_of_their_request() {
    let bench = Bench::new();
    let (status, body) = bench.post("/v1/traces", JSON, "{\"resourceSpans\": 5}").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let said: Value = serde_json::from_slice(&body).unwrap();
    assert!(said["message"].as_str().unwrap().contains("line 1"), "{said}");
    let (status, body) = bench.post("/v1/traces", PROTOBUF, vec![0x0a, 0xff]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(String::from_utf8_lossy(&body).contains("protobuf"));
    let (status, _) = bench.post("/v1/traces", "text/plain", "x").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, _) = bench.post("/v1development/profiles", PROTOBUF, vec![]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, body) = bench.post("/v1/logs", PROTOBUF, vec![]).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn what_cannot_be_kept_is_to_be_sent_again() {
    let body = one_span(|_| {}).to_string();
    for (refused, status) in [
        (Refused::Busy, StatusCode::TOO_MANY_REQUESTS),
        (Refused::Unavailable("no space".to_owned()), StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let bench = Bench::refusing(refused);
        let response = bench.send("/v1/traces", JSON, body.clone().into()).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["retry-after"], "1");
    }
}

#[tokio::test]
async fn deep_and_wide_values_are_bounded() {
    let bench = Bench::new();
    let deep = format!("{}1{}", "{\"arrayValue\":{\"values\":[".repeat(200), "]}}".repeat(200));
    let body = format!(
        "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"attributes\":[{{\"key\":\"k\",\"value\":{deep}}}]}}]}}]}}]}}"
    );
    let (status, _) = bench.post("/v1/traces", JSON, body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    // The same in protobuf: lengths within lengths.
    let mut deep = vec![0x18, 1];
    for _ in 0..2_000 {
        let inner = length_delimited(0x0a, &deep);
        deep = length_delimited(0x2a, &inner);
        if deep.len() > 20_000 {
            break;
        }
    }
    let attribute = length_delimited(0x12, &deep);
    let span = length_delimited(0x12, &length_delimited(0x4a, &attribute));
    let request = length_delimited(0x0a, &length_delimited(0x12, &span));
    let (status, _) = bench.post("/v1/traces", PROTOBUF, request).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_text_that_is_no_utf8_costs_no_batch() {
    let bench = Bench::new();
    // name (5), trace id (1), span id (2).
    let span = [
        length_delimited(0x2a, &[b'a', 0xff, b'b']),
        length_delimited(0x0a, &[7; 16]),
        length_delimited(0x12, &[7; 8]),
    ]
    .concat();
    let request = length_delimited(0x0a, &length_delimited(0x12, &length_delimited(0x12, &span)));
    let (status, body) = bench.post("/v1/traces", PROTOBUF, request).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert_eq!(bench.spans()[0].span.name, "a\u{fffd}b");
}

#[test]
fn a_batch_with_nothing_in_it_is_empty() {
    assert!(Batch::default().is_empty());
}

mod random {
    use proptest::prelude::*;

    use super::*;

    /// Real requests with bytes changed, and bytes of no kind at all.
    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let real: Vec<Vec<u8>> = support::cases()
            .iter()
            .flat_map(|case| support::requests(case))
            .map(|request| request.body)
            .filter(|body| body.len() < 60_000)
            .collect();
        let changed = (
            prop::sample::select(real),
            prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            any::<prop::sample::Index>(),
        )
            .prop_map(|(mut body, changes, end)| {
                for (at, byte) in changes {
                    let at = at.index(body.len());
                    body[at] = byte;
                }
                body.truncate(end.index(body.len()) + 1);
                body
            });
        prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..300)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn nothing_that_comes_ends_more_than_its_request(
            body in bodies(),
            path in prop::sample::select(vec!["/v1/traces", "/v1/logs", "/v1/metrics"]),
            form in prop::sample::select(vec![JSON, PROTOBUF]),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let bench = Bench::new();
            let (status, _) = runtime.block_on(bench.post(path, form, body));
            prop_assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{status}");
        }
    }
}
