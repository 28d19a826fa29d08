//! The tables: which rows there are, how they look in Arrow and Parquet, and how they are sorted.
//!
//! A row's columns are named as the fields of its type in `andon-model`; the names are public, in
//! SQL and in the files. A column is only ever added.

mod codec;
mod row;

use std::sync::{Arc, LazyLock};

use andon_model::{Content, Evaluation, HostSample, ProcessSample, Span};
use arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};

pub(crate) use row::Row;

use crate::TraceSummary;

/// A kind of rows, and the folder of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Table {
    Spans,
    Contents,
    Evaluations,
    Traces,
    Hosts,
    Processes,
}

impl Table {
    pub(crate) const ALL: [Self; 6] = [
        Self::Spans,
        Self::Contents,
        Self::Evaluations,
        Self::Traces,
        Self::Hosts,
        Self::Processes,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Contents => "contents",
            Self::Evaluations => "evaluations",
            Self::Traces => "traces",
            Self::Hosts => "hosts",
            Self::Processes => "processes",
        }
    }

    pub(crate) fn schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; 6]> = LazyLock::new(|| {
            Table::ALL.map(|table| {
                let fields = match table {
                    Table::Spans => Span::fields(),
                    Table::Contents => Content::fields(),
                    Table::Evaluations => Evaluation::fields(),
                    Table::Traces => TraceSummary::fields(),
                    Table::Hosts => HostSample::fields(),
                    Table::Processes => ProcessSample::fields(),
                };
                Arc::new(Schema::new(fields))
            })
        });
        Arc::clone(&SCHEMAS[self as usize])
    }

    /// The column that says when a row was.
    pub(crate) fn time_column(self) -> &'static str {
        match self {
            Self::Spans | Self::Traces => "start_ns",
            Self::Contents | Self::Evaluations | Self::Hosts | Self::Processes => "time_ns",
        }
    }

    /// Rows of a file are in the order of these columns.
    pub(crate) fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::Spans => &["service", "start_ns"],
            Self::Traces => &["start_ns"],
            Self::Contents | Self::Evaluations | Self::Hosts | Self::Processes => &["time_ns"],
        }
    }

    /// Whether rows belong to a trace, and are looked for by its id.
    pub(crate) fn has_trace_id(self) -> bool {
        !matches!(self, Self::Hosts | Self::Processes)
    }
}
