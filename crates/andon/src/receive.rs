//! The receivers: their ports, the door before them, and what becomes of what they read.

use std::{
    convert::Infallible,
    fs::Permissions,
    net::UdpSocket,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixListener},
    },
    path::Path,
    pin::Pin,
    sync::Arc,
    thread,
    time::Duration,
};

use andon_api::{Access, ReceivePort};
use andon_gateway::{Denied, Door, Recorder};
use andon_model::{HostSample, Span, TraceId};
use andon_privacy::Protector;
use andon_receive::{
    Batch, Intake, Keep, Protocol, Refused,
    datadog::Datadog,
    dogstatsd::Dogstatsd,
    otlp::{Body, Origins, Otlp},
};
use andon_store::{Ack, Record, Store, StoreError};
use anyhow::Context;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::Service};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    listen::{self, Limits},
    pipeline::{Judge, RECORD_BYTES},
};

/// Reading and protecting is work: it has threads of its own, beside that of the calls.
const THREADS: usize = 2;

/// An app may tell of a call sooner than it is counted where Andon saw it, which gives way to whoever
/// answers one; after so long the two may both count.
const LONGEST_WAIT_FOR_OWN: Duration = Duration::from_millis(500);

/// Requests' samples of other machines that wait to be kept; beyond these they are left out.
pub(crate) const MOST_MEASURED: usize = 64;

/// Protects and stores, and waits until it is durable.
pub(crate) struct Keeper {
    pub(crate) judge: Judge,
    pub(crate) protector: Protector,
    pub(crate) store: Arc<dyn Store>,
    /// Andon's own calls come by it.
    pub(crate) recorder: Recorder,
    /// Takes the samples of other machines, for which no sender waits.
    pub(crate) measured: mpsc::Sender<Vec<HostSample>>,
}

impl Keep for Keeper {
    fn counted(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let recorder = self.recorder.clone();
        Box::pin(async move { recorder.caught_up(LONGEST_WAIT_FOR_OWN).await })
    }

    fn keep(&self, mut batch: Batch) -> Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>> {
        let hosts = std::mem::take(&mut batch.hosts);
        if !hosts.is_empty() && self.measured.try_send(hosts).is_err() {
            tracing::debug!("samples of other machines are left out: too many wait");
        }
        let acks = self.append(batch);
        Box::pin(async move {
            for ack in acks.map_err(refused)? {
                ack.await.map_err(refused)?;
            }
            Ok(())
        })
    }

    fn known(&self, traces: Vec<TraceId>) -> Pin<Box<dyn Future<Output = Vec<Span>> + Send>> {
        let store = Arc::clone(&self.store);
        let read = move || {
            let spans_of = |id| match store.trace(id) {
                Ok(trace) => trace.map(|trace| trace.spans).unwrap_or_default(),
                Err(error) => {
                    tracing::warn!(%error, "cannot look what is known of a trace");
                    Vec::new()
                }
            };
            traces.into_iter().flat_map(spans_of).collect()
        };
        // Whatever it was that ended the look, the request goes on without it.
        Box::pin(async { tokio::task::spawn_blocking(read).await.unwrap_or_default() })
    }

    fn leave_out(&self, batch: &Batch) {
        self.protector.overhear(&batch.spans, &batch.texts);
    }
}

impl Keeper {
    fn append(&self, mut batch: Batch) -> Result<Vec<Ack>, StoreError> {
        let mut acks = Vec::new();
        self.judge.judge(&mut batch.spans);
        for spans in self.protector.protect(batch.spans).split(RECORD_BYTES) {
            acks.push(self.store.append(Record::Spans(spans))?);
        }
        for texts in self.protector.protect_texts(batch.texts).split(RECORD_BYTES) {
            acks.push(self.store.append(Record::Spans(texts))?);
        }
        let evaluations = self.protector.protect_judgements(batch.evaluations);
        if !evaluations.is_empty() {
            acks.push(self.store.append(Record::Evaluations(evaluations))?);
        }
        let metrics = self.protector.protect_metrics(batch.metrics);
        if !metrics.is_empty() {
            acks.push(self.store.append(Record::Metrics(metrics))?);
        }
        Ok(acks)
    }
}

/// What OpenTelemetry may call this machine: by its name, or by the id that it has where it has no name.
pub(crate) fn own_names(host: Option<&str>) -> Vec<String> {
    let id = std::fs::read_to_string("/etc/machine-id").ok();
    let names = [host.map(str::to_owned), id.map(|id| id.trim().to_owned())];
    names.into_iter().flatten().filter(|name| !name.is_empty()).collect()
}

