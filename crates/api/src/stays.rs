//! From when to when each model was in memory, and why it left.

use std::collections::BTreeMap;

use andon_model::{ModelEvent, ModelEventKind, UnixNanos, UnloadReason};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};

use crate::{
    ApiState,
    aggregate::range,
    error::{ApiError, ErrorBody, ask},
};

const DEFAULT_RANGE_NS: u64 = 15 * 60 * 1_000_000_000;
/// A model that stays is told of once an hour: one that was not for longer than that has left unseen.
const TOLD_WITHIN_NS: u64 = 65 * 60 * 1_000_000_000;
const MOST_STAYS: usize = 2_000;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StaysParams {
    /// Stays that end at this time or later: UTC nanoseconds or RFC 3339; a quarter of an hour before
    /// `to`.
    from: Option<String>,
    /// Stays that begin before this; now.
    to: Option<String>,
}

/// A time that a model was in memory without a break.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct ModelStay {
    /// By the name that the runtime's spans have as their service.
    runtime: String,
    model: String,
    /// When it was first seen there. It may have been there before, if nobody saw it come.
    #[schema(value_type = u64)]
    from_ns: UnixNanos,
    was_seen_to_come: bool,
    /// When it was seen to be gone, or last seen; `None`: it is there.
    #[schema(value_type = Option<u64>)]
    to_ns: Option<UnixNanos>,
    was_seen_to_go: bool,
    reason: Option<UnloadReason>,
    /// The model that was loaded instead.
    other_model: Option<String>,
    memory_bytes: Option<u64>,
    /// Of the GPU's among it.
    gpu_bytes: Option<u64>,
    context_length: Option<u64>,
    /// When it leaves if nobody asks it, as it was told last.
    #[schema(value_type = Option<u64>)]
    expires_ns: Option<UnixNanos>,
    #[serde(skip)]
    told_ns: UnixNanos,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ModelStays {
    #[schema(value_type = u64)]
    from_ns: UnixNanos,
    #[schema(value_type = u64)]
    to_ns: UnixNanos,
    /// By runtime and model, then by time.
    stays: Vec<ModelStay>,
    /// There were more, of which these are the newest.
    is_partial: bool,
}

/// From when to when each model was in its runtime's memory. Runtimes are asked every five seconds: what
/// came and went in between is not among them.
#[utoipa::path(get, path = "/api/v1/models/stays", params(StaysParams), tag = "machine", responses(
    (status = 200, body = ModelStays), (status = 400, body = ErrorBody)))]
pub(crate) async fn stays(
    State(state): State<ApiState>,
    params: Result<Query<StaysParams>, QueryRejection>,
) -> Result<Json<ModelStays>, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let (from_ns, to_ns) = range(params.from.as_deref(), params.to.as_deref(), DEFAULT_RANGE_NS)?;
    ask(move || {
        let told_from_ns = from_ns.saturating_sub(TOLD_WITHIN_NS);
        let events = state.0.store.model_events(told_from_ns, to_ns)?;
        let mut stays = of_events(events, to_ns);
        for stay in stays.iter_mut().filter(|stay| stay.to_ns.is_none()) {
            stay.expires_ns = expires_ns(&state, stay).or(stay.expires_ns);
        }
        stays.retain(|stay| stay.to_ns.is_none_or(|gone| gone >= from_ns));
        let is_partial = stays.len() > MOST_STAYS;
        if is_partial {
            stays.sort_by_key(|stay| std::cmp::Reverse(stay.from_ns));
            stays.truncate(MOST_STAYS);
        }
        stays.sort_by(|one, other| {
            let key = |stay: &ModelStay| (stay.runtime.clone(), stay.model.clone(), stay.from_ns);
            key(one).cmp(&key(other))
        });
        Ok(Json(ModelStays { from_ns, to_ns, stays, is_partial }))
    })
    .await
}

/// Until when a model is kept now: each call puts it off, of which no event tells.
fn expires_ns(state: &ApiState, stay: &ModelStay) -> Option<UnixNanos> {
    let models = state.runtime(&stay.runtime)?.0.models();
    models.iter().find(|model| model.loaded && model.name == stay.model)?.expires_ns
}

