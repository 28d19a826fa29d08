//! The capture's listeners, the doors in front of them, and the runtimes behind.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use andon_api::{Access, CaptureAddress, WatchedRuntime};
use andon_gateway::{
    Capture, CaptureConfig, Entrance, HttpClient, LiveCalls, OllamaLog, Recorder, RuntimeCatalog,
    RuntimeInfo, RuntimeKind,
};
use andon_model::is_loopback;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{CapturePort, Config, RuntimeChoice},
    listen, runtime,
};

const LOOK_FOR_OLLAMA: Duration = Duration::from_secs(2);

/// The ports that calls come to, the main one among them, taken.
pub(crate) struct Ports(Vec<(TcpListener, CapturePort)>);

impl Ports {
    /// Takes all that are configured, or any free one instead of each that is taken; the
    /// configuration says afterwards where they are.
    pub(crate) async fn bind(config: &mut Config) -> anyhow::Result<Self> {
        let mut ports = Vec::new();
        if let Some(listen) = &mut config.capture_listen {
            let setting = "capture_listen".to_owned();
            let port = CapturePort { setting, listen: *listen, runtime: None, app: None };
            ports.push(take(port).await?);
            *listen = ports[0].1.listen;
        }
        for port in &mut config.capture_ports {
            let (listener, taken) = take(port.clone()).await?;
            *port = taken.clone();
            ports.push((listener, taken));
        }
        Ok(Self(ports))
    }

    /// The runtimes that are watched, the main one first, with the ports that lead to each.
    pub(crate) fn watched(
        &self,
        config: &Config,
        main: &RuntimeCatalog,
        client: &HttpClient,
        stop: &CancellationToken,
    ) -> Vec<WatchedRuntime> {
        let ports_of = |name: Option<&str>| {
            let theirs = self.0.iter().filter(|(_, port)| port.runtime.as_deref() == name);
            theirs
                .map(|(_, port)| CaptureAddress { address: port.listen, app: port.app.clone() })
                .collect()
        };
        let main = WatchedRuntime {
            name: None,
            address: main_address(config),
            catalog: main.clone(),
            ports: ports_of(None),
        };
        let further = config.runtimes.iter().map(|further| {
            let target = runtime::follow(further.clone(), client.clone(), stop.clone());
            let catalog = RuntimeCatalog::new(client.clone(), target);
            tokio::spawn(catalog.clone().keep_fresh());
            WatchedRuntime {
                name: Some(further.name.clone()),
                address: Some(further.authority.clone()),
                catalog,
                ports: ports_of(Some(&further.name)),
            }
        });
        std::iter::once(main).chain(further).collect()
    }

    /// Serves all of them.
    pub(crate) fn serve(
        self,
        entrances: &Entrances,
        config: &Config,
        servers: &mut JoinSet<std::io::Result<()>>,
        stop: &CancellationToken,
    ) {
        for (listener, port) in self.0 {
            let Some(capture) = entrances.behind(&port) else { continue };
            let door = Arc::new(access(config, port.listen));
            servers.spawn(capture.serve(listener, door, stop.clone()));
        }
    }
}

async fn take(mut port: CapturePort) -> anyhow::Result<(TcpListener, CapturePort)> {
    let listener = listen::bind_or_any(&port.setting, port.listen).await?;
    port.listen = listener.local_addr()?;
    Ok((listener, port))
}

/// One pass-through for each runtime; a port with an app has its own beside them.
pub(crate) struct Entrances(Vec<(Option<String>, Capture)>);

impl Entrances {
    pub(crate) fn new(
        config: CaptureConfig,
        watched: &[WatchedRuntime],
        live: LiveCalls,
        recorder: Recorder,
    ) -> Self {
        let mut captures: Vec<(Option<String>, Capture)> = Vec::new();
        for runtime in watched {
            let entrance = Entrance {
                catalog: runtime.catalog.clone(),
                runtime: runtime.address.clone(),
                name: runtime.name.clone(),
                app: None,
            };
            let capture = match captures.first() {
                Some((_, first)) => first.beside(entrance),
                None => Capture::new(config.clone(), entrance, live.clone(), recorder.clone()),
            };
            captures.push((runtime.name.clone(), capture));
        }
        Self(captures)
    }

    fn behind(&self, port: &CapturePort) -> Option<Capture> {
        let (_, capture) = self.0.iter().find(|(name, _)| *name == port.runtime)?;
        Some(match &port.app {
            Some(app) => capture.for_app(app.clone()),
            None => capture.clone(),
        })
    }
}

/// Where the main runtime was said to be, so that calls need not wait until it was recognised.
fn main_address(config: &Config) -> Option<String> {
    match &config.runtime {
        RuntimeChoice::At(authority) => Some(authority.clone()),
        RuntimeChoice::Auto | RuntimeChoice::Builtin => None,
    }
}

/// Follows the log of an Ollama on this machine, once there is one.
pub(crate) async fn follow_log(config: Config, watched: Vec<RuntimeCatalog>, live: LiveCalls) {
    let log = match config.ollama_log.as_str() {
        "off" => return,
        "auto" => OllamaLog::find(std::env::home_dir().as_deref()),
        "journal" => Some(OllamaLog::Journal),
        file => Some(OllamaLog::File(file.into())),
    };
    let Some(log) = log else { return };
    let service = loop {
        let infos = watched.iter().filter_map(|catalog| catalog.target().state().ready);
        if let Some(info) = infos.into_iter().find(is_ollama_here) {
            break info.name;
        }
        tokio::time::sleep(LOOK_FOR_OLLAMA).await;
    };
    log.follow(service, live).await;
}

fn is_ollama_here(info: &RuntimeInfo) -> bool {
    info.kind == RuntimeKind::Ollama && is_loopback(&info.authority)
}

/// The password is asked for only where other machines can reach the port.
fn access(config: &Config, address: SocketAddr) -> Access {
    crate::up::access(config, !address.ip().is_loopback())
}
