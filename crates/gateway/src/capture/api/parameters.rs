//! Parameters of a request under OpenTelemetry's names (GenAI semantic conventions).

use andon_model::AttributeValue;
use serde_json::Value;

use super::Asked;

/// A field of a request, and the attribute it becomes.
pub(super) type Field = (&'static str, &'static str);

/// What most APIs call alike.
pub(super) const SAMPLING: [Field; 6] = [
    ("temperature", "gen_ai.request.temperature"),
    ("top_p", "gen_ai.request.top_p"),
    ("top_k", "gen_ai.request.top_k"),
    ("seed", "gen_ai.request.seed"),
    ("frequency_penalty", "gen_ai.request.frequency_penalty"),
    ("presence_penalty", "gen_ai.request.presence_penalty"),
];

/// Takes numbers, booleans and short words; whatever else a field holds is left where it is.
pub(super) fn take(from: &Value, fields: &[Field], asked: &mut Asked) {
    for (field, attribute) in fields {
        if let Some(value) = from.get(field).and_then(plain) {
            asked.attributes.set(*attribute, value);
        }
    }
}

pub(super) fn plain(value: &Value) -> Option<AttributeValue> {
    const MOST: usize = 64;
    match value {
        Value::Bool(value) => Some((*value).into()),
        Value::Number(number) => {
            number.as_i64().map(AttributeValue::Int).or(number.as_f64().map(AttributeValue::Float))
        }
        Value::String(text) if text.len() <= MOST => Some(text.as_str().into()),
        _ => None,
    }
}
