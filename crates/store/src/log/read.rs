//! Reading single frames back by their positions.
//!
//! There is no cache of our own: these frames were written moments ago or are read again and
//! again, and the kernel's page cache holds both at no cost to Andon's own memory.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use super::{
    Position,
    frame::{self, PREFIX_LEN},
    segment::file_name,
};

/// Calls `visit` with kind and payload of each frame that can be read. Positions should
/// be sorted, so that each file is opened once. Returns how many frames could not be read, because
/// they were damaged or their file was removed meanwhile.
pub(crate) fn read_frames(
    folder: &Path,
    positions: impl IntoIterator<Item = Position>,
    record_bytes: usize,
    visit: &mut dyn FnMut(u8, &[u8]) -> bool,
) -> u64 {
    let mut unreadable = 0;
    let mut open: Option<(u64, io::Result<File>)> = None;
    let mut body = Vec::new();
    for position in positions {
        if open.as_ref().is_none_or(|(sequence, _)| *sequence != position.segment) {
            let path = folder.join(file_name(position.segment));
            open = Some((position.segment, File::open(path)));
        }
        let read = match &open {
            Some((_, Ok(file))) => read_body(file, position.offset, record_bytes, &mut body),
            _ => None,
        };
        let understood = read
            .and_then(|()| frame::open(&body, record_bytes))
            .is_some_and(|(kind, payload)| visit(kind, &payload));
        if !understood {
            tracing::warn!(
                segment = position.segment,
                offset = position.offset,
                "unreadable frame"
            );
            unreadable += 1;
        }
    }
    unreadable
}

fn read_body(file: &File, offset: u64, record_bytes: usize, body: &mut Vec<u8>) -> Option<()> {
    let mut prefix = [0; PREFIX_LEN];
    file.read_exact_at(&mut prefix, offset).ok()?;
    let (length, crc) = frame::prefix(&prefix, frame::body_limit(record_bytes))?;
    body.resize(length, 0);
    file.read_exact_at(body, offset + PREFIX_LEN as u64).ok()?;
    (crc32c::crc32c(body) == crc).then_some(())
}
