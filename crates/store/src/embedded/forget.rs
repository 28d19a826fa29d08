//! What belongs to one user, session or trace is removed on request, from every file that can be read.
//!
//! Everything that there was at the call is in segments first, so that the log holds none of it. The
//! segments with rows of those traces are written anew without them, one manifest makes all of these
//! count at once, and then it is waited until the old files are gone. The sealer waits meanwhile, so
//! that what comes in is a later generation: it is not looked at, and stays.

use std::{
    collections::HashSet,
    fs::{self, File},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use andon_model::TraceId;
use arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
};
use serde::{Deserialize, Serialize};

use super::{
    EmbeddedStore,
    aside::SET_ASIDE_FOLDER,
    open::{LOG_FOLDER, SAMPLE_FOLDER},
    retrace::ids_of,
    rollups::outdated,
    segments::{Change, Segments, lock},
};
use crate::{
    StoreError,
    log::list_log_files,
    segment::{Origin, Segment, SegmentInfo, Visit, Writer, id_of_file},
    table::Table,
};

/// How long questions and merges that still read the old files are waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);
/// So few traces are asked of the filters on trace ids before a segment is read.
const FEW: usize = 64;
/// Files that are named in an answer at most.
const MOST_FILES: usize = 1_000;

/// Whose records are meant. A trace with one span of a user or session is theirs as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    User(String),
    Session(String),
    Trace(TraceId),
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Forgotten {
    pub traces: u64,
    pub spans: u64,
    pub texts: u64,
    pub evaluations: u64,
    /// Files that held some of it.
    pub segments: u64,
    /// Size of the files that were written in their place.
    pub bytes_rewritten: u64,
    /// Files that may hold some of it and could not be looked into: damaged, or set aside. They were
    /// left as they are.
    pub not_searched: Vec<String>,
    /// Old files that something still reads. They go when it ends, at the latest at the next start.
    pub still_open: Vec<String>,
    /// The traces themselves, for who keeps something beside the store.
    #[serde(skip)]
    pub trace_ids: Vec<TraceId>,
}

impl EmbeddedStore {
    pub(super) fn remove_all_of(&self, of: &Forget) -> Result<Forgotten, StoreError> {
        self.empty_log()?;
        self.remove_from_segments(of)
    }

    fn remove_from_segments(&self, of: &Forget) -> Result<Forgotten, StoreError> {
        let mut segments = lock(&self.segments);
        let before = Arc::clone(&self.shared.read().segments);
        let next_id = segments.manifest.next_id;
        let mut job = Job::new(of, &before);
        let (done, change) = job.rewrite(&mut segments, &before)?;
        self.make_count(&mut segments, change, &job.gone, &before)?;
        drop(before);
        let mut done = self.with_files_left(&segments, done);
        drop(segments);
        let patience = if done.segments > 0 { PATIENCE } else { Duration::ZERO };
        done.still_open = self.wait_for_readers(next_id, patience)?;
        Ok(done)
    }

    pub(super) fn count_all_of(&self, of: &Forget) -> Result<Forgotten, StoreError> {
        self.empty_log()?;
        let segments = lock(&self.segments);
        let before = Arc::clone(&self.shared.read().segments);
        Ok(self.with_files_left(&segments, Job::new(of, &before).count(&before)?))
    }

    /// Returns when all that was taken in before is in segments, and the files of the log that held it
    /// are gone.
    fn empty_log(&self) -> Result<(), StoreError> {
        crate::Store::seal(self)?;
        // The log's thread removes files before it answers this.
        self.log.flush()?.wait()
    }

