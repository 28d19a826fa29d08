//! The questions of the throughput part, and the text that the model reads for them.
//!
//! Each question begins differently and is as long as the others. What the model reads is put
//! together from the model's card as the runtime does it; that both sides count the same number of
//! prompt tokens is checked with every pair.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;

/// Words of a question's filling. About as many tokens.
const WORDS: usize = 700;
/// Plain nouns, a token each or two.
const VOCABULARY: [&str; 48] = [
    "river", "stone", "garden", "window", "paper", "silver", "morning", "bridge", "forest",
    "music", "table", "winter", "letter", "market", "island", "engine", "candle", "mirror",
    "valley", "ticket", "orange", "harbor", "doctor", "pencil", "summer", "castle", "bottle",
    "farmer", "church", "planet", "button", "copper", "desert", "dinner", "father", "flower",
    "hunter", "kitten", "ladder", "meadow", "needle", "office", "parrot", "rabbit", "school",
    "spider", "temple", "village",
];

/// A question of its own for each number.
pub(crate) fn question(number: u64) -> String {
    // A small linear generator: the same questions in every run, none like another.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut words = Vec::with_capacity(WORDS);
    for _ in 0..WORDS {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words.push(VOCABULARY[(state >> 33) as usize % VOCABULARY.len()]);
    }
    format!("Go on with this list of words, one hundred more of them: {}", words.join(", "))
}

#[derive(Deserialize)]
struct Card {
    form: Vec<Form>,
}

#[derive(Deserialize)]
struct Form {
    script: String,
    introduction: String,
    question: String,
    answer: String,
    #[serde(default)]
    example: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    question: String,
    answer: String,
}

/// How the card's model is asked in English.
pub(crate) struct Template {
    form: Form,
}

impl Template {
    pub(crate) fn read(card: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(card).with_context(|| format!("cannot read {}", card.display()))?;
        let card: Card = toml::from_str(&text)?;
        let form = card.form.into_iter().find(|form| form.script == "any");
        Ok(Self { form: form.context("the card has no form for English")? })
    }

    pub(crate) fn text(&self, asked: &str) -> String {
        let Form { introduction, question, answer, example, .. } = &self.form;
        let mut text = format!("{}\n\n", introduction.trim());
        for shown in example {
            text += &format!("{question} {}\n{answer} {}\n\n", shown.question, shown.answer);
        }
        text + &format!("{question} {asked}\n{answer}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_differ_from_their_first_word_on_and_are_the_same_in_every_run() {
        let filling = |n| question(n).split_once(": ").map(|(_, words)| words[..20].to_owned());
        assert_ne!(filling(1), filling(2));
        assert_eq!(question(3), question(3));
    }
}
