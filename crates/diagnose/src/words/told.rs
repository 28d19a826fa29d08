//! The facts that a sentence is made of.

use andon_model::{Cause, Phase};

use crate::diagnosis::{Fact, Finding};

/// What a sentence is made of.
pub(crate) struct Told<'a> {
    pub(crate) cause: Cause,
    pub(crate) total_ns: u64,
    /// What the cause cost, or, without one, the longest phase.
    pub(crate) ns: Option<u64>,
    pub(crate) phase: Option<Phase>,
    pub(crate) facts: &'a [Fact],
    pub(crate) model: Option<&'a str>,
    /// Of the app where time passed outside of the model.
    pub(crate) service: Option<&'a str>,
    /// Of a failure, as its span says it.
    pub(crate) message: Option<&'a str>,
    /// Tokens are reckoned from earlier prompts, not counted.
    pub(crate) is_reckoned: bool,
}

impl<'a> Told<'a> {
    pub(crate) fn of(&self, finding: &'a Finding) -> Self {
        Self {
            cause: finding.cause,
            ns: Some(finding.ns),
            phase: finding.phase,
            facts: &finding.facts,
            ..*self
        }
    }

    pub(crate) fn share(&self) -> f64 {
        self.ns.unwrap_or(0) as f64 / self.total_ns.max(1) as f64
    }

    fn find<T>(&self, pick: impl Fn(&'a Fact) -> Option<T>) -> Option<T> {
        self.facts.iter().find_map(pick)
    }
}

/// The facts that sentences speak of.
impl<'a> Told<'a> {
    /// Whether the runtime had restarted before this first call; `None` where it is not a first one.
    pub(super) fn first_call(&self) -> Option<bool> {
        self.find(|fact| match fact {
            Fact::FirstCall { runtime_restarted } => Some(*runtime_restarted),
            _ => None,
        })
    }

    /// How long the model was idle and how long it is kept, in ns.
    pub(super) fn idle(&self) -> Option<(u64, u64)> {
        self.find(|fact| match fact {
            Fact::Idle { ns, kept_ns } => Some((*ns, *kept_ns)),
            _ => None,
        })
    }

    /// Name, old and new value; nothing is the default.
    pub(super) fn option(&self) -> Option<(&'a str, Option<&'a str>, Option<&'a str>)> {
        self.find(|fact| match fact {
            Fact::Option { name, from, to } => {
                Some((name.as_str(), from.as_deref(), to.as_deref()))
            }
            _ => None,
        })
    }

    pub(super) fn other_model(&self) -> Option<&'a str> {
        self.find(|fact| match fact {
            Fact::OtherModel { model } => Some(model.as_str()),
            _ => None,
        })
    }

    /// Tokens of the prompt that were read, and usually are.
    pub(super) fn read(&self) -> Option<(u64, Option<u64>)> {
        self.find(|fact| match fact {
            Fact::Prompt { read, usual, .. } => Some((*read, *usual)),
            _ => None,
        })
    }

    pub(super) fn answer(&self) -> Option<(u64, u64)> {
        self.find(|fact| match fact {
            Fact::Answer { tokens, usual } => Some((*tokens, *usual)),
            _ => None,
        })
    }

    /// Tokens a second, and as usual.
    pub(super) fn pace(&self) -> Option<(f64, f64)> {
        self.find(|fact| match fact {
            Fact::Pace { now, usual } => Some((*now, *usual)),
            _ => None,
        })
    }

    /// What it usually takes, in ns.
    pub(super) fn usual_time(&self) -> Option<u64> {
        self.find(|fact| match fact {
            Fact::UsualTime { ns } => Some(*ns),
            _ => None,
        })
    }

    /// Whether nothing of the prompt was in the cache but the few tokens that all chats begin with.
    pub(super) fn is_nothing_cached(&self) -> bool {
        let is_nothing = |fact: &Fact| match fact {
            Fact::Prompt { read, cached, .. } => cached.saturating_mul(100) <= *read,
            _ => false,
        };
        self.facts.iter().any(is_nothing)
    }

    /// Of another call at the same time; `None` where there is none, or its model is unknown.
    pub(super) fn other_call(&self) -> Option<&'a str> {
        self.find(|fact| match fact {
            Fact::OtherCall { model, .. } => model.as_deref(),
            _ => None,
        })
    }

    /// Cores that other programs used, of how many.
    pub(super) fn other_programs(&self) -> Option<(f64, u32)> {
        self.find(|fact| match fact {
            Fact::OtherPrograms { cores, of } => Some((*cores, *of)),
            _ => None,
        })
    }

    pub(super) fn free_threads(&self) -> Option<u32> {
        self.find(|fact| match fact {
            Fact::FreeThreads { count } => Some(*count),
            _ => None,
        })
    }

    pub(super) fn process(&self) -> Option<&'a str> {
        self.find(|fact| match fact {
            Fact::Process { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    pub(super) fn parted(&self) -> Option<Part> {
        self.find(|fact| match fact {
            Fact::Parted { at } => Part::parse(at),
            _ => None,
        })
    }

    /// Free memory, and what the model takes.
    pub(super) fn room(&self) -> Option<(u64, u64)> {
        self.find(|fact| match fact {
            Fact::Room { free, model } => Some((*free, *model)),
            _ => None,
        })
    }

    pub(super) fn was_killed(&self) -> bool {
        self.facts.iter().any(|fact| matches!(fact, Fact::OomKills { .. }))
    }

    /// Tokens that were left out, the limit, and the context that would do.
    pub(super) fn cut(&self) -> Option<(u64, u64, u64)> {
        self.find(|fact| match fact {
            Fact::Cut { tokens, limit, enough } => Some((*tokens, *limit, *enough)),
            _ => None,
        })
    }
}

/// A part of a prompt.
#[derive(Clone, Copy)]
pub(super) enum Part {
    System,
    Message(u32),
    Tool(u32),
}

impl Part {
    /// `system`, `tool definition 2` or `message 3`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, number) = match text.rsplit_once(' ') {
            Some((kind, number)) => (kind, number.parse().ok()?),
            None => (text, 0),
        };
        match kind {
            "system" => Some(Self::System),
            "message" => Some(Self::Message(number)),
            "tool definition" => Some(Self::Tool(number)),
            _ => None,
        }
    }
}
