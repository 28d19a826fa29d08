//! The bodies of a call on their way. Each piece goes on as it came, at once; a copy goes onto a
//! tape. Nothing here waits, so back-pressure passes through untouched.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{
    exchange::{End, Exchange},
    tape::Tape,
};
use crate::runtime::root_cause;

/// The client's body on its way to the runtime.
pub(super) struct Sent {
    inner: Incoming,
    copy: Option<Copy>,
}

struct Copy {
    tape: Tape,
    began: Instant,
    /// Where the tape goes at the body's end, however it ends.
    done: Arc<OnceLock<Tape>>,
}

impl Sent {
    pub(super) fn uncopied(inner: Incoming) -> Self {
        Self { inner, copy: None }
    }

    pub(super) fn copied(
        inner: Incoming,
        tape: Tape,
        began: Instant,
        done: Arc<OnceLock<Tape>>,
    ) -> Self {
        Self { inner, copy: Some(Copy { tape, began, done }) }
    }

    fn hand_over(&mut self) {
        if let Some(copy) = self.copy.take() {
            // Nobody else fills it.
            let _ = copy.done.set(copy.tape);
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let (Some(Ok(frame)), Some(copy)) = (&frame, &mut self.copy)
            && let Some(data) = frame.data_ref()
        {
            copy.tape.push(data, copy.began);
        }
        if frame.is_none() || self.inner.is_end_stream() {
            self.hand_over();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// An answer on its way to the client: the runtime's, or Andon's own refusal.
pub struct CaptureBody(Kind);

enum Kind {
    Passed { inner: Incoming, exchange: Exchange },
    Own { inner: Full<Bytes> },
}

impl CaptureBody {
    pub(super) fn passed(inner: Incoming, mut exchange: Exchange) -> Self {
        if inner.is_end_stream() {
            exchange.ended(End::Complete);
        }
        Self(Kind::Passed { inner, exchange })
    }

    pub(super) fn own(text: String) -> Self {
        Self(Kind::Own { inner: Full::new(Bytes::from(text)) })
    }
}

impl Body for CaptureBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let (inner, exchange) = match &mut self.0 {
            Kind::Passed { inner, exchange } => (inner, exchange),
            Kind::Own { inner } => {
                return Pin::new(inner).poll_frame(context).map_err(|never| match never {});
            }
        };
        let frame = ready!(Pin::new(&mut *inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    exchange.piece(data);
                }
                if inner.is_end_stream() {
                    exchange.ended(End::Complete);
                }
            }
            Some(Err(error)) => exchange.ended(End::Broken(root_cause(error))),
            None => exchange.ended(End::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Passed { inner, .. } => inner.is_end_stream(),
            Kind::Own { inner } => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Passed { inner, .. } => inner.size_hint(),
            Kind::Own { inner } => inner.size_hint(),
        }
    }
}
