//! What a question came to, and how it is written down.

use std::io::{self, Write};

use arrow::{
    array::RecordBatch, csv::WriterBuilder as CsvBuilder, datatypes::SchemaRef, error::ArrowError,
    json::ArrayWriter, util::pretty::pretty_format_batches,
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
                    writer.write(&empty).map_err(to_io)?;
                }
                self.batches.iter().try_for_each(|batch| writer.write(batch)).map_err(to_io)
            }
        }
    }
}

fn to_io(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}
