//! Andon's HTTP API, the door in front of it, and the pages.
//!
//! What a newcomer gets wrong: nothing here decides what may be shown; what the store hands out was
//! protected before it got there.

mod access;
mod aggregate;
mod audit;
mod capacity;
mod connect;
mod error;
mod feedback;
mod forget;
mod hosts;
mod intake;
mod kept;
mod live;
mod machine;
mod measure;
mod models;
mod notes;
mod openapi;
mod pages;
mod query;
mod roof;
mod rum;
mod runtimes;
mod status;
mod stays;
mod store;
mod traces;
mod why;

use std::{sync::Arc, time::Instant};

use andon_connect::Place;
use andon_diagnose::Diagnoser;
use andon_gateway::{LiveCalls, ModelKeeper, Recorder, Route, RuntimeCatalog, RuntimeInfo};
use andon_model::Policy;
use andon_privacy::Protector;
use andon_receive::Intake;
use andon_state::StateDb;
use andon_store::Store;
use axum::Router;
use tokio_util::sync::CancellationToken;
use utoipa::{OpenApi as _, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use access::{Access, Password, guard};
pub use audit::AuditPage;
pub use forget::{ForgetAnswer, ForgetError, forget_on_record, forget_subject, preview_forget};
pub use hosts::{HostLook, HostLooks, Hosts, KnownHost};
pub use intake::ReceivePort;
pub use kept::kept_models;
pub use measure::Measure;
pub use pages::{has_real_pages, pages};
pub use runtimes::{CaptureAddress, WatchedRuntime};
pub use traces::{TimeError, parse_time};

/// What the API answers from. Cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Parts>);

/// The parts' public faces.
pub struct Parts {
    pub store: Arc<dyn Store>,
    /// Settings, notes and audit.
    pub state: Arc<StateDb>,
    pub protector: Protector,
    pub recorder: Recorder,
    pub live: LiveCalls,
    /// Says what the calls that run wait for.
    pub diagnoser: Arc<Diagnoser>,
    /// Loads models, and keeps some in memory.
    pub keeper: ModelKeeper,
    /// That of the main runtime.
    pub catalog: RuntimeCatalog,
    /// All runtimes, the main one first.
    pub runtimes: Vec<WatchedRuntime>,
    pub intake: Intake,
    pub receive_ports: Vec<ReceivePort>,
    /// Where apps reach this Andon.
    pub place: Place,
    pub routes: Vec<Route>,
    pub policy: Policy,
    pub timeout_ms: u64,
    pub max_body_bytes: u64,
    pub language: Option<String>,
    pub host: Option<String>,
    pub started: Instant,
    /// Ends the streams of events, which would end by themselves never.
    pub stop: CancellationToken,
    /// Looks at the machine's memory: total and used, in bytes.
    pub memory: fn() -> Option<(u64, u64)>,
    pub cpu_count: Option<u32>,
    /// The other machines.
    pub hosts: Hosts,
    pub measure: Measure,
    /// Held while the machine is measured.
    pub measuring: tokio::sync::Mutex<()>,
}

impl ApiState {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The runtime that its spans name as their service, if it answers.
    pub(crate) fn runtime(&self, name: &str) -> Option<(&RuntimeCatalog, RuntimeInfo)> {
        self.0.runtimes.iter().find_map(|watched| {
            let ready = watched.catalog.target().state().ready.filter(|info| info.name == name)?;
            Some((&watched.catalog, ready))
        })
    }
}

/// The API and its description.
pub fn router(state: ApiState) -> (Router, OpenApi) {
    let (router, openapi) = documented();
    let description = openapi.clone();
    let answer = move || {
        let description = description.clone();
        async move { axum::Json(description) }
    };
    let router = router.route("/api/v1/openapi.json", axum::routing::get(answer));
    (router.with_state(state), openapi)
}

fn documented() -> (Router<ApiState>, OpenApi) {
    let (router, mut openapi) = OpenApiRouter::with_openapi(openapi::Chat::openapi())
        .routes(routes!(traces::list))
        .routes(routes!(traces::stored))
        .routes(routes!(traces::one))
        .routes(routes!(traces::host))
        .routes(routes!(why::why))
        .routes(routes!(machine::machine))
        .routes(routes!(hosts::hosts))
        .routes(routes!(hosts::take))
        .routes(routes!(measure::measure))
        .routes(routes!(capacity::capacity))
        .routes(routes!(capacity::what_if))
        .routes(routes!(capacity::people))
        .routes(routes!(query::query))
        .routes(routes!(aggregate::aggregate))
        .routes(routes!(aggregate::heat_map))
        .routes(routes!(models::models))
        .routes(routes!(kept::kept, kept::keep, kept::keep_no_longer))
        .routes(routes!(stays::stays))
        .routes(routes!(kept::load))
        .routes(routes!(kept::unload))
        .routes(routes!(runtimes::runtimes))
        .routes(routes!(connect::connect))
        .routes(routes!(intake::intake))
        .routes(routes!(status::status))
        .routes(routes!(status::healthz))
        .routes(routes!(status::readyz))
        .routes(routes!(store::stats))
        .routes(routes!(store::seal))
        .routes(routes!(forget::forget))
        .routes(routes!(audit::audit))
        .routes(routes!(notes::notes, notes::add_note))
        .routes(routes!(notes::remove_note))
        .routes(routes!(live::live))
        .routes(routes!(rum::rum))
        .routes(routes!(feedback::feedback))
        .split_for_parts();
    openapi::complete(&mut openapi);
    (router, openapi)
}
