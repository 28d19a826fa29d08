//! The store inside Andon's own process: two logs in the data folder, and an index in memory.
//!
//! Traces and samples have a log each, because a machine's samples would otherwise push its traces
//! off the disk: each log removes its oldest files by a size of its own.

mod open;
mod read;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use andon_model::{HostSample, ProcessSample, TraceId, UnixNanos};
use tokio::sync::broadcast;

use crate::{
    Ack, Config, Record, ReplayReport, Store, StoreError, StoreState, Trace, TracePage, TraceQuery,
    index::{Pass, SampleIndex, TraceIndex},
    lock::FolderLock,
    log::{Log, Position, Sink},
    record::Stored,
};

/// Changes that a slow subscriber may be behind before it misses some.
const CHANGES_KEPT: usize = 256;

/// The one engine of a single machine. Everything it holds ends with it: the logs are written out
/// when it is dropped.
pub struct EmbeddedStore {
    config: Config,
    log_folder: PathBuf,
    sample_folder: PathBuf,
    log: Log<Stored>,
    sample_log: Log<Stored>,
    traces: Arc<RwLock<TraceIndex>>,
    samples: Arc<RwLock<SampleIndex>>,
    changes: broadcast::Sender<Arc<[TraceId]>>,
    replay: ReplayReport,
    unreadable: AtomicU64,
    /// One search through old files at a time.
    search: Mutex<()>,
    /// Dropped last: nobody else may open the folder before the logs are written out.
    _lock: FolderLock,
}

impl Store for EmbeddedStore {
    fn append(&self, record: Record) -> Result<Ack, StoreError> {
        if record.is_empty() {
            return Ok(Ack::done());
        }
        let (kind, payload) = (record.kind(), record.encode()?);
        let log = if record.is_sample() { &self.sample_log } else { &self.log };
        log.append(kind, &payload, record.into())
    }

    fn traces(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        Ok(read_lock(&self.traces).page(query))
    }

    fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        self.read_trace(id)
    }

    fn host_samples(
        &self,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<HostSample>, StoreError> {
        self.read_samples(from_ns, to_ns, |stored| match stored {
            Stored::Host(samples) => samples,
            _ => Vec::new(),
        })
    }

    fn process_samples(
        &self,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<ProcessSample>, StoreError> {
        self.read_samples(from_ns, to_ns, |stored| match stored {
            Stored::Processes(samples) => samples,
            _ => Vec::new(),
        })
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<[TraceId]>> {
        self.changes.subscribe()
    }

    fn state(&self) -> StoreState {
        let refusal = self.log.unavailable().or_else(|| self.sample_log.unavailable());
        let (spans, traces) = {
            let index = read_lock(&self.traces);
            (index.spans(), index.traces())
        };
        StoreState {
            healthy: refusal.is_none(),
            message: refusal.or_else(|| self.damage()),
            spans,
            traces,
            bytes_on_disk: self.log.bytes_on_disk() + self.sample_log.bytes_on_disk(),
            oldest_ns: self.log.oldest_ns(),
            pending: (self.log.pending() + self.sample_log.pending()) as u64,
            unreadable_frames: self.unreadable.load(Ordering::Relaxed),
            replay: self.replay.clone(),
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        let (log, samples) = (self.log.flush()?, self.sample_log.flush()?);
        log.wait().and(samples.wait())
    }

    fn close(&self) {
        self.log.close();
        self.sample_log.close();
    }
}

impl EmbeddedStore {
    fn damage(&self) -> Option<String> {
        let damaged = self.replay.faults_total;
        (damaged > 0)
            .then(|| format!("{damaged} damaged places were found in the log at the start"))
    }
}

/// Puts committed records into the list and tells subscribers.
struct TraceSink {
    index: Arc<RwLock<TraceIndex>>,
    changes: broadcast::Sender<Arc<[TraceId]>>,
}

impl Sink<Stored> for TraceSink {
    fn committed(&mut self, records: Vec<(Position, Stored)>) {
        let mut changed = Vec::new();
        let mut index = write_lock(&self.index);
        for (at, stored) in &records {
            changed.extend(index.apply(*at, stored, Pass::All));
        }
        drop(index);
        changed.sort_unstable();
        changed.dedup();
        if !changed.is_empty() {
            // An error says that nobody listens.
            let _ = self.changes.send(changed.into());
        }
    }

    fn removed(&mut self, before: u64) {
        write_lock(&self.index).removed(before);
    }
}

struct SampleSink(Arc<RwLock<SampleIndex>>);

impl Sink<Stored> for SampleSink {
    fn committed(&mut self, records: Vec<(Position, Stored)>) {
        let mut index = write_lock(&self.0);
        records.iter().for_each(|(at, stored)| add_samples(&mut index, *at, stored));
    }

    fn removed(&mut self, before: u64) {
        write_lock(&self.0).removed(before);
    }
}

fn add_samples(index: &mut SampleIndex, at: Position, stored: &Stored) {
    match stored {
        Stored::Host(samples) => index.add(at, samples.iter().map(|sample| sample.time_ns)),
        Stored::Processes(samples) => index.add(at, samples.iter().map(|sample| sample.time_ns)),
        Stored::Spans(_) | Stored::Evaluations(_) => {}
    }
}

// A panic while one of these was held is a bug elsewhere; what is in the index stays usable.
fn read_lock<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write_lock<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
