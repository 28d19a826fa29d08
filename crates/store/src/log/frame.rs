//! The bytes of the log: a header a file, then frames.
//!
//! ```text
//! header  magic "ANDONWAL" · version u32 · sequence u64 · created_ns u64 · CRC32C of these u32
//! frame   length u32 · CRC32C u32 · kind u8 · payload          (length and CRC cover kind + payload)
//! ```
//! All numbers are little endian. Payloads of more than [`COMPRESS_FROM`] bytes are LZ4 blocks with
//! their unpacked length before them, marked by the top bit of the kind: the field names that make
//! old records readable to later versions repeat in every record, and pack away to almost nothing.

use std::borrow::Cow;

use super::FORMAT_VERSION;

const MAGIC: [u8; 8] = *b"ANDONWAL";
/// Bytes of a file's header.
pub(crate) const HEADER_LEN: u64 = 32;
/// Bytes of a frame before its kind.
pub(crate) const PREFIX_LEN: usize = 8;
const COMPRESSED: u8 = 0x80;
const COMPRESS_FROM: usize = 256;

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) sequence: u64,
    pub(crate) created_ns: u64,
}

impl Header {
    pub(crate) fn new(sequence: u64, created_ns: u64) -> Self {
        Self { version: FORMAT_VERSION, sequence, created_ns }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_LEN as usize] {
        let mut bytes = [0; HEADER_LEN as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.created_ns.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are no header or were damaged.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN as usize]) -> Option<Self> {
        let whole = bytes[..8] == MAGIC && u32_at(bytes, 28)? == crc32c::crc32c(&bytes[..28]);
        whole.then_some(())?;
        Some(Self {
            version: u32_at(bytes, 8)?,
            sequence: u64::from_le_bytes(bytes[12..20].try_into().ok()?),
            created_ns: u64::from_le_bytes(bytes[20..28].try_into().ok()?),
        })
    }
}

/// A whole frame, ready to be written.
pub(crate) fn encode(kind: u8, payload: &[u8]) -> Vec<u8> {
    let packed =
        (payload.len() >= COMPRESS_FROM).then(|| lz4_flex::block::compress_prepend_size(payload));
    let body = packed.as_deref().unwrap_or(payload);
    let mut frame = Vec::with_capacity(PREFIX_LEN + 1 + body.len());
    frame.resize(PREFIX_LEN, 0);
    frame.push(if packed.is_some() { kind | COMPRESSED } else { kind });
    frame.extend_from_slice(body);
    let length = (frame.len() - PREFIX_LEN) as u32;
    let crc = crc32c::crc32c(&frame[PREFIX_LEN..]);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    frame
}

/// Length and CRC from a frame's first bytes; `None` where no frame of at most `limit` can begin.
pub(crate) fn prefix(bytes: &[u8], limit: usize) -> Option<(usize, u32)> {
    let length = u32_at(bytes, 0)? as usize;
    let crc = u32_at(bytes, 4)?;
    (length >= 1 && length <= limit).then_some((length, crc))
}

/// Kind and payload of a frame's body whose CRC was right; `None` when it does not unpack.
pub(crate) fn open(body: &[u8], limit: usize) -> Option<(u8, Cow<'_, [u8]>)> {
    let (kind, packed) = body.split_first()?;
    if kind & COMPRESSED == 0 {
        return Some((*kind, Cow::Borrowed(packed)));
    }
    let unpacked_length = u32_at(packed, 0)? as usize;
    if unpacked_length > limit {
        return None;
    }
    let payload = lz4_flex::block::decompress(&packed[4..], unpacked_length).ok()?;
    Some((kind & !COMPRESSED, Cow::Owned(payload)))
}

/// The largest body that a record of `record_bytes` can become: LZ4 may grow what does not pack.
pub(crate) fn body_limit(record_bytes: usize) -> usize {
    record_bytes + record_bytes / 128 + 64
}

fn u32_at(bytes: &[u8], start: usize) -> Option<u32> {
    let field = bytes.get(start..start + 4)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back_packed_or_not() {
        for payload in [vec![], b"short".to_vec(), b"again and again ".repeat(100)] {
            let frame = encode(3, &payload);
            let (length, crc) = prefix(&frame, 1 << 20).unwrap();
            assert_eq!(frame.len(), PREFIX_LEN + length);
            assert_eq!(crc, crc32c::crc32c(&frame[PREFIX_LEN..]));
            let (kind, opened) = open(&frame[PREFIX_LEN..], 1 << 20).unwrap();
            assert_eq!((kind, opened.as_ref()), (3, payload.as_slice()));
        }
        assert!(encode(1, &b"again and again ".repeat(100)).len() < 200, "repetition packs");
    }

    #[test]
    fn an_unpacked_length_over_the_limit_is_refused_before_memory_is_taken() {
        let mut body = vec![1 | COMPRESSED];
        body.extend_from_slice(&u32::MAX.to_le_bytes());
        body.extend_from_slice(b"xxxx");
        assert_eq!(open(&body, 1 << 20), None);
    }

    #[test]
    fn a_header_with_any_bit_flipped_is_no_header() {
        let header = Header::new(7, 9);
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        for bit in 0..HEADER_LEN as usize * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped), None, "bit {bit}");
        }
    }
}
