//! From what was seen to what is kept: recorder → protect → store, and samples → store.

use std::{sync::Arc, thread, time::Duration};

use andon_gateway::{Recorded, Recorder};
use andon_host::Sample;
use andon_privacy::Protector;
use andon_store::{Record, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Spans that go to the store together.
const BATCH: usize = 256;
/// Pause after a batch that was not full. Waking this thread costs a call more than recording it does, so it is woken
/// once in a while and not once a call.
const GATHER: Duration = Duration::from_millis(5);

/// Protects and stores on a thread of its own, so that no call waits while another one's texts are
/// masked. The receiver hears of its end.
pub(crate) fn spawn_keeper(
    recorded: Recorded,
    recorder: Recorder,
    protector: Protector,
    store: Arc<dyn Store>,
    stop: CancellationToken,
) -> std::io::Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (done, ended) = oneshot::channel();
    thread::Builder::new().name("andon-keep".to_owned()).spawn(move || {
        runtime.block_on(keep_spans(recorded, recorder, protector, store, stop));
        // Nobody may be waiting any more.
        let _ = done.send(());
    })?;
    Ok(ended)
}

/// Protects and stores until it is stopped, and then what still waits. What the store cannot take
/// is counted.
async fn keep_spans(
    mut recorded: Recorded,
    recorder: Recorder,
    protector: Protector,
    store: Arc<dyn Store>,
    stop: CancellationToken,
) {
    let mut stopped = false;
    loop {
        let observations = tokio::select! {
            observations = recorded.next(BATCH) => observations,
            () = stop.cancelled(), if !stopped => {
                stopped = true;
                recorded.close();
                continue;
            }
        };
        let Some(observations) = observations else { return };
        let spans = observations.len() as u64;
        // The answer is not waited for: the store commits groups, and has its own bound.
        match store.append(Record::Spans(protector.protect(observations))) {
            Ok(ack) => {
                let recorder = recorder.clone();
                tokio::spawn(async move {
                    if let Err(error) = ack.await {
                        tracing::warn!(%error, spans, "spans were not stored");
                        recorder.count_store_unavailable(spans);
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, spans, "spans were not stored");
                recorder.count_store_unavailable(spans);
            }
        }
        // A full batch was not all: whoever pauses now falls behind.
        if !stopped && spans < BATCH as u64 {
            tokio::time::sleep(GATHER).await;
        }
    }
}

/// Stores samples of the machine. One that cannot be stored is gone; the next comes in a second.
pub(crate) async fn keep_samples(mut samples: mpsc::Receiver<Sample>, store: Arc<dyn Store>) {
    while let Some(sample) = samples.recv().await {
        let records =
            [Record::Host(sample.host.into_iter().collect()), Record::Processes(sample.processes)];
        for record in records {
            let stored = match store.append(record) {
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
