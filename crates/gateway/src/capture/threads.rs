//! Which calls belong to one conversation, and where a prompt parts from the ones before it: told
//! by the parts of the prompts alone, so that an app need not say anything.
//!
//! Nothing of a prompt is kept here but hashes with a key of this process, so nothing can be looked
//! up in them from outside, and they are worthless after its end.

use std::hash::{BuildHasher, RandomState};

use andon_model::{Part, RawContent, TraceId, UnixNanos};

use super::{lengths::Shape, memory::Memory};

/// A part is hashed in blocks of so many bytes, so that one that changed at its end is known to have
/// kept its start.
const BLOCK_BYTES: usize = 1_024;
/// What a client sends again within this time is another attempt of the same call: the official
/// clients wait half a second to eight, but a timeout before that may be ten minutes.
const RETRIED_WITHIN_NS: u64 = 30 * 60 * 1_000_000_000;
/// The very same messages again are a repetition for so long, and a new conversation later.
const REPEATED_WITHIN_NS: u64 = 10 * 60 * 1_000_000_000;

/// Who asks: conversations of different callers are never one.
#[derive(Hash)]
pub(super) struct Asker<'a> {
    pub(super) app: Option<&'a str>,
    pub(super) user: Option<&'a str>,
    pub(super) key: Option<u64>,
}

/// A call to be placed.
pub(super) struct ToPlace<'a> {
    pub(super) asker: &'a Asker<'a>,
    /// The service and the model, which have a cache of their own.
    pub(super) read_by: (&'a str, &'a str),
    pub(super) contents: &'a [RawContent],
    pub(super) trace_id: TraceId,
    /// How often the client says that it has tried before.
    pub(super) retries: u64,
    /// When it began.
    pub(super) now: UnixNanos,
}

/// Where a call stands among those before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// The conversation.
    pub(super) thread: u64,
    /// The question within it: the calls that an agent makes until it has its answer are one turn.
    pub(super) turn: u64,
    /// 1 for the first call of a turn.
    pub(super) call_of_turn: u32,
    /// When the turn's first call began.
    pub(super) turn_began_ns: UnixNanos,
    /// Whole parts at the start of the prompt that an earlier one for this model began with too.
    pub(super) shared_parts: u32,
    pub(super) parts: u32,
    /// The same in bytes, to the block.
    pub(super) shared_bytes: u64,
    pub(super) bytes: u64,
    /// The part that was another one than before while what follows was there before: with it the
    /// cache of all that follows is lost. `system`, `tool definition 2`, `message 3`.
    pub(super) parted_at: Option<String>,
    /// Shape and true tokens of the longest earlier prompt that this one begins with.
    pub(super) start: Option<(Shape, u64)>,
    /// The call that this is an attempt of.
    pub(super) attempt: Attempt,
    /// Stands for this very prompt.
    prompt: u64,
}

/// One of the attempts of a call: a client that had no answer in time, or a bad one, asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    /// The trace of the first one, which is this one's own where there was none before.
    pub(super) first_trace_id: TraceId,
    pub(super) first_began_ns: UnixNanos,
}

/// What of a prompt was there before, seen from a call that still runs.
pub(super) struct Before {
    /// In bytes, 0 to 1.
    pub(super) share: f64,
    pub(super) start: Option<(Shape, u64)>,
    /// The part that was another one before.
    pub(super) parted_at: Option<String>,
}

/// One part of a prompt, in the order in which templates put them.
struct Piece {
    hash: u64,
    blocks: Vec<Block>,
    label: String,
    is_question: bool,
    is_message: bool,
}

#[derive(Clone, Copy)]
struct Block {
    hash: u64,
    bytes: u64,
}

/// What of a prompt was there before.
struct Cached {
    /// Blocks from the start.
    shared: usize,
    parted_at: Option<String>,
    start: Option<(Shape, u64)>,
    prompt: u64,
}

pub(super) struct Threads {
    key: RandomState,
    /// By the chain over all messages of a call.
    threads: Memory<(u64, UnixNanos)>,
    turns: Memory<(u32, UnixNanos)>,
    /// By the whole prompt.
    attempts: Memory<Attempt>,
    /// Chains over the first parts of prompts, for a model.
    prefixes: Memory<()>,
    /// Parts of prompts for a model, wherever they stood.
    known: Memory<()>,
    /// Whole prompts for a model, whose tokens the runtime counted.
    counted: Memory<(Shape, u64)>,
    next_thread: u64,
}

impl Threads {
    pub(super) fn new() -> Self {
        let key = RandomState::new();
        Self {
            next_thread: key.hash_one("first"),
            key,
            threads: Memory::new(),
            turns: Memory::new(),
            attempts: Memory::new(),
            prefixes: Memory::new(),
            known: Memory::new(),
            counted: Memory::new(),
        }
    }

