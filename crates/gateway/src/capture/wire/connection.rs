//! A client's connection: one call after the other, from the head of its request to the end of its
//! answer, for as long as both sides want.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use http::{Method, StatusCode};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    buffer::Buffer,
    call::{Asker, Call, Client, Left, Outcome},
    door::Door,
    framing::Body,
    head::{self, BadHead, MAX_HEAD, RequestHead},
    pool, rewrite,
};
use crate::{
    capture::{
        Shared,
        api::{Api, Family},
        exchange::{End, Exchange},
        refusal::Refusal,
        upstream::Known,
    },
    error::ErrorCode,
};

/// Between two requests.
const MAX_IDLE: Duration = Duration::from_secs(600);
/// For a head that has begun.
const HEAD: Duration = Duration::from_secs(60);
/// How long a client may go on sending what nobody reads, until it has taken its answer.
const PARTING: Duration = Duration::from_secs(2);

pub(super) struct Connection {
    shared: Arc<Shared>,
    door: Arc<dyn Door>,
    client: Client,
    /// Bytes of an open head that were looked at.
    seen: usize,
    stop: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Fires from time to time only, to see whether the client has been waited for too long.
    alarm: Pin<Box<Sleep>>,
    /// When the wait for the present head began, or its first byte came.
    since: Instant,
}

