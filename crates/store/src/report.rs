//! What opening the store found, in words and numbers that a page can show.

use serde::Serialize;

/// Faults that are kept in full; more are only counted.
const FAULTS_KEPT: usize = 50;

/// What was read when the store was opened, and what was wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ReplayReport {
    /// Log files found.
    pub segments: u64,
    /// Frames read: what was not yet in segments.
    pub frames: u64,
    pub duration_ms: u64,
    /// The first of the faults.
    pub faults: Vec<Fault>,
    pub faults_total: u64,
}

/// One damaged place. What could be read before and after it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    pub file: String,
    pub offset: u64,
    pub bytes: u64,
    pub kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A write that a crash cut short, never acknowledged; it was cut off.
    TornTail,
    /// A damaged frame; reading went on behind it.
    CorruptFrame,
    /// A damaged frame with nothing readable behind it, in a file that is no longer written to.
    CorruptTail,
    /// A file whose own header is damaged; its frames were read all the same.
    BadHeader,
    /// A file without a whole header, and so without frames; it was removed.
    EmptyFile,
    /// A whole frame that this version cannot understand.
    Undecodable,
    /// The list of segments; it was made anew from the segments.
    BadManifest,
    /// A segment that cannot be read; the others are served.
    BadSegment,
}

impl ReplayReport {
    pub(crate) fn add(&mut self, fault: Fault) {
        let Fault { file, offset, bytes, kind } = &fault;
        tracing::warn!(file, offset, bytes, ?kind, "damaged place in the store");
        self.faults_total += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push(fault);
        }
    }
}
