//! From text to gram keys, and from a pattern to the ranges of keys that it needs.
//!
//! A key is 32 bits. ASCII: `00`, then five symbols of 6 bits. Others: `1`, 15 bits of the first
//! character, 11 of a hash of the second, 5 of a hash of the third. Zero in a place after the
//! first stands for "gap or not part of the gram". Characters that share a symbol or a hash share
//! a list, which can only add blocks to an answer.
//!
//! Five letters tell English words apart; with four, `transponder` is in half of all blocks,
//! because `tran`, `spon`, `onde` are. Digits carry more each, and ids would fill the index with
//! grams that occur once: a gram with a digit has four places.

/// A range of keys, both ends included; the pattern needs at least one of them in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyRange {
    pub(crate) first: u32,
    pub(crate) last: u32,
}

const SYMBOL_BITS: u32 = 6;
/// The longest ASCII gram: letters only.
const LETTER_PLACES: usize = 5;
/// Bits behind the first place.
const FIRST_OPEN_BITS: u32 = SYMBOL_BITS * (LETTER_PLACES as u32 - 1);
/// The longest ASCII gram with a digit or joiner among its first places.
const MIXED_PLACES: usize = 4;
const GAP: u32 = 0;
/// Some character outside ASCII. It ends an ASCII gram like a gap.
const OUTSIDE: u32 = 1;
const FIRST_LETTER: u32 = 2;
const FIRST_DIGIT: u32 = 28;
const FIRST_JOINER: u32 = 38;
/// Bits of each place in a key that does not start with ASCII.
const OTHER_PLACES: [u32; 3] = [15, 11, 5];
const OTHER_TAG: u32 = 1 << 31;

/// Lower-case form in which texts and patterns are compared: `char::to_lowercase`, one character
/// at a time. Unlike `str::to_lowercase` it does not look at neighbours (final sigma), so that
/// the fold of a part is a part of the fold.
pub fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// [`fold`] into a buffer of characters, which grams are cut from.
pub(crate) fn fold_into(text: &str, folded: &mut Vec<char>) {
    folded.clear();
    for character in text.chars() {
        match character {
            // The two cases that make up nearly all text, without the table.
            '\0'..='\x7f' => folded.push(character.to_ascii_lowercase()),
            '\u{3000}'..='\u{9fff}' => folded.push(character),
            _ => folded.extend(character.to_lowercase()),
        }
    }
}

/// Hands out the keys of all grams of a text, the last one first: each is made of the one behind it.
pub(crate) fn keys(folded: &[char], mut take: impl FnMut(u32)) {
    // Of the gram behind, as if all of its places were free for letters; and which of its first places
    // are mixed.
    let (mut letters, mut mixed) = (0, 0);
    // The next two characters; none where there is a gap, or nothing.
    let mut next = [None; 2];
    for (at, &character) in folded.iter().enumerate().rev() {
        let is_gap = is_gap(character);
        let symbol = match character.is_ascii() {
            true => symbol(folded, at).unwrap_or(GAP),
            false if is_gap => GAP,
            false => OUTSIDE,
        };
        let goes_on = if symbol > OUTSIDE { u32::MAX } else { 0 };
        letters = (symbol << FIRST_OPEN_BITS) | ((letters >> SYMBOL_BITS) & goes_on);
        let is_mixed = u32::from(symbol >= FIRST_DIGIT) << (MIXED_PLACES - 1);
        mixed = is_mixed | ((mixed >> 1) & goes_on);
        if is_gap {
            next = [None, next[0]];
            continue;
        }
        let last_place = if mixed != 0 { (1 << SYMBOL_BITS) - 1 } else { 0 };
        take(if character.is_ascii() { letters & !last_place } else { other_key(character, next) });
        next = [Some(character), next[0]];
    }
}

/// As [`pack_other`], which takes what follows from the text.
fn other_key(first: char, [second, third]: [Option<char>; 2]) -> u32 {
    let [_, second_bits, third_bits] = OTHER_PLACES;
    let mut key = OTHER_TAG | (other_head(first) << (second_bits + third_bits));
    if let Some(second) = second {
        key |= hashed(second, second_bits) << third_bits;
        if let Some(third) = third.filter(|_| gram_length(first) > 2) {
            key |= hashed(third, third_bits);
        }
    }
    key
}

