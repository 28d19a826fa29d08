//! From memory into segments, on a thread of its own.
//!
//! Files are written first, then the manifest that makes them count, then memory lets go of the
//! rows and the log of its files. A crash between any two of these loses nothing and doubles
//! nothing: what is in no manifest is removed at the next start, and the log up to `log_through` is
//! not read again.

use std::{
    collections::{BTreeMap, HashSet},
    panic::resume_unwind,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use andon_model::{Span, TraceId, UnixNanos};
use andon_privacy::SpanBatch;
use arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::Int64Type,
};

use super::{
    Shared,
    segments::{Change, Segments, SharedSegments, lock},
};
use crate::{
    BUSY_STEP, StoreError, TraceSummary,
    ack::Ack,
    aggregate::{Rolling, Rollup},
    hot::{Frozen, Rows, Superseded},
    log::Log,
    record::{Stored, encode_spans, kind},
    segment::{Origin, Segment, SegmentInfo, Sorted, Visit, Writer},
    table::{Row, Table},
};

/// How often segments are looked at for their age when nothing else happens.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
pub(super) const DAY_NS: u64 = 24 * 60 * 60 * 1_000_000_000;
/// Days that one generation is split into; rows of odd times beyond share a file.
const MOST_DAYS: usize = 8;

/// A frozen generation, and the log files that hold it.
struct Job {
    frozen: Frozen,
    log_through: u64,
}

enum Next {
    Seal(Job),
    /// Nothing came for a while.
    Look,
    Stop,
}

/// What waits for the sealer. There is at most one generation on its way.
#[derive(Default)]
pub(super) struct Jobs {
    board: Mutex<Board>,
    changed: Condvar,
}

#[derive(Default)]
struct Board {
    job: Option<Job>,
    is_busy: bool,
    is_stopping: bool,
    failure: Option<String>,
}

impl Jobs {
    pub(super) fn give(&self, frozen: Frozen, log_through: u64) {
        self.lock().job = Some(Job { frozen, log_through });
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Next {
        let idle = |board: &mut Board| !board.is_stopping && board.job.is_none();
        let waited = self.changed.wait_timeout_while(self.lock(), HOUSEKEEPING, idle);
        let mut board = waited.unwrap_or_else(PoisonError::into_inner).0;
        if board.is_stopping {
            return Next::Stop;
        }
        match board.job.take() {
            Some(job) => {
                board.is_busy = true;
                Next::Seal(job)
            }
            None => Next::Look,
        }
    }

    fn done(&self) {
        let mut board = self.lock();
        (board.is_busy, board.failure) = (false, None);
        drop(board);
        self.changed.notify_all();
    }

    /// Waits before another try; `false` when there is to be none.
    fn failed(&self, error: &StoreError, wait: Duration) -> bool {
        tracing::error!(%error, "cannot write segments; trying again");
        let mut board = self.lock();
        board.failure = Some(error.to_string());
        self.changed.notify_all();
        let stopping = |board: &mut Board| !board.is_stopping;
        let waited = self.changed.wait_timeout_while(board, wait, stopping);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_stopping
    }
}

/// The thread, and how it is asked.
pub(super) struct Sealer {
    jobs: Arc<Jobs>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Sealer {
    pub(super) fn start(
        jobs: Arc<Jobs>,
        shared: Arc<Shared>,
        log: Arc<Log<Stored>>,
        segments: SharedSegments,
    ) -> Result<Self, StoreError> {
        let (waiting, retry) = (Arc::clone(&jobs), shared.config.retry_interval);
        let folder = lock(&segments).folder.clone();
        let run = move || {
            loop {
                let mut job = match waiting.next() {
                    Next::Seal(job) => job,
                    Next::Look => {
                        lock(&segments).retain(&shared);
                        continue;
                    }
                    Next::Stop => return,
                };
                let mut move_on = || {
                    log_again(&log, &mut job.frozen.carried)?;
                    lock(&segments).seal(&shared, &job.frozen.rows, job.log_through)
                };
                while let Err(error) = move_on() {
                    if !waiting.failed(&error, retry) {
                        return;
                    }
                }
                log.release(job.log_through);
                lock(&segments).retain(&shared);
                waiting.done();
                drop(job);
                andon_memory::give_back();
            }
        };
        let thread = thread::Builder::new()
            .name("andon-seal".to_owned())
            .spawn(run)
            .map_err(|error| StoreError::io("start the sealer of", &folder, &error))?;
        Ok(Self { jobs, thread: Mutex::new(Some(thread)) })
    }

    /// Why segments cannot be written at present.
    pub(super) fn failure(&self) -> Option<String> {
        self.jobs.lock().failure.clone()
    }

    /// Returns when nothing is on its way into segments.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        let busy = |board: &mut Board| {
            (board.is_busy || board.job.is_some()) && board.failure.is_none() && !board.is_stopping
        };
        let board = self.jobs.changed.wait_while(self.jobs.lock(), busy);
        match board.unwrap_or_else(PoisonError::into_inner).failure.clone() {
            Some(reason) => Err(StoreError::Unavailable { reason }),
            None => Ok(()),
        }
    }

