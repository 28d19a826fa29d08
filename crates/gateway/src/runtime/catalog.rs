//! What is known of a runtime's models and work; kept fresh in the background, so that a call need
//! not ask.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    DiscoveredModel, HttpClient, RuntimeInfo, RuntimeKind, RuntimeLoad, RuntimeState,
    RuntimeTarget, find, list_models,
    models::{Shown, is_loaded},
};
use crate::error::ChatError;

const REFRESH: Duration = Duration::from_secs(5);
/// Models that are asked for by name at one look.
const SHOWN_AT_A_LOOK: usize = 16;
/// Models that are gone and still remembered.
const MOST_FORGOTTEN: usize = 64;

/// The list of models, as fresh as the last look.
#[derive(Clone)]
pub struct RuntimeCatalog {
    client: HttpClient,
    target: RuntimeTarget,
    models: watch::Sender<Arc<Vec<DiscoveredModel>>>,
    load: watch::Sender<RuntimeLoad>,
    /// By digest. Asked once for each model.
    shown: Arc<Mutex<HashMap<String, Shown>>>,
}

/// Which model answers a question for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) model: String,
    pub(crate) digest: Option<String>,
    pub(crate) context_length: Option<u64>,
    pub(crate) note: Option<String>,
}

impl RuntimeCatalog {
    pub fn new(client: HttpClient, target: RuntimeTarget) -> Self {
        Self {
            client,
            target,
            models: watch::Sender::default(),
            load: watch::Sender::default(),
            shown: Arc::default(),
        }
    }

    pub fn target(&self) -> &RuntimeTarget {
        &self.target
    }

    /// As last seen.
    pub fn models(&self) -> Arc<Vec<DiscoveredModel>> {
        self.models.borrow().clone()
    }

    /// Hears of each look, also of one that found nothing new.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Vec<DiscoveredModel>>> {
        self.models.subscribe()
    }

    /// How busy the runtime said it was when it was last asked.
    pub fn load(&self) -> RuntimeLoad {
        self.load.borrow().clone()
    }

    /// Looks now.
    pub async fn refresh(&self) -> Result<Arc<Vec<DiscoveredModel>>, ChatError> {
        let RuntimeState { ready: Some(runtime), .. } = self.target.state() else {
            self.models.send_replace(Arc::default());
            self.load.send_replace(RuntimeLoad::default());
            return Ok(Arc::default());
        };
        let mut models = list_models(&self.client, &runtime).await?;
        if runtime.kind == RuntimeKind::Ollama {
            self.complete(&runtime, &mut models).await;
        }
        let models = Arc::new(models);
        self.models.send_replace(Arc::clone(&models));
        Ok(models)
    }

    /// Fills in what the list did not say. A few models at a look: each costs a call.
    async fn complete(&self, runtime: &RuntimeInfo, models: &mut [DiscoveredModel]) {
        let mut asked = 0;
        for model in models.iter_mut().filter(|model| model.context_length.is_none()) {
            let Some(digest) = model.digest.clone() else { continue };
            let known = self.shown().get(&digest).cloned();
            let shown = match known {
                Some(shown) => shown,
                None if asked == SHOWN_AT_A_LOOK => continue,
                None => {
                    asked += 1;
                    let shown = Shown::ask(&self.client, runtime, &model.name).await;
                    self.shown().insert(digest, shown.clone());
                    shown
                }
            };
            shown.complete(model);
        }
        let mut shown = self.shown();
        if shown.len() > models.len() + MOST_FORGOTTEN {
            shown.retain(|digest, _| models.iter().any(|it| it.digest.as_ref() == Some(digest)));
        }
    }

    fn shown(&self) -> MutexGuard<'_, HashMap<String, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refresh_load(&self) {
        if let Some(runtime) = self.target.state().ready {
            self.load.send_replace(RuntimeLoad::ask(&self.client, &runtime).await);
        }
    }

    /// Keeps the list fresh for as long as it is polled.
    pub async fn keep_fresh(self) {
        let mut state = self.target.subscribe();
        loop {
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "cannot list models");
            }
            self.refresh_load().await;
            tokio::select! {
                changed = state.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    }

    /// The model that will answer for `requested`. One that was `chosen` by the user is never
    /// replaced; a route's own is, where the runtime has just a default.
    pub(crate) async fn resolve(&self, requested: &str, chosen: bool) -> Resolved {
        let mut models = self.models();
        if models.is_empty() {
            models = self.refresh().await.unwrap_or_default();
        }
        let there = find(&models, requested);
        let default = models.iter().find(|model| model.default).filter(|_| !chosen);
        let Some(model) = there.or(default) else {
            return Resolved {
                model: requested.to_owned(),
                digest: None,
                context_length: None,
                note: None,
            };
        };
        Resolved {
            model: model.name.clone(),
            digest: model.digest.clone(),
            context_length: model.context_length,
            note: there.is_none().then(|| {
                format!("{requested} is not on this machine; {} answered instead", model.name)
            }),
        }
    }

    /// The model that answers on a route of `requested`, and what to say about it.
    pub async fn answers_for(&self, requested: &str) -> (String, Option<String>) {
        let resolved = self.resolve(requested, false).await;
        (resolved.model, resolved.note)
    }

    /// Whether the runtime holds `model` in memory, asked now.
    pub(crate) async fn is_loaded(&self, runtime: &RuntimeInfo, model: &str) -> Option<bool> {
        is_loaded(&self.client, runtime, model).await
    }
}
