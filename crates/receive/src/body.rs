//! Bodies of requests: read, unpacked, and bounded in size, in time and all together.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::intake::Reason;

/// What bodies may be, in bytes and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// One body, unpacked.
    pub max_body_bytes: usize,
    /// All bodies that are being read or kept, as they came and unpacked.
    pub max_held_bytes: usize,
    /// For a whole body to arrive.
    pub timeout: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        // 64 MiB: what the OTLP specification recommends as a receiver's limit.
        Self {
            max_body_bytes: 64 << 20,
            max_held_bytes: 128 << 20,
            timeout: Duration::from_secs(30),
        }
    }
}

/// So many times what is taken is read of a body that is too large.
const PATIENCE: usize = 4;

/// Bytes that are held at present, of as many as may be.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) limits: BodyLimits,
    held: Arc<AtomicUsize>,
}

/// Bytes of one request, which give their room back when they go.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    room: Share,
}

/// Room that somebody has.
pub(crate) struct Share {
    held: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Why a body could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("too many bodies are being read; try again in a moment")]
    Busy,
    #[error("the content encoding {0:?} is not known; use gzip, deflate, zstd or none")]
    Encoding(String),
    #[error("the body is no {encoding}: {reason}")]
    Packed { encoding: &'static str, reason: String },
    #[error("the body did not arrive within {} seconds", .0.as_secs())]
    TooSlow(Duration),
    #[error("the body broke off: {0}")]
    Broken(String),
}

impl BodyError {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::TooLarge(_) => Reason::TooLarge,
            Self::Busy => Reason::Busy,
            Self::Encoding(_) => Reason::ContentEncoding,
            Self::Packed { .. } => Reason::Unreadable,
            Self::TooSlow(_) | Self::Broken(_) => Reason::Unfinished,
        }
    }
}

impl Room {
    pub(crate) fn new(limits: BodyLimits) -> Self {
        Self { limits, held: Arc::default() }
    }

    /// Room that grows with what is put into it.
    pub(crate) fn share(&self) -> Share {
        Share { held: Arc::clone(&self.held), bytes: 0 }
    }

    fn take(&self, share: &mut Share, bytes: usize) -> Result<(), BodyError> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        share.bytes += bytes;
        if before + bytes <= self.limits.max_held_bytes { Ok(()) } else { Err(BodyError::Busy) }
    }

    /// Reads a body and unpacks it as its `content-encoding` says.
    pub(crate) async fn read<B>(&self, body: B, encoding: Option<&str>) -> Result<Held, BodyError>
    where
        B: Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
    {
        let packing = Packing::of(encoding)?;
        let timeout = self.limits.timeout;
        let read = tokio::time::timeout(timeout, self.gather(body)).await;
        let packed = read.map_err(|_| BodyError::TooSlow(timeout))??;
        match packing {
            None => Ok(packed),
            Some(packing) => self.unpack(packed, packing),
        }
    }

    async fn gather<B>(&self, mut body: B) -> Result<Held, BodyError>
    where
        B: Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
    {
        let most = self.limits.max_body_bytes;
        if body.size_hint().lower() > most as u64 {
            return Err(self.too_large(body, 0).await);
        }
        let mut room = self.share();
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            self.take(&mut room, data.len())?;
            if room.bytes > most {
                let read = room.bytes;
                drop((room, first, all));
                return Err(self.too_large(body, read).await);
            }
            // Most bodies come in one piece, which need not be copied.
            if first.is_empty() && all.is_empty() {
                first = data;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&std::mem::take(&mut first));
                }
                all.extend_from_slice(&data);
            }
        }
        let bytes = if all.is_empty() { first } else { all.freeze() };
        Ok(Held { bytes, room })
    }

    /// Reads on for a while: a client that is still writing when the connection closes never gets to read
    /// why.
    async fn too_large<B>(&self, mut body: B, mut read: usize) -> BodyError
    where
        B: Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
    {
        let most = self.limits.max_body_bytes;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > most.saturating_mul(PATIENCE) {
                break;
            }
        }
        BodyError::TooLarge(most)
    }

    fn unpack(&self, packed: Held, packing: Packing) -> Result<Held, BodyError> {
        let most = self.limits.max_body_bytes;
        let mut room = self.share();
        let mut reader = packing.reader(&packed.bytes)?;
        let mut unpacked = Vec::new();
        let mut piece = [0; 64 << 10];
        loop {
            let read = reader.read(&mut piece).map_err(|error| packing.broken(&error))?;
            if read == 0 {
                break;
            }
            // Before it grows: a few bytes can stand for gigabytes.
            self.take(&mut room, read)?;
            if room.bytes > most {
                return Err(BodyError::TooLarge(most));
            }
            unpacked.extend_from_slice(&piece[..read]);
        }
        Ok(Held { bytes: unpacked.into(), room })
    }
}

