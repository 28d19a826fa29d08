//! A runtime that answers at once: what is left of a call's time then is Andon's.
//!
//! One thread for each connection, and a whole answer in one write. It counts what it is asked, so
//! that a hidden request beside each call shows.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::json;

pub(crate) const MODEL: &str = "tinyllama:latest";
/// Of a stream.
const PIECES: usize = 200;
const MAX_REQUEST: usize = 1 << 20;

pub(crate) struct FakeRuntime {
    pub(crate) authority: String,
    counts: Counts,
}

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

impl FakeRuntime {
    /// Listens on any free port until the process ends.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let authority = listener.local_addr()?.to_string();
        let counts = Counts::default();
        let shared = Arc::clone(&counts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count(&shared, "connections");
                let counts = Arc::clone(&shared);
                // The peer's going away ends it; there is nothing to tell.
                thread::spawn(move || serve(stream, &counts).is_ok());
            }
        });
        Ok(Self { authority, counts })
    }

    /// Requests by path, and `connections`, since the last look.
    pub(crate) fn take_counts(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn count(counts: &Counts, what: &str) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(what.to_owned()).or_default() += 1;
}

fn serve(stream: TcpStream, counts: &Counts) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let answers = Answers::new();
    let mut line = String::new();
    let mut body = Vec::new();
    loop {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "closed");
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            line.clear();
            ensure!(stream.read_line(&mut line)? > 0, "closed");
            let field = line.trim_end();
            if field.is_empty() {
                break;
            }
            if let Some((name, value)) = field.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        ensure!(length <= MAX_REQUEST, "too large");
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
        count(counts, &path);
        match path.as_str() {
            "/api/chat" => slowly(stream.get_mut())?,
            path => stream.get_mut().write_all(answers.to(path))?,
        }
    }
}

pub(crate) struct Answers {
    generate: Vec<u8>,
    tags: Vec<u8>,
    running: Vec<u8>,
    version: Vec<u8>,
    unknown: Vec<u8>,
    begun: Vec<u8>,
    chat: Vec<u8>,
}

impl Answers {
    pub(crate) fn new() -> Self {
        let details = json!({"format": "gguf", "family": "llama", "parameter_size": "1B",
            "quantization_level": "Q4_0"});
        let model = json!({"name": MODEL, "model": MODEL, "size": 637_700_138_u64,
            "digest": "2644915ede352ea7bdfaff0bfac0be74c719d5d5202acb63a6fb095b52f394a4",
            "expires_at": "2099-01-01T00:00:00Z", "details": details});
        let created = "2026-01-01T00:00:00.000000Z";
        let first = json!({"model": MODEL, "created_at": created, "response": "Hi", "done": false});
        let word = json!({"model": MODEL, "created_at": created, "done": false,
            "message": {"role": "assistant", "content": "Hi"}});
        let mut begun = chunked(&format!("{word}\n"));
        // Without its last, empty chunk.
        begun.truncate(begun.len() - b"0\r\n\r\n".len());
        let last = json!({"model": MODEL, "created_at": created, "response": "", "done": true,
            "done_reason": "stop", "total_duration": 40_000, "load_duration": 10_000,
            "prompt_eval_count": 26, "prompt_eval_duration": 10_000, "eval_count": 1,
            "eval_duration": 10_000});
        let chat = json!({"id": "c-1", "object": "chat.completion", "created": 1_767_225_600,
            "model": "stub", "usage": {"prompt_tokens": 14, "completion_tokens": 1,
            "total_tokens": 15}, "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Tokyo"}}]});
        let models = json!({"models": [model]}).to_string();
        Self {
            generate: chunked(&format!("{first}\n{last}\n")),
            tags: whole("200 OK", &models),
            running: whole("200 OK", &models),
            version: whole("200 OK", &json!({"version": "0.33.3"}).to_string()),
            begun,
            chat: whole("200 OK", &chat.to_string()),
            unknown: whole("404 Not Found", &json!({"error": "not found"}).to_string()),
        }
    }

    /// The head and the first piece of a stream.
    pub(crate) fn begun(&self) -> &[u8] {
        &self.begun
    }

    pub(crate) fn to(&self, path: &str) -> &[u8] {
        match path {
            "/api/generate" => &self.generate,
            "/v1/chat/completions" => &self.chat,
            "/api/tags" => &self.tags,
            "/api/ps" => &self.running,
            "/api/version" => &self.version,
            _ => &self.unknown,
        }
    }
}

/// A stream whose pieces come one by one, each with the time it was written at.
fn slowly(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\
          transfer-encoding: chunked\r\n\r\n",
    )?;
    for piece in 0..PIECES {
        thread::sleep(Duration::from_millis(2));
        let last = piece + 1 == PIECES;
        let line = json!({"model": MODEL, "message": {"role": "assistant", "content": "Hi"},
            "done": last, "at_ns": clock_ns(Instant::now())});
        let line = format!("{line}\n");
        stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())?;
    }
    Ok(stream.write_all(b"0\r\n\r\n")?)
}

/// Nanoseconds since this program first asked.
pub(crate) fn clock_ns(when: Instant) -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let began = *BEGAN.get_or_init(Instant::now);
    u64::try_from(when.saturating_duration_since(began).as_nanos()).unwrap_or(u64::MAX)
}

fn whole(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn chunked(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    )
    .into_bytes()
}
