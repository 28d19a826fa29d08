use andon_model::{EvaluationSource, MetricType};
use http::{Method, StatusCode};
use serde_json::json;

use crate::*;

/// That all of a fixture's evaluations are of the span `generate`, each once.
fn check(receiver: &Receiver, expected: usize) {
    let call = receiver.named("generate").span;
    let evaluations = receiver.evaluations();
    assert_eq!(evaluations.len(), expected);
    for judgement in &evaluations {
        let evaluation = &judgement.evaluation;
        assert_eq!(evaluation.trace_id, call.trace_id, "{}", evaluation.evaluator);
        assert_eq!(evaluation.span_id, call.span_id, "{}", evaluation.evaluator);
        assert_eq!(evaluation.source, EvaluationSource::Sdk);
    }
    let of = |name: &str| {
        let mut found = evaluations.iter().filter(|it| it.evaluation.evaluator == name);
        let one = found.next().map(|it| it.evaluation.clone());
        assert!(found.next().is_none());
        one
    };
    let quality = of("quality").unwrap();
    assert_eq!((quality.metric_type, quality.score), (MetricType::Score, Some(0.8)));
    let toxicity = of("toxicity").unwrap();
    assert_eq!(toxicity.metric_type, MetricType::Categorical);
    assert_eq!(toxicity.label.as_deref(), Some("not_toxic"));
    assert_eq!(of("relevance").unwrap().score, Some(1.0), "by its tag");
    if let Some(flag) = of("failure_to_answer") {
        assert_eq!((flag.metric_type, flag.score), (MetricType::Boolean, Some(0.0)));
        assert_eq!(flag.label.as_deref(), Some("false"));
    }
}

#[tokio::test]
async fn they_find_their_span_in_the_applications_trace() {
    let receiver = Receiver::new();
    receiver.traces("/v0.4/traces", TRACES_4).await;
    receiver.json(EVALUATIONS, EVALUATIONS_4).await;
    check(&receiver, 4);
    let receiver = Receiver::new();
    receiver.json(LLM_SPANS, LLM_SPANS_3).await;
    receiver.json("/api/intake/llm-obs/v1/eval-metric", EVALUATIONS_3).await;
    receiver.traces("/v0.5/traces", TRACES_3).await;
    check(&receiver, 3);
}

#[tokio::test]
async fn those_that_come_first_wait_for_their_span() {
    let receiver = Receiver::new();
    let sender = receiver.clone();
    let sent = tokio::spawn(async move { sender.json(EVALUATIONS, EVALUATIONS_4).await });
    while receiver.counts().requests == 0 {
        tokio::task::yield_now().await;
    }
    assert!(receiver.evaluations().is_empty());
    receiver.traces("/v0.4/traces", TRACES_4).await;
    sent.await.unwrap();
    check(&receiver, 4);
}

#[tokio::test]
async fn those_whose_span_is_late_are_stored_and_found_by_it() {
    let body = json!({"data": {"type": "evaluation_metric", "attributes": {"metrics": [
        {"join_on": {"span": {"span_id": "6774856516343571667", "trace_id": "6b05c22e00000000595e204b2dc09aff"}},
         "label": "quality", "metric_type": "score", "score_value": 0.8, "timestamp_ms": 1,
         "reasoning": "なぜなら", "assessment": "pass"},
        {"join_on": {"tag": {"key": "plan", "value": "pro"}}, "label": "x", "metric_type": "score", "score_value": 1},
        {"span_id": "1", "trace_id": "6b05c22e00000000595e204b2dc09aff", "label": "j", "metric_type": "json", "json_value": {}},
        {"label": "nobody", "metric_type": "score", "score_value": 1},
    ]}}});
    let body = body.to_string();
    let receiver = Receiver::new();
    let sent = receiver.send(Method::POST, EVALUATIONS, "application/json", body.as_bytes());
    let (status, said) = sent.await;
    // One that names a tag which nobody has cannot be stored, and is not said to be.
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
    assert_eq!(receiver.rejected(Reason::NotKept), 1);
    assert_eq!(receiver.rejected(Reason::SpanId), 2);
    let named = receiver.evaluations();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0].reason.as_ref().unwrap().expose(), "なぜなら");
    assert_eq!(named[0].evaluation.label.as_deref(), Some("pass"));
    assert_eq!(named[0].evaluation.trace_id.to_string(), "6b05c22e00000000595e204b2dc09aff");
    receiver.traces("/v0.4/traces", TRACES_4).await;
    let all = receiver.evaluations();
    let call = receiver.named("generate").span;
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].evaluation.trace_id, call.trace_id);
    assert_eq!(all[1].evaluation.time_ns, 1_000_000);
    receiver.traces("/v0.4/traces", TRACES_4).await;
    assert_eq!(receiver.evaluations().len(), 2, "it is not stored a third time");
}
