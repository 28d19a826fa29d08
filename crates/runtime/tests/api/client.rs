//! A small HTTP client that shows everything: framing, headers, and when each piece came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Nothing in a test takes longer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An answer whose head has come.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    reader: BufReader<TcpStream>,
    chunked: bool,
    length: Option<usize>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The next piece as the server sent it; none at the end.
    pub(crate) fn chunk(&mut self) -> Option<String> {
        if !self.chunked {
            let mut bytes = vec![0; self.length.take()?];
            self.reader.read_exact(&mut bytes).unwrap();
            return Some(String::from_utf8(bytes).unwrap());
        }
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk's size");
        let mut bytes = vec![0; size + 2];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes.truncate(size);
        (size > 0).then(|| String::from_utf8(bytes).expect("whole characters in each piece"))
    }

    pub(crate) fn text(mut self) -> String {
        let mut text = String::new();
        while let Some(chunk) = self.chunk() {
            text.push_str(&chunk);
        }
        text
    }

    pub(crate) fn json(self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The objects of a stream of lines.
    pub(crate) fn lines(self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn send(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Reply {
    send_with(address, method, path, "", body)
}

/// `extra` holds header lines, each with its line end.
pub(crate) fn send_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    extra: &str,
    body: &[u8],
) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n{extra}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses a large body early may have closed its side.
    let _ = stream.write_all(body);
    read_head(BufReader::new(stream), method)
}

/// Sends and does not wait for the answer; dropping the stream hangs up.
pub(crate) fn send_only(address: SocketAddr, path: &str, body: &Value) -> TcpStream {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, "GET", path, b"")
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &Value) -> Reply {
    send(address, "POST", path, body.to_string().as_bytes())
}

fn read_head(mut reader: BufReader<TcpStream>, method: &str) -> Reply {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut reply = Reply { status, headers, reader, chunked: false, length: None };
    reply.chunked = reply.header("transfer-encoding") == "chunked";
    if method != "HEAD" {
        reply.length = reply.header("content-length").parse().ok();
    }
    reply
}
