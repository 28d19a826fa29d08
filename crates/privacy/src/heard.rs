//! What was asked and answered lately, as keyed hashes of its stretches: enough to recognise a quote, and
//! nothing to read.
//!
//! An error is told by the spans around a call as well, which have no texts themselves and come in other
//! requests; and some libraries send a call's messages apart from its span.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use andon_model::{RawText, TraceId};

/// Stretches that are remembered, of all traces together: 8 MB.
const MOST: usize = 1 << 21;
const MOST_TRACES: usize = 1 << 14;
/// Of one text so much is remembered; a quote from further on is not recognised in another span.
const MOST_CHARS: usize = 32 << 10;

/// Characters of a stretch that counts as quoted. Short enough for Japanese.
pub(crate) const QUOTED_CHARS: usize = 8;

/// Places of a text that are hashed side by side.
const LANES: usize = 4;

/// Hashes of stretches by their traces, the oldest traces forgotten first.
#[derive(Debug)]
pub(crate) struct Heard {
    key: Key,
    traces: Mutex<Traces>,
}

/// A secret, new at each start, without which the hashes say nothing.
#[derive(Debug, Clone, Copy)]
struct Key(u64);

/// One text's stretches.
struct Stretches {
    hashes: Vec<u32>,
    /// That of all of it: in one trace, the same text is told by several spans.
    whole: u64,
}

#[derive(Debug, Default)]
struct Traces {
    said: HashMap<TraceId, Said>,
    order: VecDeque<TraceId>,
    stretches: usize,
}

/// What was said in one trace. A list, since few are ever asked: what is written often is to be cheap.
#[derive(Debug, Default)]
struct Said {
    hashes: Vec<u32>,
    wholes: HashSet<u64>,
}

impl Default for Heard {
    fn default() -> Self {
        // Hashes of 32 bits are alike by chance once in some millions of messages, and eight characters
        // of an error are hidden for nothing. A fuzzer gets that far, and is to find the same each time.
        let key = if cfg!(fuzzing) { 0x9e37_79b9_7f4a_7c15 } else { rand::random::<u64>() };
        // Odd, so that no character is lost in the product.
        Self { key: Key(key | 1), traces: Mutex::default() }
    }
}

impl Heard {
    fn traces(&self) -> MutexGuard<'_, Traces> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add<'a>(&self, trace: TraceId, texts: impl Iterator<Item = &'a RawText>) {
        for said in texts.filter_map(|text| self.key.stretches(text)) {
            self.traces().add(trace, said);
        }
    }

    /// There was a call of a model in this trace.
    pub(crate) fn note_call(&self, trace: TraceId) {
        self.traces().of(trace);
    }

    /// Whether anything of what was said in a trace is known.
    pub(crate) fn knows(&self, trace: TraceId) -> bool {
        self.traces().said.get(&trace).is_some_and(|said| !said.hashes.is_empty())
    }

    /// Whether a call was seen in a trace and nothing of what it said.
    pub(crate) fn is_silent(&self, trace: TraceId) -> bool {
        self.traces().said.get(&trace).is_some_and(|said| said.hashes.is_empty())
    }

    /// Marks what of a message was heard in its trace.
    pub(crate) fn mark(&self, trace: TraceId, message: &[char], quoted: &mut [bool]) {
        let of_message = self.key.hashes(message.iter().map(|c| u32::from(*c)));
        // The message is shorter than what was said.
        let asked: HashSet<u32> = of_message.iter().copied().collect();
        let known: HashSet<u32> = match self.traces().said.get(&trace) {
            Some(said) => said.hashes.iter().copied().filter(|it| asked.contains(it)).collect(),
            None => return,
        };
        for (place, hash) in of_message.iter().enumerate() {
            if known.contains(hash) {
                quoted[place..place + QUOTED_CHARS].fill(true);
            }
        }
    }
}

impl Traces {
    fn add(&mut self, trace: TraceId, Stretches { hashes, whole }: Stretches) {
        let said = self.of(trace);
        if !said.wholes.insert(whole) {
            return;
        }
        let added = hashes.len();
        if said.hashes.is_empty() {
            said.hashes = hashes;
        } else {
            said.hashes.extend(hashes);
        }
        self.stretches += added;
        // The newest stays, however much it is.
        while self.stretches > MOST && self.order.len() > 1 {
            self.forget_oldest();
        }
    }

    fn of(&mut self, trace: TraceId) -> &mut Said {
        if !self.said.contains_key(&trace) {
            self.order.push_back(trace);
            while self.order.len() > MOST_TRACES {
                self.forget_oldest();
            }
        }
        self.said.entry(trace).or_default()
    }

    fn forget_oldest(&mut self) {
        let oldest = self.order.pop_front();
        let gone = oldest.and_then(|oldest| self.said.remove(&oldest));
        self.stretches -= gone.map_or(0, |gone| gone.hashes.len());
    }
}

