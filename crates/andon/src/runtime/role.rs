//! `andon runtime`: the built-in runtime alone.

use std::process::ExitCode;

use crate::cli::RuntimeArgs;

#[cfg(feature = "builtin-runtime")]
pub(crate) async fn run(args: RuntimeArgs) -> anyhow::Result<ExitCode> {
    use std::io::Write;

    use anyhow::Context;

    let listen: std::net::SocketAddr =
        args.listen.parse().with_context(|| format!("listen: {:?} is no address", args.listen))?;
    anyhow::ensure!(
        listen.ip().is_loopback(),
        "listen: the runtime knows no password and listens on loopback only"
    );
    let keep_alive = keep_alive(&args.keep_alive).with_context(|| {
        format!("keep_alive: {:?} is no time; write one such as 10m, 300 or -1", args.keep_alive)
    })?;
    let config = andon_runtime::Config {
        listen,
        fallback_any_port: args.any_port,
        models: args.model,
        ollama_models: args.ollama_models.or_else(ollama_store),
        stand_ins: args.stand_in_for,
        context_length: args.context_length,
        keep_alive,
        max_threads: args.max_threads,
        exit_on_stdin_eof: args.exit_with_parent,
        ..andon_runtime::Config::default()
    };
    andon_runtime::serve(config, |address| {
        // For the parent; a person reads it as well.
        let said = serde_json::json!({ "listening": address.to_string() });
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{said}").and_then(|()| out.flush());
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

/// Where Ollama keeps its models on this machine, if it can be read.
#[cfg(feature = "builtin-runtime")]
fn ollama_store() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let usual = home.map(|home| home.join(".ollama/models"));
    let service = std::path::PathBuf::from("/usr/share/ollama/.ollama/models");
    usual.into_iter().chain([service]).find(|folder| folder.join("manifests").is_dir())
}

/// Seconds as Ollama's environment has them, or a time with its unit.
#[cfg(feature = "builtin-runtime")]
fn keep_alive(text: &str) -> Option<andon_runtime::KeepAlive> {
    let seconds = text.trim().parse::<i64>().map(|seconds| format!("{seconds}s"));
    andon_runtime::KeepAlive::parse(seconds.as_deref().unwrap_or(text))
}

#[cfg(not(feature = "builtin-runtime"))]
#[expect(clippy::unused_async, reason = "the same face as with the runtime built in")]
pub(crate) async fn run(_: RuntimeArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!(
        "this Andon was built without its own runtime (cmake, a C++ compiler and libclang were \
         missing); install them and build again, or use Ollama"
    )
}
