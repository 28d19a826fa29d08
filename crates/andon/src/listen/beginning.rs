//! The first bytes of a connection, before it is known which HTTP it speaks. hyper waits for them
//! without end, and a client that sends none, or one, would hold a place for ever.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What a connection of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that begins with what was read of it already.
pub(super) struct Begun<S> {
    stream: S,
    read: [u8; PREFACE.len()],
    /// Of `read`: up to where it is filled, and handed on.
    filled: usize,
    handed: usize,
}

/// Reads until the first bytes tell HTTP/2 from HTTP/1. `None`: the client went without a word.
pub(super) async fn begin<S>(mut stream: S) -> io::Result<Option<Begun<S>>>
where
    S: AsyncRead + Unpin,
{
    let mut read = [0; PREFACE.len()];
    let mut filled = 0;
    while filled < PREFACE.len() && PREFACE.starts_with(&read[..filled]) {
        match stream.read(&mut read[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => break,
            more => filled += more,
        }
    }
    Ok(Some(Begun { stream, read, filled, handed: 0 }))
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.handed == self.filled {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let end = self.filled.min(self.handed + buffer.remaining());
        buffer.put_slice(&self.read[self.handed..end]);
        self.handed = end;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn begun(pieces: &[&[u8]]) -> Option<Vec<u8>> {
        let (mut client, server) = tokio::io::duplex(64);
        let write = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(client);
        };
        let read = async {
            let mut begun = begin(server).await.unwrap()?;
            let mut all = Vec::new();
            begun.read_to_end(&mut all).await.unwrap();
            Some(all)
        };
        tokio::join!(write, read).1
    }

    #[tokio::test]
    async fn nothing_of_what_was_sent_is_lost() {
        let get = b"GET / HTTP/1.1\r\nhost: a-host-with-a-long-name\r\n\r\n";
        assert_eq!(begun(&[get]).await.unwrap(), get);
        assert_eq!(begun(&[b"P", b"OST", b" /"]).await.unwrap(), b"POST /");
        let two: Vec<&[u8]> = PREFACE.chunks(5).chain([&b"more"[..]]).collect();
        assert_eq!(begun(&two).await.unwrap(), [&PREFACE[..], b"more"].concat());
        assert_eq!(begun(&[b"PRI"]).await.unwrap(), b"PRI");
        assert!(begun(&[]).await.is_none());
    }
}
