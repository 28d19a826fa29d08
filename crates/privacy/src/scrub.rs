//! Error messages without the prompt in them.
//!
//! A runtime's message may quote what it was sent. Every stretch of the message that also stands in
//! one of the call's texts is cut out, unless the policy keeps everything.

use std::collections::HashMap;

use andon_model::{Policy, RawText};

/// Stretches of at least this many characters count as quoted. Short enough for Japanese.
const QUOTED_CHARS: usize = 8;
const CUT: &str = "[…]";

/// The first `most_bytes` of a message, scrubbed. A quote that begins there and goes on behind is
/// recognised before the cut.
pub(crate) fn scrub<'a>(
    message: &RawText,
    texts: impl Iterator<Item = &'a RawText>,
    policy: Policy,
    most_bytes: usize,
) -> String {
    let whole = message.expose();
    let beginning = &whole[..whole.floor_char_boundary(most_bytes)];
    if policy == Policy::Full {
        return beginning.to_owned();
    }
    let kept = beginning.chars().count();
    let message: Vec<char> = whole.chars().take(kept + QUOTED_CHARS - 1).collect();
    let mut quoted = vec![false; message.len()];
    let mut places = windows_by_text(&message);
    for text in texts {
        let text = text.expose();
        if text.chars().take(QUOTED_CHARS).count() < QUOTED_CHARS {
            mark_short(&message, text, &mut quoted);
        } else {
            mark_long(&mut places, text, &mut quoted);
        }
    }
    without(&message[..kept], &quoted[..kept])
}

fn windows_by_text(message: &[char]) -> HashMap<&[char], Vec<usize>> {
    let mut places: HashMap<&[char], Vec<usize>> = HashMap::new();
    for (place, window) in message.windows(QUOTED_CHARS).enumerate() {
        places.entry(window).or_default().push(place);
    }
    places
}

/// Takes out what it has found: what is marked once need not be again, however often a text repeats it.
fn mark_long(places: &mut HashMap<&[char], Vec<usize>>, text: &str, quoted: &mut [bool]) {
    let text: Vec<char> = text.chars().collect();
    for window in text.windows(QUOTED_CHARS) {
        for place in places.remove(window).into_iter().flatten() {
            quoted[place..place + QUOTED_CHARS].fill(true);
        }
    }
}

/// A text shorter than a window is looked for whole, from three characters on: shorter ones stand
/// in any sentence.
fn mark_short(message: &[char], text: &str, quoted: &mut [bool]) {
    let text: Vec<char> = text.chars().collect();
    if text.len() < 3 {
        return;
    }
    for (place, window) in message.windows(text.len()).enumerate() {
        if window == text {
            quoted[place..place + text.len()].fill(true);
        }
    }
}

fn without(message: &[char], quoted: &[bool]) -> String {
    let mut kept = String::with_capacity(message.len());
    let mut in_quote = false;
    for (character, is_quoted) in message.iter().zip(quoted) {
        if !is_quoted {
            kept.push(*character);
        } else if !in_quote {
            kept.push_str(CUT);
        }
        in_quote = *is_quoted;
    }
    kept
}
