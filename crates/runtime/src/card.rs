//! Model cards: what a GGUF file does not say of itself.
//!
//! A pre-trained model has no chat template; given chat marks it repeats them. A card gives it a
//! plain form of question and answer with worked examples, the strings at which an answer ends,
//! and settings that suit it. The examples stand first and never change, so that the prefix
//! cache holds them from the second question on.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::gguf::Gguf;
use crate::options::Options;

/// Cards that come with the runtime.
const BUILT_IN: &[(&str, &str)] = &[
    ("gemma-3-270m.toml", include_str!("../cards/gemma-3-270m.toml")),
    ("plain.toml", include_str!("../cards/plain.toml")),
];
const MAX_CARD_BYTES: u64 = 256 * 1024;
const MAX_CARDS: usize = 256;

/// Why a card file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CardError {
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    #[error("it is larger than {MAX_CARD_BYTES} bytes")]
    TooLarge,
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    /// The model's name in the API.
    pub(crate) name: Option<String>,
    /// Terms that come with the weights; shown by `/api/show`.
    pub(crate) license: Option<String>,
    #[serde(default, rename = "match")]
    pub(crate) matches: Matches,
    #[serde(default)]
    settings: Settings,
    #[serde(default, rename = "form")]
    pub(crate) forms: Vec<Form>,
}

/// Which models a card is for; each entry that is there must fit, and one must be there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Matches {
    #[serde(default)]
    pub(crate) sha256: Vec<String>,
    architecture: Option<String>,
    /// Part of the file's name, without regard to case.
    file: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    temperature: Option<f32>,
    top_k: Option<i64>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repeat_penalty: Option<f32>,
    repeat_last_n: Option<i64>,
    num_predict: Option<i64>,
}

/// A form of question and answer in one language.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    /// `japanese`: for questions with kana or kanji. `any`: for the rest.
    pub(crate) script: Script,
    pub(crate) introduction: String,
    pub(crate) question: String,
    pub(crate) answer: String,
    #[serde(default)]
    pub(crate) stop: Vec<String>,
    #[serde(default, rename = "example")]
    pub(crate) examples: Vec<Example>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Script {
    Japanese,
    Any,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    pub(crate) question: String,
    pub(crate) answer: String,
}

impl Card {
    fn parse(text: &str) -> Result<Self, CardError> {
        Ok(toml::from_str(text)?)
    }

    fn read(path: &Path) -> Result<Self, CardError> {
        if std::fs::metadata(path)?.len() > MAX_CARD_BYTES {
            return Err(CardError::TooLarge);
        }
        Self::parse(&std::fs::read_to_string(path)?)
    }

    fn fits(&self, path: &Path, head: &Gguf, digest: Option<&str>) -> bool {
        let Matches { sha256, architecture, file } = &self.matches;
        if digest.is_some_and(|digest| sha256.iter().any(|known| known == digest)) {
            return true;
        }
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        (architecture.is_some() || file.is_some())
            && architecture.as_deref().is_none_or(|known| known == head.architecture())
            && file.as_deref().is_none_or(|part| file_name.contains(&part.to_lowercase()))
    }

    pub(crate) fn options(&self) -> Options {
        let settings = self.settings.clone();
        Options {
            temperature: settings.temperature,
            top_k: settings.top_k,
            top_p: settings.top_p,
            min_p: settings.min_p,
            repeat_penalty: settings.repeat_penalty,
            repeat_last_n: settings.repeat_last_n,
            num_predict: settings.num_predict,
            ..Options::default()
        }
    }

    /// The form for a question, by its script.
    pub(crate) fn form_for(&self, question: &str) -> Option<&Form> {
        let script = if question.chars().any(is_japanese) { Script::Japanese } else { Script::Any };
        self.forms.iter().find(|form| form.script == script).or_else(|| self.forms.first())
    }
}

/// Kana and kanji, full-width forms and Japanese punctuation.
fn is_japanese(character: char) -> bool {
    matches!(character, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}')
}

/// All cards: the user's before the built-in ones.
#[derive(Debug)]
pub(crate) struct Cards {
    cards: Vec<Arc<Card>>,
    /// For a model with neither a template nor a card.
    plain: Option<Arc<Card>>,
}

impl Cards {
    /// Reads `*.toml` of the folders. A broken card is a warning: the model still works.
    pub(crate) fn load(folders: &[std::path::PathBuf]) -> Self {
        let mut cards = Vec::new();
        for folder in folders {
            let Ok(entries) = std::fs::read_dir(folder) else {
                tracing::warn!(folder = %folder.display(), "cannot read the folder of model cards");
                continue;
            };
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
            paths.sort();
            for path in paths.iter().take(MAX_CARDS) {
                match Card::read(path) {
                    Ok(card) => cards.push(Arc::new(card)),
                    Err(error) => tracing::warn!(file = %path.display(), %error, "card left out"),
                }
            }
        }
        let mut plain = None;
        for (name, text) in BUILT_IN {
            match Card::parse(text) {
                Ok(card) if *name == "plain.toml" => plain = Some(Arc::new(card)),
                Ok(card) => cards.push(Arc::new(card)),
                Err(error) => tracing::error!(name, %error, "built-in card is broken"),
            }
        }
        Self { cards, plain }
    }

    pub(crate) fn find(&self, path: &Path, head: &Gguf, digest: Option<&str>) -> Option<Arc<Card>> {
        self.cards.iter().find(|card| card.fits(path, head, digest)).cloned()
    }

    pub(crate) fn plain(&self) -> Option<Arc<Card>> {
        self.plain.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_cards_are_whole() {
        let cards = Cards::load(&[]);
        assert_eq!(cards.cards.len() + 1, BUILT_IN.len());
        for card in cards.cards.iter().chain(&cards.plain) {
            assert!(!card.forms.is_empty());
            for form in &card.forms {
                assert!(!form.stop.is_empty());
                for example in &form.examples {
                    let text = format!("{} {}", example.question, example.answer);
                    assert!(!form.stop.iter().any(|stop| text.contains(stop)), "{text}");
                }
            }
        }
    }

    #[test]
    fn the_form_follows_the_script_of_the_question() {
        let card = Cards::load(&[]).plain().unwrap();
        assert_eq!(card.form_for("富士山とは?").unwrap().script, Script::Japanese);
        assert_eq!(card.form_for("What is Mt. Fuji?").unwrap().script, Script::Any);
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        assert!(Card::parse("nam = \"x\"").unwrap_err().to_string().contains("nam"));
    }
}
