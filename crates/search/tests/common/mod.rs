//! Texts and files for the tests.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs::File;
use std::io::Write;

use andon_search::{Index, IndexBuilder, IndexError};

/// `texts[i]` goes to block `i / per_block`.
pub(crate) fn index_bytes<T: AsRef<str>>(texts: &[T], per_block: usize) -> Vec<u8> {
    let mut builder = IndexBuilder::new();
    for (number, text) in texts.iter().enumerate() {
        builder.add((number / per_block) as u32, text.as_ref());
    }
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    bytes
}

pub(crate) fn open(bytes: &[u8]) -> Result<Index, IndexError> {
    Index::open(file_of(bytes))
}

pub(crate) fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Some hundred texts in both languages with an id each, enough for several pages of index.
pub(crate) fn sample_texts(count: usize) -> Vec<String> {
    let english = ["the", "server", "Error", "timeout", "GPU", "retry", "Größe", "queue", "model"];
    let japanese =
        ["サーバー", "です", "ます", "推論", "エラー", "を確認", "しました", "鵺", "Ｇｏ"];
    let mut state = 7u64;
    let mut below = |limit: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    (0..count)
        .map(|_| {
            let words = 20 + below(20);
            let mut text: String = if below(2) == 0 {
                (0..words).map(|_| format!("{} ", english[below(english.len())])).collect()
            } else {
                (0..words).map(|_| japanese[below(japanese.len())]).collect()
            };
            text.push_str(&format!(" req_{:08x}", below(1 << 31)));
            text
        })
        .collect()
}
