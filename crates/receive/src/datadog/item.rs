//! What Datadog's clients send, before anybody knows what it means: a tree that MessagePack and JSON
//! are both read into. It is looked at leniently, since every client writes numbers, texts and what is
//! absent in its own way.
//!
//! MessagePack is read here, and not by a library, for three reasons: texts are slices of the body and
//! are never copied, an error says at which byte it is, and a claim of four billion elements or of ten
//! thousand levels costs nothing.
//!
//! Source: the MessagePack specification (`spec.md` in msgpack/msgpack).

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value as Json;

use crate::value::{AnyValue, ArrayValue, KeyValue, KeyValueList, Value, utf8};

/// Levels of lists and maps within each other; clients send about six.
const MAX_DEPTH: u32 = 48;
/// Values of one tree. Each is 40 bytes here and one byte in a body at least.
const MAX_ITEMS: usize = 2 << 20;

/// A value of either format.
#[derive(Clone, PartialEq)]
pub(super) enum Item {
    Nothing,
    Bool(bool),
    Int(i64),
    /// Over what [`Self::Int`] holds: half of all ids are.
    Large(u64),
    Float(f64),
    Text(Bytes),
    Bytes(Bytes),
    List(Vec<Item>),
    Map(Vec<(Item, Item)>),
}

/// Where MessagePack could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {what}")]
pub(super) struct Broken {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

impl Item {
    /// Reads one value that is all of `bytes`.
    pub(super) fn unpack(bytes: &Bytes) -> Result<Self, Broken> {
        let mut reader = Unpacker::new(bytes.clone());
        let item = reader.item()?;
        reader.end()?;
        Ok(item)
    }

    /// What a map has under a name; nothing is what is null there.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        let found = entries.iter().find(|(key, _)| key.is_named(name));
        found.map(|(_, value)| value).filter(|value| **value != Self::Nothing)
    }

    fn is_named(&self, name: &str) -> bool {
        matches!(self, Self::Text(text) | Self::Bytes(text) if text == name.as_bytes())
    }

    pub(super) fn entries(&self) -> &[(Self, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(all) => Some(all),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&Bytes> {
        match self {
            Self::Text(text) | Self::Bytes(text) => Some(text),
            _ => None,
        }
    }

    /// A text as it is, and a number or a flag as one would write it.
    pub(super) fn words(&self) -> Option<String> {
        match self {
            Self::Nothing | Self::List(_) | Self::Map(_) => None,
            Self::Text(text) | Self::Bytes(text) => Some(utf8(text).into_owned()),
            other => Some(other.to_json().to_string()),
        }
    }

    /// An id or a time. Some languages know no unsigned numbers and send the same bits.
    pub(super) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(number) => Some(*number as u64),
            Self::Large(number) => Some(*number),
            Self::Float(number) if *number >= 0.0 && *number < 1.8e19 => Some(*number as u64),
            Self::Text(text) => utf8(text).trim().parse().ok(),
            _ => None,
        }
    }

    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Large(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Text(text) => utf8(text).trim().parse().ok(),
            _ => None,
        }
        .filter(|number| number.is_finite())
    }

    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Nothing => Json::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(number) => (*number).into(),
            Self::Large(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => utf8(text).into(),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => BASE64_STANDARD.encode(bytes).into(),
            },
            Self::List(all) => all.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                let entry = |(key, value): &(Self, Self)| Some((key.words()?, value.to_json()));
                Json::Object(entries.iter().filter_map(entry).collect())
            }
        }
    }

    /// As the normaliser takes values; nothing where there is none.
    pub(super) fn to_value(&self) -> Option<Value> {
        Some(match self {
            Self::Nothing => return None,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(number) => Value::Int(*number),
            Self::Large(number) => Value::Double(*number as f64),
            // Python's metrics are all floats; counts among them are whole.
            Self::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Value::Int(*number as i64)
            }
            Self::Float(number) => Value::Double(*number),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Self::List(all) => {
                let value = |item: &Self| AnyValue { value: item.to_value() };
                Value::Array(ArrayValue { values: all.iter().map(value).collect() })
            }
            Self::Map(entries) => {
                let entry = |(key, value): &(Self, Self)| {
                    let key = key.text()?.clone();
                    Some(KeyValue { key, value: Some(AnyValue { value: value.to_value() }) })
                };
                Value::Map(KeyValueList { values: entries.iter().filter_map(entry).collect() })
            }
        })
    }
}

