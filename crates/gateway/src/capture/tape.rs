//! A copy of one body: its bytes, and when each piece of them came. Bounded three ways: a body has
//! its most, all bodies together have theirs, and beyond them only the end is kept, because the
//! figures of an answer stand there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use smallvec::SmallVec;

/// What is kept of the end of a body that was longer than its most.
const TAIL_BYTES: usize = 64 << 10;
/// Pieces whose times are kept.
const MAX_MARKS: usize = 1 << 16;

/// What all tapes together may hold, in bytes.
pub(super) struct Budget {
    held: AtomicUsize,
    most: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), most })
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = self.held.fetch_add(bytes, Relaxed) + bytes <= self.most;
        if !fits {
            self.held.fetch_sub(bytes, Relaxed);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
    }
}

/// When the bytes up to `end` had come, in nanoseconds since the call began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at_ns: u64,
    pub(super) end: usize,
}

/// Why a tape does not hold its whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    TooLong,
    NoMemory,
}

pub(super) struct Tape {
    budget: Arc<Budget>,
    most: usize,
    bytes: Vec<u8>,
    /// A whole answer comes in one or two pieces.
    marks: SmallVec<[Mark; 2]>,
    tail: Vec<u8>,
    total: u64,
    charged: usize,
    cut: Option<Cut>,
}

impl Tape {
    /// An empty tape that keeps at most `most` bytes from the start of its body.
    pub(super) fn new(budget: Arc<Budget>, most: usize) -> Self {
        Self {
            budget,
            most,
            bytes: Vec::new(),
            marks: SmallVec::new(),
            tail: Vec::new(),
            total: 0,
            charged: 0,
            cut: None,
        }
    }

    /// Takes a piece that came now.
    pub(super) fn push(&mut self, piece: &[u8], began: Instant) {
        if piece.is_empty() {
            return;
        }
        self.total += piece.len() as u64;
        if self.cut.is_none() {
            self.keep(piece);
        }
        if self.cut.is_some() {
            self.keep_tail(piece);
        }
        let at_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mark = Mark { at_ns, end: self.bytes.len() };
        // Of the pieces beyond the kept ones only the last one's time is kept.
        let beyond = self.marks.len() == MAX_MARKS || self.cut.is_some() && self.marks.len() > 1;
        match self.marks.last_mut() {
            Some(last) if beyond => *last = mark,
            _ => self.marks.push(mark),
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.bytes.len() + piece.len() > self.most {
            self.cut = Some(Cut::TooLong);
            return;
        }
        let spare = self.bytes.capacity() - self.bytes.len();
        if spare < piece.len() {
            // Doubling, by hand: what is charged must be known before it is taken.
            let wanted = (self.bytes.len() + piece.len()).max(self.bytes.capacity() * 2);
            if !self.charge(wanted - self.bytes.capacity()) {
                self.cut = Some(Cut::NoMemory);
                return;
            }
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
    }

    fn keep_tail(&mut self, piece: &[u8]) {
        if self.tail.capacity() == 0 && self.charge(2 * TAIL_BYTES) {
            self.tail.reserve_exact(2 * TAIL_BYTES);
        }
        if self.tail.capacity() == 0 {
            return;
        }
        let piece = &piece[piece.len().saturating_sub(TAIL_BYTES)..];
        if self.tail.len() + piece.len() > 2 * TAIL_BYTES {
            self.tail.drain(..self.tail.len() + piece.len() - TAIL_BYTES);
        }
        self.tail.extend_from_slice(piece);
    }

    fn charge(&mut self, bytes: usize) -> bool {
        let fits = self.budget.take(bytes);
        if fits {
            self.charged += bytes;
        }
        fits
    }

    /// The start of the body; all of it, unless it was cut.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The end of a body that was cut.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Length of the whole body.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn cut(&self) -> Option<Cut> {
        self.cut
    }

    pub(super) fn marks(&self) -> &[Mark] {
        &self.marks
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.budget.give_back(self.charged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_kept_with_the_times_of_its_pieces() {
        let budget = Budget::new(1_000);
        let mut tape = Tape::new(Arc::clone(&budget), 100);
        for piece in ["ab", "", "cde"] {
            tape.push(piece.as_bytes(), Instant::now());
        }
        assert_eq!(tape.bytes(), b"abcde");
        let ends: Vec<_> = tape.marks().iter().map(|mark| mark.end).collect();
        assert_eq!(ends, [2, 5]);
        assert!(budget.held.load(Relaxed) > 0);
        drop(tape);
        assert_eq!(budget.held.load(Relaxed), 0);
    }

    #[test]
    fn of_a_long_body_start_and_end_are_kept() {
        let mut tape = Tape::new(Budget::new(1 << 20), 10);
        for number in 0..40_000 {
            tape.push(format!("{number:09}\n").as_bytes(), Instant::now());
        }
        assert_eq!((tape.bytes(), tape.cut()), (&b"000000000\n"[..], Some(Cut::TooLong)));
        assert!(tape.tail().ends_with(b"000039998\n000039999\n"));
        assert!(tape.tail().len() >= TAIL_BYTES && tape.tail().len() <= 2 * TAIL_BYTES);
        assert_eq!(tape.total(), 400_000);
    }

    #[test]
    fn without_memory_nothing_is_kept_but_everything_counted() {
        let mut tape = Tape::new(Budget::new(4), 1_000);
        tape.push(b"hello", Instant::now());
        assert_eq!((tape.bytes(), tape.cut(), tape.total()), (&b""[..], Some(Cut::NoMemory), 5));
    }
}
