//! Functions of which a short call makes gigabytes, within bounds.
//!
//! DataFusion counts the memory of sorts, groups and joins, but not that of a single value, and it
//! works constants out while it plans, where no time limit reaches.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::{cast, kernels::length::length},
    datatypes::{DataType, Int64Type},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature},
};

use super::BATCH_ROWS;

/// Functions whose second argument says how much they make.
pub(super) const NAMES: [&str; 3] = ["repeat", "lpad", "rpad"];
/// Bytes that one of them may make of one batch of rows.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// The longest that a character is in UTF-8.
const CHARACTER_BYTES: u64 = 4;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounded {
    inner: Arc<ScalarUDF>,
}

impl Bounded {
    pub(super) fn new(inner: Arc<ScalarUDF>) -> Self {
        Self { inner }
    }

    /// Bytes of what would be made, at most.
    fn makes(&self, arguments: &ScalarFunctionArgs) -> Result<u64> {
        let [text, times, ..] = arguments.args.as_slice() else { return Ok(0) };
        let unit: ArrayRef = match self.name() {
            "repeat" => length(&one_or_all(text)?)?,
            _ => Arc::new(arrow::array::UInt64Array::from(vec![CHARACTER_BYTES])),
        };
        let (unit, times) = (cast(&unit, &DataType::Int64)?, one_or_all(times)?);
        let times = cast(&times, &DataType::Int64)?;
        let rows = unit.len().max(times.len());
        let at = |array: &ArrayRef, row: usize| {
            let row = if array.len() == 1 { 0 } else { row };
            let known = row < array.len() && array.is_valid(row);
            let value = known.then(|| array.as_primitive::<Int64Type>().value(row));
            value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
        };
        let made = (0..rows)
            .map(|row| at(&unit, row).saturating_mul(at(&times, row)))
            .fold(0, u64::saturating_add);
        // One value for all rows: it stands in each of them later.
        let copies = if rows == 1 { BATCH_ROWS as u64 } else { 1 };
        Ok(made.saturating_mul(copies))
    }
}

fn one_or_all(value: &ColumnarValue) -> Result<ArrayRef> {
    match value {
        ColumnarValue::Array(array) => Ok(Arc::clone(array)),
        ColumnarValue::Scalar(scalar) => scalar.to_array(),
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.makes(&arguments)? > MOST_BYTES {
            return exec_err!("{} would make more text than a question may", self.name());
        }
        self.inner.invoke_with_args(arguments)
    }
}
