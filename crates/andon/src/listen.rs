//! Taking a port, and saying who holds it when it is taken.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::anyhow;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

/// For a request line and its headers, and between two requests. Longer than Andon's own client
/// keeps an idle connection, so that the client is the one to close it.
const HEADERS: Duration = Duration::from_secs(75);
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Connections of one listener; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1_024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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

/// Answers until `stop`, then lets running answers end. A client that does not get its request
/// line and headers across in time is cut off, and so is one that sits idle.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(MAX_HEADER_BYTES);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let running = GracefulShutdown::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place.map_err(std::io::Error::other)?,
            () = stop.cancelled() => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file handles, most likely: wait for some to come back.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        // A token is a small packet: without this it would wait for the one before to be confirmed.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = running.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended badly");
            }
        });
    }
    drop(listener);
    running.shutdown().await;
    Ok(())
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
