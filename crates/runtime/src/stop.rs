//! From tokens' bytes to text that may be shown: whole characters only, and nothing of a stop
//! string, not even its beginning.
//!
//! A token may hold half a character, and a stop string may be spread over several tokens; so the
//! text's end is held back as long as it could still become one.

/// Collects bytes and gives out text.
#[derive(Debug)]
pub(crate) struct TextStream {
    stops: Vec<String>,
    /// Bytes of a character that is not complete yet.
    bytes: Vec<u8>,
    /// Text that is held back.
    held: String,
    stopped: bool,
    trim_start: bool,
}

impl TextStream {
    /// `trim_start` drops white space before the first visible character.
    pub(crate) fn new(stops: Vec<String>, trim_start: bool) -> Self {
        Self { stops, bytes: Vec::new(), held: String::new(), stopped: false, trim_start }
    }

    /// Whether a stop string came; whatever is pushed from then on is dropped.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes a token's bytes, gives the text that is certain now.
    pub(crate) fn push(&mut self, piece: &[u8]) -> String {
        if self.stopped {
            return String::new();
        }
        self.bytes.extend_from_slice(piece);
        self.take_characters(false);
        self.release()
    }

    /// The rest, when nothing more comes.
    pub(crate) fn finish(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        self.take_characters(true);
        let text = self.release();
        text + &std::mem::take(&mut self.held)
    }

    /// Moves whole characters to the held text; what can never become one turns into U+FFFD.
    fn take_characters(&mut self, last: bool) {
        loop {
            match std::str::from_utf8(&self.bytes) {
                Ok(text) => {
                    self.held.push_str(text);
                    self.bytes.clear();
                    break;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    self.held.push_str(&String::from_utf8_lossy(&self.bytes[..valid]));
                    let Some(broken) = error.error_len() else {
                        self.bytes.drain(..valid);
                        if last {
                            self.held.push(char::REPLACEMENT_CHARACTER);
                            self.bytes.clear();
                        }
                        break;
                    };
                    self.held.push(char::REPLACEMENT_CHARACTER);
                    self.bytes.drain(..valid + broken);
                }
            }
        }
        if self.trim_start {
            let visible = self.held.trim_start();
            self.held = visible.to_owned();
            self.trim_start = self.held.is_empty();
        }
    }

    /// Gives out what cannot be part of a stop string any more.
    fn release(&mut self) -> String {
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = found {
            self.stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }
}

/// Bytes at the end of `text` that a `stop` could begin with.
fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|&length| {
            text.as_bytes().ends_with(&stop.as_bytes()[..length])
                && text.is_char_boundary(text.len() - length)
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let mut stream = TextStream::new(stops.iter().map(|s| (*s).to_owned()).collect(), false);
        let mut parts: Vec<String> = pieces.iter().map(|piece| stream.push(piece)).collect();
        parts.push(stream.finish());
        (parts, stream.stopped())
    }

    #[test]
    fn characters_split_over_tokens_arrive_whole() {
        let bytes = "富士山🗻".as_bytes();
        for cut in 0..=bytes.len() {
            let (parts, _) = run(&[], &[&bytes[..cut], &bytes[cut..]]);
            assert_eq!(parts.concat(), "富士山🗻");
            assert!(!parts.concat().contains(char::REPLACEMENT_CHARACTER));
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(run(&[], &single).0.concat(), "富士山🗻");
    }

    #[test]
    fn bytes_that_are_no_character_do_not_hold_up_the_rest() {
        let (parts, _) = run(&[], &[b"a\xffb", b"\xe5\xaf"]);
        assert_eq!(parts.concat(), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn no_part_of_a_stop_string_is_shown() {
        for stop in ["\n\n", "\n質問:", "</s>"] {
            let text = format!("答えです{stop}次");
            for size in 1..5 {
                let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
                let (parts, stopped) = run(&["\n\n", "\n質問:", "</s>"], &pieces);
                assert!(stopped);
                assert_eq!(parts.concat(), "答えです");
            }
        }
    }

    #[test]
    fn what_only_looked_like_a_stop_string_is_given_out() {
        let (parts, stopped) = run(&["</s>"], &[b"a<", b"/", b"b", b"<"]);
        assert_eq!(parts, ["a", "", "</b", "", "<"]);
        assert!(!stopped);
    }

    #[test]
    fn the_earliest_stop_wins() {
        assert_eq!(run(&["c", "b"], &[b"abc"]).0.concat(), "a");
    }

    #[test]
    fn leading_white_space_can_be_dropped() {
        let mut stream = TextStream::new(vec!["\n\n".to_owned()], true);
        assert_eq!(stream.push(b" \n\n"), "");
        assert_eq!(stream.push(b"x y"), "x y");
    }
}
