//! Trace, span and request ids. Bytes inside, lower-case hex outside (W3C Trace Context).

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, Visitor},
};
use sha2::{Digest, Sha256};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("expected {expected} hex digits, got {got}")]
    Length { expected: usize, got: usize },
    #[error("not a hex digit at position {0}")]
    Digit(usize),
    #[error("an id of zeros only is not valid")]
    Zero,
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// A random id, never all zeros.
            pub fn random() -> Self {
                loop {
                    let bytes: [u8; $bytes] = rand::random();
                    if bytes != [0; $bytes] {
                        return Self(bytes);
                    }
                }
            }

            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// One id for one name, always the same: the first bytes of its SHA-256. For protocols
            /// whose ids are any text.
            pub fn named(name: &str) -> Self {
                let digest = Sha256::digest(name);
                let mut bytes = [0; $bytes];
                bytes.copy_from_slice(&digest[..$bytes]);
                Self(bytes)
            }

            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 2 * $bytes];
                f.write_str(encode_hex(&self.0, &mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $bytes];
                decode_hex(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    deserializer.deserialize_bytes(BytesVisitor::<$bytes>).map(Self)
                }
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                use utoipa::openapi::schema::{ObjectBuilder, Type};
                let digits = $bytes * 2;
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some(format!("^[0-9a-f]{{{digits}}}$")))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

hex_id!(
    /// 128-bit id that all spans of one request share.
    TraceId,
    16
);
hex_id!(
    /// 64-bit id of one span, unique within its trace.
    SpanId,
    8
);

/// Reads an id's bytes in a binary format.
struct BytesVisitor<const LENGTH: usize>;

impl<const LENGTH: usize> Visitor<'_> for BytesVisitor<LENGTH> {
    type Value = [u8; LENGTH];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an id of {LENGTH} bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

/// Ids are written several times a call, so digit by digit through `fmt` costs too much.
fn encode_hex<'a>(bytes: &[u8], text: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(text).unwrap_or_default()
}

fn decode_hex(text: &str, bytes: &mut [u8]) -> Result<(), IdError> {
    let digits = text.as_bytes();
    if digits.len() != bytes.len() * 2 {
        return Err(IdError::Length { expected: bytes.len() * 2, got: digits.len() });
    }
    for (position, digit) in digits.iter().enumerate() {
        let value = (*digit as char).to_digit(16).ok_or(IdError::Digit(position))? as u8;
        bytes[position / 2] = bytes[position / 2] << 4 | value;
    }
    if bytes.iter().all(|byte| *byte == 0) { Err(IdError::Zero) } else { Ok(()) }
}

/// What the caller calls this request (`x-request-id`), or one made here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RequestId(String);

impl RequestId {
    pub const MAX_CHARS: usize = 128;

    /// Takes the caller's id when it is good; else makes one.
    pub fn from_caller(given: Option<&str>) -> Self {
        given.and_then(Self::given).unwrap_or_else(|| Self(TraceId::random().to_string()))
    }

    /// A caller's id, if it is printable ASCII of at most [`Self::MAX_CHARS`].
    pub fn given(id: &str) -> Option<Self> {
        let id = id.trim();
        let is_good = !id.is_empty()
            && id.len() <= Self::MAX_CHARS
            && id.bytes().all(|byte| byte.is_ascii_graphic());
        is_good.then(|| Self(id.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_text_and_reject_what_is_not_hex() {
        let id = TraceId::random();
        assert_eq!(id.to_string().parse::<TraceId>(), Ok(id));
        assert_eq!("xy".parse::<SpanId>(), Err(IdError::Length { expected: 16, got: 2 }));
        assert_eq!("00000000000000zz".parse::<SpanId>(), Err(IdError::Digit(14)));
        assert_eq!("0000000000000000".parse::<SpanId>(), Err(IdError::Zero));
    }

    #[test]
    fn a_name_has_one_id() {
        assert_eq!(SpanId::named("a"), SpanId::named("a"));
        assert_ne!(SpanId::named("a"), SpanId::named("b"));
        // SHA-256 of "abc" begins so.
        assert_eq!(SpanId::named("abc").to_string(), "ba7816bf8f01cfea");
    }

    #[test]
    fn a_request_id_with_control_characters_is_replaced() {
        assert_eq!(RequestId::from_caller(Some("abc-1")).as_str(), "abc-1");
        assert_ne!(RequestId::from_caller(Some("a\nb")).as_str(), "a\nb");
        assert_ne!(RequestId::from_caller(Some(&"x".repeat(200))).as_str().len(), 200);
    }
}
