//! Rows that carry a checksum: written, read, and taken over from a damaged file.

use std::path::Path;

use rusqlite::{
    Connection, OpenFlags, Row, params_from_iter,
    types::{Value, ValueRef},
};

use crate::{
    error::StateError,
    schema::{TABLES, Table},
};

/// CRC32C over columns in order, each with its type and length, so that nothing can move from one to
/// the next.
pub(crate) fn sum<'a>(columns: impl IntoIterator<Item = ValueRef<'a>>) -> u32 {
    columns.into_iter().fold(0, |crc, column| match column {
        ValueRef::Null => add(crc, 0, &[]),
        ValueRef::Integer(number) => add(crc, 1, &number.to_le_bytes()),
        ValueRef::Real(number) => add(crc, 2, &number.to_bits().to_le_bytes()),
        ValueRef::Text(text) => add(crc, 3, text),
        ValueRef::Blob(bytes) => add(crc, 4, bytes),
    })
}

fn add(crc: u32, kind: u8, bytes: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc, &[kind]);
    let crc = crc32c::crc32c_append(crc, &(bytes.len() as u64).to_le_bytes());
    crc32c::crc32c_append(crc, bytes)
}

/// Whether a row that was read with [`Table::select`] is what was written.
pub(crate) fn is_whole(row: &Row<'_>, table: &Table) -> rusqlite::Result<bool> {
    let columns: Vec<_> =
        (0..table.columns.len()).map(|at| row.get_ref(at)).collect::<rusqlite::Result<_>>()?;
    Ok(row.get_ref(table.columns.len())? == ValueRef::Integer(i64::from(sum(columns))))
}

/// Text as far as it is one, so that a damaged row does not hide the others.
pub(crate) fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(at)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        _ => None,
    })
}

/// A number where there is one, for the same reason.
pub(crate) fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<i64>> {
    Ok(row.get_ref(at)?.as_i64_or_null().ok().flatten())
}

impl Table {
    /// All columns, the sum last.
    pub(crate) fn select(&self) -> String {
        format!("SELECT {}, sum FROM {}", self.columns.join(", "), self.name)
    }

    /// Writes a row, or writes over the one with its key.
    pub(crate) fn put(&self, into: &Connection, values: Vec<Value>) -> rusqlite::Result<()> {
        let sum = sum(values.iter().map(ValueRef::from));
        let mut places = "?, ".repeat(values.len());
        places.push('?');
        let statement = format!(
            "INSERT OR REPLACE INTO {} ({}, sum) VALUES ({places})",
            self.name,
            self.columns.join(", "),
        );
        let values = values.into_iter().chain([Value::Integer(i64::from(sum))]);
        into.execute(&statement, params_from_iter(values))?;
        Ok(())
    }

    /// Counts the rows that are not what was written.
    pub(crate) fn damaged_rows(&self, in_: &Connection) -> rusqlite::Result<u64> {
        let mut statement = in_.prepare(&self.select())?;
        let mut rows = statement.query([])?;
        let mut damaged = 0;
        while let Some(row) = rows.next()? {
            damaged += u64::from(!is_whole(row, self)?);
        }
        Ok(damaged)
    }

    /// Copies rows in one order until one cannot be read. How many were whole and are new.
    fn copy(&self, from: &Connection, into: &Connection, order: &str) -> rusqlite::Result<u64> {
        let key = self.columns[0];
        let Ok(mut statement) = from.prepare(&format!("{} ORDER BY {key} {order}", self.select()))
        else {
            return Ok(0);
        };
        let Ok(mut rows) = statement.query([]) else { return Ok(0) };
        let is_known = format!("SELECT 1 FROM {} WHERE {key} = ?", self.name);
        let mut copied = 0;
        while let Ok(Some(row)) = rows.next() {
            if !is_whole(row, self).unwrap_or(false) {
                continue;
            }
            let values = (0..self.columns.len()).map(|at| row.get(at));
            let values: Vec<Value> = values.collect::<rusqlite::Result<_>>()?;
            if !into.prepare(&is_known)?.exists([&values[0]])? {
                self.put(into, values)?;
                copied += 1;
            }
        }
        Ok(copied)
    }
}

/// Takes what is whole from a damaged file: from the front until a page cannot be read, then from the
/// back. How many rows that was.
pub(crate) fn take_over(damaged: &Path, into: &mut Connection) -> Result<u64, StateError> {
    // Where nothing at all can be read, nothing is taken.
    let Ok(from) = Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_WRITE) else {
        return Ok(0);
    };
    let change = into.transaction()?;
    let mut taken = 0;
    for table in TABLES {
        taken += table.copy(&from, &change, "ASC")? + table.copy(&from, &change, "DESC")?;
    }
    change.commit()?;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_told_apart() {
        let sums = [
            sum([ValueRef::Text(b"ab"), ValueRef::Text(b"c")]),
            sum([ValueRef::Text(b"a"), ValueRef::Text(b"bc")]),
            sum([ValueRef::Text(b"abc"), ValueRef::Null]),
            sum([ValueRef::Text(b"abc")]),
            sum([ValueRef::Blob(b"abc")]),
            sum([ValueRef::Integer(1)]),
            sum([ValueRef::Integer(2)]),
        ];
        for (at, one) in sums.iter().enumerate() {
            assert!(!sums[at + 1..].contains(one), "{at}");
        }
    }
}
