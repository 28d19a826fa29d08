//! Collecting grams block by block, and writing them gram by gram.
//!
//! The turn from one order to the other happens in [`IndexBuilder::finish`] a slice of keys at a
//! time: the grams of every block are kept sorted and delta-coded (1 to 2 bytes each), and each
//! slice takes from every block what belongs to it. So the peak is the coded grams plus one
//! slice, not all pairs of gram and block.

use std::io::{self, Write};

use crate::bits::BitWriter;
use crate::gram;
use crate::layout::{MARK, MAX_BLOCKS, PageRecord, Trailer};
use crate::list;

const PAGE_TARGET: usize = 2048;
/// Pairs of gram and block sorted at a time (8 bytes each).
const SLICE_PAIRS: u32 = 256 * 1024;
/// Keys are counted by their upper 16 bits, to cut slices of even size.
const COUNTED_BITS: u32 = 16;
/// Grams of an open block before repeated ones are removed.
const COMPACT_AT: usize = 128 * 1024;

/// Places of [`IndexBuilder::recent`], as a power of two.
const RECENT_BITS: u32 = 14;

/// Collects the grams of texts, block by block, for one file.
pub struct IndexBuilder {
    open_block: Option<u32>,
    open_keys: Vec<u32>,
    /// The last key of each hash: most grams were met in the block a moment ago, and need not be sorted
    /// to find that out. No key is 0.
    recent: Box<[u32]>,
    compact_at: usize,
    folded: Vec<char>,
    runs: Vec<Run>,
    run_bytes: usize,
    counts: Vec<u32>,
    blocks: u32,
}

/// The sorted grams of one block.
struct Run {
    block: u32,
    coded: Box<[u8]>,
    position: usize,
    left: u32,
    /// The next key, already taken from `coded`.
    next_key: u32,
}

impl Default for IndexBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl IndexBuilder {
    pub fn new() -> Self {
        Self {
            open_block: None,
            open_keys: Vec::new(),
            recent: vec![0; 1 << RECENT_BITS].into(),
            compact_at: COMPACT_AT,
            folded: Vec::new(),
            runs: Vec::new(),
            run_bytes: 0,
            counts: vec![0; 1 << COUNTED_BITS],
            blocks: 0,
        }
    }

    /// Adds one text of `block`. Texts of a block may be added in any order; block after block is
    /// cheapest. Numbers from [`MAX_BLOCKS`] on make [`IndexBuilder::finish`] fail.
    pub fn add(&mut self, block: u32, text: &str) {
        if self.open_block != Some(block) {
            self.close_block();
            self.open_block = Some(block);
        }
        gram::fold_into(text, &mut self.folded);
        let (recent, open_keys) = (&mut self.recent, &mut self.open_keys);
        gram::keys(&self.folded, |key| {
            let place = (key.wrapping_mul(0x9E37_79B1) >> (32 - RECENT_BITS)) as usize;
            if recent[place] != key {
                recent[place] = key;
                open_keys.push(key);
            }
        });
        if self.open_keys.len() >= self.compact_at {
            self.compact();
            self.compact_at = self.open_keys.len() + COMPACT_AT;
        }
    }

    /// Bytes held so far, to seal a file early when memory is short.
    pub fn memory(&self) -> usize {
        self.run_bytes
            + (self.open_keys.capacity() + self.folded.capacity() + self.counts.len()) * 4
            + self.recent.len() * 4
            + self.runs.capacity() * size_of::<Run>()
    }

