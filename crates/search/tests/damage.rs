//! Damaged files: an error or the right answer, never a panic, never a block too few.

#![allow(clippy::unwrap_used, reason = "test code")]

mod common;

use andon_search::{Index, IndexError};
use common::{file_of, index_bytes, open, sample_texts};
use proptest::prelude::*;

const PATTERNS: &[&str] =
    &["timeout", "gpu", "e", "サーバー", "です", "鵺", "推論エラー", "größe", "req_0", "absent?"];

fn answers(index: &Index) -> Vec<Result<Option<Vec<u32>>, IndexError>> {
    PATTERNS.iter().map(|pattern| index.candidates(pattern)).collect()
}

/// Each answer of the damaged file is an error or that of the intact one.
fn check(damaged: &[u8], intact: &Index) {
    let Ok(index) = open(damaged) else { return };
    for (answer, right) in answers(&index).into_iter().zip(answers(intact)) {
        if let Ok(blocks) = answer {
            assert_eq!(blocks, right.unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn flipped_bits_are_noticed(flips in prop::collection::vec(any::<(u32, u8)>(), 1..4)) {
        let bytes = index_bytes(&sample_texts(200), 5);
        let intact = open(&bytes).unwrap();
        let mut damaged = bytes.clone();
        for (place, bit) in flips {
            let place = place as usize % damaged.len();
            damaged[place] ^= 1 << (bit % 8);
        }
        check(&damaged, &intact);
    }

    #[test]
    fn a_cut_file_does_not_open(cut in any::<u32>()) {
        let mut bytes = index_bytes(&sample_texts(200), 5);
        bytes.truncate(cut as usize % bytes.len());
        prop_assert!(open(&bytes).is_err());
    }

    #[test]
    fn garbage_does_not_open(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(open(&bytes).is_err());
    }

    /// Checksums made right again: the decoder itself must hold.
    #[test]
    fn forged_pages_do_not_panic(
        flips in prop::collection::vec(any::<(u32, u8)>(), 1..40),
        entries in any::<u32>(),
        blocks in 0u32..2000,
    ) {
        let mut bytes = index_bytes(&sample_texts(200), 5);
        let trailer = bytes.len() - 32;
        let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let directory = number(&bytes, trailer + 12) as usize;
        for (place, bit) in flips {
            bytes[8 + place as usize % (directory - 8)] ^= 1 << (bit % 8);
        }
        bytes[trailer + 4..trailer + 8].copy_from_slice(&blocks.to_le_bytes());
        for record in (directory..trailer).step_by(16) {
            let start = number(&bytes, record + 4) as usize;
            let next = record + 16;
            let end = if next == trailer { directory } else { number(&bytes, next + 4) as usize };
            let checksum = crc32c::crc32c(&bytes[start..end]);
            bytes[record + 12..next].copy_from_slice(&checksum.to_le_bytes());
            if entries % 3 == 0 {
                bytes[record + 8..record + 12].copy_from_slice(&entries.to_le_bytes());
            }
        }
        let checksum = crc32c::crc32c(&bytes[directory..trailer]);
        bytes[trailer + 16..trailer + 20].copy_from_slice(&checksum.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[trailer..trailer + 20]);
        bytes[trailer + 20..trailer + 24].copy_from_slice(&checksum.to_le_bytes());
        for blocks in answers(&open(&bytes).unwrap()).into_iter().flatten().flatten() {
            prop_assert!(blocks.iter().all(|block| *block < 2000));
        }
    }
}

#[test]
fn every_flipped_bit_of_a_small_file_is_noticed() {
    let bytes = index_bytes(&sample_texts(6), 1);
    let intact = open(&bytes).unwrap();
    // Every byte, one of its bits: all bits would take a minute.
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        check(&damaged, &intact);
    }
}

#[test]
fn a_file_that_shrinks_while_open_is_an_error() {
    let file = file_of(&index_bytes(&sample_texts(200), 5));
    let index = Index::open(file.try_clone().unwrap()).unwrap();
    file.set_len(100).unwrap();
    assert!(matches!(index.candidates("timeout"), Err(IndexError::Damaged { .. })));
}

#[test]
fn another_version_is_named() {
    let mut bytes = index_bytes(&["text"], 1);
    let trailer = bytes.len() - 32;
    bytes[trailer] = 2;
    let checksum = crc32c::crc32c(&bytes[trailer..trailer + 20]);
    bytes[trailer + 20..trailer + 24].copy_from_slice(&checksum.to_le_bytes());
    assert!(matches!(open(&bytes), Err(IndexError::Version { found: 2 })));
}
