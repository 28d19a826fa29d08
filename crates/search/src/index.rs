//! Asking an index file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::bits::{BitReader, PADDING};
use crate::error::IndexError;
use crate::gram::{self, KeyRange};
use crate::layout::{
    self, MARK, MAX_PAGE_SIZE, PAGE_RECORD_SIZE, PageRecord, TRAILER_SIZE, Trailer,
};
use crate::list::{self, Blocks};

/// A pattern of a page of text has thousands of grams; these many tell blocks apart well enough.
const MAX_RANGES: usize = 32;

/// An open index file. Holds the directory, reads pages by `pread`; may be shared by threads.
pub struct Index {
    file: File,
    pages: Vec<PageRecord>,
    /// Where the last page ends.
    directory: u32,
    blocks: u32,
}

impl Index {
    /// Reads and checks trailer and directory. Pages are checked whenever they are read.
    pub fn open(file: File) -> Result<Self, IndexError> {
        let size = file.metadata()?.len();
        let trailer_at = size.checked_sub(TRAILER_SIZE as u64).ok_or(IndexError::NotAnIndex)?;
        let mut bytes = [0; TRAILER_SIZE];
        file.read_exact_at(&mut bytes, trailer_at)?;
        let trailer = Trailer::decode(&bytes, size)?;
        let mut mark = [0; MARK.len()];
        file.read_exact_at(&mut mark, 0)?;
        if &mark != MARK {
            return Err(IndexError::NotAnIndex);
        }
        // The trailer accounts for every byte of the file, so this is at most the file's size.
        let mut directory = vec![0; trailer.pages as usize * PAGE_RECORD_SIZE];
        file.read_exact_at(&mut directory, u64::from(trailer.directory))?;
        let pages = layout::decode_directory(&directory, &trailer)?;
        Ok(Self { file, pages, directory: trailer.directory, blocks: trailer.blocks })
    }

    /// Reads every page, to see whether all are what was written.
    pub fn check(&self) -> Result<(), IndexError> {
        let mut page = Vec::new();
        for (number, record) in self.pages.iter().enumerate() {
            self.read_page(number, record, &mut page)?;
        }
        Ok(())
    }

    /// One more than the highest block number.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Bytes held in memory.
    pub fn memory(&self) -> usize {
        self.pages.capacity() * size_of::<PageRecord>()
    }

    /// The blocks that may hold the pattern, ascending. `None`: any block may, because the
    /// pattern is empty or consists of gaps. Case does not matter; blocks that the pattern is not
    /// in may be named, blocks that it is in always are.
    pub fn candidates(&self, pattern: &str) -> Result<Option<Vec<u32>>, IndexError> {
        let mut folded = Vec::new();
        gram::fold_into(pattern, &mut folded);
        let mut ranges = gram::ranges(&folded);
        if ranges.is_empty() {
            return Ok(None);
        }
        thin_out(&mut ranges);
        // Single keys cost one page and say most.
        ranges.sort_by_key(|range| range.last - range.first);
        let mut candidates = Blocks::all(self.blocks);
        let mut found = Blocks::none(self.blocks);
        let mut page = Vec::new();
        for range in ranges {
            found.clear();
            self.collect(range, &mut found, &mut page)?;
            candidates.keep_common(&found);
            if candidates.is_empty() {
                break;
            }
        }
        Ok(Some(candidates.to_vec()))
    }

    /// Adds the blocks of every key in the range.
    fn collect(
        &self,
        range: KeyRange,
        found: &mut Blocks,
        page: &mut Vec<u8>,
    ) -> Result<(), IndexError> {
        let after = self.pages.partition_point(|page| page.first_key <= range.first);
        for number in after.saturating_sub(1)..self.pages.len() {
            let Some(record) = self.pages.get(number) else { break };
            if record.first_key > range.last || found.is_full() {
                break;
            }
            self.read_page(number, record, page)?;
            collect_from_page(page, record, range, self.blocks, found)?;
        }
        Ok(())
    }

    /// Reads a page and the padding that [`BitReader`] wants.
    fn read_page(
        &self,
        number: usize,
        record: &PageRecord,
        page: &mut Vec<u8>,
    ) -> Result<(), IndexError> {
        let damaged = |what| IndexError::Damaged { what, offset: u64::from(record.offset) };
        let end = self.pages.get(number + 1).map_or(self.directory, |next| next.offset);
        let size = end.saturating_sub(record.offset);
        if size > MAX_PAGE_SIZE {
            return Err(damaged("page size"));
        }
        let size = size as usize;
        page.clear();
        page.resize(size + PADDING, 0);
        match self.file.read_exact_at(&mut page[..size], u64::from(record.offset)) {
            // The file was cut after it was opened.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("page end"));
            }
            other => other?,
        }
        if crc32c::crc32c(&page[..size]) != record.checksum {
            return Err(damaged("page checksum"));
        }
        Ok(())
    }
}

fn collect_from_page(
    page: &[u8],
    record: &PageRecord,
    range: KeyRange,
    blocks: u32,
    found: &mut Blocks,
) -> Result<(), IndexError> {
    let damaged = || IndexError::Damaged { what: "page", offset: u64::from(record.offset) };
    let mut reader = BitReader::new(page);
    let mut key = record.first_key;
    for entry in 0..record.entries {
        if entry > 0 {
            let distance = reader.stepped().map_err(|_| damaged())?;
            key = key.checked_add(distance).ok_or_else(damaged)?;
        }
        if key > range.last {
            break;
        }
        let wanted = (key >= range.first).then_some(&mut *found);
        list::read(&mut reader, blocks, wanted).map_err(|_| damaged())?;
    }
    Ok(())
}

/// Keeps at most [`MAX_RANGES`], evenly spread.
fn thin_out(ranges: &mut Vec<KeyRange>) {
    let step = ranges.len().div_ceil(MAX_RANGES).max(1);
    let mut number = 0;
    ranges.retain(|_| {
        number += 1;
        (number - 1) % step == 0
    });
}
