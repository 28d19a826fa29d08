//! Models that are to stay in memory. A runtime keeps an idle one for as long as the last call to it
//! said, so asking once holds until the next call: what a person wants kept is asked for again before
//! its time is up, with the empty call that loads a model
//! (<https://github.com/ollama/ollama/blob/main/docs/api.md#load-a-model>).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use andon_model::{Span, UnixNanos};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;

use super::{
    DiscoveredModel, Hours, HttpClient, RuntimeCatalog, RuntimeInfo, RuntimeKind, SendError,
    WrittenHours, client::post_json, find,
};

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What a kept model is asked for each time, and how long before its end again.
const HELD_FOR: Duration = Duration::from_secs(600);
const AGAIN_BEFORE_NS: u64 = 120_000_000_000;
/// Asked for no time at all it would go at once, and what is less than a second is no time.
const SHORTEST_HELD: Duration = Duration::from_secs(1);
/// A runtime counts from when it was asked, and in whole seconds.
const NEARLY_NS: u64 = 2_000_000_000;
/// Loading a large model from a slow disk takes minutes.
const LOAD_LIMIT: Duration = Duration::from_secs(600);
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(60);
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Models that can be kept at once.
pub const MOST_KEPT: usize = 32;

/// A model of a runtime, by the name that the runtime's spans have as their service.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, utoipa::IntoParams,
)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ModelOf {
    pub runtime: String,
    pub model: String,
}

/// A model that somebody wants kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToKeep {
    pub runtime: String,
    pub model: String,
    /// When; nothing said: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WrittenHours>)]
    pub hours: Option<Hours>,
}

/// How keeping a model goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeptState {
    /// In memory.
    Held,
    Loading,
    /// Another model has the memory; it is not pushed out.
    Waiting,
    /// The runtime, or the model, is not there.
    Missing,
    /// It is not its hour: the model goes when its time is up.
    Resting,
    Failed,
}

/// A model that is to stay in memory.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Kept {
    #[serde(flatten)]
    pub of: ModelOf,
    /// When it is kept; `None`: always.
    #[schema(value_type = Option<WrittenHours>)]
    pub hours: Option<Hours>,
    pub state: KeptState,
    /// Which other model it waits for, or why it failed.
    pub message: Option<String>,
    #[serde(skip)]
    not_before: Option<Instant>,
}

/// Why a model could not be loaded or let go.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("no runtime named {0} answers")]
    NoRuntime(String),
    #[error("{runtime} has no model {model}")]
    NoModel { runtime: String, model: String },
    #[error("{0} holds what it was started with; it loads and unloads no model when asked")]
    Unsupported(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0} gave no answer within {limit} s", limit = LOAD_LIMIT.as_secs())]
    TooLong(String),
}

/// Keeps models in memory. Clones share one list.
#[derive(Clone)]
pub struct ModelKeeper {
    client: HttpClient,
    catalogs: Arc<[RuntimeCatalog]>,
    kept: Arc<Mutex<Vec<Kept>>>,
    changed: Arc<Notify>,
}

impl ModelKeeper {
    pub fn new(client: HttpClient, catalogs: Vec<RuntimeCatalog>) -> Self {
        Self { client, catalogs: catalogs.into(), kept: Arc::default(), changed: Arc::default() }
    }

    pub fn kept(&self) -> Vec<Kept> {
        self.lock().clone()
    }

    /// Replaces the list; beyond [`MOST_KEPT`] the rest is ignored.
    pub fn keep(&self, models: Vec<ToKeep>) {
        let mut kept = self.lock();
        let known = std::mem::take(&mut *kept);
        kept.extend(models.into_iter().take(MOST_KEPT).map(|ToKeep { runtime, model, hours }| {
            let of = ModelOf { runtime, model };
            let same = known.iter().find(|known| known.of == of && known.hours == hours);
            same.cloned().unwrap_or(Kept {
                of,
                hours,
                state: KeptState::Loading,
                message: None,
                not_before: None,
            })
        }));
        drop(kept);
        self.changed.notify_one();
    }