    /// Places a call; `None` for one without messages.
    pub(super) fn place(&mut self, call: &ToPlace<'_>) -> Option<Place> {
        let &ToPlace { asker, read_by, contents, trace_id, retries, now } = call;
        let pieces = self.pieces(contents);
        if pieces.is_empty() {
            return None;
        }
        let asker = self.key.hash_one(asker);
        let (thread, turn) = self.conversation(asker, &pieces, now);
        let (call_of_turn, turn_began_ns) = match self.turns.get(turn) {
            Some((calls, began)) => (calls + 1, *began),
            None => (1, now),
        };
        self.turns.insert(turn, (call_of_turn, turn_began_ns));
        let Cached { shared, parted_at, start, prompt } =
            self.cache(self.key.hash_one((asker, read_by)), &pieces);
        let attempt = self.attempt(prompt, trace_id, retries, now);
        let blocks = || pieces.iter().flat_map(|piece| &piece.blocks);
        let mut end = 0;
        let is_shared = |piece: &&Piece| {
            end += piece.blocks.len();
            end <= shared
        };
        Some(Place {
            thread,
            turn,
            call_of_turn,
            turn_began_ns,
            shared_parts: pieces.iter().take_while(is_shared).count() as u32,
            parts: pieces.len() as u32,
            shared_bytes: blocks().take(shared).map(|block| block.bytes).sum(),
            bytes: blocks().map(|block| block.bytes).sum(),
            parted_at,
            start,
            attempt,
            prompt,
        })
    }

    /// How much of a prompt was there before, without remembering it: a call that still runs.
    pub(super) fn look(
        &self,
        asker: &Asker<'_>,
        read_by: (&str, &str),
        contents: &[RawContent],
    ) -> Before {
        let pieces = self.pieces(contents);
        let blocks: Vec<Block> = pieces.iter().flat_map(|piece| piece.blocks.clone()).collect();
        let asker = self.key.hash_one(asker);
        let scope = self.key.hash_one((asker, read_by));
        let chains = self.chains(scope, &blocks);
        let shared = self.shared(&chains);
        let bytes = |blocks: &[Block]| blocks.iter().map(|block| block.bytes).sum::<u64>();
        let all = bytes(&blocks).max(1);
        Before {
            share: bytes(&blocks[..shared]) as f64 / all as f64,
            start: self.counted_start(&chains),
            parted_at: self.parted(scope, &pieces, shared),
        }
    }

    /// A retry belongs to the call that began with the same prompt; all else begins a call.
    fn attempt(&mut self, prompt: u64, trace_id: TraceId, retries: u64, now: UnixNanos) -> Attempt {
        let first = self.attempts.get(prompt).copied().filter(|first| {
            retries > 0 && now.saturating_sub(first.first_began_ns) < RETRIED_WITHIN_NS
        });
        let attempt = first.unwrap_or(Attempt { first_trace_id: trace_id, first_began_ns: now });
        self.attempts.insert(prompt, attempt);
        attempt
    }

    /// Remembers how many tokens a prompt that was read whole has.
    pub(super) fn counted(&mut self, place: &Place, shape: Shape, tokens: u64) {
        self.counted.insert(place.prompt, (shape, tokens));
    }

    /// Tool definitions stand before everything else in templates, then come the messages.
    fn pieces(&self, contents: &[RawContent]) -> Vec<Piece> {
        let is_definition = |content: &&RawContent| content.role.as_deref() == Some("definition");
        let definitions = contents.iter().filter(is_definition);
        let others = contents.iter().filter(|content| !is_definition(content));
        let (mut definition, mut message) = (0, 0);
        definitions
            .chain(others)
            .map(|content| {
                let role = content.role.as_deref().unwrap_or_default();
                let label = match (content.part, role) {
                    (Part::Tool, "definition") => {
                        definition += 1;
                        format!("tool definition {definition}")
                    }
                    (Part::System, _) => "system".to_owned(),
                    _ => {
                        message += 1;
                        format!("message {message}")
                    }
                };
                let is_message = content.part != Part::System && role != "definition";
                let kind = (content.part as u8, role);
                let blocks = content.text.expose().as_bytes().chunks(BLOCK_BYTES);
                Piece {
                    hash: self.key.hash_one((kind, content.text.expose())),
                    blocks: blocks
                        .map(|block| Block {
                            hash: self.key.hash_one((kind, block)),
                            bytes: block.len() as u64,
                        })
                        .collect(),
                    label,
                    is_question: content.part == Part::Input && role == "user",
                    is_message,
                }
            })
            .collect()
    }

