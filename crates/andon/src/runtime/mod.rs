//! Which runtime Andon uses: finding one that runs, or starting its own and keeping it alive.

mod child;
mod external;
mod memory;
mod processes;
pub(crate) mod role;

use andon_gateway::{HttpClient, RuntimeInfo, RuntimeState, RuntimeTarget, detect};
pub(crate) use memory::keep_memory;
pub(crate) use processes::{keep_known, server_of};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, FurtherRuntime, RuntimeChoice};

/// Where runtimes usually listen: Ollama, llama-server, vLLM, LM Studio.
pub(crate) const USUAL: [&str; 4] =
    ["127.0.0.1:11434", "127.0.0.1:8080", "127.0.0.1:8000", "127.0.0.1:1234"];

/// Starts watching. The target is known at once; who answers there is known a little later.
pub(crate) fn start(config: &Config, client: HttpClient, stop: CancellationToken) -> RuntimeTarget {
    let (state, receiver) = unknown_yet();
    let config = config.clone();
    tokio::spawn(async move {
        match choose(&config, &client).await {
            Chosen::Running(info) => {
                let authority = info.authority.clone();
                external::watch(&authority, None, Some(info), client, state, stop).await;
            }
            Chosen::At(authority) => {
                external::watch(&authority, None, None, client, state, stop).await;
            }
            Chosen::Builtin => child::keep(&config, &client, state, stop).await,
        }
    });
    RuntimeTarget::new(receiver)
}

/// Watches a runtime beside the main one.
pub(crate) fn follow(
    runtime: FurtherRuntime,
    client: HttpClient,
    stop: CancellationToken,
) -> RuntimeTarget {
    let (state, receiver) = unknown_yet();
    tokio::spawn(async move {
        let FurtherRuntime { name, authority } = runtime;
        external::watch(&authority, Some(&name), None, client, state, stop).await;
    });
    RuntimeTarget::new(receiver)
}

fn unknown_yet() -> (watch::Sender<RuntimeState>, watch::Receiver<RuntimeState>) {
    watch::channel(RuntimeState {
        starting: true,
        reason: Some("looking for a runtime".to_owned()),
        ..RuntimeState::default()
    })
}

enum Chosen {
    Running(RuntimeInfo),
    At(String),
    Builtin,
}

async fn choose(config: &Config, client: &HttpClient) -> Chosen {
    match &config.runtime {
        RuntimeChoice::At(authority) => Chosen::At(authority.clone()),
        RuntimeChoice::Builtin => Chosen::Builtin,
        RuntimeChoice::Auto => match find(client).await {
            Some(info) => Chosen::Running(info),
            None if cfg!(feature = "builtin-runtime") => Chosen::Builtin,
            None => Chosen::At(USUAL[0].to_owned()),
        },
    }
}

/// The first of the usual addresses where a runtime answers.
pub(crate) async fn find(client: &HttpClient) -> Option<RuntimeInfo> {
    let [ollama, llama_server, vllm, lm_studio] = USUAL.map(|authority| detect(client, authority));
    let (ollama, llama_server, vllm, lm_studio) =
        tokio::join!(ollama, llama_server, vllm, lm_studio);
    [ollama, llama_server, vllm, lm_studio].into_iter().find_map(Result::ok)
}
