//! Server-sent events: writing them, and cutting a byte stream into them.
//! Source of the format: WHATWG HTML, «Server-sent events».

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;

use crate::answer::Ending;

pub(crate) const CONTENT_TYPE: &str = "text/event-stream";

/// One event as bytes. JSON has no line breaks, so one `data:` line holds it.
pub(crate) fn event(name: &str, data: &impl Serialize) -> Bytes {
    let mut text = format!("event: {name}\ndata: ").into_bytes();
    if serde_json::to_writer(&mut text, data).is_err() {
        text.extend_from_slice(b"{}");
    }
    text.extend_from_slice(b"\n\n");
    Bytes::from(text)
}

/// The last event of a streamed answer.
pub(crate) fn end(end: Ending) -> Bytes {
    match end {
        Ok(answer) => event("done", &answer),
        Err(failure) => event("error", &failure),
    }
}

/// One event as it was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

/// Cuts lines out of a byte stream, however it was split. Used for NDJSON and for events.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: BytesMut,
    searched: usize,
    max_line: usize,
}

/// A line did not end within the limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {0} bytes")]
pub(crate) struct LineTooLong(usize);

impl Lines {
    pub(crate) fn new(max_line: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, max_line }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line without its ending, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return if self.searched > self.max_line {
                Err(LineTooLong(self.max_line))
            } else {
                Ok(None)
            };
        };
        let mut line = self.buffer.split_to(self.searched + at);
        self.buffer.advance(1);
        self.searched = 0;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Ok(Some(line.freeze()))
    }

    /// What came after the last line ending: half a line, when a stream broke.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer
    }
}

/// Puts lines together to events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    current: Event,
}

impl Events {
    /// Takes a line; the blank one that ends an event hands it out.
    pub(crate) fn line(&mut self, line: &[u8]) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.current);
            return (!event.data.is_empty() || !event.name.is_empty()).then_some(event);
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.current.name),
            "data" => {
                if !self.current.data.is_empty() {
                    self.current.data.push('\n');
                }
                self.current.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_any_split_of_the_bytes() {
        let mut bytes = event("token", &serde_json::json!({"text": "日本\n語"})).to_vec();
        bytes.extend_from_slice(b": comment\r\ndata: a\r\ndata: b\r\n\r\n");
        for size in 1..bytes.len() {
            let (mut lines, mut events, mut seen) = (Lines::new(1000), Events::default(), vec![]);
            for chunk in bytes.chunks(size) {
                lines.push(chunk);
                while let Some(line) = lines.next().unwrap() {
                    seen.extend(events.line(&line));
                }
            }
            assert_eq!(seen.len(), 2, "chunks of {size}");
            assert_eq!(seen[0].name, "token");
            assert_eq!(seen[1].data, "a\nb");
        }
    }

    #[test]
    fn an_endless_line_is_an_error() {
        let mut lines = Lines::new(8);
        lines.push(b"0123456789");
        assert!(lines.next().is_err());
    }
}
