//! The store inside Andon's own process.
//!
//! What comes in is written to the log, taken into memory, and acknowledged. When memory has enough
//! of it, it is written out as segments; the log files that held it go after that. An answer is made
//! of what is in memory and what is in segments; both change together, under one lock.

mod aggregate;
mod aside;
mod background;
mod backup;
mod calls;
mod commit;
mod compact;
mod counted;
mod export;
mod forget;
mod known;
mod list;
mod machine;
mod open;
mod parallel;
mod repair;
mod retain;
mod retrace;
mod rollups;
mod samples;
mod scrub;
mod seal;
mod segments;
mod stats;
mod trace;
mod verify;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use andon_model::{DeviceSample, HostSample, ModelEvent, ProcessSample, Span, TraceId, UnixNanos};
use tokio::sync::broadcast;

use self::{
    background::Background, counted::Counted, scrub::Scrub, seal::Sealer, segments::SharedSegments,
};
pub use self::{
    backup::{Copied, backup, restore},
    export::{ExportFormat, Selection, export},
    forget::{Forget, Forgotten},
    repair::{Repair, SetAside, repair},
    scrub::ScrubState,
    stats::{LogStats, StoreStats, TableStats},
    verify::{Damaged, Verification, Wrong, verify},
};
use crate::{
    Ack, AggregateQuery, Aggregation, Answering, CallQuery, Config, HeatMap, HeatMapQuery, Machine,
    MachineQuery, Record, ReplayReport, SqlError, Store, StoreError, StoreState, Trace, TracePage,
    TraceQuery,
    hot::Hot,
    lock::FolderLock,
    log::Log,
    record::Stored,
    segment::Segment,
    sql::{Snapshot, Sql},
    table::Table,
};

/// Changes that a slow subscriber may be behind before it misses some.
const CHANGES_KEPT: usize = 256;
/// Memory may hold so many times what makes a generation full, while segments are being written;
/// then appends are answered `Busy`.
const HOT_GENERATIONS: usize = 3;

/// The one engine of a single machine. Everything it holds ends with it: the log is written out
/// when it is dropped.
pub struct EmbeddedStore {
    log: Arc<Log<Stored>>,
    sealer: Sealer,
    compactor: Background,
    scrub: Arc<Scrub>,
    scrubber: Background,
    segments: SharedSegments,
    sql: Sql,
    shared: Arc<Shared>,
    replay: ReplayReport,
    /// Dropped last: nobody else may open the folder before the log is written out.
    lock: FolderLock,
}

/// What the log's thread, the sealer and questions share.
struct Shared {
    config: Config,
    state: RwLock<State>,
    /// Held while rows come in or move into segments, so that neither sees the other half done.
    turn: Mutex<()>,
    changes: broadcast::Sender<Arc<[TraceId]>>,
    hot_bytes: AtomicUsize,
    /// Files that could not be read when they were asked for.
    unreadable: AtomicU64,
    counted: Counted,
}

/// Every row that counts, each in one place.
struct State {
    hot: Hot,
    segments: Arc<Vec<Arc<Segment>>>,
    /// Whether there are rollups of all spans in segments.
    has_rollups: bool,
}

impl Store for EmbeddedStore {
    fn append(&self, record: Record) -> Result<Ack, StoreError> {
        if record.is_empty() {
            return Ok(Ack::done());
        }
        if !self.memory_has_room() {
            return Err(match self.sealer.failure() {
                Some(reason) => StoreError::Unavailable { reason },
                None => StoreError::Busy,
            });
        }
        let (kind, payload) = (record.kind(), record.encode()?);
        self.log.append(kind, &payload, record.into())
    }

    fn is_busy(&self) -> bool {
        !self.memory_has_room() && self.sealer.failure().is_none() || self.log.is_busy()
    }

    fn traces(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        self.shared.page(query)
    }

    fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        self.shared.trace(id)
    }

    fn aggregate(&self, query: &AggregateQuery) -> Result<Aggregation, StoreError> {
        self.shared.aggregate(query)
    }

    fn heat_map(&self, query: &HeatMapQuery) -> Result<HeatMap, StoreError> {
        self.shared.heat_map(query)
    }

    fn sql(&self, text: &str) -> Result<Answering, SqlError> {
        self.sql.ask(text)
    }

    fn host_samples(
        &self,
        host: Option<&str>,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<HostSample>, StoreError> {
        self.shared.samples(host, from_ns, to_ns)
    }

    fn process_samples(
        &self,
        host: Option<&str>,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<ProcessSample>, StoreError> {
        self.shared.samples(host, from_ns, to_ns)
    }

    fn device_samples(
        &self,
        host: Option<&str>,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<DeviceSample>, StoreError> {
        self.shared.samples(host, from_ns, to_ns)
    }

    fn model_events(
        &self,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<ModelEvent>, StoreError> {
        self.shared.model_events(from_ns, to_ns)
    }

    fn machine(&self, query: &MachineQuery) -> Result<Machine, StoreError> {
        self.shared.machine(query)
    }

    fn visit_calls(
        &self,
        query: &CallQuery,
        take: &mut dyn FnMut(Span),
    ) -> Result<bool, StoreError> {
        self.shared.visit_calls(query, take)
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<[TraceId]>> {
        self.shared.changes.subscribe()
    }

    fn state(&self) -> StoreState {
        let refusal = self.log.unavailable().or_else(|| self.sealer.failure());
        let (spans, traces, segments) = {
            let state = self.shared.read();
            let (spans, traces) = (state.hot.spans(), state.hot.traces.unsealed_traces());
            (spans, traces, Arc::clone(&state.segments))
        };
        let rows = |table| -> u64 {
            let of_table = segments.iter().filter(|segment| segment.info.table == table);
            of_table.map(|segment| segment.info.rows).sum()
        };
        let size = |segment: &Arc<Segment>| segment.info.bytes + segment.info.grams_bytes;
        let segment_bytes: u64 = segments.iter().map(size).sum();
        let oldest_segment = segments
            .iter()
            .filter(|segment| segment.info.table == Table::Spans)
            .map(|segment| segment.info.from_ns)
            .min();
        StoreState {
            healthy: refusal.is_none(),
            message: refusal.or_else(|| self.damage()),
            spans: spans + rows(Table::Spans),
            traces: traces + rows(Table::Traces),
            bytes_on_disk: self.log.bytes_on_disk() + segment_bytes,
            oldest_ns: oldest_segment.or(self.log.oldest_ns()),
            pending: self.log.pending() as u64,
            unreadable_files: self.shared.unreadable.load(Ordering::Relaxed),
            scrub: self.scrub.state(),
            replay: self.replay.clone(),
        }
    }

    fn stats(&self) -> StoreStats {
        self.count_up()
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.log.flush()?.wait()
    }

    fn seal(&self) -> Result<(), StoreError> {
        // While a generation is on its way, the next one is not begun: what came in meanwhile takes a
        // second turn.
        for _ in 0..2 {
            self.log.seal()?.wait()?;
            self.sealer.settle()?;
        }
        Ok(())
    }

    fn forget(&self, of: &Forget) -> Result<Forgotten, StoreError> {
        self.remove_all_of(of)
    }

    fn preview_forget(&self, of: &Forget) -> Result<Forgotten, StoreError> {
        self.count_all_of(of)
    }

    fn close(&self) {
        self.log.close();
        self.compactor.stop();
        self.scrubber.stop();
        self.sealer.stop();
    }
}

impl EmbeddedStore {
    /// Says for other commands where this process can be asked, as host:port.
    pub fn announce(&self, address: &str) {
        self.lock.announce(address);
    }

    fn memory_has_room(&self) -> bool {
        let most = self.shared.config.hot_bytes.saturating_mul(HOT_GENERATIONS);
        self.shared.hot_bytes.load(Ordering::Relaxed) <= most
    }

    /// Merges small segments now, as if all days were over, on this thread and without giving way.
    pub fn compact(&self) {
        let late = || UnixNanos::MAX;
        if let Err(error) = rollups::complete(&self.shared, &self.segments, &mut |_| false) {
            tracing::warn!(%error, "cannot make rollups");
        }
        compact::compact(&self.shared, &self.segments, late, &mut |_| false);
    }

    /// Reads all segments now, on this thread and without giving way; what is damaged is left out.
    pub fn scrub(&self) {
        self.scrub.all();
    }

    fn damage(&self) -> Option<String> {
        let damaged = self.replay.faults_total;
        if damaged > 0 {
            return Some(format!("{damaged} damaged places were found in the store at the start"));
        }
        let files = self.scrub.state().damaged;
        let first = files.first()?;
        Some(format!("{} damaged files were found, {first} among them", files.len()))
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

// A panic while one of these was held is a bug elsewhere; what is in the state stays usable.
impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self, table: Table) -> Snapshot {
        let state = self.read();
        Snapshot { hot: state.hot.batches(table), segments: Arc::clone(&state.segments) }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment that cannot be read is left out of an answer, and counted.
    fn note_unreadable(&self, error: &StoreError) {
        tracing::error!(%error, "a segment is left out of an answer");
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
