//! The fixed parts of the file: marks, directory, trailer.
//!
//! Trailer, little-endian u32 but for the mark: version, blocks, pages, offset of the directory,
//! CRC32C of the directory, CRC32C of the twenty bytes before, then eight bytes of mark.

use crate::error::IndexError;

pub(crate) const MARK: &[u8; 8] = b"ANDONGRM";
pub(crate) const TRAILER_SIZE: usize = 32;
pub(crate) const PAGE_RECORD_SIZE: usize = 16;
/// Also the version of the gram rules: see the crate's documentation.
const VERSION: u32 = 1;
/// Upper limit of block numbers; bounds what a search may allocate (128 KiB a set).
pub const MAX_BLOCKS: u32 = 1 << 20;
/// A page closes at 2 KiB; one list of [`MAX_BLOCKS`] may still follow. Bounds a read.
pub(crate) const MAX_PAGE_SIZE: u32 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRecord {
    pub(crate) first_key: u32,
    pub(crate) offset: u32,
    pub(crate) entries: u32,
    pub(crate) checksum: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) blocks: u32,
    pub(crate) pages: u32,
    pub(crate) directory: u32,
    pub(crate) directory_checksum: u32,
}

impl Trailer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TRAILER_SIZE);
        for field in [VERSION, self.blocks, self.pages, self.directory, self.directory_checksum] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.extend_from_slice(MARK);
        bytes
    }

    /// `file_size` is that of the whole file, which the trailer must account for to the byte.
    pub(crate) fn decode(bytes: &[u8; TRAILER_SIZE], file_size: u64) -> Result<Self, IndexError> {
        let [version, blocks, pages, directory, directory_checksum, checksum] = fields(bytes);
        if &bytes[24..] != MARK || crc32c::crc32c(&bytes[..20]) != checksum {
            return Err(IndexError::NotAnIndex);
        }
        if version != VERSION {
            return Err(IndexError::Version { found: version });
        }
        let size =
            u64::from(directory) + u64::from(pages) * PAGE_RECORD_SIZE as u64 + TRAILER_SIZE as u64;
        if size != file_size || blocks > MAX_BLOCKS || (directory as usize) < MARK.len() {
            return Err(IndexError::NotAnIndex);
        }
        Ok(Self { blocks, pages, directory, directory_checksum })
    }
}

impl PageRecord {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        for field in [self.first_key, self.offset, self.entries, self.checksum] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
    }
}

/// The records of the directory, with their order checked so that a search may rely on it.
pub(crate) fn decode_directory(
    bytes: &[u8],
    trailer: &Trailer,
) -> Result<Vec<PageRecord>, IndexError> {
    let damaged = |what| IndexError::Damaged { what, offset: u64::from(trailer.directory) };
    if crc32c::crc32c(bytes) != trailer.directory_checksum {
        return Err(damaged("directory checksum"));
    }
    let mut records: Vec<PageRecord> = Vec::with_capacity(bytes.len() / PAGE_RECORD_SIZE);
    for chunk in bytes.chunks_exact(PAGE_RECORD_SIZE) {
        let [first_key, offset, entries, checksum] = fields(chunk);
        records.push(PageRecord { first_key, offset, entries, checksum });
    }
    let ordered = records
        .windows(2)
        .all(|pair| pair[0].first_key < pair[1].first_key && pair[0].offset < pair[1].offset);
    let starts = records.first().is_none_or(|page| page.offset as usize == MARK.len());
    let ends = records.last().is_none_or(|page| page.offset < trailer.directory);
    if ordered && starts && ends { Ok(records) } else { Err(damaged("directory order")) }
}

/// The first `N` numbers of `bytes`; zeros where it is too short, which no checksum accepts.
fn fields<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut fields = [0; N];
    for (field, chunk) in fields.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *field = u32::from_le_bytes(*chunk);
    }
    fields
}
