//! From what was seen to what is kept: recorder → protect → store, and samples → store.

use std::{sync::Arc, thread, time::Duration};

use andon_api::ApiState;
use andon_diagnose::Diagnoser;
use andon_gateway::{LiveCalls, Recorded, Recorder};
use andon_host::Sample;
use andon_model::{HostSample, Observation};
use andon_privacy::Protector;
use andon_receive::CountedCalls;
use andon_store::{Record, Store, StoreError, TraceQuery};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Spans that go to the store together; few, because whoever takes over waits for their end.
const BATCH: usize = 64;
/// The same while a flood is caught up with.
const FLOOD_BATCH: usize = 256;
/// What goes to the store in one record, about. It takes twice as much, and refuses what is larger.
pub(crate) const RECORD_BYTES: usize = 4 << 20;
/// Pause after a batch that was not full. Waking this thread costs a call more than recording it does, so it is woken
/// once in a while and not once a call.
const GATHER: Duration = Duration::from_millis(5);
/// When nothing came for so long, this thread wakes once more: memory that it has no use for goes back when it
/// begins to wait.
const REST: Duration = Duration::from_secs(3);

/// Says of each call why it took its time, before anything is stored of it.
#[derive(Clone, Default)]
pub(crate) struct Judge {
    pub(crate) diagnoser: Arc<Diagnoser>,
    pub(crate) live: LiveCalls,
}

impl Judge {
    pub(crate) fn judge(&self, observations: &mut [Observation]) {
        for seen in observations {
            self.diagnoser.judge(&mut seen.span, || self.live.snapshot());
        }
    }
}

/// Protects and stores on threads of its own, so that no call waits while another one's texts are
/// masked. The receiver hears of its end.
///
/// One thread does it, and gives way to whoever answers a call. In a flood it would get no time at
/// all and spans would have to be dropped: then a second one, which gives way to nobody, goes on
/// where it stands until it has caught up.
pub(crate) fn spawn_keeper(
    recorded: Recorded,
    recorder: Recorder,
    judge: Judge,
    protector: Protector,
    counted: Arc<CountedCalls>,
    store: Arc<dyn Store>,
    stop: CancellationToken,
) -> std::io::Result<oneshot::Receiver<()>> {
    let recorded = Mutex::new(recorded);
    let keeper = Arc::new(Keeper { recorded, recorder, judge, protector, counted, store });
    let (done, ended) = oneshot::channel();
    let (helper, helper_stop) = (Arc::clone(&keeper), stop.clone());
    spawn(
        "andon-keep",
        false,
        move || keeper.keep(stop),
        move || {
            // Nobody may be waiting any more.
            let _ = done.send(());
        },
    )?;
    spawn("andon-keep-2", true, move || helper.catch_up(helper_stop), || {})?;
    Ok(ended)
}

/// Runs what `work` gives on a thread of its own, and `ended` after it.
fn spawn<F: Future<Output = ()>>(
    name: &str,
    is_urgent: bool,
    work: impl FnOnce() -> F + Send + 'static,
    ended: impl FnOnce() + Send + 'static,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .on_thread_park(andon_memory::give_back_at_times)
        .build()?;
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        if !is_urgent && let Err(error) = andon_host::give_way() {
            tracing::debug!(%error, "the keeper has the priority of all others");
        }
        runtime.block_on(work());
        ended();
    })?;
    Ok(())
}

struct Keeper {
    /// Held from taking spans to handing them on, so that they keep their order.
    recorded: Mutex<Recorded>,
    recorder: Recorder,
    judge: Judge,
    protector: Protector,
    counted: Arc<CountedCalls>,
    store: Arc<dyn Store>,
}

