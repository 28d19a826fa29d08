//! What was taken away from a span, and how the span says so.

use andon_model::{AttributeValue, Attributes};

/// How many attributes were left out, and how many texts; which fields were shortened.
const ATTRIBUTES: &str = "andon.cut.attributes";
const TEXTS: &str = "andon.cut.texts";
const FIELDS: &str = "andon.cut.fields";
/// Attributes that the marks may take.
pub(crate) const MARKS: usize = 3;
pub(crate) const MARK_NAME_BYTES: usize = ATTRIBUTES.len();
/// The longest list of fields.
pub(crate) const FIELDS_BYTES: usize = 512;
/// What all marks weigh at most.
pub(crate) const MARKS_BYTES: usize =
    ATTRIBUTES.len() + TEXTS.len() + FIELDS.len() + 2 * 8 + FIELDS_BYTES;
const BETWEEN: &str = ", ";
const MORE: &str = "…";

/// What was taken away from one span.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Attributes that were left out.
    pub(crate) attributes: u64,
    /// Texts of prompts and answers that were left out.
    pub(crate) texts: u64,
    /// Names of what was shortened, as they stand in the mark.
    fields: String,
}

impl Cut {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn field(&mut self, name: &str) {
        if self.fields.ends_with(MORE) || self.fields.split(BETWEEN).any(|known| known == name) {
            return;
        }
        let between = if self.fields.is_empty() { "" } else { BETWEEN };
        let fits = self.fields.len() + between.len() + name.len() + BETWEEN.len() + MORE.len()
            <= FIELDS_BYTES;
        self.fields.push_str(between);
        self.fields.push_str(if fits { name } else { MORE });
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.attributes = self.attributes.saturating_add(other.attributes);
        self.texts = self.texts.saturating_add(other.texts);
        let fields = other.fields.split(BETWEEN).filter(|name| !name.is_empty());
        fields.for_each(|name| self.field(name));
    }

    /// Takes the marks of an earlier cut out of the attributes, and over.
    pub(crate) fn add_marks(&mut self, attributes: &mut Attributes) {
        let mut count = |name| match attributes.remove(name) {
            Some(AttributeValue::Int(count)) => u64::try_from(count).unwrap_or(0),
            _ => 0,
        };
        let (attributes_before, texts) = (count(ATTRIBUTES), count(TEXTS));
        let fields = match attributes.remove(FIELDS) {
            Some(AttributeValue::Text(fields)) => fields,
            _ => String::new(),
        };
        self.add(Self { attributes: attributes_before, texts, fields });
    }

    /// Writes the marks.
    pub(crate) fn mark(self, attributes: &mut Attributes) {
        if self.attributes > 0 {
            attributes.set(ATTRIBUTES, self.attributes);
        }
        if self.texts > 0 {
            attributes.set(TEXTS, self.texts);
        }
        if !self.fields.is_empty() {
            attributes.set(FIELDS, self.fields);
        }
    }
}

/// Cuts a text between two characters, and gives its memory back; whether it was longer.
pub(crate) fn shorten(text: &mut String, bytes: usize) -> bool {
    if text.len() <= bytes {
        return false;
    }
    *text = text[..text.floor_char_boundary(bytes)].to_owned();
    true
}
