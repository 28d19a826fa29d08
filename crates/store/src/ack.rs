//! The answer to an append: a future, and a way to wait for it where there is no runtime.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use tokio::sync::oneshot;

use crate::StoreError;

/// Resolves when the record is durable and visible. Dropping it does not take the record back.
#[derive(Debug)]
#[must_use = "a record is not durable before its acknowledgement resolves"]
pub struct Ack(Option<oneshot::Receiver<Result<(), StoreError>>>);

impl Ack {
    pub(crate) fn new(answer: oneshot::Receiver<Result<(), StoreError>>) -> Self {
        Self(Some(answer))
    }

    /// For a record with nothing in it.
    pub(crate) fn done() -> Self {
        Self(None)
    }

    /// Waits on this thread. Unlike a runtime's own means it does not panic inside of one.
    pub fn wait(mut self) -> Result<(), StoreError> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self).poll(&mut context) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl Future for Ack {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answer) = &mut self.0 else { return Poll::Ready(Ok(())) };
        Pin::new(answer).poll(context).map(|answer| {
            answer.unwrap_or_else(|_| {
                let reason = "the log's writer ended".to_owned();
                Err(StoreError::Unavailable { reason })
            })
        })
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
