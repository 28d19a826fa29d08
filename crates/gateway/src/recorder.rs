//! The one recorder: finished spans go in here and come out where they are protected and stored.
//! Never waits; a full channel drops the observation and counts it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use std::time::Duration;

use andon_model::{Observation, RawText};
use tokio::sync::{Notify, mpsc};

/// What a span itself is taken to weigh.
const SPAN_BYTES: usize = 512;

/// In a flood, help is called for at every so manyth span.
const CALL_EVERY: usize = 64;
/// While somebody waits for what was recorded.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Bounds of what may wait to be protected and stored.
#[derive(Debug, Clone, Copy)]
pub struct RecorderConfig {
    pub max_waiting: usize,
    pub max_waiting_bytes: usize,
    /// So many spans that wait are a flood: whoever helps then is woken.
    pub flood: usize,
    /// Longest text of one content that is handed on; the rest is cut (its length is lost too).
    pub max_content_bytes: usize,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        // Ten thousand streams may end at once, when a runtime does.
        Self {
            max_waiting: 32_768,
            max_waiting_bytes: 32 << 20,
            flood: 512,
            max_content_bytes: 1 << 20,
        }
    }
}

/// Observations that were dropped since start, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct DropCounts {
    /// Spans that found no place in the queue to the store.
    pub queue_full: u64,
    pub store_unavailable: u64,
    /// Captured calls whose bytes could not be made a span.
    pub unreadable: u64,
    /// Captured calls that were kept without some of their bytes, for want of memory.
    pub texts_cut: u64,
}

/// Takes finished spans. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Waiting>,
    shared: Arc<Shared>,
}

/// The other end: what was recorded, in order.
pub struct Recorded {
    receiver: mpsc::Receiver<Waiting>,
    shared: Arc<Shared>,
    taken: u64,
}

struct Waiting {
    seen: Seen,
    bytes: usize,
}

/// What was seen, or the bytes of it and how to read them.
enum Seen {
    Read(Box<Observation>),
    Unread(Box<dyn Unread>),
}

/// A call that was copied and is still to be read, where spans are protected and stored.
pub(crate) trait Unread: Send {
    /// `None`: there is nothing to record.
    fn read(self: Box<Self>) -> Option<Observation>;
}

impl<F: FnOnce() -> Option<Observation> + Send> Unread for F {
    fn read(self: Box<Self>) -> Option<Observation> {
        self()
    }
}

struct Shared {
    config: RecorderConfig,
    waiting_bytes: AtomicUsize,
    queue_full: AtomicU64,
    store_unavailable: AtomicU64,
    unreadable: AtomicU64,
    texts_cut: AtomicU64,
    flooded: Notify,
    /// Spans that found a place, and how many of these have been taken care of.
    sent: AtomicU64,
    done: AtomicU64,
}

impl Recorder {
    pub fn new(config: RecorderConfig) -> (Self, Recorded) {
        let (sender, receiver) = mpsc::channel(config.max_waiting);
        let shared = Arc::new(Shared {
            config,
            waiting_bytes: AtomicUsize::new(0),
            queue_full: AtomicU64::new(0),
            store_unavailable: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            texts_cut: AtomicU64::new(0),
            flooded: Notify::new(),
            sent: AtomicU64::new(0),
            done: AtomicU64::new(0),
        });
        (Self { sender, shared: Arc::clone(&shared) }, Recorded { receiver, shared, taken: 0 })
    }

    /// Hands a finished span on, or drops and counts it.
    pub fn record(&self, mut observation: Observation) {
        self.shared.cut(&mut observation);
        let texts = observation.contents.iter().map(|content| &content.text);
        let texts = texts.chain(&observation.related);
        let bytes = texts.map(RawText::len).sum::<usize>() + SPAN_BYTES;
        self.send(Seen::Read(Box::new(observation)), bytes);
    }

    /// Hands on a call that is still to be read, so that no call waits for that. The bytes that it
    /// holds have a bound of their own.
    pub(crate) fn record_later(&self, unread: Box<dyn Unread>) {
        self.send(Seen::Unread(unread), SPAN_BYTES);
    }

    fn send(&self, seen: Seen, bytes: usize) {
        let shared = &self.shared;
        let before = shared.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= shared.config.max_waiting_bytes;
        if !fits || self.sender.try_send(Waiting { seen, bytes }).is_err() {
            shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            shared.queue_full.fetch_add(1, Ordering::Relaxed);
        } else {
            shared.sent.fetch_add(1, Ordering::Relaxed);
        }
        // Not at each call: whoever helps is awake by then.
        let waiting = self.waiting();
        if waiting >= shared.config.flood && waiting.is_multiple_of(CALL_EVERY) {
            self.call_for_help();
        }
    }

