//! Heads of requests and answers, read strictly. What two readers could understand differently is
//! refused: a client behind a door must not get a second request past it within the body of a first.

use std::mem::MaybeUninit;

use http::header;
use memchr::memmem;

use super::framing::Body;

/// Longest head, in bytes.
pub(super) const MAX_HEAD: usize = 64 << 10;
pub(super) const MAX_HEADERS: usize = 128;

/// Why a head cannot be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHead {
    #[error("the head is longer than {MAX_HEAD} bytes or has more than {MAX_HEADERS} headers")]
    TooLarge,
    #[error("the head is not one of HTTP/1.1: {0}")]
    Syntax(httparse::Error),
    #[error("the target is no path")]
    Target,
    #[error("there is more than one Host")]
    Host,
    #[error("the length of the body is given twice, or is no number")]
    Length,
    #[error("a Transfer-Encoding other than chunked cannot be passed on")]
    Coding,
}

impl From<httparse::Error> for BadHead {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooLarge,
            error => Self::Syntax(error),
        }
    }
}

/// Where the headers of a head are listed while it is read.
pub(super) type Room<'h> = [MaybeUninit<httparse::Header<'h>>; MAX_HEADERS];

pub(super) fn room<'h>() -> Room<'h> {
    [const { MaybeUninit::uninit() }; MAX_HEADERS]
}

/// Whether looking again is worth it: the bytes from `seen` on bring a head's last, empty line.
pub(super) fn may_be_whole(bytes: &[u8], seen: usize) -> bool {
    let new = &bytes[seen.saturating_sub(3).min(bytes.len())..];
    seen == 0 || memmem::find(new, b"\n\r\n").is_some() || memmem::find(new, b"\n\n").is_some()
}

/// Line breaks before a request are allowed, and mean nothing.
pub(super) fn leading_breaks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// The headers of a head, in their order and as they were written.
#[derive(Clone, Copy)]
pub(in crate::capture) struct Headers<'h>(&'h [httparse::Header<'h>]);

impl<'h> Headers<'h> {
    pub(super) fn iter(self) -> impl Iterator<Item = (&'h str, &'h [u8])> {
        self.0.iter().map(|header| (header.name, header.value))
    }

    /// The first one of this name.
    pub(in crate::capture) fn get(self, name: &str) -> Option<&'h [u8]> {
        self.all(name).next()
    }

    /// The same, if it is plain text.
    pub(in crate::capture) fn text(self, name: &str) -> Option<&'h str> {
        let text = std::str::from_utf8(self.get(name)?).ok()?;
        text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')).then_some(text)
    }

    fn all(self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.iter().filter(move |(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// What `Connection` names: it belongs to this connection only.
    pub(super) fn connection(self) -> impl Iterator<Item = &'h [u8]> {
        let values = self.all(header::CONNECTION.as_str());
        values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    }

    fn has_connection(self, option: &str) -> bool {
        self.connection().any(|one| one.eq_ignore_ascii_case(option.as_bytes()))
    }

    fn keeps_alive(self, is_http10: bool) -> bool {
        !self.has_connection("close") && (!is_http10 || self.has_connection("keep-alive"))
    }

    fn length(self) -> Result<Option<u64>, BadHead> {
        let mut lengths = self.all(header::CONTENT_LENGTH.as_str()).map(number);
        let Some(length) = lengths.next() else { return Ok(None) };
        if length.is_none() || lengths.any(|other| other != length) {
            return Err(BadHead::Length);
        }
        Ok(length)
    }

    /// Whether the body is chunked. Any other coding, or a second one, is refused.
    fn is_chunked(self) -> Result<bool, BadHead> {
        let mut codings = self.all(header::TRANSFER_ENCODING.as_str());
        match (codings.next(), codings.next()) {
            (None, _) => Ok(false),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(true),
            _ => Err(BadHead::Coding),
        }
    }
}

/// Digits and nothing else.
fn number(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()
}

pub(super) struct RequestHead<'h> {
    pub(super) method: &'h str,
    /// As in `http://authority/path`, where the client wrote it so.
    pub(super) authority: Option<&'h str>,
    /// Path and query. Empty or with the query only, where it was an address without a path.
    pub(super) target: &'h str,
    pub(super) headers: Headers<'h>,
    pub(super) body: Body,
    pub(super) is_http10: bool,
    pub(super) keeps_alive: bool,
    /// The client waits to be asked for its body.
    pub(super) expects: bool,
    /// Bytes of the head.
    pub(super) len: usize,
}

