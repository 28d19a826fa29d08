//! One call on its two connections: the client's body goes up while the answer comes down, each as
//! fast as the other side takes it. Nothing is read before what was read has been passed on.
//!
//! What a newcomer gets wrong: a client that leaves must end its generation at once, so its side is
//! watched all the time, also when nothing more is to come from it. That costs no system call: a
//! connection is read only when the kernel has said that there is something.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{io::AsyncWrite, net::TcpStream};

use super::{
    buffer::Buffer,
    framing::{BadChunk, Body},
    head::{self, AnswerHead, BadHead, MAX_HEAD},
    rewrite::{self, Way},
};
use crate::{
    capture::{
        exchange::{End, Exchange},
        upstream::Known,
    },
    runtime::progress::CALL,
};

/// Andon asks for a body itself, so that the runtime need not be waited for.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A kept connection that the runtime had closed says so by then.
const CLOSED_BEFORE: Duration = Duration::from_secs(1);

/// What a call's client said of itself.
#[derive(Debug, Clone, Copy)]
pub(in crate::capture) struct Asker {
    pub(in crate::capture) asks_head: bool,
    pub(in crate::capture) is_http10: bool,
    /// Its connection may have another call after this one.
    pub(in crate::capture) stays: bool,
}

/// How a call came to its end.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The answer was passed on whole.
    Answered,
    ClientGone,
    BadRequest(BadChunk),
    /// The runtime's connection failed before the first byte of an answer.
    Unanswered(String),
    /// The answer cannot be passed on, and nothing of it was.
    BadAnswer(String),
    /// The runtime's connection failed within the answer.
    Broken(String),
}

/// The client's side: what it sends, and where the answer goes.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) input: Buffer,
}

/// What is left of a call that is over.
pub(super) struct Left {
    pub(super) exchange: Exchange,
    pub(super) asker: Asker,
    /// What is still to come of the request.
    pub(super) body: Body,
    /// Whether the connection may have another call.
    pub(super) client_stays: bool,
    /// The runtime's connection, if it may.
    pub(super) runtime: Option<TcpStream>,
}

/// Boxed, so that a connection without a call is small, and a call is not moved about.
pub(super) struct Call {
    pub(super) exchange: Exchange,
    asker: Asker,
    upload: Upload,
    answer: Answer,
    /// `None` until there is one.
    runtime: Option<TcpStream>,
    /// It had a call before, and the runtime may just have closed it.
    was_kept: bool,
}

impl Call {
    /// `head`: as it goes to the runtime.
    pub(super) fn new(exchange: Exchange, asker: Asker, head: Vec<u8>, body: Body) -> Box<Self> {
        Box::new(Self {
            exchange,
            asker,
            upload: Upload::new(head, body),
            answer: Answer::default(),
            runtime: None,
            was_kept: false,
        })
    }

    /// Takes what has come of the request's body.
    pub(super) fn take(&mut self, client: &Client) -> Result<(), BadChunk> {
        self.upload.take(&client.input, &mut self.exchange)
    }

    /// Names the runtime in the head, at the place for it, and the call where the runtime will want to
    /// tell of it.
    pub(super) fn address(&mut self, runtime: &Known, at: usize) {
        let mut line = runtime.host.as_bytes().to_vec();
        if let Some(number) = self.exchange.number() {
            line.extend_from_slice(format!("\r\n{CALL}: {number}").as_bytes());
        }
        self.upload.head.splice(at..at, line);
    }

    pub(super) fn go_on(&mut self, runtime: TcpStream, was_kept: bool) {
        (self.runtime, self.was_kept) = (Some(runtime), was_kept);
        self.upload.sent = 0;
        self.upload.is_stopped = false;
    }

    /// Tells a client that waits for it that its body is wanted.
    pub(super) fn ask_for_body(&mut self) {
        self.answer.own = CONTINUE.to_vec();
    }

    /// Whether the request can be sent once more, on another connection: the runtime had closed this
    /// one before it came. Later on, it may be the request that the runtime dies of.
    pub(super) fn may_be_repeated(&self) -> bool {
        let is_young = || self.exchange.began().elapsed() < CLOSED_BEFORE;
        self.was_kept && self.upload.is_whole && !self.answer.has_begun && is_young()
    }

    /// Something of the answer has gone to the client, so nothing else can be said.
    pub(super) fn has_answered(&self) -> bool {
        self.answer.course.is_some()
    }

    /// Only the connection's end tells the client where the answer ends.
    pub(super) fn ends_by_close(&self) -> bool {
        let course = self.answer.course.as_ref();
        course.is_some_and(|course| course.unchunks || course.body == Body::UntilEnd)
    }