    /// Waits until what was recorded before now has been taken care of, and no longer than `limit`.
    pub async fn caught_up(&self, limit: Duration) {
        let sent = self.shared.sent.load(Ordering::Relaxed);
        let reached = async {
            while self.shared.done.load(Ordering::Acquire) < sent {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let _ = tokio::time::timeout(limit, reached).await;
    }

    /// Spans that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    /// More spans wait than are taken beside everything else.
    pub fn is_flooded(&self) -> bool {
        self.waiting() >= self.shared.config.flood
    }

    /// Wakes whoever waits for a flood.
    pub fn call_for_help(&self) {
        self.shared.flooded.notify_one();
    }

    /// Waits for a flood.
    pub async fn flooded(&self) {
        self.shared.flooded.notified().await;
    }

    pub(crate) fn count_texts_cut(&self) {
        self.shared.texts_cut.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts spans that were recorded but could not be stored.
    pub fn count_store_unavailable(&self, spans: u64) {
        self.shared.store_unavailable.fetch_add(spans, Ordering::Relaxed);
    }

    pub fn drop_counts(&self) -> DropCounts {
        DropCounts {
            queue_full: self.shared.queue_full.load(Ordering::Relaxed),
            store_unavailable: self.shared.store_unavailable.load(Ordering::Relaxed),
            unreadable: self.shared.unreadable.load(Ordering::Relaxed),
            texts_cut: self.shared.texts_cut.load(Ordering::Relaxed),
        }
    }
}

impl Recorded {
    /// Takes no more; what waits already can still be had.
    pub fn close(&mut self) {
        self.receiver.close();
    }

    /// What was taken has been taken care of.
    pub fn done(&self) {
        self.shared.done.store(self.taken, Ordering::Release);
    }

    /// All that waits now, at least one, at most `most`; `None` once every recorder is gone.
    pub async fn next(&mut self, most: usize) -> Option<Vec<Observation>> {
        let mut waiting = Vec::new();
        if self.receiver.recv_many(&mut waiting, most).await == 0 {
            return None;
        }
        self.taken += waiting.len() as u64;
        let bytes = waiting.iter().map(|one| one.bytes).sum();
        self.shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Some(waiting.into_iter().filter_map(|one| self.shared.read(one.seen)).collect())
    }
}

impl Shared {
    fn cut(&self, observation: &mut Observation) {
        for content in &mut observation.contents {
            content.text.truncate(self.config.max_content_bytes);
        }
    }

    /// Whatever a client or a runtime sent, it must not end the thread that keeps everything.
    fn read(&self, seen: Seen) -> Option<Observation> {
        let read = match seen {
            Seen::Read(observation) => return Some(*observation),
            Seen::Unread(read) => read,
        };
        match catch_unwind(AssertUnwindSafe(|| read.read())) {
            Ok(observation) => observation.map(|mut observation| {
                self.cut(&mut observation);
                observation
            }),
            Err(_) => {
                self.unreadable.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use andon_model::{Span, TraceId};

    use super::*;

    #[tokio::test]
    async fn a_full_channel_drops_and_counts_instead_of_waiting() {
        let config = RecorderConfig { max_waiting: 2, ..RecorderConfig::default() };
        let (recorder, mut recorded) = Recorder::new(config);
        for _ in 0..5 {
            recorder.record(Span::new(TraceId::random(), "s", "n").into());
        }
        assert_eq!(recorder.drop_counts().queue_full, 3);
        assert_eq!(recorded.next(10).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn whoever_counts_calls_waits_until_those_of_before_are_taken_care_of() {
        let (recorder, mut recorded) = Recorder::new(RecorderConfig::default());
        let limit = Duration::from_secs(3_600);
        recorder.caught_up(limit).await;
        recorder.record(Span::new(TraceId::random(), "s", "n").into());
        // Not for ever.
        recorder.caught_up(10 * LOOK_AGAIN).await;
        recorded.next(10).await.unwrap();
        let waiting = tokio::spawn(async move { recorder.caught_up(limit).await });
        tokio::time::sleep(10 * LOOK_AGAIN).await;
        assert!(!waiting.is_finished(), "taken is not yet taken care of");
        recorded.done();
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_call_that_cannot_be_read_is_counted_and_the_next_one_kept() {
        let (recorder, mut recorded) = Recorder::new(RecorderConfig::default());
        recorder.record_later(Box::new(|| unreachable!("a fault in reading")));
        recorder.record_later(Box::new(|| Some(Span::new(TraceId::random(), "s", "n").into())));
        assert_eq!(recorded.next(10).await.unwrap().len(), 1);
        assert_eq!(recorder.drop_counts().unreadable, 1);
    }

    #[tokio::test]
    async fn waiting_bytes_are_bounded_and_given_back() {
        let config = RecorderConfig { max_waiting_bytes: 600, ..RecorderConfig::default() };
        let (recorder, mut recorded) = Recorder::new(config);
        for _ in 0..2 {
            recorder.record(Span::new(TraceId::random(), "s", "n").into());
        }
        assert_eq!(recorder.drop_counts().queue_full, 1);
        recorded.next(10).await.unwrap();
        recorder.record(Span::new(TraceId::random(), "s", "n").into());
        assert_eq!(recorder.drop_counts().queue_full, 1);
    }
}
