//! Attributes as a map of texts, which keeps what kind of value each was.

use std::sync::Arc;

use andon_model::{AttributeValue, Attributes};
use arrow::{
    array::{Array, ArrayRef, AsArray, MapArray, MapBuilder, MapFieldNames, StringBuilder},
    datatypes::{DataType, Field, Fields},
};

use super::codec::{Codec, Kind};

/// Attributes, their values as text.
pub(crate) struct Map;

impl Kind for Map {
    type Builder = MapBuilder<StringBuilder, StringBuilder>;
    type Reader<'a> = &'a MapArray;

    fn data_type() -> DataType {
        let MapFieldNames { entry, key, value } = MapFieldNames::default();
        let key = Field::new(key, DataType::Utf8, false);
        let value = Field::new(value, DataType::Utf8, true);
        let entries = DataType::Struct(Fields::from(vec![key, value]));
        DataType::Map(Arc::new(Field::new(entry, entries, false)), false)
    }

    fn builder(rows: usize) -> Self::Builder {
        let (names, values) = (StringBuilder::new(), StringBuilder::new());
        MapBuilder::with_capacity(None, names, values, rows)
    }

    fn finish(mut builder: Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }

    fn reader(array: &dyn Array) -> Option<&MapArray> {
        array.as_map_opt()
    }
}

impl Codec<Attributes> for Map {
    /// Counted before: growing bit by bit copies all that there is again and again.
    fn builder_for<'a>(
        values: impl ExactSizeIterator<Item = &'a Attributes> + Clone,
    ) -> Self::Builder {
        let rows = values.len();
        let (mut entries, mut names, mut texts) = (0, 0, 0);
        for (name, value) in values.flatten() {
            entries += 1;
            names += name.len();
            texts += value.weight();
        }
        let names = StringBuilder::with_capacity(entries, names);
        let values = StringBuilder::with_capacity(entries, texts);
        MapBuilder::with_capacity(None, names, values, rows)
    }

    fn append(builder: &mut Self::Builder, attributes: &Attributes) {
        for (name, value) in attributes {
            builder.keys().append_value(name);
            append_attribute(builder.values(), value);
        }
        // Fails on keys and values of different number alone.
        let _ = builder.append(true);
    }

    fn get(reader: &&MapArray, row: usize) -> Attributes {
        let mut attributes = Attributes::new();
        if reader.is_null(row) {
            return attributes;
        }
        let entries = reader.value(row);
        let (names, values) = (entries.column(0), entries.column(1));
        let (Some(names), Some(values)) =
            (names.as_string_opt::<i32>(), values.as_string_opt::<i32>())
        else {
            return attributes;
        };
        for (name, value) in names.iter().zip(values) {
            if let (Some(name), Some(value)) = (name, value) {
                attributes.set(name.to_owned(), parse_attribute(value));
            }
        }
        attributes
    }
}

/// A value as people write it in a query: `true`, `12`, `0.5`, `some text`. A text that would read
/// as one of the others stands in quotes.
fn append_attribute(builder: &mut StringBuilder, value: &AttributeValue) {
    use std::fmt::Write as _;
    match value {
        AttributeValue::Bool(value) => builder.append_value(if *value { "true" } else { "false" }),
        AttributeValue::Int(value) => {
            // A builder takes all that is written.
            let _ = write!(builder, "{value}");
            builder.append_value("");
        }
        AttributeValue::Float(value) => {
            let _ = write!(builder, "{value:?}");
            builder.append_value("");
        }
        AttributeValue::Text(text) if reads_as_itself(text) => builder.append_value(text),
        AttributeValue::Text(text) => {
            let _ = write!(builder, "\"{text}\"");
            builder.append_value("");
        }
    }
}

fn reads_as_itself(text: &str) -> bool {
    quoted(text).is_none() && parse_other(text).is_none()
}

/// A text that stands in quotes because it would read as another kind of value.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
}

/// What people see of a value.
pub(crate) fn unquoted(text: &str) -> &str {
    quoted(text).unwrap_or(text)
}

fn parse_attribute(text: &str) -> AttributeValue {
    if let Some(inner) = quoted(text) {
        return AttributeValue::Text(inner.to_owned());
    }
    parse_other(text).unwrap_or_else(|| AttributeValue::Text(text.to_owned()))
}

/// A flag or a number.
fn parse_other(text: &str) -> Option<AttributeValue> {
    match text {
        "true" => return Some(AttributeValue::Bool(true)),
        "false" => return Some(AttributeValue::Bool(false)),
        _ => {}
    }
    // Only what a number is printed as: no `+1`, no `1e3` and no `007`, which are texts.
    let starts_like_one = text
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_digit() || matches!(first, b'-' | b'N' | b'i'));
    if !starts_like_one {
        return None;
    }
    if let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
        return Some(AttributeValue::Int(number));
    }
    let number = text.parse::<f64>().ok().filter(|number| format!("{number:?}") == text);
    number.map(AttributeValue::Float)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = AttributeValue> {
        prop_oneof![
            any::<bool>().prop_map(AttributeValue::Bool),
            any::<i64>().prop_map(AttributeValue::Int),
            any::<f64>().prop_filter("comparable", |f| !f.is_nan()).prop_map(AttributeValue::Float),
            ".*".prop_map(AttributeValue::Text),
            "-?[0-9]{1,4}(\\.[0-9]{1,3})?".prop_map(AttributeValue::Text),
            "\"[a-z\"]{0,3}\"?".prop_map(AttributeValue::Text),
            Just(AttributeValue::Text("true".to_owned())),
            Just(AttributeValue::Text("inf".to_owned())),
        ]
    }

    proptest! {
        #[test]
        fn attributes_keep_their_type(value in any_value()) {
            let mut builder = StringBuilder::new();
            append_attribute(&mut builder, &value);
            prop_assert_eq!(parse_attribute(builder.finish().value(0)), value);
        }
    }
}