    /// Makes a change durable and shows it to questions.
    fn make_count(
        &self,
        segments: &mut Segments,
        mut change: Change,
        gone: &HashSet<TraceId>,
        before: &[Arc<Segment>],
    ) -> Result<(), StoreError> {
        if change.retired.is_empty() {
            return Ok(());
        }
        // Sums of hours are made anew from the spans that are left.
        change.rollups = Some(0);
        change.retired.extend(outdated(&segments.manifest.segments, before));
        let log_through = segments.manifest.log_through;
        segments.record(&change, log_through)?;
        segments.removals += 1;
        let _turn = self.shared.turn();
        let mut state = self.shared.write();
        segments.show(&mut state, change);
        state.hot.traces.forget_sealed(gone);
        self.shared.hot_bytes.store(state.hot.bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Names the files that nobody looks into: damaged segments and parts of the log.
    fn with_files_left(&self, segments: &Segments, mut done: Forgotten) -> Forgotten {
        let folder = &segments.folder;
        let state = self.shared.read();
        let served: HashSet<_> = state.segments.iter().map(|segment| segment.info.id).collect();
        drop(state);
        let left_out = segments.manifest.segments.iter();
        let left_out = left_out
            .filter(|info| info.table.has_trace_id() && !served.contains(&info.id))
            .map(|info| info.path_in(folder))
            .filter(|path| path.exists());
        let mut files: Vec<_> = left_out.collect();
        if let Some(data) = folder.parent() {
            files.extend(log_files_left(&data.join(LOG_FOLDER), segments.manifest.log_through));
            for aside in [SET_ASIDE_FOLDER, SAMPLE_FOLDER] {
                files.extend(files_in(&data.join(aside)));
            }
        }
        done.not_searched.extend(files.iter().map(|path| path.display().to_string()));
        done.not_searched.sort();
        done.not_searched.dedup();
        done.not_searched.truncate(MOST_FILES);
        done
    }

    /// Waits until no file of segments from before is there that does not count. Those that still are:
    /// a question reads them, or a merge that will be taken back.
    fn wait_for_readers(
        &self,
        next_id: u64,
        patience: Duration,
    ) -> Result<Vec<String>, StoreError> {
        let began = Instant::now();
        loop {
            let (counting, folder) = {
                let segments = lock(&self.segments);
                let infos = segments.manifest.segments.iter();
                (infos.map(|info| info.id).collect::<HashSet<_>>(), segments.folder.clone())
            };
            let is_old = |id: u64| id < next_id && !counting.contains(&id);
            let left: Vec<_> = tables()
                .flat_map(|table| files_in(&folder.join(table.name())))
                .filter(|path| id_of_file(path).is_some_and(is_old))
                .collect();
            if left.is_empty() || began.elapsed() >= patience {
                for table in tables() {
                    let folder = folder.join(table.name());
                    let synced = File::open(&folder).and_then(|folder| folder.sync_all());
                    synced.map_err(|error| StoreError::io("sync", &folder, &error))?;
                }
                let names = left.iter().map(|path| path.display().to_string());
                return Ok(names.take(MOST_FILES).collect());
            }
            thread::sleep(STEP);
        }
    }
}

/// The tables whose rows belong to a trace.
fn tables() -> impl Iterator<Item = Table> {
    Table::ALL.into_iter().filter(|table| table.has_trace_id())
}

/// Files of the log that should have gone, and those that could not be read to their end.
fn log_files_left(folder: &Path, log_through: u64) -> Vec<PathBuf> {
    let own = list_log_files(folder).unwrap_or_default();
    let later = own.into_iter().filter(|(sequence, _)| *sequence > log_through);
    let later: HashSet<_> = later.map(|(_, path)| path).collect();
    files_in(folder).into_iter().filter(|path| !later.contains(path)).collect()
}

/// None, of a folder that is not there.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

struct Job {
    gone: HashSet<TraceId>,
    done: Forgotten,
}

impl Job {
    fn new(of: &Forget, segments: &[Arc<Segment>]) -> Self {
        let mut job = Self { gone: HashSet::new(), done: Forgotten::default() };
        let (column, value) = match of {
            Forget::User(user) => ("user_id", user),
            Forget::Session(session) => ("session_id", session),
            Forget::Trace(id) => {
                job.gone.insert(*id);
                return job;
            }
        };
        for segment in segments.iter().filter(|segment| segment.info.table == Table::Spans) {
            let columns = ["trace_id", column];
            let read = segment.visit(Visit::all().columns(&columns), &mut |batch| {
                job.gone.extend(ids_with(batch, column, value));
                ControlFlow::Continue(())
            });
            if let Err(error) = read {
                job.pass_over(segment, &error);
            }
        }
        job
    }

    fn count(mut self, segments: &[Arc<Segment>]) -> Result<Forgotten, StoreError> {
        for segment in segments.iter().filter(|segment| segment.info.table.has_trace_id()) {
            match self.rows_in(segment) {
                Ok(rows) => self.add(segment.info.table, rows),
                Err(error) => self.pass_over(segment, &error),
            }
        }
        Ok(self.finish())
    }

    /// Writes the segments that hold rows of these traces anew, without them. Where that fails, nothing
    /// is left of it.
    fn rewrite(
        &mut self,
        segments: &mut Segments,
        before: &[Arc<Segment>],
    ) -> Result<(Forgotten, Change), StoreError> {
        let mut change = Change::default();
        for segment in before.iter().filter(|segment| segment.info.table.has_trace_id()) {
            let rows = match self.rows_in(segment) {
                Ok(0) => continue,
                Ok(rows) => rows,
                Err(error) => {
                    self.pass_over(segment, &error);
                    continue;
                }
            };
            if rows < segment.info.rows {
                match self.write_without(segments, segment) {
                    Ok(info) => {
                        self.done.bytes_rewritten += info.bytes + info.grams_bytes;
                        change.added.push(info);
                    }
                    Err(error @ StoreError::Damaged { .. }) => {
                        self.pass_over(segment, &error);
                        continue;
                    }
                    Err(error) => {
                        segments.take_back(&change);
                        return Err(error);
                    }
                }
            }
            change.retired.insert(segment.info.id);
            self.add(segment.info.table, rows);
        }
        Ok((self.finish(), change))
    }

    /// How many rows of these traces it holds.
    fn rows_in(&self, segment: &Segment) -> Result<u64, StoreError> {
        if self.gone.len() <= FEW {
            let mut may_hold = false;
            for id in &self.gone {
                may_hold = may_hold || segment.may_hold(*id)?;
            }
            if !may_hold {
                return Ok(0);
            }
        }
        let mut rows = 0;
        segment.visit(Visit::all().columns(&["trace_id"]), &mut |batch| {
            let is_gone = |id: &Option<TraceId>| id.is_some_and(|id| self.gone.contains(&id));
            rows += ids_of(batch).filter(is_gone).count() as u64;
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// A batch at a time: a segment may be larger than memory. The rows keep their order and their age.
    fn write_without(
        &self,
        segments: &mut Segments,
        segment: &Segment,
    ) -> Result<SegmentInfo, StoreError> {
        segment.is_as_written()?;
        let origin = Origin {
            log_through: segments.manifest.log_through,
            created_ns: segment.info.created_ns,
            replaces: &[segment.info.id],
        };
        let id = segments.next_id();
        let mut writer = Writer::create(&segments.folder, segment.info.table, id, origin)?;
        let mut failed = None;
        let read = segment.visit(Visit::all(), &mut |batch| {
            let written = self.without(batch).and_then(|kept| writer.write(&kept));
            failed = written.err();
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match failed.map_or(read, Err) {
            Ok(()) => writer.finish(),
            Err(error) => {
                writer.discard();
                Err(error)
            }
        }
    }

    fn without(&self, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let is_kept = |id: Option<TraceId>| Some(id.is_none_or(|id| !self.gone.contains(&id)));
        let mask: BooleanArray = ids_of(batch).map(is_kept).collect();
        let kept = filter_record_batch(batch, &mask);
        kept.map_err(|error| StoreError::Encode(error.to_string()))
    }

    fn add(&mut self, table: Table, rows: u64) {
        match table {
            Table::Spans => self.done.spans += rows,
            Table::Contents => self.done.texts += rows,
            Table::Evaluations => self.done.evaluations += rows,
            Table::Traces
            | Table::Rollups
            | Table::Hosts
            | Table::Processes
            | Table::Metrics
            | Table::Devices
            | Table::ModelEvents => {}
        }
        self.done.segments += u64::from(rows > 0);
    }

    fn pass_over(&mut self, segment: &Segment, error: &StoreError) {
        let path = segment.path.display().to_string();
        tracing::error!(%error, path, "a segment was not searched");
        self.done.not_searched.push(path);
    }

    fn finish(&mut self) -> Forgotten {
        let mut done = std::mem::take(&mut self.done);
        if done.segments > 0 {
            done.trace_ids = self.gone.iter().copied().collect();
            done.traces = self.gone.len() as u64;
        }
        done
    }
}

/// The traces of rows that have this value.
fn ids_with<'a>(
    batch: &'a RecordBatch,
    column: &str,
    value: &'a str,
) -> impl Iterator<Item = TraceId> + 'a {
    let values = batch.column_by_name(column).and_then(|values| values.as_string_opt::<i32>());
    let rows = ids_of(batch).zip(values.into_iter().flatten());
    rows.filter(move |(_, own)| *own == Some(value)).filter_map(|(id, _)| id)
}

#[cfg(test)]
mod tests;
