//! Where everything that Andon records is kept, and asked for.
//!
//! An append is acknowledged once it is on the disk, and visible to questions by then. It is in a
//! write-ahead log first, and later in segments, Parquet files. Nothing gets in here but what
//! `andon-privacy` has passed ([`Record::Spans`] takes a `Protected` batch).
//!
//! What a newcomer gets wrong: questions and [`Store::flush`] read and wait on the calling thread;
//! call them where blocking is allowed. [`Store::append`] does not wait, its [`Ack`] is a future.

mod ack;
mod aggregate;
mod calls;
mod config;
mod embedded;
mod error;
mod hot;
mod interrupt;
mod lock;
mod log;
mod machine;
mod matching;
mod query;
mod record;
mod report;
mod segment;
mod sql;
mod table;
mod tagged;
mod text;

use std::sync::Arc;

use andon_model::{
    Content, DeviceSample, Evaluation, HostSample, ModelEvent, ProcessSample, Span, TraceId,
    UnixNanos,
};
use serde::Serialize;
use tokio::sync::broadcast;

pub use ack::Ack;
pub use aggregate::{
    AggregateQuery, Aggregation, Dimension, Distribution, Figures, Group, HeatColumn, HeatMap,
    HeatMapQuery, Order, Point, Population,
};
pub use calls::CallQuery;
pub use config::{Config, Retention};
pub use embedded::{
    Copied, Damaged, EmbeddedStore, ExportFormat, Forget, Forgotten, LogStats, Repair, ScrubState,
    Selection, SetAside, StoreStats, TableStats, Verification, Wrong, backup, export, repair,
    restore, verify,
};
pub use error::StoreError;
pub use interrupt::{Interrupt, RaiseOnDrop};
pub use lock::{Holder, holder};
pub use machine::{DevicePoint, DeviceUse, Machine, MachineQuery, ProcessUse};
pub use query::{
    Cursor, CursorError, FacetCount, Facets, Filter, QueryError, TracePage, TraceQuery,
    TraceSummary,
};
pub use record::Record;
pub use report::{Fault, FaultKind, ReplayReport};
pub use sql::{Answer, Answering, Format, SqlError};
pub use table::Table;

const BUSY_STEP: std::time::Duration = std::time::Duration::from_millis(2);

/// A place for records, whatever engine is behind it.
pub trait Store: Send + Sync {
    /// Takes a record in without waiting. An error at once means that nothing of it was taken:
    /// [`StoreError::Busy`] when too much waits already, [`StoreError::Unavailable`] while the disk
    /// refuses. After an [`Ack`] that resolves to an error it may or may not be found later; sending
    /// the same ids again makes no duplicates.
    fn append(&self, record: Record) -> Result<Ack, StoreError>;

    /// Whether an append would be answered [`StoreError::Busy`] at present. Who has time asks this
    /// before trying again: a refused record is gone, and a copy for each try is dear.
    fn is_busy(&self) -> bool;

    /// Waits, on this thread, while appends are answered [`StoreError::Busy`].
    fn wait_while_busy(&self) {
        // Once at least: there may be room, and not enough of it for what was refused.
        std::thread::sleep(BUSY_STEP);
        while self.is_busy() {
            std::thread::sleep(BUSY_STEP);
        }
    }

    /// One page of the list, newest first.
    fn traces(&self, query: &TraceQuery) -> Result<TracePage, StoreError>;

    /// Everything about one trace; `None` when nothing is known of it.
    fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError>;

    /// Numbers about spans: how many, how long, what they used, told apart and over time.
    fn aggregate(&self, query: &AggregateQuery) -> Result<Aggregation, StoreError>;

    /// How many spans took how long, over time.
    fn heat_map(&self, query: &HeatMapQuery) -> Result<HeatMap, StoreError>;

    /// Answers a question in SQL, reading only; the tables are in `docs/query.md`.
    fn sql(&self, text: &str) -> Result<Answering, SqlError>;

    /// Samples of a whole machine from `from_ns` to `to_ns`, both included, oldest first; of the one that
    /// Andon runs on where no `host` is named. Long ranges are thinned.
    fn host_samples(
        &self,
        host: Option<&str>,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<HostSample>, StoreError>;

    /// Samples of processes, as [`Store::host_samples`].
    fn process_samples(
        &self,
        host: Option<&str>,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<ProcessSample>, StoreError>;

    /// Samples of the machine's parts, as [`Store::host_samples`]. Not each part is in each look, so
    /// what thinning leaves may lack some; [`Store::machine`] has them all.
    fn device_samples(
        &self,
        host: Option<&str>,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<DeviceSample>, StoreError>;

    /// What came into the runtimes' memory and left it from `from_ns` to `to_ns`, both included, oldest
    /// first; of more than 20,000 the newest.
    fn model_events(
        &self,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<ModelEvent>, StoreError>;

    /// The machine in steps of time, and what processes used; memory is that of the answer, whatever
    /// the length.
    fn machine(&self, query: &MachineQuery) -> Result<Machine, StoreError>;

    /// Hands out the calls to models that began in a time, in no order, each with what its time went to
    /// and its attributes; whether a file could not be read. Memory is that of a few thousand spans.
    fn visit_calls(
        &self,
        query: &CallQuery,
        take: &mut dyn FnMut(Span),
    ) -> Result<bool, StoreError>;

    /// Hears of traces that were added or changed, once they are durable and visible.
    fn subscribe(&self) -> broadcast::Receiver<Arc<[TraceId]>>;

    fn state(&self) -> StoreState;

    /// How much there is of what; counts the rows in memory one by one.
    fn stats(&self) -> StoreStats;

    /// Returns when everything that was appended before is durable.
    fn flush(&self) -> Result<(), StoreError>;

    /// As [`Store::flush`], and in files that other programs can read.
    fn seal(&self) -> Result<(), StoreError>;

    /// Removes everything of one user, session or trace that was appended before, and returns when
    /// it is in no file any more, or names the files where it may be. It is all or nothing: after an
    /// error or a crash either all of it is there or none. What is appended meanwhile stays, and so do
    /// backups. Appends go on, until memory is full.
    fn forget(&self, of: &Forget) -> Result<Forgotten, StoreError>;

    /// What [`Store::forget`] would remove now.
    fn preview_forget(&self, of: &Forget) -> Result<Forgotten, StoreError>;

    /// Writes what was taken in and refuses more. Questions still work.
    fn close(&self);
}

/// Everything about one trace.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Trace {
    pub trace_id: TraceId,
    /// In the order in which they began.
    pub spans: Vec<Span>,
    pub contents: Vec<Content>,
    pub evaluations: Vec<Evaluation>,
    /// Spans and texts beyond the limits of one answer.
    pub omitted: u64,
}

/// How the store is.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct StoreState {
    /// Whether appends are taken.
    pub healthy: bool,
    /// Why they are not, or what was damaged.
    pub message: Option<String>,
    pub spans: u64,
    pub traces: u64,
    pub bytes_on_disk: u64,
    /// When the oldest span began.
    #[schema(value_type = Option<u64>)]
    pub oldest_ns: Option<UnixNanos>,
    /// Records that wait to be written.
    pub pending: u64,
    /// Files that could not be read when they were asked for, since the start.
    pub unreadable_files: u64,
    /// What was found of the segments since, and before a restart.
    pub scrub: ScrubState,
    pub replay: ReplayReport,
}
