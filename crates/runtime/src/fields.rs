//! Reads fields out of JSON by hand, so that a wrong type is answered with the field's path.
//!
//! A derived decoder stops at «line 1 column 80»; a person wants to hear `messages[0].content`.
//! As in Ollama, null is the same as absent, and unknown fields are left alone.

use serde_json::{Map, Value};

use crate::failure::Failure;

/// An object and where it stands in the request.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    pub(crate) fn root(value: &'a Value) -> Result<Self, Failure> {
        let map = value.as_object().ok_or_else(|| {
            Failure::Invalid(format!("request body must be an object, not {}", kind(value)))
        })?;
        Ok(Self { map, path: String::new() })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, Failure> {
        self.typed(key, "a string", Value::as_str)
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Failure> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, Failure> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub(crate) fn integer(&self, key: &str) -> Result<Option<i64>, Failure> {
        self.typed(key, "an integer", whole_number)
    }

    pub(crate) fn list(&self, key: &str) -> Result<Option<&'a [Value]>, Failure> {
        self.typed(key, "an array", |value| value.as_array().map(Vec::as_slice))
    }

    pub(crate) fn object(&self, key: &str) -> Result<Option<Fields<'a>>, Failure> {
        let map = self.typed(key, "an object", Value::as_object)?;
        Ok(map.map(|map| Fields { map, path: self.path_of(key) }))
    }

    /// The objects of a list.
    pub(crate) fn objects(&self, key: &str) -> Result<Option<Vec<Fields<'a>>>, Failure> {
        let Some(list) = self.list(key)? else { return Ok(None) };
        let mut objects = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let path = format!("{}[{index}]", self.path_of(key));
            let map = value.as_object().ok_or_else(|| wrong(&path, "an object", value))?;
            objects.push(Fields { map, path });
        }
        Ok(Some(objects))
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| wrong(&self.path_of(key), expected, value))
    }
}

/// `40` and `40.0` alike.
pub(crate) fn whole_number(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "guarded: whole and within range")]
    value.as_i64().or_else(|| {
        value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9.0e15).map(|n| n as i64)
    })
}

/// The error for a value of a wrong type.
pub(crate) fn wrong(path: &str, expected: &str, value: &Value) -> Failure {
    Failure::Invalid(format!("field \"{path}\" must be {expected}, not {}", kind(value)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_type_is_answered_with_its_path() {
        let value = json!({ "messages": [{ "content": "a" }, { "content": 5 }] });
        let messages = Fields::root(&value).unwrap().objects("messages").unwrap().unwrap();
        assert_eq!(messages[0].text("content"), Ok(Some("a")));
        assert_eq!(
            messages[1].text("content").unwrap_err().to_string(),
            "field \"messages[1].content\" must be a string, not a number"
        );
    }

    #[test]
    fn null_is_absent_and_whole_floats_are_integers() {
        let value = json!({ "a": null, "b": 40.0, "c": 40.5 });
        let fields = Fields::root(&value).unwrap();
        assert_eq!(fields.text("a"), Ok(None));
        assert_eq!(fields.integer("b"), Ok(Some(40)));
        assert!(fields.integer("c").is_err());
    }
}
