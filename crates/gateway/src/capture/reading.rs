//! From a tape to what was said on it. Runs on the recorder's side, on bytes of strangers: whatever
//! cannot be read is left out and counted.

use std::{borrow::Cow, io::Read};

use flate2::read::{GzDecoder, ZlibDecoder};

use super::{
    api::{Api, Asked, Told},
    rhythm::Rhythm,
    tape::{Mark, Tape},
};
use crate::sse::Events;

/// What an encoded body may grow to.
const MAX_DECODED: u64 = 32 << 20;

/// How an answer's body is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Lines,
    Events,
    Whole,
}

impl Framing {
    pub(super) fn of(content_type: Option<&str>) -> Self {
        match content_type {
            Some(kind) if kind.starts_with("text/event-stream") => Self::Events,
            Some(kind) if kind.starts_with("application/x-ndjson") => Self::Lines,
            _ => Self::Whole,
        }
    }
}

/// A request's words. `None`: it is not what the API takes.
pub(super) fn request(api: Api, tape: &Tape, encoding: Option<&str>) -> Option<Asked> {
    if tape.cut().is_some() {
        return None;
    }
    api.asked(&decoded(tape.bytes(), encoding)?).ok()
}

/// An answer's words, and when they came.
pub(super) fn answer(
    api: Api,
    tape: &Tape,
    framing: Framing,
    encoding: Option<&str>,
) -> (Told, Rhythm) {
    let mut reader = Reader { api, told: Told::default(), rhythm: Rhythm::default() };
    // The times of an encoded body's pieces say nothing about those of its words.
    let plain = encoding.is_none_or(|encoding| encoding == "identity");
    let Some(bytes) = decoded(tape.bytes(), encoding) else {
        reader.told.unreadable = 1;
        return (reader.told, reader.rhythm);
    };
    let marks = if plain { tape.marks() } else { &[] };
    match framing {
        Framing::Whole => reader.whole(&bytes, tape),
        Framing::Lines | Framing::Events => {
            reader.stream(&bytes, marks, framing);
            // What a cut left out ends within a line; the next whole one begins after it.
            let tail = if plain { tape.tail() } else { &[] };
            if let Some(at) = memchr::memchr(b'\n', tail) {
                reader.stream(&tail[at + 1..], &[], framing);
            }
        }
    }
    (reader.told, reader.rhythm)
}

struct Reader {
    api: Api,
    told: Told,
    rhythm: Rhythm,
}

impl Reader {
    fn whole(&mut self, bytes: &[u8], tape: &Tape) {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if self.api.told(bytes, &mut self.told).is_err() {
            self.told.unreadable += 1;
        } else if let Some(first) = tape.marks().first() {
            self.rhythm.piece(first.at_ns);
        }
    }

    fn stream(&mut self, bytes: &[u8], marks: &[Mark], framing: Framing) {
        let (mut events, mut begin, mut marks) = (Events::default(), 0, marks.iter().peekable());
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = bytes[begin..end].strip_suffix(b"\r").unwrap_or(&bytes[begin..end]);
            begin = end + 1;
            let held = match framing {
                Framing::Events => match events.line(line) {
                    Some(event) => self.api.told_event(&event, &mut self.told),
                    None => continue,
                },
                _ if line.is_empty() => continue,
                _ => self.api.told(line, &mut self.told),
            };
            match held {
                Ok(true) => {
                    while marks.next_if(|mark| mark.end <= end).is_some() {}
                    if let Some(mark) = marks.peek() {
                        self.rhythm.piece(mark.at_ns);
                    }
                }
                Ok(false) => {}
                Err(_) => self.told.unreadable += 1,
            }
        }
        self.last_line(&bytes[begin..], framing, events);
    }

    /// What has no end of its own: half a line where a stream broke, which is no fault, but some
    /// servers send their last event, or the error that ended a stream, so.
    fn last_line(&mut self, line: &[u8], framing: Framing, mut events: Events) {
        if framing == Framing::Lines || line.starts_with(b"{") {
            let _ = self.api.told(line, &mut self.told);
            return;
        }
        if !line.is_empty() {
            events.line(line);
        }
        if let Some(event) = events.line(b"") {
            let _ = self.api.told_event(&event, &mut self.told);
        }
    }
}

/// The body as it was before it was encoded; `None` where that cannot be had.
fn decoded<'a>(bytes: &'a [u8], encoding: Option<&str>) -> Option<Cow<'a, [u8]>> {
    let mut plain = Vec::new();
    match encoding.map(str::trim) {
        None | Some("" | "identity") => return Some(Cow::Borrowed(bytes)),
        // What came of a stream that was cut is worth reading, so the error at its end is not one.
        Some("gzip" | "x-gzip") => {
            let _ = GzDecoder::new(bytes).take(MAX_DECODED).read_to_end(&mut plain);
        }
        Some("deflate") => {
            let _ = ZlibDecoder::new(bytes).take(MAX_DECODED).read_to_end(&mut plain);
        }
        Some(_) => return None,
    }
    (!plain.is_empty() || bytes.is_empty()).then_some(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::capture::tape::Budget;

    fn told(api: Api, framing: Framing, stream: &str) -> Told {
        let mut tape = Tape::new(Budget::new(1 << 20), 1 << 20);
        tape.push(stream.as_bytes(), Instant::now());
        answer(api, &tape, framing, None).0
    }

    #[test]
    fn a_last_event_without_its_blank_line_counts_and_half_a_one_is_no_fault() {
        let chunk = |reason: &str| {
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}},{reason}}}]}}\n\n")
        };
        let whole = chunk("\"finish_reason\":\"stop\"");
        for end in ["data: [DONE]", "data: [DONE]\n", "data: [DONE]\n\n"] {
            let told = told(Api::OpenaiChat, Framing::Events, &format!("{whole}{end}"));
            assert!(told.complete && told.unreadable == 0, "{end:?}");
        }
        let open = chunk("\"index\":0");
        let half = told(Api::OpenaiChat, Framing::Events, &format!("{open}data: {{\"choi"));
        assert_eq!((half.complete, half.unreadable, half.outputs.len()), (false, 0, 1));
        let error = "{\"error\":{\"message\":\"boom\"}}";
        let broken = told(Api::OpenaiChat, Framing::Events, &format!("{open}{error}"));
        assert_eq!(broken.error.as_deref(), Some("boom"));
    }
}
