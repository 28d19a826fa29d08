//! Taking a port, and saying who holds it when it is taken.

mod beginning;

use std::{
    convert::Infallible, error::Error, net::SocketAddr, path::Path, sync::Arc, time::Duration,
};

use anyhow::anyhow;
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::Service,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

/// Calls at a time on one connection of HTTP/2.
const STREAMS: u32 = 64;
/// Connections of a receiver that may be there without having said anything.
const SILENT: usize = 16_384;
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

/// The port of a setting, or any free one beside it: a taken one must not keep the chat and the
/// pages from working.
pub(crate) async fn bind_or_any(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    match bind(setting, address).await {
        Ok(listener) => Ok(listener),
        Err(taken) => {
            let listener = bind(setting, SocketAddr::new(address.ip(), 0)).await?;
            eprintln!("andon: {taken}. Until then it is {}.", listener.local_addr()?);
            Ok(listener)
        }
    }
}

/// What a listener bears. `headers`: for a request line and its headers, and between two requests.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) headers: Duration,
    pub(crate) max_header_bytes: usize,
}

impl Limits {
    /// For pages, API and the original's routes.
    pub(crate) const PAGES: Self = Self {
        connections: 1_024,
        // Longer than Andon's own client keeps an idle connection, so that the client is the one to
        // close it.
        headers: Duration::from_secs(75),
        max_header_bytes: 64 << 10,
    };
}

/// Answers until `stop`, then lets running answers end. A client that does not get its request
/// line and headers across in time is cut off, and so is one that sits idle.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) -> std::io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.headers);
    http.max_buf_size(limits.max_header_bytes);
    let running = GracefulShutdown::new();
    let accepted =
        |stream| running.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
    accept(listener, limits.connections, &stop, accepted).await?;
    running.shutdown().await;
    Ok(())
}

/// As [`serve`], for HTTP/1 and HTTP/2 alike.
pub(crate) async fn serve_either<L, S, B>(
    listener: L,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) -> std::io::Result<()>
where
    L: Listener,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.headers);
    http.http1().max_buf_size(limits.max_header_bytes);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.headers)
        .keep_alive_timeout(limits.headers)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX));
    let running = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    let accepted = |stream| {
        let (http, service, watcher) = (http.clone(), service.clone(), running.watcher());
        let (places, stopped) = (Arc::clone(&places), stop.clone().cancelled_owned());
        async move {
            // It has no place yet: thousands that say nothing keep nobody out.
            let placed = async {
                let begun = beginning::begin(stream).await.ok()??;
                Some((begun, places.acquire_owned().await.ok()?))
            };
            let placed = tokio::select! {
                placed = tokio::time::timeout(limits.headers, placed) => placed.ok().flatten(),
                () = stopped => None,
            };
            let Some((begun, _place)) = placed else { return Ok(()) };
            let connection = http.serve_connection(TokioIo::new(begun), service).into_owned();
            watcher.watch(connection).await
        }
    };
    accept(listener, SILENT, &stop, accepted).await?;
    running.shutdown().await;
    Ok(())
}

/// Where connections come from.
pub(crate) trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn next(&self) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> std::io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // A token is a small packet: without this it would wait for the one before to be confirmed.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> std::io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Makes room for a socket in the file system: one that nobody listens at any more is left from before.
pub(crate) fn clear_socket(path: &Path) -> std::io::Result<()> {
    use std::os::unix::{fs::FileTypeExt, net};
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(std::io::Error::other("there is a file of that name, and it is no socket"));
    }
    let datagrams = || net::UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    if net::UnixStream::connect(path).is_ok() || datagrams().is_ok() {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    std::fs::remove_file(path)
}

/// Takes connections until `stop`, and drives each on its own.
async fn accept<L, C, E>(
    listener: L,
    connections: usize,
    stop: &CancellationToken,
    connection: impl Fn(L::Stream) -> C,
) -> std::io::Result<()>
where
    L: Listener,
    C: Future<Output = Result<(), E>> + Send + 'static,
    E: std::fmt::Display,
{
    let places = Arc::new(Semaphore::new(connections));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place.map_err(std::io::Error::other)?,
            () = stop.cancelled() => return Ok(()),
        };
        let stream = tokio::select! {
            accepted = listener.next() => match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    // Out of file handles, most likely: wait for some to come back.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stop.cancelled() => return Ok(()),
        };
        let connection = connection(stream);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended badly");
            }
        });
    }
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
