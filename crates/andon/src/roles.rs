//! `andon gateway` and `andon proxy`: one role each, as the original application had them. Alone,
//! a role keeps nothing: its protected spans go to standard output, one JSON line each.

use std::{io::Write, process::ExitCode};

use andon_gateway::{
    Gateway, LiveCalls, Proxy, ProxyLink, Recorded, Recorder, RecorderConfig, RuntimeCatalog,
    http_client,
};
use andon_privacy::Protector;
use axum::{Router, extract::Request, middleware};
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::Settings,
    config::{Config, RuntimeChoice},
    listen::{self, Limits},
    runtime, up,
};

pub(crate) async fn gateway(settings: Box<Settings>) -> anyhow::Result<ExitCode> {
    let config = Config::load(*settings)?;
    let listener = listen::bind("listen", config.listen).await?;
    let (recorder, recorded) = Recorder::new(RecorderConfig::default());
    let host = andon_host::machine().host_name;
    let link = proxy_elsewhere(&config);
    let gateway = Gateway::new(up::gateway_config(&config, host), link, http_client(), recorder);
    let unknown = gateway.clone();
    let router = gateway
        .router()
        .route("/healthz", axum::routing::get(|| async { "ok" }))
        .fallback(move |request: Request| {
            let gateway = unknown.clone();
            async move { gateway.unknown_route(request) }
        })
        .layer(middleware::from_fn_with_state(up::access(&config, true), andon_api::guard));
    serve(&config, "gateway", listener, router, recorded).await
}

/// The proxy that was named, or else Andon's own where it listens by the same settings.
fn proxy_elsewhere(config: &Config) -> ProxyLink {
    if let Some(authority) = config.proxy.clone() {
        return ProxyLink::Http { authority, key: None };
    }
    let mut address = config.proxy_listen.unwrap_or(([127, 0, 0, 1], 5002).into());
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    ProxyLink::Http { authority: address.to_string(), key: config.password_text.clone() }
}

pub(crate) async fn proxy(settings: Box<Settings>) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(*settings)?;
    let Some(address) = config.proxy_listen else {
        anyhow::bail!("proxy_listen: it is off, and nothing else was asked for");
    };
    if config.runtime == RuntimeChoice::Builtin {
        anyhow::bail!("runtime: the proxy alone starts none; start `andon runtime` beside it");
    }
    if config.runtime == RuntimeChoice::Auto {
        let found = runtime::find(&http_client()).await.map(|info| info.authority);
        let authority = found.unwrap_or_else(|| config.runtime_listen.to_string());
        config.runtime = RuntimeChoice::At(authority);
    }
    let listener = listen::bind("proxy_listen", address).await?;
    let (recorder, recorded) = Recorder::new(RecorderConfig::default());
    let client = http_client();
    let stop = CancellationToken::new();
    let target = runtime::start(&config, client.clone(), stop);
    let catalog = RuntimeCatalog::new(client.clone(), target);
    tokio::spawn(catalog.clone().keep_fresh());
    let host = andon_host::machine().host_name;
    let live = LiveCalls::default();
    let proxy = Proxy::new(up::proxy_config(&config, host), client, catalog, live, recorder);
    let router = up::proxy_router(&config, &proxy);
    serve(&config, "proxy", listener, router, recorded).await
}

async fn serve(
    config: &Config,
    name: &str,
    listener: tokio::net::TcpListener,
    router: Router,
    recorded: Recorded,
) -> anyhow::Result<ExitCode> {
    eprintln!("andon {name}: http://{}", listener.local_addr()?);
    let protector = config.protector();
    let printer = tokio::spawn(print_spans(recorded, protector));
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        listen::end_asked().await;
        asked.cancel();
    });
    let service = TowerToHyperService::new(router);
    listen::serve(listener, service, Limits::PAGES, stop).await?;
    printer.abort();
    Ok(ExitCode::SUCCESS)
}

async fn print_spans(mut recorded: Recorded, protector: Protector) {
    while let Some(observations) = recorded.next(64).await {
        let batch = protector.protect(observations).into_inner();
        let mut out = std::io::stdout().lock();
        for span in &batch.spans {
            if let Ok(line) = serde_json::to_string(span) {
                let _ = writeln!(out, "{line}");
            }
        }
        let _ = out.flush();
    }
}
