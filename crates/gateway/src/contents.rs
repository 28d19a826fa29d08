//! The texts of one call, each with its place within its part.

use andon_model::{Part, RawContent, RawText};

#[derive(Default)]
pub(crate) struct Contents {
    texts: Vec<RawContent>,
    next: [u32; 6],
}

impl Contents {
    /// Adds a text; an empty one says nothing and is left out.
    pub(crate) fn push(&mut self, part: Part, role: Option<&str>, text: RawText) {
        if text.is_empty() {
            return;
        }
        let next = &mut self.next[part as usize];
        self.texts.push(RawContent { part, role: role.map(str::to_owned), idx: *next, text });
        *next += 1;
    }

    pub(crate) fn as_slice(&self) -> &[RawContent] {
        &self.texts
    }

    pub(crate) fn into_vec(self) -> Vec<RawContent> {
        self.texts
    }
}
