//! What a question came to, and how it is written down.

use std::{
    io::{self, Write},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, RecordBatch, StringBuilder},
    csv::WriterBuilder as CsvBuilder,
    datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
    error::ArrowError,
    json::{ArrayWriter, EncoderOptions, writer::make_encoder},
    util::pretty::pretty_format_batches,
};

/// The ways to write an answer down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, in a terminal.
    Table,
    /// One array of objects.
    Json,
    /// With a line of names first (RFC 4180).
    Csv,
}

/// Rows of one question.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
    /// There were more rows than the limit.
    pub is_partial: bool,
}

impl Answer {
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    pub fn write(&self, format: Format, mut to: impl Write) -> io::Result<()> {
        match format {
            Format::Table => {
                // Without rows the names are shown all the same.
                let empty = [RecordBatch::new_empty(SchemaRef::clone(&self.schema))];
                let batches = if self.batches.is_empty() { &empty } else { &self.batches[..] };
                writeln!(to, "{}", pretty_format_batches(batches).map_err(to_io)?)
            }
            Format::Json => {
                let mut writer = ArrayWriter::new(to);
                let batches: Vec<_> = self.batches.iter().collect();
                writer.write_batches(&batches).and_then(|()| writer.finish()).map_err(to_io)
            }
            Format::Csv => {
                let mut writer = CsvBuilder::new().with_header(true).build(to);
                if self.batches.is_empty() {
                    let empty = RecordBatch::new_empty(SchemaRef::clone(&self.schema));
                    writer.write(&flat(&empty).map_err(to_io)?).map_err(to_io)?;
                }
                for batch in &self.batches {
                    writer.write(&flat(batch).map_err(to_io)?).map_err(to_io)?;
                }
                Ok(())
            }
        }
    }
}

/// Attributes and lists, which CSV has no form for, as JSON in one field.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if column.data_type().is_nested() {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(as_json(field, column)?);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn as_json(field: &FieldRef, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = EncoderOptions::default();
    let mut encoder = make_encoder(field, column, &options)?;
    let mut builder = StringBuilder::new();
    let mut bytes = Vec::new();
    for row in 0..column.len() {
        bytes.clear();
        if encoder.is_null(row) {
            builder.append_null();
            continue;
        }
        encoder.encode(row, &mut bytes);
        builder.append_value(String::from_utf8_lossy(&bytes));
    }
    Ok(Arc::new(builder.finish()))
}

fn to_io(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}
