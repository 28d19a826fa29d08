//! Thumbs under an answer: an evaluation by a person.

use andon_model::{Evaluation, EvaluationSource, MetricType, Policy, Span, SpanId, TraceId};
use andon_store::Record;
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, json_body},
};

const MAX_BODY: usize = 8 << 10;
const MAX_COMMENT_CHARS: usize = 1_000;
const EVALUATOR: &str = "user_feedback";

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feedback {
    trace_id: TraceId,
    /// 1 good, -1 bad, 0 takes it back.
    #[schema(minimum = -1, maximum = 1)]
    score: i8,
    /// Kept under the policy `full` only.
    comment: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FeedbackTaken {
    ok: bool,
}

/// Says whether an answer was good. Answers once it is durable.
#[utoipa::path(post, path = "/api/v1/spans/{span_id}/feedback", tag = "evaluations",
    params(("span_id" = String, Path)), request_body = Feedback, responses(
    (status = 200, body = FeedbackTaken), (status = 400, body = ErrorBody)))]
pub(crate) async fn feedback(
    State(state): State<ApiState>,
    Path(span_id): Path<String>,
    body: Body,
) -> Result<Json<FeedbackTaken>, ApiError> {
    let span_id: SpanId =
        span_id.parse().map_err(|error| ApiError::BadRequest(format!("span_id: {error}")))?;
    let feedback: Feedback = json_body(body, MAX_BODY).await?;
    let label = match feedback.score {
        1 => "good",
        0 => "taken_back",
        -1 => "bad",
        _ => return Err(ApiError::BadRequest("score: must be 1, 0 or -1".to_owned())),
    };
    let keeps_text = state.0.policy == Policy::Full;
    let reason = feedback.comment.filter(|_| keeps_text);
    let evaluation = Evaluation {
        trace_id: feedback.trace_id,
        span_id,
        time_ns: Span::now_ns(),
        evaluator: EVALUATOR.to_owned(),
        version: None,
        metric_type: MetricType::Score,
        score: Some(f64::from(feedback.score)),
        label: Some(label.to_owned()),
        reason: reason.map(|text| text.chars().take(MAX_COMMENT_CHARS).collect()),
        source: EvaluationSource::Human,
        duration_ns: None,
    };
    state.0.store.append(Record::Evaluations(vec![evaluation]))?.await?;
    Ok(Json(FeedbackTaken { ok: true }))
}
