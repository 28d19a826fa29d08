//! `andon up`: everything in one process, but for the runtime's own.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use andon_api::{Access, ApiState, Hosts, Parts};
use andon_diagnose::{BetweenLooks, Diagnoser};
use andon_gateway::{
    CaptureConfig, Gateway, GatewayConfig, HttpClient, LiveCalls, ModelKeeper, Proxy, ProxyConfig,
    ProxyLink, Recorder, RecorderConfig, RuntimeCatalog, follow_progress, http_client,
};
use andon_host::{Machine, RuntimePids};
use andon_model::Span;
use andon_receive::{CountedCalls, Intake};
use andon_state::{SetAside, StateDb};
use andon_store::{EmbeddedStore, Store};
use anyhow::Context;
use axum::{Router, extract::Request, middleware};
use hyper_util::service::TowerToHyperService;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use crate::{
    banner, capture,
    cli::Settings,
    config::Config,
    connect,
    listen::{self, Limits},
    pipeline::{self, Judge},
    receive, runtime,
};

pub(crate) async fn run(settings: Box<Settings>) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut config = Config::load(*settings)?;
    let machine = andon_host::machine();
    if let Some(files) = andon_host::raise_open_files() {
        tracing::debug!(files, "may have so many files open");
    }
    let listener = listen::bind("listen", config.listen).await?;
    config.listen = listener.local_addr()?;
    let proxy_listener = match config.proxy_listen {
        Some(address) => Some(listen::bind_or_any("proxy_listen", address).await?),
        None => None,
    };
    config.proxy_listen = proxy_listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let captured = capture::Ports::bind(&mut config).await?;
    let received = receive::Ports::bind(&mut config).await;
    let store = open_store(&config)?;
    let state = open_state(&config)?;
    store.announce(&reachable(config.listen));
    let store: Arc<dyn Store> = store;
    let stop = CancellationToken::new();
    let ground = Ground { config: &config, machine: &machine, captured: &captured, started };
    let house = House::build(&ground, Arc::clone(&store), state, stop.clone())?;

    let mut servers = tokio::task::JoinSet::new();
    let front = TowerToHyperService::new(house.front.clone());
    servers.spawn(listen::serve(listener, front, Limits::PAGES, stop.clone()));
    if let Some(listener) = proxy_listener {
        let proxy = TowerToHyperService::new(house.proxy.clone());
        servers.spawn(listen::serve(listener, proxy, Limits::PAGES, stop.clone()));
    }
    captured.serve(&house.entrances, &config, &mut servers, &stop);
    let receiving = received.serve(&house.intake, &config, &mut servers, &stop)?;
    banner::listening(&config);
    tokio::spawn(banner::found(
        config.clone(),
        machine,
        house.catalog.clone(),
        house.client.clone(),
    ));

    let outcome = tokio::select! {
        () = listen::end_asked() => Ok(()),
        Some(ended) = servers.join_next() => ended.context("a server broke")?.context("a server ended"),
    };
    stop.cancel();
    house.end(servers, store).await;
    drop(receiving);
    outcome.map(|()| ExitCode::SUCCESS)
}

fn open_store(config: &Config) -> anyhow::Result<Arc<EmbeddedStore>> {
    let folder = &config.data;
    let store = EmbeddedStore::open(folder, config.store.clone())
        .with_context(|| format!("cannot open the data folder {}", folder.display()))?;
    Ok(Arc::new(store))
}

/// After the store: who has that has the folder.
fn open_state(config: &Config) -> anyhow::Result<Arc<StateDb>> {
    let folder = &config.data;
    let state = StateDb::open(folder)
        .with_context(|| format!("cannot open the state in {}", folder.display()))?;
    if let Some(SetAside { file, reason, now, taken_over }) = &state.set_aside {
        let (file, now) = (file.display(), now.display());
        tracing::error!(%file, %now, taken_over, "damaged, and set aside: {reason}");
    }
    Ok(Arc::new(state))
}

/// A trace may stay longer than its age says, with the youngest rows of the file of its day.
const LINGER_NS: u64 = 2 * 24 * 60 * 60 * 1_000_000_000;

/// Notes go when their traces have.
async fn keep_notes(state: Arc<StateDb>, age: Duration) {
    let mut every = tokio::time::interval(Duration::from_secs(3_600));
    loop {
        every.tick().await;
        let state = Arc::clone(&state);
        let oldest_ns = Span::now_ns().saturating_sub(nanoseconds(age)).saturating_sub(LINGER_NS);
        let gone = tokio::task::spawn_blocking(move || state.remove_notes_before(oldest_ns));
        if let Ok(Err(error)) = gone.await {
            tracing::warn!(%error, "old notes stay for now");
        }
    }
}

