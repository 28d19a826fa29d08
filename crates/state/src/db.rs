//! The file: opened, brought up to date, and set aside where it is damaged.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use crate::{copy, error::StateError, rows, schema, settings};

/// The file's name in a data folder. SQLite keeps two others beside it, with `-wal` and `-shm` added.
pub const STATE_FILE: &str = "state.sqlite";
/// Where the store puts damaged files, too.
const SET_ASIDE_FOLDER: &str = "set-aside";
/// How long another process that writes is waited for: a backup's, say.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A damaged file that was moved out of the way, and what could be taken over from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    pub file: PathBuf,
    pub reason: String,
    /// Where it is now.
    pub now: PathBuf,
    /// Rows that could be read and were whole.
    pub taken_over: u64,
}

/// Settings, notes and audit of one data folder. Cheap to ask; every call waits for the disk.
#[derive(Debug)]
pub struct StateDb {
    connection: Mutex<Connection>,
    pub(crate) key: settings::Key,
    /// A damaged file that was met when this one was opened.
    pub set_aside: Option<SetAside>,
}

impl StateDb {
    /// Opens the state in a data folder that nobody else holds, or begins one. A damaged file is set
    /// aside, and what can still be read in it is taken over.
    ///
    /// # Errors
    /// [`StateError::NewerFormat`] where a later Andon wrote the file, and what the disk says.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        match open_whole(&folder.join(STATE_FILE)) {
            Ok(connection) => Self::of(connection, None),
            Err(error) if error.is_damage() => Self::begin_again(folder, error.reason()),
            Err(error) => Err(error),
        }
    }

    /// As [`Self::open`], and a file with a single row that is not what was written is set aside as
    /// well, without that row.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn repair(folder: &Path) -> Result<Self, StateError> {
        let faults = copy::check(folder)?.map(|found| found.faults).unwrap_or_default();
        match faults.into_iter().next() {
            Some(fault) => Self::begin_again(folder, fault),
            None => Self::open(folder),
        }
    }

    fn begin_again(folder: &Path, reason: String) -> Result<Self, StateError> {
        let path = folder.join(STATE_FILE);
        let now = move_aside(folder, &path)?;
        let mut connection = open_whole(&path)?;
        let taken_over = rows::take_over(&now, &mut connection)?;
        Self::of(connection, Some(SetAside { file: path, reason, now, taken_over }))
    }

    fn of(mut connection: Connection, set_aside: Option<SetAside>) -> Result<Self, StateError> {
        let key = settings::audit_key(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection), key, set_aside })
    }

    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic within a transaction rolled it back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a file for reading and writing and looks at all of its pages.
fn open_whole(path: &Path) -> Result<Connection, StateError> {
    // SQLite would make it for everybody to read.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| StateError::io("open", path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    copy::look_through(&connection, path)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// An acknowledged change is on the disk (`synchronous`), and what was deleted is not (`secure_delete`).
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cache_size = -512;
         PRAGMA journal_size_limit = 1048576;",
    )
}

/// Moves a file and those that belong to it into the folder of the damaged ones.
fn move_aside(folder: &Path, path: &Path) -> Result<PathBuf, StateError> {
    let aside = folder.join(SET_ASIDE_FOLDER);
    fs::create_dir_all(&aside).map_err(|error| StateError::io("make", &aside, &error))?;
    let name = |at: u32| aside.join(format!("{STATE_FILE}.{at}"));
    let now = (0..).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(0));
    for suffix in ["-wal", "-shm", ""] {
        let (from, to) = (with_suffix(path, suffix), with_suffix(&now, suffix));
        match fs::rename(&from, &to) {
            Err(error) if suffix.is_empty() || from.exists() => {
                return Err(StateError::io("set aside", &from, &error));
            }
            _ => {}
        }
    }
    Ok(now)
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
