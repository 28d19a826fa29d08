//! The machine over a stretch of time, whatever traces there are.

use andon_store::{Interrupt, Machine, MachineQuery};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;

use crate::{
    ApiState,
    aggregate::{bounded, range},
    error::{ApiError, ErrorBody, ask_while_wanted},
};

/// What is asked about when nothing is said.
const DEFAULT_RANGE_NS: u64 = 15 * 60 * 1_000_000_000;
const DEFAULT_POINTS: usize = 120;
const MOST_POINTS: usize = 1_000;
const DEFAULT_TOP: usize = 20;
const MOST_TOP: usize = 200;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MachineParams {
    /// The machine, by its name; the one that Andon runs on.
    host: Option<String>,
    /// Samples of this time or later: UTC nanoseconds or RFC 3339; a quarter of an hour before `to`.
    from: Option<String>,
    /// Samples before this; now.
    to: Option<String>,
    /// Points in time that are wanted, about; 120.
    points: Option<usize>,
    /// Processes that are wanted by CPU, and as many by memory; 20, at most 200.
    top: Option<usize>,
}

/// CPU, memory, disk and network of the machine over time, and the processes that used most of it.
#[utoipa::path(get, path = "/api/v1/machine", params(MachineParams), tag = "machine", responses(
    (status = 200, body = Machine), (status = 400, body = ErrorBody)))]
pub(crate) async fn machine(
    State(state): State<ApiState>,
    params: Result<Query<MachineParams>, QueryRejection>,
) -> Result<Json<Machine>, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let (from_ns, to_ns) = range(params.from.as_deref(), params.to.as_deref(), DEFAULT_RANGE_NS)?;
    let query = MachineQuery {
        host: params.host,
        from_ns,
        to_ns,
        points: bounded("points", params.points.unwrap_or(DEFAULT_POINTS), 1, MOST_POINTS)?,
        top: bounded("top", params.top.unwrap_or(DEFAULT_TOP), 1, MOST_TOP)?,
        interrupt: Interrupt::default(),
    };
    ask_while_wanted(move |interrupt| {
        Ok(state.0.store.machine(&MachineQuery { interrupt, ..query })?)
    })
    .await
    .map(Json)
}
