//! What Langfuse's SDK sends beside its spans, which come by OTLP: scores, and questions whether somebody
//! is there.
//!
//! Source: Langfuse's public API (`/api/public/scores`, `/health`, `/projects`), and what its Python SDK 5
//! was seen to send.

use ::http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, ORIGIN},
};
use andon_model::{Judgement, MetricType, RawText, Span, SpanId, TraceId, WHOLE_TRACE};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::{
    body::BodyError,
    intake::{Batch, Intake, Protocol, Reason, Refused},
    otlp::{Body, RequestBody},
};

/// Scores of one request.
const MAX_SCORES: usize = 10_000;

/// What a path is for.
#[derive(Clone, Copy)]
pub(crate) enum Route {
    Scores,
    Health,
    Projects,
}

impl Route {
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path.trim_end_matches('/') {
            "/api/public/scores" => Some(Self::Scores),
            "/api/public/health" => Some(Self::Health),
            "/api/public/projects" => Some(Self::Projects),
            _ => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("a web page may not send here")]
    Origin,
    #[error("{0} is not taken here")]
    Method(Method),
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("the body is no score, nor a list of them: {0}")]
    Json(#[from] serde_json::Error),
    #[error("more than {MAX_SCORES} scores in one request")]
    TooMany,
    #[error("score {place}: {what}")]
    Score { place: usize, what: &'static str },
    #[error("{0}")]
    Refused(#[from] Refused),
}

impl Wrong {
    fn status(&self) -> StatusCode {
        match self {
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Body(BodyError::TooLarge(_)) | Self::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Encoding(_)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyError::TooSlow(_)) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::Busy) | Self::Refused(Refused::Busy) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Refused(Refused::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn reason(&self) -> Option<Reason> {
        match self {
            Self::Body(error) => Some(error.reason()),
            Self::TooMany => Some(Reason::TooLarge),
            Self::Json(_) | Self::Score { .. } => Some(Reason::Unreadable),
            Self::Origin | Self::Method(_) | Self::Refused(_) => None,
        }
    }
}

/// A score as it is sent. Its value says which kind it is where that is not said.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Score {
    id: Option<String>,
    trace_id: Option<String>,
    observation_id: Option<String>,
    name: String,
    value: Option<Json>,
    data_type: Option<String>,
    comment: Option<String>,
    timestamp: Option<String>,
}

pub(crate) async fn answer<B: RequestBody>(
    intake: &Intake,
    route: Route,
    request: Request<B>,
) -> Response<Body> {
    let said = match route {
        Route::Scores => scores(intake, request).await,
        Route::Health => Ok(json!({"status": "OK", "version": env!("CARGO_PKG_VERSION")})),
        // The SDK asks which project its keys are of, to see whether they are good.
        Route::Projects => Ok(json!({"data": [{"id": "andon", "name": "Andon"}]})),
    };
    match said {
        Ok(said) => response(StatusCode::OK, &said),
        Err(wrong) => {
            if let Some(reason) = wrong.reason() {
                intake.reject(Protocol::OtlpHttp, reason, 1);
            }
            let name = wrong.status().canonical_reason().unwrap_or("error");
            response(wrong.status(), &json!({"message": wrong.to_string(), "error": name}))
        }
    }
}

async fn scores<B: RequestBody>(intake: &Intake, request: Request<B>) -> Result<Json, Wrong> {
    if request.headers().contains_key(ORIGIN) {
        return Err(Wrong::Origin);
    }
    if request.method() != Method::POST {
        return Err(Wrong::Method(request.method().clone()));
    }
    let (head, body) = request.into_parts();
    let encoding = head.headers.get(CONTENT_ENCODING);
    let encoding = encoding.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (bytes, _room) = intake.room.read(body, encoding.as_deref()).await?.into_parts();
    intake.count_request(Protocol::OtlpHttp, bytes.len());
    let all = read(&bytes)?;
    let mut evaluations = Vec::with_capacity(all.len());
    let mut ids = Vec::with_capacity(all.len());
    for (place, score) in all.into_iter().enumerate() {
        ids.push(score.id.clone().unwrap_or_else(|| SpanId::random().to_string()));
        evaluations.push(judgement(score).map_err(|what| Wrong::Score { place, what })?);
    }
    intake.keep(Protocol::OtlpHttp, Batch { evaluations, ..Batch::default() }).await?;
    // One was asked for by one id in all versions; of several, the first stands for all.
    Ok(json!({"id": ids.first()}))
}

/// One, or a list.
fn read(bytes: &Bytes) -> Result<Vec<Score>, Wrong> {
    let json: Json = serde_json::from_slice(bytes)?;
    let all = match json {
        Json::Array(all) => all,
        one => vec![one],
    };
    if all.len() > MAX_SCORES {
        return Err(Wrong::TooMany);
    }
    Ok(all.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?)
}

fn judgement(score: Score) -> Result<Judgement, &'static str> {
    let trace_id = score.trace_id.ok_or("it names no traceId")?;
    let trace_id: TraceId =
        trace_id.replace('-', "").parse().map_err(|_| "its traceId is not 32 hex digits")?;
    let span_id = match score.observation_id {
        Some(id) => id.parse().map_err(|_| "its observationId is not 16 hex digits")?,
        None => WHOLE_TRACE,
    };
    let value = score.value.ok_or("it has no value")?;
    let number = value.as_f64();
    let word = value.as_str().map(str::to_owned);
    let (metric_type, score_value, label) = match (score.data_type.as_deref(), &value) {
        (Some("BOOLEAN"), _) | (None, Json::Bool(_)) => {
            let is_true = value.as_bool().or(number.map(|number| number != 0.0));
            let is_true = is_true.ok_or("its value is neither true nor false")?;
            (MetricType::Boolean, Some(f64::from(u8::from(is_true))), Some(is_true.to_string()))
        }
        (Some("CATEGORICAL"), _) | (None, Json::String(_)) => {
            (MetricType::Categorical, None, Some(word.ok_or("its value is no text")?))
        }
        _ => (MetricType::Score, Some(number.ok_or("its value is no number")?), None),
    };
    let time = score.timestamp.and_then(|text| text.parse::<Timestamp>().ok());
    let time_ns = time.and_then(|time| u64::try_from(time.as_nanosecond()).ok());
    let time_ns = time_ns.unwrap_or_else(Span::now_ns);
    let mut judgement = Judgement::by_sdk(trace_id, span_id, time_ns, score.name, metric_type);
    (judgement.evaluation.score, judgement.evaluation.label) = (score_value, label);
    judgement.reason = score.comment.map(RawText::new);
    Ok(judgement)
}

fn response(status: StatusCode, said: &Json) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(said.to_string())));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use andon_model::Evaluation;

    use super::*;

    fn of(score: Json) -> Result<Evaluation, &'static str> {
        judgement(serde_json::from_value(score).unwrap()).map(|judgement| judgement.evaluation)
    }

    const TRACE: &str = "655346cdf646272ba9e693f8b67faca9";

    #[test]
    fn each_kind_of_value_is_told() {
        let score = of(json!({"traceId": TRACE, "name": "quality", "value": 0.8})).unwrap();
        assert_eq!((score.metric_type, score.score), (MetricType::Score, Some(0.8)));
        assert_eq!(score.span_id, WHOLE_TRACE);
        let word = json!({"traceId": TRACE, "observationId": "00f067aa0ba902b7", "name": "class",
            "value": "good", "timestamp": "2026-11-24T16:22:59.487588Z"});
        let word = of(word).unwrap();
        assert_eq!(
            (word.metric_type, word.label.as_deref()),
            (MetricType::Categorical, Some("good"))
        );
        assert_eq!(word.span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(word.time_ns, 1_795_537_379_487_588_000);
        let yes = json!({"traceId": TRACE, "name": "safe", "value": 1, "dataType": "BOOLEAN"});
        let yes = of(yes).unwrap();
        assert_eq!((yes.metric_type, yes.score), (MetricType::Boolean, Some(1.0)));
    }

    #[test]
    fn what_is_no_score_is_told_why() {
        for (score, why) in [
            (json!({"name": "q", "value": 1}), "traceId"),
            (json!({"traceId": "x", "name": "q", "value": 1}), "32 hex"),
            (json!({"traceId": TRACE, "observationId": "x", "name": "q", "value": 1}), "16 hex"),
            (json!({"traceId": TRACE, "name": "q"}), "no value"),
            (json!({"traceId": TRACE, "name": "q", "value": [1]}), "no number"),
            (
                json!({"traceId": TRACE, "name": "q", "value": 1, "dataType": "CATEGORICAL"}),
                "no text",
            ),
        ] {
            assert!(of(score).unwrap_err().contains(why), "{why}");
        }
    }
}
