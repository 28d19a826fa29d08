//! The runtime by itself: `serve ADDRESS MODEL…` prints the address and answers.

#![expect(clippy::print_stdout, reason = "an example speaks on standard output")]

use std::path::PathBuf;

use andon_runtime::{Config, serve};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().ok_or("usage: serve ADDRESS MODEL…")?.parse()?;
    let models = arguments.map(PathBuf::from).collect();
    let config = Config {
        listen,
        models,
        ollama_models: std::env::var_os("OLLAMA_MODELS").map(PathBuf::from),
        exit_on_stdin_eof: std::env::var_os("EXIT_ON_STDIN_EOF").is_some(),
        ..Config::default()
    };
    serve(config, |address| println!("{{\"address\":\"{address}\"}}")).await?;
    Ok(())
}
