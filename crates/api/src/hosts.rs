//! Other machines: they send samples of themselves, and are asked about by name.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use andon_model::{DeviceSample, HostSample, ProcessSample, Span, UnixNanos};
use andon_store::Record;
use axum::{Json, body::Body, extract::State};
use serde::{Deserialize, Serialize};

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask, json_body},
};

const MAX_BODY: usize = 8 << 20;
const MOST_HOSTS: usize = 256;
const MOST_NAME_CHARS: usize = 255;
const MOST_LOOKS: usize = 600;
const MOST_PROCESSES: usize = 1_000;
const MOST_DEVICES: usize = 1_000;
const MOST_COMMAND_CHARS: usize = 4_096;
/// A machine that sends looks of its own keeps those that nobody takes for so long (`andon host`). Until
/// then nothing else counts as its looks.
const FORWARD_SILENCE: Duration = Duration::from_secs(900);
/// Hosts that have sent something before the last start.
const SETTING: &str = "hosts.known";

/// What `andon host --forward` sends.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostLooks {
    /// The name that its spans have as their host.
    pub host: String,
    /// By which it reaches us, and we its runtimes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// Its clock when this was sent, by which it is seen how far that is off.
    #[schema(value_type = u64)]
    pub sent_ns: UnixNanos,
    /// In the order of time.
    pub looks: Vec<HostLook>,
}

/// One look at a machine.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostLook {
    pub host: HostSample,
    #[serde(default)]
    pub processes: Vec<ProcessSample>,
    #[serde(default)]
    pub devices: Vec<DeviceSample>,
}

/// How many looks were new.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct HostLooksTaken {
    taken: u64,
}

/// A machine whose samples are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KnownHost {
    /// `None` for the one that Andon runs on.
    pub name: Option<String>,
    /// Where it sends from.
    pub address: Option<String>,
    #[schema(value_type = u64)]
    pub last_seen_ns: UnixNanos,
    pub cpu_count: Option<u32>,
    pub memory_total_bytes: Option<u64>,
    /// How far its clock is before ours, with the way here in it; `None` for our own.
    pub clock_ahead_ns: Option<i64>,
    /// It has sent something since the start.
    #[serde(skip)]
    is_heard: bool,
    /// When `andon host` last sent something of it.
    #[serde(skip)]
    forwarded: Option<Instant>,
}

/// By which way looks come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `andon host` sends them.
    Forwarded,
    /// They were made of the metrics that another program sends.
    Measured,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct KnownHosts {
    /// The one that Andon runs on first, then by name.
    hosts: Vec<KnownHost>,
}

/// The machines that have sent something.
#[derive(Default)]
pub struct Hosts(Mutex<BTreeMap<String, KnownHost>>);

