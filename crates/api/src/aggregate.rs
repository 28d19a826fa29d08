//! Numbers about spans: groups, points in time, percentiles, the heat map.

use andon_model::{Span, UnixNanos};
use andon_store::{
    AggregateQuery, Aggregation, Dimension, Filter, HeatMap, HeatMapQuery, Interrupt, Order,
    Population,
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, de::IntoDeserializer as _};

use crate::{
    ApiState,
    error::{ApiError, ErrorBody, ask_while_wanted},
    traces::time_param,
};

/// What is asked about when nothing is said.
const DEFAULT_RANGE_NS: u64 = 24 * 60 * 60 * 1_000_000_000;
const DEFAULT_TOP: usize = 10;
const MOST_TOP: usize = 50;
/// Points in time of one answer.
const MOST_POINTS: usize = 1_000;
const DEFAULT_COLUMNS: usize = 120;
const DEFAULT_ROWS: usize = 24;
const MOST_ROWS: usize = 100;
/// What groups can be told apart by at a time.
const MOST_DIMENSIONS: usize = 2;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AggregateParams {
    /// Spans that began at or after this: UTC nanoseconds or RFC 3339; a day before `to`.
    from: Option<String>,
    /// Spans that began before this; now.
    to: Option<String>,
    /// A filter: `service:gateway status:error duration:>5s words`.
    q: Option<String>,
    #[serde(default)]
    #[param(inline)]
    of: Population,
    /// Up to two, with a comma between them: service, name, operation, model, status, cause.
    by: Option<String>,
    /// Points in time that are wanted, about; 0 puts all times together.
    #[serde(default)]
    points: usize,
    /// Groups that are wanted; 10, at most 50.
    top: Option<usize>,
    #[serde(default)]
    #[param(inline)]
    order: Order,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HeatMapParams {
    /// Spans that began at or after this: UTC nanoseconds or RFC 3339; a day before `to`.
    from: Option<String>,
    /// Spans that began before this; now.
    to: Option<String>,
    /// A filter: `service:gateway status:error duration:>5s words`.
    q: Option<String>,
    #[serde(default)]
    #[param(inline)]
    of: Population,
    /// Columns that are wanted, about; 120.
    points: Option<usize>,
    /// Rows that there are at most; 24.
    rows: Option<usize>,
}

/// Numbers about spans: how many, how long, what they used; by what they have in common, and over
/// time.
#[utoipa::path(get, path = "/api/v1/aggregate", params(AggregateParams), tag = "query", responses(
    (status = 200, body = Aggregation), (status = 400, body = ErrorBody),
    (status = 422, body = ErrorBody)))]
pub(crate) async fn aggregate(
    State(state): State<ApiState>,
    params: Result<Query<AggregateParams>, QueryRejection>,
) -> Result<Json<Aggregation>, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let (from_ns, to_ns) = range(params.from.as_deref(), params.to.as_deref(), DEFAULT_RANGE_NS)?;
    let query = AggregateQuery {
        from_ns,
        to_ns,
        filter: filter(params.q.as_deref())?,
        of: params.of,
        by: dimensions(params.by.as_deref().unwrap_or_default())?,
        points: bounded("points", params.points, 0, MOST_POINTS)?,
        top: bounded("top", params.top.unwrap_or(DEFAULT_TOP), 1, MOST_TOP)?,
        order: params.order,
        interrupt: Interrupt::default(),
    };
    ask_while_wanted(move |interrupt| {
        Ok(state.0.store.aggregate(&AggregateQuery { interrupt, ..query })?)
    })
    .await
    .map(Json)
}

/// How many spans took how long, over time.
#[utoipa::path(get, path = "/api/v1/heatmap", params(HeatMapParams), tag = "query", responses(
    (status = 200, body = HeatMap), (status = 400, body = ErrorBody),
    (status = 422, body = ErrorBody)))]
pub(crate) async fn heat_map(
    State(state): State<ApiState>,
    params: Result<Query<HeatMapParams>, QueryRejection>,
) -> Result<Json<HeatMap>, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let (from_ns, to_ns) = range(params.from.as_deref(), params.to.as_deref(), DEFAULT_RANGE_NS)?;
    let query = HeatMapQuery {
        from_ns,
        to_ns,
        filter: filter(params.q.as_deref())?,
        of: params.of,
        points: bounded("points", params.points.unwrap_or(DEFAULT_COLUMNS), 1, MOST_POINTS)?,
        rows: bounded("rows", params.rows.unwrap_or(DEFAULT_ROWS), 1, MOST_ROWS)?,
        interrupt: Interrupt::default(),
    };
    ask_while_wanted(move |interrupt| {
        Ok(state.0.store.heat_map(&HeatMapQuery { interrupt, ..query })?)
    })
    .await
    .map(Json)
}

pub(crate) fn range(
    from: Option<&str>,
    to: Option<&str>,
    default_ns: u64,
) -> Result<(UnixNanos, UnixNanos), ApiError> {
    let to_ns = time_param("to", to)?.unwrap_or_else(Span::now_ns);
    let from_ns = time_param("from", from)?;
    let from_ns = from_ns.unwrap_or_else(|| to_ns.saturating_sub(default_ns));
    if from_ns > to_ns {
        return Err(ApiError::BadRequest("from: it is after to".to_owned()));
    }
    Ok((from_ns, to_ns))
}

fn filter(text: Option<&str>) -> Result<Filter, ApiError> {
    Filter::parse(text.unwrap_or_default())
        .map_err(|error| ApiError::BadRequest(format!("q: {error}")))
}

fn dimensions(text: &str) -> Result<Vec<Dimension>, ApiError> {
    let names: Vec<_> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.len() > MOST_DIMENSIONS {
        let message = format!("by: at most {MOST_DIMENSIONS} at a time");
        return Err(ApiError::BadRequest(message));
    }
    let dimension = |name: &str| {
        let named: Result<_, serde::de::value::Error> =
            Dimension::deserialize(name.into_deserializer());
        named.map_err(|error| ApiError::BadRequest(format!("by: {error}")))
    };
    names.into_iter().map(dimension).collect()
}

pub(crate) fn bounded(
    name: &str,
    value: usize,
    least: usize,
    most: usize,
) -> Result<usize, ApiError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(ApiError::BadRequest(format!("{name}: {value} is not from {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_named() {
        assert_eq!(dimensions("model, cause").unwrap(), [Dimension::Model, Dimension::Cause]);
        assert!(dimensions("").unwrap().is_empty());
        let error = dimensions("modell").unwrap_err().to_string();
        assert!(error.contains("modell") && error.contains("`model`"), "{error}");
        assert!(dimensions("model,cause,service").is_err());
        assert!(bounded("top", 51, 1, 50).unwrap_err().to_string().contains("51"));
        assert!(range(Some("2"), Some("1"), 1).is_err());
        assert_eq!(range(Some("1"), Some("2"), 1).unwrap(), (1, 2));
    }
}
