//! `keep_alive`: how long a model stays loaded after its last request.
//!
//! A number is seconds; a string is a duration in Go's notation (`"1h30m"`); a bare `"300"` is an
//! error there and here. Negative means forever, zero «unload when idle».

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::Failure;

/// Longest finite time; longer ones mean forever, and no sum of times overflows.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How long to stay loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    For(Duration),
    Forever,
}

impl KeepAlive {
    /// Reads the field; absent and null are none.
    pub(crate) fn from_json(value: Option<&Value>) -> Result<Option<Self>, Failure> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                Ok(Some(Self::from_seconds(number.as_f64().unwrap_or(f64::INFINITY))))
            }
            Some(Value::String(text)) => Self::parse(text).map(Some).ok_or_else(|| {
                Failure::Invalid(format!(
                    "field \"keep_alive\" must be seconds or a duration such as \"5m\", \
                     not \"{}\"",
                    text.chars().take(40).collect::<String>()
                ))
            }),
            Some(other) => Err(crate::fields::wrong("keep_alive", "a number or a duration", other)),
        }
    }

    fn from_seconds(seconds: f64) -> Self {
        if seconds < 0.0 || seconds >= LONGEST.as_secs_f64() {
            return Self::Forever;
        }
        Duration::try_from_secs_f64(seconds).map_or(Self::Forever, Self::For)
    }

    /// Reads Go's notation: a sign, then numbers each with a unit.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self::For(Duration::ZERO));
        }
        if rest.is_empty() {
            return None;
        }
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let number: f64 = rest[..digits].parse().ok()?;
            let (unit, length) = unit_of(&rest[digits..])?;
            seconds += number * unit;
            rest = &rest[digits + length..];
        }
        if negative && seconds > 0.0 {
            Some(Self::Forever)
        } else {
            Some(Self::from_seconds(seconds))
        }
    }

    /// When a model that falls idle now is unloaded; none is never.
    pub(crate) fn deadline(self, now: Instant) -> Option<Instant> {
        match self {
            Self::For(duration) => now.checked_add(duration),
            Self::Forever => None,
        }
    }
}

/// A unit in seconds and the bytes it takes.
fn unit_of(text: &str) -> Option<(f64, usize)> {
    // Longer names first: "ms" is not "m".
    let units = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    units.iter().find(|(name, _)| text.starts_with(name)).map(|(name, unit)| (*unit, name.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seconds(value: f64) -> KeepAlive {
        KeepAlive::For(Duration::from_secs_f64(value))
    }

    #[test]
    fn go_durations() {
        for (text, expected) in [
            ("10m", Some(seconds(600.0))),
            ("1h30m", Some(seconds(5400.0))),
            ("1.5s", Some(seconds(1.5))),
            ("250ms", Some(seconds(0.25))),
            ("0", Some(seconds(0.0))),
            ("0s", Some(seconds(0.0))),
            ("-1m", Some(KeepAlive::Forever)),
            ("999999999h", Some(KeepAlive::Forever)),
            ("300", None),
            ("", None),
            ("-", None),
            ("m", None),
            ("5 m", None),
            ("5x", None),
            ("..s", None),
        ] {
            assert_eq!(KeepAlive::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn json_values() {
        let read = |value| KeepAlive::from_json(Some(&value));
        assert_eq!(read(json!(30)), Ok(Some(seconds(30.0))));
        assert_eq!(read(json!(0)), Ok(Some(seconds(0.0))));
        assert_eq!(read(json!(-1)), Ok(Some(KeepAlive::Forever)));
        assert_eq!(read(json!(1e300)), Ok(Some(KeepAlive::Forever)));
        assert_eq!(read(json!(null)), Ok(None));
        assert!(read(json!("300")).is_err());
        assert!(read(json!([5])).is_err());
    }

    #[test]
    fn forever_has_no_deadline() {
        assert_eq!(KeepAlive::Forever.deadline(Instant::now()), None);
    }
}
