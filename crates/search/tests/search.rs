//! The promise: a block that holds the pattern is named.

mod common;

use andon_search::{IndexBuilder, MAX_BLOCKS, fold};
use common::{index_bytes, open, sample_texts};
use proptest::prelude::*;

/// Letters with odd case rules, all gram lengths, gaps, and characters outside the first plane.
const ALPHABET: &[char] = &[
    'a', 'B', 'b', 'k', '9', '_', '-', ' ', '\n', 'K', 'İ', 'ß', 'Σ', 'ς', 'é', 'Ж', 'で', 'す',
    'サ', 'ー', 'ｱ', '猫', '々', '、', '。', 'Ｇ', '가', '😀', '𠮷', '𐐀', '\u{3000}', '\u{0}',
];

fn text(longest: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(ALPHABET), 0..longest)
        .prop_map(|characters| characters.into_iter().collect())
}

fn holds(text: &str, pattern: &str) -> bool {
    fold(text).contains(&fold(pattern))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_with_the_pattern_is_missed(
        texts in prop::collection::vec(text(60), 1..40),
        patterns in prop::collection::vec(text(6), 1..10),
        per_block in 1usize..5,
    ) {
        let index = open(&index_bytes(&texts, per_block)).unwrap();
        // Patterns of their own and pieces of the texts, in the other case.
        let pieces = texts.iter().enumerate().map(|(number, text)| {
            let piece: String = text.chars().skip(number % 7).take(1 + number % 9).collect();
            if number % 2 == 0 { piece.to_uppercase() } else { piece }
        });
        for pattern in patterns.into_iter().chain(pieces) {
            let Some(candidates) = index.candidates(&pattern).unwrap() else { continue };
            prop_assert!(candidates.is_sorted());
            for (number, text) in texts.iter().enumerate() {
                let block = (number / per_block) as u32;
                if holds(text, &pattern) {
                    prop_assert!(candidates.contains(&block), "{pattern:?} in {text:?}");
                }
            }
        }
    }

    #[test]
    fn any_unicode_is_found_again(text in ".{1,40}", from in 0usize..40, length in 1usize..8) {
        let index = open(&index_bytes(&[&text], 1)).unwrap();
        let pattern: String = text.chars().skip(from).take(length).collect();
        if let Some(candidates) = index.candidates(&pattern).unwrap() {
            prop_assert_eq!(candidates, vec![0]);
        }
    }
}

#[test]
fn rare_patterns_of_any_length_name_few_blocks() {
    let mut texts = sample_texts(4000);
    for (number, planted) in [(17, "鵬"), (900, "癌腫"), (2222, "zqj"), (3999, "Kubernetes")] {
        texts[number].push_str(planted);
    }
    let index = open(&index_bytes(&texts, 10)).unwrap();
    for (pattern, block) in
        [("鵬", 1), ("癌腫", 90), ("癌", 90), ("ZQJ", 222), ("zq", 222), ("KUBERNETES", 399)]
    {
        assert_eq!(index.candidates(pattern).unwrap(), Some(vec![block]), "{pattern}");
    }
    assert_eq!(index.candidates("カピバラ").unwrap(), Some(Vec::new()));
    let common: Vec<u32> = (0u32..)
        .zip(texts.chunks(10))
        .filter(|(_, block)| block.iter().any(|text| text.contains("です")))
        .map(|(number, _)| number)
        .collect();
    assert_eq!(index.candidates("です").unwrap(), Some(common));
}

#[test]
fn patterns_without_grams_may_be_anywhere() {
    let index = open(&index_bytes(&sample_texts(10), 1)).unwrap();
    for pattern in ["", " ", "--", "。", "\u{3000}"] {
        assert_eq!(index.candidates(pattern).unwrap(), None);
    }
}

#[test]
fn a_long_pattern_is_found() {
    let texts = sample_texts(300);
    let index = open(&index_bytes(&texts, 10)).unwrap();
    for number in [3, 144, 299] {
        let candidates = index.candidates(&texts[number].to_ascii_uppercase()).unwrap();
        assert!(candidates.unwrap().contains(&(number as u32 / 10)));
    }
}

#[test]
fn blocks_may_come_in_any_order_and_with_holes() {
    let mut builder = IndexBuilder::new();
    for (block, text) in [(9, "alpha"), (2, "beta"), (9, "gamma"), (2, "alphabet"), (700, "beta")] {
        builder.add(block, text);
    }
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    let index = open(&bytes).unwrap();
    assert_eq!(index.blocks(), 701);
    assert_eq!(index.candidates("alpha").unwrap(), Some(vec![2, 9]));
    assert_eq!(index.candidates("gamma").unwrap(), Some(vec![9]));
    assert_eq!(index.candidates("bet").unwrap(), Some(vec![2, 700]));
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let bytes = index_bytes(&sample_texts(40), 3);
    open(&bytes).unwrap().check().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&damaged).and_then(|index| index.check()).is_err(), "bit {bit}");
    }
}

#[test]
fn the_same_texts_make_the_same_bytes() {
    let texts = sample_texts(500);
    assert_eq!(index_bytes(&texts, 7), index_bytes(&texts, 7));
}

#[test]
fn an_empty_index_names_no_block() {
    let index = open(&index_bytes::<&str>(&[], 1)).unwrap();
    assert_eq!(index.blocks(), 0);
    assert_eq!(index.candidates("anything").unwrap(), Some(Vec::new()));
}

#[test]
fn too_many_blocks_are_refused() {
    for block in [MAX_BLOCKS, u32::MAX] {
        let mut builder = IndexBuilder::new();
        builder.add(block, "text");
        assert!(builder.finish(&mut Vec::new()).is_err());
    }
    let mut builder = IndexBuilder::new();
    builder.add(MAX_BLOCKS - 1, "text");
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    assert_eq!(open(&bytes).unwrap().candidates("text").unwrap(), Some(vec![MAX_BLOCKS - 1]));
}