    /// Looks after the models for as long as it is polled.
    pub async fn run(self) {
        loop {
            for Kept { of, hours, not_before, .. } in self.kept() {
                if hours.as_ref().is_some_and(|hours| !hours.hold(Span::now_ns())) {
                    self.note(&of, KeptState::Resting, None);
                    continue;
                }
                if not_before.is_some_and(|at| at > Instant::now()) {
                    continue;
                }
                let until_ns = hours.and_then(|hours| hours.end(Span::now_ns()));
                let (state, message) = self.look_after(&of, until_ns).await;
                self.note(&of, state, message);
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// `until_ns`: the end of its hours.
    async fn look_after(
        &self,
        of: &ModelOf,
        until_ns: Option<UnixNanos>,
    ) -> (KeptState, Option<String>) {
        let now_ns = Span::now_ns();
        let needed = match self.find(of) {
            Ok((catalog, runtime)) => {
                let models = catalog.models();
                need(&models, find(&models, &of.model), now_ns, until_ns)
                    .map(|need| (catalog, runtime, need))
            }
            Err(error @ KeepError::Unsupported(_)) => {
                return (KeptState::Failed, Some(error.to_string()));
            }
            Err(error) => return (KeptState::Missing, Some(error.to_string())),
        };
        let (catalog, runtime, need) = match needed {
            Some(needed) => needed,
            None => return (KeptState::Held, None),
        };
        match need {
            Need::Wait(other) => return (KeptState::Waiting, Some(other)),
            Need::Load => self.note(of, KeptState::Loading, None),
            Need::Hold => {}
        }
        let left = until_ns.map(|until| Duration::from_nanos(until.saturating_sub(now_ns)));
        let held = left.map_or(HELD_FOR, |left| HELD_FOR.min(left.max(SHORTEST_HELD)));
        match self.ask(catalog, &runtime, &of.model, held).await {
            Ok(()) => (KeptState::Held, None),
            Err(error) => (KeptState::Failed, Some(error.to_string())),
        }
    }

    fn note(&self, of: &ModelOf, state: KeptState, message: Option<String>) {
        // It may have been taken off the list meanwhile.
        if let Some(kept) = self.lock().iter_mut().find(|kept| kept.of == *of) {
            let failed = state == KeptState::Failed;
            kept.not_before = failed.then(|| Instant::now() + AGAIN_AFTER_FAILURE);
            (kept.state, kept.message) = (state, message);
        }
    }

    /// Loads a model, for as long as the runtime keeps an idle one.
    ///
    /// # Errors
    /// Where the runtime is not there, loads nothing when asked, or refuses.
    pub async fn load(&self, of: &ModelOf) -> Result<(), KeepError> {
        let (catalog, runtime) = self.find(of)?;
        self.post(catalog, &runtime, json!({"model": of.model, "stream": false})).await
    }

    /// Lets a model go.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn unload(&self, of: &ModelOf) -> Result<(), KeepError> {
        let (catalog, runtime) = self.find(of)?;
        self.ask(catalog, &runtime, &of.model, Duration::ZERO).await
    }

    /// The runtime, if it loads models when asked and has this one.
    fn find(&self, of: &ModelOf) -> Result<(&RuntimeCatalog, RuntimeInfo), KeepError> {
        let ready = |catalog: &RuntimeCatalog| catalog.target().state().ready;
        let named = self.catalogs.iter().find_map(|catalog| {
            ready(catalog).filter(|info| info.name == of.runtime).map(|info| (catalog, info))
        });
        let (catalog, info) = named.ok_or_else(|| KeepError::NoRuntime(of.runtime.clone()))?;
        if info.kind == RuntimeKind::Openai {
            return Err(KeepError::Unsupported(of.runtime.clone()));
        }
        if find(&catalog.models(), &of.model).is_none() {
            let ModelOf { runtime, model } = of.clone();
            return Err(KeepError::NoModel { runtime, model });
        }
        Ok((catalog, info))
    }

    async fn ask(
        &self,
        catalog: &RuntimeCatalog,
        runtime: &RuntimeInfo,
        model: &str,
        keep_alive: Duration,
    ) -> Result<(), KeepError> {
        let keep_alive = format!("{}s", keep_alive.as_secs());
        let body = json!({"model": model, "stream": false, "keep_alive": keep_alive});
        self.post(catalog, runtime, body).await
    }

    async fn post(
        &self,
        catalog: &RuntimeCatalog,
        runtime: &RuntimeInfo,
        body: serde_json::Value,
    ) -> Result<(), KeepError> {
        let asked =
            post_json(&self.client, &runtime.authority, "/api/generate", &body, MAX_ANSWER_BYTES);
        let answer = tokio::time::timeout(LOAD_LIMIT, asked)
            .await
            .map_err(|_| KeepError::TooLong(runtime.name.clone()))?;
        answer.map_err(|error: SendError| KeepError::Refused(error.to_string()))?;
        // Whoever looks now finds what has become of it.
        let _ = catalog.refresh().await;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has to be done so that a model stays.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    Load,
    Hold,
    /// For this other one to leave memory.
    Wait(String),
}

/// `None`: it stays by itself for now.
fn need(
    models: &[DiscoveredModel],
    model: Option<&DiscoveredModel>,
    now_ns: UnixNanos,
    until_ns: Option<UnixNanos>,
) -> Option<Need> {
    let model = model?;
    if model.loaded {
        let ends = model.expires_ns?;
        let is_soon = ends < now_ns.saturating_add(AGAIN_BEFORE_NS);
        let is_early = until_ns.is_none_or(|until| ends.saturating_add(NEARLY_NS) < until);
        return (is_soon && is_early).then_some(Need::Hold);
    }
    // Loading it could push out what somebody uses, who would have it loaded again, and so on.
    let other = models.iter().find(|other| other.loaded);
    Some(other.map_or(Need::Load, |other| Need::Wait(other.name.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn model(name: &str, loaded: bool, expires_ns: Option<u64>) -> DiscoveredModel {
        DiscoveredModel { name: name.to_owned(), loaded, expires_ns, ..DiscoveredModel::default() }
    }

    #[test]
    fn a_model_is_asked_for_again_before_its_time_is_up_and_pushes_nobody_out() {
        let now = 1_000 * S;
        let needed = |models: &[DiscoveredModel]| need(models, models.first(), now, None);
        assert_eq!(needed(&[model("m", true, Some(now + 300 * S))]), None);
        assert_eq!(needed(&[model("m", true, Some(now + 60 * S))]), Some(Need::Hold));
        assert_eq!(needed(&[model("m", true, Some(now - S))]), Some(Need::Hold));
        assert_eq!(needed(&[model("m", true, None)]), None, "for ever");
        assert_eq!(needed(&[model("m", false, None)]), Some(Need::Load));
        let beside = [model("m", false, None), model("other", true, Some(now + S))];
        assert_eq!(needed(&beside), Some(Need::Wait("other".to_owned())));
        assert_eq!(needed(&[]), None);
        // It is to go with the end of its hours, and goes by itself.
        let going = [model("m", true, Some(now + 60 * S))];
        assert_eq!(need(&going, going.first(), now, Some(now + 61 * S)), None);
        let until = Some(now + 70 * S);
        assert_eq!(need(&going, going.first(), now, until), Some(Need::Hold));
    }

    #[tokio::test]
    async fn what_is_not_there_is_named() {
        let keeper = ModelKeeper::new(super::super::http_client(), Vec::new());
        let of = ModelOf { runtime: "ollama".to_owned(), model: "m".to_owned() };
        let error = keeper.load(&of).await.unwrap_err();
        assert_eq!(error.to_string(), "no runtime named ollama answers");
        let ModelOf { runtime, model } = of.clone();
        keeper.keep(vec![ToKeep { runtime, model, hours: None }; MOST_KEPT + 1]);
        assert_eq!(keeper.kept().len(), MOST_KEPT);
        let (state, message) = keeper.look_after(&of, None).await;
        assert_eq!(
            (state, message.as_deref()),
            (KeptState::Missing, Some("no runtime named ollama answers"))
        );
    }
}
