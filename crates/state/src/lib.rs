//! What people decide and do in Andon: settings, notes and the audit. Small, relational, in one SQLite
//! file beside the segments.
//!
//! What a newcomer gets wrong: this is not for what is observed. Spans, texts, samples and evaluations
//! are the store's, which can hold millions; here is what a person would be sorry to type again.

mod audit;
mod copy;
mod db;
mod error;
mod notes;
mod rows;
mod schema;
mod settings;

pub use audit::{Action, Actor, Entry, EntryId, Outcome, Subject, SubjectKind};
pub use copy::{StateCheck, backup, check, holds_anything, restore};
pub use db::{STATE_FILE, SetAside, StateDb};
pub use error::StateError;
pub use notes::{MOST_NOTE_BYTES, MOST_NOTES, Note};