impl From<Json> for Item {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Nothing,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(number)) => Self::Large(number),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text.into()),
            Json::Array(all) => Self::List(all.into_iter().map(Self::from).collect()),
            Json::Object(map) => {
                let entry = |(key, value): (String, Json)| (Self::Text(key.into()), value.into());
                Self::Map(map.into_iter().map(entry).collect())
            }
        }
    }
}

/// Reads MessagePack piece by piece.
pub(super) struct Unpacker {
    bytes: Bytes,
    at: usize,
    depth: u32,
    room: usize,
}

impl Unpacker {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0, depth: 0, room: MAX_ITEMS }
    }

    fn broken(&self, what: &'static str) -> Broken {
        Broken { at: self.at, what }
    }

    pub(super) fn end(&self) -> Result<(), Broken> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.broken("more than one value")) }
    }

    /// Enters a list; how many there are in it. What is in it is read one by one.
    pub(super) fn list(&mut self) -> Result<usize, Broken> {
        let at = self.at;
        let count = match self.byte()? {
            head @ 0x90..=0x9f => Some(usize::from(head & 15)),
            0xdc => Some(self.number::<2>()? as usize),
            0xdd => Some(self.number::<4>()? as usize),
            // A client that has nothing may say so.
            0xc0 => Some(0),
            _ => None,
        };
        let count = count.ok_or(Broken { at, what: "not a list" })?;
        self.check(count)?;
        Ok(count)
    }

    /// One value with everything in it. The bound on how many there are begins anew.
    pub(super) fn tree(&mut self) -> Result<Item, Broken> {
        self.room = MAX_ITEMS;
        self.item()
    }

    fn item(&mut self) -> Result<Item, Broken> {
        self.room = self.room.checked_sub(1).ok_or(self.broken("too many values"))?;
        let head = self.byte()?;
        Ok(match head {
            0x00..=0x7f => Item::Int(head.into()),
            0x80..=0x8f => self.map(usize::from(head & 15))?,
            0x90..=0x9f => self.elements(usize::from(head & 15))?,
            0xa0..=0xbf => Item::Text(self.take(usize::from(head & 31))?),
            0xc0 => Item::Nothing,
            0xc1 => return Err(Broken { at: self.at - 1, what: "0xc1 is no type" }),
            0xc2 => Item::Bool(false),
            0xc3 => Item::Bool(true),
            0xc4 => Item::Bytes(self.sized::<1>()?),
            0xc5 => Item::Bytes(self.sized::<2>()?),
            0xc6 => Item::Bytes(self.sized::<4>()?),
            // Extensions: a byte of type before the data. No client sends one that says something.
            0xc7 => self.extension(Self::number::<1>)?,
            0xc8 => self.extension(Self::number::<2>)?,
            0xc9 => self.extension(Self::number::<4>)?,
            0xca => Item::Float(f32::from_bits(self.number::<4>()? as u32).into()),
            0xcb => Item::Float(f64::from_bits(self.number::<8>()?)),
            0xcc => unsigned(self.number::<1>()?),
            0xcd => unsigned(self.number::<2>()?),
            0xce => unsigned(self.number::<4>()?),
            0xcf => unsigned(self.number::<8>()?),
            0xd0 => Item::Int((self.number::<1>()? as u8 as i8).into()),
            0xd1 => Item::Int((self.number::<2>()? as u16 as i16).into()),
            0xd2 => Item::Int((self.number::<4>()? as u32 as i32).into()),
            0xd3 => Item::Int(self.number::<8>()? as i64),
            0xd4..=0xd8 => self.extension(|_| Ok(1 << (head - 0xd4)))?,
            0xd9 => Item::Text(self.sized::<1>()?),
            0xda => Item::Text(self.sized::<2>()?),
            0xdb => Item::Text(self.sized::<4>()?),
            0xdc => {
                let count = self.number::<2>()? as usize;
                self.elements(count)?
            }
            0xdd => {
                let count = self.number::<4>()? as usize;
                self.elements(count)?
            }
            0xde => {
                let count = self.number::<2>()? as usize;
                self.map(count)?
            }
            0xdf => {
                let count = self.number::<4>()? as usize;
                self.map(count)?
            }
            0xe0..=0xff => Item::Int((head as i8).into()),
        })
    }

    /// Refuses what cannot be there: each element has a byte at least.
    fn check(&self, count: usize) -> Result<(), Broken> {
        if count <= self.bytes.len() - self.at {
            Ok(())
        } else {
            Err(self.broken("it ends before all that it announces"))
        }
    }

    fn deeper(&mut self) -> Result<(), Broken> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.broken("nested too deep")) } else { Ok(()) }
    }

    fn elements(&mut self, count: usize) -> Result<Item, Broken> {
        self.check(count)?;
        self.deeper()?;
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.item()?);
        }
        self.depth -= 1;
        Ok(Item::List(all))
    }

    fn map(&mut self, count: usize) -> Result<Item, Broken> {
        self.check(count.saturating_mul(2))?;
        self.deeper()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push((self.item()?, self.item()?));
        }
        self.depth -= 1;
        Ok(Item::Map(entries))
    }

    fn extension(
        &mut self,
        length: impl FnOnce(&mut Self) -> Result<u64, Broken>,
    ) -> Result<Item, Broken> {
        let length = length(self)? as usize;
        self.byte()?;
        self.take(length).map(Item::Bytes)
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let byte = self.bytes.get(self.at).copied();
        let byte = byte.ok_or(self.broken("it ends in the middle of a value"))?;
        self.at += 1;
        Ok(byte)
    }

    fn number<const BYTES: usize>(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for _ in 0..BYTES {
            number = number << 8 | u64::from(self.byte()?);
        }
        Ok(number)
    }

    fn sized<const BYTES: usize>(&mut self) -> Result<Bytes, Broken> {
        let length = self.number::<BYTES>()? as usize;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<Bytes, Broken> {
        self.check(length)?;
        let taken = self.bytes.slice(self.at..self.at + length);
        self.at += length;
        Ok(taken)
    }
}

