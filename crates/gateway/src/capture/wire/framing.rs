//! Where a body ends. Chunked bodies are passed on with their framing as it came; what is found on
//! the way is their data, for the copy, and their end, strictly: what two readers could understand
//! differently is how requests are smuggled.

/// Digits of a chunk's size: what 64 bits hold.
const MAX_DIGITS: u8 = 16;
/// A chunk's extension.
const MAX_EXTENSION: u16 = 1 << 10;
/// All lines after the last chunk together.
const MAX_TRAILERS: u16 = 16 << 10;

/// What is still to come of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Sized(u64),
    Chunked(Chunked),
    UntilEnd,
}

impl Body {
    pub(super) const NONE: Self = Self::Sized(0);

    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked { state: State::Size, left: 0, line: 0 })
    }

    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Sized(left) => *left == 0,
            Self::Chunked(chunked) => chunked.state == State::End,
            Self::UntilEnd => false,
        }
    }

    /// Takes what belongs to the body from the start of `bytes`, hands its data to `data`, piece by
    /// piece, and says how much it took.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<usize, BadChunk> {
        match self {
            Self::Chunked(chunked) => chunked.take(bytes, data),
            Self::Sized(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if taken > 0 {
                    data(&bytes[..taken]);
                }
                Ok(taken)
            }
            Self::UntilEnd => {
                if !bytes.is_empty() {
                    data(bytes);
                }
                Ok(bytes.len())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a body whose chunks cannot be told apart")]
pub(super) struct BadChunk;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunked {
    state: State,
    /// The chunk's size, then what is missing of it.
    left: u64,
    /// Length of what has a limit: digits, extension, trailers.
    line: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataEnded,
    /// At the start of a line after the last chunk.
    Trailers,
    Trailer,
    TrailerEnd,
    LastEnd,
    End,
}

impl Chunked {
    fn take(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::End {
            if self.state == State::Data {
                let rest = &bytes[at..];
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                data(&rest[..taken]);
                self.left -= taken as u64;
                at += taken;
                if self.left == 0 {
                    self.state = State::DataEnd;
                }
            } else {
                self.state = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, BadChunk> {
        Ok(match (self.state, byte) {
            (State::Size, b'\r') if self.line > 0 => State::SizeEnd,
            (State::Size, b';' | b' ' | b'\t') if self.line > 0 => {
                self.line = 0;
                State::Extension
            }
            (State::Size, _) => self.digit(byte)?,
            (State::Extension, b'\r') => State::SizeEnd,
            (State::Extension, _) => self.text(byte, MAX_EXTENSION, State::Extension)?,
            (State::SizeEnd, b'\n') => {
                self.line = 0;
                if self.left == 0 { State::Trailers } else { State::Data }
            }
            (State::DataEnd, b'\r') => State::DataEnded,
            (State::DataEnded, b'\n') => State::Size,
            (State::Trailers, b'\r') => State::LastEnd,
            // A folded line.
            (State::Trailers, b' ' | b'\t') => return Err(BadChunk),
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::Trailers | State::Trailer, _) => {
                self.text(byte, MAX_TRAILERS, State::Trailer)?
            }
            (State::TrailerEnd, b'\n') => State::Trailers,
            (State::LastEnd, b'\n') => State::End,
            _ => return Err(BadChunk),
        })
    }

    fn digit(&mut self, byte: u8) -> Result<State, BadChunk> {
        let digit = char::from(byte).to_digit(16).ok_or(BadChunk)?;
        if self.line == u16::from(MAX_DIGITS) {
            return Err(BadChunk);
        }
        self.line += 1;
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    /// A byte of a line that is passed on without being understood.
    fn text(&mut self, byte: u8, most: u16, state: State) -> Result<State, BadChunk> {
        self.line += 1;
        let is_control = byte.is_ascii_control() && byte != b'\t';
        if is_control || self.line > most { Err(BadChunk) } else { Ok(state) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `stream` in pieces of the given lengths, the last one again and again.
    fn read(
        body: &mut Body,
        stream: &[u8],
        lengths: &[usize],
    ) -> Result<(Vec<u8>, usize), BadChunk> {
        let (mut data, mut at) = (Vec::new(), 0);
        let mut lengths = lengths.iter().copied().chain(std::iter::repeat(1));
        while at < stream.len() && !body.is_complete() {
            let end = stream.len().min(at + lengths.next().unwrap().max(1));
            at += body.take(&stream[at..end], |piece| data.extend_from_slice(piece))?;
        }
        Ok((data, at))
    }

    fn whole(stream: &str) -> Result<(Vec<u8>, usize), BadChunk> {
        let mut body = Body::chunked();
        let read = read(&mut body, stream.as_bytes(), &[usize::MAX >> 1])?;
        assert!(body.is_complete(), "{stream:?}");
        Ok(read)
    }

    proptest! {
        #[test]
        fn however_it_is_split_the_data_and_the_end_are_the_same(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            lengths in prop::collection::vec(1_usize..30, 0..20),
            rest in prop::collection::vec(any::<u8>(), 0..20),
            extension in "(;[a-z]{1,5}(=[a-z0-9]{1,5})?)?",
            trailers in prop::collection::vec("[a-z]{1,8}: [a-z ]{0,8}\r\n", 0..3),
        ) {
            let mut stream = Vec::new();
            for chunk in &chunks {
                stream.extend(format!("{:X}{extension}\r\n", chunk.len()).bytes());
                stream.extend(chunk);
                stream.extend(b"\r\n");
            }
            stream.extend(format!("0\r\n{}\r\n", trailers.concat()).bytes());
            let end = stream.len();
            stream.extend(&rest);
            let mut body = Body::chunked();
            let (data, at) = read(&mut body, &stream, &lengths).unwrap();
            prop_assert!(body.is_complete());
            prop_assert_eq!((data, at), (chunks.concat(), end));
        }

        #[test]
        fn garbage_never_panics_nor_reads_beyond(
            stream in prop::collection::vec(any::<u8>(), 0..200),
            lengths in prop::collection::vec(1_usize..30, 0..20),
        ) {
            let _ = read(&mut Body::chunked(), &stream, &lengths);
        }

        #[test]
        fn a_sized_body_takes_its_bytes_and_no_more(
            size in 0_usize..100, more in 0_usize..100, lengths in prop::collection::vec(1_usize..30, 0..9),
        ) {
            let stream = vec![7; size + more];
            let mut body = Body::Sized(size as u64);
            prop_assert_eq!(read(&mut body, &stream, &lengths).unwrap(), (vec![7; size], size));
        }
    }

    #[test]
    fn extensions_and_trailers_belong_to_the_body() {
        let stream = "4;a=b\r\nWiki\r\n5 ; c\r\npedia\r\n0\r\nExpires: never\r\nX:\r\n\r\nGET";
        assert_eq!(whole(stream), Ok((b"Wikipedia".to_vec(), stream.len() - 3)));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for bad in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "0x1\r\na\r\n",
            "+1\r\na\r\n",
            " 1\r\na\r\n",
            "1\na\r\n",
            "1\r\na\n",
            "1\r\nab\r\n",
            "1\ra\r\n",
            "1;a\nb\r\na\r\n",
            "1;\0\r\na\r\n",
            "00000000000000001\r\na\r\n",
            "fffffffffffffffff\r\n",
            "0\r\n folded: 1\r\n\r\n",
            "0\r\na: b\nc: d\r\n\r\n",
            "0\r\n\n",
        ] {
            let stream = format!("{bad}0\r\n\r\n");
            let read = read(&mut Body::chunked(), stream.as_bytes(), &[1 << 20]);
            assert_eq!(read, Err(BadChunk), "{bad:?}");
        }
    }

    #[test]
    fn lines_of_a_chunked_body_have_limits() {
        let long = "x".repeat(usize::from(MAX_TRAILERS));
        let mut stream = format!("1;{}\r\n", &long[..2_000]);
        assert!(read(&mut Body::chunked(), stream.as_bytes(), &[]).is_err());
        stream = format!("0\r\na: {long}\r\n\r\n");
        assert!(read(&mut Body::chunked(), stream.as_bytes(), &[]).is_err());
    }
}
