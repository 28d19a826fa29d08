//! Where samples are on disk, by time: one entry for each stretch of the sample log.

use std::collections::VecDeque;

use andon_model::UnixNanos;

use crate::log::{Found, HEADER_LEN, Position};

/// Frames that one entry covers: about two minutes at two frames a second.
const FRAMES_PER_RUN: u32 = 256;
/// Files from before the start are entered whole, by when they were written. A sample's own time
/// is a little earlier than its writing.
const SLACK_NS: u64 = 60_000_000_000;

/// A stretch of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) segment: u64,
    pub(crate) from: u64,
    /// The last frame begins before this.
    pub(crate) to: u64,
    first_ns: UnixNanos,
    last_ns: UnixNanos,
    frames: u32,
}

#[derive(Debug, Default)]
pub(crate) struct SampleIndex {
    runs: VecDeque<Run>,
}

impl SampleIndex {
    /// Adds a frame behind all others.
    pub(crate) fn add(&mut self, at: Position, times: impl IntoIterator<Item = UnixNanos>) {
        let (first_ns, last_ns) = times
            .into_iter()
            .fold((u64::MAX, 0), |(first, last), time| (first.min(time), last.max(time)));
        if let Some(run) = self.runs.back_mut()
            && run.segment == at.segment
            && run.frames < FRAMES_PER_RUN
        {
            run.to = at.offset + 1;
            run.first_ns = run.first_ns.min(first_ns);
            run.last_ns = run.last_ns.max(last_ns);
            run.frames += 1;
            return;
        }
        let Position { segment, offset: from } = at;
        self.runs.push_back(Run { segment, from, to: from + 1, first_ns, last_ns, frames: 1 });
    }

    /// Adds a whole file without having read it.
    pub(crate) fn add_unread(&mut self, found: &Found) {
        self.runs.push_back(Run {
            segment: found.sequence,
            from: HEADER_LEN,
            to: u64::MAX,
            first_ns: found.created_ns.min(found.closed_ns).saturating_sub(SLACK_NS),
            last_ns: found.created_ns.max(found.closed_ns).saturating_add(SLACK_NS),
            frames: FRAMES_PER_RUN,
        });
    }

    pub(crate) fn removed(&mut self, before: u64) {
        self.runs.retain(|run| run.segment >= before);
    }

    /// The stretches that may hold samples of this time, oldest first.
    pub(crate) fn runs(&self, from_ns: UnixNanos, to_ns: UnixNanos) -> Vec<Run> {
        let touches = |run: &&Run| run.first_ns <= to_ns && run.last_ns >= from_ns;
        self.runs.iter().filter(touches).copied().collect()
    }
}
