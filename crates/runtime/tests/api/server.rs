//! Starts runtimes for tests.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use andon_runtime::{Config, serve};

/// A runtime on a free port; it ends with the test's process.
pub(crate) fn start(config: Config) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..config };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(serve(config, move |address| sender.send(address).unwrap())).unwrap();
    });
    receiver.recv().unwrap()
}

/// A runtime with the test model; none, with a word why, where there is no model.
pub(crate) fn start_with_model() -> Option<SocketAddr> {
    Some(start(Config { models: vec![model()?], ..Config::default() }))
}

pub(crate) fn model() -> Option<PathBuf> {
    let path = std::env::var_os("ANDON_TEST_MODEL").map_or_else(
        || {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            root.join("data/models/gemma-3-270m-q4_k_m.gguf")
        },
        PathBuf::from,
    );
    if path.is_file() {
        return Some(path.canonicalize().unwrap());
    }
    println!("skipped: there is no model at {} (set ANDON_TEST_MODEL)", path.display());
    None
}

/// The model's name in the API.
pub(crate) fn name(address: SocketAddr) -> String {
    let tags = super::client::get(address, "/api/tags").json();
    tags["models"][0]["name"].as_str().unwrap().to_owned()
}
