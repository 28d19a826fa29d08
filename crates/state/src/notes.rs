//! Notes that people leave on traces.

use andon_model::{TraceId, UnixNanos};
use rusqlite::{Row, types::Value};
use serde::{Deserialize, Serialize};

use crate::{
    db::StateDb,
    error::StateError,
    rows::{self, is_whole},
    schema::NOTE,
};

/// Bytes of one note at most.
pub const MOST_NOTE_BYTES: usize = 8 << 10;
/// Notes of one trace at most.
pub const MOST_NOTES: usize = 100;

/// What somebody wrote about a trace, word for word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Note {
    pub id: i64,
    pub made_ns: UnixNanos,
    pub text: String,
    /// It is not what was written: the disk changed it.
    pub is_damaged: bool,
}

impl StateDb {
    /// The notes of a trace, in the order in which they were made.
    ///
    /// # Errors
    /// What the disk says.
    pub fn notes(&self, of: TraceId) -> Result<Vec<Note>, StateError> {
        let connection = self.connection();
        let question =
            format!("{} WHERE trace_id = ? ORDER BY id LIMIT {MOST_NOTES}", NOTE.select());
        let mut statement = connection.prepare(&question)?;
        let notes = statement.query_map([of.as_bytes().as_slice()], note)?;
        Ok(notes.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps a note durably.
    ///
    /// # Errors
    /// [`StateError::NoteTooLarge`], [`StateError::TooManyNotes`], and what the disk says.
    pub fn add_note(&self, of: TraceId, at: UnixNanos, text: &str) -> Result<Note, StateError> {
        if text.len() > MOST_NOTE_BYTES {
            return Err(StateError::NoteTooLarge { bytes: text.len(), limit: MOST_NOTE_BYTES });
        }
        let mut connection = self.connection();
        let change = connection.transaction()?;
        let trace = of.as_bytes().as_slice();
        let there: i64 =
            change.query_row("SELECT count(*) FROM note WHERE trace_id = ?", [trace], |row| {
                row.get(0)
            })?;
        if there >= MOST_NOTES as i64 {
            return Err(StateError::TooManyNotes { limit: MOST_NOTES });
        }
        let id = next_id(&change, "note")?;
        let values = vec![
            Value::Integer(id),
            Value::Blob(trace.to_vec()),
            Value::Integer(as_column(at)),
            Value::Text(text.to_owned()),
        ];
        NOTE.put(&change, values)?;
        change.commit()?;
        Ok(Note { id, made_ns: at, text: text.to_owned(), is_damaged: false })
    }

    /// Removes one note of a trace, really. `false` where there is none such.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_note(&self, of: TraceId, id: i64) -> Result<bool, StateError> {
        let connection = self.connection();
        let trace = of.as_bytes().as_slice();
        let gone =
            connection.execute("DELETE FROM note WHERE trace_id = ? AND id = ?", (trace, id))?;
        if gone > 0 {
            wipe(&connection)?;
        }
        Ok(gone > 0)
    }

    /// Removes all notes of traces that are gone, really. How many those were.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_notes_of(&self, traces: &[TraceId]) -> Result<u64, StateError> {
        let mut connection = self.connection();
        let change = connection.transaction()?;
        let mut gone = 0;
        for trace in traces {
            let mut statement = change.prepare("DELETE FROM note WHERE trace_id = ?")?;
            gone += statement.execute([trace.as_bytes().as_slice()])? as u64;
        }
        change.commit()?;
        if gone > 0 {
            wipe(&connection)?;
        }
        Ok(gone)
    }

    /// Removes notes that were made before a time. Where no span is kept from before it, their traces
    /// are gone: a note is younger than its trace.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_notes_before(&self, time: UnixNanos) -> Result<u64, StateError> {
        let connection = self.connection();
        let gone = connection.execute("DELETE FROM note WHERE made_ns < ?", [as_column(time)])?;
        if gone > 0 {
            wipe(&connection)?;
        }
        Ok(gone as u64)
    }
}

/// Writes the log's pages into the file and empties it: it holds what was deleted until then.
fn wipe(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// A key that no row had before.
pub(crate) fn next_id(connection: &rusqlite::Connection, table: &str) -> rusqlite::Result<i64> {
    let question = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = ?";
    connection.query_row(question, [table], |row| row.get(0))
}

/// SQLite's numbers end in the year 2262.
pub(crate) fn as_column(time: UnixNanos) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

pub(crate) fn as_time(column: i64) -> UnixNanos {
    u64::try_from(column).unwrap_or(0)
}

fn note(row: &Row<'_>) -> rusqlite::Result<Note> {
    Ok(Note {
        id: row.get(0)?,
        made_ns: as_time(rows::number(row, 2)?.unwrap_or(0)),
        text: rows::text(row, 3)?.unwrap_or_default(),
        is_damaged: !is_whole(row, &NOTE)?,
    })
}
