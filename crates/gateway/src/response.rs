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
    headers::{self, Caller},
    proxy::Events,
    sse,
};

/// A whole answer: `body` with the ids and times on its head.
pub(crate) fn whole(caller: &Caller, body: &impl Serialize, timings: &TimingsMs) -> Response {
    let mut response = axum::Json(body).into_response();
    headers::write_ids(response.headers_mut(), caller.trace_id, &caller.request_id, timings);
    response
}

/// A streamed answer whose times are in its last event.
pub(crate) fn events(caller: &Caller, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(sse::CONTENT_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers::write_ids(headers, caller.trace_id, &caller.request_id, &TimingsMs::default());
    response
}

/// The events of a call of this process; `last` writes its end.
pub(crate) fn call_events(
    first: Bytes,
    events: Events,
    last: impl FnOnce(Ending) -> Bytes + Send + 'static,
) -> Body {
    let state = (Some(first), events, Some(last));
    Body::from_stream(stream::unfold(state, |(first, mut events, mut last)| async move {
        let piece = match first {
            Some(first) => first,
            None => {
                let write = |end| last.take().map(|last| last(end)).unwrap_or_default();
                events.next(write).await?
            }
        };
        Some((Ok::<_, Infallible>(piece), (None, events, last)))
    }))
}
