//! Attributes: what a span knows beyond the columns.

use std::{borrow::Cow, fmt, ops::Index, slice, vec};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

type Entry = (Cow<'static, str>, AttributeValue);

/// Attributes by their names, in the order of these. Most names are constants of Andon's own, and cost
/// nothing. A list, since most spans have a dozen: one piece of memory, filled once and read in order.
#[derive(Clone, Default, PartialEq)]
pub struct Attributes(Vec<Entry>);

impl Attributes {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets an attribute, whatever it was before. What is set in the order of names costs least; for
    /// many others there is [`Extend`].
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<AttributeValue>) {
        let (name, value) = (name.into(), value.into());
        if self.0.last().is_none_or(|(last, _)| *last < name) {
            return self.0.push((name, value));
        }
        match self.place_of(&name) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (name, value)),
        }
    }

    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.place_of(name).ok().map(|place| &self.0[place].1)
    }

    fn place_of(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name))
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
        self.place_of(name).ok().map(|place| self.0.remove(place).1)
    }

    /// Takes over all of `other`.
    pub fn append(&mut self, other: Self) {
        self.extend(other);
    }
}

/// Sets all of them, a later one of the same name over an earlier one.
impl Extend<Entry> for Attributes {
    fn extend<T: IntoIterator<Item = Entry>>(&mut self, more: T) {
        self.0.extend(more);
        if self.0.is_sorted_by(|(before, _), (after, _)| before < after) {
            return;
        }
        // Stable: of one name the last one set is behind the others.
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.0.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                std::mem::swap(&mut later.1, &mut kept.1);
            }
            is_same
        });
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attributes(")?;
        f.debug_map().entries(self).finish()?;
        f.write_str(")")
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Attributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of attributes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut attributes = Attributes::new();
                let mut entries = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, AttributeValue>()? {
                    entries.push((Cow::Owned(name), value));
                }
                attributes.extend(entries);
                Ok(attributes)
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

impl Index<&str> for Attributes {
    type Output = AttributeValue;

    /// # Panics
    ///
    /// Where there is none of this name.
    fn index(&self, name: &str) -> &AttributeValue {
        // As a list answers for a place that it does not have.
        let place = self.place_of(name).unwrap_or(usize::MAX);
        &self.0[place].1
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = (&'a Cow<'static, str>, &'a AttributeValue);
    type IntoIter = std::iter::Map<slice::Iter<'a, Entry>, fn(&'a Entry) -> Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl IntoIterator for Attributes {
    type Item = Entry;
    type IntoIter = vec::IntoIter<Entry>;

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "cc", "cd", "e"];

    fn same(attributes: &Attributes, map: &BTreeMap<&str, AttributeValue>) {
        let own: Vec<_> = attributes.into_iter().map(|(name, value)| (&**name, value)).collect();
        assert_eq!(own, map.iter().map(|(name, value)| (*name, value)).collect::<Vec<_>>());
        for name in NAMES {
            assert_eq!(attributes.get(name), map.get(name));
        }
        let written = serde_json::to_string(attributes).unwrap();
        assert_eq!(written, serde_json::to_string(map).unwrap());
        assert_eq!(serde_json::from_str::<Attributes>(&written).unwrap(), *attributes);
    }

    /// All orders of five names, some of them twice.
    #[test]
    fn they_are_what_a_map_would_be() {
        for order in 0..NAMES.len().pow(5) {
            let place = |at: u32| NAMES[order / NAMES.len().pow(at) % NAMES.len()];
            let entries = (0..5_i64).map(|at| (place(at as u32), AttributeValue::Int(at)));
            let (mut one_by_one, mut map) = (Attributes::new(), BTreeMap::new());
            for (name, value) in entries.clone() {
                one_by_one.set(name, value.clone());
                map.insert(name, value);
            }
            same(&one_by_one, &map);
            let owned =
                |(name, value): (&'static str, AttributeValue)| (Cow::Borrowed(name), value);
            let mut at_once = Attributes::new();
            at_once.extend(entries.clone().take(2).map(owned));
            at_once.extend(entries.skip(2).map(owned));
            same(&at_once, &map);
            let first = place(0);
            assert_eq!(one_by_one.remove(first), map.remove(first));
            assert_eq!(one_by_one.remove(first), None);
            same(&one_by_one, &map);
        }
    }
}
