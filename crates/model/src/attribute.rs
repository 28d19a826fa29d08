//! Attributes: what a span knows beyond the columns.

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map},
    ops::Index,
};

use serde::{Deserialize, Serialize};

/// Attributes by their names. Most names are constants of Andon's own, and cost nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(BTreeMap<Cow<'static, str>, AttributeValue>);

impl Attributes {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an attribute, whatever it was before.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<AttributeValue>) {
        self.0.insert(name.into(), value.into());
    }

    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.0.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of names and texts.
    pub fn weight(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.weight()).sum()
    }

    /// Takes an attribute out.
    pub fn remove(&mut self, name: &str) -> Option<AttributeValue> {
        self.0.remove(name)
    }

    /// Takes over all of `other`.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

impl Index<&str> for Attributes {
    type Output = AttributeValue;

    /// # Panics
    ///
    /// Where there is none of this name.
    fn index(&self, name: &str) -> &AttributeValue {
        &self.0[name]
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = (&'a Cow<'static, str>, &'a AttributeValue);
    type IntoIter = btree_map::Iter<'a, Cow<'static, str>, AttributeValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Attributes {
    type Item = (Cow<'static, str>, AttributeValue);
    type IntoIter = btree_map::IntoIter<Cow<'static, str>, AttributeValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One attribute's value. Untagged, so that JSON shows the bare value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl AttributeValue {
    /// Bytes of a text; what a number or a flag is taken to have.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) => 8,
        }
    }
}

impl utoipa::PartialSchema for AttributeValue {
    /// Not derived: JSON has one kind of number, and an integer would match two of the variants.
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        let types = SchemaType::from_iter([Type::Boolean, Type::Number, Type::String]);
        ObjectBuilder::new().schema_type(types).into()
    }
}

impl utoipa::ToSchema for AttributeValue {}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for AttributeValue {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for AttributeValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
