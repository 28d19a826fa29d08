//! OpenTelemetry's `AnyValue`, which is also what other protocols' values are read into. Texts are
//! slices of the request's body: most are read once and never copied.
//!
//! Source: opentelemetry-proto, `common/v1/common.proto`; for JSON the mapping in the OTLP specification.

use std::{borrow::Cow, fmt};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value as Json};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Value {
    /// Bytes, so that one text which is no UTF-8 does not cost its whole batch.
    #[prost(bytes = "bytes", tag = "1")]
    Text(Bytes),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    Map(KeyValueList),
    #[prost(bytes = "bytes", tag = "7")]
    Bytes(Bytes),
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(deserialize_with = "text")]
    pub(crate) key: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<AnyValue>,
}

/// A text of the wire; what is no UTF-8 in it is replaced.
pub(crate) fn utf8(bytes: &Bytes) -> Cow<'_, str> {
    // Looking for what is wrong goes byte by byte, several times as slow as seeing that nothing is; and
    // for Japanese the standard library sees that no faster.
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// As [`utf8`]; nothing where it is empty.
pub(crate) fn some_text(bytes: &Bytes) -> Option<String> {
    (!bytes.is_empty()).then(|| utf8(bytes).into_owned())
}

impl KeyValue {
    pub(crate) fn value(&self) -> Option<&Value> {
        self.value.as_ref()?.value.as_ref()
    }
}

impl Value {
    /// A count: of whatever kind of number, or a number in a text.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(number) => u64::try_from(*number).ok(),
            Self::Double(number) if *number >= 0.0 && *number < 9e18 => Some(*number as u64),
            Self::Text(text) => utf8(text).trim().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            Self::Text(text) => utf8(text).trim().parse().ok(),
            _ => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) if text.eq_ignore_ascii_case(b"true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case(b"false") => Some(false),
            _ => None,
        }
    }

    /// As one would write it: texts bare, all else as JSON.
    pub(crate) fn to_words(&self) -> String {
        match self {
            Self::Text(text) => utf8(text).into_owned(),
            other => other.to_json().to_string(),
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => utf8(text).into(),
            Self::Bool(value) => (*value).into(),
            Self::Int(number) => (*number).into(),
            Self::Double(number) => (*number).into(),
            Self::Array(array) => array.values.iter().map(json_or_null).collect(),
            Self::Map(map) => {
                let entry = |entry: &KeyValue| {
                    let value = entry.value.as_ref().map_or(Json::Null, json_or_null);
                    (utf8(&entry.key).into_owned(), value)
                };
                Json::Object(map.values.iter().map(entry).collect::<Map<_, _>>())
            }
            Self::Bytes(bytes) => BASE64_STANDARD.encode(bytes).into(),
        }
    }
}

fn json_or_null(value: &AnyValue) -> Json {
    value.value.as_ref().map_or(Json::Null, Value::to_json)
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            // No value at all is only possible one level up.
            Json::Null => Self::Text(Bytes::new()),
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text.into()),
            Json::Array(values) => {
                Self::Array(ArrayValue { values: values.into_iter().map(AnyValue::from).collect() })
            }
            Json::Object(map) => {
                let entry = |(key, value): (String, Json)| KeyValue {
                    key: key.into(),
                    value: Some(value.into()),
                };
                Self::Map(KeyValueList { values: map.into_iter().map(entry).collect() })
            }
        }
    }
}

impl From<Json> for AnyValue {
    fn from(json: Json) -> Self {
        Self { value: (!json.is_null()).then(|| json.into()) }
    }
}

/// `{"stringValue": "x"}` and its like. A whole number may be a number or a text, and a number may be
/// `"NaN"`; names that nobody knows are passed over.
impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOf;

        impl<'de> Visitor<'de> for OneOf {
            type Value = AnyValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one of stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue, bytesValue")
            }

            fn visit_unit<E>(self) -> Result<AnyValue, E> {
                Ok(AnyValue::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
                let mut value = None;
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    let read = match &*key {
                        "stringValue" => {
                            map.next_value::<Option<String>>()?.map(|text| Value::Text(text.into()))
                        }
                        "boolValue" => map.next_value::<Option<bool>>()?.map(Value::Bool),
                        "intValue" => {
                            map.next_value::<Option<Number>>()?.map(|number| match number.whole() {
                                Some(number) => Value::Int(number),
                                None => Value::Double(number.0),
                            })
                        }
                        "doubleValue" => map
                            .next_value::<Option<Number>>()?
                            .map(|number| Value::Double(number.0)),
                        "arrayValue" => map.next_value::<Option<ArrayValue>>()?.map(Value::Array),
                        "kvlistValue" => map.next_value::<Option<KeyValueList>>()?.map(Value::Map),
                        "bytesValue" => map.next_value::<Option<String>>()?.map(|text| {
                            // What is no base64 is kept as it is.
                            Value::Bytes(
                                BASE64_STANDARD
                                    .decode(&text)
                                    .map_or_else(|_| text.into(), Bytes::from),
                            )
                        }),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            None
                        }
                    };
                    value = read.or(value);
                }
                Ok(AnyValue { value })
            }
        }

        deserializer.deserialize_any(OneOf)
    }
}

/// A number of JSON, or a text that is one. Whole ones keep all their digits.
#[derive(Clone, Copy)]
pub(crate) struct Number(pub(crate) f64, Option<i64>, Option<u64>);

impl Number {
    /// As a whole number, where it is one that fits.
    pub(crate) fn whole(self) -> Option<i64> {
        let is_whole = self.0.fract() == 0.0 && self.0.abs() < 9e15;
        self.1.or(is_whole.then_some(self.0 as i64))
    }

    pub(crate) fn unsigned(self) -> Option<u64> {
        self.2.or(self.whole().and_then(|number| u64::try_from(number).ok()))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNumber;

        impl<'de> Visitor<'de> for AnyNumber {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a number in a string")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number as f64, Some(number), u64::try_from(number).ok()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number as f64, i64::try_from(number).ok(), Some(number)))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number(number, None, None))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                let text = text.trim();
                let number: f64 = text
                    .parse()
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
                Ok(Number(number, text.parse().ok(), text.parse().ok()))
            }
        }

        deserializer.deserialize_any(AnyNumber)
    }
}

/// A text of JSON as the bytes that protobuf has.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default().into())
}