impl Keeper {
    /// Protects and stores until it is stopped, and then what still waits.
    async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let (mut stopped, mut is_rested) = (false, true);
        loop {
            if !stop.is_cancelled() && self.recorder.is_flooded() {
                self.recorder.call_for_help();
                tokio::time::sleep(GATHER).await;
                continue;
            }
            let mut recorded = self.recorded.lock().await;
            let observations = tokio::select! {
                observations = recorded.next(BATCH) => observations,
                () = stop.cancelled(), if !stopped => {
                    stopped = true;
                    recorded.close();
                    continue;
                }
                () = tokio::time::sleep(REST), if !is_rested => {
                    is_rested = true;
                    continue;
                }
            };
            is_rested = false;
            let Some(observations) = observations else { return };
            // A full batch was not all: whoever pauses now falls behind.
            let is_all = observations.len() < BATCH;
            self.store(observations);
            recorded.done();
            drop(recorded);
            if !stopped && is_all {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Takes over in a flood, until hardly more waits than the other one takes at a time.
    async fn catch_up(self: Arc<Self>, stop: CancellationToken) {
        let mut is_rested = true;
        loop {
            tokio::select! {
                () = self.recorder.flooded() => is_rested = false,
                () = tokio::time::sleep(REST), if !is_rested => is_rested = true,
                () = stop.cancelled() => return,
            }
            while self.recorder.waiting() > FLOOD_BATCH && !stop.is_cancelled() {
                let mut recorded = self.recorded.lock().await;
                // The other one may have been quicker: whoever stops it needs the lock.
                let observations = tokio::select! {
                    observations = recorded.next(FLOOD_BATCH) => observations,
                    () = stop.cancelled() => return,
                };
                let Some(observations) = observations else { return };
                self.store(observations);
                recorded.done();
            }
        }
    }

    /// What the store cannot take is counted.
    fn store(&self, mut observations: Vec<Observation>) {
        self.judge.judge(&mut observations);
        self.counted.note(observations.iter().map(|seen| &seen.span));
        for batch in self.protector.protect(observations).split(RECORD_BYTES) {
            let spans = batch.get().spans.len() as u64;
            // The answer is not waited for: the store commits groups, and has its own bound.
            match self.store.append(Record::Spans(batch)) {
                Ok(ack) => {
                    let recorder = self.recorder.clone();
                    tokio::spawn(async move {
                        if let Err(error) = ack.await {
                            tracing::warn!(%error, spans, "spans were not stored");
                            recorder.count_store_unavailable(spans);
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, spans, "spans were not stored");
                    self.recorder.count_store_unavailable(spans);
                }
            }
        }
    }
}

/// Traces of before the start that are learned from.
const LEARNED_TRACES: usize = 300;

/// What is usual was learned before the last stop as well: learns it anew from the newest traces, on a
/// thread of its own that gives way to all others.
pub(crate) fn spawn_learner(
    diagnoser: Arc<Diagnoser>,
    store: Arc<dyn Store>,
) -> std::io::Result<()> {
    let learn = move || {
        if let Err(error) = andon_host::give_way() {
            tracing::debug!(%error, "the learner has the priority of all others");
        }
        learn_from_past(&diagnoser, &*store);
    };
    thread::Builder::new().name("andon-learn".to_owned()).spawn(learn).map(drop)
}

fn learn_from_past(diagnoser: &Diagnoser, store: &dyn Store) {
    let query = TraceQuery { limit: LEARNED_TRACES, ..TraceQuery::default() };
    let page = match store.traces(&query) {
        Ok(page) => page,
        Err(error) => return tracing::debug!(%error, "nothing is learned from what was before"),
    };
    let with_model = page.traces.iter().filter(|trace| trace.model.is_some());
    let mut spans: Vec<_> = with_model
        .filter_map(|trace| store.trace(trace.trace_id).ok().flatten())
        .flat_map(|trace| trace.spans)
        .collect();
    spans.sort_by_key(andon_model::Span::end_ns);
    for span in &spans {
        diagnoser.learn(span);
    }
}

/// Stores samples of the machine. One that cannot be stored is gone; the next comes in a second.
pub(crate) async fn keep_samples(
    mut samples: mpsc::Receiver<Sample>,
    diagnoser: Arc<Diagnoser>,
    store: Arc<dyn Store>,
) {
    while let Some(sample) = samples.recv().await {
        if let Some(host) = &sample.host {
            diagnoser.note(host, &sample.processes);
        }
        let records = [
            Record::Host(sample.host.into_iter().collect()),
            Record::Processes(sample.processes),
            Record::Devices(sample.devices),
        ];
        // All of a look before any is waited for, so that they are written to the disk at once.
        let taken = records.map(|record| store.append(record));
        for ack in taken {
            let stored = match ack {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            if let Err(error) = stored
                && !matches!(error, StoreError::Closed)
            {
                tracing::debug!(%error, "a sample was not stored");
            }
        }
    }
}

/// Keeps samples that were made of other machines' metrics, until it is stopped.
pub(crate) async fn keep_measured(
    mut measured: mpsc::Receiver<Vec<HostSample>>,
    api: ApiState,
    stop: CancellationToken,
) {
    // The sender is the receivers', which the API knows: it would stay for as long as this runs.
    while let Some(Some(samples)) = stop.run_until_cancelled(measured.recv()).await {
        api.take_measured(samples).await;
    }
}

#[cfg(test)]
mod tests {
    use andon_gateway::RecorderConfig;
    use andon_model::{Policy, RawContent, RawText, Span, TraceId};
    use andon_privacy::NoticeLanguage;
    use andon_store::{Config, EmbeddedStore};

    use super::*;

    /// Keeps what was recorded, to its end.
    async fn keep_all(
        recorded: Recorded,
        recorder: &Recorder,
        policy: Policy,
        store: &Arc<dyn Store>,
    ) {
        let stop = CancellationToken::new();
        stop.cancel();
        let protector = Protector::new(policy, NoticeLanguage::English);
        let (recorder, store) = (recorder.clone(), Arc::clone(store));
        let judge = Judge::default();
        let ended = spawn_keeper(recorded, recorder, judge, protector, Arc::default(), store, stop);
        tokio::time::timeout(Duration::from_secs(60), ended.unwrap()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn spans_that_are_too_large_together_are_stored_one_after_the_other() {
        const SPANS: u64 = 30;
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(EmbeddedStore::open(folder.path(), Config::default()).unwrap());
        let (recorder, recorded) = Recorder::new(RecorderConfig::default());
        let text = "0123456789abcdef".repeat(20_000);
        for _ in 0..SPANS {
            let mut seen = Observation::from(Span::new(TraceId::random(), "s", "n"));
            let (part, role, text) = (andon_model::Part::Input, None, RawText::new(text.as_str()));
            seen.contents.push(RawContent { part, role, idx: 0, text });
            recorder.record(seen);
        }
        keep_all(recorded, &recorder, Policy::Full, &store).await;
        store.flush().unwrap();
        assert_eq!((store.state().spans, recorder.drop_counts().store_unavailable), (SPANS, 0));
        store.close();
    }

    #[tokio::test]
    async fn what_waits_in_a_flood_is_stored_before_the_end() {
        const SPANS: u64 = 5_000;
        let folder = std::env::temp_dir().join(format!("andon-keeper-{}", std::process::id()));
        let store: Arc<dyn Store> =
            Arc::new(EmbeddedStore::open(&folder, Config::default()).unwrap());
        let (recorder, recorded) = Recorder::new(RecorderConfig::default());
        for _ in 0..SPANS {
            recorder.record(Span::new(TraceId::random(), "s", "n").into());
        }
        assert!(recorder.is_flooded());
        keep_all(recorded, &recorder, Policy::default(), &store).await;
        store.flush().unwrap();
        assert_eq!(store.state().spans, SPANS);
        assert_eq!(recorder.drop_counts().queue_full, 0);
        store.close();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
