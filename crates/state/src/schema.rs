//! The tables, and how a file of an earlier Andon becomes one of this.

use rusqlite::Connection;

use crate::error::StateError;

/// Each step is one transaction and leads from the version of its place to the next one. A step that was
/// released is never changed.
///
/// Every row carries a CRC32C of its other columns (see `rows`): SQLite sees that a page is misshapen,
/// not that a letter in it is another.
const STEPS: [&str; 1] = ["
    CREATE TABLE setting (
        name  TEXT PRIMARY KEY,
        value BLOB NOT NULL,
        sum   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE audit (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        begun_ns     INTEGER NOT NULL,
        actor        TEXT NOT NULL,
        action       TEXT NOT NULL,
        subject_kind TEXT,
        subject      BLOB,
        ended_ns     INTEGER,
        outcome      TEXT,
        details      TEXT,
        sum          INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX audit_by_subject ON audit (subject) WHERE subject IS NOT NULL;

    CREATE TABLE note (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        trace_id BLOB NOT NULL,
        made_ns  INTEGER NOT NULL,
        text     TEXT NOT NULL,
        sum      INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX note_by_trace ON note (trace_id);
"];

/// A table and its columns, but for the sum, which is the last. The first one is the key.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
}

pub(crate) const SETTING: Table = Table { name: "setting", columns: &["name", "value"] };
pub(crate) const AUDIT: Table = Table {
    name: "audit",
    columns: &[
        "id",
        "begun_ns",
        "actor",
        "action",
        "subject_kind",
        "subject",
        "ended_ns",
        "outcome",
        "details",
    ],
};
pub(crate) const NOTE: Table =
    Table { name: "note", columns: &["id", "trace_id", "made_ns", "text"] };
pub(crate) const TABLES: [Table; 3] = [SETTING, AUDIT, NOTE];

pub(crate) const VERSION: i64 = STEPS.len() as i64;

/// The version that a file has.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Refuses a file of a later Andon, and one whose tables are not those of its version: SQLite reads a
/// flipped letter in their text as another name of a column, and finds nothing wrong with that.
pub(crate) fn check(connection: &Connection, file: &str) -> Result<(), StateError> {
    let file = file.to_owned();
    // Of one moment, should somebody bring it to a later version meanwhile.
    let moment = connection.unchecked_transaction()?;
    let version = version(&moment)?;
    if version > VERSION {
        return Err(StateError::NewerFormat { file, version, known: VERSION });
    }
    let expected = Connection::open_in_memory()?;
    for step in STEPS.iter().take(usize::try_from(version).unwrap_or(0)) {
        expected.execute_batch(step)?;
    }
    if definitions(&moment)? != definitions(&expected)? {
        let reason = format!("its tables are not those of version {version}");
        return Err(StateError::Damaged { file, reason });
    }
    Ok(())
}

/// What the file says of its tables and indexes. A copy has them in another order.
fn definitions(connection: &Connection) -> rusqlite::Result<Vec<[Option<Vec<u8>>; 4]>> {
    // As bytes, since flipped ones may be no text.
    let question = "SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), \
                    CAST(sql AS BLOB) FROM sqlite_schema ORDER BY type, name";
    let mut statement = connection.prepare(question)?;
    let rows =
        statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]));
    rows?.collect()
}

/// Brings a file that was checked to this Andon's version. An interrupted step leaves the file as it was.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StateError> {
    let found = version(connection)?;
    for (at, step) in (0..).zip(STEPS) {
        if at < found {
            continue;
        }
        let change = connection.transaction()?;
        change.execute_batch(step)?;
        change.pragma_update(None, "user_version", at + 1)?;
        change.commit()?;
    }
    Ok(())
}
