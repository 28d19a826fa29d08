//! Text before it was protected. It can be neither serialised, logged nor printed: [`RawText`]
//! has no `Debug`, no `Display` and no `Serialize` on purpose.

use crate::{Part, Policy, Span};

/// A prompt, an answer or anything that may hold a piece of one.
#[derive(Clone, Default)]
pub struct RawText(String);

impl RawText {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for `andon-privacy` and for evaluators, which hand on results only.
    /// Whoever calls this answers for it that nothing of it reaches disk, log or live view.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn push_str(&mut self, more: &str) {
        self.0.push_str(more);
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Cuts the text to at most `bytes`, between two characters.
    pub fn truncate(&mut self, bytes: usize) {
        if bytes < self.0.len() {
            let end = (0..=bytes).rev().find(|at| self.0.is_char_boundary(*at)).unwrap_or(0);
            self.0.truncate(end);
        }
    }
}

/// One message of a call, not yet protected.
#[derive(Clone)]
pub struct RawContent {
    pub part: Part,
    pub role: Option<String>,
    pub idx: u32,
    pub text: RawText,
}

/// A finished span with everything that was seen of it, on its way to `andon-privacy`.
#[derive(Clone)]
pub struct Observation {
    /// `error_message` is empty here; it comes from [`Self::error_message`] once it is protected.
    pub span: Span,
    pub contents: Vec<RawContent>,
    /// What failed, in words; it may quote a prompt.
    pub error_message: Option<RawText>,
    /// Texts of the same call that are kept with another span: the error is scrubbed of them too.
    pub related: Vec<RawText>,
    /// What the caller asked for; the stricter of this and the configured policy holds.
    pub policy: Option<Policy>,
}

impl From<Span> for Observation {
    fn from(span: Span) -> Self {
        Self { span, contents: Vec::new(), error_message: None, related: Vec::new(), policy: None }
    }
}
