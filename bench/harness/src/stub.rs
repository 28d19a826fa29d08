//! A runtime that answers at once on many connections, from one thread: at full load the stub must
//! not be what is measured.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
    thread,
};

use anyhow::{Context, Result};
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
};

use crate::fake::Answers;

const MAX_EVENTS: usize = 256;
/// What is asked here begins to be answered, and goes on for ever.
pub(crate) const HELD: &str = "/api/chat";
const LISTENER: u64 = u64::MAX;

pub(crate) struct Stub {
    pub(crate) authority: String,
}

impl Stub {
    /// Listens on any free port until the process ends.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let authority = listener.local_addr()?.to_string();
        listener.set_nonblocking(true)?;
        thread::Builder::new().name("stub".to_owned()).spawn(move || {
            if let Err(error) = serve(&listener) {
                eprintln!("the stub ended: {error:#}");
            }
        })?;
        Ok(Self { authority })
    }
}

struct Peer {
    stream: TcpStream,
    read: Vec<u8>,
}

fn serve(listener: &TcpListener) -> Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let answers = Answers::new();
    let mut peers: HashMap<u64, Peer> = HashMap::new();
    let mut events = Vec::with_capacity(MAX_EVENTS);
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            // A signal came to this process; nothing is lost.
            Err(Errno::INTR) => continue,
            waited => waited?,
        };
        for event in &events {
            let key = event.data.u64();
            if key == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let key = u64::try_from(stream.as_raw_fd())?;
                    epoll::add(&epoll, &stream, EventData::new_u64(key), EventFlags::IN)?;
                    peers.insert(key, Peer { stream, read: Vec::new() });
                }
            } else if let Some(peer) = peers.get_mut(&key)
                && answer(peer, &answers).is_err()
            {
                // Closing takes it out of the set.
                peers.remove(&key);
            }
        }
    }
}

/// Answers all whole requests that came. An error: the peer is gone.
fn answer(peer: &mut Peer, answers: &Answers) -> Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        match peer.stream.read(&mut buffer) {
            Ok(0) => anyhow::bail!("closed"),
            Ok(read) => peer.read.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    while let Some((path, length)) = whole_request(&peer.read)? {
        let answer = if path == HELD { answers.begun() } else { answers.to(&path) };
        peer.stream.write_all(answer)?;
        peer.read.drain(..length);
    }
    Ok(())
}

/// Path and length of the first request, if all of it is there. A body has a length.
fn whole_request(bytes: &[u8]) -> Result<Option<(String, usize)>> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..head])?;
    let path = text.split(' ').nth(1).context("no path")?.to_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let end = head + 4 + length.unwrap_or(0);
    Ok((bytes.len() >= end).then_some((path, end)))
}
