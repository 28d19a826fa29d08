//! `andon store stats`.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write},
    process::ExitCode,
};

use andon_store::{Store, StoreStats, TableStats};
use anyhow::Context;

use super::args::{ReportFormat, StatsArgs};
use crate::{
    config::Config,
    running::{Reached, reach},
};

const UNKNOWN: &str = "-";
const HEAD: [&str; 8] =
    ["table", "segments", "rows", "in memory", "bytes", "bytes/row", "from", "to"];

pub(super) async fn run(args: StatsArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let format = args.format.unwrap_or(match std::io::stdout().is_terminal() {
        true => ReportFormat::Table,
        false => ReportFormat::Json,
    });
    let stats = match reach(&config).await? {
        Reached::Running(running) => {
            let answer = running.get("/api/v1/store").await?.into_answer()?;
            serde_json::from_slice(&answer).context("the running Andon is of another version")?
        }
        Reached::Folder(store) => store.stats(),
    };
    let text = match format {
        ReportFormat::Table => table(&stats),
        ReportFormat::Json => format!("{}\n", serde_json::to_string_pretty(&stats)?),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn table(stats: &StoreStats) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(stats.tables.iter().chain([&stats.total]).map(cells));
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (place, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[place].len()).max().unwrap_or(0);
            // Numbers are compared by their ends, words by their beginnings.
            let _ = match (1..6).contains(&place) {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:<width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let StoreStats { log, unreadable_files, .. } = stats;
    let _ = writeln!(text, "\nlog files: {} ({} bytes)", log.files, log.bytes);
    let _ = writeln!(text, "unreadable files: {unreadable_files}");
    text
}

fn cells(stats: &TableStats) -> [String; 8] {
    let time = |ns: Option<u64>| ns.map_or_else(|| UNKNOWN.to_owned(), rfc_3339);
    [
        stats.table.clone(),
        stats.segments.to_string(),
        stats.rows.to_string(),
        stats.rows_in_memory.to_string(),
        stats.bytes.to_string(),
        stats.bytes_per_row.map_or_else(|| UNKNOWN.to_owned(), |bytes| format!("{bytes:.1}")),
        time(stats.from_ns),
        time(stats.to_ns),
    ]
}

/// To the millisecond, in UTC.
pub(super) fn rfc_3339(ns: u64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(ns)) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use andon_store::LogStats;

    use super::*;

    #[test]
    fn a_table_lines_up_and_says_what_is_not_known() {
        let spans = TableStats {
            table: "spans".to_owned(),
            segments: 2,
            rows: 1_000,
            bytes: 48_500,
            bytes_per_row: Some(48.5),
            rows_in_memory: 7,
            from_ns: Some(1_500_000_000),
            to_ns: Some(1_700_000_000_000_000_000),
        };
        let hosts = TableStats { table: "hosts".to_owned(), ..TableStats::default() };
        let log = LogStats { files: 1, bytes: 32 };
        let total = TableStats { table: "total".to_owned(), ..spans.clone() };
        let stats = StoreStats { tables: vec![spans, hosts], total, log, unreadable_files: 3 };
        let expected = "\
table  segments  rows  in memory  bytes  bytes/row  from                      to
spans         2  1000          7  48500       48.5  1970-01-01T00:00:01.500Z  2023-11-14T22:13:20.000Z
hosts         0     0          0      0          -  -                         -
total         2  1000          7  48500       48.5  1970-01-01T00:00:01.500Z  2023-11-14T22:13:20.000Z

log files: 1 (32 bytes)
unreadable files: 3
";
        assert_eq!(table(&stats), expected);
    }
}
