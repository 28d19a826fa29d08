//! What the machine can do: how fast each model was and can be at most, what another setting would
//! change, and for how many people it is enough.

use std::collections::BTreeMap;

use andon_capacity::{
    Bound, Cell, CurvePoint, Measured, People, PeopleQuestion, Served, Setting, Spread, WhatIf,
    bound, cells, curve, read_per_s, written_per_s,
};
use andon_diagnose::KeepAlive;
use andon_gateway::DiscoveredModel;
use andon_model::{Cause, Span, UnixNanos};
use andon_store::{CallQuery, Interrupt};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};

use crate::{
    ApiState,
    aggregate::{bounded, range},
    error::{ApiError, ErrorBody, ask_while_wanted},
    measure::measured,
    roof::Roofs,
};

const DAY_NS: u64 = 86_400_000_000_000;
const DEFAULT_RANGE_NS: u64 = 7 * DAY_NS;
/// Calls that an answer rests on: the newest ones.
const MOST_CALLS: usize = 20_000;
/// Points of a curve, about.
const POINTS: u64 = 120;
const SHORTEST_STEP_NS: u64 = 60_000_000_000;
/// A GPU that has said nothing for longer is none.
const RECENT_NS: u64 = 60_000_000_000;
const MOST_PARALLEL: usize = 64;
const MOST_THREADS: usize = 1_024;
const DEFAULT_WAIT_S: f64 = 10.0;
const MOST_WAIT_S: f64 = 600.0;
const MOST_THINK_S: f64 = 3_600.0;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CapacityParams {
    /// Calls of this time or later: UTC nanoseconds or RFC 3339; a week before `to`.
    from: Option<String>,
    /// Calls before this; now.
    to: Option<String>,
    /// The runtime, by the service of its spans; the one with most calls.
    runtime: Option<String>,
}

/// How fast a runtime's models were, and how fast they can be.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Capacity {
    #[schema(value_type = u64)]
    from_ns: UnixNanos,
    #[schema(value_type = u64)]
    to_ns: UnixNanos,
    step_ns: u64,
    /// Those that have calls, the one with most first.
    runtimes: Vec<String>,
    runtime: Option<String>,
    calls: u64,
    /// There are more calls, older ones, or a file could not be read.
    is_partial: bool,
    /// The one with most calls first.
    models: Vec<ModelCapacity>,
    /// What the machine does at most, where it was measured.
    measured: Option<Measured>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ModelCapacity {
    model: String,
    calls: u64,
    curve: Vec<CurvePoint>,
    cells: Vec<Cell>,
    /// Tokens a second; `None` where too few were written, or read, to say.
    written_per_s: Option<Spread>,
    read_per_s: Option<Spread>,
    /// Bytes of its file, where the runtime says so.
    size_bytes: Option<u64>,
    /// `None` where the model's size is not known, or the speed of the memory that it lies in: of the
    /// machine, which has to be measured, or of a GPU, whose driver has to say it.
    bound: Option<Bound>,
}

/// How fast each model was over time and by size of its prompts, and how fast it can be at most.
#[utoipa::path(get, path = "/api/v1/capacity", params(CapacityParams), tag = "capacity", responses(
    (status = 200, body = Capacity), (status = 400, body = ErrorBody)))]
