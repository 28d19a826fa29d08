//! What Datadog's clients send to an agent: traces, LLM Observability and evaluations. Andon stands
//! where they expect the agent, so that a program which was instrumented for Datadog runs unchanged.
//!
//! What a newcomer gets wrong: a client that is refused anything it asks for at its start may end the
//! program that it is in. So everything that clients are known to call is answered as an agent would,
//! and counted where nothing is kept of it; but what could not be stored is never acknowledged.

mod apm;
mod evaluations;
mod http;
mod info;
mod item;
mod keep;
mod llm;
mod memory;
mod wire;

use std::sync::Arc;

use ::http::{Request, Response};
use tokio::sync::Semaphore;

use self::memory::Memory;
use crate::{dogstatsd::Dogstatsd, intake::Intake, otlp::Body};

/// What a port for Datadog's clients does. Clones are of the same.
#[derive(Clone)]
pub struct Datadog {
    intake: Intake,
    memory: Memory,
    /// Requests that may wait for the spans which they are about.
    waiting: Arc<Semaphore>,
    dogstatsd: Arc<Dogstatsd>,
}

impl Datadog {
    /// `dogstatsd`: for the metrics that clients send by HTTP.
    pub fn new(intake: Intake, dogstatsd: Arc<Dogstatsd>) -> Self {
        let waiting = Arc::new(Semaphore::new(evaluations::MAX_WAITING));
        Self { intake, memory: Memory::new(), waiting, dogstatsd }
    }

    /// Of any body, so that tests need no connection.
    pub async fn answer<B>(self, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = bytes::Bytes, Error: std::fmt::Display> + Unpin,
    {
        http::answer(&self, request).await
    }
}