impl<'h> RequestHead<'h> {
    /// `None`: more is to come.
    pub(super) fn read(bytes: &'h [u8], room: &'h mut Room<'h>) -> Result<Option<Self>, BadHead> {
        let mut parsed = httparse::Request::new(&mut []);
        let len = match parsed.parse_with_uninit_headers(bytes, room)? {
            httparse::Status::Complete(len) if len <= MAX_HEAD => len,
            httparse::Status::Partial if bytes.len() < MAX_HEAD => return Ok(None),
            _ => return Err(BadHead::TooLarge),
        };
        let (Some(method), Some(target), Some(minor)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Ok(None);
        };
        let (authority, target) = split(target).ok_or(BadHead::Target)?;
        let (headers, is_http10) = (Headers(parsed.headers), minor == 0);
        if headers.all(header::HOST.as_str()).nth(1).is_some() {
            return Err(BadHead::Host);
        }
        let expects = headers.get(header::EXPECT.as_str());
        Ok(Some(Self {
            method,
            authority,
            target,
            headers,
            body: body_of_request(headers, is_http10)?,
            is_http10,
            keeps_alive: headers.keeps_alive(is_http10),
            expects: !is_http10
                && expects.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")),
            len,
        }))
    }

    pub(super) fn path(&self) -> &'h str {
        let path = self.target.split('?').next().unwrap_or_default();
        if path.is_empty() { "/" } else { path }
    }

    /// Whom the client takes Andon for.
    pub(super) fn host(&self) -> Option<&'h [u8]> {
        self.headers.get(header::HOST.as_str()).or(self.authority.map(str::as_bytes))
    }
}

/// The path that a head which cannot be passed on is about, as far as it can be read.
pub(super) fn target_of(bytes: &[u8]) -> Option<(&str, &str)> {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    Some((words.next()?, words.next()?.split('?').next()?))
}

/// Authority, and path with query.
fn split(target: &str) -> Option<(Option<&str>, &str)> {
    if target.starts_with('/') {
        return Some((None, target));
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    (end > 0).then(|| (Some(&rest[..end]), &rest[end..]))
}

fn body_of_request(headers: Headers<'_>, is_http10: bool) -> Result<Body, BadHead> {
    match (headers.is_chunked()?, headers.length()?) {
        (false, length) => Ok(Body::Sized(length.unwrap_or(0))),
        (true, None) if !is_http10 => Ok(Body::chunked()),
        // Both, or a coding where there are none.
        (true, _) => Err(BadHead::Length),
    }
}

pub(super) struct AnswerHead<'h> {
    pub(super) status: u16,
    pub(super) reason: &'h str,
    pub(super) headers: Headers<'h>,
    pub(super) body: Body,
    pub(super) keeps_alive: bool,
    pub(super) len: usize,
}

impl<'h> AnswerHead<'h> {
    /// `to_head`: it answers a HEAD, so no body comes. `None`: more is to come.
    pub(super) fn read(
        bytes: &'h [u8],
        to_head: bool,
        room: &'h mut Room<'h>,
    ) -> Result<Option<Self>, BadHead> {
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let len = match config.parse_response_with_uninit_headers(&mut parsed, bytes, room)? {
            httparse::Status::Complete(len) if len <= MAX_HEAD => len,
            httparse::Status::Partial if bytes.len() < MAX_HEAD => return Ok(None),
            _ => return Err(BadHead::TooLarge),
        };
        let (Some(status), Some(minor)) = (parsed.code, parsed.version) else { return Ok(None) };
        let (headers, is_http10) = (Headers(parsed.headers), minor == 0);
        let has_none = to_head || status < 200 || matches!(status, 204 | 304);
        let body = if has_none { Body::NONE } else { body_of_answer(headers, is_http10)? };
        Ok(Some(Self {
            status,
            reason: parsed.reason.unwrap_or_default(),
            headers,
            keeps_alive: headers.keeps_alive(is_http10) && body != Body::UntilEnd,
            body,
            len,
        }))
    }
}