    /// Leaves the bytes of this request behind.
    pub(super) fn leave(self, client: &mut Client) -> Left {
        client.input.consume(self.upload.held);
        let body = self.upload.body;
        let is_sent = body.is_complete();
        // Bytes beyond the answer: what comes next on that connection could be anything.
        let is_clean = self.answer.input.is_empty() && is_sent && !self.upload.is_stopped;
        let course = self.answer.course.as_ref();
        let runtime_stays = is_clean && course.is_some_and(|course| course.runtime_stays);
        Left {
            exchange: self.exchange,
            asker: self.asker,
            body,
            client_stays: is_sent && course.is_some_and(|course| course.client_stays),
            runtime: self.runtime.filter(|_| runtime_stays),
        }
    }

    pub(super) fn poll(&mut self, client: &mut Client, context: &mut Context<'_>) -> Poll<Outcome> {
        match self.poll_down(client, context) {
            Poll::Pending => self.poll_up(client, context),
            ready => ready,
        }
    }

    /// Passes the request on and watches the client. Ready only when there is nobody any more.
    fn poll_up(&mut self, client: &mut Client, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(runtime) = &mut self.runtime else { return Poll::Pending };
        loop {
            // Also what came while there was no connection.
            if let Err(bad) = self.upload.take(&client.input, &mut self.exchange) {
                return Poll::Ready(Outcome::BadRequest(bad));
            }
            let sent = self.upload.poll_send(runtime, &client.input, context);
            let is_full = client.input.is_full();
            let may_be_repeated = self.was_kept && self.upload.is_whole && !self.answer.has_begun;
            if sent.is_ready() && (is_full || !may_be_repeated) {
                self.upload.let_go(&mut client.input);
            }
            if client.input.is_full() {
                return Poll::Pending;
            }
            let came = ready!(client.input.poll_fill(&mut client.stream, context));
            if !matches!(came, Ok(1..)) {
                return Poll::Ready(Outcome::ClientGone);
            }
        }
    }

    /// Passes the answer on. Ready when it is over.
    fn poll_down(&mut self, client: &mut Client, context: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            if ready!(self.answer.poll_send(&mut client.stream, context)).is_err() {
                return Poll::Ready(Outcome::ClientGone);
            }
            if self.answer.course.as_ref().is_some_and(|course| course.body.is_complete()) {
                self.exchange.ended(End::Complete);
                return Poll::Ready(Outcome::Answered);
            }
            match self.read() {
                Err(outcome) => return Poll::Ready(outcome),
                Ok(true) => continue,
                Ok(false) => {}
            }
            let Some(runtime) = &mut self.runtime else { return Poll::Pending };
            match ready!(self.answer.input.poll_fill(runtime, context)) {
                Ok(0) => return Poll::Ready(self.runtime_ended(None)),
                Err(error) => return Poll::Ready(self.runtime_ended(Some(error))),
                Ok(_) => self.answer.has_begun = true,
            }
        }
    }

    /// Makes what has come of the answer ready to be sent. False: more must come first.
    fn read(&mut self) -> Result<bool, Outcome> {
        if self.answer.input.is_empty() {
            return Ok(false);
        }
        // What came of the body goes out in one write with the head.
        let has_head = self.answer.course.is_none() && self.read_head()?;
        Ok(self.answer.take(&mut self.exchange)? || has_head)
    }

    /// False: more must come first.
    fn read_head(&mut self) -> Result<bool, Outcome> {
        let answer = &mut self.answer;
        let bad = |error| Outcome::BadAnswer(format!("gave an answer that is none: {error}"));
        let bytes = answer.input.bytes();
        let mut room = head::room();
        let read = match head::may_be_whole(bytes, answer.seen) {
            true => AnswerHead::read(bytes, self.asker.asks_head, &mut room).map_err(bad)?,
            false => None,
        };
        let Some(head) = read else {
            answer.seen = bytes.len();
            let has_room = !answer.input.is_full() || answer.input.grow(MAX_HEAD);
            return if has_room { Ok(false) } else { Err(bad(BadHead::TooLarge)) };
        };
        match head.status {
            // Andon has asked for the body itself.
            100 => {}
            101 => return Err(Outcome::BadAnswer("changed the protocol".to_owned())),
            102..200 if self.asker.is_http10 => {}
            status => {
                if status >= 200 {
                    self.exchange.answered(status, head.headers);
                    let is_sent = self.upload.body.is_complete();
                    answer.course = Some(Course::of(&head, self.asker, is_sent));
                }
                let way = Way {
                    trace_id: Some(self.exchange.trace_id()),
                    is_http10: self.asker.is_http10,
                    stays: answer.course.as_ref().is_some_and(|course| course.client_stays),
                };
                rewrite::backward(&head, way, &mut answer.own);
            }
        }
        let len = head.len;
        answer.input.consume(len);
        answer.seen = 0;
        Ok(true)
    }

    fn runtime_ended(&mut self, error: Option<io::Error>) -> Outcome {
        let closed = || "closed the connection".to_owned();
        let why = error.as_ref().map_or_else(closed, |error| format!("failed ({error})"));
        match self.answer.course.as_ref().map(|course| &course.body) {
            None if !self.answer.has_begun => Outcome::Unanswered(why),
            None => Outcome::BadAnswer(format!("{why} within the head of its answer")),
            Some(Body::UntilEnd) if error.is_none() => {
                self.exchange.ended(End::Complete);
                Outcome::Answered
            }
            Some(_) => Outcome::Broken(format!("the runtime {why} within its answer")),
        }
    }
}

