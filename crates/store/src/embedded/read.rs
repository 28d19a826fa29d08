//! Answers that are read back from the logs.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::PathBuf,
    sync::{TryLockError, atomic::Ordering},
};

use andon_model::{
    Content, Evaluation, HostSample, Part, ProcessSample, Span, SpanId, TraceId, UnixNanos,
};

use super::{EmbeddedStore, read_lock};
use crate::{
    Config, StoreError, Trace,
    log::{Scan, ScanSpan, file_name, read_frames, sequence_of},
    record::{Stored, needle, of_trace},
};

impl EmbeddedStore {
    pub(super) fn read_trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        let (frames, unlisted_through) = {
            let index = read_lock(&self.traces);
            (index.frames_of(id), index.unlisted_through())
        };
        let mut gathered = Gathered::new(&self.config);
        if let Some(frames) = frames {
            let unreadable = read_frames(
                &self.log_folder,
                frames,
                self.config.record_bytes,
                &mut |kind, bytes| {
                    let stored = Stored::decode(kind, bytes);
                    stored.map(|stored| gathered.add(stored, id)).is_some()
                },
            );
            self.unreadable.fetch_add(unreadable, Ordering::Relaxed);
        }
        // Of a trace that left the list, an evaluation may have come in since.
        if gathered.spans.is_empty()
            && let Some(through) = unlisted_through
        {
            self.search(id, through, &mut gathered)?;
        }
        Ok(gathered.into_trace(id))
    }

    /// Reads every file that may hold traces which are no longer in the list.
    fn search(&self, id: TraceId, through: u64, gathered: &mut Gathered) -> Result<(), StoreError> {
        let _one_at_a_time = match self.search.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy),
        };
        let needle = needle(id)?;
        for path in self.files_through(through)? {
            let span = ScanSpan::whole(&path, self.config.record_bytes);
            let scanned = Scan::run(span, &mut |_, kind, payload| {
                if memchr::memmem::find(payload, &needle).is_some()
                    && let Some(stored) = Stored::decode(kind, payload)
                {
                    gathered.add(stored, id);
                }
                true
            });
            match scanned {
                // Its time came while the search was under way.
                Err(StoreError::Io { .. }) if !path.exists() => {}
                scanned => drop(scanned?),
            }
        }
        Ok(())
    }

    fn files_through(&self, through: u64) -> Result<Vec<PathBuf>, StoreError> {
        let list = || -> io::Result<Vec<u64>> {
            let mut sequences = Vec::new();
            for entry in fs::read_dir(&self.log_folder)? {
                sequences.extend(entry?.file_name().to_str().and_then(sequence_of));
            }
            Ok(sequences)
        };
        let mut sequences =
            list().map_err(|error| StoreError::io("list", &self.log_folder, &error))?;
        sequences.retain(|sequence| *sequence <= through);
        sequences.sort_unstable();
        let paths = sequences.into_iter().map(|sequence| self.log_folder.join(file_name(sequence)));
        Ok(paths.collect())
    }

    pub(super) fn read_samples<T: Sample>(
        &self,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
        of: fn(Stored) -> Vec<T>,
    ) -> Result<Vec<T>, StoreError> {
        let range_ns = to_ns.saturating_sub(from_ns);
        let limit = self.config.sample_range;
        if u128::from(range_ns) > limit.as_nanos() {
            return Err(StoreError::RangeTooLong { limit_hours: limit.as_secs() / 3_600 });
        }
        let mut thinned = Thinned {
            from_ns,
            to_ns,
            step_ns: range_ns / self.config.sample_points.max(1),
            last_step: None,
            samples: Vec::new(),
        };
        for run in read_lock(&self.samples).runs(from_ns, to_ns) {
            let path = self.sample_folder.join(file_name(run.segment));
            let span = ScanSpan {
                path: &path,
                from: run.from,
                to: run.to,
                record_bytes: self.config.record_bytes,
            };
            let scanned = Scan::run(span, &mut |_, kind, payload| {
                if kind == T::KIND
                    && let Some(stored) = Stored::decode(kind, payload)
                {
                    thinned.add(of(stored));
                }
                true
            });
            match scanned {
                Ok(scanned) => {
                    let faults = scanned.faults.len() as u64;
                    self.unreadable.fetch_add(faults, Ordering::Relaxed);
                }
                Err(StoreError::Io { .. }) if !path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        let mut samples = thinned.samples;
        samples.sort_by_key(Sample::time_ns);
        Ok(samples)
    }
}

/// What both kinds of samples have in common.
pub(super) trait Sample {
    const KIND: u8;
    fn time_ns(&self) -> UnixNanos;
}

impl Sample for HostSample {
    const KIND: u8 = crate::record::kind::HOST;
    fn time_ns(&self) -> UnixNanos {
        self.time_ns
    }
}

impl Sample for ProcessSample {
    const KIND: u8 = crate::record::kind::PROCESSES;
    fn time_ns(&self) -> UnixNanos {
        self.time_ns
    }
}

/// Keeps one frame of each step of time, so that an answer has a bounded number of points.
struct Thinned<T> {
    from_ns: UnixNanos,
    to_ns: UnixNanos,
    step_ns: u64,
    last_step: Option<u64>,
    samples: Vec<T>,
}

impl<T: Sample> Thinned<T> {
    fn add(&mut self, mut frame: Vec<T>) {
        frame.retain(|sample| (self.from_ns..=self.to_ns).contains(&sample.time_ns()));
        let Some(first) = frame.first() else { return };
        // A step shorter than half a second drops nothing: samples come once a second.
        if self.step_ns > 500_000_000 {
            let step = first.time_ns() / self.step_ns;
            if self.last_step == Some(step) {
                return;
            }
            self.last_step = Some(step);
        }
        self.samples.append(&mut frame);
    }
}

/// A trace on its way together. Frames come in the order in which they were written; what was sent
/// twice counts as it was sent last.
struct Gathered {
    spans_most: usize,
    text_bytes_most: usize,
    text_bytes: usize,
    spans: HashMap<SpanId, Span>,
    contents: BTreeMap<(SpanId, u8, u32), Content>,
    evaluations: BTreeMap<(UnixNanos, SpanId, String), Evaluation>,
    omitted: u64,
}

impl Gathered {
    fn new(config: &Config) -> Self {
        Self {
            spans_most: config.spans_per_trace,
            text_bytes_most: config.trace_text_bytes,
            text_bytes: 0,
            spans: HashMap::new(),
            contents: BTreeMap::new(),
            evaluations: BTreeMap::new(),
            omitted: 0,
        }
    }

    fn add(&mut self, stored: Stored, id: TraceId) {
        let (spans, contents, evaluations) = of_trace(stored, id);
        for span in spans {
            if self.spans.len() < self.spans_most || self.spans.contains_key(&span.span_id) {
                self.spans.insert(span.span_id, span);
            } else {
                self.omitted += 1;
            }
        }
        for content in contents {
            if self.text_bytes + content.text.len() > self.text_bytes_most {
                self.omitted += 1;
                continue;
            }
            self.text_bytes += content.text.len();
            let key = (content.span_id, part_rank(content.part), content.idx);
            if let Some(replaced) = self.contents.insert(key, content) {
                self.text_bytes -= replaced.text.len();
            }
        }
        for evaluation in evaluations {
            let key = (evaluation.time_ns, evaluation.span_id, evaluation.evaluator.clone());
            if self.evaluations.len() < self.spans_most || self.evaluations.contains_key(&key) {
                self.evaluations.insert(key, evaluation);
            } else {
                self.omitted += 1;
            }
        }
    }

    fn into_trace(self, trace_id: TraceId) -> Option<Trace> {
        let known =
            !(self.spans.is_empty() && self.contents.is_empty() && self.evaluations.is_empty());
        let mut spans: Vec<_> = self.spans.into_values().collect();
        spans.sort_by_key(|span| (span.start_ns, span.span_id));
        known.then(|| Trace {
            trace_id,
            spans,
            contents: self.contents.into_values().collect(),
            evaluations: self.evaluations.into_values().collect(),
            omitted: self.omitted,
        })
    }
}

/// The order in which texts are handed out within a span.
fn part_rank(part: Part) -> u8 {
    match part {
        Part::System => 0,
        Part::Document => 1,
        Part::Input => 2,
        Part::Tool => 3,
        Part::Thinking => 4,
        Part::Output => 5,
    }
}
