//! Heads as they go on: what belongs to one connection only stays behind (RFC 9110, section 7.6.1),
//! everything else keeps its name, its case and its place.

use std::io::Write;

use andon_model::TraceId;

use super::{
    framing::Body,
    head::{AnswerHead, Headers, RequestHead},
};

/// Names that are never passed on, beside `Connection` and what it names.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "upgrade",
    // Each Andon on the way has a number of its own for the call.
    crate::runtime::progress::CALL,
];
/// Naming these in `Connection` would change what the message is.
const NEVER_NAMED: [&str; 4] = ["content-length", "transfer-encoding", "host", "content-type"];
/// Where a client's key stands.
const KEYS: [&str; 2] = ["authorization", "x-api-key"];

/// Writes a client's head as that of a call to the runtime. The value of `Host` is left out: the
/// place where it belongs is returned.
pub(super) fn forward(head: &RequestHead<'_>, strip_key: bool, out: &mut Vec<u8>) -> usize {
    out.reserve(head.len + 64);
    put(out, &[head.method, " ", if head.target.starts_with('/') { "" } else { "/" }, head.target]);
    put(out, &[" HTTP/1.1\r\n"]);
    let (mut host_at, mut has_length) = (None, false);
    for (name, value) in head.headers.iter() {
        if name.eq_ignore_ascii_case("host") {
            put(out, &[name, ": "]);
            host_at = Some(out.len());
            out.extend_from_slice(b"\r\n");
            continue;
        }
        let is_length = name.eq_ignore_ascii_case("content-length");
        let is_again = is_length && std::mem::replace(&mut has_length, true);
        // Andon asks for the body itself.
        let is_own = name.eq_ignore_ascii_case("expect") || strip_key && is_one_of(name, &KEYS);
        if !(is_again || is_own || is_hop_by_hop(head.headers, name)) {
            header(out, name, value);
        }
    }
    let host_at = host_at.unwrap_or_else(|| {
        out.extend_from_slice(b"Host: ");
        out.extend_from_slice(b"\r\n");
        out.len() - 2
    });
    out.extend_from_slice(b"\r\n");
    host_at
}

/// How an answer goes to its client.
#[derive(Clone, Copy)]
pub(in crate::capture) struct Way {
    pub(in crate::capture) trace_id: Option<TraceId>,
    /// The client speaks HTTP/1.0: no chunks, and what stays open must be said.
    pub(in crate::capture) is_http10: bool,
    pub(in crate::capture) stays: bool,
}

/// Writes the runtime's head as that of the answer to the client.
pub(super) fn backward(head: &AnswerHead<'_>, way: Way, out: &mut Vec<u8>) {
    out.reserve(head.len + 96);
    status_line(out, head.status, head.reason);
    let is_chunked = matches!(head.body, Body::Chunked(_));
    for (name, value) in head.headers.iter() {
        let is_framing = match name.len() {
            14 if is_chunked => name.eq_ignore_ascii_case("content-length"),
            17 if way.is_http10 => name.eq_ignore_ascii_case("transfer-encoding"),
            10 => name.eq_ignore_ascii_case(crate::headers::TRACE_ID.as_str()),
            _ => false,
        };
        if !is_framing && !is_hop_by_hop(head.headers, name) {
            header(out, name, value);
        }
    }
    // Word of an answer to come is no answer yet.
    if head.status >= 200 {
        finish(out, way);
    }
    out.extend_from_slice(b"\r\n");
}

pub(in crate::capture) fn status_line(out: &mut Vec<u8>, status: u16, reason: &str) {
    let digit = |place: u16| b'0' + (status / place % 10) as u8;
    put(out, &["HTTP/1.1 "]);
    out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
    put(out, &[reason, "\r\n"]);
}

/// What Andon says of the answer: its trace, and whether the connection stays.
pub(in crate::capture) fn finish(out: &mut Vec<u8>, way: Way) {
    if let Some(trace_id) = way.trace_id {
        // Writing to a vector does not fail.
        let _ = write!(out, "{}: {trace_id}\r\n", crate::headers::TRACE_ID);
    }
    match (way.stays, way.is_http10) {
        (false, _) => put(out, &["Connection: close\r\n"]),
        (true, true) => put(out, &["Connection: keep-alive\r\n"]),
        (true, false) => {}
    }
}

