//! Taking a port, and saying who holds it when it is taken.

use std::net::SocketAddr;

use anyhow::anyhow;
use axum::{Router, serve::ListenerExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Listens, or says which setting is wrong and who is in the way.
pub(crate) async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            let holder = match andon_host::port_holder(address) {
                Some((pid, name)) => format!("{name} (process {pid})"),
                None => "another program".to_owned(),
            };
            anyhow!(
                "{setting}: {address} is taken by {holder}; end it, or choose another address with \
                 --{} ADDRESS",
                setting.replace('_', "-")
            )
        } else {
            anyhow!("{setting}: cannot listen on {address}: {error}")
        }
    })
}

/// Answers until `stop`, then lets running answers end.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    // A token is a small packet: without this it would wait for the one before to be confirmed.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Resolves when the process is asked to end (Ctrl-C or SIGTERM).
pub(crate) async fn end_asked() {
    let mut terminate =
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(_) => return std::future::pending().await,
        };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
