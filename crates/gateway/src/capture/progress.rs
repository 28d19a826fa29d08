//! How far a prompt is read, where a stream says so while it comes: llama-server's
//! `prompt_progress`, which clients ask for with `return_progress`.

use memchr::memmem;
use serde::Deserialize;

const FIELD: &[u8] = b"\"prompt_progress\":";

/// Tokens: of the whole prompt, of those the ones taken from the cache, and read so far with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Progress {
    pub(super) total: u64,
    #[serde(rename = "cache")]
    pub(super) cached: u64,
    #[serde(rename = "processed")]
    pub(super) done: u64,
}

/// The last progress in a piece of a stream. `None`: the piece is no report of progress.
pub(super) fn of(piece: &[u8]) -> Option<Progress> {
    let at = memmem::rfind(piece, FIELD)? + FIELD.len();
    let mut values = serde_json::Deserializer::from_slice(&piece[at..]).into_iter();
    values.next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_found_in_a_piece_and_garbage_is_none() {
        let piece = br#"data: {"choices":[],"prompt_progress":{"total":747,"cache":1,"processed":512,"time_ms":6}}

"#;
        assert_eq!(of(piece), Some(Progress { total: 747, cached: 1, done: 512 }));
        for none in [&b"data: {}"[..], b"\"prompt_progress\":", b"\"prompt_progress\":{\"total\":"]
        {
            assert_eq!(of(none), None);
        }
    }
}
