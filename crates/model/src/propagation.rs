//! Which trace a request belongs to, in the headers of W3C Trace Context, Datadog and B3; and W3C
//! Baggage, which says whose it is.
//!
//! Sources: W3C Recommendation «Trace Context», section 3.2; what Datadog's clients send
//! (`x-datadog-…`, the upper half of the trace's id in `_dd.p.tid`); openzipkin's «b3-propagation»; W3C
//! «Baggage», section 3.3.

use std::{fmt, str::FromStr};

use crate::{IdError, SpanId, TraceId};

/// A caller's trace and the span that called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: TraceId,
    pub parent_id: SpanId,
    pub sampled: bool,
}

/// Why a text is not a `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropagationError {
    #[error("expected version-trace-parent-flags")]
    Shape,
    #[error("version ff is not allowed")]
    Version,
    #[error("trace id: {0}")]
    TraceId(#[source] IdError),
    #[error("parent id: {0}")]
    ParentId(#[source] IdError),
}

impl FromStr for TraceContext {
    type Err = PropagationError;

    fn from_str(text: &str) -> Result<Self, PropagationError> {
        let mut fields = text.trim().split('-');
        let (Some(version), Some(trace), Some(parent), Some(flags)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(PropagationError::Shape);
        };
        let version = hex_byte(version)?;
        if version == 0xff {
            return Err(PropagationError::Version);
        }
        // Later versions may append fields; version 00 has exactly four.
        if version == 0 && fields.next().is_some() {
            return Err(PropagationError::Shape);
        }
        Ok(Self {
            trace_id: trace.parse().map_err(PropagationError::TraceId)?,
            parent_id: parent.parse().map_err(PropagationError::ParentId)?,
            sampled: hex_byte(flags)? & 1 == 1,
        })
    }
}

impl TraceContext {
    /// From the headers of a request; `get` gives the value of one by its name in lower case. Where several
    /// say something, W3C's goes first: it has all of the id.
    pub fn from_headers<'h>(get: impl Fn(&'static str) -> Option<&'h str>) -> Option<Self> {
        let w3c = get("traceparent").and_then(|text| text.parse().ok());
        w3c.or_else(|| Self::of_datadog(&get)).or_else(|| Self::of_b3(&get))
    }

    fn of_datadog<'h>(get: impl Fn(&'static str) -> Option<&'h str>) -> Option<Self> {
        let lower: u64 = get("x-datadog-trace-id")?.trim().parse().ok()?;
        let parent: u64 = get("x-datadog-parent-id")?.trim().parse().ok()?;
        let upper = get("x-datadog-tags")
            .and_then(|tags| tags.split(',').find_map(|tag| tag.trim().strip_prefix("_dd.p.tid=")))
            .and_then(|tid| u64::from_str_radix(tid, 16).ok())
            .unwrap_or(0);
        let priority = get("x-datadog-sampling-priority");
        let priority: Option<i64> = priority.and_then(|priority| priority.trim().parse().ok());
        let is_nothing = lower == 0 || parent == 0;
        (!is_nothing).then(|| Self {
            trace_id: TraceId::from_bytes(
                ((u128::from(upper) << 64) | u128::from(lower)).to_be_bytes(),
            ),
            parent_id: SpanId::from_bytes(parent.to_be_bytes()),
            sampled: priority.is_none_or(|priority| priority > 0),
        })
    }

    fn of_b3<'h>(get: impl Fn(&'static str) -> Option<&'h str>) -> Option<Self> {
        let (trace, span, sampled) = match get("b3") {
            Some(all) => {
                let mut fields = all.trim().split('-');
                (fields.next()?, fields.next()?, fields.next())
            }
            None => (get("x-b3-traceid")?, get("x-b3-spanid")?, get("x-b3-sampled")),
        };
        // Ids of 64 bits are still about.
        let trace = format!("{:0>32}", trace.trim());
        Some(Self {
            trace_id: trace.parse().ok()?,
            parent_id: span.trim().parse().ok()?,
            sampled: !matches!(sampled, Some("0" | "false")),
        })
    }

    /// The same for Datadog's clients, beside `traceparent`.
    pub fn datadog_headers(&self) -> [(&'static str, String); 4] {
        let trace = u128::from_be_bytes(*self.trace_id.as_bytes());
        let parent = u64::from_be_bytes(*self.parent_id.as_bytes());
        let (upper, lower) = ((trace >> 64) as u64, trace as u64);
        [
            ("x-datadog-trace-id", lower.to_string()),
            ("x-datadog-parent-id", parent.to_string()),
            ("x-datadog-sampling-priority", u8::from(self.sampled).to_string()),
            ("x-datadog-tags", format!("_dd.p.tid={upper:016x}")),
        ]
    }
}

