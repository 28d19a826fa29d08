//! `mask:N`: the first N characters, then a notice, as the original application had it.

use andon_model::Policy;

/// In which language the notice behind a masked text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoticeLanguage {
    #[default]
    Japanese,
    English,
}

pub(crate) struct Masked {
    pub(crate) text: String,
    pub(crate) original_length: u64,
    pub(crate) kept_length: u64,
}

pub(crate) fn mask(text: &str, policy: Policy, language: NoticeLanguage) -> Masked {
    let original_length = text.chars().count() as u64;
    let visible = match policy {
        Policy::Full => original_length,
        Policy::Mask(visible) => u64::from(visible),
        Policy::None => 0,
    };
    let kept_length = visible.min(original_length);
    let mut kept: String = text.chars().take(kept_length as usize).collect();
    if kept_length < original_length && policy != Policy::None {
        kept.push_str(&notice(visible, language));
    }
    Masked { text: kept, original_length, kept_length }
}

fn notice(visible: u64, language: NoticeLanguage) -> String {
    let first_hidden = visible + 1;
    match language {
        NoticeLanguage::Japanese => format!("*{first_hidden}文字目以降を非表示にしています*"),
        NoticeLanguage::English => format!("*hidden from character {first_hidden} on*"),
    }
}