/// What the house is built on.
struct Ground<'a> {
    config: &'a Config,
    machine: &'a Machine,
    captured: &'a capture::Ports,
    started: Instant,
}

/// The parts, wired.
struct House {
    front: Router,
    proxy: Router,
    entrances: capture::Entrances,
    intake: Intake,
    catalog: RuntimeCatalog,
    client: HttpClient,
    /// Hears when all that was seen has been handed to the store.
    keeper: oneshot::Receiver<()>,
    /// Ends the keeper, once the servers have ended.
    last: CancellationToken,
}

impl House {
    fn build(
        &Ground { config, machine, captured, started }: &Ground<'_>,
        store: Arc<dyn Store>,
        state: Arc<StateDb>,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let protector = config.protector();
        let (recorder, recorded) = Recorder::new(RecorderConfig::default());
        let live = LiveCalls::default();
        let client = http_client();
        let pids = RuntimePids::default();
        // The runtime stays until the answers that need it have ended.
        let last = CancellationToken::new();
        let target = runtime::start(config, client.clone(), last.clone());
        let catalog = RuntimeCatalog::new(client.clone(), target);
        tokio::spawn(catalog.clone().keep_fresh());

        let counted = Arc::new(CountedCalls::default());
        let between_looks = BetweenLooks {
            oom_kills: andon_host::oom_kills,
            resident_bytes: andon_host::resident_bytes,
        };
        let diagnoser = Arc::new(Diagnoser::new(&config.keep_alive, between_looks));
        let judge = Judge { diagnoser: Arc::clone(&diagnoser), live: live.clone() };
        let keeper = pipeline::spawn_keeper(
            recorded,
            recorder.clone(),
            judge.clone(),
            protector.clone(),
            Arc::clone(&counted),
            Arc::clone(&store),
            last.clone(),
        )?;
        let sampling =
            andon_host::Config { runtime_pids: pids.clone(), ..andon_host::Config::default() };
        let samples = andon_host::spawn(sampling, 8)?;
        tokio::spawn(pipeline::keep_samples(samples, Arc::clone(&diagnoser), Arc::clone(&store)));
        pipeline::spawn_learner(Arc::clone(&diagnoser), Arc::clone(&store))?;

        let host = machine.host_name.clone();
        let proxy = Proxy::new(
            proxy_config(config, host.clone()),
            client.clone(),
            catalog.clone(),
            live.clone(),
            recorder.clone(),
        );
        let link = match config.proxy.clone() {
            Some(authority) => ProxyLink::Http { authority, key: None },
            None => ProxyLink::Own(proxy.clone()),
        };
        let gateway = Gateway::new(
            gateway_config(config, host.clone()),
            link,
            client.clone(),
            recorder.clone(),
        );
        let runtimes = captured.watched(config, &catalog, &client, &last);
        let catalogs: Vec<_> = runtimes.iter().map(|runtime| runtime.catalog.clone()).collect();
        let models = models_kept(&state, client.clone(), &catalogs);
        tokio::spawn(models.clone().run());
        for catalog in &catalogs {
            let target = catalog.target().clone();
            tokio::spawn(follow_progress(client.clone(), target, live.clone()));
            tokio::spawn(runtime::keep_memory(
                catalog.clone(),
                Arc::clone(&diagnoser),
                Arc::clone(&store),
            ));
        }
        tokio::spawn(runtime::keep_known(
            catalogs.clone(),
            config.own_names.clone(),
            pids,
            Arc::clone(&diagnoser),
        ));
        tokio::spawn(capture::follow_log(config.clone(), catalogs, live.clone()));
        let captured = CaptureConfig { host: host.clone(), ..config.capture.clone() };
        let entrances =
            capture::Entrances::new(captured, &runtimes, live.clone(), recorder.clone());
        tokio::spawn(keep_notes(Arc::clone(&state), config.store.keep_spans.age));
        let (measured, measurements) = mpsc::channel(receive::MOST_MEASURED);
        let keeper_of_received = receive::Keeper {
            judge,
            protector: protector.clone(),
            store: Arc::clone(&store),
            recorder: recorder.clone(),
            measured,
        };
        let intake =
            Intake::new(Arc::new(keeper_of_received), Arc::clone(&counted), config.receive.limits)
                .with_sampling(config.receive.sampling)
                .with_own_machine(receive::own_names(host.as_deref()));
        let hosts = Hosts::known_before(&state);
        let stopped = stop.clone();
        let api = ApiState::new(Parts {
            store,
            state,
            protector,
            recorder,
            live,
            diagnoser,
            keeper: models,
            catalog: catalog.clone(),
            runtimes,
            intake: intake.clone(),
            receive_ports: receive::addresses(config),
            place: connect::place(config),
            routes: config.routes.clone(),
            policy: config.privacy,
            timeout_ms: config.timeout.as_millis() as u64,
            max_body_bytes: config.max_body_bytes as u64,
            language: config.chosen_language.clone(),
            host,
            started,
            stop,
            memory,
            cpu_count: machine.cpu_count,
            hosts,
            measure: crate::measure::apart(),
            measuring: tokio::sync::Mutex::default(),
        });
        tokio::spawn(pipeline::keep_measured(measurements, api.clone(), stopped));
        Ok(Self {
            front: front(config, &gateway, api),
            proxy: proxy_router(config, &proxy),
            entrances,
            intake,
            catalog,
            client,
            keeper,
            last,
        })
    }

