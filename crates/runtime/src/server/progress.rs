//! Word of where requests stand: among the lines of an answer for whoever asked for it, and of all
//! requests that carry a number for whoever follows them, such as a proxy that must not change a
//! client's answer.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, header};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::Shared;
use crate::engine::{Progress, Tell};

/// A client of Andon's own asks for progress lines with this header.
const PROGRESS_HEADER: &str = "x-andon-progress";
/// The number under which a request is told of to those who follow all, 16 hexadecimal digits.
const CALL_HEADER: &str = "x-andon-call";

/// To whom the progress of a request is told that may ask for it itself.
pub(super) fn wanted(headers: &HeaderMap) -> Tell {
    let caller = headers.get(PROGRESS_HEADER).is_some_and(|value| value == "1");
    Tell { caller, ..followed(headers) }
}

/// The same of one whose answer has no room for it.
pub(super) fn followed(headers: &HeaderMap) -> Tell {
    let number = headers.get(CALL_HEADER).and_then(|value| value.to_str().ok());
    let number = number.filter(|text| text.len() == 16);
    Tell { caller: false, followers: number.and_then(|text| u64::from_str_radix(text, 16).ok()) }
}

pub(super) fn object(progress: Progress) -> Value {
    match progress {
        Progress::Queue { position } => json!({ "phase": "queue", "position": position }),
        Progress::Load { progress } => {
            let rounded = (f64::from(progress) * 1000.0).round() / 1000.0;
            json!({ "phase": "load", "progress": rounded })
        }
        Progress::Prompt { done, total, cached } => {
            json!({ "phase": "prompt", "done": done, "total": total, "cached": cached })
        }
    }
}

/// `GET /api/andon/progress`: a line for each word of progress, `{"call":"…","andon":{…}}`, from now
/// on and until either side ends. Whoever is slow misses the oldest.
pub(super) async fn follow(State(shared): State<Shared>) -> Response {
    let lines = stream::unfold(shared.engine.follow(), |mut told| async move {
        loop {
            match told.recv().await {
                Ok(Some((number, progress))) => {
                    let call = format!("{number:016x}");
                    let line = json!({ "call": call, "andon": object(progress) });
                    return Some((Ok::<_, Infallible>(Bytes::from(format!("{line}\n"))), told));
                }
                Err(RecvError::Lagged(_)) => {}
                Ok(None) | Err(RecvError::Closed) => return None,
            }
        }
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