/// The request on its way. Its body stays where it was read until it is written; on a connection
/// that was kept until the answer begins, as long as there is room: it may have to be sent again.
struct Upload {
    head: Vec<u8>,
    body: Body,
    /// Bytes at the start of the client's buffer that belong to the body.
    held: usize,
    /// Bytes of `head` and the held ones that were written.
    sent: usize,
    /// Nothing of it was let go.
    is_whole: bool,
    /// The runtime takes no more. Its answer may be there all the same.
    is_stopped: bool,
}

impl Upload {
    fn new(head: Vec<u8>, body: Body) -> Self {
        Self { head, body, held: 0, sent: 0, is_whole: true, is_stopped: false }
    }

    /// Takes what has come of the body.
    fn take(&mut self, input: &Buffer, exchange: &mut Exchange) -> Result<(), BadChunk> {
        let came = &input.bytes()[self.held..];
        self.held += self.body.take(came, |data| exchange.asked(data))?;
        if self.body.is_complete() {
            exchange.asked_all();
        }
        Ok(())
    }

    /// Ready when all that is held was written, or nothing more can be.
    fn poll_send(
        &mut self,
        runtime: &mut TcpStream,
        input: &Buffer,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let held = &input.bytes()[..self.held];
        while !self.is_stopped && self.sent < self.head.len() + held.len() {
            match ready!(poll_write(runtime, &self.head, held, self.sent, context)) {
                Ok(written) => self.sent += written,
                Err(_) => self.is_stopped = true,
            }
        }
        Poll::Ready(())
    }

    fn let_go(&mut self, input: &mut Buffer) {
        input.consume(self.held);
        (self.held, self.sent) = (0, 0);
        self.head = Vec::new();
        self.is_whole = false;
    }
}

/// The answer on its way.
#[derive(Default)]
struct Answer {
    input: Buffer,
    /// Goes before what is in `input`: the head; of a body whose chunks are taken apart, all.
    own: Vec<u8>,
    /// Bytes at the start of `input` that may be written.
    held: usize,
    /// Bytes of `own` and the held ones that were written.
    sent: usize,
    /// `None` before the head.
    course: Option<Course>,
    /// Bytes of an open head that were looked at.
    seen: usize,
    has_begun: bool,
}

/// What an answer's head says of the rest.
struct Course {
    body: Body,
    /// The client does not know chunks.
    unchunks: bool,
    client_stays: bool,
    runtime_stays: bool,
}

impl Course {
    fn of(head: &AnswerHead<'_>, asker: Asker, is_sent: bool) -> Self {
        let unchunks = asker.is_http10 && matches!(head.body, Body::Chunked(_));
        let ends_by_close = unchunks || head.body == Body::UntilEnd;
        Self {
            body: head.body.clone(),
            unchunks,
            client_stays: asker.stays && is_sent && !ends_by_close,
            runtime_stays: head.keeps_alive,
        }
    }
}

impl Answer {
    /// Takes what has come of the body. False: nothing.
    fn take(&mut self, exchange: &mut Exchange) -> Result<bool, Outcome> {
        let Some(course) = &mut self.course else { return Ok(false) };
        let (own, unchunks) = (&mut self.own, course.unchunks);
        let taken = course.body.take(&self.input.bytes()[self.held..], |data| {
            exchange.piece(data);
            if unchunks {
                own.extend_from_slice(data);
            }
        });
        let taken = taken.map_err(|bad| Outcome::Broken(format!("the runtime sent {bad}")))?;
        match unchunks {
            true => self.input.consume(taken),
            false => self.held += taken,
        }
        Ok(taken > 0)
    }

    /// Ready when all that is held was written.
    fn poll_send(
        &mut self,
        client: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let held = &self.input.bytes()[..self.held];
        let all = self.own.len() + held.len();
        if all == 0 {
            return Poll::Ready(Ok(()));
        }
        while self.sent < all {
            self.sent += ready!(poll_write(client, &self.own, held, self.sent, context))?;
        }
        self.input.consume(self.held);
        self.own = Vec::new();
        (self.held, self.sent) = (0, 0);
        Poll::Ready(Ok(()))
    }
}

/// Writes what follows the first `sent` bytes of the two parts, in one system call.
fn poll_write(
    stream: &mut TcpStream,
    first: &[u8],
    second: &[u8],
    sent: usize,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let stream = Pin::new(stream);
    if sent >= first.len() {
        return stream.poll_write(context, &second[sent - first.len()..]);
    }
    if second.is_empty() {
        return stream.poll_write(context, &first[sent..]);
    }
    stream.poll_write_vectored(context, &[IoSlice::new(&first[sent..]), IoSlice::new(second)])
}