impl Key {
    /// `None`: it is too short to be recognised.
    fn stretches(self, text: &RawText) -> Option<Stretches> {
        let text = text.expose();
        let hashes = if text.is_ascii() {
            let bytes = &text.as_bytes()[..text.len().min(MOST_CHARS)];
            self.hashes(bytes.iter().map(|byte| u32::from(*byte)))
        } else {
            self.hashes(text.chars().take(MOST_CHARS).map(u32::from))
        };
        // Of the same text, and of hardly any other: these stretches have each of its characters in them.
        let all = hashes.iter().step_by(QUOTED_CHARS).chain(hashes.last());
        let whole = all.fold(hashes.len() as u64, |sum, hash| self.and(sum, u64::from(*hash)));
        (!hashes.is_empty()).then_some(Stretches { hashes, whole })
    }

    /// The hash of each stretch, from the one before it (Rabin and Karp): a polynomial in the secret. Of
    /// that, multiplied once more, the upper half, in which the last character has its part, too.
    fn hashes(self, chars: impl Iterator<Item = u32>) -> Vec<u32> {
        // Nothing leaves the first stretch.
        let mut numbers = Vec::with_capacity(1 + chars.size_hint().0);
        numbers.push(0);
        numbers.extend(chars.map(|c| c + 1));
        let Some(count) = numbers.len().checked_sub(QUOTED_CHARS) else { return Vec::new() };
        let leaving = self.0.wrapping_pow(QUOTED_CHARS as u32);
        let before = |at: usize| {
            let first = numbers[at..at + QUOTED_CHARS].iter();
            first.fold(0, |hash, number| self.and(hash, u64::from(*number)))
        };
        let next = |hash: u64, at: usize| {
            let (left, entered) = (numbers[at], numbers[at + QUOTED_CHARS]);
            let change = u64::from(entered).wrapping_sub(u64::from(left).wrapping_mul(leaving));
            self.and(hash, change)
        };
        let finish = |hash: u64| (hash.wrapping_mul(self.0) >> 32) as u32;
        let mut hashes = vec![0; count];
        // Each hash waits for the one before it. A processor has several such lines of work going at once,
        // so the text is walked through from several places.
        let lane = count / LANES;
        let mut walking: [u64; LANES] = std::array::from_fn(|which| before(which * lane));
        for step in 0..lane {
            for (which, hash) in walking.iter_mut().enumerate() {
                let at = which * lane + step;
                *hash = next(*hash, at);
                hashes[at] = finish(*hash);
            }
        }
        let mut last = before(LANES * lane);
        for (at, place) in hashes.iter_mut().enumerate().skip(LANES * lane) {
            last = next(last, at);
            *place = finish(last);
        }
        hashes
    }

    fn and(self, hash: u64, more: u64) -> u64 {
        hash.wrapping_mul(self.0).wrapping_add(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(heard: &Heard, trace: TraceId, text: &str) {
        heard.add(trace, [RawText::new(text)].iter());
    }

    fn marked(heard: &Heard, trace: TraceId, message: &str) -> String {
        let message: Vec<char> = message.chars().collect();
        let mut quoted = vec![false; message.len()];
        heard.mark(trace, &message, &mut quoted);
        message.iter().zip(quoted).map(|(c, quoted)| if quoted { '_' } else { *c }).collect()
    }

    #[test]
    fn quotes_are_found_in_their_trace_and_nowhere_else() {
        let heard = Heard::default();
        let (one, other) = (TraceId::random(), TraceId::random());
        add(&heard, one, "経営会議の議事録を要約してください");
        add(&heard, one, "short");
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
    fn each_stretch_has_the_hash_that_it_has_alone() {
        let key = Heard::default().key;
        for text in
            ["", "seven..", "eight...", "経営会議の議事録", "a text of some thirty characters"]
        {
            let chars: Vec<u32> = text.chars().map(u32::from).collect();
            let alone = |stretch: &[u32]| key.hashes(stretch.iter().copied())[0];
            let expected: Vec<u32> = chars.windows(QUOTED_CHARS).map(alone).collect();
            assert_eq!(key.hashes(chars.iter().copied()), expected, "{text}");
        }
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let heard = Heard::default();
        let traces: Vec<_> = (0..100).map(|_| TraceId::random()).collect();
        for (at, trace) in traces.iter().enumerate() {
            let text: String = (0..20_000).map(|n| format!("{at}{n} ")).collect();
            add(&heard, *trace, &text);
        }
        assert!(heard.traces().stretches <= MOST);
        assert!(!heard.knows(traces[0]) && heard.knows(traces[99]));
        let traces = heard.traces();
        let kept: usize = traces.said.values().map(|said| said.hashes.len()).sum();
        assert_eq!(kept, traces.stretches);
    }

    #[test]
    fn a_text_that_several_spans_tell_is_remembered_once() {
        let heard = Heard::default();
        let trace = TraceId::random();
        (0..3).for_each(|_| add(&heard, trace, "what is the capital of Japan?"));
        add(&heard, trace, "what is the capital of France?");
        assert_eq!(heard.traces().stretches, 22 + 23);
    }
}