pub(crate) async fn capacity(
    State(state): State<ApiState>,
    params: Result<Query<CapacityParams>, QueryRejection>,
) -> Result<Json<Capacity>, ApiError> {
    let params = read(params)?;
    let (from_ns, to_ns) = params.range()?;
    ask_while_wanted(move |interrupt| {
        let chosen = Chosen::of(&state, &params, interrupt)?;
        let measured = measured(&state)?;
        let step_ns = (to_ns.saturating_sub(from_ns) / POINTS).max(SHORTEST_STEP_NS);
        let mut by_model: BTreeMap<&str, Vec<&Served>> = BTreeMap::new();
        for call in &chosen.calls {
            by_model.entry(&call.model).or_default().push(call);
        }
        let (known, is_here) = known_models(&state, chosen.runtime.as_deref());
        let roofs = Roofs { measured, gpu_bytes_per_s: gpu_speed(&state, is_here)? };
        let model = |(name, calls): (&str, Vec<&Served>)| {
            let of = known.iter().find(|known| known.name == name);
            let roof = of.and_then(|model| roofs.over(model));
            ModelCapacity {
                model: name.to_owned(),
                calls: calls.len() as u64,
                curve: curve(calls.iter().copied(), step_ns),
                cells: cells(calls.iter().copied()),
                written_per_s: written_per_s(calls.iter().copied()),
                read_per_s: read_per_s(calls.iter().copied()),
                size_bytes: of.and_then(|model| model.size_bytes),
                bound: roof.and_then(|roof| bound(roof, calls)),
            }
        };
        let mut models: Vec<_> = by_model.into_iter().map(model).collect();
        models.sort_by_key(|model| std::cmp::Reverse(model.calls));
        Ok(Capacity {
            from_ns,
            to_ns,
            step_ns,
            runtimes: chosen.runtimes,
            runtime: chosen.runtime,
            calls: chosen.calls.len() as u64,
            is_partial: chosen.is_partial,
            models,
            measured,
        })
    })
    .await
    .map(Json)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhatIfParams {
    /// How long a model is kept after each call, as Ollama writes it: `30m`, `-1` for ever.
    keep_alive: Option<String>,
    /// Calls that compute at once, 1 to 64.
    parallel: Option<usize>,
    /// The model that answers all calls.
    model: Option<String>,
    /// Threads of each call.
    threads: Option<usize>,
}

/// What would have been with another setting: the recorded calls arrive once more, in a simulation that
/// says how far it is off.
#[utoipa::path(get, path = "/api/v1/capacity/what-if", tag = "capacity",
    params(CapacityParams, WhatIfParams),
    responses((status = 200, body = WhatIf), (status = 400, body = ErrorBody)))]
pub(crate) async fn what_if(
    State(state): State<ApiState>,
    of: Result<Query<CapacityParams>, QueryRejection>,
    params: Result<Query<WhatIfParams>, QueryRejection>,
) -> Result<Json<WhatIf>, ApiError> {
    let (of, setting) = (read(of)?, read(params)?.setting()?);
    ask_while_wanted(move |interrupt| {
        let chosen = Chosen::of(&state, &of, interrupt)?;
        let kept = state.0.diagnoser.kept();
        Ok(andon_capacity::what_if(&chosen.calls, kept, chosen.made_room, &setting))
    })
    .await
    .map(Json)
}

impl WhatIfParams {
    fn setting(&self) -> Result<Setting, ApiError> {
        let keep_alive = self.keep_alive.as_deref().map(|text| {
            let wrong = format!("keep_alive: {text:?} is no duration such as 30m, 90s or -1");
            KeepAlive::parse(text).ok_or(ApiError::BadRequest(wrong))
        });
        let threads = self.threads.map(|count| bounded("threads", count, 1, MOST_THREADS));
        Ok(Setting {
            keep_alive: keep_alive.transpose()?,
            parallel: parallel(self.parallel)?,
            model: self.model.clone().filter(|model| !model.is_empty()),
            threads: threads.transpose()?.map(|count| count as u64),
        })
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PeopleParams {
    /// Seconds after which nine of ten answers are to have begun; 10.
    wait_s: Option<f64>,
    /// Seconds between an answer and the next question; as recorded.
    think_s: Option<f64>,
    /// Calls that compute at once, 1 to 64; as recorded.
    parallel: Option<usize>,
}

/// For how many people who ask one question after the other a runtime is enough, from its measured
/// calls.
#[utoipa::path(get, path = "/api/v1/capacity/people", tag = "capacity",
    params(CapacityParams, PeopleParams),
    responses((status = 200, body = People), (status = 400, body = ErrorBody)))]
pub(crate) async fn people(
    State(state): State<ApiState>,
    of: Result<Query<CapacityParams>, QueryRejection>,
    params: Result<Query<PeopleParams>, QueryRejection>,
) -> Result<Json<People>, ApiError> {
    let (of, params) = (read(of)?, read(params)?);
    let question = PeopleQuestion {
        wait_s: between("wait_s", params.wait_s.unwrap_or(DEFAULT_WAIT_S), MOST_WAIT_S)?,
        think_s: match params.think_s {
            Some(think_s) => Some(between("think_s", think_s, MOST_THINK_S)?),
            None => None,
        },
        parallel: parallel(params.parallel)?,
    };
    ask_while_wanted(move |interrupt| {
        let chosen = Chosen::of(&state, &of, interrupt)?;
        let kept = state.0.diagnoser.kept();
        Ok(andon_capacity::people(&chosen.calls, kept, chosen.made_room, &question))
    })
    .await
    .map(Json)
}