/// The value of an entry of W3C's `baggage`, decoded.
pub fn baggage(header: &str, key: &str) -> Option<String> {
    let entry = |entry: &str| {
        let (name, rest) = entry.split_once('=')?;
        let value = rest.split(';').next().unwrap_or_default().trim();
        (name.trim() == key && !value.is_empty()).then(|| percent_decoded(value))
    };
    header.split(',').find_map(entry)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_byte(text: &str) -> Result<u8, PropagationError> {
    if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(PropagationError::Shape);
    }
    u8::from_str_radix(text, 16).map_err(|_| PropagationError::Shape)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.parent_id, u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> Option<TraceContext> {
        let get = |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        TraceContext::from_headers(get)
    }

    #[test]
    fn one_trace_is_known_by_the_headers_of_all() {
        let text = "00-65a1b2c300000000a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context: TraceContext = text.parse().unwrap();
        let [trace, parent, priority, tags] = context.datadog_headers();
        assert_eq!(
            (trace.1.as_str(), parent.1.as_str()),
            ("11803532876627986230", "67667974448284343")
        );
        let leaked = |text: String| -> &'static str { text.leak() };
        let datadog = [trace, parent, priority, tags].map(|(name, value)| (name, leaked(value)));
        assert_eq!(of(&datadog), Some(context));
        let b3 = "65a1b2c300000000a3ce929d0e0e4736-00f067aa0ba902b7-1";
        assert_eq!(of(&[("b3", b3)]), Some(context));
        let several = [
            ("x-b3-traceid", "65a1b2c300000000a3ce929d0e0e4736"),
            ("x-b3-spanid", "00f067aa0ba902b7"),
        ];
        assert_eq!(of(&several), Some(context));
        let short = of(&[("b3", "a3ce929d0e0e4736-00f067aa0ba902b7-0")]).unwrap();
        assert_eq!(short.trace_id.to_string(), "0000000000000000a3ce929d0e0e4736");
        assert!(!short.sampled);
        // W3C's first, and what is none is passed over.
        assert_eq!(of(&[("traceparent", text), ("b3", "1-2-3")]), Some(context));
        assert_eq!(of(&[("traceparent", "x"), ("b3", b3)]), Some(context));
        for bad in [[("x-datadog-trace-id", "0")], [("b3", "0")], [("x-b3-traceid", "é")]] {
            assert_eq!(of(&bad), None);
        }
    }

    #[test]
    fn baggage_is_found_and_decoded() {
        let header = "a=1, session.id = chat%2042;p=1 ,user.id=%E3%82%A2%E3%83%B3,x=%zz";
        assert_eq!(baggage(header, "session.id").as_deref(), Some("chat 42"));
        assert_eq!(baggage(header, "user.id").as_deref(), Some("アン"));
        assert_eq!(baggage(header, "x").as_deref(), Some("%zz"));
        assert_eq!(baggage(header, "b"), None);
    }

    #[test]
    fn traceparent_reads_back_and_refuses_garbage() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context: TraceContext = text.parse().unwrap();
        assert_eq!(context.to_string(), text);
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
        ] {
            assert!(bad.parse::<TraceContext>().is_err(), "{bad}");
        }
    }
}
