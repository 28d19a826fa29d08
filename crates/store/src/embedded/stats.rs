//! How much there is of what, without reading a segment: the manifest knows.

use std::sync::{Arc, atomic::Ordering};

use andon_model::UnixNanos;
use serde::{Deserialize, Serialize};

use super::EmbeddedStore;
use crate::{
    hot::Hot,
    segment::{SegmentInfo, times_of},
    table::Table,
};

const TOTAL: &str = "total";

/// What the store holds, and what it takes on the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StoreStats {
    pub tables: Vec<TableStats>,
    /// All tables together.
    pub total: TableStats,
    pub log: LogStats,
    /// Damaged places that were found at the start, and failed attempts to read a file since.
    pub unreadable_files: u64,
}

/// One table, or all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TableStats {
    /// Its name, or `total`.
    pub table: String,
    pub segments: u64,
    /// Rows in segments.
    pub rows: u64,
    /// Size of the segments, and of the indexes of texts beside them.
    pub bytes: u64,
    /// Unknown without rows.
    pub bytes_per_row: Option<f64>,
    /// Rows that are in the log and not yet in a segment.
    pub rows_in_memory: u64,
    /// Time of the earliest and of the latest row, those in memory included; unknown without rows.
    #[schema(value_type = Option<u64>)]
    pub from_ns: Option<UnixNanos>,
    #[schema(value_type = Option<u64>)]
    pub to_ns: Option<UnixNanos>,
}

/// What is not yet in segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogStats {
    pub files: u64,
    pub bytes: u64,
}

impl TableStats {
    fn new(name: &str) -> Self {
        Self { table: name.to_owned(), ..Self::default() }
    }

    fn add_segment(&mut self, info: &SegmentInfo) {
        self.segments += 1;
        self.rows += info.rows;
        self.bytes += info.bytes + info.grams_bytes;
        self.include(info.from_ns, info.to_ns);
    }

    fn add_memory(&mut self, table: Table, hot: &Hot) {
        for batch in hot.batches(table) {
            self.rows_in_memory += batch.num_rows() as u64;
            for time in times_of(&batch, table.time_column()).into_iter().flatten().flatten() {
                self.include(time.unsigned_abs(), time.unsigned_abs());
            }
        }
        // Its rows are made when they are written.
        if table == Table::Traces {
            self.rows_in_memory = hot.traces.unsealed_traces();
        }
    }

    fn add_table(&mut self, table: &Self) {
        self.segments += table.segments;
        self.rows += table.rows;
        self.bytes += table.bytes;
        self.rows_in_memory += table.rows_in_memory;
        if let (Some(from_ns), Some(to_ns)) = (table.from_ns, table.to_ns) {
            self.include(from_ns, to_ns);
        }
    }

    fn include(&mut self, from_ns: UnixNanos, to_ns: UnixNanos) {
        self.from_ns = Some(self.from_ns.map_or(from_ns, |known| known.min(from_ns)));
        self.to_ns = Some(self.to_ns.map_or(to_ns, |known| known.max(to_ns)));
    }

    fn weigh(&mut self) {
        self.bytes_per_row = (self.rows > 0).then(|| self.bytes as f64 / self.rows as f64);
    }
}

impl EmbeddedStore {
    pub(super) fn count_up(&self) -> StoreStats {
        let mut tables = Table::ALL.map(|table| TableStats::new(table.name()));
        let segments = {
            let state = self.shared.read();
            for (stats, table) in tables.iter_mut().zip(Table::ALL) {
                stats.add_memory(table, &state.hot);
            }
            Arc::clone(&state.segments)
        };
        for segment in segments.iter() {
            tables[segment.info.table as usize].add_segment(&segment.info);
        }
        let mut total = TableStats::new(TOTAL);
        for stats in &mut tables {
            stats.weigh();
            total.add_table(stats);
        }
        total.weigh();
        let since_start = self.shared.unreadable.load(Ordering::Relaxed);
        StoreStats {
            tables: tables.to_vec(),
            total,
            log: LogStats { files: self.log.files_on_disk(), bytes: self.log.bytes_on_disk() },
            unreadable_files: since_start + self.replay.faults_total,
        }
    }
}
