//! A substring index for one sealed file of texts: from a pattern to the blocks that may hold it.
//!
//! Reading every text of a month takes seconds. This index says which *blocks* (some hundred
//! consecutive texts that the store reads in one go) can hold a pattern, at about 5 % of the raw
//! text. It promises one thing: **a block that holds the pattern is always named**. A named block
//! need not hold it; the caller reads the block and looks, with [`fold`] on both sides.
//!
//! # Grams
//!
//! Pairs of letters would do for Japanese; English needs more: in 100 KB of prose every pair
//! of letters occurs. So each character starts one gram whose length depends on its script: five
//! for ASCII letters, four with digits, three for kana, two for all else (kanji, hangul, accents).
//! A gram ends early at a *gap* (white space, punctuation). Keys are ordered so that all grams
//! with a common beginning are neighbours: a pattern shorter than a gram (`gpu`, `です`, `鵺`) is
//! a short run of keys. That is what makes one list per position enough.
//!
//! The thing to know before changing `gram`: text and pattern go through the same function, and
//! the file holds no trace of its rules except the version number. New rules, new version.
//!
//! # File
//!
//! ```text
//! "ANDONGRM"                                   8 bytes
//! page*                                        about 2 KiB each, bit stream, most significant first
//! directory: one record per page               16 bytes: first key, offset, entries, CRC32C of page
//! trailer                                      32 bytes: see `layout`
//! ```
//!
//! A page is a run of entries in key order. An entry is: distance to the key before (`bits`,
//! stepped; the first entry has none, its key is in the directory), one bit "the list names the blocks
//! *without* the gram", length of the list (Elias gamma; one more in a list of absences, which may
//! be empty), and the list: distances coded by Rice with a parameter that follows from the length
//! and so is not stored (`list`). Numbers
//! outside the bit stream are little-endian u32. Order of writing is order of bytes: a file is
//! written front to back, and a torn one lacks its trailer.
//!
//! # Memory
//!
//! An open [`Index`] holds the directory: 16 bytes per 2 KiB of index. A search holds one page
//! and two bit sets of one bit per block. An [`IndexBuilder`] holds the delta-coded grams of all
//! blocks so far, about a fifth of the raw text, and 2 MiB while it writes.
//!
//! # Choice of block
//!
//! For 2 million texts of 400 characters in 30 files: blocks of 256 texts make an index of 5.8 %
//! of the raw text, of 512 texts 4.4 %. Larger blocks cost more reading for each hit. Many small
//! files cost more than a few large ones (9 % at 7,000 texts a file), as each has its own keys.

mod bits;
mod build;
mod error;
mod gram;
mod index;
mod layout;
mod list;

pub use build::IndexBuilder;
pub use error::IndexError;
pub use gram::fold;
pub use index::Index;
pub use layout::MAX_BLOCKS;