fn unsigned(number: u64) -> Item {
    i64::try_from(number).map_or(Item::Large(number), Item::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(bytes: &[u8]) -> Result<Item, Broken> {
        Item::unpack(&Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn values_of_all_lengths_are_read() {
        let json = serde_json::json!({
            "a": [1, -1, 200, 70_000, -70_000, 5_000_000_000u64, u64::MAX, 0.5, null, true],
            "text": "あ".repeat(300), "list": vec![0; 40], "empty": {},
        });
        let packed = rmp_serde::to_vec(&json).unwrap();
        assert_eq!(unpack(&packed).ok().unwrap().to_json(), json);
    }

    #[test]
    fn what_is_broken_says_where() {
        let error = |bytes: &[u8]| unpack(bytes).err().unwrap().to_string();
        assert_eq!(error(&[0x92, 0x01]), "at byte 1: it ends before all that it announces");
        assert_eq!(error(&[0x91, 0xc1]), "at byte 1: 0xc1 is no type");
        assert_eq!(error(&[0xa2, b'x']), "at byte 1: it ends before all that it announces");
        assert_eq!(error(&[0x01, 0x01]), "at byte 1: more than one value");
        assert_eq!(error(&[]), "at byte 0: it ends in the middle of a value");
    }

    #[test]
    fn neither_depth_nor_a_claimed_length_costs_anything() {
        let deep = unpack(&vec![0x91; 1 << 20]).err().unwrap();
        assert_eq!(deep.what, "nested too deep");
        let maps = unpack(&[0x81; 1 << 16]).err().unwrap();
        assert_eq!(maps.what, "nested too deep");
        for head in [0xdd, 0xdf, 0xdb, 0xc6, 0xc9] {
            assert!(unpack(&[head, 0xff, 0xff, 0xff, 0xff, 0x00]).is_err());
        }
        let mut many = vec![0xdd];
        many.extend((MAX_ITEMS as u32 + 1).to_be_bytes());
        many.resize(many.len() + MAX_ITEMS + 1, 0xc0);
        assert_eq!(unpack(&many).err().unwrap().what, "too many values");
    }
}
