//! Prose that reads, and packs, like what people and models write: sentences of patterns and
//! phrases, in English and in Japanese, and the small JSON of tools.

mod english;
mod japanese;

use crate::{random::Random, world::Language};

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prose {
    Rules,
    Question,
    Answer,
    Thought,
}

/// The phrases of a language. A `$` and a letter in a pattern stand for one of the phrases under
/// that letter; `$n` is a number, and `$m` one that fits on two hands.
struct Vocabulary {
    rules: &'static [&'static str],
    questions: &'static [&'static str],
    statements: &'static [&'static str],
    thoughts: &'static [&'static str],
    phrases: fn(letter: u8) -> &'static [&'static str],
    between_sentences: &'static str,
}

/// A text of random length, in characters, that ends with a sentence.
pub(crate) fn prose(random: &mut Random, language: Language, prose: Prose) -> String {
    let vocabulary = match language {
        Language::English => &english::VOCABULARY,
        Language::Japanese => &japanese::VOCABULARY,
    };
    let (usual, spread) = match prose {
        Prose::Rules => (420, 40),
        Prose::Question => (190, 100),
        Prose::Answer => (430, 90),
        Prose::Thought => (380, 80),
    };
    let wanted = random.log_normal(usual, spread).clamp(12, 6_000);
    let mut text = String::with_capacity(3 * wanted as usize);
    let (mut characters, mut sentences) = (0, 0);
    while characters < wanted {
        if sentences > 0 {
            let breaks = prose != Prose::Question && random.one_in(5);
            text.push_str(if breaks { "\n\n" } else { vocabulary.between_sentences });
        }
        let start = text.len();
        let patterns = vocabulary.patterns(random, prose, sentences);
        vocabulary.expand(random.pick(patterns), random, &mut text);
        characters += text[start..].chars().count() as u64;
        sentences += 1;
    }
    text
}

impl Vocabulary {
    /// A question tells what it is about and asks only then; an answer asks nothing.
    fn patterns(
        &self,
        random: &mut Random,
        prose: Prose,
        sentence: u64,
    ) -> &'static [&'static str] {
        match prose {
            Prose::Rules => self.rules,
            Prose::Question if sentence == 0 || random.one_in(3) => self.questions,
            Prose::Thought if random.percent(70) => self.thoughts,
            _ => self.statements,
        }
    }

    fn expand(&self, pattern: &str, random: &mut Random, text: &mut String) {
        let start = text.len();
        let mut pieces = pattern.split('$');
        text.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let Some((letter, rest)) = piece.split_at_checked(1) else { continue };
            match letter.as_bytes() {
                b"n" => push_number(random, text),
                b"m" => text.push_str(&random.between(2, 10).to_string()),
                [letter] => text.push_str(random.pick((self.phrases)(*letter))),
                _ => {}
            }
            text.push_str(rest);
        }
        if let Some(first) = text.get_mut(start..start + 1) {
            first.make_ascii_uppercase();
        }
    }
}

/// Of one to four digits, small ones more often.
fn push_number(random: &mut Random, text: &mut String) {
    let most = random.pick(&[10, 100, 100, 1_000, 10_000]);
    let number = 1 + random.below(most);
    text.push_str(&number.to_string());
}

/// What an agent asks a tool for.
pub(crate) fn tool_call(random: &mut Random) -> String {
    let number = random.below(1_000_000);
    match random.below(4) {
        0 => format!(r#"find_order({{"order_id":"A-{number:06}","with_lines":true}})"#),
        1 => format!(r#"track_parcel({{"parcel":"JP{number:09}","language":"ja"}})"#),
        2 => {
            let what = random.pick(english::TOPICS);
            format!(r#"web_search({{"query":"{what}","limit":{}}})"#, 1 + number % 20)
        }
        _ => format!(
            r#"run_sql({{"sql":"SELECT state, count(*) FROM orders WHERE id > {number} GROUP BY state"}})"#
        ),
    }
}

/// What the tool gave back: some rows.
pub(crate) fn tool_result(random: &mut Random) -> String {
    let mut text = String::from(r#"{"ok":true,"rows":["#);
    for row in 0..random.between(1, 8) {
        let (id, count, price) = (random.below(90_000), random.below(40), random.below(30_000));
        let state = random.pick(&["open", "paid", "packed", "sent", "returned", "lost"]);
        let comma = if row > 0 { "," } else { "" };
        text.push_str(&format!(
            r#"{comma}{{"id":{id},"state":"{state}","count":{count},"price":{price}}}"#
        ));
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_a_pattern_has_phrases() {
        for vocabulary in [&english::VOCABULARY, &japanese::VOCABULARY] {
            let kinds = [
                vocabulary.rules,
                vocabulary.questions,
                vocabulary.statements,
                vocabulary.thoughts,
            ];
            for pattern in kinds.into_iter().flatten() {
                for piece in pattern.split('$').skip(1) {
                    let letter = piece.as_bytes()[0];
                    let known =
                        matches!(letter, b'm' | b'n') || !(vocabulary.phrases)(letter).is_empty();
                    assert!(known && letter.is_ascii_lowercase(), "{pattern}");
                }
            }
        }
    }

    #[test]
    fn a_vocabulary_has_hundreds_of_phrases_and_none_twice_in_a_list() {
        for vocabulary in [&english::VOCABULARY, &japanese::VOCABULARY] {
            let mut all = 0;
            for letter in b'a'..=b'z' {
                let mut phrases = (vocabulary.phrases)(letter).to_vec();
                all += phrases.len();
                let before = phrases.len();
                phrases.sort_unstable();
                phrases.dedup();
                assert_eq!(phrases.len(), before, "{}", char::from(letter));
            }
            assert!(all >= 300, "{all}");
        }
    }

    #[test]
    fn texts_of_a_tool_are_json() {
        let mut random = Random::new(1, 1);
        for _ in 0..100 {
            let json: serde_json::Value = serde_json::from_str(&tool_result(&mut random)).unwrap();
            assert!(json["rows"].is_array());
            let call = tool_call(&mut random);
            let arguments = &call[call.find('(').unwrap() + 1..call.len() - 1];
            assert!(serde_json::from_str::<serde_json::Value>(arguments).is_ok(), "{call}");
        }
    }
}
