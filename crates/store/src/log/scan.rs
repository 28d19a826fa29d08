//! Reading a file of the log from one end to the other, damage included.
//!
//! A frame whose CRC is wrong is skipped when the next one can be found: first where the damaged
//! one says it ends, then byte by byte. The search is bounded, because a file may hold anything.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
};

use super::frame::{self, HEADER_LEN, PREFIX_LEN};
use crate::{Fault, FaultKind, StoreError};

/// How far behind a damaged frame the next one is looked for.
const RESYNC_WINDOW: u64 = 32 * 1024 * 1024;
/// Bytes whose CRC may be taken while looking for it; bounds the time that a hostile file costs.
const RESYNC_CRC_BYTES: usize = 512 * 1024 * 1024;
const READ_BUFFER: usize = 64 * 1024;
/// Kinds of records are small numbers: the cheapest sign that no frame begins here.
const HIGHEST_KIND: u8 = 0x0f;

/// What a scan came to.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) frames: u64,
    /// End of the last whole frame.
    pub(crate) good_end: u64,
    pub(crate) faults: Vec<Fault>,
}

pub(crate) struct Scan<'a> {
    path: &'a Path,
    record_bytes: usize,
    file: BufReader<File>,
    len: u64,
    offset: u64,
    body: Vec<u8>,
    found: Scanned,
}

impl<'a> Scan<'a> {
    /// Calls `visit` with kind and payload of each whole frame, in order. `visit` says
    /// whether it understood the frame.
    pub(crate) fn run(
        path: &'a Path,
        record_bytes: usize,
        visit: &mut dyn FnMut(u8, &[u8]) -> bool,
    ) -> Result<Scanned, StoreError> {
        let mut read = || -> io::Result<Scanned> {
            let mut file = File::open(path)?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(HEADER_LEN))?;
            let found = Scanned { good_end: HEADER_LEN, ..Scanned::default() };
            let file = BufReader::with_capacity(READ_BUFFER, file);
            let (offset, body) = (HEADER_LEN, Vec::new());
            let mut scan = Scan { path, record_bytes, file, len, offset, body, found };
            scan.frames(visit)?;
            Ok(scan.found)
        };
        read().map_err(|error| StoreError::io("read", path, &error))
    }

    fn frames(&mut self, visit: &mut dyn FnMut(u8, &[u8]) -> bool) -> io::Result<()> {
        while self.offset < self.len {
            if self.next_body()? {
                let bytes = (PREFIX_LEN + self.body.len()) as u64;
                let understood = frame::open(&self.body, self.record_bytes)
                    .is_some_and(|(kind, payload)| visit(kind, &payload));
                if !understood {
                    self.fault(self.offset, bytes, FaultKind::Undecodable);
                }
                self.offset += bytes;
                self.found.frames += 1;
                self.found.good_end = self.offset;
            } else if let Some(next) = self.resync()? {
                self.fault(self.offset, next - self.offset, FaultKind::CorruptFrame);
                self.offset = next;
                self.file.seek(SeekFrom::Start(next))?;
            } else {
                self.fault(self.offset, self.len - self.offset, FaultKind::CorruptTail);
                break;
            }
        }
        Ok(())
    }

    /// Reads the frame at `offset` into `body`; `false` where there is no whole one.
    fn next_body(&mut self) -> io::Result<bool> {
        let left = self.len - self.offset;
        if left < PREFIX_LEN as u64 {
            return Ok(false);
        }
        let mut prefix = [0; PREFIX_LEN];
        self.file.read_exact(&mut prefix)?;
        let Some((length, crc)) = frame::prefix(&prefix, self.body_limit()) else {
            return Ok(false);
        };
        if length as u64 > left - PREFIX_LEN as u64 {
            return Ok(false);
        }
        self.body.resize(length, 0);
        self.file.read_exact(&mut self.body)?;
        Ok(crc32c::crc32c(&self.body) == crc)
    }

    fn resync(&self) -> io::Result<Option<u64>> {
        let window_len = (self.len - self.offset).min(RESYNC_WINDOW);
        let mut window = vec![0; window_len as usize];
        self.file.get_ref().read_exact_at(&mut window, self.offset)?;
        Ok(find_frame(&window, self.body_limit()).map(|place| self.offset + place as u64))
    }

    fn body_limit(&self) -> usize {
        frame::body_limit(self.record_bytes)
    }

    fn fault(&mut self, offset: u64, bytes: u64, kind: FaultKind) {
        let file = self.path.display().to_string();
        self.found.faults.push(Fault { file, offset, bytes, kind });
    }
}

