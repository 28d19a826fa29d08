//! A call's answer over HTTP: in one piece, or as a stream of events.

use std::convert::Infallible;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Serialize;

use crate::{
    TimingsMs,
    answer::Ending,
    error::{ChatError, ErrorCode},
    failure,
    headers::{self, Caller},
    proxy::{Call, Events, Out},
    sse,
};

/// Answers with what a call of this process comes to, streamed if the caller wants it so. `seen`
/// makes of its end what this part of the way says of it. Dropping the future, or the body of the
/// answer, cancels the call.
///
/// The head of a stream waits for the first event, so that what fails before it (queue full,
/// runtime down) still has a status of its own.
pub(crate) async fn of_call(
    caller: Caller,
    call: Box<Call>,
    seen: impl FnOnce(Ending) -> Ending + Send + 'static,
) -> Response {
    if !caller.wants_stream {
        return ending(&caller, &seen(call.answer().await));
    }
    let mut events = call.spawn();
    match events.first().await {
        Some(Out::Event(first)) => {
            let head = caller.clone();
            streamed(&head, call_events(caller, first, events, seen))
        }
        Some(Out::End(end)) => ending(&caller, &seen(*end)),
        None => ending(&caller, &seen(ended_early(&caller))),
    }
}

fn ending(caller: &Caller, end: &Ending) -> Response {
    match end {
        Ok(answer) => whole(caller, answer, &answer.timings),
        Err(failure) => failure::of_body(failure, caller, &failure.timings),
    }
}

/// What a call is whose own task is gone.
fn ended_early(caller: &Caller) -> Ending {
    let error = ChatError::new(ErrorCode::ProxyFailed, "the call ended without an answer");
    Err(Box::new(failure::body(caller, &error, &TimingsMs::default())))
}

/// A whole answer: `body` with the ids and times on its head.
pub(crate) fn whole(caller: &Caller, body: &impl Serialize, timings: &TimingsMs) -> Response {
    let mut response = axum::Json(body).into_response();
    headers::write_ids(response.headers_mut(), caller.trace_id, &caller.request_id, timings);
    response
}

/// A streamed answer whose times are in its last event.
pub(crate) fn streamed(caller: &Caller, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(sse::CONTENT_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers::write_ids(headers, caller.trace_id, &caller.request_id, &TimingsMs::default());
    response
}

/// The events of a call, and its end in any case.
fn call_events(
    caller: Caller,
    first: Bytes,
    events: Events,
    seen: impl FnOnce(Ending) -> Ending + Send + 'static,
) -> Body {
    let body = CallEvents { caller, first: Some(first), events, seen: Some(seen) };
    Body::from_stream(stream::unfold(body, |mut body| async move {
        let piece = body.next().await?;
        Some((Ok::<_, Infallible>(piece), body))
    }))
}

struct CallEvents<F> {
    caller: Caller,
    first: Option<Bytes>,
    events: Events,
    /// Taken by the end.
    seen: Option<F>,
}

impl<F: FnOnce(Ending) -> Ending> CallEvents<F> {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let seen = &mut self.seen;
        let mut last = |end| seen.take().map(|seen| sse::end(seen(end)));
        let piece = self.events.next(|end| last(end).unwrap_or_default()).await;
        // A call whose task broke says nothing more, but its caller must hear of it.
        piece.or_else(|| last(ended_early(&self.caller)))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_stream_whose_call_is_gone_ends_with_an_error_that_is_recorded() {
        let (sender, receiver) = mpsc::channel(4);
        let (tell, told) = std::sync::mpsc::channel();
        sender.try_send(Out::Event(Bytes::from_static(b"second\n"))).ok();
        drop(sender);
        let caller = Caller::from_headers(&HeaderMap::new());
        let seen = move |end: Ending| {
            tell.send(end.is_err()).ok();
            end
        };
        let events = Events::new(receiver);
        let body = call_events(caller, Bytes::from_static(b"first\n"), events, seen);
        let text = body.collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.starts_with("first\nsecond\nevent: error\n"), "{text}");
        assert_eq!(text.matches("event: error").count(), 1);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [true]);
    }
}
