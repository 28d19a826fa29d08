//! What the targets in `fuzz_targets` share: a receiver as `andon up` has it, without the store, and what
//! has to hold whatever is sent to it.
//!
//! A target turns an input into requests, and these go through the receiver's own answers. What it hands
//! on is protected as in the real thing, so that masking and limits are fuzzed with it. A panic anywhere
//! is a crash, a hang or too much memory is one by libFuzzer's own limits, and the assertions in here
//! say what else is wrong.

// A fuzz target fails by panicking.
#![expect(clippy::unwrap_used, clippy::panic, reason = "panicking is what a fuzz target does")]

pub mod check;
mod keeper;
mod kept;

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use andon_model::{Policy, Span};
use andon_receive::{
    BodyLimits, Intake, IntakeCounts, Keep, Protocol,
    datadog::Datadog,
    dogstatsd::Dogstatsd,
    otlp::{Origins, Otlp},
};
use bytes::Bytes;
use http::{
    HeaderMap, Request, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::runtime::{Builder, Runtime};

pub use self::{keeper::Keeper, kept::Kept};

/// The first byte of an input: small decisions, one after the other.
pub struct Choices(u8);

impl Choices {
    /// Takes the choices from an input; the rest is what is sent.
    pub fn of(input: &[u8]) -> Option<(Self, &[u8])> {
        input.split_first().map(|(first, rest)| (Self(*first), rest))
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let count = of.len() as u8;
        let place = self.0 % count;
        self.0 /= count;
        of[usize::from(place)]
    }

    pub fn policy(&mut self) -> Policy {
        self.one(&[Policy::Full, Policy::Mask(10), Policy::None])
    }
}

/// A body that comes in these pieces.
pub struct Pieces(VecDeque<Bytes>);

impl Pieces {
    pub fn one(body: &[u8]) -> Self {
        Self([Bytes::copy_from_slice(body)].into())
    }

    /// Two pieces, the first of about so many 256ths.
    pub fn two(body: &[u8], share: u8) -> Self {
        let (first, second) = body.split_at(body.len() * usize::from(share) / 256);
        Self([first, second].map(Bytes::copy_from_slice).into())
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// What a receiver said.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Of gRPC.
    pub trailers: HeaderMap,
}

/// All doors of one Andon, with a keeper that writes nothing.
pub struct Receiver {
    pub intake: Intake,
    keeper: Arc<Keeper>,
    otlp: Otlp,
    datadog: Datadog,
    dogstatsd: Arc<Dogstatsd>,
}

impl Receiver {
    pub fn new(policy: Policy, limits: BodyLimits) -> Self {
        let keeper = Arc::new(Keeper::new(policy));
        let intake = Intake::new(Arc::clone(&keeper) as Arc<dyn Keep>, Arc::default(), limits);
        let dogstatsd = Arc::new(Dogstatsd::new(intake.clone()));
        Self {
            otlp: Otlp::new(intake.clone(), Origins::default()),
            datadog: Datadog::new(intake.clone(), Arc::clone(&dogstatsd)),
            dogstatsd,
            keeper,
            intake,
        }
    }

    pub fn otlp(&self, request: Request<Pieces>) -> Answer {
        block_on(async { collect(self.otlp.clone().answer(request).await).await })
    }

    pub fn datadog(&self, request: Request<Pieces>) -> Answer {
        block_on(async { collect(self.datadog.clone().answer(request).await).await })
    }

    pub fn datagram(&self, lines: &[u8]) {
        self.dogstatsd.take(lines);
    }

    pub fn flush(&self) {
        block_on(self.dogstatsd.flush());
    }

    pub fn counts(&self, of: Protocol) -> IntakeCounts {
        let mut all = self.intake.counts().into_iter();
        all.find(|counts| counts.protocol == of).unwrap()
    }

    /// Fails where bodies that have come still take room. `largest`: as large as one may be, and no
    /// request; it is neither copied nor packed, so that all there is of room may be asked for at once.
    pub fn assert_room(&self, largest: &'static [u8], form: &str) {
        let body = Pieces([Bytes::from_static(largest)].into());
        let mut request = otlp_request("/v1/traces", form, body);
        request.headers_mut().remove(CONTENT_ENCODING);
        assert_eq!(self.otlp(request).status, 400, "room is missing");
    }
}

pub fn otlp_request(path: &str, form: &str, body: Pieces) -> Request<Pieces> {
    Request::post(path).header(CONTENT_TYPE, form).body(body).unwrap()
}

/// With a type where one is said.
pub fn datadog_request(path: &str, form: &str, body: &[u8]) -> Request<Pieces> {
    let mut request = Request::put(path).header("Datadog-Meta-Lang", "python");
    if !form.is_empty() {
        request = request.header(CONTENT_TYPE, form);
    }
    request.body(Pieces::one(body)).unwrap()
}

/// The parts of an input between some bytes.
pub fn split<'a>(mut input: &'a [u8], between: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let place = input.windows(between.len()).position(|bytes| bytes == between);
        is_over = place.is_none();
        let (part, rest) = match place {
            Some(place) => (&input[..place], &input[place + between.len()..]),
            None => (input, &input[..0]),
        };
        input = rest;
        Some(part)
    })
}

/// Does the same twice, each time with a new receiver. Both have to come to the same, except for what
/// took the time of the clock; and what is kept has to be in proportion to the bytes that `send` says.
pub fn twice(policy: Policy, limits: BodyLimits, send: impl Fn(&Receiver) -> usize) {
    let begin_ns = Span::now_ns();
    let once = || {
        let receiver = Receiver::new(policy, limits);
        let bytes = send(&receiver);
        let kept = receiver.keeper.take();
        check::proportion(&receiver, &kept, bytes);
        kept
    };
    let (mut first, mut second) = (once(), once());
    let clock = kept::Clock::new(begin_ns, Span::now_ns());
    first.forget(&clock);
    second.forget(&clock);
    first.assert_same(&second);
}

async fn collect(response: Response<andon_receive::otlp::Body>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap_or_else(|error| panic!("the answer broke off: {error}"));
    let trailers = body.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: body.to_bytes(), trailers }
}

fn block_on<T>(doing: impl Future<Output = T>) -> T {
    thread_local! {
        // Its clock goes on by itself where everything waits, so that no input costs two seconds.
        static RUNTIME: Runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(doing))
}
