//! Where a call's events go: into a streamed answer, or nowhere.

use std::convert::Infallible;

use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::sse;

/// Events that may wait for a slow client; then the call waits, and with it the runtime.
const WAITING_EVENTS: usize = 64;

/// What a spawned call hands out.
pub(super) enum Out {
    Event(Bytes),
    /// It failed before its first event.
    Refused(Box<Response>),
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

/// The first event and all that follow it.
pub(super) fn into_stream(
    first: Bytes,
    events: mpsc::Receiver<Out>,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((Some(first), events), |(first, mut events)| async move {
        if let Some(first) = first {
            return Some((Ok(first), (None, events)));
        }
        match events.recv().await? {
            Out::Event(event) => Some((Ok(event), (None, events))),
            Out::Refused(_) => None,
        }
    })
}