    /// Ends the thread after what it is at; the log keeps what was not sealed.
    pub(super) fn stop(&self) {
        self.jobs.lock().is_stopping = true;
        self.jobs.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the sealer ended with a panic");
        }
    }
}

/// Writes what a generation left to the next to the log once more, since its own files are about to go.
/// Nothing is left to be written where this went well.
fn log_again(log: &Log<Stored>, carried: &mut Vec<SpanBatch>) -> Result<(), StoreError> {
    let mut acks = Vec::with_capacity(carried.len());
    for piece in &*carried {
        let payload = encode_spans(piece)?;
        loop {
            match log.append(kind::CARRIED, &payload, Stored::Carried(piece.clone())) {
                // All others are asked to come again, too.
                Err(StoreError::Busy) => thread::sleep(BUSY_STEP),
                taken => break acks.push(taken?),
            }
        }
    }
    acks.into_iter().try_for_each(Ack::wait)?;
    carried.clear();
    Ok(())
}

impl Segments {
    /// Moves the frozen generation into segments.
    pub(super) fn seal(
        &mut self,
        shared: &Shared,
        rows: &Rows,
        log_through: u64,
    ) -> Result<(), StoreError> {
        let (superseded, before) = {
            let mut state = shared.write();
            (state.hot.traces.seal(rows.generation), Arc::clone(&state.segments))
        };
        let mut sealing = Sealing {
            folder: &self.folder,
            log_through,
            created_ns: Span::now_ns(),
            next_id: AtomicU64::new(self.manifest.next_id),
            added: Mutex::default(),
            retired: HashSet::new(),
        };
        let written = sealing.add_generation(rows, &superseded, &before);
        let Sealing { next_id, added, retired, .. } = sealing;
        self.manifest.next_id = next_id.into_inner();
        let added = added.into_inner().unwrap_or_else(PoisonError::into_inner);
        let change = Change { added, retired, ..Change::default() };
        if let Err(error) = written {
            self.take_back(&change);
            return Err(error);
        }
        self.record(&change, log_through)?;
        let _turn = shared.turn();
        let mut state = shared.write();
        self.show(&mut state, change);
        state.hot.sealed();
        shared.hot_bytes.store(state.hot.bytes(), Ordering::Relaxed);
        Ok(())
    }
}

/// A generation that is being written, to count all at once.
struct Sealing<'a> {
    folder: &'a Path,
    log_through: u64,
    created_ns: UnixNanos,
    next_id: AtomicU64,
    added: Mutex<Vec<SegmentInfo>>,
    retired: HashSet<u64>,
}

