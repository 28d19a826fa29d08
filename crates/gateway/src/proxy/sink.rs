//! Where a call's events go: into a streamed answer, or nowhere.

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{answer::Ending, sse};

/// Events that may wait for a slow client; then the call waits, and with it the runtime.
const WAITING_EVENTS: usize = 64;

/// What a spawned call hands out: events, and then its end. An end that comes first is a failure
/// that still has a status of its own.
pub(crate) enum Out {
    Event(Bytes),
    End(Box<Ending>),
}

pub(super) struct Sink(Option<mpsc::Sender<Out>>);

impl Sink {
    pub(super) fn nowhere() -> Self {
        Self(None)
    }

    pub(super) fn channel() -> (Self, mpsc::Sender<Out>, mpsc::Receiver<Out>) {
        let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
        (Self(Some(sender.clone())), sender, receiver)
    }

    pub(super) fn streams(&self) -> bool {
        self.0.is_some()
    }

    /// A client that is gone is noticed by the task that drives the call, not here.
    pub(super) async fn send(&self, name: &str, data: &impl Serialize) {
        if let Some(sender) = &self.0 {
            let _ = sender.send(Out::Event(sse::event(name, data))).await;
        }
    }
}

/// A spawned call from its other side. Dropping it cancels the generation.
pub(crate) struct Events {
    receiver: mpsc::Receiver<Out>,
    taken: Vec<Out>,
}

impl Events {
    pub(crate) fn new(receiver: mpsc::Receiver<Out>) -> Self {
        Self { receiver, taken: Vec::new() }
    }

    pub(crate) async fn first(&mut self) -> Option<Out> {
        self.receiver.recv().await
    }

    /// All events that wait now, at least one, as one piece of the answer: a write costs more than
    /// an event. `None` after the end. The end itself is written by `last`.
    pub(crate) async fn next(&mut self, last: impl FnOnce(Ending) -> Bytes) -> Option<Bytes> {
        self.receiver.recv_many(&mut self.taken, WAITING_EVENTS).await;
        let mut ended = None;
        let mut pieces = Vec::with_capacity(self.taken.len());
        for out in self.taken.drain(..) {
            match out {
                Out::Event(event) => pieces.push(event),
                Out::End(end) => ended = Some(end),
            }
        }
        if let Some(end) = ended {
            pieces.push(last(*end));
        }
        match pieces.len() {
            0 => None,
            1 => pieces.pop(),
            _ => Some(pieces.concat().into()),
        }
    }
}
