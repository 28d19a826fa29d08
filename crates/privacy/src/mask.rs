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
    if let Some(kept) = masked_by_its_app(text)
        && policy != Policy::None
        && kept as u64 <= visible(policy)
    {
        // How long it was, its app alone knows: longer than what is left.
        let kept_length = kept as u64;
        return Masked { text: text.to_owned(), original_length: kept_length + 1, kept_length };
    }
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
    let kept_length = visible(policy).min(known);
    let mut kept: String = beginning.chars().take(kept_length as usize).collect();
    if kept_length < original_length && policy != Policy::None {
        kept.push_str(&notice(kept_length, language));
    }
    Masked { text: kept, original_length, kept_length }
}

/// Characters that a policy keeps.
fn visible(policy: Policy) -> u64 {
    match policy {
        Policy::Full => u64::MAX,
        Policy::Mask(visible) => u64::from(visible),
        Policy::None => 0,
    }
}

/// How many characters an app left of a text before it sent it, with the notice that the original
/// application writes and Andon after it.
fn masked_by_its_app(text: &str) -> Option<usize> {
    let before = text.strip_suffix('*')?;
    let (start, number) = match before.strip_suffix(JAPANESE.1) {
        Some(rest) => rest.rsplit_once(JAPANESE.0)?,
        None => before.strip_suffix(ENGLISH.1)?.rsplit_once(ENGLISH.0)?,
    };
    let first_hidden: usize = number.parse().ok()?;
    (start.chars().count() + 1 == first_hidden).then(|| first_hidden - 1)
}

/// A notice is the first of these, the number of the first hidden character, the second and `*`.
const JAPANESE: (&str, &str) = ("*", "文字目以降を非表示にしています");
const ENGLISH: (&str, &str) = ("*hidden from character ", " on");

fn notice(kept_length: u64, language: NoticeLanguage) -> String {
    let first_hidden = kept_length + 1;
    match language {
        NoticeLanguage::Japanese => format!("{}{first_hidden}{}*", JAPANESE.0, JAPANESE.1),
        NoticeLanguage::English => format!("{}{first_hidden}{}*", ENGLISH.0, ENGLISH.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_masked_itself_stays_as_it_is() {
        for language in [NoticeLanguage::Japanese, NoticeLanguage::English] {
            let theirs = format!("なぜ空は青いの？{}", notice(8, NoticeLanguage::Japanese));
            let kept = mask(&theirs, Policy::Mask(10), language);
            assert_eq!((kept.text.as_str(), kept.kept_length), (theirs.as_str(), 8));
            assert!(kept.original_length > kept.kept_length);
            // Where less may be kept, less is; and a notice with more before it than it says is text.
            assert!(mask(&theirs, Policy::Mask(3), language).text.starts_with("なぜ空*"));
            let wrong = format!("なぜ空は青いの？ or so{}", notice(8, NoticeLanguage::Japanese));
            assert_eq!(mask(&wrong, Policy::Mask(10), language).kept_length, 10);
            assert_eq!(mask(&theirs, Policy::None, language).text, "");
        }
    }

    #[test]
    fn no_notice_is_longer_than_the_room_that_is_left_for_it() {
        for language in [NoticeLanguage::Japanese, NoticeLanguage::English] {
            assert!(notice(u64::MAX - 1, language).len() <= NOTICE_BYTES);
        }
    }
}
