//! The file looked through, copied while it is in use, and taken back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{
    db::{PATIENCE, STATE_FILE, with_suffix},
    error::StateError,
    schema::{self, TABLES},
};

/// Damage that SQLite names at most; it would go on for each page.
const MOST_FAULTS: usize = 10;

/// What a look at the file came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateCheck {
    pub file: PathBuf,
    /// Rows of all tables.
    pub rows: u64,
    /// What is wrong with it.
    pub faults: Vec<String>,
}

/// Looks at the tables' definitions, and lets SQLite look at every page.
pub(crate) fn look_through(connection: &Connection, path: &Path) -> Result<(), StateError> {
    match page_faults(connection)?.into_iter().next() {
        None => schema::check(connection, &path.display().to_string()),
        Some(reason) => Err(StateError::Damaged { file: path.display().to_string(), reason }),
    }
}

fn page_faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MOST_FAULTS})"))?;
    let said = statement.query_map([], |row| row.get::<_, String>(0))?;
    said.filter(|said| said.as_ref().map_or(true, |said| said != "ok")).collect()
}

/// Reads every page and every row of a data folder's state, whether or not somebody has the folder;
/// `None` where there is no state.
///
/// # Errors
/// Where the file cannot be opened at all for another reason than damage.
pub fn check(folder: &Path) -> Result<Option<StateCheck>, StateError> {
    let path = folder.join(STATE_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let mut found = StateCheck { file: path.clone(), ..StateCheck::default() };
    match look_at_all(&path, &mut found) {
        Err(error) if error.is_damage() => found.faults.push(error.reason()),
        looked => looked?,
    }
    Ok(Some(found))
}

fn look_at_all(path: &Path, found: &mut StateCheck) -> Result<(), StateError> {
    let connection = open_existing(path)?;
    found.faults.extend(page_faults(&connection)?);
    for table in TABLES {
        let question = format!("SELECT count(*) FROM {}", table.name);
        let rows: i64 = connection.query_row(&question, [], |row| row.get(0))?;
        found.rows += rows.unsigned_abs();
        let damaged = table.damaged_rows(&connection)?;
        if damaged > 0 {
            found.faults.push(format!("{damaged} rows of {} are not what was written", table.name));
        }
    }
    Ok(())
}

/// A file whose version this Andon knows. SQLite needs to write beside it, even to read.
fn open_existing(path: &Path) -> Result<Connection, StateError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    // A look changes nothing, not even by writing the log into the file when it ends.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    schema::check(&connection, &path.display().to_string())?;
    Ok(connection)
}

/// Copies the state of one moment into a folder that has none, whether or not somebody writes. `false`
/// where there is none to copy.
///
/// # Errors
/// [`StateError::Unfit`] where the folder has one, and what the disk says.
pub fn backup(folder: &Path, to: &Path) -> Result<bool, StateError> {
    let (from, to) = (folder.join(STATE_FILE), to.join(STATE_FILE));
    if !from.exists() {
        return Ok(false);
    }
    if to.exists() {
        return Err(StateError::Unfit {
            file: to.display().to_string(),
            reason: "is there already",
        });
    }
    // It takes its name last, so that one which was cut short is not taken for a whole one.
    let unfinished = with_suffix(&to, ".new");
    let _ = fs::remove_file(&unfinished);
    let connection = open_existing(&from)?;
    connection.execute("VACUUM INTO ?", [unfinished.to_string_lossy()])?;
    private(&unfinished)?;
    fs::rename(&unfinished, &to).map_err(|error| StateError::io("name", &to, &error))?;
    Ok(true)
}

fn private(path: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::File::open(path)?.sync_all())
        .map_err(|error| StateError::io("keep private", path, &error))
}

/// Whether a folder's state holds a note or an entry of the audit.
///
/// # Errors
/// Where it cannot be read.
pub fn holds_anything(folder: &Path) -> Result<bool, StateError> {
    let path = folder.join(STATE_FILE);
    // An empty file is one that a crash left before anything was written.
    if fs::metadata(&path).map_or(true, |file| file.len() == 0) {
        return Ok(false);
    }
    let question = "SELECT EXISTS (SELECT 1 FROM note) OR EXISTS (SELECT 1 FROM audit)";
    Ok(open_existing(&path)?.query_row(question, [], |row| row.get(0))?)
}

/// Takes a backup's state back into a folder that nobody has and whose own holds nothing. `false` where
/// the backup has none.
///
/// # Errors
/// [`StateError::Unfit`] where the folder's own holds something, [`StateError::Damaged`] for a backup
/// that is, and what the disk says.
pub fn restore(from: &Path, folder: &Path) -> Result<bool, StateError> {
    let Some(found) = check(from)? else { return Ok(false) };
    if let Some(reason) = found.faults.into_iter().next() {
        return Err(StateError::Damaged { file: found.file.display().to_string(), reason });
    }
    let path = folder.join(STATE_FILE);
    if holds_anything(folder)? {
        let file = path.display().to_string();
        return Err(StateError::Unfit { file, reason: "holds notes or an audit already" });
    }
    for suffix in ["-wal", "-shm", ""] {
        let old = with_suffix(&path, suffix);
        if old.exists() {
            fs::remove_file(&old).map_err(|error| StateError::io("remove", &old, &error))?;
        }
    }
    backup(from, folder)
}