    /// Writes the index. Flushing and syncing are the caller's.
    pub fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        self.close_block();
        if self.blocks > MAX_BLOCKS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "too many blocks for one index",
            ));
        }
        let mut pages = PageWriter::start(out, self.blocks)?;
        let mut pairs = Vec::new();
        for last_key in self.slices() {
            self.take_pairs(last_key, &mut pairs);
            for same_key in pairs.chunk_by(|a, b| a >> 32 == b >> 32) {
                pages.entry(same_key)?;
            }
        }
        pages.finish()
    }

    fn compact(&mut self) {
        self.open_keys.sort_unstable();
        self.open_keys.dedup();
    }

    fn close_block(&mut self) {
        let Some(block) = self.open_block.take() else { return };
        self.compact();
        self.recent.fill(0);
        self.compact_at = COMPACT_AT;
        self.blocks = self.blocks.max(block.saturating_add(1));
        let mut coded = Vec::with_capacity(self.open_keys.len() * 2);
        let mut before = 0;
        for &key in &self.open_keys {
            put_varint(&mut coded, key - before);
            before = key;
            self.counts[(key >> (32 - COUNTED_BITS)) as usize] += 1;
        }
        if let Some(&next_key) = self.open_keys.first() {
            let left = self.open_keys.len() as u32;
            let mut run = Run { block, coded: coded.into(), position: 0, left, next_key };
            take_varint(&run.coded, &mut run.position);
            self.run_bytes += run.coded.len();
            self.runs.push(run);
        }
        self.open_keys.clear();
    }

    /// The last key of each slice.
    fn slices(&self) -> Vec<u32> {
        let mut ends = Vec::new();
        let mut pairs = 0;
        for (upper, &count) in (0u32..).zip(&self.counts) {
            pairs += count;
            if pairs >= SLICE_PAIRS {
                ends.push((upper << (32 - COUNTED_BITS)) | (u32::MAX >> COUNTED_BITS));
                pairs = 0;
            }
        }
        ends.push(u32::MAX);
        ends.dedup();
        ends
    }

    /// All pairs up to `last_key` that were not taken before, sorted: key in the upper half.
    fn take_pairs(&mut self, last_key: u32, pairs: &mut Vec<u64>) {
        pairs.clear();
        for run in &mut self.runs {
            while run.left > 0 && run.next_key <= last_key {
                pairs.push((u64::from(run.next_key) << 32) | u64::from(run.block));
                run.left -= 1;
                if run.left > 0 {
                    run.next_key += take_varint(&run.coded, &mut run.position);
                }
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
    }
}

struct PageWriter<'a, W: Write> {
    out: &'a mut W,
    blocks: u32,
    written: u64,
    page: BitWriter,
    first_key: u32,
    last_key: u32,
    entries: u32,
    directory: Vec<u8>,
    pages: u32,
    list: Vec<u32>,
}

impl<'a, W: Write> PageWriter<'a, W> {
    fn start(out: &'a mut W, blocks: u32) -> io::Result<Self> {
        out.write_all(MARK)?;
        Ok(Self {
            out,
            blocks,
            written: MARK.len() as u64,
            page: BitWriter::default(),
            first_key: 0,
            last_key: 0,
            entries: 0,
            directory: Vec::new(),
            pages: 0,
            list: Vec::new(),
        })
    }

    /// `pairs` have one key and ascending blocks.
    fn entry(&mut self, pairs: &[u64]) -> io::Result<()> {
        let Some(key) = pairs.first().map(|pair| (pair >> 32) as u32) else { return Ok(()) };
        if self.entries == 0 {
            self.first_key = key;
        } else {
            self.page.stepped(key - self.last_key);
        }
        self.last_key = key;
        self.entries += 1;
        self.list.clear();
        self.list.extend(pairs.iter().map(|pair| *pair as u32));
        list::write(&mut self.page, &self.list, self.blocks);
        if self.page.len() >= PAGE_TARGET { self.close_page() } else { Ok(()) }
    }

    fn close_page(&mut self) -> io::Result<()> {
        if self.entries == 0 {
            return Ok(());
        }
        let bytes = self.page.take();
        let record = PageRecord {
            first_key: self.first_key,
            offset: self.position()?,
            entries: self.entries,
            checksum: crc32c::crc32c(&bytes),
        };
        record.encode(&mut self.directory);
        self.out.write_all(&bytes)?;
        self.written += bytes.len() as u64;
        self.pages += 1;
        self.entries = 0;
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.close_page()?;
        let trailer = Trailer {
            blocks: self.blocks,
            pages: self.pages,
            directory: self.position()?,
            directory_checksum: crc32c::crc32c(&self.directory),
        };
        self.out.write_all(&self.directory)?;
        self.out.write_all(&trailer.encode())
    }

    fn position(&self) -> io::Result<u32> {
        u32::try_from(self.written)
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "index above 4 GiB"))
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &[u8], position: &mut usize) -> u32 {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let byte = bytes.get(*position).copied().unwrap_or(0);
        *position += 1;
        value |= u32::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}
