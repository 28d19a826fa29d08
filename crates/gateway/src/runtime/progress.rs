//! What the built-in runtime says of captured calls while it works on them. Their answers must stay as
//! they are, so it tells of them apart: to whoever follows, under the number that the capture gave to
//! each in a header.

use std::time::Duration;

use andon_model::SpanId;
use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use serde::Deserialize;

use super::{Exchange, HttpClient, RuntimeInfo, RuntimeKind, RuntimeTarget, ollama};
use crate::{live::LiveCalls, sse::Lines};

/// The header with a call's number.
pub(crate) const CALL: &str = "x-andon-call";

const PATH: &str = "/api/andon/progress";
/// Longest line that is read; one has a hundred bytes.
const MAX_LINE: usize = 4 << 10;
/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Told {
    call: SpanId,
    andon: ollama::Progress,
}

/// Tells `live` what the runtime at `target` says, whenever it is the built-in one, for as long as this
/// is polled.
pub async fn follow_progress(client: HttpClient, target: RuntimeTarget, live: LiveCalls) {
    let mut states = target.subscribe();
    loop {
        let ready = states.borrow_and_update().ready.clone();
        match ready.filter(|runtime| runtime.kind == RuntimeKind::Builtin) {
            Some(runtime) => {
                // A new one may listen elsewhere.
                tokio::select! {
                    () = listen(&client, &runtime, &live) => tokio::time::sleep(AGAIN).await,
                    changed = states.changed() => if changed.is_err() { return },
                }
            }
            None if states.changed().await.is_err() => return,
            None => {}
        }
    }
}

/// Until the runtime says no more.
async fn listen(client: &HttpClient, runtime: &RuntimeInfo, live: &LiveCalls) {
    let nothing = (HeaderMap::new(), Bytes::new());
    let authority = &runtime.authority;
    let asked = Exchange::send(client, authority, Method::GET, PATH, nothing.0, nothing.1).await;
    let Ok(Exchange { status, mut body, .. }) = asked else { return };
    // An older one, on another machine.
    if !status.is_success() {
        return;
    }
    let mut lines = Lines::new(MAX_LINE);
    while let Some(Ok(frame)) = body.frame().await {
        lines.push(&frame.into_data().unwrap_or_default());
        loop {
            match lines.next() {
                Ok(Some(line)) => tell(&line, live),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

fn tell(line: &[u8], live: &LiveCalls) {
    if let Ok(Told { call, andon }) = serde_json::from_slice(line)
        && let Some(event) = ollama::progress_event(&andon)
    {
        live.hear(call, &event);
    }
}
