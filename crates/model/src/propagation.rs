//! W3C Trace Context (`traceparent`): which trace a request belongs to.
//! Source of the format: W3C Recommendation «Trace Context», section 3.2.

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
