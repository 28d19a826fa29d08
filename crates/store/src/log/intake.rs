//! The bounded door of the log. Appending costs the caller an encoding and a short lock; the
//! writing happens on the log's own thread.

use std::{
    collections::VecDeque,
    mem,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{Files, Found, commit::Committer, frame};
use crate::{Ack, StoreError};

/// What the log is told at its start.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) name: &'static str,
    pub(crate) folder: PathBuf,
    pub(crate) commit_interval: Duration,
    pub(crate) commit_bytes: usize,
    pub(crate) prompt_commits: u32,
    pub(crate) pending_records: usize,
    pub(crate) pending_bytes: usize,
    pub(crate) record_bytes: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) retry_interval: Duration,
}

/// Who hears of what the log did, on the log's thread. Both say whether to close the file that is
/// being written to.
pub(crate) trait Sink<R>: Send {
    /// These are durable, in the file of this sequence or before it; they are acknowledged after
    /// this returns.
    fn committed(&mut self, records: Vec<R>, sequence: u64) -> bool;
    /// Nothing came for a while, or (`is_wanted`) somebody waits for all to leave the log.
    fn idle(&mut self, sequence: u64, is_wanted: bool) -> bool;
}

pub(crate) struct Log<R> {
    shared: Arc<Shared<R>>,
    record_bytes: usize,
    pending_records: usize,
    pending_bytes: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

pub(super) struct Shared<R> {
    pub(super) intake: Mutex<Intake<R>>,
    pub(super) arrived: Condvar,
    pub(super) bytes_on_disk: AtomicU64,
    pub(super) files_on_disk: AtomicU64,
    pub(super) oldest_ns: AtomicU64,
}

pub(super) struct Intake<R> {
    pub(super) queue: VecDeque<Pending<R>>,
    /// Memory that the waiting records take: unpacked and packed.
    pub(super) weight: usize,
    /// Bytes that they will take on disk.
    pub(super) bytes: usize,
    /// Somebody waits for everything: no more waiting for company.
    pub(super) urgent: bool,
    pub(super) closing: bool,
    /// Files with a sequence up to this are not needed any more.
    pub(super) released: u64,
    /// Why nothing can be written at present.
    pub(super) unavailable: Option<String>,
}

/// A record on its way. A barrier has neither frame nor record: it is acknowledged when everything
/// before it is.
pub(super) struct Pending<R> {
    pub(super) frame: Vec<u8>,
    pub(super) weight: usize,
    pub(super) record: Option<R>,
    /// A barrier after which the log is to be emptied into segments.
    pub(super) is_seal: bool,
    pub(super) ack: oneshot::Sender<Result<(), StoreError>>,
}

impl<R: Send + 'static> Log<R> {
    /// Goes on behind the files that were found, and not below `next_sequence`.
    pub(crate) fn start(
        options: Options,
        files: Box<dyn Files>,
        found: Vec<Found>,
        next_sequence: u64,
        sink: Box<dyn Sink<R>>,
    ) -> Result<Self, StoreError> {
        let intake = Intake {
            queue: VecDeque::new(),
            weight: 0,
            bytes: 0,
            urgent: false,
            closing: false,
            released: 0,
            unavailable: None,
        };
        let shared = Arc::new(Shared {
            intake: Mutex::new(intake),
            arrived: Condvar::new(),
            bytes_on_disk: AtomicU64::new(0),
            files_on_disk: AtomicU64::new(0),
            oldest_ns: AtomicU64::new(0),
        });
        let Options { record_bytes, pending_records, pending_bytes, .. } = options;
        let folder = options.folder.clone();
        let mut committer =
            Committer::new(options, files, found, next_sequence, sink, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name(committer.thread_name())
            .spawn(move || committer.run())
            .map_err(|error| StoreError::io("start the writer of", &folder, &error))?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared, record_bytes, pending_records, pending_bytes, thread })
    }

    pub(crate) fn append(&self, kind: u8, payload: &[u8], record: R) -> Result<Ack, StoreError> {
        if payload.len() > self.record_bytes {
            let (bytes, limit) = (payload.len(), self.record_bytes);
            return Err(StoreError::TooLarge { bytes, limit });
        }
        // Asked before the work of encoding, so that a flood is turned away cheaply.
        self.admit(&self.shared.lock(), payload.len())?;
        let frame = frame::encode(kind, payload);
        let weight = payload.len() + frame.len();
        let (ack, acknowledged) = oneshot::channel();
        let mut intake = self.shared.lock();
        self.admit(&intake, weight)?;
        intake.weight += weight;
        intake.bytes += frame.len();
        intake.queue.push_back(Pending {
            frame,
            weight,
            record: Some(record),
            is_seal: false,
            ack,
        });
        drop(intake);
        self.shared.arrived.notify_one();
        Ok(Ack::new(acknowledged))
    }

    /// An acknowledgement that comes when everything appended before is durable.
    pub(crate) fn flush(&self) -> Result<Ack, StoreError> {
        self.barrier(false)
    }

    /// As [`Self::flush`]; what is in the log by then is on its way into segments.
    pub(crate) fn seal(&self) -> Result<Ack, StoreError> {
        self.barrier(true)
    }

    /// Files with a sequence up to this are in segments, and may go.
    pub(crate) fn release(&self, through: u64) {
        let mut intake = self.shared.lock();
        intake.released = intake.released.max(through);
        drop(intake);
        self.shared.arrived.notify_one();
    }

    fn barrier(&self, is_seal: bool) -> Result<Ack, StoreError> {
        let (ack, acknowledged) = oneshot::channel();
        let mut intake = self.shared.lock();
        self.admit(&intake, 0)?;
        intake.urgent = true;
        let record = None;
        intake.queue.push_back(Pending { frame: Vec::new(), weight: 0, record, is_seal, ack });
        drop(intake);
        self.shared.arrived.notify_one();
        Ok(Ack::new(acknowledged))
    }

    /// Whether a record would be turned away for those that wait.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.admit(&self.shared.lock(), 0), Err(StoreError::Busy))
    }

    fn admit(&self, intake: &Intake<R>, weight: usize) -> Result<(), StoreError> {
        if intake.closing {
            return Err(StoreError::Closed);
        }
        if let Some(reason) = &intake.unavailable {
            return Err(StoreError::Unavailable { reason: reason.clone() });
        }
        let room = intake.queue.len() < self.pending_records
            && (intake.queue.is_empty() || intake.weight + weight <= self.pending_bytes);
        if room { Ok(()) } else { Err(StoreError::Busy) }
    }

    /// Why nothing can be written at present.
    pub(crate) fn unavailable(&self) -> Option<String> {
        self.shared.lock().unavailable.clone()
    }

    pub(crate) fn pending(&self) -> usize {
        self.shared.lock().queue.len()
    }

    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.shared.bytes_on_disk.load(Ordering::Relaxed)
    }

    pub(crate) fn files_on_disk(&self) -> u64 {
        self.shared.files_on_disk.load(Ordering::Relaxed)
    }

    /// When the oldest file was begun; `None` while there is none.
    pub(crate) fn oldest_ns(&self) -> Option<u64> {
        Some(self.shared.oldest_ns.load(Ordering::Relaxed)).filter(|oldest| *oldest > 0)
    }

    /// Writes what was taken in, then ends the thread. Later appends are refused.
    pub(crate) fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.arrived.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the log's writer ended with a panic");
        }
    }
}

impl<R> Drop for Log<R> {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.arrived.notify_all();
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the writer was already logged by its guard.
            let _ = thread.join();
        }
    }
}

impl<R> Shared<R> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Intake<R>> {
        // Every change under this lock is whole before the next call that could panic.
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Intake<R> {
    /// The next commit: as many records as fit into `bytes`, at least one.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<Pending<R>> {
        let mut taken = Vec::new();
        let mut taken_bytes = 0;
        while let Some(next) = self.queue.front() {
            if taken_bytes > 0 && taken_bytes + next.frame.len() > bytes {
                break;
            }
            taken_bytes += next.frame.len();
            self.weight -= next.weight;
            taken.extend(self.queue.pop_front());
        }
        self.bytes -= taken_bytes;
        if self.queue.is_empty() {
            self.urgent = false;
        }
        taken
    }

    pub(super) fn take_all(&mut self) -> Vec<Pending<R>> {
        self.weight = 0;
        self.bytes = 0;
        self.urgent = false;
        mem::take(&mut self.queue).into()
    }
}