    /// Lets running answers end, then everything that was seen reach the disk.
    async fn end(
        self,
        mut servers: tokio::task::JoinSet<std::io::Result<()>>,
        store: Arc<dyn Store>,
    ) {
        let patience = Duration::from_secs(3);
        let _ =
            tokio::time::timeout(patience, async { while servers.join_next().await.is_some() {} })
                .await;
        servers.shutdown().await;
        self.last.cancel();
        let _ = tokio::time::timeout(patience, self.keeper).await;
        let closed = tokio::task::spawn_blocking(move || {
            let flushed = store.flush();
            store.close();
            flushed
        });
        if let Ok(Err(error)) = closed.await {
            tracing::warn!(%error, "the store could not write everything");
        }
    }
}

/// Goes on with those that were kept before.
fn models_kept(state: &StateDb, client: HttpClient, catalogs: &[RuntimeCatalog]) -> ModelKeeper {
    let keeper = ModelKeeper::new(client, catalogs.to_vec());
    match andon_api::kept_models(state) {
        Ok(models) => keeper.keep(models),
        Err(error) => tracing::warn!(%error, "which models are to be kept is not known any more"),
    }
    keeper
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn proxy_config(config: &Config, host: Option<String>) -> ProxyConfig {
    ProxyConfig {
        routes: config.routes.clone(),
        timeout: config.timeout,
        max_body_bytes: config.max_body_bytes,
        max_concurrent: config.max_concurrent,
        max_queue: config.max_queue,
        host,
        ..ProxyConfig::default()
    }
}

pub(crate) fn gateway_config(config: &Config, host: Option<String>) -> GatewayConfig {
    GatewayConfig {
        routes: config.routes.clone(),
        timeout: config.timeout,
        max_body_bytes: config.max_body_bytes,
        host,
        ..GatewayConfig::default()
    }
}

/// Chat page, dashboard, API and the gateway's routes, behind the door.
fn front(config: &Config, gateway: &Gateway, api: ApiState) -> Router {
    let (api, _) = andon_api::router(api);
    let unknown = gateway.clone();
    gateway
        .router()
        .merge(api)
        .merge(andon_api::pages())
        .fallback(move |request: Request| {
            let gateway = unknown.clone();
            async move { gateway.unknown_route(request) }
        })
        .layer(middleware::from_fn_with_state(access(config, true), andon_api::guard))
}

/// The proxy asks for the key only where other machines can reach it.
pub(crate) fn proxy_router(config: &Config, proxy: &Proxy) -> Router {
    let beyond = config.proxy_listen.is_some_and(|address| !address.ip().is_loopback());
    proxy.router().layer(middleware::from_fn_with_state(access(config, beyond), andon_api::guard))
}

pub(crate) fn access(config: &Config, with_password: bool) -> Access {
    Access::new(
        config.password.clone().filter(|_| with_password),
        config.allowed_hosts.iter().cloned(),
        config.allowed_origins.iter().cloned(),
        config.routes.iter().map(|route| route.path.clone()),
    )
}

/// An address that stands for all is none to call.
fn reachable(address: std::net::SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("127.0.0.1:{}", address.port()),
        false => address.to_string(),
    }
}

/// Total and used memory of the machine, in bytes.
fn memory() -> Option<(u64, u64)> {
    let machine = andon_host::machine();
    let total = machine.memory_total?;
    Some((total, total.saturating_sub(machine.memory_available?)))
}
