//! What was asked and answered lately, as keyed hashes of its stretches: enough to recognise a quote, and
//! nothing to read.
//!
//! An error is told by the spans around a call as well, which have no texts themselves and come in other
//! requests; and some libraries send a call's messages apart from its span.

use std::collections::{HashMap, HashSet, VecDeque};

use andon_model::{RawText, TraceId};

/// Stretches that are remembered, of all traces together: some 10 MB.
const MOST: usize = 1 << 19;
const MOST_TRACES: usize = 1 << 14;
/// Of one text so much is remembered; a quote from further on is not recognised in another span.
const MOST_CHARS: usize = 32 << 10;

/// Characters of a stretch that counts as quoted. Short enough for Japanese.
pub(crate) const QUOTED_CHARS: usize = 8;

/// Hashes of stretches by their traces, the oldest traces forgotten first.
#[derive(Debug)]
pub(crate) struct Heard {
    traces: HashMap<TraceId, HashSet<u64>>,
    order: VecDeque<TraceId>,
    stretches: usize,
    /// Odd, and new at each start.
    base: u64,
}

impl Default for Heard {
    fn default() -> Self {
        let base = rand::random::<u64>() | 1;
        Self { traces: HashMap::new(), order: VecDeque::new(), stretches: 0, base }
    }
}

impl Heard {
    pub(crate) fn add(&mut self, trace: TraceId, text: &RawText) {
        let chars: Vec<char> = text.expose().chars().take(MOST_CHARS).collect();
        if chars.len() < QUOTED_CHARS {
            return;
        }
        let base = self.base;
        let known = self.of(trace);
        let before = known.len();
        known.extend(hashes(base, &chars));
        self.stretches += known.len() - before;
        // The newest stays, however much it is.
        while self.stretches > MOST && self.order.len() > 1 {
            self.forget_oldest();
        }
    }

    /// There was a call of a model in this trace.
    pub(crate) fn note_call(&mut self, trace: TraceId) {
        self.of(trace);
    }

    /// Whether a call was seen in a trace and nothing of what it said.
    pub(crate) fn is_silent(&self, trace: TraceId) -> bool {
        self.traces.get(&trace).is_some_and(HashSet::is_empty)
    }

    fn of(&mut self, trace: TraceId) -> &mut HashSet<u64> {
        if !self.traces.contains_key(&trace) {
            self.order.push_back(trace);
            while self.order.len() > MOST_TRACES {
                self.forget_oldest();
            }
        }
        self.traces.entry(trace).or_default()
    }

    fn forget_oldest(&mut self) {
        let oldest = self.order.pop_front();
        let gone = oldest.and_then(|oldest| self.traces.remove(&oldest));
        self.stretches -= gone.map_or(0, |gone| gone.len());
    }

    /// Marks what of a message was heard in its trace.
    pub(crate) fn mark(&self, trace: TraceId, message: &[char], quoted: &mut [bool]) {
        let Some(known) = self.traces.get(&trace) else { return };
        for (place, hash) in hashes(self.base, message).enumerate() {
            if known.contains(&hash) {
                quoted[place..place + QUOTED_CHARS].fill(true);
            }
        }
    }
}

/// The hash of each stretch, from the one before it (Rabin and Karp): a polynomial in a secret base.
fn hashes(base: u64, chars: &[char]) -> impl Iterator<Item = u64> {
    let leaving = base.wrapping_pow(QUOTED_CHARS as u32 - 1);
    let next =
        move |hash: u64, c: char| hash.wrapping_mul(base).wrapping_add(u64::from(u32::from(c)) + 1);
    let start = chars.len().min(QUOTED_CHARS - 1);
    let mut hash = chars[..start].iter().fold(0, |hash, c| next(hash, *c));
    chars[start..].iter().enumerate().map(move |(at, c)| {
        hash = next(hash, *c);
        let whole = hash;
        // Without the first of this one, for the next one.
        let first = u64::from(u32::from(chars[at])) + 1;
        hash = hash.wrapping_sub(first.wrapping_mul(leaving));
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(heard: &Heard, trace: TraceId, message: &str) -> String {
        let message: Vec<char> = message.chars().collect();
        let mut quoted = vec![false; message.len()];
        heard.mark(trace, &message, &mut quoted);
        message.iter().zip(quoted).map(|(c, quoted)| if quoted { '_' } else { *c }).collect()
    }

    #[test]
    fn quotes_are_found_in_their_trace_and_nowhere_else() {
        let mut heard = Heard::default();
        let (one, other) = (TraceId::random(), TraceId::random());
        heard.add(one, &RawText::new("経営会議の議事録を要約してください"));
        assert_eq!(
            marked(&heard, one, "no answer to 経営会議の議事録を要約し here"),
            "no answer to ____________ here"
        );
        assert_eq!(marked(&heard, one, "経営会議の議"), "経営会議の議");
        assert_eq!(marked(&heard, other, "経営会議の議事録を要約"), "経営会議の議事録を要約");
        heard.note_call(other);
        assert!(heard.is_silent(other) && !heard.is_silent(one));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let mut heard = Heard::default();
        let traces: Vec<_> = (0..40).map(|_| TraceId::random()).collect();
        for (at, trace) in traces.iter().enumerate() {
            let text: String = (0..20_000).map(|n| format!("{at}{n} ")).collect();
            heard.add(*trace, &RawText::new(text));
        }
        assert!(heard.stretches <= MOST);
        assert!(!heard.traces.contains_key(&traces[0]) && heard.traces.contains_key(&traces[39]));
    }
}
