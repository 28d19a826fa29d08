//! The line of waiting requests: bounded, first come, first served.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::job::{Job, Progress};
use crate::failure::Failure;

/// What the engine does next.
pub(super) enum Next {
    Job(Box<Job>),
    /// Nothing came until the deadline.
    Deadline,
    Closed,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// The cancel flag of the request that is computed now.
    running: Option<Arc<AtomicBool>>,
    closed: bool,
}

pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    most: usize,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self { state: Mutex::default(), arrived: Condvar::new(), most }
    }

    /// Takes a request in, or refuses it when too many wait.
    pub(super) fn push(&self, job: Job) -> Result<(), Failure> {
        let mut state = self.lock();
        if state.closed {
            return Err(Failure::Stopping);
        }
        if state.waiting.len() >= self.most {
            // Those whose clients left take no place.
            state.waiting.retain(|job| !job.is_canceled());
            if state.waiting.len() >= self.most {
                return Err(Failure::Busy);
            }
        }
        let position = state.waiting.iter().filter(|job| !job.is_canceled()).count() + 1;
        if position > 1 || state.running.is_some() {
            job.tell(Progress::Queue { position });
        }
        state.waiting.push_back(job);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next request, waiting for one until the deadline.
    pub(super) fn pop(&self, deadline: Option<Instant>) -> Next {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Next::Closed;
            }
            state.waiting.retain(|job| !job.is_canceled());
            if let Some(job) = state.waiting.pop_front() {
                state.running = Some(Arc::clone(&job.canceled));
                for (index, job) in state.waiting.iter().enumerate() {
                    job.tell(Progress::Queue { position: index + 1 });
                }
                return Next::Job(Box::new(job));
            }
            state = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(rest) if rest.is_zero() => return Next::Deadline,
                Some(rest) => {
                    let result = self.arrived.wait_timeout(state, rest);
                    result.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    pub(super) fn finished(&self) {
        self.lock().running = None;
    }

    pub(super) fn is_busy(&self) -> bool {
        let state = self.lock();
        state.running.is_some() || !state.waiting.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Drops those waiting, which then fail, and breaks off the running one.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        if let Some(running) = &state.running {
            running.store(true, Ordering::Relaxed);
        }
        drop(state);
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
