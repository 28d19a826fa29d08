//! A runtime that somebody else started: is it there, and who is it?

use std::time::Duration;

use andon_gateway::{HttpClient, RuntimeInfo, RuntimeState, detect};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const CHECK: Duration = Duration::from_secs(5);
/// So many checks in a row must fail: a busy runtime may answer one of them late.
const MISSES: u32 = 2;

/// `name`: what the user calls it.
pub(super) async fn watch(
    authority: &str,
    name: Option<&str>,
    known: Option<RuntimeInfo>,
    client: HttpClient,
    state: watch::Sender<RuntimeState>,
    stop: CancellationToken,
) {
    if known.is_some() {
        state.send_replace(RuntimeState { ready: known, ..RuntimeState::default() });
    }
    let mut misses = 0;
    loop {
        match detect(&client, authority).await {
            Ok(mut info) => {
                if let Some(name) = name {
                    name.clone_into(&mut info.name);
                }
                misses = 0;
                state.send_if_modified(|state| {
                    let changed = state.ready.as_ref() != Some(&info);
                    *state = RuntimeState { ready: Some(info), ..RuntimeState::default() };
                    changed
                });
            }
            Err(error) => {
                misses += 1;
                if misses >= MISSES || state.borrow().ready.is_none() {
                    let reason = Some(error.to_string());
                    state.send_replace(RuntimeState { reason, ..RuntimeState::default() });
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(CHECK) => {}
            () = stop.cancelled() => return,
        }
    }
}
