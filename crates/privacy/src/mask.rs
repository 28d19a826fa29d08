//! `mask:N`: the first N characters, then a notice, as the original application had it.

use andon_model::Policy;

/// In which language the notice behind a masked text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoticeLanguage {
    #[default]
    Japanese,
    English,
}

/// The longest notice.
pub(crate) const NOTICE_BYTES: usize = 96;

pub(crate) struct Masked {
    pub(crate) text: String,
    pub(crate) original_length: u64,
    pub(crate) kept_length: u64,
}

pub(crate) fn mask(text: &str, policy: Policy, language: NoticeLanguage) -> Masked {
    mask_rest(text, text.chars().count() as u64, policy, language)
}

/// As [`mask`], where only the beginning of a longer text is left.
pub(crate) fn mask_rest(
    beginning: &str,
    original_length: u64,
    policy: Policy,
    language: NoticeLanguage,
) -> Masked {
    let known = beginning.chars().count() as u64;
    let visible = match policy {
        Policy::Full => known,
        Policy::Mask(visible) => u64::from(visible),
        Policy::None => 0,
    };
    let kept_length = visible.min(known);
    let mut kept: String = beginning.chars().take(kept_length as usize).collect();
    if kept_length < original_length && policy != Policy::None {
        kept.push_str(&notice(kept_length, language));
    }
    Masked { text: kept, original_length, kept_length }
}

fn notice(kept_length: u64, language: NoticeLanguage) -> String {
    let first_hidden = kept_length + 1;
    match language {
        NoticeLanguage::Japanese => format!("*{first_hidden}文字目以降を非表示にしています*"),
        NoticeLanguage::English => format!("*hidden from character {first_hidden} on*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_notice_is_longer_than_the_room_that_is_left_for_it() {
        for language in [NoticeLanguage::Japanese, NoticeLanguage::English] {
            assert!(notice(u64::MAX - 1, language).len() <= NOTICE_BYTES);
        }
    }
}