impl Sealing<'_> {
    fn add_generation(
        &mut self,
        rows: &Rows,
        superseded: &Superseded,
        before: &[Arc<Segment>],
    ) -> Result<(), StoreError> {
        // Texts take about as long as all else, because of their index.
        let write_texts = || self.add(Table::Contents, &rows.batches(Table::Contents));
        let (texts, others) = thread::scope(|scope| {
            let builder = thread::Builder::new().name("andon-seal-2".to_owned());
            // Where there can be no thread, this one does its part.
            let beside = builder.spawn_scoped(scope, write_texts).ok();
            let others = self.add_others(rows, superseded);
            let joined = beside.map(|thread| thread.join().unwrap_or_else(|p| resume_unwind(p)));
            (joined.unwrap_or_else(write_texts), others)
        });
        texts.and(others)?;
        self.supersede(&superseded.older, before)
    }

    fn add_others(&self, rows: &Rows, superseded: &Superseded) -> Result<(), StoreError> {
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Contents) {
            self.add(table, &rows.batches(table))?;
        }
        self.add(Table::Traces, &[TraceSummary::batch(&superseded.rows)])?;
        self.add(Table::Rollups, &[rollups_of(&rows.batches(Table::Spans))])
    }

    /// Writes rows, a file for each day.
    fn add(&self, table: Table, batches: &[RecordBatch]) -> Result<(), StoreError> {
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(());
        }
        for day in by_day(table, Sorted::of(table, batches)?) {
            self.write(table, day.pieces(), &[])?;
        }
        Ok(())
    }

    fn write(
        &self,
        table: Table,
        batches: impl IntoIterator<Item = Result<RecordBatch, StoreError>>,
        replaces: &[u64],
    ) -> Result<(), StoreError> {
        let (log_through, created_ns) = (self.log_through, self.created_ns);
        let origin = Origin { log_through, created_ns, replaces };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut writer = Writer::create(self.folder, table, id, origin)?;
        batches.into_iter().try_for_each(|batch| writer.write(&batch?))?;
        let written = writer.finish()?;
        self.added.lock().unwrap_or_else(PoisonError::into_inner).push(written);
        Ok(())
    }

    /// Writes anew what has older rows of these traces, without them.
    fn supersede(
        &mut self,
        older: &HashSet<TraceId>,
        before: &[Arc<Segment>],
    ) -> Result<(), StoreError> {
        for segment in before.iter().filter(|segment| segment.info.table == Table::Traces) {
            let mut may_be_here = HashSet::new();
            for id in older {
                if segment.may_hold(*id)? {
                    may_be_here.insert(*id);
                }
            }
            if may_be_here.is_empty() {
                continue;
            }
            segment.is_as_written()?;
            let kept = rows_without(segment, &may_be_here)?;
            let rows: usize = kept.iter().map(RecordBatch::num_rows).sum();
            if rows as u64 == segment.info.rows {
                continue;
            }
            self.retired.insert(segment.info.id);
            if rows > 0 {
                self.write(Table::Traces, kept.into_iter().map(Ok), &[segment.info.id])?;
            }
        }
        Ok(())
    }
}

fn rollups_of(spans: &[RecordBatch]) -> RecordBatch {
    let mut rolling = Rolling::new();
    spans.iter().for_each(|batch| rolling.add_spans(batch, 0, UnixNanos::MAX));
    Rollup::batch(&rolling.finish())
}

fn rows_without(
    segment: &Segment,
    gone: &HashSet<TraceId>,
) -> Result<Vec<RecordBatch>, StoreError> {
    let mut kept = Vec::new();
    segment.visit(Visit::all(), &mut |batch| {
        let ids = batch.column_by_name("trace_id").and_then(|ids| ids.as_fixed_size_binary_opt());
        let is_kept = |id: Option<&[u8]>| {
            let id = id.and_then(|id| id.try_into().ok()).map(TraceId::from_bytes);
            Some(id.is_none_or(|id| !gone.contains(&id)))
        };
        let mask: BooleanArray = ids.into_iter().flatten().map(is_kept).collect();
        kept.extend(filter_record_batch(batch, &mask).ok());
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(kept)
}

fn by_day(table: Table, all: Sorted) -> Vec<Sorted> {
    let times = all.rows.column_by_name(table.time_column());
    let Some(times) = times.and_then(|times| times.as_primitive_opt::<Int64Type>()) else {
        return vec![all];
    };
    let day_of = |place: u32| times.values()[place as usize].unsigned_abs() / DAY_NS;
    let mut days: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (at, place) in all.order.values().iter().enumerate() {
        days.entry(day_of(*place)).or_default().push(at as u32);
    }
    while days.len() > MOST_DAYS {
        let smallest = days.iter().min_by_key(|(_, rows)| rows.len()).map(|(day, _)| *day);
        let Some(odd) = smallest.and_then(|day| days.remove(&day)) else { break };
        let Some(mut neighbour) = days.first_entry() else { break };
        neighbour.get_mut().extend(odd);
        neighbour.get_mut().sort_unstable();
    }
    if days.len() == 1 {
        return vec![all];
    }
    let place = |at: &u32| all.order.value(*at as usize);
    let of_day = |rows: &Vec<u32>| Sorted {
        rows: all.rows.clone(),
        order: rows.iter().map(place).collect::<Vec<_>>().into(),
    };
    days.values().map(of_day).collect()
}