fn other_head(first: char) -> u32 {
    let [width, ..] = OTHER_PLACES;
    let code = first as u32;
    (code ^ (code >> width)) & ((1 << width) - 1)
}

/// The ranges that a pattern needs. Empty if the pattern has no character that starts a gram.
pub(crate) fn ranges(folded: &[char]) -> Vec<KeyRange> {
    let mut ranges = Vec::new();
    let mut covered = 0;
    for start in 0..folded.len() {
        let Some(gram) = pack(&folded[start..]) else { continue };
        // A gram that starts later and reaches no further is part of one that is already here.
        if start + gram.covered <= covered {
            continue;
        }
        covered = start + gram.covered;
        let last = gram.key | ((1u64 << gram.open_bits) - 1) as u32;
        ranges.push(KeyRange { first: gram.key, last });
    }
    ranges.sort_unstable();
    ranges.dedup();
    ranges
}

struct Packed {
    key: u32,
    /// How many low bits are unknown if more text may follow.
    open_bits: u32,
    /// How many characters the key speaks of.
    covered: usize,
}

fn pack(rest: &[char]) -> Option<Packed> {
    let first = *rest.first()?;
    if is_gap(first) {
        return None;
    }
    if first.is_ascii() { Some(pack_ascii(rest)) } else { Some(pack_other(first, rest)) }
}

fn pack_ascii(rest: &[char]) -> Packed {
    let mut gram = Packed { key: 0, open_bits: SYMBOL_BITS * LETTER_PLACES as u32, covered: 0 };
    let mut mixed = false;
    for place in 0..LETTER_PLACES {
        if mixed && place >= MIXED_PLACES {
            break;
        }
        let Some(symbol) = symbol(rest, place) else { return gram };
        gram.open_bits -= SYMBOL_BITS;
        gram.key |= symbol << gram.open_bits;
        mixed |= symbol >= FIRST_DIGIT;
        // What stands outside ASCII starts a gram of its own.
        gram.covered += usize::from(symbol != OUTSIDE);
        if symbol <= OUTSIDE {
            break;
        }
    }
    gram.open_bits = 0;
    gram
}

/// `None`: it depends on what follows `rest`.
fn symbol(rest: &[char], place: usize) -> Option<u32> {
    let character = *rest.get(place)?;
    match character {
        'a'..='z' => Some(character as u32 - 'a' as u32 + FIRST_LETTER),
        '0'..='9' => Some(character as u32 - '0' as u32 + FIRST_DIGIT),
        _ if character.is_ascii_punctuation() => joiner(rest, place),
        _ if is_gap(character) => Some(GAP),
        _ => Some(OUTSIDE),
    }
}

/// A punctuation mark inside a word belongs to it if a digit stands on one side: in `v3.14`,
/// `2025-11-27`, `10.0.0.1`, where the parts alone are everywhere. All others are gaps.
fn joiner(rest: &[char], place: usize) -> Option<u32> {
    let next = *rest.get(place + 1)?;
    let after_digit = place > 0 && rest[place - 1].is_ascii_digit();
    if !(next.is_ascii_digit() || after_digit && next.is_ascii_alphanumeric()) {
        return Some(GAP);
    }
    Some(match rest[place] {
        '.' => FIRST_JOINER,
        '-' => 39,
        '_' => 40,
        '/' => 41,
        ':' => 42,
        '@' => 43,
        _ => 44,
    })
}

fn pack_other(first: char, rest: &[char]) -> Packed {
    let [width, ..] = OTHER_PLACES;
    let mut gram = Packed { key: 0, open_bits: 31 - width, covered: 1 };
    gram.key = OTHER_TAG | (other_head(first) << gram.open_bits);
    for (place, &width) in OTHER_PLACES.iter().enumerate().take(gram_length(first)).skip(1) {
        let Some(&character) = rest.get(place) else { return gram };
        gram.open_bits -= width;
        gram.covered += 1;
        if is_gap(character) {
            break;
        }
        gram.key |= hashed(character, width) << gram.open_bits;
    }
    gram.open_bits = 0;
    gram
}