/// `events` in the order of time, until `to_ns`.
fn of_events(events: Vec<ModelEvent>, to_ns: UnixNanos) -> Vec<ModelStay> {
    let mut open: BTreeMap<(String, String), ModelStay> = BTreeMap::new();
    let mut over = Vec::new();
    for event in events {
        let key = (event.runtime.clone(), event.model.clone());
        if let Some(stay) = open.remove(&key) {
            let was_silent = event.time_ns.saturating_sub(stay.told_ns) > TOLD_WITHIN_NS;
            match event.kind {
                _ if was_silent => over.push(stay.last_seen()),
                ModelEventKind::Held => {
                    open.insert(key, stay.told_again(&event));
                    continue;
                }
                ModelEventKind::Loaded | ModelEventKind::Unloaded => over.push(stay.ended(&event)),
            }
        }
        if event.kind != ModelEventKind::Unloaded {
            open.insert(key, ModelStay::begun(event));
        }
    }
    let still = |stay: ModelStay| match to_ns.saturating_sub(stay.told_ns) > TOLD_WITHIN_NS {
        true => stay.last_seen(),
        false => stay,
    };
    over.extend(open.into_values().map(still));
    over
}

impl ModelStay {
    fn begun(event: ModelEvent) -> Self {
        Self {
            from_ns: event.time_ns,
            was_seen_to_come: event.kind == ModelEventKind::Loaded,
            to_ns: None,
            was_seen_to_go: false,
            reason: None,
            other_model: None,
            memory_bytes: event.memory_bytes,
            gpu_bytes: event.gpu_bytes,
            context_length: event.context_length,
            expires_ns: event.expires_ns,
            told_ns: event.time_ns,
            runtime: event.runtime,
            model: event.model,
        }
    }

    fn told_again(self, event: &ModelEvent) -> Self {
        Self { told_ns: event.time_ns, expires_ns: event.expires_ns, ..self }
    }

    /// By being let go, or by being loaded anew.
    fn ended(self, event: &ModelEvent) -> Self {
        let (to_ns, other_model) = (Some(event.time_ns), event.other_model.clone());
        Self { to_ns, was_seen_to_go: true, reason: event.reason, other_model, ..self }
    }

    fn last_seen(self) -> Self {
        Self { to_ns: Some(self.told_ns), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    fn event(kind: ModelEventKind, minute: u64) -> ModelEvent {
        let reason = (kind == ModelEventKind::Unloaded).then_some(UnloadReason::Expired);
        ModelEvent {
            time_ns: minute * MINUTE,
            runtime: "ollama".to_owned(),
            model: "m".to_owned(),
            kind,
            reason,
            ..ModelEvent::default()
        }
    }

    /// From and to in minutes, and whether either was seen.
    fn read(events: Vec<ModelEvent>, to: u64) -> Vec<(u64, bool, Option<u64>, bool)> {
        of_events(events, to * MINUTE)
            .into_iter()
            .map(|stay| {
                let to = stay.to_ns.map(|to| to / MINUTE);
                assert_eq!(stay.reason.is_some(), stay.was_seen_to_go);
                (stay.from_ns / MINUTE, stay.was_seen_to_come, to, stay.was_seen_to_go)
            })
            .collect()
    }

    #[test]
    fn a_stay_is_from_what_was_seen_to_what_was_seen() {
        use ModelEventKind::{Held, Loaded, Unloaded};
        let events =
            vec![event(Loaded, 10), event(Held, 70), event(Unloaded, 75), event(Loaded, 80)];
        assert_eq!(read(events, 100), [(10, true, Some(75), true), (80, true, None, false)]);
        assert_eq!(read(vec![event(Held, 5)], 60), [(5, false, None, false)]);
        // Andon was not there when it left.
        assert_eq!(
            read(vec![event(Loaded, 5), event(Held, 200)], 300),
            [(5, true, Some(5), false), (200, false, Some(200), false)]
        );
        assert_eq!(read(vec![event(Unloaded, 5)], 60), []);
    }
}
