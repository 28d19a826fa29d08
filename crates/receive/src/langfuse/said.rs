//! What a batch's events say of one trace or one observation, piece by piece.

use std::fmt;

use andon_model::UnixNanos;
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::{Map, Value as Json, value::RawValue};

/// A body of an event; of a trace and of an observation alike, as most of it is the same. Prompts,
/// answers and the like stay as they are written. What Python's decorators say of a trace beyond the API
/// they write in Python's way.
#[derive(Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Said {
    #[serde(deserialize_with = "words")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) trace_id: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) parent_observation_id: Option<String>,
    #[serde(deserialize_with = "words", rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "time")]
    pub(super) timestamp: Option<UnixNanos>,
    #[serde(deserialize_with = "time", alias = "start_time")]
    pub(super) start_time: Option<UnixNanos>,
    #[serde(deserialize_with = "time", alias = "end_time")]
    pub(super) end_time: Option<UnixNanos>,
    #[serde(deserialize_with = "words")]
    pub(super) completion_start_time: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) level: Option<String>,
    #[serde(deserialize_with = "words", alias = "status_message")]
    pub(super) status_message: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) model: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) prompt_name: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) prompt_version: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) version: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) release: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) environment: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) session_id: Option<String>,
    #[serde(deserialize_with = "words")]
    pub(super) user_id: Option<String>,
    pub(super) input: Option<Box<RawValue>>,
    pub(super) output: Option<Box<RawValue>>,
    pub(super) metadata: Option<Box<RawValue>>,
    pub(super) tags: Option<Box<RawValue>>,
    pub(super) model_parameters: Option<Box<RawValue>>,
    pub(super) usage: Option<Box<RawValue>>,
    pub(super) usage_details: Option<Box<RawValue>>,
    pub(super) cost_details: Option<Box<RawValue>>,
}

impl Said {
    /// Takes in what another event says of the same. `wins`: it counts where both say something.
    pub(super) fn take(&mut self, other: Self, wins: bool) {
        macro_rules! each {
            ($($name:ident),*) => {
                $(if other.$name.is_some() && (wins || self.$name.is_none()) {
                    self.$name = other.$name;
                })*
            };
        }
        self.metadata = match (self.metadata.take(), other.metadata) {
            (Some(ours), Some(theirs)) if wins => Some(together(ours, theirs)),
            (Some(ours), Some(theirs)) => Some(together(theirs, ours)),
            (ours, theirs) => ours.or(theirs),
        };
        each!(
            id,
            trace_id,
            parent_observation_id,
            kind,
            name,
            start_time,
            end_time,
            completion_start_time,
            level,
            status_message,
            model,
            prompt_name,
            prompt_version,
            version,
            release,
            environment,
            session_id,
            user_id,
            input,
            output,
            tags,
            model_parameters,
            usage,
            usage_details,
            cost_details
        );
        // A trace begins with the first that is said of it.
        self.timestamp = match (self.timestamp, other.timestamp) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
    }

    /// Bytes that it takes, about.
    pub(super) fn weight(&self) -> usize {
        let raw = [
            &self.input,
            &self.output,
            &self.metadata,
            &self.tags,
            &self.model_parameters,
            &self.usage,
            &self.usage_details,
            &self.cost_details,
        ];
        let words = [
            &self.id,
            &self.trace_id,
            &self.parent_observation_id,
            &self.name,
            &self.status_message,
            &self.model,
            &self.session_id,
            &self.user_id,
        ];
        let raw = raw.into_iter().flatten().map(|raw| raw.get().len()).sum::<usize>();
        let words = words.into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + raw + words
    }
}

/// Metadata adds up where both are objects: what the second says of a name counts.
fn together(first: Box<RawValue>, second: Box<RawValue>) -> Box<RawValue> {
    let map = |raw: &RawValue| serde_json::from_str::<Map<String, Json>>(raw.get());
    let (Ok(mut all), Ok(more)) = (map(&first), map(&second)) else { return second };
    all.extend(more);
    serde_json::value::to_raw_value(&all).unwrap_or(second)
}

pub(super) fn nanoseconds(time: Timestamp) -> Option<UnixNanos> {
    u64::try_from(time.as_nanosecond()).ok()
}

/// A time in words; what is none is not known.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixNanos>, D::Error> {
    let text = words(deserializer)?;
    Ok(text.and_then(|text| text.parse::<Timestamp>().ok()).and_then(nanoseconds))
}

/// A name, also where it is written as a number.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Words;
    impl Visitor<'_> for Words {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
        }
        fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
            Ok(Some(value.to_string()))
        }
        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }
        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }
        fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> Said {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_said_later_counts_and_what_is_not_said_stays() {
        let mut all = said(
            r#"{"name": "a", "input": [1], "metadata": {"x": 1, "y": 1}, "userId": 7,
                "timestamp": "2026-12-01T04:42:11Z", "endTime": null}"#,
        );
        all.take(
            said(
                r#"{"name": "b", "metadata": {"y": 2}, "endTime": "2026-12-01T04:42:12.5Z",
                    "timestamp": "2026-12-01T04:42:12Z"}"#,
            ),
            true,
        );
        assert_eq!(all.name.as_deref(), Some("b"));
        assert_eq!(all.input.unwrap().get(), "[1]");
        assert_eq!(all.metadata.unwrap().get(), r#"{"x":1,"y":2}"#);
        assert_eq!(all.user_id.as_deref(), Some("7"));
        assert_eq!(all.timestamp, Some(1_796_100_131_000_000_000));
        assert_eq!(all.end_time, Some(1_796_100_132_500_000_000));
    }

    #[test]
    fn an_update_that_came_first_is_not_undone() {
        let mut all = said(r#"{"output": "x", "model": "answered", "metadata": {"k": 2}}"#);
        all.take(said(r#"{"name": "n", "model": "asked", "metadata": {"k": 1, "l": 1}}"#), false);
        assert_eq!(all.model.as_deref(), Some("answered"));
        assert_eq!(all.name.as_deref(), Some("n"));
        assert_eq!(all.metadata.unwrap().get(), r#"{"k":2,"l":1}"#);
    }

    #[test]
    fn what_has_the_wrong_shape_is_told_where() {
        let wrong = serde_json::from_str::<Said>(r#"{"name": [1]}"#).err().unwrap().to_string();
        assert!(wrong.contains("expected a text"), "{wrong}");
    }
}
