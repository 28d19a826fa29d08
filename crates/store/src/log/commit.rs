//! The log's thread: gathers what waits, writes it, syncs it, and only then tells anybody.
//!
//! When the disk refuses, everything that waits is answered «unavailable», the file is cut back to
//! its last acknowledged frame, and the thread tries by itself until the disk takes writes again.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use andon_model::Span;

use super::{
    Files, Found, Options, Sink,
    intake::{Intake, Pending, Shared},
    segment::Active,
};
use crate::StoreError;

/// How often files are looked at for their age when nothing else happens.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// What is written to find out whether a full disk has room again.
static PROBE: [u8; 64 * 1024] = [0; 64 * 1024];

pub(super) struct Committer<R> {
    options: Options,
    files: Box<dyn Files>,
    sink: Box<dyn Sink<R>>,
    shared: Arc<Shared<R>>,
    closed: VecDeque<Found>,
    active: Option<Active>,
    next_sequence: u64,
    released: u64,
    buffer: Vec<u8>,
    pace: Pace,
    next_look: Instant,
    broken: bool,
}

enum Work<R> {
    Commit(Vec<Pending<R>>),
    Look,
    Release(u64),
    Close,
}

/// So many times a commit's bytes may wait as they are in memory, before they are packed.
const UNPACKED: usize = 2;