impl Hosts {
    /// Those that were known when Andon last ran.
    pub fn known_before(state: &andon_state::StateDb) -> Self {
        let stored = state.setting(SETTING).ok().flatten();
        let known: Vec<KnownHost> =
            stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let named = known.into_iter().filter_map(|host| Some((host.name.clone()?, host)));
        Self(Mutex::new(named.collect()))
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// Whether it sends looks of its own.
    fn is_forwarded(&self, name: &str) -> bool {
        let last = self.lock().get(name).and_then(|host| host.forwarded);
        last.is_some_and(|last| last.elapsed() < FORWARD_SILENCE)
    }

    fn check_room(&self, name: &str) -> Result<(), ApiError> {
        let hosts = self.lock();
        if hosts.len() >= MOST_HOSTS && !hosts.contains_key(name) {
            return Err(ApiError::BadRequest(format!("host: more than {MOST_HOSTS} machines")));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, KnownHost>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes looks at another machine. Answers once they are durable; a look that was sent before is passed
/// over.
#[utoipa::path(post, path = "/api/v1/hosts/samples", tag = "machine", request_body = HostLooks,
    responses((status = 200, body = HostLooksTaken), (status = 400, body = ErrorBody),
    (status = 413, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(crate) async fn take(
    State(state): State<ApiState>,
    body: Body,
) -> Result<Json<HostLooksTaken>, ApiError> {
    let looks = json_body(body, MAX_BODY).await?;
    let taken = enter(&state, looks, Way::Forwarded).await?;
    Ok(Json(HostLooksTaken { taken }))
}

impl ApiState {
    /// Takes samples that were made of other machines' metrics. What cannot be kept is gone: the metrics
    /// are kept all the same, and the next sample comes with them.
    pub async fn take_measured(&self, samples: Vec<HostSample>) {
        for of_one in samples.chunk_by(|one, other| one.host == other.host) {
            let Some(host) = of_one.first().and_then(|sample| sample.host.clone()) else {
                continue;
            };
            let look = |host| HostLook { host, processes: Vec::new(), devices: Vec::new() };
            for some in of_one.chunks(MOST_LOOKS) {
                let looks = some.iter().cloned().map(look).collect();
                let (host, sent_ns) = (host.clone(), Span::now_ns());
                let looks = HostLooks { host, address: None, sent_ns, looks };
                if let Err(error) = enter(self, looks, Way::Measured).await {
                    tracing::debug!(%error, "samples of another machine were not kept");
                }
            }
        }
    }
}

/// The one way in: diagnosed with, stored, and the machine known by its name. Returns how many looks
/// were new, once they are durable.
async fn enter(state: &ApiState, looks: HostLooks, way: Way) -> Result<u64, ApiError> {
    let HostLooks { host, address, sent_ns, looks } = looks;
    check(&host, &looks)?;
    if way == Way::Measured && state.0.hosts.is_forwarded(&host) {
        return Ok(0);
    }
    state.0.hosts.check_room(&host)?;
    // A clock that was set back since: what was kept of a later time is no sign of a look sent twice.
    let after_ns = last_kept(state, &host, &looks).await?;
    let after_ns = if after_ns > sent_ns { 0 } else { after_ns };
    let new: Vec<_> = looks
        .into_iter()
        .filter(|look| look.host.time_ns > after_ns)
        .map(|look| look.named(&host))
        .collect();
    let Some(last) = new.last().map(|look| look.host.clone()) else { return Ok(0) };
    let taken = new.len() as u64;
    // By loopback it is this machine, as far as calls to its runtimes go.
    let address = address.filter(|address| !address.is_loopback());
    if let Some(address) = address {
        state.0.diagnoser.note_address(&host, address);
    }
    keep(state, new).await?;
    let ahead_ns = i64::try_from(i128::from(sent_ns) - i128::from(Span::now_ns())).ok();
    remember(state, host, |known| KnownHost {
        address: address.map(|address| address.to_string()).or(known.address),
        last_seen_ns: last.time_ns,
        cpu_count: Some(last.cpu_count),
        memory_total_bytes: Some(last.memory_total_bytes),
        // Metrics say when something was measured, and not when they were sent.
        clock_ahead_ns: if way == Way::Forwarded { ahead_ns } else { None },
        is_heard: true,
        forwarded: (way == Way::Forwarded).then(Instant::now),
        ..known
    })
    .await?;
    Ok(taken)
}

async fn keep(state: &ApiState, looks: Vec<HostLook>) -> Result<(), ApiError> {
    let (mut hosts, mut processes, mut devices) = (Vec::new(), Vec::new(), Vec::new());
    for look in looks {
        state.0.diagnoser.note(&look.host, &look.processes);
        hosts.push(look.host);
        processes.extend(look.processes);
        devices.extend(look.devices);
    }
    let mut acks = Vec::with_capacity(3);
    for record in [Record::Host(hosts), Record::Processes(processes), Record::Devices(devices)] {
        acks.push(state.0.store.append(record)?);
    }
    for ack in acks {
        ack.await?;
    }
    Ok(())
}

/// When the last look was that is kept. The first time after a start the store knows: what was sent just
/// before a crash is sent again if its answer was not heard.
async fn last_kept(
    state: &ApiState,
    host: &str,
    looks: &[HostLook],
) -> Result<UnixNanos, ApiError> {
    let known = state.0.hosts.lock().get(host).cloned();
    let (Some(known), Some(first), Some(last)) = (known, looks.first(), looks.last()) else {
        return Ok(0);
    };
    if known.is_heard {
        return Ok(known.last_seen_ns);
    }
    let (from_ns, to_ns) = (first.host.time_ns, last.host.time_ns);
    let (state, host) = (state.clone(), host.to_owned());
    ask(move || {
        let kept = state.0.store.host_samples(Some(&host), from_ns, to_ns)?;
        Ok(kept.last().map_or(0, |look| look.time_ns))
    })
    .await
}

fn check(host: &str, looks: &[HostLook]) -> Result<(), ApiError> {
    let wrong = |what: String| Err(ApiError::BadRequest(what));
    let is_name = |c: char| !c.is_control() && !c.is_whitespace();
    if host.is_empty() || host.chars().count() > MOST_NAME_CHARS || !host.chars().all(is_name) {
        let what = format!("host: 1 to {MOST_NAME_CHARS} characters, none of them a space");
        return wrong(what);
    }
    if looks.len() > MOST_LOOKS {
        return wrong(format!("looks: {} are more than {MOST_LOOKS}", looks.len()));
    }
    for (at, look) in looks.iter().enumerate() {
        if look.processes.len() > MOST_PROCESSES {
            return wrong(format!("looks[{at}].processes: more than {MOST_PROCESSES}"));
        }
        if look.devices.len() > MOST_DEVICES {
            return wrong(format!("looks[{at}].devices: more than {MOST_DEVICES}"));
        }
        if at > 0 && looks[at - 1].host.time_ns >= look.host.time_ns {
            return wrong(format!("looks[{at}].host.time_ns: it is not after the one before"));
        }
    }
    Ok(())
}

impl HostLook {
    /// All of one moment and one machine, whatever was sent.
    fn named(mut self, name: &str) -> Self {
        let (host, time_ns) = (Some(name.to_owned()), self.host.time_ns);
        self.host.host.clone_from(&host);
        for process in &mut self.processes {
            (process.time_ns, process.host) = (time_ns, host.clone());
            cut(&mut process.name);
            cut(&mut process.command);
        }
        for device in &mut self.devices {
            (device.time_ns, device.host) = (time_ns, host.clone());
            cut(&mut device.id);
        }
        self
    }
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MOST_COMMAND_CHARS) {
        text.truncate(end);
    }
}

/// A new host is written down, so that it is still known after a restart.
async fn remember(
    state: &ApiState,
    name: String,
    change: impl FnOnce(KnownHost) -> KnownHost,
) -> Result<(), ApiError> {
    let all: Vec<KnownHost> = {
        // Another one may have come meanwhile.
        state.0.hosts.check_room(&name)?;
        let mut hosts = state.0.hosts.lock();
        let known = hosts.get(&name).cloned();
        let is_new = known.is_none();
        let named = KnownHost { name: Some(name.clone()), ..KnownHost::default() };
        hosts.insert(name, change(known.unwrap_or(named)));
        if !is_new {
            return Ok(());
        }
        hosts.values().cloned().collect()
    };
    let state = state.clone();
    ask(move || {
        let bytes = serde_json::to_vec(&all).unwrap_or_default();
        Ok(state.0.state.set(SETTING, &bytes)?)
    })
    .await
}

/// The machines whose samples are kept.
#[utoipa::path(get, path = "/api/v1/hosts", tag = "machine",
    responses((status = 200, body = KnownHosts)))]
pub(crate) async fn hosts(State(state): State<ApiState>) -> Json<KnownHosts> {
    let here = KnownHost {
        last_seen_ns: Span::now_ns(),
        cpu_count: state.0.cpu_count,
        memory_total_bytes: (state.0.memory)().map(|(total, _)| total),
        ..KnownHost::default()
    };
    let others: Vec<_> = state.0.hosts.lock().values().cloned().collect();
    Json(KnownHosts { hosts: std::iter::once(here).chain(others).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(time_ns: u64) -> HostLook {
        let host = HostSample { time_ns, ..HostSample::default() };
        HostLook { host, processes: Vec::new(), devices: vec![DeviceSample::default()] }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(check("gpu-box", &[look(1), look(2)]).is_ok());
        for (name, looks, what) in [
            ("", vec![], "host"),
            ("a b", vec![], "host"),
            ("a", vec![look(2), look(2)], "looks[1]"),
            ("a", vec![look(1); MOST_LOOKS + 1], "looks"),
        ] {
            let error = check(name, &looks).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn all_of_a_look_is_of_one_machine_and_one_moment() {
        let look = look(7).named("box");
        assert_eq!(look.host.host.as_deref(), Some("box"));
        assert_eq!((look.devices[0].time_ns, look.devices[0].host.as_deref()), (7, Some("box")));
    }
}