fn refused(error: StoreError) -> Refused {
    match error {
        StoreError::Busy => Refused::Busy,
        error => Refused::Unavailable(error.to_string()),
    }
}

/// Ports that are taken.
#[derive(Default)]
pub(crate) struct Ports {
    otlp: Vec<TcpListener>,
    datadog: Option<TcpListener>,
    dogstatsd: Option<UdpSocket>,
    datadog_here: Option<UnixListener>,
    dogstatsd_here: Option<UnixDatagram>,
}

/// What is received at a port.
enum At {
    Otlp,
    Datadog,
}

impl Ports {
    /// A port that another program has is said, and the rest starts: another collector may be the one
    /// that apps of this machine send to.
    pub(crate) async fn bind(config: &mut Config) -> Self {
        let mut ports = Self::default();
        let receive = &mut config.receive;
        for (setting, address, at) in [
            ("otlp_grpc_listen", &mut receive.otlp_grpc, At::Otlp),
            ("otlp_http_listen", &mut receive.otlp_http, At::Otlp),
            ("datadog_listen", &mut receive.datadog, At::Datadog),
        ] {
            let Some(wanted) = *address else { continue };
            match listen::bind(setting, wanted).await {
                Ok(listener) => {
                    *address = listener.local_addr().ok();
                    match at {
                        At::Otlp => ports.otlp.push(listener),
                        At::Datadog => ports.datadog = Some(listener),
                    }
                }
                Err(error) => {
                    eprintln!("andon: {error:#}. Until then nothing is received there.");
                    *address = None;
                }
            }
        }
        if let Some(wanted) = receive.dogstatsd {
            match UdpSocket::bind(wanted) {
                Ok(socket) => {
                    receive.dogstatsd = socket.local_addr().ok();
                    ports.dogstatsd = Some(socket);
                }
                Err(error) => {
                    let then = "Until then nothing is received there.";
                    eprintln!(
                        "andon: dogstatsd_listen: cannot listen on {wanted}: {error}. {then}"
                    );
                    receive.dogstatsd = None;
                }
            }
        }
        if let Some(path) = &receive.datadog_socket {
            ports.datadog_here = here("receive.datadog_socket", path, |at| UnixListener::bind(at));
        }
        if let Some(path) = &receive.dogstatsd_socket {
            ports.dogstatsd_here =
                here("receive.dogstatsd_socket", path, |at| UnixDatagram::bind(at));
        }
        ports
    }

    /// Serves all of them on threads of their own, which end when what is returned is dropped.
    pub(crate) fn serve(
        self,
        intake: &Intake,
        config: &Config,
        servers: &mut JoinSet<std::io::Result<()>>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Threads> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("andon-receive")
            .enable_all()
            .on_thread_park(andon_memory::give_back_at_times)
            .build()
            .context("cannot start the receivers' threads")?;
        let mut serving = Serving { config, runtime: &runtime, servers, stop };
        let origins = Origins::new(config.receive.allowed_origins.iter().cloned());
        for listener in self.otlp {
            serving.serve(listener, Otlp::new(intake.clone(), origins.clone()))?;
        }
        let dogstatsd = Arc::new(Dogstatsd::new(intake.clone()));
        let datadog = Datadog::new(intake.clone(), Arc::clone(&dogstatsd));
        if let Some(listener) = self.datadog {
            serving.serve(listener, datadog.clone())?;
        }
        if let Some(listener) = self.datadog_here {
            serving.serve_here(listener, datadog)?;
        }
        if let Some(socket) = self.dogstatsd_here {
            let (dogstatsd, stop) = (Arc::clone(&dogstatsd), stop.clone());
            serving.spawn(async move { dogstatsd.listen_here(socket, stop).await });
        }
        if let Some(socket) = self.dogstatsd {
            let (dogstatsd, stop) = (Arc::clone(&dogstatsd), stop.clone());
            serving.spawn(async move { dogstatsd.listen(socket, stop).await });
        }
        let stop = stop.clone();
        serving.spawn(async move {
            dogstatsd.flush_until(stop).await;
            Ok(())
        });
        Ok(Threads(Some(runtime)))
    }
}

