//! Streamed replies: events of the engine turned into lines, one flush each.
//!
//! The status goes out with the first token, as in Ollama, so that an error before it still has a
//! status of its own. A client that asks for progress gets its headers at once instead, and an
//! error then is a line.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::engine::{Event, Running};
use crate::failure::Failure;

/// Turns events into bytes of one dialect. Empty bytes are not sent.
pub(super) trait Encode: Send + 'static {
    fn encode(&mut self, event: Event) -> Bytes;
    fn content_type(&self) -> &'static str;
}

/// Streams a request from its first telling event on, which is waited for.
pub(super) async fn after_first(
    mut running: Running,
    encoder: impl Encode,
) -> Result<Response, Failure> {
    match running.next().await {
        Event::Failed(failure) => Err(failure),
        first => Ok(respond(running, encoder, Some(first))),
    }
}

/// Streams a request; headers go out now.
pub(super) fn at_once(running: Running, encoder: impl Encode) -> Response {
    respond(running, encoder, None)
}

struct State<E> {
    running: Running,
    encoder: E,
    first: Option<Event>,
    ended: bool,
}

fn respond<E: Encode>(running: Running, encoder: E, first: Option<Event>) -> Response {
    let content_type = HeaderValue::from_static(encoder.content_type());
    let state = State { running, encoder, first, ended: false };
    let lines = stream::unfold(state, |mut state| async move {
        loop {
            if state.ended {
                return None;
            }
            let event = match state.first.take() {
                Some(event) => event,
                None => state.running.next().await,
            };
            state.ended = matches!(event, Event::Done(_) | Event::Failed(_));
            let bytes = state.encoder.encode(event);
            if !bytes.is_empty() {
                return Some((Ok::<_, Infallible>(bytes), state));
            }
        }
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
