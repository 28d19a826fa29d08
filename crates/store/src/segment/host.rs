//! Which samples are of which machine.

use std::borrow::Cow;

use arrow::{
    array::{Array, BooleanArray, RecordBatch},
    compute::filter_record_batch,
};

use crate::matching::rows_where;

pub(crate) const HOST: &str = "host";

/// For each row whether it is of that machine, of the one that Andon runs on where none is named; `None`
/// where all are.
pub(crate) fn rows_of_host(batch: &RecordBatch, host: Option<&str>) -> Option<BooleanArray> {
    let Some(host) = host else {
        let column =
            batch.column_by_name(HOST).filter(|column| column.null_count() < column.len())?;
        return Some((0..column.len()).map(|row| Some(column.is_null(row))).collect());
    };
    Some(rows_where(batch, HOST, |name| name == host).into())
}

/// The rows of that machine.
pub(crate) fn of_host<'a>(batch: &'a RecordBatch, host: Option<&str>) -> Cow<'a, RecordBatch> {
    let filtered = rows_of_host(batch, host).map(|rows| filter_record_batch(batch, &rows));
    match filtered {
        None => Cow::Borrowed(batch),
        // Rows and their mask are of one length.
        Some(filtered) => Cow::Owned(filtered.unwrap_or_else(|_| batch.slice(0, 0))),
    }
}
