//! What goes into the engine and what comes out of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc};

use crate::failure::Failure;
use crate::keep_alive::KeepAlive;
use crate::library::ModelEntry;
use crate::llama::Token;
use crate::options::Options;
use crate::template::Message;
use crate::thinking::Parts;

/// A request to the engine.
#[derive(Debug)]
pub(crate) struct JobRequest {
    pub(crate) model: Arc<ModelEntry>,
    pub(crate) work: Work,
    /// The request's options laid over the model's.
    pub(crate) options: Options,
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) tell: Tell,
    /// When the HTTP request came in.
    pub(crate) received: Instant,
}

/// To whom a request's waiting, loading and reading is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tell {
    /// Whoever made it, among the lines of its answer.
    pub(crate) caller: bool,
    /// Whoever follows all requests, under this number.
    pub(crate) followers: Option<u64>,
}

#[derive(Debug)]
pub(crate) enum Work {
    Load,
    Unload,
    Generate(GenerateWork),
    Embed(EmbedWork),
}

#[derive(Debug)]
pub(crate) struct GenerateWork {
    pub(crate) input: Input,
    /// Tokens of an earlier answer, put before the prompt.
    pub(crate) context: Vec<Token>,
    pub(crate) grammar: Option<String>,
    pub(crate) think: Option<bool>,
}

#[derive(Debug)]
pub(crate) enum Input {
    Raw(String),
    Chat(Vec<Message>),
}

#[derive(Debug)]
pub(crate) struct EmbedWork {
    pub(crate) inputs: Vec<String>,
    /// Cut what is too long, rather than refuse it.
    pub(crate) truncate: bool,
    /// Scale each vector to length one.
    pub(crate) normalize: bool,
}

/// Where a request stands before its first token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Progress {
    /// 1 is next in line.
    Queue { position: usize },
    /// 0 to 1.
    Load { progress: f32 },
    /// Tokens; those in the cache count as done.
    Prompt { done: usize, total: usize, cached: usize },
}

/// What those who follow all requests hear. `None`: nothing more comes.
pub(crate) type Told = Option<(u64, Progress)>;

/// What a request hears.
#[derive(Debug)]
pub(crate) enum Event {
    /// Only if it asked for it.
    Progress(Progress),
    Text(Parts),
    Done(Box<Outcome>),
    Failed(Failure),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum DoneReason {
    #[default]
    Stop,
    Length,
    Load,
    Unload,
}

impl DoneReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Load => "load",
            Self::Unload => "unload",
        }
    }
}

/// How a request ended, with its times.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) done_reason: DoneReason,
    pub(crate) total: Duration,
    pub(crate) queue: Duration,
    pub(crate) load: Duration,
    /// Tokens of the whole prompt, and how many of them were in memory already.
    pub(crate) prompt_tokens: usize,
    pub(crate) cached_tokens: usize,
    /// Time for the rest of them.
    pub(crate) prompt: Duration,
    pub(crate) eval_tokens: usize,
    pub(crate) eval: Duration,
    /// Threads of the last decode call, and the most of any.
    pub(crate) threads: u32,
    pub(crate) threads_most: u32,
    pub(crate) digest: Option<String>,
    /// The prompt's and the answer's tokens.
    pub(crate) context: Vec<Token>,
    pub(crate) embeddings: Vec<Vec<f32>>,
}

/// A request in the queue or at work.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) request: JobRequest,
    pub(crate) queued: Instant,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) canceled: Arc<AtomicBool>,
    pub(super) followers: broadcast::Sender<Told>,
}

impl Job {
    pub(super) fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Relaxed)
    }

    /// Never waits for a slow reader: a request's events are bounded by its context's length.
    pub(super) fn send(&self, event: Event) {
        // An error means that nobody listens any more; `is_canceled` says so too.
        let _ = self.events.send(event);
    }

    pub(super) fn tell(&self, progress: Progress) {
        if let Some(number) = self.request.tell.followers {
            // An error means that nobody follows.
            let _ = self.followers.send(Some((number, progress)));
        }
        if self.request.tell.caller {
            self.send(Event::Progress(progress));
        }
    }
}

/// The asking side. Dropping it cancels the request.
#[derive(Debug)]
pub(crate) struct Running {
    events: mpsc::UnboundedReceiver<Event>,
    canceled: Arc<AtomicBool>,
}

impl Running {
    pub(super) fn new(events: mpsc::UnboundedReceiver<Event>, canceled: Arc<AtomicBool>) -> Self {
        Self { events, canceled }
    }

    /// The next event; a request that ends without one was given up by the engine.
    pub(crate) async fn next(&mut self) -> Event {
        self.events.recv().await.unwrap_or(Event::Failed(Failure::Stopping))
    }

    /// Waits for the end, gathering the text.
    pub(crate) async fn collect(mut self) -> Result<(Parts, Box<Outcome>), Failure> {
        let mut all = Parts::default();
        loop {
            match self.next().await {
                Event::Text(parts) => {
                    all.thinking.push_str(&parts.thinking);
                    all.content.push_str(&parts.content);
                }
                Event::Done(outcome) => return Ok((all, outcome)),
                Event::Failed(failure) => return Err(failure),
                Event::Progress(_) => {}
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.canceled.store(true, Ordering::Relaxed);
    }
}
