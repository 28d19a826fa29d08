//! As much HTTP/1.1 as a measuring client needs: one kept connection, blocking, a single write for
//! a request. An asynchronous client would add wake-ups of its own to what it measures.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// No answer takes longer; a hang becomes an error.
const PATIENCE: Duration = Duration::from_secs(180);
/// Largest body that is kept.
const MAX_BODY: usize = 64 << 20;
const MAX_HEAD_LINES: usize = 200;

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    authority: String,
}

/// A request, ready to be written as often as needed.
#[derive(Clone)]
pub(crate) struct Request(Vec<u8>);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// When each piece of the body came, and where the body ended then.
    pub(crate) arrivals: Vec<(Instant, usize)>,
}

impl Answer {
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// When the byte at `offset` of the body had come.
    pub(crate) fn arrival_of(&self, offset: usize) -> Option<Instant> {
        self.arrivals.iter().find(|(_, end)| offset < *end).map(|(when, _)| *when)
    }
}

impl Request {
    pub(crate) fn get(authority: &str, path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n").into_bytes())
    }

    pub(crate) fn post(authority: &str, path: &str, accept: &str, body: &str) -> Self {
        Self(
            format!(
                "POST {path} HTTP/1.1\r\nhost: {authority}\r\naccept: {accept}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        )
    }
}

impl Connection {
    pub(crate) fn open(authority: &str) -> Result<Self> {
        let stream = TcpStream::connect(authority)
            .with_context(|| format!("cannot connect to {authority}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), authority: authority.to_owned() })
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn send(&mut self, request: &Request) -> Result<Answer> {
        self.write(request)?;
        self.read()
    }

    pub(crate) fn write(&mut self, request: &Request) -> Result<()> {
        self.write_bytes(&request.0)
    }

    /// A whole request, as bytes.
    pub(crate) fn write_bytes(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(request)?)
    }

    /// Waits for the first byte of an answer, and leaves it there.
    pub(crate) fn first_byte(&mut self) -> Result<u8> {
        self.stream.fill_buf()?.first().copied().context("the connection was closed")
    }

    pub(crate) fn read(&mut self) -> Result<Answer> {
        self.read_answer().with_context(|| format!("reading an answer of {}", self.authority))
    }

    fn read_answer(&mut self) -> Result<Answer> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.context("no status line")?;
        let (mut length, mut chunked) = (None, false);
        for _ in 0..MAX_HEAD_LINES {
            let line = self.line()?;
            if line.is_empty() {
                let mut answer = Answer { status, body: Vec::new(), arrivals: Vec::new() };
                match length {
                    Some(length) => self.piece(length, &mut answer)?,
                    None if chunked => self.chunks(&mut answer)?,
                    None => bail!("neither a length nor chunks"),
                }
                return Ok(answer);
            }
            let (name, value) = line.split_once(':').context("a header without a colon")?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = Some(value.trim().parse()?),
                "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        bail!("more than {MAX_HEAD_LINES} headers")
    }

    fn chunks(&mut self, answer: &mut Answer) -> Result<()> {
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16).context("a chunk's size")?;
            if size > 0 {
                self.piece(size, answer)?;
            }
            ensure!(self.line()?.is_empty(), "a chunk without its end");
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn piece(&mut self, size: usize, answer: &mut Answer) -> Result<()> {
        let begin = answer.body.len();
        ensure!(begin + size <= MAX_BODY, "a body of more than {MAX_BODY} bytes");
        answer.body.resize(begin + size, 0);
        self.stream.read_exact(&mut answer.body[begin..])?;
        answer.arrivals.push((Instant::now(), answer.body.len()));
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the connection was closed");
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
