//! The two languages of what Andon says on the terminal.

use andon_privacy::NoticeLanguage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Japanese,
    English,
}

impl Language {
    /// `ja` or `en` where it was said; else what the locale says.
    pub(crate) fn choose(said: Option<&str>) -> anyhow::Result<Self> {
        match said {
            Some("ja") => Ok(Self::Japanese),
            Some("en") => Ok(Self::English),
            Some(other) => anyhow::bail!("lang: {other:?} is neither ja nor en"),
            None => Ok(Self::of_locale()),
        }
    }

    fn of_locale() -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        match locale {
            Some(locale) if locale.starts_with("ja") => Self::Japanese,
            _ => Self::English,
        }
    }

    pub(crate) fn pick<'a>(self, ja: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Japanese => ja,
            Self::English => en,
        }
    }
}

impl From<Language> for andon_diagnose::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::Japanese => Self::Japanese,
            Language::English => Self::English,
        }
    }
}

impl From<Language> for NoticeLanguage {
    fn from(language: Language) -> Self {
        match language {
            Language::Japanese => Self::Japanese,
            Language::English => Self::English,
        }
    }
}