impl<R: Send + 'static> Committer<R> {
    pub(super) fn new(
        options: Options,
        files: Box<dyn Files>,
        found: Vec<Found>,
        next_sequence: u64,
        sink: Box<dyn Sink<R>>,
        shared: Arc<Shared<R>>,
    ) -> Self {
        let behind = found.last().map_or(1, |last| last.sequence.saturating_add(1));
        let next_sequence = next_sequence.max(behind);
        let now = Instant::now();
        let pace = Pace::new(options.commit_interval, options.prompt_commits, now);
        let mut committer = Self {
            options,
            files,
            sink,
            shared,
            closed: found.into(),
            active: None,
            next_sequence,
            released: 0,
            buffer: Vec::new(),
            pace,
            next_look: now,
            broken: false,
        };
        committer.publish_size();
        committer
    }

    pub(super) fn thread_name(&self) -> String {
        format!("andon-{}", self.options.name)
    }

    pub(super) fn run(&mut self) {
        let _ended = Ended(Arc::clone(&self.shared));
        loop {
            match self.next_work() {
                Work::Commit(batch) => {
                    self.commit(batch);
                    andon_memory::give_back_at_times();
                }
                Work::Look => self.look(),
                Work::Release(through) => self.release(through),
                Work::Close => break,
            }
        }
    }

    fn next_work(&mut self) -> Work<R> {
        let shared = Arc::clone(&self.shared);
        let mut intake = shared.lock();
        loop {
            let now = Instant::now();
            if intake.released > self.released {
                return Work::Release(intake.released);
            }
            if now >= self.next_look {
                return Work::Look;
            }
            let mut wake = self.next_look;
            if !intake.queue.is_empty() {
                let due = self.due(&intake, now);
                if due <= now {
                    return Work::Commit(intake.take(self.options.commit_bytes));
                }
                wake = wake.min(due);
            } else if intake.closing {
                return Work::Close;
            }
            intake = shared
                .arrived
                .wait_timeout(intake, wake - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn due(&self, intake: &Intake<R>, now: Instant) -> Instant {
        // Records that pack well take memory long before they fill a commit.
        let much = intake.bytes >= self.options.commit_bytes
            || intake.weight >= UNPACKED * self.options.commit_bytes;
        let at_once = intake.urgent || intake.closing || much;
        if at_once { now } else { self.pace.due(now) }
    }

    fn commit(&mut self, batch: Vec<Pending<R>>) {
        match self.write(&batch) {
            Ok(()) => {
                self.pace.committed(Instant::now());
                self.acknowledge(batch);
            }
            Err(error) => self.refuse(batch, &error),
        }
    }

    /// Writes and syncs a batch into one file.
    fn write(&mut self, batch: &[Pending<R>]) -> io::Result<()> {
        self.buffer.clear();
        batch.iter().for_each(|pending| self.buffer.extend_from_slice(&pending.frame));
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.roll_if_due();
        let start = self.open_active()?;
        self.write_at_end(start, false)?;
        if let Some(active) = &mut self.active {
            active.len += self.buffer.len() as u64;
        }
        self.buffer.shrink_to(self.options.commit_bytes);
        self.publish_size();
        Ok(())
    }

    /// Begins a file when there is none; where its next frame goes.
    fn open_active(&mut self) -> io::Result<u64> {
        if let Some(active) = &self.active {
            return Ok(active.len);
        }
        let sequence = self.next_sequence;
        // Never taken back: a file that could not be finished may be in the way.
        self.next_sequence += 1;
        let active = Active::create(&*self.files, &self.options.folder, sequence, Span::now_ns())?;
        let start = active.len;
        self.active = Some(active);
        Ok(start)
    }

    /// Writes `buffer` (or, as a probe, zeros) behind the last acknowledged frame and syncs it. On
    /// an error, and after a probe, the file ends where it ended before.
    fn write_at_end(&mut self, start: u64, probe: bool) -> io::Result<()> {
        let Some(active) = &self.active else {
            return Err(io::Error::other("no log file is open"));
        };
        let bytes = if probe { &PROBE[..] } else { &self.buffer[..] };
        let written = active.file.write_all_at(bytes, start);
        let synced = match &written {
            Ok(()) => active.file.sync(),
            Err(_) => Ok(()),
        };
        let cut = if written.is_err() || synced.is_err() || probe {
            active.file.set_len(start)
        } else {
            Ok(())
        };
        // After a failed sync the kernel may take pages for clean that are not on the disk, and
        // after a failed cut there is garbage behind the last frame: such a file is finished.
        if synced.is_err() || cut.is_err() {
            self.close_active();
        }
        written.and(synced).and(cut)
    }

    fn acknowledge(&mut self, batch: Vec<Pending<R>>) {
        let mut records = Vec::with_capacity(batch.len());
        let mut acks = Vec::with_capacity(batch.len());
        let is_seal = batch.iter().any(|pending| pending.is_seal);
        for pending in batch {
            records.extend(pending.record);
            acks.push(pending.ack);
        }
        let sequence = self.last_sequence();
        let mut is_full = !records.is_empty() && self.sink.committed(records, sequence);
        if is_seal && !is_full {
            is_full = self.sink.idle(sequence, true);
        }
        if is_full {
            self.close_active();
        }
        // An append whose caller did not wait for the answer is as durable as any other.
        acks.into_iter().for_each(|ack| drop(ack.send(Ok(()))));
    }

    /// Of the file that was written to last.
    fn last_sequence(&self) -> u64 {
        self.active.as_ref().map_or(self.next_sequence.saturating_sub(1), |active| active.sequence)
    }

    fn refuse(&mut self, batch: Vec<Pending<R>>, error: &io::Error) {
        let reason = error.to_string();
        if !self.broken {
            tracing::error!(%error, log = self.options.name, "cannot write the log");
        }
        self.broken = true;
        self.next_look = Instant::now() + self.options.retry_interval;
        let mut intake = self.shared.lock();
        intake.unavailable = Some(reason.clone());
        let waiting = intake.take_all();
        drop(intake);
        for pending in batch.into_iter().chain(waiting) {
            let answer = Err(StoreError::Unavailable { reason: reason.clone() });
            drop(pending.ack.send(answer));
        }
    }

    /// Housekeeping, or a try whether the disk takes writes again.
    fn look(&mut self) {
        self.next_look = Instant::now() + HOUSEKEEPING;
        if self.sink.idle(self.last_sequence(), false) {
            self.close_active();
        }
        if !self.broken {
            return;
        }
        match self.open_active().and_then(|start| self.write_at_end(start, true)) {
            Ok(()) => {
                self.broken = false;
                self.shared.lock().unavailable = None;
                tracing::info!(log = self.options.name, "the log can be written again");
            }
            Err(error) => self.refuse(Vec::new(), &error),
        }
    }

    fn roll_if_due(&mut self) {
        let full = |active: &Active| active.len >= self.options.segment_bytes;
        if self.active.as_ref().is_some_and(full) {
            self.close_active();
        }
    }

    fn close_active(&mut self) {
        self.closed.extend(self.active.take().map(Active::close));
    }

    /// Removes files whose records are in segments.
    fn release(&mut self, through: u64) {
        self.released = through;
        while let Some(oldest) = self.closed.front().filter(|found| found.sequence <= through) {
            let gone = if oldest.is_damaged {
                self.files.set_aside(&oldest.path)
            } else {
                self.files.remove(&oldest.path)
            };
            match gone {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // The next start knows that it is not needed, and removes it.
                Err(error) => {
                    let path = oldest.path.display();
                    tracing::warn!(%error, %path, "cannot remove an old log file");
                }
            }
            self.closed.pop_front();
        }
        if let Err(error) = self.files.sync_folder(&self.options.folder) {
            tracing::warn!(%error, "cannot sync the log's folder");
        }
        self.publish_size();
    }

    fn size(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|found| found.bytes).sum();
        closed + self.active.as_ref().map_or(0, |active| active.len)
    }

    fn publish_size(&mut self) {
        self.shared.bytes_on_disk.store(self.size(), Ordering::Relaxed);
        let files = self.closed.len() + usize::from(self.active.is_some());
        self.shared.files_on_disk.store(files as u64, Ordering::Relaxed);
        let first_closed = self.closed.front().map(|found| found.created_ns);
        let oldest = first_closed.or(self.active.as_ref().map(|active| active.created_ns));
        self.shared.oldest_ns.store(oldest.unwrap_or(0), Ordering::Relaxed);
    }
}

/// Lets the first few commits of each interval through at once and gathers the rest, so that a
/// calm log answers at the disk's speed and a busy one does not sync without end.
struct Pace {
    interval: Duration,
    prompt_commits: u32,
    window_start: Instant,
    used: u32,
}

impl Pace {
    fn new(interval: Duration, prompt_commits: u32, now: Instant) -> Self {
        Self { interval, prompt_commits, window_start: now, used: 0 }
    }

    fn due(&self, now: Instant) -> Instant {
        let window_end = self.window_start + self.interval;
        if self.used < self.prompt_commits { now } else { window_end }
    }

    fn committed(&mut self, now: Instant) {
        if now >= self.window_start + self.interval {
            self.window_start = now;
            self.used = 0;
        }
        self.used += 1;
    }
}

/// However the thread ends, nobody is left waiting for it.
struct Ended<R>(Arc<Shared<R>>);

impl<R> Drop for Ended<R> {
    fn drop(&mut self) {
        let mut intake = self.0.lock();
        if !intake.closing {
            intake.unavailable = Some("the log's writer ended".to_owned());
            tracing::error!("the log's writer ended unexpectedly");
        }
        // Dropping the acknowledgements answers them.
        drop(intake.take_all());
    }
}