impl Held {
    pub(crate) fn into_parts(self) -> (Bytes, Share) {
        (self.bytes, self.room)
    }
}

/// How a body is packed.
#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Deflate,
    Zstd,
}

impl Packing {
    fn of(encoding: Option<&str>) -> Result<Option<Self>, BodyError> {
        let Some(encoding) = encoding else { return Ok(None) };
        let name = encoding.trim();
        if name.is_empty() || name.eq_ignore_ascii_case("identity") {
            Ok(None)
        } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            Ok(Some(Self::Gzip))
        } else if name.eq_ignore_ascii_case("deflate") {
            Ok(Some(Self::Deflate))
        } else if name.eq_ignore_ascii_case("zstd") {
            Ok(Some(Self::Zstd))
        } else {
            Err(BodyError::Encoding(name.chars().take(40).collect()))
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }

    fn broken(self, error: &std::io::Error) -> BodyError {
        BodyError::Packed { encoding: self.name(), reason: error.to_string() }
    }

    fn reader<'a>(self, packed: &'a [u8]) -> Result<Box<dyn Read + 'a>, BodyError> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            // The HTTP name `deflate` is the zlib format (RFC 9110, 8.4.1.2), and some send it bare.
            Self::Deflate if packed.first().is_some_and(|byte| byte & 15 == 8) => {
                Box::new(flate2::read::ZlibDecoder::new(packed))
            }
            Self::Deflate => Box::new(flate2::read::DeflateDecoder::new(packed)),
            Self::Zstd => {
                let mut reader = zstd::stream::read::Decoder::new(packed)
                    .map_err(|error| self.broken(&error))?;
                // A window is memory, too: 8 MiB is what the format asks every decoder to bear.
                reader.window_log_max(23).map_err(|error| self.broken(&error))?;
                Box::new(reader)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::Full;

    use super::*;

    fn room(most: usize) -> Room {
        Room::new(BodyLimits {
            max_body_bytes: most,
            max_held_bytes: 4 * most,
            ..BodyLimits::default()
        })
    }

    fn packed(encoding: &str, bytes: &[u8]) -> Vec<u8> {
        match encoding {
            "gzip" => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                writer.write_all(bytes).unwrap();
                writer.finish().unwrap()
            }
            "deflate" => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
                writer.write_all(bytes).unwrap();
                writer.finish().unwrap()
            }
            _ => zstd::stream::encode_all(bytes, 1).unwrap(),
        }
    }

    async fn read(room: &Room, bytes: Vec<u8>, encoding: Option<&str>) -> Result<Held, BodyError> {
        room.read(Full::new(Bytes::from(bytes)), encoding).await
    }

    #[tokio::test]
    async fn every_packing_reads_back_and_gives_its_room_back() {
        let room = room(1 << 20);
        let text = "なぜ空は青いの？".repeat(1_000).into_bytes();
        for encoding in ["gzip", "deflate", "zstd"] {
            let held = read(&room, packed(encoding, &text), Some(encoding)).await.unwrap();
            assert_eq!(held.bytes, text, "{encoding}");
            assert_eq!(room.held.load(Ordering::Relaxed), text.len());
            drop(held);
            assert_eq!(room.held.load(Ordering::Relaxed), 0);
        }
    }

    #[tokio::test]
    async fn bombs_garbage_and_strangers_are_refused() {
        let room = room(1 << 20);
        for encoding in ["gzip", "deflate", "zstd"] {
            let bomb = packed(encoding, &vec![0; 64 << 20]);
            assert!(bomb.len() < 1 << 20);
            let refused = read(&room, bomb, Some(encoding)).await.err();
            assert_eq!(refused, Some(BodyError::TooLarge(1 << 20)), "{encoding}");
            let refused = read(&room, b"no such thing".to_vec(), Some(encoding)).await.err();
            assert!(matches!(refused, Some(BodyError::Packed { .. })), "{encoding}");
        }
        let refused = read(&room, vec![1], Some("br")).await.err();
        assert_eq!(refused, Some(BodyError::Encoding("br".to_owned())));
        assert_eq!(room.held.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_is_held_together_is_bounded() {
        let room = room(1_000);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(read(&room, vec![1; 1_000], None).await.unwrap());
        }
        assert_eq!(read(&room, vec![1; 1_000], None).await.err(), Some(BodyError::Busy));
        held.clear();
        assert!(read(&room, vec![1; 1_000], None).await.is_ok());
    }
}