/// A call that may come in.
struct Asked {
    call: Box<Call>,
    /// Where the runtime's name belongs in the head.
    host_at: usize,
    /// The client waits to hear that its body is wanted.
    expects: bool,
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        door: Arc<dyn Door>,
        stream: TcpStream,
        stop: CancellationToken,
    ) -> Self {
        Self {
            shared,
            door,
            client: Client { stream, input: Buffer::default() },
            seen: 0,
            stopped: Box::pin(stop.clone().cancelled_owned()),
            stop,
            alarm: Box::pin(sleep(HEAD)),
            since: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let stays = match self.read() {
                Ok(Some(asked)) => self.pass(asked).await,
                Ok(None) if self.more().await => continue,
                Ok(None) => return,
                Err(refusal) => Box::pin(self.refuse(*refusal)).await,
            };
            if !stays || self.stop.is_cancelled() {
                return;
            }
            self.since = Instant::now();
        }
    }

    /// Waits for more of a head. False: none will come, or none is wanted.
    async fn more(&mut self) -> bool {
        poll_fn(|context| {
            if let Poll::Ready(read) = self.client.input.poll_fill(&mut self.client.stream, context)
            {
                return Poll::Ready(matches!(read, Ok(1..)));
            }
            if self.stopped.as_mut().poll(context).is_ready() {
                return Poll::Ready(false);
            }
            let patience = if self.client.input.is_empty() { MAX_IDLE } else { HEAD };
            let end = self.since + patience;
            if end < self.alarm.deadline() {
                self.alarm.as_mut().reset(end);
            }
            while self.alarm.as_mut().poll(context).is_ready() {
                if end <= Instant::now() {
                    return Poll::Ready(false);
                }
                self.alarm.as_mut().reset(end);
            }
            Poll::Pending
        })
        .await
    }

    /// Takes the head of a request. `None`: it has not come yet.
    fn read(&mut self) -> Result<Option<Asked>, Box<Refusal>> {
        let breaks = head::leading_breaks(self.client.input.bytes());
        self.client.input.consume(breaks);
        let bytes = self.client.input.bytes();
        let mut room = head::room();
        let read = match !bytes.is_empty() && head::may_be_whole(bytes, self.seen) {
            true => RequestHead::read(bytes, &mut room).map_err(|bad| malformed(bytes, bad))?,
            false => None,
        };
        let Some(head) = read else {
            if self.seen == 0 && !bytes.is_empty() {
                self.since = Instant::now();
            }
            self.seen = bytes.len();
            if self.client.input.is_full() && !self.client.input.grow(MAX_HEAD) {
                return Err(malformed(self.client.input.bytes(), BadHead::TooLarge));
            }
            return Ok(None);
        };
        let len = head.len;
        let admitted = self.admit(head);
        self.client.input.consume(len);
        self.seen = 0;
        match admitted {
            Ok(asked) => Ok(Some(asked)),
            Err((refusal, body)) => Err(Box::new(self.after(body, refusal))),
        }
    }

    /// Makes a call of a head, if the door lets it in.
    fn admit(&self, head: RequestHead<'_>) -> Result<Asked, (Refusal, Body)> {
        let asker = Asker {
            asks_head: head.method == "HEAD",
            is_http10: head.is_http10,
            stays: head.keeps_alive,
        };
        // Any word is a method; an empty one would not have been read.
        let method = Method::from_bytes(head.method.as_bytes()).unwrap_or_default();
        let header = |name: &str| match name {
            "host" => head.host(),
            name => head.headers.get(name),
        };
        let admitted = match self.door.admit(&header) {
            Ok(admitted) => admitted,
            Err(denied) => {
                let family = Api::of(&method, head.path()).family();
                return Err((Refusal::at_the_door(family, asker, denied), head.body));
            }
        };
        let exchange = Exchange::begin(&self.shared, method, head.path(), head.headers);
        let mut forwarded = Vec::new();
        let host_at = rewrite::forward(&head, admitted.strips_key, &mut forwarded);
        let call = Call::new(exchange, asker, forwarded, head.body);
        Ok(Asked { call, host_at, expects: head.expects })
    }

    /// A refusal that takes the request's body with it, if it is there; else nobody knows where the
    /// next request begins.
    fn after(&mut self, mut body: Body, mut refusal: Refusal) -> Refusal {
        match body.take(self.client.input.bytes(), |_| {}) {
            Ok(taken) if body.is_complete() => self.client.input.consume(taken),
            _ => refusal.asker.stays = false,
        }
        refusal
    }

    /// Passes a call on. True: the connection may have another one.
    async fn pass(&mut self, asked: Asked) -> bool {
        let Asked { mut call, host_at, expects } = asked;
        let runtime = match self.runtime().await {
            Some(Ok(runtime)) => runtime,
            Some(Err(why)) => return self.fail(call, ErrorCode::RuntimeDown, why).await,
            None => return false,
        };
        call.exchange.passed_to(Arc::clone(&runtime));
        call.address(&runtime, host_at);
        let (stream, was_kept) = match self.link(&runtime).await {
            Some(Ok(link)) => link,
            Some(Err(why)) => return self.fail(call, ErrorCode::RuntimeDown, why).await,
            None => return false,
        };
        call.go_on(stream, was_kept);
        if expects && self.client.input.is_empty() {
            call.ask_for_body();
        }
        self.drive(call, runtime).await
    }

    async fn drive(&mut self, mut call: Box<Call>, runtime: Arc<Known>) -> bool {
        loop {
            let (code, why) = match poll_fn(|context| call.poll(&mut self.client, context)).await {
                Outcome::Answered => return self.answered(call, runtime).await,
                Outcome::ClientGone => return false,
                Outcome::Unanswered(_) if call.may_be_repeated() => {
                    match self.connect(&runtime).await {
                        Some(Ok(fresh)) => {
                            call.go_on(fresh, false);
                            continue;
                        }
                        Some(Err(why)) => (ErrorCode::RuntimeDown, why),
                        None => return false,
                    }
                }
                Outcome::Unanswered(why) => {
                    let why =
                        format!("the runtime at {} {why} without an answer", runtime.authority);
                    (ErrorCode::StreamBroken, why)
                }
                Outcome::BadAnswer(why) => {
                    let why = format!("the runtime at {} {why}", runtime.authority);
                    (ErrorCode::StreamBroken, why)
                }
                Outcome::BadRequest(bad) => (ErrorCode::BadField, bad.to_string()),
                Outcome::Broken(why) => {
                    if call.ends_by_close() {
                        // A mere end would look like a good one.
                        let _ = self.client.stream.set_zero_linger();
                    }
                    call.exchange.ended(End::Broken(why));
                    return false;
                }
            };
            return self.fail(call, code, why).await;
        }
    }

    async fn answered(&mut self, call: Box<Call>, runtime: Arc<Known>) -> bool {
        let left = call.leave(&mut self.client);
        drop(left.exchange);
        if let Some(kept) = left.runtime {
            self.shared.pool.put(kept, runtime);
        }
        if !left.body.is_complete() {
            Box::pin(self.part()).await;
        }
        left.client_stays
    }

    /// Answers in the runtime's stead, if nothing of its answer has gone out.
    async fn fail(&mut self, mut call: Box<Call>, code: ErrorCode, why: String) -> bool {
        if call.has_answered() {
            call.exchange.ended(End::Refused(code, why));
            return false;
        }
        // So that the copy holds what has come. If that is wrong, the code says so already.
        let _ = call.take(&self.client);
        let Left { mut exchange, asker, body, .. } = call.leave(&mut self.client);
        let status = match code.is_bad_request() {
            true => code.status(),
            false => StatusCode::BAD_GATEWAY,
        };
        let refusal = Refusal {
            family: exchange.api().family(),
            asker,
            status,
            code: code.as_str(),
            message: why.clone().into(),
            trace_id: Some(exchange.trace_id()),
            is_guess: false,
        };
        let refusal = self.after(body, refusal);
        exchange.ended(End::Refused(code, why));
        drop(exchange);
        Box::pin(self.refuse(refusal)).await
    }

    async fn refuse(&mut self, refusal: Refusal) -> bool {
        if refusal.is_guess {
            self.door.wrong_key().await;
        }
        let written = self.client.stream.write_all(&refusal.to_bytes()).await;
        if !refusal.asker.stays {
            self.part().await;
        }
        written.is_ok() && refusal.asker.stays
    }

    /// Ends the connection so that the client gets to read its answer: with unread bytes of its own,
    /// a mere end would take the answer back.
    async fn part(&mut self) {
        let Client { stream, input } = &mut self.client;
        let goodbye = async {
            stream.shutdown().await?;
            loop {
                input.consume(input.bytes().len());
                if poll_fn(|context| input.poll_fill(stream, context)).await? == 0 {
                    return Ok::<_, std::io::Error>(());
                }
            }
        };
        let _ = timeout(PARTING, goodbye).await;
    }

    /// Where calls go, waiting for a runtime that starts.
    async fn runtime(&mut self) -> Option<Result<Arc<Known>, String>> {
        if let Some(runtime) = self.shared.upstream.known() {
            return Some(Ok(runtime));
        }
        let shared = Arc::clone(&self.shared);
        let ready = self.unless_gone(Box::pin(shared.upstream.ready())).await?;
        Some(ready.map_err(|reason| format!("Andon has no runtime to pass this to: {reason}")))
    }

    /// A connection to the runtime, and whether it had a call before.
    async fn link(&mut self, runtime: &Known) -> Option<Result<(TcpStream, bool), String>> {
        if let Some(kept) = self.shared.pool.take(runtime) {
            return Some(Ok((kept, true)));
        }
        Some(self.connect(runtime).await?.map(|fresh| (fresh, false)))
    }

    async fn connect(&mut self, runtime: &Known) -> Option<Result<TcpStream, String>> {
        let connected = self.unless_gone(Box::pin(pool::connect(runtime))).await?;
        Some(connected.map_err(|error| {
            format!("the runtime at {} cannot be reached: {error}", runtime.authority)
        }))
    }

    /// What `future` gives. `None`: the client has left meanwhile.
    async fn unless_gone<F: Future + Unpin>(&mut self, mut future: F) -> Option<F::Output> {
        let Client { stream, input } = &mut self.client;
        poll_fn(|context| {
            if let Poll::Ready(output) = Pin::new(&mut future).poll(context) {
                return Poll::Ready(Some(output));
            }
            while !input.is_full() {
                if !matches!(ready!(input.poll_fill(stream, context)), Ok(1..)) {
                    return Poll::Ready(None);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// A head that is none, in the form of the API that it seems to call.
fn malformed(bytes: &[u8], bad: BadHead) -> Box<Refusal> {
    let family = head::target_of(bytes).map_or(Family::Other, |(method, path)| {
        Api::of(&Method::from_bytes(method.as_bytes()).unwrap_or_default(), path).family()
    });
    let (status, code) = match bad {
        BadHead::TooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorCode::TooLarge),
        _ => (StatusCode::BAD_REQUEST, ErrorCode::BadField),
    };
    Box::new(Refusal {
        family,
        asker: Asker { asks_head: false, is_http10: false, stays: false },
        status,
        code: code.as_str(),
        message: bad.to_string().into(),
        trace_id: None,
        is_guess: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_of_them_are_a_small_thing() {
        fn size<F>(_: impl FnOnce(Connection) -> F) -> usize {
            size_of::<F>()
        }
        assert!(size(Connection::run) < 1 << 10, "{}", size(Connection::run));
    }
}
