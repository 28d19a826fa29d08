//! HTTP/1.1 for calls that are passed on: as few system calls, copies and bytes a connection as can
//! be. A usual call is two reads and two writes, and a stream that waits holds no buffer.
//!
//! `head` and `framing` read strictly what `rewrite` and `call` pass on as it came; `connection` goes
//! from call to call; `pool` keeps connections to the runtime.

mod buffer;
mod call;
mod connection;
mod door;
mod framing;
mod head;
mod pool;
mod rewrite;

use std::{io, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::connection::Connection;
pub use self::door::{Admitted, Denied, Door};
pub(super) use self::{
    call::Asker,
    head::Headers,
    pool::Pool,
    rewrite::{Way, finish, status_line},
};
use super::Shared;

/// Ten thousand idle streams are a small thing here.
const MAX_CONNECTIONS: usize = 16_384;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Passes calls on until `stop`, then lets running answers end. Dropped, it leaves all at once.
pub(super) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    door: Arc<dyn Door>,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::warn!(%error, "a connection ended badly");
                }
                continue;
            }
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // As for the runtime's: a token is a small packet.
                let _ = stream.set_nodelay(true);
                let (shared, door) = (Arc::clone(&shared), Arc::clone(&door));
                connections.spawn(Connection::new(shared, door, stream, stop.clone()).run());
            }
            Err(error) => {
                // Out of file handles, most likely: wait for some to come back.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}
