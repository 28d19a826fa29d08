//! Bytes that were read from a connection and are still needed. Room is taken when there is something
//! to read and goes back when all of it was passed on, so that a stream that waits holds none.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};

/// What one direction of a call holds at most.
const ROOM: usize = 32 << 10;
/// Rooms that are kept for the next one who needs one.
const MAX_SPARE: usize = 32;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
pub(super) struct Buffer {
    room: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[self.start..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// No more can be read before something is consumed.
    pub(super) fn is_full(&self) -> bool {
        !self.room.is_empty() && self.end - self.start == self.room.len()
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        if self.is_empty() {
            self.give_back();
        }
    }

    /// Makes a full buffer larger; false if it has `most` bytes already.
    pub(super) fn grow(&mut self, most: usize) -> bool {
        let larger = (self.room.len() * 2).clamp(ROOM, most);
        let grows = larger > self.room.len();
        if grows {
            self.room.resize(larger, 0);
        }
        grows
    }

    /// Reads once, if there is something to read: no system call is made to find out. The buffer
    /// must not be full. `0`: the other side has ended.
    pub(super) fn poll_fill(
        &mut self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(stream.poll_read_ready(context))?;
        self.make_room();
        let mut free = ReadBuf::new(&mut self.room[self.end..]);
        // Not try_read: this one knows that a short read leaves nothing to ask for.
        let polled = Pin::new(stream).poll_read(context, &mut free);
        let read = free.filled().len();
        self.end += read;
        if self.is_empty() {
            self.give_back();
        }
        polled.map_ok(|()| read)
    }

    fn make_room(&mut self) {
        if self.room.is_empty() {
            let spare = SPARE.with_borrow_mut(Vec::pop);
            self.room = spare.unwrap_or_else(|| vec![0; ROOM]);
        } else if self.end == self.room.len() {
            self.room.copy_within(self.start.., 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    fn give_back(&mut self) {
        let room = std::mem::take(&mut self.room);
        (self.start, self.end) = (0, 0);
        if room.len() == ROOM {
            // A thread that ends has no use for it.
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < MAX_SPARE {
                    spare.push(room);
                }
            });
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn room_is_held_only_while_there_are_bytes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let mut buffer = Buffer::default();
        let nothing = std::future::poll_fn(|context| {
            Poll::Ready(buffer.poll_fill(&mut far, context).is_pending())
        });
        assert!(nothing.await && buffer.room.is_empty());
        near.write_all(b"hello").await.unwrap();
        let read = std::future::poll_fn(|context| buffer.poll_fill(&mut far, context)).await;
        assert_eq!((read.unwrap(), buffer.bytes()), (5, &b"hello"[..]));
        buffer.consume(2);
        assert_eq!(buffer.bytes(), b"llo");
        buffer.consume(3);
        assert!(buffer.room.is_empty());
        drop(near);
        let read = std::future::poll_fn(|context| buffer.poll_fill(&mut far, context)).await;
        assert!(read.unwrap() == 0 && buffer.room.is_empty());
    }

    #[test]
    fn a_buffer_grows_to_its_most_and_no_further() {
        let mut buffer = Buffer::default();
        assert!(buffer.grow(ROOM * 2) && buffer.grow(ROOM * 2) && !buffer.grow(ROOM * 2));
        buffer.give_back();
        assert!(SPARE.with_borrow(Vec::is_empty), "only rooms of the usual size are kept");
    }
}
