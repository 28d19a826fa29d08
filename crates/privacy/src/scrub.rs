//! Error messages without the prompt in them.
//!
//! A runtime's message may quote what it was sent. Every stretch of the message that also stands in
//! one of the call's texts is cut out, unless the policy keeps everything.

use std::{borrow::Cow, collections::HashMap};

use andon_model::{Policy, RawText, TraceId};

use crate::heard::{Heard, QUOTED_CHARS};

const CUT: &str = "[…]";

/// The first `most_bytes` of a message, scrubbed. A quote that begins there and goes on behind is
/// recognised before the cut. `heard`: what was asked and answered in the message's trace.
pub(crate) fn scrub<'a>(
    message: &RawText,
    texts: impl Iterator<Item = &'a RawText>,
    (heard, trace): (&Heard, TraceId),
    policy: Policy,
    most_bytes: usize,
) -> String {
    // Programs quote what they sent, and they sent it escaped.
    let whole = match policy {
        Policy::Full => Cow::Borrowed(message.expose()),
        _ => unescaped(message.expose()),
    };
    let beginning = &whole[..whole.floor_char_boundary(most_bytes)];
    if policy == Policy::Full {
        return beginning.to_owned();
    }
    let mut texts = texts.peekable();
    let is_heard = heard.knows(trace);
    if texts.peek().is_none() && !is_heard {
        // The most common case: a span that has nothing to do with a model.
        return beginning.to_owned();
    }
    let kept = beginning.chars().count();
    let message: Vec<char> = whole.chars().take(kept + QUOTED_CHARS - 1).collect();
    let mut quoted = vec![false; message.len()];
    let mut places = None;
    for text in texts {
        let text = text.expose();
        if text.chars().take(QUOTED_CHARS).count() < QUOTED_CHARS {
            mark_short(&message, text, &mut quoted);
        } else {
            let places = places.get_or_insert_with(|| windows_by_text(&message));
            mark_long(places, text, &mut quoted);
        }
    }
    if is_heard {
        heard.mark(trace, &message, &mut quoted);
    }
    without(&message[..kept], &quoted[..kept])
}

/// `\u7d4c` and `%E7%B5%8C` as the characters that they stand for; ASCII stays as it is written.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") && !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut whole = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if let Some((character, length)) = escaped_unit(bytes, at) {
            let mut utf8 = [0; 4];
            whole.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
            at += length;
        } else if let Some(byte) = percent(bytes, at).filter(|byte| !byte.is_ascii()) {
            whole.push(byte);
            at += 3;
        } else {
            whole.push(bytes[at]);
            at += 1;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&whole).into_owned())
}

/// A character written as one or two of JSON's `\uXXXX`, and how long that is.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(at)?;
    let pair = [first, unit(at + 6).unwrap_or(0)];
    let units = if (0xd800..0xdc00).contains(&first) { &pair[..] } else { &pair[..1] };
    let character = char::decode_utf16(units.iter().copied()).next()?.ok()?;
    (!character.is_ascii()).then_some((character, 6 * units.len()))
}

fn percent(bytes: &[u8], at: usize) -> Option<u8> {
    let digits = bytes.get(at..at + 3)?.strip_prefix(b"%")?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
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
