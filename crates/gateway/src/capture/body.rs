//! The bodies of a call on their way. Each piece goes on as it came, at once; a copy goes onto a
//! tape. Nothing here waits, so back-pressure passes through untouched.

use std::{
    collections::VecDeque,
    future::poll_fn,
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
    /// Boxed, because a connection to the runtime keeps room for 32 requests.
    copy: Option<Box<Copy>>,
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
        Self { inner, copy: Some(Box::new(Copy { tape, began, done })) }
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
    Passed(Passed),
    Own(Full<Bytes>),
}

/// What a poll of a body gave: a frame, an error, or its end.
type Polled = Option<Result<Frame<Bytes>, hyper::Error>>;

struct Passed {
    inner: Incoming,
    /// What came with the head, in order.
    early: VecDeque<Polled>,
    exchange: Exchange,
}

impl CaptureBody {
    /// Takes what is there of the answer already, so that it goes out in one write with the head: a
    /// write costs more than all the rest here. Waits for nothing that is not there.
    pub(super) async fn passed(inner: Incoming, exchange: Exchange) -> Self {
        let mut passed = Passed { inner, early: VecDeque::new(), exchange };
        passed.look().await;
        // The first piece has made room for the next one, or for the end.
        if !passed.early.is_empty() && !passed.inner.is_end_stream() {
            next_turn().await;
            passed.look().await;
        }
        Self(Kind::Passed(passed))
    }

    pub(super) fn own(text: String) -> Self {
        Self(Kind::Own(Full::new(Bytes::from(text))))
    }
}

impl Passed {
    async fn look(&mut self) {
        poll_fn(|context| {
            let is_over = matches!(self.early.back(), Some(None | Some(Err(_))));
            if !is_over && let Poll::Ready(polled) = self.poll_inner(context) {
                self.early.push_back(polled);
            }
            Poll::Ready(())
        })
        .await;
    }

    fn poll_inner(&mut self, context: &mut Context<'_>) -> Poll<Polled> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.exchange.piece(data);
                }
                if self.inner.is_end_stream() {
                    self.exchange.ended(End::Complete);
                }
            }
            Some(Err(error)) => self.exchange.ended(End::Broken(root_cause(error))),
            None => self.exchange.ended(End::Complete),
        }
        Poll::Ready(polled)
    }

    fn is_end(&self) -> bool {
        match self.early.front() {
            Some(polled) => polled.is_none(),
            None => self.inner.is_end_stream(),
        }
    }
}

/// Lets the other tasks that are ready run once.
async fn next_turn() {
    let mut had = false;
    poll_fn(|context| {
        if std::mem::replace(&mut had, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Body for CaptureBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Polled> {
        match &mut self.0 {
            Kind::Passed(passed) => match passed.early.pop_front() {
                Some(polled) => Poll::Ready(polled),
                None => passed.poll_inner(context),
            },
            Kind::Own(inner) => Pin::new(inner).poll_frame(context).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Passed(passed) => passed.is_end(),
            Kind::Own(inner) => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let passed = match &self.0 {
            Kind::Passed(passed) => passed,
            Kind::Own(inner) => return inner.size_hint(),
        };
        let data = passed.early.iter().flatten().flatten().filter_map(Frame::data_ref);
        let early: u64 = data.map(|data| data.len() as u64).sum();
        let (left, mut hint) = (passed.inner.size_hint(), SizeHint::new());
        if let Some(upper) = left.upper() {
            hint.set_upper(upper + early);
        }
        hint.set_lower(left.lower() + early);
        hint
    }
}
