//! What may be kept of prompts and answers. Applied by `andon-privacy`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// How much of a text is kept. The default keeps the first ten characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Everything is kept.
    Full,
    /// The first `n` characters (Unicode scalar values) are kept, then a notice.
    Mask(u32),
    /// No text at all; lengths and token counts stay.
    None,
}

/// Why a text is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown privacy policy {0:?}; use full, mask:N (for example mask:10) or none")]
pub struct PolicyError(String);

impl Default for Policy {
    fn default() -> Self {
        Self::Mask(10)
    }
}

impl Policy {
    /// The one of the two that keeps less.
    pub fn stricter(self, other: Self) -> Self {
        if self.kept_chars() <= other.kept_chars() { self } else { other }
    }

    fn kept_chars(self) -> u64 {
        match self {
            Self::Full => u64::MAX,
            Self::Mask(visible) => u64::from(visible) + 1,
            Self::None => 0,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Mask(visible) => write!(f, "mask:{visible}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        match text {
            "full" => Ok(Self::Full),
            "none" => Ok(Self::None),
            _ => text
                .strip_prefix("mask:")
                .and_then(|visible| visible.parse().ok())
                .map(Self::Mask)
                .ok_or_else(|| PolicyError(text.chars().take(40).collect())),
        }
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl utoipa::PartialSchema for Policy {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(full|mask:[0-9]+|none)$"))
            .into()
    }
}

impl utoipa::ToSchema for Policy {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_can_only_ask_for_less_to_be_kept() {
        assert_eq!(Policy::Mask(10).stricter(Policy::Full), Policy::Mask(10));
        assert_eq!(Policy::Mask(10).stricter(Policy::None), Policy::None);
        assert_eq!(Policy::None.stricter(Policy::Mask(0)), Policy::None);
        assert_eq!(Policy::Full.stricter(Policy::Mask(3)), Policy::Mask(3));
    }

    #[test]
    fn policies_read_back_what_they_print() {
        for policy in [Policy::Full, Policy::Mask(10), Policy::None] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert!("mask".parse::<Policy>().is_err());
        assert!("mask:-1".parse::<Policy>().is_err());
    }
}
