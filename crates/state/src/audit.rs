//! The audit: who did what to the records as a whole, and what came of it.
//!
//! The record of a deletion must not keep what was deleted, so a subject (a user's name, say) is kept
//! as a keyed hash: whoever knows the name can ask whether it was removed. The key lies in the same
//! file; who has the file can try names.

use andon_model::UnixNanos;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, Row, types::Value};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{
    db::StateDb,
    error::StateError,
    notes::{as_column, as_time, next_id},
    rows::{self, is_whole},
    schema::AUDIT,
};

/// Entries that are kept; the oldest go first.
const MOST_ENTRIES: i64 = 100_000;

/// What an entry is called by.
pub type EntryId = i64;

/// Through which door it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    Api,
    CommandLine,
    /// Of a damaged row.
    #[serde(other)]
    Unknown,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Forget,
    Repair,
    Restore,
    Import,
    /// Of a damaged row.
    #[serde(other)]
    Unknown,
}

/// To whose records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    User,
    Session,
    Trace,
    /// Of a damaged row.
    #[serde(other)]
    Unknown,
}

/// Whose records; kept as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub kind: SubjectKind,
    pub name: String,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// Something of it may have been done.
    Failed,
    /// Of a damaged row.
    #[serde(other)]
    Unknown,
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entry {
    pub id: EntryId,
    pub begun_ns: UnixNanos,
    pub actor: Actor,
    pub action: Action,
    pub subject_kind: Option<SubjectKind>,
    /// The first 16 digits of the subject's hash, to tell entries apart.
    pub subject: Option<String>,
    /// Empty where it goes on still, or Andon ended before it did.
    pub ended_ns: Option<UnixNanos>,
    pub outcome: Option<Outcome>,
    /// Counts, or what went wrong.
    #[schema(value_type = Option<Object>)]
    pub details: Option<serde_json::Value>,
    /// It is not what was written: the disk changed it.
    pub is_damaged: bool,
}

impl StateDb {
    /// Writes down durably that something begins.
    ///
    /// # Errors
    /// What the disk says. It must not be begun, then.
    pub fn begin(
        &self,
        at: UnixNanos,
        actor: Actor,
        action: Action,
        subject: Option<&Subject>,
    ) -> Result<EntryId, StateError> {
        let mut connection = self.connection();
        let change = connection.transaction()?;
        let id = next_id(&change, "audit")?;
        let hash = subject.map(|subject| self.hash(subject));
        let values = vec![
            Value::Integer(id),
            Value::Integer(as_column(at)),
            text(actor),
            text(action),
            subject.map_or(Value::Null, |subject| text(subject.kind)),
            hash.map_or(Value::Null, |hash| Value::Blob(hash.to_vec())),
            Value::Null,
            Value::Null,
            Value::Null,
        ];
        AUDIT.put(&change, values)?;
        change.execute("DELETE FROM audit WHERE id <= ?", [id - MOST_ENTRIES])?;
        change.commit()?;
        Ok(id)
    }

    /// Writes down durably how it ended.
    ///
    /// # Errors
    /// What the disk says.
    pub fn end(
        &self,
        id: EntryId,
        at: UnixNanos,
        outcome: Outcome,
        details: &serde_json::Value,
    ) -> Result<(), StateError> {
        let mut connection = self.connection();
        let change = connection.transaction()?;
        let mut values: Vec<Value> = {
            let mut statement = change.prepare(&format!("{} WHERE id = ?", AUDIT.select()))?;
            statement.query_row([id], |row| (0..6).map(|at| row.get(at)).collect())?
        };
        values.extend([
            Value::Integer(as_column(at)),
            text(outcome),
            Value::Text(details.to_string()),
        ]);
        AUDIT.put(&change, values)?;
        change.commit()?;
        Ok(())
    }

    /// The latest entries, newest first: at most `limit`, older than `before`, of one subject where
    /// one is named.
    ///
    /// # Errors
    /// What the disk says.
    pub fn entries(
        &self,
        of: Option<&Subject>,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StateError> {
        let connection = self.connection();
        let hash = of.map(|subject| self.hash(subject));
        list(&connection, hash.as_ref().map(<[u8; 32]>::as_slice), before, limit)
    }

    /// A name is one kind's: a user `a` and a session `a` have hashes of their own.
    fn hash(&self, subject: &Subject) -> [u8; 32] {
        // A key of any length is good for HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return [0; 32] };
        mac.update(&[subject.kind as u8]);
        mac.update(subject.name.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

fn list(
    connection: &Connection,
    subject: Option<&[u8]>,
    before: Option<EntryId>,
    limit: usize,
) -> Result<Vec<Entry>, StateError> {
    let question = format!(
        "{} WHERE id < ?1 AND (?2 IS NULL OR subject = ?2) ORDER BY id DESC LIMIT ?3",
        AUDIT.select()
    );
    let mut statement = connection.prepare(&question)?;
    let before = before.unwrap_or(EntryId::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let entries = statement.query_map((before, subject, limit), entry)?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let subject: Option<&[u8]> = row.get_ref(5)?.as_blob_or_null().ok().flatten();
    let short = |hash: &[u8]| hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let details = rows::text(row, 8)?;
    Ok(Entry {
        id: row.get(0)?,
        begun_ns: as_time(rows::number(row, 1)?.unwrap_or(0)),
        actor: rows::text(row, 2)?.and_then(named).unwrap_or(Actor::Unknown),
        action: rows::text(row, 3)?.and_then(named).unwrap_or(Action::Unknown),
        subject_kind: rows::text(row, 4)?.and_then(named),
        subject: subject.map(short),
        ended_ns: rows::number(row, 6)?.map(as_time),
        outcome: rows::text(row, 7)?.and_then(named),
        details: details.map(|details| serde_json::from_str(&details).unwrap_or(details.into())),
        is_damaged: !is_whole(row, &AUDIT)?,
    })
}

/// The name that serde gives a variant.
fn text(variant: impl Serialize) -> Value {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(name)) => Value::Text(name),
        _ => Value::Null,
    }
}

fn named<T: serde::de::DeserializeOwned>(name: String) -> Option<T> {
    serde_json::from_value(name.into()).ok()
}