fn is_hop_by_hop(headers: Headers<'_>, name: &str) -> bool {
    is_one_of(name, &HOP_BY_HOP)
        || headers.connection().any(|named| named.eq_ignore_ascii_case(name.as_bytes()))
            && !is_one_of(name, &NEVER_NAMED)
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

fn header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    put(out, &[name, ": "]);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn put(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{super::head::room, *};

    fn forwarded(text: &str, strip_key: bool) -> String {
        let text = text.replace('\n', "\r\n");
        let (mut room, mut out) = (room(), Vec::new());
        let head = RequestHead::read(text.as_bytes(), &mut room).unwrap().unwrap();
        let at = forward(&head, strip_key, &mut out);
        out.splice(at..at, *b"runtime:1");
        String::from_utf8(out).unwrap().replace("\r\n", "\n")
    }

    fn answered(text: &str, is_http10: bool, stays: bool) -> String {
        let text = text.replace('\n', "\r\n");
        let (mut room, mut out) = (room(), Vec::new());
        let trace_id = TraceId::from_bytes([0xab; 16]);
        let head = AnswerHead::read(text.as_bytes(), false, &mut room).unwrap().unwrap();
        backward(&head, Way { trace_id: Some(trace_id), is_http10, stays }, &mut out);
        String::from_utf8(out).unwrap().replace("\r\n", "\n").replace(&"ab".repeat(16), "t")
    }

    #[test]
    fn what_belongs_to_the_connection_stays_and_the_rest_goes_on() {
        let head = "POST /a?b HTTP/1.1\nX-First: 1\nHOST: here\nConnection: close, X-Private, \
             content-length\nx-private: 1\nKeep-Alive: timeout=5\nTE: trailers\nUpgrade: h2c\n\
             Proxy-Authorization: p\nExpect: 100-continue\nContent-LENGTH: 3\n\
             content-length: 3\ntraceparent: t\nX-Stainless-Retry-Count:   1  \n\n";
        let expected = "POST /a?b HTTP/1.1\nX-First: 1\nHOST: runtime:1\nContent-LENGTH: 3\n\
             traceparent: t\nX-Stainless-Retry-Count: 1\n\n";
        assert_eq!(forwarded(head, false), expected);
    }

    #[test]
    fn a_chunked_body_is_said_to_be_one_whatever_the_connection_names() {
        let head = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\
             Connection: transfer-encoding\n\n";
        let expected = "POST / HTTP/1.1\nHost: runtime:1\nTransfer-Encoding: chunked\n\n";
        assert_eq!(forwarded(head, false), expected);
    }

    #[test]
    fn the_key_that_opened_the_door_goes_no_further() {
        let head = "GET / HTTP/1.1\nHost: a\nAuthorization: Bearer k\nX-API-Key: k\nb: c\n\n";
        assert_eq!(forwarded(head, true), "GET / HTTP/1.1\nHost: runtime:1\nb: c\n\n");
        assert!(forwarded(head, false).contains("Authorization: Bearer k\nX-API-Key: k\n"));
    }

    #[test]
    fn an_address_becomes_a_path_and_a_missing_host_is_said() {
        let head = "GET http://a?b HTTP/1.0\nc: d\n\n";
        assert_eq!(forwarded(head, false), "GET /?b HTTP/1.1\nc: d\nHost: runtime:1\n\n");
    }

    #[test]
    fn an_answer_says_its_trace_and_whether_the_connection_stays() {
        let head = "HTTP/1.1 200 Fine\nServer: s\nConnection: close\nX-Trace-Id: theirs\n\
             Content-Length: 3\nTransfer-Encoding: chunked\n\n";
        let chunked = "Transfer-Encoding: chunked\nx-trace-id: t\n\n";
        let start = "HTTP/1.1 200 Fine\nServer: s\n";
        assert_eq!(answered(head, false, true), format!("{start}{chunked}"));
        let old = "x-trace-id: t\nConnection: close\n\n";
        assert_eq!(answered(head, true, false), format!("{start}{old}"));
        let sized = "HTTP/1.0 404 No\nContent-Length: 3\n\n";
        let kept = "HTTP/1.1 404 No\nContent-Length: 3\nx-trace-id: t\nConnection: keep-alive\n\n";
        assert_eq!(answered(sized, true, true), kept);
        let early = "HTTP/1.1 103 Early Hints\nLink: a\n\n";
        assert_eq!(answered(early, false, true), early);
    }
}
