//! The one thread that owns the model and computes, and the handle that others talk to it by.
//!
//! One request at a time, first come, first served: on a CPU two at once only make both slower.
//! Requests wait in a bounded [`queue`]. Everything a request sees comes to it as [`Event`]s; when
//! it drops its end, the computation is broken off in the middle of a decode call.

mod embed;
mod generate;
mod job;
mod load;
mod memory;
mod prefix;
mod queue;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{broadcast, mpsc};

use crate::failure::Failure;
use crate::keep_alive::KeepAlive;
use crate::library::{Library, ModelEntry};
use crate::llama;
use crate::threads::ThreadAdvice;

pub(crate) use job::{
    DoneReason, EmbedWork, Event, GenerateWork, Input, Job, JobRequest, Outcome, Progress, Running,
    Tell, Told, Work,
};
use load::Loaded;
use queue::Queue;

/// Words of progress that a slow follower may be behind; beyond that the oldest are lost to it.
const MOST_BEHIND: usize = 256;

/// What the engine is told once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineConfig {
    pub(crate) context_length: u32,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) max_threads: Option<u32>,
    pub(crate) max_queue: usize,
}

/// A loaded model as `/api/ps` shows it.
#[derive(Debug, Clone)]
pub(crate) struct LoadedInfo {
    pub(crate) entry: Arc<ModelEntry>,
    /// Bytes of memory it takes, measured.
    pub(crate) size: u64,
    pub(crate) context_length: usize,
    /// None: never, or not while a request runs.
    pub(crate) expires: Option<SystemTime>,
}

/// Talks to the engine; cheap to clone.
#[derive(Clone)]
pub(crate) struct Engine {
    queue: Arc<Queue>,
    loaded: Arc<Mutex<Option<LoadedInfo>>>,
    followers: broadcast::Sender<Told>,
}

impl Engine {
    /// Starts the engine's thread.
    pub(crate) fn start(config: EngineConfig, library: Arc<Library>) -> std::io::Result<Self> {
        let engine = Self {
            queue: Arc::new(Queue::new(config.max_queue)),
            loaded: Arc::new(Mutex::new(None)),
            followers: broadcast::Sender::new(MOST_BEHIND),
        };
        let worker = Worker {
            config,
            library,
            queue: Arc::clone(&engine.queue),
            shown: Arc::clone(&engine.loaded),
            advice: ThreadAdvice::start(config.max_threads),
            current: None,
        };
        thread::Builder::new().name("engine".into()).spawn(move || worker.run())?;
        Ok(engine)
    }

    /// Queues a request. Dropping what comes back cancels it.
    pub(crate) fn submit(&self, request: JobRequest) -> Result<Running, Failure> {
        let (events, receiver) = mpsc::unbounded_channel();
        let canceled = Arc::new(AtomicBool::new(false));
        let running = Running::new(receiver, Arc::clone(&canceled));
        let followers = self.followers.clone();
        self.queue.push(Job { request, queued: Instant::now(), events, canceled, followers })?;
        Ok(running)
    }

    pub(crate) fn loaded(&self) -> Option<LoadedInfo> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a request is computed or waits now.
    pub(crate) fn is_busy(&self) -> bool {
        self.queue.is_busy()
    }

    /// Hears of all requests that are numbered; nothing of those before.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Told> {
        let receiver = self.followers.subscribe();
        if self.queue.is_closed() {
            let _ = self.followers.send(None);
        }
        receiver
    }

    /// Lets the engine finish nothing more: waiting requests fail, the running one breaks off.
    pub(crate) fn stop(&self) {
        self.queue.close();
        let _ = self.followers.send(None);
    }
}

/// The thread's own state.
struct Worker {
    config: EngineConfig,
    library: Arc<Library>,
    queue: Arc<Queue>,
    shown: Arc<Mutex<Option<LoadedInfo>>>,
    advice: ThreadAdvice,
    current: Option<Loaded>,
}

/// Ends the process if the engine's thread panics: a server that takes requests and answers none
/// is worse than one that is gone and gets restarted.
struct ExitOnPanic;

impl Drop for ExitOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            llama::exit_now(70);
        }
    }
}

impl Worker {
    fn run(mut self) {
        let _guard = ExitOnPanic;
        llama::init_backend();
        loop {
            let deadline = self.current.as_ref().and_then(|loaded| loaded.expires);
            match self.queue.pop(deadline) {
                queue::Next::Job(job) => {
                    self.handle(*job);
                    self.queue.finished();
                }
                queue::Next::Deadline => self.unload("idle"),
                queue::Next::Closed => break,
            }
        }
        self.unload("stopping");
    }

    fn handle(&mut self, job: Job) {
        if job.is_canceled() {
            return;
        }
        let started = Instant::now();
        let queue_time = started.duration_since(job.queued);
        let result = match &job.request.work {
            Work::Unload => {
                let loaded = self.current.as_ref();
                if loaded.is_some_and(|loaded| loaded.entry.same_file(&job.request.model)) {
                    self.unload("asked to");
                }
                Ok(Outcome { done_reason: DoneReason::Unload, ..Outcome::default() })
            }
            Work::Load => self
                .ensure_loaded(&job)
                .map(|()| Outcome { done_reason: DoneReason::Load, ..Outcome::default() }),
            Work::Generate(work) => {
                self.ensure_loaded(&job).and_then(|()| self.generate(&job, work, started.elapsed()))
            }
            Work::Embed(work) => {
                self.ensure_loaded(&job).and_then(|()| self.embed(&job, work, started.elapsed()))
            }
        };
        self.restart_clock(&job);
        let result = result.map(|mut outcome| {
            outcome.queue = queue_time;
            outcome.load = outcome.load.max(Duration::from_nanos(1));
            outcome.total = job.request.received.elapsed();
            outcome.digest = self.library.digest(&job.request.model);
            Box::new(outcome)
        });
        match result {
            Ok(outcome) => job.send(Event::Done(outcome)),
            Err(failure) => {
                if failure != Failure::Canceled {
                    tracing::warn!(error = %failure, "request failed");
                }
                job.send(Event::Failed(failure));
            }
        }
    }

    /// The time until unloading starts anew when a request ends.
    fn restart_clock(&mut self, job: &Job) {
        if let Some(loaded) = &mut self.current {
            if let Some(keep_alive) = job.request.keep_alive
                && loaded.entry.same_file(&job.request.model)
            {
                loaded.keep_alive = keep_alive;
            }
            loaded.expires = loaded.keep_alive.deadline(Instant::now());
        }
        self.show();
    }

    fn unload(&mut self, why: &'static str) {
        let Some(loaded) = self.current.take() else { return };
        tracing::info!(model = loaded.entry.name, why, "unloading");
        self.show();
        drop(loaded);
        llama::release_free_memory();
    }

    /// Brings what `/api/ps` shows up to date.
    fn show(&self) {
        let info = self.current.as_ref().map(|loaded| LoadedInfo {
            entry: Arc::clone(&loaded.entry),
            size: loaded.size,
            context_length: loaded.context.length(),
            expires: loaded
                .expires
                .map(|at| SystemTime::now() + at.saturating_duration_since(Instant::now())),
        });
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = info;
    }
}
