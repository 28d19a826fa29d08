//! One list of block numbers, and the set of blocks that a search narrows down.

use crate::bits::{BadBits, BitReader, BitWriter};

/// Writes the ascending `list` out of `blocks` blocks; a long list by what it leaves out.
pub(crate) fn write(writer: &mut BitWriter, list: &[u32], blocks: u32) {
    let inverted = list.len() * 2 > blocks as usize;
    writer.bits(u32::from(inverted), 1);
    if inverted {
        let mut listed = list.iter().peekable();
        let absent: Vec<u32> =
            (0..blocks).filter(|block| listed.next_if_eq(&block).is_none()).collect();
        writer.gamma(absent.len() as u32 + 1);
        write_distances(writer, &absent, blocks);
    } else {
        writer.gamma(list.len() as u32);
        write_distances(writer, list, blocks);
    }
}

fn write_distances(writer: &mut BitWriter, list: &[u32], blocks: u32) {
    let length = list.len() as u32;
    let parameter = rice_parameter(length, blocks);
    let mut next = 0;
    for &block in list {
        writer.rice(block - next, parameter);
        next = block + 1;
    }
}

/// Passes over a list, or adds its blocks to `found`.
pub(crate) fn read(
    reader: &mut BitReader<'_>,
    blocks: u32,
    found: Option<&mut Blocks>,
) -> Result<(), BadBits> {
    let inverted = reader.bits(1)? == 1;
    // Only a list of absences can be empty, so only it is counted from one.
    let length = reader.gamma()? - u32::from(inverted);
    if length > blocks {
        return Err(BadBits);
    }
    let parameter = rice_parameter(length, blocks);
    let Some(found) = found else {
        for _ in 0..length {
            reader.rice(parameter)?;
        }
        return Ok(());
    };
    let mut next = 0u32;
    for _ in 0..length {
        let distance = reader.rice(parameter)?;
        let block = next.checked_add(distance).filter(|block| *block < blocks).ok_or(BadBits)?;
        if inverted {
            found.insert_run(next, block);
        } else {
            found.insert(block);
        }
        next = block + 1;
    }
    if inverted {
        found.insert_run(next, blocks);
    }
    Ok(())
}

/// Close to the best one for evenly spread blocks. Storing the best one instead was measured:
/// it costs more than it saves, because most lists are short.
fn rice_parameter(length: u32, blocks: u32) -> u32 {
    let mean = u64::from(blocks) * 11 / 16 / (u64::from(length) + 1);
    mean.max(1).ilog2()
}

/// A set of block numbers, one bit each.
#[derive(Clone)]
pub(crate) struct Blocks {
    words: Vec<u64>,
    blocks: u32,
}

impl Blocks {
    pub(crate) fn none(blocks: u32) -> Self {
        Self { words: vec![0; blocks.div_ceil(64) as usize], blocks }
    }

    pub(crate) fn all(blocks: u32) -> Self {
        let mut all = Self::none(blocks);
        all.insert_run(0, blocks);
        all
    }

    fn insert(&mut self, block: u32) {
        if let Some(word) = self.words.get_mut((block / 64) as usize) {
            *word |= 1 << (block % 64);
        }
    }

    /// Inserts `from..to`.
    fn insert_run(&mut self, from: u32, to: u32) {
        let mut block = from;
        while block < to {
            let in_word = (64 - block % 64).min(to - block);
            let bits = if in_word == 64 { u64::MAX } else { (1 << in_word) - 1 };
            if let Some(word) = self.words.get_mut((block / 64) as usize) {
                *word |= bits << (block % 64);
            }
            block += in_word;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.words.fill(0);
    }

    pub(crate) fn keep_common(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.blocks
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Ascending.
    pub(crate) fn to_vec(&self) -> Vec<u32> {
        let mut list = Vec::with_capacity(self.len() as usize);
        for (base, word) in (0..).step_by(64).zip(&self.words) {
            let mut rest = *word;
            while rest != 0 {
                list.push(base + rest.trailing_zeros());
                rest &= rest - 1;
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::PADDING;

    #[test]
    fn lists_of_every_density_return() {
        let blocks = 1000;
        for step in [1, 2, 3, 7, 100, 999] {
            for skipped in [1, 3, 1000] {
                let list: Vec<u32> =
                    (0..blocks).step_by(step).filter(|block| block % skipped != 1).collect();
                let mut writer = BitWriter::default();
                write(&mut writer, &list, blocks);
                let mut bytes = writer.take();
                bytes.extend_from_slice(&[0; PADDING]);
                let mut found = Blocks::none(blocks);
                read(&mut BitReader::new(&bytes), blocks, Some(&mut found)).unwrap();
                assert_eq!(found.to_vec(), list);
                assert_eq!(found.len() as usize, list.len());
                read(&mut BitReader::new(&bytes), blocks, None).unwrap();
            }
        }
    }

    #[test]
    fn a_block_beyond_the_last_is_an_error() {
        let mut writer = BitWriter::default();
        write(&mut writer, &[85], 90);
        let mut bytes = writer.take();
        bytes.extend_from_slice(&[0; PADDING]);
        let mut found = Blocks::none(80);
        // The same Rice parameter, so that only the range check can notice.
        assert_eq!(rice_parameter(1, 80), rice_parameter(1, 90));
        assert!(read(&mut BitReader::new(&bytes), 80, Some(&mut found)).is_err());
    }
}
