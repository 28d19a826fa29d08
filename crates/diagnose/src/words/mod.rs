//! What was found, in the words of a language. A language is one file; this one knows what there is
//! to say.

mod en;
mod ja;
mod numbers;
mod told;

use crate::diagnosis::Fact;

pub(crate) use numbers::Numbers;
pub(crate) use told::Told;

/// The languages that an explanation comes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    Japanese,
    #[default]
    English,
}

impl Language {
    /// `ja` or `en`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "ja" => Some(Self::Japanese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// The whole answer in one or two sentences.
    pub(crate) fn sentence(self, told: &Told<'_>) -> String {
        match self {
            Self::Japanese => ja::sentence(told),
            Self::English => en::sentence(told),
        }
    }

    /// What a call that runs waits for; `None` where there is nothing to say.
    pub(crate) fn waiting(self, told: &Told<'_>) -> Option<String> {
        match self {
            Self::Japanese => ja::waiting(told),
            Self::English => en::waiting(told),
        }
    }

    /// One cause among several, shortly.
    pub(crate) fn share(self, told: &Told<'_>) -> String {
        match self {
            Self::Japanese => ja::share(told),
            Self::English => en::share(told),
        }
    }

    /// Something that was measured; `None` where the sentence has said it.
    pub(crate) fn fact(self, fact: &Fact) -> Option<String> {
        match self {
            Self::Japanese => ja::fact(fact),
            Self::English => en::fact(fact),
        }
    }

    /// What an error's name means; `None` where its own message says more.
    pub(crate) fn error(self, name: &str) -> Option<&'static str> {
        match self {
            Self::Japanese => ja::error(name),
            Self::English => en::error(name),
        }
    }

    /// What to do about it.
    pub(crate) fn advice(self, told: &Told<'_>) -> Option<String> {
        match self {
            Self::Japanese => ja::advice(told),
            Self::English => en::advice(told),
        }
    }
}