    fn chain(&self, before: u64, hash: u64) -> u64 {
        self.key.hash_one((before, hash))
    }

    /// The conversation whose messages these go on from, or a new one; and the question's own hash.
    /// System text and tools do not count: an agent may change them in the middle.
    fn conversation(&mut self, asker: u64, pieces: &[Piece], now: UnixNanos) -> (u64, u64) {
        let messages: Vec<_> = pieces.iter().filter(|piece| piece.is_message).collect();
        let (mut chain, mut question, mut thread) = (asker, asker, None);
        for (at, piece) in messages.iter().enumerate() {
            chain = self.chain(chain, piece.hash);
            if piece.is_question {
                question = chain;
            }
            let is_whole = at + 1 == messages.len();
            if let Some((known, seen)) = self.threads.get(chain)
                && (!is_whole || now.saturating_sub(*seen) < REPEATED_WITHIN_NS)
            {
                thread = Some(*known);
            }
        }
        let thread = thread.unwrap_or_else(|| {
            self.next_thread = self.key.hash_one(self.next_thread);
            self.next_thread
        });
        self.threads.insert(chain, (thread, now));
        (thread, self.key.hash_one((thread, question)))
    }

    fn cache(&mut self, scope: u64, pieces: &[Piece]) -> Cached {
        let blocks: Vec<Block> = pieces.iter().flat_map(|piece| piece.blocks.clone()).collect();
        let chains = self.chains(scope, &blocks);
        let shared = self.shared(&chains);
        let parted_at = self.parted(scope, pieces, shared);
        let start = self.counted_start(&chains);
        let prompt = chains.last().copied().unwrap_or(scope);
        for (block, chain) in blocks.iter().zip(chains) {
            self.prefixes.insert(chain, ());
            self.known.insert(self.chain(scope, block.hash), ());
        }
        Cached { shared, parted_at, start, prompt }
    }

    /// For each block the hash of all up to it.
    fn chains(&self, scope: u64, blocks: &[Block]) -> Vec<u64> {
        let mut chain = scope;
        let next = |block: &Block| {
            chain = self.chain(chain, block.hash);
            chain
        };
        blocks.iter().map(next).collect()
    }

    /// Blocks from the start that an earlier prompt had too.
    fn shared(&self, chains: &[u64]) -> usize {
        let is_new = |chain: &u64| self.prefixes.get(*chain).is_none();
        chains.iter().position(is_new).unwrap_or(chains.len())
    }

    /// Shape and true tokens of the longest earlier prompt that this one begins with.
    fn counted_start(&self, chains: &[u64]) -> Option<(Shape, u64)> {
        chains.iter().rev().find_map(|chain| self.counted.get(*chain).copied())
    }

    /// The part in which block `shared` lies, if half of what follows that part was there before: it
    /// is the same prompt, but for this part.
    fn parted(&self, scope: u64, pieces: &[Piece], shared: usize) -> Option<String> {
        let mut end = 0;
        let at = pieces.iter().position(|piece| {
            end += piece.blocks.len();
            shared < end
        })?;
        let (mut all, mut there) = (0, 0);
        for block in pieces[at + 1..].iter().flat_map(|piece| &piece.blocks) {
            all += block.bytes;
            if self.known.get(self.chain(scope, block.hash)).is_some() {
                there += block.bytes;
            }
        }
        (there > 0 && there * 2 >= all).then(|| pieces[at].label.clone())
    }
}

#[cfg(test)]
mod tests {
    use andon_model::RawText;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const ANNA: Asker<'_> = Asker { app: Some("chat"), user: Some("anna"), key: None };
    const BEN: Asker<'_> = Asker { app: Some("chat"), user: Some("ben"), key: None };

    fn place(
        threads: &mut Threads,
        asker: &Asker<'_>,
        model: &str,
        contents: &[RawContent],
        now: UnixNanos,
    ) -> Option<Place> {
        let trace_id = TraceId::random();
        threads.place(&ToPlace {
            asker,
            read_by: ("r", model),
            contents,
            trace_id,
            retries: 0,
            now,
        })
    }

    /// `s:` system, `d:` tool definition, `u:` user, `a:` assistant, `t:` tool.
    fn prompt(parts: &[&str]) -> Vec<RawContent> {
        let content = |text: &&str| {
            let (part, role) = match &text[..2] {
                "s:" => (Part::System, "system"),
                "d:" => (Part::Tool, "definition"),
                "a:" => (Part::Input, "assistant"),
                "t:" => (Part::Tool, "tool"),
                _ => (Part::Input, "user"),
            };
            let text = RawText::new(text.repeat(20));
            RawContent { part, role: Some(role.to_owned()), idx: 0, text }
        };
        parts.iter().map(content).collect()
    }

