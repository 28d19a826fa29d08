//! The tables: which rows there are, how they look in Arrow and Parquet, and how they are sorted.
//!
//! A row's columns are named as the fields of its type in `andon-model`; the names are public, in
//! SQL and in the files. A column is only ever added.

mod attribute;
mod codec;
mod row;

use std::sync::{Arc, LazyLock};

use andon_model::{
    Content, DeviceSample, Evaluation, HostSample, MetricPoint, ModelEvent, ProcessSample, Span,
};
use arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};

pub(crate) use attribute::unquoted;
pub(crate) use row::Row;

use crate::{TraceSummary, aggregate::Rollup};

/// A kind of rows, and the folder of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    Spans,
    Contents,
    Evaluations,
    Traces,
    Hosts,
    Processes,
    /// Hours of spans, added up.
    Rollups,
    Metrics,
    /// Parts of the machine: CPUs, GPUs, sensors, meters.
    Devices,
    /// What came into the runtimes' memory and left it.
    ModelEvents,
}

impl Table {
    pub const ALL: [Self; 10] = [
        Self::Spans,
        Self::Contents,
        Self::Evaluations,
        Self::Traces,
        Self::Hosts,
        Self::Processes,
        Self::Rollups,
        Self::Metrics,
        Self::Devices,
        Self::ModelEvents,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Contents => "contents",
            Self::Evaluations => "evaluations",
            Self::Traces => "traces",
            Self::Hosts => "hosts",
            Self::Processes => "processes",
            Self::Rollups => "rollups",
            Self::Metrics => "metrics",
            Self::Devices => "devices",
            Self::ModelEvents => "model_events",
        }
    }

    pub(crate) fn schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; 10]> = LazyLock::new(|| {
            Table::ALL.map(|table| {
                let fields = match table {
                    Table::Spans => Span::fields(),
                    Table::Contents => Content::fields(),
                    Table::Evaluations => Evaluation::fields(),
                    Table::Traces => TraceSummary::fields(),
                    Table::Hosts => HostSample::fields(),
                    Table::Processes => ProcessSample::fields(),
                    Table::Rollups => Rollup::fields(),
                    Table::Metrics => MetricPoint::fields(),
                    Table::Devices => DeviceSample::fields(),
                    Table::ModelEvents => ModelEvent::fields(),
                };
                Arc::new(Schema::new(fields))
            })
        });
        Arc::clone(&SCHEMAS[self as usize])
    }

    /// The column that says when a row was.
    pub(crate) fn time_column(self) -> &'static str {
        match self {
            Self::Spans | Self::Traces | Self::Rollups => "start_ns",
            Self::Contents
            | Self::Evaluations
            | Self::Hosts
            | Self::Processes
            | Self::Metrics
            | Self::Devices
            | Self::ModelEvents => "time_ns",
        }
    }

    /// Rows of a file are in the order of these columns.
    pub(crate) fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::Spans | Self::Rollups => &["service", "start_ns"],
            Self::Traces => &["start_ns"],
            // A curve is of one name.
            Self::Metrics => &["name", "time_ns"],
            Self::Contents
            | Self::Evaluations
            | Self::Hosts
            | Self::Processes
            | Self::Devices
            | Self::ModelEvents => &["time_ns"],
        }
    }

    /// Whether rows belong to a trace, and are looked for by its id.
    pub(crate) fn has_trace_id(self) -> bool {
        !matches!(
            self,
            Self::Hosts
                | Self::Processes
                | Self::Rollups
                | Self::Metrics
                | Self::Devices
                | Self::ModelEvents
        )
    }

    /// Whether people ask for it by its name; the others are made of these, and may change.
    pub(crate) fn is_public(self) -> bool {
        !matches!(self, Self::Traces | Self::Rollups)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use arrow::datatypes::DataType;

    use super::*;

    /// What docs/query.md calls a type.
    fn word(kind: &DataType) -> &'static str {
        match kind {
            DataType::FixedSizeBinary(_) => "id",
            DataType::Int64 => "integer",
            DataType::Float64 => "number",
            DataType::Boolean => "boolean",
            DataType::Utf8 | DataType::Dictionary(..) => "text",
            DataType::Map(..) => "map",
            other => panic!("a column of a kind that nobody has named: {other}"),
        }
    }

    /// Columns and types of a table, from the rows that begin with a name in backticks.
    fn documented(text: &str, table: Table) -> Vec<(&str, &str)> {
        let heading = format!("\n### {}\n", table.name());
        let section = text.split_once(&heading).map_or("", |(_, rest)| rest);
        let section = section.split("\n#").next().unwrap_or_default();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        rows.map(|(name, rest)| (name, rest.split(" |").next().unwrap_or_default())).collect()
    }

    #[test]
    fn docs_name_each_column_of_the_public_tables_with_its_type() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/query.md");
        let text = std::fs::read_to_string(path).unwrap();
        for table in Table::ALL.into_iter().filter(|table| table.is_public()) {
            let schema = table.schema();
            let fields = schema.fields().iter();
            let expected: Vec<_> =
                fields.map(|field| (field.name().as_str(), word(field.data_type()))).collect();
            assert_eq!(documented(&text, table), expected, "{}", table.name());
        }
        assert!(documented(&text, Table::Traces).is_empty());
        assert!(documented(&text, Table::Rollups).is_empty());
    }
}
