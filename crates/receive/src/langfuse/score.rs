//! Scores, by themselves or among a batch's events.

use andon_model::{Judgement, MetricType, RawText, Span, WHOLE_TRACE};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{ids, said::nanoseconds};

/// A score as it is sent. Its value says which kind it is where that is not said.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Score {
    pub(super) id: Option<String>,
    trace_id: Option<String>,
    observation_id: Option<String>,
    name: String,
    value: Option<Json>,
    data_type: Option<String>,
    comment: Option<String>,
    pub(super) timestamp: Option<String>,
}

pub(super) fn judgement(score: Score) -> Result<Judgement, &'static str> {
    let trace_id = score.trace_id.filter(|id| !id.is_empty()).ok_or("it names no traceId")?;
    let trace_id = ids::trace(&trace_id);
    let span_id = score.observation_id.map_or(WHOLE_TRACE, |id| ids::observation(&id));
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
    let time_ns = time.and_then(nanoseconds).unwrap_or_else(Span::now_ns);
    let mut judgement = Judgement::by_sdk(trace_id, span_id, time_ns, score.name, metric_type);
    (judgement.evaluation.score, judgement.evaluation.label) = (score_value, label);
    judgement.reason = score.comment.map(RawText::new);
    Ok(judgement)
}

#[cfg(test)]
mod tests {
    use andon_model::{Evaluation, SpanId};
    use serde_json::json;

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
    fn older_clients_ids_lead_to_their_spans() {
        let id = "655346cd-f646-272b-a9e6-93f8b67faca9";
        let of_old = of(json!({"traceId": id, "observationId": id, "name": "q", "value": 1}));
        let of_old = of_old.unwrap();
        assert_eq!(of_old.trace_id.to_string(), TRACE);
        assert_eq!(of_old.span_id, SpanId::named(id));
    }

    #[test]
    fn what_is_no_score_is_told_why() {
        for (score, why) in [
            (json!({"name": "q", "value": 1}), "traceId"),
            (json!({"traceId": "", "name": "q", "value": 1}), "traceId"),
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