/// A chunked body has no other length, whatever is said beside it.
fn body_of_answer(headers: Headers<'_>, is_http10: bool) -> Result<Body, BadHead> {
    if headers.is_chunked()? {
        return if is_http10 { Err(BadHead::Coding) } else { Ok(Body::chunked()) };
    }
    Ok(headers.length()?.map_or(Body::UntilEnd, Body::Sized))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(text: &str) -> Result<Body, BadHead> {
        RequestHead::read(text.as_bytes(), &mut room()).map(|head| head.expect("a whole head").body)
    }

    fn with(headers: &str) -> Result<Body, BadHead> {
        request(&format!("POST /x HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
    }

    #[test]
    fn the_length_of_a_body_is_read_in_one_way_only() {
        assert_eq!(with(""), Ok(Body::NONE));
        assert_eq!(with("Content-Length: 5\r\n"), Ok(Body::Sized(5)));
        assert_eq!(with("Content-Length: 5\r\ncontent-length: 5\r\n"), Ok(Body::Sized(5)));
        assert_eq!(with("Transfer-Encoding: Chunked\r\n"), Ok(Body::chunked()));
        for bad in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(with(bad), Err(BadHead::Length), "{bad:?}");
        }
        for bad in [
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding:\r\n",
        ] {
            assert!(with(bad).is_err(), "{bad:?}");
        }
        let old = request("POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(old, Err(BadHead::Length));
    }

    #[test]
    fn odd_lines_are_no_headers() {
        for bad in [
            "Content-Length : 5\r\n",
            "X: a\r\n folded\r\n",
            " X: first\r\n",
            "X: a\rContent-Length: 5\r\n",
            "X\0: a\r\n",
            "X: a\0\r\n",
            "no colon\r\n",
            ": no name\r\n",
        ] {
            assert!(matches!(with(bad), Err(BadHead::Syntax(_))), "{bad:?}");
        }
        assert_eq!(with("Host: b\r\n"), Err(BadHead::Host));
    }

    #[test]
    fn a_target_is_a_path_or_an_address() {
        let target = |target: &str| {
            let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            let mut room = room();
            let head = RequestHead::read(text.as_bytes(), &mut room)?.expect("a whole head");
            Ok((head.authority.map(str::to_owned), head.target.to_owned(), head.path().to_owned()))
        };
        let expected = |authority: Option<&str>, target: &str, path: &str| {
            Ok::<_, BadHead>((authority.map(str::to_owned), target.to_owned(), path.to_owned()))
        };
        assert_eq!(target("/a?b"), expected(None, "/a?b", "/a"));
        assert_eq!(target("HTTP://h:1/a?b"), expected(Some("h:1"), "/a?b", "/a"));
        assert_eq!(target("http://h?b"), expected(Some("h"), "?b", "/"));
        for bad in ["*", "h:80", "ftp://h/", "http:///a", "a/b"] {
            assert_eq!(target(bad), Err(BadHead::Target), "{bad}");
        }
    }

    #[test]
    fn a_head_has_limits() {
        let many = "a: b\r\n".repeat(MAX_HEADERS);
        assert_eq!(with(&many), Err(BadHead::TooLarge));
        let long = format!("a: {}\r\n", "b".repeat(MAX_HEAD));
        assert_eq!(with(&long), Err(BadHead::TooLarge));
        let mut room = room();
        let open = format!("GET / HTTP/1.1\r\na: {}", "b".repeat(MAX_HEAD));
        let read = RequestHead::read(open.as_bytes(), &mut room);
        assert_eq!(read.err(), Some(BadHead::TooLarge));
    }

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let answer = |text: &str, to_head| {
            let text = text.replace('\n', "\r\n") + "\r\n";
            let mut room = room();
            let head =
                AnswerHead::read(text.as_bytes(), to_head, &mut room)?.expect("a whole head");
            Ok((head.body, head.keeps_alive))
        };
        let none = Ok::<_, BadHead>((Body::NONE, true));
        assert_eq!(answer("HTTP/1.1 200 OK\nContent-Length: 5\n", true), none);
        assert_eq!(answer("HTTP/1.1 204 \n", false), none);
        assert_eq!(answer("HTTP/1.1 304 Not Modified\nContent-Length: 5\n", false), none);
        let sized = answer("HTTP/1.1 200 OK\nContent-Length: 5\nConnection: Close\n", false);
        assert_eq!(sized, Ok((Body::Sized(5), false)));
        assert_eq!(answer("HTTP/1.1 200 OK\n", false), Ok((Body::UntilEnd, false)));
        let both = "HTTP/1.1 200\nContent-Length: 5\nTransfer-Encoding: chunked\n";
        assert_eq!(answer(both, false), Ok((Body::chunked(), true)));
        let old = "HTTP/1.0 200 OK\nContent-Length: 1\n";
        assert_eq!(answer(old, false), Ok((Body::Sized(1), false)));
        for bad in
            ["Content-Length: 1\nContent-Length: 2\n", "Transfer-Encoding: gzip\n", "a: b\n c\n"]
        {
            assert!(answer(&format!("HTTP/1.1 200 OK\n{bad}"), false).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(
            start in "(GET|POST|X) [ -~]{0,20} HTTP/1\\.[0-2]\r\n|HTTP/1\\.[01] [0-9]{0,4} ?[a-z]{0,4}\r\n|",
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [start.as_bytes(), &rest, b"\r\n\r\n"].concat();
            let _ = RequestHead::read(&bytes, &mut room()).map(|head| head.map(|head| head.path().len()));
            let _ = AnswerHead::read(&bytes, false, &mut room()).is_ok();
            let _ = target_of(&bytes);
        }
    }

    #[test]
    fn looking_again_waits_for_an_empty_line() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let looks = (0..text.len()).filter(|seen| may_be_whole(&text[..seen + 1], *seen)).count();
        assert_eq!(looks, 2, "at the first byte and at the last");
    }
}
