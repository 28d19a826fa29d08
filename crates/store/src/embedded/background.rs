//! A thread that gives way to everything else, and ends when it is told to.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::StoreError;

/// Lowest of all: the model comes first, and then questions.
const NICE: i32 = 19;

/// The thread.
pub(super) struct Background {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Tells it to end.
#[derive(Default)]
pub(super) struct Stop {
    is_stopping: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// `true` when it is to end.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let stopping = self.is_stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let slept = self.changed.wait_timeout_while(stopping, time, |stopping| !*stopping);
        *slept.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Background {
    /// `near`: a path to name where the thread cannot be had.
    pub(super) fn start(
        name: &'static str,
        near: &Path,
        run: impl FnOnce(&Stop) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let stop = Arc::new(Stop::default());
        let stopped = Arc::clone(&stop);
        let run = move || {
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::debug!(%error, "{name} works at the common priority");
            }
            run(&stopped);
        };
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| StoreError::io("start a thread beside", near, &error))?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Ends it after what it is at.
    pub(super) fn stop(&self) {
        *self.stop.is_stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a thread of the store ended with a panic");
        }
    }
}
