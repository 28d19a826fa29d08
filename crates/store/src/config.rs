//! Every bound of the store, by name.

use std::time::Duration;

const MIB: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Limits and times of an [`EmbeddedStore`](crate::EmbeddedStore).
#[derive(Debug, Clone)]
pub struct Config {
    /// The longest a record waits for others before both are written. A calm log does not wait.
    pub commit_interval: Duration,
    /// So many waiting bytes are written without waiting any longer.
    pub commit_bytes: usize,
    /// So many commits in one `commit_interval` happen at once; only then appends begin to wait
    /// for each other. Keeps a lone append quick and a flood from syncing the disk without pause.
    pub prompt_commits: u32,
    /// Records that may wait to be written; one more is answered `Busy`.
    pub pending_records: usize,
    /// Memory that waiting records may take; more is answered `Busy`.
    pub pending_bytes: usize,
    /// The largest single record, encoded and before compression.
    pub record_bytes: usize,
    /// A log file of this size is closed and the next one begun.
    pub segment_bytes: u64,
    /// Memory of rows that are not yet in segments. Full, they are written out.
    pub hot_bytes: usize,
    /// Rows that have waited so long are written out even if they are few.
    pub segment_age: Duration,
    /// So many segments of one day that is not over are merged.
    pub merged_segments: usize,
    /// Rows of a merged segment.
    pub merged_rows: u64,
    /// Spans of one trace that begin further apart than this are not taken for one trace.
    pub late_window: Duration,
    /// Time between attempts to write again after the disk refused.
    pub retry_interval: Duration,
    /// How long spans are kept, and the list of their traces.
    pub keep_spans: Retention,
    /// How long texts and evaluations are kept.
    pub keep_contents: Retention,
    /// How long samples of the machine and its processes are kept.
    pub keep_samples: Retention,
    /// Of metrics that others sent.
    pub keep_metrics: Retention,
    /// How long the sums of each hour are kept.
    pub keep_rollups: Retention,
    /// Spans of one trace that are remembered and handed out; more are only counted.
    pub spans_per_trace: usize,
    /// Bytes of texts that one trace is handed out with; more are counted as omitted.
    pub trace_text_bytes: usize,
    /// Rows of one page of the list.
    pub page_rows: usize,
    /// Values of one facet.
    pub facet_values: usize,
    /// The longest time range of one question for samples.
    pub sample_range: Duration,
    /// Points in time that one such question gets; a longer range is thinned.
    pub sample_points: u64,
    /// Traces that a search for texts finds at most; then it says that there may be more.
    pub search_traces: usize,
    /// The longest that a search for texts may take; then it says that there may be more.
    pub search_time: Duration,
    /// Threads that look into segments for one question of the pages.
    pub question_threads: usize,
    /// Rows of segments that are worth one more of them.
    pub rows_per_thread: u64,
    /// Groups of one question for numbers, times the points in time; what is beyond is one group.
    pub aggregate_slots: usize,
    /// Memory that one such question may take.
    pub aggregate_bytes: usize,
    /// The longest that one such question may take.
    pub aggregate_time: Duration,
    /// Memory that questions in SQL may take together.
    pub sql_memory_bytes: usize,
    /// Rows of one answer; more are left out, and said to be.
    pub sql_rows: usize,
    /// The longest that one question may take.
    pub sql_time: Duration,
    /// Questions that are answered at a time.
    pub sql_at_once: usize,
    /// Threads that answer them.
    pub sql_threads: usize,
    /// How often every segment is read to see whether it is still what was written.
    pub scrub_interval: Duration,
    /// Bytes of them that are read in a second.
    pub scrub_bytes_per_s: u64,
}

/// How much of a kind of rows is kept: whichever is reached first. The oldest go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub bytes: u64,
    /// Since it was recorded.
    pub age: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_millis(100),
            commit_bytes: MIB as usize,
            prompt_commits: 8,
            pending_records: 4_096,
            pending_bytes: 16 * MIB as usize,
            record_bytes: 8 * MIB as usize,
            segment_bytes: 16 * MIB,
            hot_bytes: 16 * MIB as usize,
            merged_segments: 8,
            merged_rows: 1_000_000,
            late_window: DAY,
            segment_age: Duration::from_secs(60 * 60),
            retry_interval: Duration::from_secs(3),
            keep_spans: Retention { bytes: 1_024 * MIB, age: 30 * DAY },
            keep_contents: Retention { bytes: 1_024 * MIB, age: 30 * DAY },
            keep_samples: Retention { bytes: 256 * MIB, age: 30 * DAY },
            keep_metrics: Retention { bytes: 512 * MIB, age: 30 * DAY },
            keep_rollups: Retention { bytes: 256 * MIB, age: 400 * DAY },
            spans_per_trace: 10_000,
            trace_text_bytes: 16 * MIB as usize,
            page_rows: 500,
            facet_values: 50,
            sample_range: DAY,
            sample_points: 3_600,
            search_traces: 1_000,
            search_time: Duration::from_secs(2),
            question_threads: few_threads(),
            rows_per_thread: 100_000,
            aggregate_slots: 20_000,
            aggregate_bytes: 64 * MIB as usize,
            aggregate_time: Duration::from_secs(10),
            sql_memory_bytes: 128 * MIB as usize,
            sql_rows: 100_000,
            sql_time: Duration::from_secs(30),
            sql_at_once: 4,
            sql_threads: few_threads(),
            scrub_interval: 7 * DAY,
            scrub_bytes_per_s: 8 * MIB,
        }
    }
}

/// The model needs the others.
fn few_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2))
}
