//! llama.cpp behind Ollama's API, as a process of its own.
//!
//! A model that is killed or eats the memory takes this process with it and nothing else. The
//! crate knows nothing of the rest of Andon: whoever starts it speaks HTTP to it, as to any
//! Ollama.
//!
//! The way of a request: `server` reads and checks it, `library` finds the model, `engine` queues
//! and computes it on its one thread, through `template` (messages to text), `llama` (the door to
//! C, the only unsafe code), `sampler` (the next token), `stop` and `thinking` (what may be
//! shown), and back to `server` as events.

mod card;
mod checksum;
mod clock;
mod engine;
mod failure;
mod fields;
mod gguf;
mod keep_alive;
mod library;
mod llama;
mod options;
mod parent;
mod sampler;
mod server;
mod stop;
mod template;
mod thinking;
mod threads;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;

pub use keep_alive::KeepAlive;

/// Operations a second of llama.cpp's own product of matrices on this machine, weights in 8 bits, at
/// most; a multiplication with its addition counts as two. Takes `time` and the cores meanwhile. `None`
/// where the CPU lacks what the library was compiled for, or there is no memory.
pub fn operations_per_s(threads: u32, time: Duration) -> Option<f64> {
    if llama::missing_cpu_feature().is_some() {
        return None;
    }
    llama::init_backend();
    llama::fastest_product(threads, time)
}

/// What the runtime is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    /// Take any free port where `listen` is taken.
    pub fallback_any_port: bool,
    /// GGUF files, or folders of them.
    pub models: Vec<PathBuf>,
    /// Root of Ollama's own store; only read.
    pub ollama_models: Option<PathBuf>,
    /// Folders of card files (`*.toml`), which come before the built-in cards.
    pub cards: Vec<PathBuf>,
    /// Answers requests that name no model.
    pub default_model: Option<String>,
    /// Names that the first model answers for where there is no such model; its answers then name
    /// it as what it is.
    pub stand_ins: Vec<String>,
    /// Tokens a context holds where the request does not say.
    pub context_length: u32,
    pub keep_alive: KeepAlive,
    /// At most so many threads; the number in use follows what the machine has free.
    pub max_threads: Option<u32>,
    /// Requests that may wait.
    pub max_queue: usize,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Exit at once when standard input ends: the parent holds the other end, and it closes
    /// however the parent dies.
    pub exit_on_stdin_eof: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 11434)),
            fallback_any_port: false,
            models: Vec::new(),
            ollama_models: None,
            cards: Vec::new(),
            default_model: None,
            stand_ins: Vec::new(),
            context_length: 4096,
            keep_alive: KeepAlive::For(Duration::from_secs(300)),
            max_threads: None,
            max_queue: 512,
            max_body_bytes: 1024 * 1024,
            exit_on_stdin_eof: false,
        }
    }
}

/// Why the runtime cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    #[error("the server failed: {0}")]
    Serve(#[source] io::Error),
    #[error("this CPU lacks {0}, which this build of the runtime needs")]
    Cpu(&'static str),
}

/// Listens and answers until the process is asked to end (SIGTERM, Ctrl-C). `on_listening` hears
/// the address once connections are taken; nothing is loaded or read before that.
pub async fn serve(
    config: Config,
    on_listening: impl FnOnce(SocketAddr),
) -> Result<(), RuntimeError> {
    if let Some(feature) = llama::missing_cpu_feature() {
        return Err(RuntimeError::Cpu(feature));
    }
    if config.exit_on_stdin_eof {
        parent::exit_with_parent().map_err(RuntimeError::Thread)?;
    }
    let listener = bind(config.listen, config.fallback_any_port).await?;
    let address = listener.local_addr().map_err(RuntimeError::Serve)?;
    let library = Arc::new(library::Library::new(
        config.models.clone(),
        config.ollama_models.clone(),
        &config.cards,
        &config.stand_ins,
    ));
    let engine_config = engine::EngineConfig {
        context_length: config.context_length,
        keep_alive: config.keep_alive,
        max_threads: config.max_threads,
        max_queue: config.max_queue,
    };
    let engine =
        engine::Engine::start(engine_config, Arc::clone(&library)).map_err(RuntimeError::Thread)?;
    library::start_digesting(Arc::clone(&library), engine.clone()).map_err(RuntimeError::Thread)?;
    let router = server::router(&config, address, engine.clone(), library);
    on_listening(address);
    let listener = listener.tap_io(|stream| {
        // A token is a small packet; Nagle's algorithm would hold it back.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    let stopping = engine.clone();
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            parent::asked_to_end().await;
            stopping.stop();
        })
        .await
        .map_err(RuntimeError::Serve)
}

async fn bind(address: SocketAddr, fallback: bool) -> Result<TcpListener, RuntimeError> {
    let failed = |source| RuntimeError::Listen { address, source };
    match TcpListener::bind(address).await {
        Err(error) if fallback && error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await.map_err(failed)
        }
        result => result.map_err(failed),
    }
}