/// The first whole frame behind the damaged one at the start of `window`.
fn find_frame(window: &[u8], limit: usize) -> Option<usize> {
    let mut budget = RESYNC_CRC_BYTES;
    let said = frame::prefix(window, limit).map(|(length, _)| PREFIX_LEN + length);
    if let Some(place) = said.filter(|place| frame_begins(window, *place, limit, &mut budget)) {
        return Some(place);
    }
    (1..window.len()).find(|place| frame_begins(window, *place, limit, &mut budget))
}

fn frame_begins(window: &[u8], place: usize, limit: usize, budget: &mut usize) -> bool {
    let Some((length, crc)) = window.get(place..).and_then(|rest| frame::prefix(rest, limit))
    else {
        return false;
    };
    let body_start = place + PREFIX_LEN;
    let Some(body) = window.get(body_start..body_start + length) else {
        return false;
    };
    let kind = body[0] & 0x7f;
    if kind == 0 || kind > HIGHEST_KIND || length > *budget {
        return false;
    }
    *budget -= length;
    crc32c::crc32c(body) == crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(parts: &[&[u8]]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = vec![0; HEADER_LEN as usize];
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn payloads(file: &tempfile::NamedTempFile) -> (Vec<Vec<u8>>, Scanned) {
        let mut seen = Vec::new();
        let scanned = Scan::run(file.path(), 1 << 20, &mut |_, payload| {
            seen.push(payload.to_vec());
            true
        })
        .unwrap();
        (seen, scanned)
    }

    #[test]
    fn any_flipped_bit_of_a_middle_frame_costs_that_frame_alone() {
        let (first, last) = (frame::encode(1, b"first"), frame::encode(1, b"last"));
        let middle = frame::encode(2, b"in the middle");
        for bit in 0..middle.len() * 8 {
            let mut damaged = middle.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let file = file_of(&[&first, &damaged, &last]);
            let (seen, scanned) = payloads(&file);
            assert_eq!(seen, [b"first".to_vec(), b"last".to_vec()], "bit {bit}");
            let fault = &scanned.faults[0];
            let end = HEADER_LEN + first.len() as u64;
            assert_eq!((scanned.faults.len(), fault.kind), (1, FaultKind::CorruptFrame));
            assert_eq!((fault.offset, fault.bytes), (end, middle.len() as u64));
        }
    }

    #[test]
    fn nothing_behind_the_damage_ends_the_scan_at_it() {
        let first = frame::encode(1, b"first");
        let garbage = [0xffu8; 5_000];
        let (seen, scanned) = payloads(&file_of(&[&first, &garbage]));
        assert_eq!(seen, [b"first".to_vec()]);
        assert_eq!(scanned.good_end, HEADER_LEN + first.len() as u64);
        assert_eq!(scanned.faults[0].kind, FaultKind::CorruptTail);
        assert_eq!(scanned.faults[0].bytes, 5_000);
    }

    #[test]
    fn a_hostile_file_full_of_frame_beginnings_is_given_up_in_bounded_time() {
        // Each 9 bytes claim a body of 1 MiB with a wrong CRC.
        let claim = [0, 0, 16, 0, 1, 2, 3, 4, 1];
        let hostile = claim.repeat(400_000);
        let started = std::time::Instant::now();
        let (seen, scanned) = payloads(&file_of(&[&hostile]));
        assert!(seen.is_empty());
        assert_eq!(scanned.faults.len(), 1);
        assert!(started.elapsed().as_secs() < 20);
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic_and_never_hide_the_frame_before_them(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2_000)
        ) {
            let first = frame::encode(1, b"first");
            let (seen, _) = payloads(&file_of(&[&first, &bytes]));
            proptest::prop_assert_eq!(&seen[0], b"first");
        }
    }
}
