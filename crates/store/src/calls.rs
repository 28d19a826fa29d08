//! What is asked about calls to models, one by one.

use andon_model::UnixNanos;

use crate::Interrupt;

/// Calls of a time.
#[derive(Debug, Clone, Default)]
pub struct CallQuery {
    pub from_ns: UnixNanos,
    /// Not included.
    pub to_ns: UnixNanos,
    /// Ends the question when it is raised.
    pub interrupt: Interrupt,
}
