//! The conversations of the throughput part, and the text that the model reads for them.
//!
//! Left alone, this small model ends its answers after a sentence. Two earlier turns with long,
//! numbered answers make it write on until it is stopped. What it reads is put together from its
//! card as the runtime does it; that both sides count the same number of prompt tokens is checked
//! with every pair.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// Earlier turns, and the words of each: about 800 tokens together.
const TURNS: u64 = 2;
const WORDS: u64 = 110;
pub(crate) const QUESTION: &str = "Write words.";
/// Plain nouns, a token each or two.
const VOCABULARY: [&str; 48] = [
    "river", "stone", "garden", "window", "paper", "silver", "morning", "bridge", "forest",
    "music", "table", "winter", "letter", "market", "island", "engine", "candle", "mirror",
    "valley", "ticket", "orange", "harbor", "doctor", "pencil", "summer", "castle", "bottle",
    "farmer", "church", "planet", "button", "copper", "desert", "dinner", "father", "flower",
    "hunter", "kitten", "ladder", "meadow", "needle", "office", "parrot", "rabbit", "school",
    "spider", "temple", "village",
];

/// The earlier answers of a conversation, other ones for each number.
pub(crate) fn earlier_answers(number: u64) -> Vec<String> {
    // A small linear generator: the same words in every run, none of the conversations alike.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut word = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        VOCABULARY[(state >> 33) as usize % VOCABULARY.len()]
    };
    let mut answer =
        || -> Vec<String> { (1..=WORDS).map(|place| format!("{place} {}", word())).collect() };
    (0..TURNS).map(|_| answer().join(" ")).collect()
}

/// The same as `messages` of the chat API.
pub(crate) fn earlier_messages(answers: &[String]) -> Value {
    let turn = |answer: &String| {
        [
            json!({"role": "user", "content": QUESTION}),
            json!({"role": "assistant", "content": answer}),
        ]
    };
    answers.iter().flat_map(turn).collect()
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

    /// What the model reads when it is asked once more after these answers.
    pub(crate) fn text(&self, earlier: &[String]) -> String {
        let Form { introduction, question, answer, example, .. } = &self.form;
        let mut text = format!("{}\n\n", introduction.trim());
        for shown in example {
            text += &format!("{question} {}\n{answer} {}\n\n", shown.question, shown.answer);
        }
        for given in earlier {
            text += &format!("{question} {QUESTION}\n{answer} {given}\n\n");
        }
        text + &format!("{question} {QUESTION}\n{answer}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_differ_and_are_the_same_in_every_run() {
        assert_ne!(earlier_answers(1), earlier_answers(2));
        assert_eq!(earlier_answers(3), earlier_answers(3));
    }

    #[test]
    fn the_text_holds_examples_and_conversation_in_the_cards_form() {
        let card = "[[form]]\nscript = 'any'\nintroduction = 'Talk.'\nquestion = 'Q:'\n\
                    answer = 'A:'\nexample = [{ question = 'a', answer = 'b' }]\n";
        let form = toml::from_str::<Card>(card).unwrap().form.remove(0);
        let text = Template { form }.text(&["1 x".to_owned()]);
        assert_eq!(text, "Talk.\n\nQ: a\nA: b\n\nQ: Write words.\nA: 1 x\n\nQ: Write words.\nA:");
    }
}