/// 1 to 2^width - 1: zero is kept for the gap.
fn hashed(character: char, width: u32) -> u32 {
    let mixed = (character as u32).wrapping_mul(0x9E37_79B1) >> 8;
    // By a number that the compiler knows, which is several times as fast as by any other.
    1 + match width {
        11 => mixed % 0x7ff,
        5 => mixed % 0x1f,
        _ => mixed % ((1 << width) - 1),
    }
}

/// Of a gram that does not start with ASCII.
fn gram_length(first: char) -> usize {
    match first {
        // Hiragana, katakana, half-width katakana: few signs, so pairs of them are everywhere.
        '\u{3041}'..='\u{30ff}' | '\u{ff66}'..='\u{ff9f}' => OTHER_PLACES.len(),
        _ => 2,
    }
}

/// Characters that start no gram and end others: they stand everywhere and tell nothing apart.
fn is_gap(character: char) -> bool {
    match character {
        '\0'..='\x7f' => !character.is_ascii_alphanumeric(),
        // Most of what is not ASCII, without looking into tables.
        '\u{3041}'..='\u{9fff}' => false,
        '、' | '。' | '「' | '」' | '（' | '）' => true,
        _ => character.is_whitespace() || character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_keys_are_those_of_each_place(
            text in "[a-c0-2 .\\-_/A東京のアｱ、é\u{3000}]{0,40}|\\PC{0,40}",
        ) {
            let text = folded(&text);
            let mut found = Vec::new();
            keys(&text, |key| found.push(key));
            found.reverse();
            prop_assert_eq!(found, keys_of(&text));
        }
    }

    /// The key of the gram that starts at the front of `rest`, in a text that ends with `rest`.
    fn key(rest: &[char]) -> Option<u32> {
        pack(rest).map(|gram| gram.key)
    }

    fn keys_of(text: &[char]) -> Vec<u32> {
        (0..text.len()).filter_map(|at| key(&text[at..])).collect()
    }

    fn folded(text: &str) -> Vec<char> {
        let mut buffer = Vec::new();
        fold_into(text, &mut buffer);
        buffer
    }

    fn ranges_of(pattern: &str) -> Vec<KeyRange> {
        ranges(&folded(pattern))
    }

    #[test]
    fn both_folds_agree() {
        let text = "ÀBC İ Σς K Ｇｏ ｱ サーバー ǅ Ꙁ";
        assert_eq!(folded(text).into_iter().collect::<String>(), fold(text));
    }

    /// How many single keys and how many real ranges.
    fn shape(pattern: &str) -> (usize, usize) {
        let ranges = ranges_of(pattern);
        let single = ranges.iter().filter(|range| range.first == range.last).count();
        (single, ranges.len() - single)
    }

    #[test]
    fn short_patterns_are_ranges_and_long_ones_single_keys() {
        for (pattern, expected) in [
            ("gpu", (0, 1)),
            ("です", (0, 1)),
            ("鵺", (0, 1)),
            ("癌腫", (1, 0)),
            ("server", (2, 0)),
            ("gpu farm", (1, 1)),
            ("aのb", (1, 1)),
            ("77e3", (1, 0)),
            ("10.0.0.1", (2, 1)),
            ("v3.", (0, 1)),
        ] {
            assert_eq!(shape(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn punctuation_joins_beside_digits_only() {
        for (joined, split) in [("3.1", "3 1"), ("gpt-4", "gpt 4"), ("4-o", "4 o")] {
            assert_ne!(key(&folded(joined)), key(&folded(split)));
        }
        for (gap, split) in [("a.b", "a b"), ("3. b", "3  b"), ("4-", "4"), ("a-", "a")] {
            assert_eq!(key(&folded(gap)), key(&folded(split)));
        }
    }

    #[test]
    fn a_pattern_of_gaps_has_no_range() {
        assert!(ranges_of("").is_empty());
        assert!(ranges_of(" --。\n").is_empty());
    }

    #[test]
    fn a_gap_inside_the_pattern_ends_the_gram() {
        let text = folded("a big farm");
        let keys = keys_of(&text);
        for range in ranges_of("big f") {
            assert!(keys.iter().any(|key| (range.first..=range.last).contains(key)));
        }
    }
}
