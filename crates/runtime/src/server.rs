//! The HTTP face: Ollama's API and OpenAI's.

mod body;
mod embeddings;
mod guard;
mod listing;
mod native;
mod openai;
mod progress;
mod reply;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::StatusCode;

use crate::Config;
use crate::engine::{Engine, JobRequest, Tell, Work};
use crate::failure::Failure;
use crate::keep_alive::KeepAlive;
use crate::library::{Library, ModelEntry};
use crate::options::Options;

/// Time a request's body may take to come in.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    engine: Engine,
    library: Arc<Library>,
    default_model: Option<Arc<str>>,
    max_body: usize,
}

impl Shared {
    /// The model of a request; without a name the default one.
    async fn model(&self, name: Option<&str>) -> Result<Arc<ModelEntry>, Failure> {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        let name = name.or(self.default_model.as_deref()).ok_or(Failure::ModelMissing)?;
        if let Some(entry) = self.library.find_known(name) {
            return Ok(entry);
        }
        // Looks through folders and reads heads of files: not on the threads that serve.
        let library = Arc::clone(&self.library);
        let wanted = name.to_owned();
        let found = tokio::task::spawn_blocking(move || library.find(&wanted)).await;
        found.ok().flatten().ok_or_else(|| Failure::ModelNotFound(shortened(name)))
    }

    fn submit(&self, call: Call, work: Work) -> Result<crate::engine::Running, Failure> {
        let Call { model, options, keep_alive, tell, received, .. } = call;
        let options = options.or(&model.options);
        self.engine.submit(JobRequest { model, work, options, keep_alive, tell, received })
    }
}

/// What a reply calls the model: as the caller spelled it, but a stand-in says who it is.
fn reply_name(model: &ModelEntry, asked: Option<&str>) -> String {
    let own = asked.filter(|name| !name.is_empty() && !model.is_stand_in_for(name));
    own.map_or(model.name.clone(), shortened)
}

/// What every call to a model has.
#[derive(Debug, Clone)]
struct Call {
    model: Arc<ModelEntry>,
    /// As the caller wrote it; replies echo it.
    model_name: String,
    options: Options,
    keep_alive: Option<KeepAlive>,
    tell: Tell,
    received: Instant,
}

/// All routes.
pub(crate) fn router(
    config: &Config,
    address: SocketAddr,
    engine: Engine,
    library: Arc<Library>,
) -> Router {
    let shared = Shared {
        engine,
        library,
        default_model: config.default_model.as_deref().map(Arc::from),
        max_body: config.max_body_bytes,
    };
    let mut router = Router::new()
        .route("/", get(|| async { "Ollama is running" }))
        .route("/healthz", get(|| async { "ok" }))
        .route("/api/version", get(listing::version))
        .route("/api/tags", get(listing::tags))
        .route("/api/ps", get(listing::ps))
        .route("/api/show", post(listing::show))
        .route("/api/generate", post(native::generate))
        .route("/api/chat", post(native::chat))
        .route("/api/embed", post(embeddings::embed))
        .route("/api/embeddings", post(embeddings::embeddings_old))
        .route("/api/andon/progress", get(progress::follow))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::completions))
        .route("/v1/embeddings", post(embeddings::openai))
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{*id}", get(openai::model));
    for (path, what) in [
        ("/api/pull", "pulling models"),
        ("/api/push", "pushing models"),
        ("/api/create", "creating models"),
        ("/api/delete", "deleting models"),
        ("/api/copy", "copying models"),
        ("/api/blobs/{digest}", "uploading blobs"),
    ] {
        router = router.route(
            path,
            any(move || async move { reply::native_error(&Failure::NotImplemented(what)) }),
        );
    }
    for (path, what) in [("/v1/responses", "this endpoint"), ("/v1/messages", "this endpoint")] {
        router = router.route(
            path,
            any(move || async move { reply::openai_error(&Failure::NotImplemented(what)) }),
        );
    }
    router
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found") })
        .method_not_allowed_fallback(|| async {
            (StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed")
        })
        .layer(middleware::from_fn(move |request: Request, next: middleware::Next| async move {
            if guard::allows(address.ip(), request.headers()) {
                next.run(request).await
            } else {
                StatusCode::FORBIDDEN.into_response()
            }
        }))
        .with_state(shared)
}

/// Names go into error texts; a long one is cut.
fn shortened(name: &str) -> String {
    name.chars().take(200).collect()
}

/// One error type for handlers that speak Ollama's dialect.
type NativeResult = Result<Response, Failure>;
