//! Conversations that go on over several traces: a person asks, reads, asks again, and each time
//! the prompt has grown by what was said.

use andon_model::UnixNanos;

use crate::{
    catalog::{MODELS, Model},
    random::Random,
    world::Language,
};

const MINUTE: u64 = 60_000_000_000;
/// Whoever was silent for so long begins anew.
const MAX_PAUSE: u64 = 30 * MINUTE;
/// What a person usually takes to read an answer and to write the next question.
const USUAL_PAUSE: u64 = 2 * MINUTE;
const MAX_AT_ONCE: u64 = 4_096;
const USERS: u64 = 900;

pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) language: Language,
    /// Row of the model that this person has chosen.
    pub(crate) model: usize,
    /// Questions before this one.
    pub(crate) turn: u64,
    /// Tokens of everything that was said.
    pub(crate) context_tokens: u64,
    turns_left: u64,
    last_ns: UnixNanos,
}

/// Those who are talking. Their number follows from how much happens at a time, within bounds.
pub(crate) struct Sessions {
    talking: Vec<Session>,
    most: u64,
}

impl Sessions {
    pub(crate) fn new(traces: u64, length_ns: u64) -> Self {
        let at_once = u128::from(traces) * u128::from(USUAL_PAUSE) / u128::from(length_ns.max(1));
        Self { talking: Vec::new(), most: (at_once as u64).clamp(3, MAX_AT_ONCE) }
    }

    /// Whose turn it is: somebody in the midst of a conversation, or somebody new.
    pub(crate) fn next(&mut self, random: &mut Random, now_ns: UnixNanos) -> &mut Session {
        let place = random.below(self.most) as usize;
        if place >= self.talking.len() {
            self.talking.push(Session::new(random, now_ns));
            let last = self.talking.len() - 1;
            return &mut self.talking[last];
        }
        let session = &mut self.talking[place];
        if session.turns_left == 0 || now_ns.saturating_sub(session.last_ns) > MAX_PAUSE {
            *session = Session::new(random, now_ns);
        } else {
            session.turns_left -= 1;
            session.turn += 1;
            session.last_ns = now_ns;
        }
        session
    }
}

impl Session {
    fn new(random: &mut Random, now_ns: UnixNanos) -> Self {
        Self {
            id: random.hex(16),
            user: user(random),
            language: Language::draw(random),
            model: draw_model(random),
            turn: 0,
            context_tokens: 0,
            turns_left: random.log_normal(3, 110).min(40),
            last_ns: now_ns,
        }
    }
}

/// Few people ask much and many ask little.
pub(crate) fn user(random: &mut Random) -> String {
    let most = 1 + random.below(USERS);
    format!("user-{:04}", random.below(most))
}

pub(crate) fn draw_model(random: &mut Random) -> usize {
    random.weighted(MODELS.iter().map(|model: &Model| model.weight))
}
