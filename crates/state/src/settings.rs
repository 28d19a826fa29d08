//! Settings: named values that a person chose or that Andon made once.

use rusqlite::{Connection, OptionalExtension, types::Value};

use crate::{db::StateDb, error::StateError, rows::is_whole, schema::SETTING};

const AUDIT_KEY: &str = "audit.key";

/// With what the audit's subjects are hashed.
pub(crate) type Key = [u8; 32];

impl StateDb {
    /// The value of a setting; `None` where it was never set.
    ///
    /// # Errors
    /// [`StateError::Damaged`] where the stored one is not what was written.
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        read(&self.connection(), name)
    }

    /// Sets a value durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn set(&self, name: &str, value: &[u8]) -> Result<(), StateError> {
        Ok(write(&self.connection(), name, value)?)
    }
}

fn read(from: &Connection, name: &str) -> Result<Option<Vec<u8>>, StateError> {
    let mut statement = from.prepare(&format!("{} WHERE name = ?", SETTING.select()))?;
    let found = statement
        .query_row([name], |row| Ok((is_whole(row, &SETTING)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((false, _)) => Err(StateError::Damaged {
            file: crate::STATE_FILE.to_owned(),
            reason: format!("the setting {name} is not what was written"),
        }),
        found => Ok(found.map(|(_, value)| value)),
    }
}

fn write(into: &Connection, name: &str, value: &[u8]) -> rusqlite::Result<()> {
    SETTING.put(into, vec![Value::Text(name.to_owned()), Value::Blob(value.to_vec())])
}

/// The key of this data folder, made at first.
pub(crate) fn audit_key(connection: &mut Connection) -> Result<Key, StateError> {
    match read(connection, AUDIT_KEY) {
        Ok(Some(key)) => {
            if let Ok(key) = key.try_into() {
                return Ok(key);
            }
        }
        Ok(None) => {}
        // It knows no name any more; a new one does from now on.
        Err(error @ StateError::Damaged { .. }) => {
            tracing::error!(%error, "earlier entries of the audit cannot be asked for by name any more");
        }
        // It may be there the next time, and must not be written over.
        Err(error) => return Err(error),
    }
    let key: Key = rand::random();
    write(connection, AUDIT_KEY, &key)?;
    Ok(key)
}