fn read<T>(params: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    Ok(params)
}

fn parallel(asked: Option<usize>) -> Result<Option<usize>, ApiError> {
    asked.map(|count| bounded("parallel", count, 1, MOST_PARALLEL)).transpose()
}

fn between(name: &str, value: f64, most: f64) -> Result<f64, ApiError> {
    if (0.1..=most).contains(&value) {
        return Ok(value);
    }
    Err(ApiError::BadRequest(format!("{name}: {value} is not from 0.1 to {most}")))
}

impl CapacityParams {
    fn range(&self) -> Result<(UnixNanos, UnixNanos), ApiError> {
        range(self.from.as_deref(), self.to.as_deref(), DEFAULT_RANGE_NS)
    }
}

/// The calls of one runtime.
struct Chosen {
    /// In the order in which they arrived.
    calls: Vec<Served>,
    runtimes: Vec<String>,
    runtime: Option<String>,
    /// A model was pushed out by another one.
    made_room: bool,
    is_partial: bool,
}

impl Chosen {
    fn of(
        state: &ApiState,
        params: &CapacityParams,
        interrupt: Interrupt,
    ) -> Result<Self, ApiError> {
        let (from_ns, to_ns) = params.range()?;
        let mut runtimes: BTreeMap<String, Newest> = BTreeMap::new();
        let query = CallQuery { from_ns, to_ns, interrupt };
        let has_failed = state.0.store.visit_calls(&query, &mut |span| {
            let Some(call) = Served::of(&span) else { return };
            let of = runtimes.entry(span.service).or_default();
            of.made_room |= span.cause == Some(Cause::Evicted);
            of.add(call);
        })?;
        let mut names: Vec<_> = runtimes.keys().cloned().collect();
        names.sort_by_key(|name| std::cmp::Reverse(runtimes[name].count));
        let runtime = params.runtime.clone().or_else(|| names.first().cloned());
        let newest = runtime.as_ref().and_then(|name| runtimes.remove(name)).unwrap_or_default();
        let made_room = newest.made_room;
        let is_partial = has_failed || newest.count > MOST_CALLS as u64;
        let calls = newest.in_order();
        Ok(Self { calls, runtimes: names, runtime, made_room, is_partial })
    }
}

/// The newest calls of a runtime, which come in no order.
#[derive(Default)]
struct Newest {
    calls: Vec<Served>,
    count: u64,
    made_room: bool,
}

impl Newest {
    fn add(&mut self, call: Served) {
        self.count += 1;
        self.calls.push(call);
        if self.calls.len() >= 2 * MOST_CALLS {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        self.calls.sort_unstable_by_key(|call| std::cmp::Reverse(call.arrived_ns));
        self.calls.truncate(MOST_CALLS);
    }

    fn in_order(mut self) -> Vec<Served> {
        self.let_go();
        self.calls.reverse();
        self.calls
    }
}

/// The models of a runtime, and whether it computes on this machine.
fn known_models(state: &ApiState, runtime: Option<&str>) -> (Vec<DiscoveredModel>, bool) {
    let Some((catalog, info)) = runtime.and_then(|name| state.runtime(name)) else {
        return Default::default();
    };
    (catalog.models().to_vec(), state.0.diagnoser.is_here(&info.authority))
}

/// How fast the memory of this machine's fastest GPU is, as its driver says.
fn gpu_speed(state: &ApiState, is_here: bool) -> Result<Option<f64>, ApiError> {
    if !is_here {
        return Ok(None);
    }
    let now_ns = Span::now_ns();
    let parts = state.0.store.device_samples(None, now_ns.saturating_sub(RECENT_NS), now_ns)?;
    Ok(parts.iter().filter_map(|part| part.memory_bandwidth_bytes_per_s).reduce(f64::max))
}
