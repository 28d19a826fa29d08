//! What the context holds, and how much of it the next prompt can use again.
//!
//! A follow-up question begins with everything that was said before; reading that again would
//! cost most of the answer's time. So the context is kept, and what both have in common from the
//! start stays. The last token of a prompt is always read anew, since its output is needed.
//!
//! Models with a sliding window (Gemma 3 among them) keep the window only, unless asked to keep
//! all (`swa_full`, set in `llama/context.rs`); without that a shortened text would be missing
//! the tokens before its end.

use crate::llama::{Context, Token};

/// The tokens in the context, in order. Everything that changes the context keeps this in step.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    tokens: Vec<Token>,
}

impl Prefix {
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Shortens the context to what `prompt` can use; gives the length of that.
    pub(super) fn keep_common(&mut self, context: &mut Context, prompt: &[Token]) -> usize {
        let common = common_length(&self.tokens, prompt);
        self.shorten(context, common)
    }

    /// Shortens the context to `length` tokens, or to none where it cannot forget a part.
    pub(super) fn shorten(&mut self, context: &mut Context, length: usize) -> usize {
        if context.forget_from(length) {
            self.tokens.truncate(length);
        } else {
            context.clear();
            self.tokens.clear();
        }
        self.tokens.len()
    }

    pub(super) fn extend(&mut self, tokens: &[Token]) {
        self.tokens.extend_from_slice(tokens);
    }
}

/// Tokens in common from the start, short of the prompt's last.
fn common_length(held: &[Token], prompt: &[Token]) -> usize {
    let common = held.iter().zip(prompt).take_while(|(a, b)| a == b).count();
    common.min(prompt.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_token_is_never_kept() {
        assert_eq!(common_length(&[1, 2, 3], &[1, 2, 3]), 2);
        assert_eq!(common_length(&[1, 2, 3], &[1, 2]), 1);
        assert_eq!(common_length(&[1, 2, 3], &[1, 2, 4, 5]), 2);
        assert_eq!(common_length(&[], &[1]), 0);
        assert_eq!(common_length(&[1], &[]), 0);
    }
}