    #[test]
    fn two_conversations_and_an_agent_interleaved_are_told_apart() {
        let mut threads = Threads::new();
        let mut at = 0;
        let mut place = |asker: &Asker<'_>, parts: &[&str]| {
            at += SECOND;
            place(&mut threads, asker, "m", &prompt(parts), at).unwrap()
        };
        let first = place(&ANNA, &["s:kind", "u:hello"]);
        let other = place(&BEN, &["s:kind", "u:hello"]);
        let agent = place(&ANNA, &["s:agent", "d:read", "u:mend it"]);
        let second = place(&ANNA, &["s:kind", "u:hello", "a:hi", "u:more"]);
        let step = place(&ANNA, &["s:agent", "d:read", "u:mend it", "a:read()", "t:text"]);
        let foreign = place(&BEN, &["s:kind", "u:hello", "a:hey", "u:bye"]);
        assert_eq!(first.thread, second.thread);
        assert_eq!(other.thread, foreign.thread);
        assert_eq!(agent.thread, step.thread);
        assert_ne!(first.thread, other.thread);
        assert_ne!(first.thread, agent.thread);
        // A new question is a new turn; a tool's answer is the same one's next call.
        assert_ne!(first.turn, second.turn);
        assert_eq!((step.turn, step.call_of_turn), (agent.turn, 2));
        assert_eq!(step.turn_began_ns, 3 * SECOND);
    }

    #[test]
    fn what_was_read_before_is_shared_and_the_rest_is_new() {
        let mut threads = Threads::new();
        let first = place(&mut threads, &ANNA, "m", &prompt(&["s:kind", "u:hello"]), 0).unwrap();
        assert_eq!((first.shared_parts, first.parts), (0, 2));
        let longer = prompt(&["s:kind", "u:hello", "a:hi", "u:more"]);
        let second = place(&mut threads, &ANNA, "m", &longer, SECOND).unwrap();
        assert_eq!((second.shared_parts, second.parts, second.parted_at), (2, 4, None));
        assert!(second.shared_bytes > 0 && second.shared_bytes < second.bytes);
        // Another model has a cache of its own.
        let elsewhere = place(&mut threads, &ANNA, "n", &longer, SECOND).unwrap();
        assert_eq!(elsewhere.shared_parts, 0);
        assert_eq!(elsewhere.thread, first.thread);
    }

    #[test]
    fn the_part_that_lost_the_cache_is_named() {
        let before = ["d:read", "d:write", "s:kind", "u:long document", "a:yes"];
        let named = |after: &[&str]| {
            let mut threads = Threads::new();
            place(&mut threads, &ANNA, "m", &prompt(&before), 0);
            place(&mut threads, &ANNA, "m", &prompt(after), SECOND).unwrap().parted_at
        };
        let case = |at: usize, text: &str| {
            let mut after = before.to_vec();
            after[at] = text;
            named(&after)
        };
        assert_eq!(case(2, "s:kind, 12:05").as_deref(), Some("system"));
        assert_eq!(case(1, "d:write v2").as_deref(), Some("tool definition 2"));
        assert_eq!(case(3, "u:long document, new").as_deref(), Some("message 1"));
        // Another conversation altogether has lost nothing.
        assert_eq!(named(&["s:other", "u:else"]), None);
    }

    #[test]
    fn the_same_question_again_is_a_repetition_only_for_a_while() {
        let mut threads = Threads::new();
        let mut ask =
            |at| place(&mut threads, &ANNA, "m", &prompt(&["u:hello"]), at).unwrap().thread;
        let first = ask(0);
        assert_eq!(ask(SECOND), first);
        assert_ne!(ask(SECOND + REPEATED_WITHIN_NS), first);
    }

    #[test]
    fn a_retry_is_an_attempt_of_the_call_before() {
        let mut threads = Threads::new();
        let mut ask = |text: &str, retries, now| {
            let contents = prompt(&[text]);
            let call = ToPlace {
                asker: &ANNA,
                read_by: ("r", "m"),
                contents: &contents,
                trace_id: TraceId::random(),
                retries,
                now,
            };
            threads.place(&call).unwrap().attempt
        };
        let first = ask("u:hello", 0, SECOND);
        ask("u:other", 0, 2 * SECOND);
        assert_eq!(ask("u:hello", 1, 9 * SECOND), first);
        assert_eq!(ask("u:hello", 2, 60 * SECOND), first);
        // Asked anew, it is a call of its own; and so is a retry of what was never seen.
        assert_ne!(ask("u:hello", 0, 61 * SECOND), first);
        assert_eq!(ask("u:unseen", 2, 70 * SECOND).first_began_ns, 70 * SECOND);
    }
}
