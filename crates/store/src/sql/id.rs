//! Ids are bytes in the files and hex text in SQL.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, StringBuilder},
    datatypes::{DataType, FieldRef, Schema, SchemaRef},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    logical_expr::{
        BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDFImpl, Signature,
        Volatility, lit,
    },
};

/// The columns as SQL sees them.
pub(super) fn public_schema(stored: &Schema) -> SchemaRef {
    let public = |field: &FieldRef| {
        if is_id(field.data_type()) {
            Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8))
        } else {
            Arc::clone(field)
        }
    };
    Arc::new(Schema::new(stored.fields().iter().map(public).collect::<Vec<_>>()))
}

pub(super) fn is_id(kind: &DataType) -> bool {
    matches!(kind, DataType::FixedSizeBinary(_))
}

/// The filter as it is asked of the files; `None` where it can only be asked of the text.
pub(super) fn on_stored(filter: &Expr, stored: &Schema) -> Option<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else {
        return (!mentions_id(filter, stored)).then(|| filter.clone());
    };
    match op {
        Operator::And | Operator::Or => {
            let both = on_stored(left, stored).zip(on_stored(right, stored));
            both.map(|(left, right)| binary(left, *op, right))
        }
        Operator::Eq => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _))
            | (Expr::Literal(value, _), Expr::Column(column)) => {
                let field = stored.field_with_name(column.name()).ok()?;
                let DataType::FixedSizeBinary(bytes) = field.data_type() else {
                    return Some(filter.clone());
                };
                let id = parse_hex(value.try_as_str().flatten()?, *bytes)?;
                let id = lit(ScalarValue::FixedSizeBinary(*bytes, Some(id)));
                Some(binary(Expr::Column(column.clone()), Operator::Eq, id))
            }
            _ => (!mentions_id(filter, stored)).then(|| filter.clone()),
        },
        _ => (!mentions_id(filter, stored)).then(|| filter.clone()),
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })
}

fn mentions_id(filter: &Expr, stored: &Schema) -> bool {
    filter.column_refs().iter().any(|column| {
        stored.field_with_name(column.name()).is_ok_and(|field| is_id(field.data_type()))
    })
}

/// As many bytes as there should be, from lower-case digits as they are shown.
fn parse_hex(text: &str, bytes: i32) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    let parsed: Option<Vec<u8>> = pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect();
    parsed.filter(|parsed| parsed.len() == bytes as usize)
}

/// Makes the text of ids.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HexId {
    signature: Signature,
}

impl HexId {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for HexId {
    fn name(&self) -> &str {
        "hex_id"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let ids = arrays.first().and_then(|array| array.as_fixed_size_binary_opt());
        let Some(ids) = ids else { return exec_err!("hex_id takes an id's bytes") };
        let mut builder =
            StringBuilder::with_capacity(ids.len(), ids.len() * 2 * ids.value_length() as usize);
        let mut text = String::new();
        for id in ids {
            let Some(id) = id else {
                builder.append_null();
                continue;
            };
            text.clear();
            for byte in id {
                const DIGITS: [char; 16] = [
                    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
                ];
                text.push(DIGITS[usize::from(byte >> 4)]);
                text.push(DIGITS[usize::from(byte & 15)]);
            }
            builder.append_value(&text);
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish()) as ArrayRef))
    }
}
