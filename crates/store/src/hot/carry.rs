//! Spans of which more is to come ([`PARTIAL`]) go from a generation that is frozen into the next one,
//! with their texts: what is in a segment stays as it is, and what comes would be left out.
//!
//! The log's files of the older generation go when it is in segments, so what is left is written to the log
//! once more before that (`embedded/seal.rs`).
//!
//! Bounded in number, bytes and age: what is beyond goes into segments as it is.

use std::collections::HashSet;

use andon_model::{Content, PARTIAL, Span, TraceId, UnixNanos};
use andon_privacy::SpanBatch;

use super::{Hot, Rows};
use crate::table::Row;

/// Spans that one generation leaves to the next; the newest.
const MOST: usize = 4_096;
/// After so long nothing more is expected.
const LONGEST_NS: UnixNanos = 2 * 60 * 60 * 1_000_000_000;

/// A record of the log holds about so much, so that none is larger than the log takes.
const PIECE_BYTES: usize = 64 << 10;

/// What is left to the next generation, in pieces for the log.
#[derive(Default)]
struct Carried {
    pieces: Vec<SpanBatch>,
    bytes: usize,
}

impl Carried {
    fn add(&mut self, span: Span, contents: Vec<Content>) {
        let bytes = span.weight() + contents.iter().map(Row::weight).sum::<usize>();
        if self.pieces.is_empty() || self.bytes + bytes > PIECE_BYTES {
            self.pieces.push(SpanBatch::default());
            self.bytes = 0;
        }
        self.bytes += bytes;
        if let Some(piece) = self.pieces.last_mut() {
            piece.spans.push(span);
            piece.contents.extend(contents);
        }
    }
}

pub(super) fn is_partial(span: &Span) -> bool {
    span.attributes.get(PARTIAL).is_some()
}

impl Hot {
    /// Takes them from the generation that was active until now, into the one that is. `most_bytes`:
    /// what all of them may take.
    pub(super) fn carry_from(&mut self, old: &mut Rows, most_bytes: usize) -> Vec<SpanBatch> {
        let mut carried = Carried::default();
        let now_ns = Span::now_ns();
        let mut bytes = 0;
        for place in std::mem::take(&mut old.partial).into_iter().rev().take(MOST) {
            let Some(span) = old.spans.rows_at(&[place]).pop() else { continue };
            bytes += span.weight();
            if bytes > most_bytes {
                break;
            }
            if now_ns.saturating_sub(span.start_ns) <= LONGEST_NS {
                self.carry(old, place, span, &mut carried);
            }
        }
        carried.pieces
    }

    fn carry(&mut self, old: &mut Rows, place: u32, span: Span, carried: &mut Carried) {
        let active = &mut self.active;
        let at = active.at(active.spans.next_place());
        if !self.traces.carry(&span, old.at(place), at) {
            return;
        }
        old.spans.replace(place);
        active.partial.insert(active.spans.push(span.clone()));
        let mut contents = Vec::new();
        for (key, place) in self.traces.texts_of(&span, old.generation) {
            for content in old.contents.rows_at(&[place]) {
                let at = active.at(active.contents.next_place());
                self.traces.move_text(&span, key, at);
                old.contents.replace(place);
                active.contents.push(content.clone());
                contents.push(content);
            }
        }
        carried.add(span, contents);
    }

    /// Takes in what an earlier generation left to a later one, as the log tells it at a start: only
    /// where nothing is known of the span, since what was said of it later is in the log before.
    pub(super) fn add_carried(&mut self, mut batch: SpanBatch, changed: &mut Vec<TraceId>) {
        batch.spans.retain(|span| !self.traces.knows(span.trace_id, span.span_id));
        let news: HashSet<_> =
            batch.spans.iter().map(|span| (span.trace_id, span.span_id)).collect();
        batch.contents.retain(|content| news.contains(&(content.trace_id, content.span_id)));
        if !batch.spans.is_empty() {
            self.add_batch(batch, changed);
        }
    }
}