/// A socket in the file system, for its owner alone; where there can be none, that is said.
fn here<S>(setting: &str, path: &Path, bind: fn(&Path) -> std::io::Result<S>) -> Option<S> {
    let bound = listen::clear_socket(path).and_then(|()| bind(path)).and_then(|socket| {
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(socket)
    });
    let say = |error: &std::io::Error| {
        let path = path.display();
        eprintln!(
            "andon: {setting}: cannot listen at {path}: {error}. Until then nothing is received there."
        );
    };
    bound.inspect_err(say).ok()
}

/// Where each protocol is received.
pub(crate) fn addresses(config: &Config) -> Vec<ReceivePort> {
    let receive = &config.receive;
    vec![
        ReceivePort { protocol: Protocol::OtlpGrpc, address: receive.otlp_grpc },
        ReceivePort { protocol: Protocol::OtlpHttp, address: receive.otlp_http },
        ReceivePort { protocol: Protocol::Datadog, address: receive.datadog },
        ReceivePort { protocol: Protocol::Dogstatsd, address: receive.dogstatsd },
    ]
}

/// What every receiver is served with.
struct Serving<'a> {
    config: &'a Config,
    runtime: &'a Runtime,
    servers: &'a mut JoinSet<std::io::Result<()>>,
    stop: &'a CancellationToken,
}

impl Serving<'_> {
    fn serve<S: Receiver>(&mut self, listener: TcpListener, inner: S) -> anyhow::Result<()> {
        let limits = Limits { headers: self.config.receive.limits.timeout, ..Limits::PAGES };
        let is_beyond = !listener.local_addr()?.ip().is_loopback();
        let door = Some(Arc::new(crate::up::access(self.config, is_beyond)));
        let guarded = Guarded { door, inner };
        // It belongs to the threads that read it.
        let listener = listener.into_std()?;
        let _there = self.runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        self.spawn(listen::serve_either(listener, guarded, limits, self.stop.clone()));
        Ok(())
    }

    /// Whoever may open the socket may send.
    fn serve_here<S: Receiver>(&mut self, listener: UnixListener, inner: S) -> anyhow::Result<()> {
        let limits = Limits { headers: self.config.receive.limits.timeout, ..Limits::PAGES };
        listener.set_nonblocking(true)?;
        let _there = self.runtime.enter();
        let listener = tokio::net::UnixListener::from_std(listener)?;
        // No browser comes this way; and clients name no host of this machine.
        let guarded = Guarded { door: None, inner };
        self.spawn(listen::serve_either(listener, guarded, limits, self.stop.clone()));
        Ok(())
    }

    /// On the receivers' threads, and ended with the other servers.
    fn spawn(&mut self, serving: impl Future<Output = std::io::Result<()>> + Send + 'static) {
        let serving = self.runtime.spawn(serving);
        self.servers.spawn(async move { serving.await.map_err(std::io::Error::other)? });
    }
}

/// Answers what has passed the door.
trait Receiver: Clone + Send + Sync + 'static {
    fn answer(self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

impl Receiver for Otlp {
    fn answer(self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send {
        Self::answer(self, request)
    }
}

impl Receiver for Datadog {
    fn answer(self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send {
        Self::answer(self, request)
    }
}

/// The receivers' threads.
pub(crate) struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // It may not wait where others run.
            thread::spawn(move || drop(runtime));
        }
    }
}

/// A receiver behind the door of its port.
#[derive(Clone)]
struct Guarded<S> {
    door: Option<Arc<Access>>,
    inner: S,
}

impl<S: Receiver> Service<Request<Incoming>> for Guarded<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Self { door, inner } = self.clone();
        Box::pin(async move {
            let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
            let headers = request.headers();
            let header = |name: &str| {
                let value = headers.get(name).map(http::HeaderValue::as_bytes);
                // HTTP/2 says the host in the address.
                value.or_else(|| host.as_deref().filter(|_| name == "host").map(str::as_bytes))
            };
            if let Some(door) = door
                && let Err(denied) = door.admit(&header)
            {
                if denied.is_guess {
                    door.wrong_key().await;
                }
                return Ok(refusal(&denied, request.headers()));
            }
            Ok(inner.answer(request).await)
        })
    }
}

fn refusal(denied: &Denied, headers: &HeaderMap) -> Response<Body> {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return Otlp::refusal(denied.status, denied.message);
    }
    let said = serde_json::json!({"error": {"code": denied.code, "message": denied.message}});
    let mut response = Response::new(Body::new(Full::from(said.to_string())));
    *response.status_mut() = denied.status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
