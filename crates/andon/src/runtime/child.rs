//! The built-in runtime as a child process: started, watched, restarted, and never left behind.
//!
//! The child holds the other end of a pipe as its standard input and ends when the pipe does, so
//! that even a `kill -9` of this process takes the child along.

use std::{
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use andon_gateway::{Crash, HttpClient, RuntimeInfo, RuntimeKind, RuntimeState, detect};
use andon_model::{Cause, Span};
use anyhow::Context;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Starting and listening take some milliseconds; a machine that swaps may need longer.
const START: Duration = Duration::from_secs(30);
/// A child that lived this long is restarted at once.
const LIVED: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What a child may take to end when it is asked to.
const END: Duration = Duration::from_secs(2);

struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    info: RuntimeInfo,
}

pub(super) async fn keep(
    config: &Config,
    client: &HttpClient,
    state: watch::Sender<RuntimeState>,
    stop: CancellationToken,
) {
    let mut pause = Duration::ZERO;
    let mut last_crash = None;
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        let began = Instant::now();
        let kills_before = andon_host::oom_kills();
        let message = match start(config, client).await {
            Err(error) => format!("the runtime cannot be started: {error:#}"),
            Ok(mut running) => {
                state.send_replace(RuntimeState {
                    ready: Some(running.info.clone()),
                    last_crash: last_crash.clone(),
                    ..RuntimeState::default()
                });
                tokio::select! {
                    ended = running.child.wait() => {
                        let crash = crash(ended.ok(), kills_before);
                        last_crash = Some(crash.clone());
                        crash.message
                    }
                    () = stop.cancelled() => return end(running).await,
                }
            }
        };
        tracing::warn!(message, "the runtime ended");
        pause = next_pause(pause, began.elapsed());
        state.send_replace(RuntimeState {
            ready: None,
            reason: Some(message),
            // Whoever asks now waits for the next start, unless it fails again and again.
            starting: pause < LONGEST_PAUSE,
            last_crash: last_crash.clone(),
        });
    }
}

fn next_pause(before: Duration, lived: Duration) -> Duration {
    if lived >= LIVED {
        return Duration::ZERO;
    }
    (before * 2).clamp(Duration::from_millis(100), LONGEST_PAUSE)
}

async fn start(config: &Config, client: &HttpClient) -> anyhow::Result<Running> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command
        .args(["--log", "warn", "runtime", "--any-port", "--exit-with-parent"])
        .arg("--listen")
        .arg(config.runtime_listen.to_string())
        .arg("--context-length")
        .arg(config.context_length.to_string())
        .arg(format!("--keep-alive={}", config.keep_alive))
        .arg("--model")
        .arg(&config.model)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    // The original's proxy asks the runtime itself for the routes' models.
    for route in &config.routes {
        command.arg(format!("--stand-in-for={}", route.model));
    }
    if let Some(threads) = config.max_threads {
        command.arg("--max-threads").arg(threads.to_string());
    }
    let mut child = command.spawn().context("cannot start the runtime's process")?;
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().context("the runtime has no standard output")?;
    let mut line = String::new();
    let mut output = BufReader::new(stdout);
    let said = tokio::time::timeout(START, output.read_line(&mut line)).await;
    said.context("the runtime did not say where it listens")?.context("cannot read from it")?;
    let Some(authority) = listening(&line) else {
        let status = child.wait().await.context("it cannot be waited for")?;
        anyhow::bail!("it ended at once: {}", ending(status));
    };
    let version = detect(client, &authority).await.ok().and_then(|info| info.version);
    let info = RuntimeInfo {
        kind: RuntimeKind::Builtin,
        product: "runtime",
        name: "runtime".to_owned(),
        authority,
        version,
        pid: child.id(),
    };
    Ok(Running { child, stdin, info })
}

fn listening(line: &str) -> Option<String> {
    let said: serde_json::Value = serde_json::from_str(line).ok()?;
    said["listening"].as_str().map(str::to_owned)
}

/// Closes the pipe, which asks the child to end, and waits a little.
async fn end(mut running: Running) {
    drop(running.stdin.take());
    if tokio::time::timeout(END, running.child.wait()).await.is_err() {
        let _ = running.child.kill().await;
    }
}

fn crash(status: Option<ExitStatus>, kills_before: Option<u64>) -> Crash {
    let killed = status.is_some_and(|status| status.signal() == Some(9));
    let out_of_memory = killed && andon_host::oom_kills() > kills_before;
    let (cause, reason) = if out_of_memory {
        (Cause::OutOfMemory, "the kernel killed it: the machine was out of memory".to_owned())
    } else {
        let ending = status.map_or_else(|| "it is gone".to_owned(), ending);
        (Cause::RuntimeDown, ending)
    };
    Crash {
        time_ns: Span::now_ns(),
        message: format!("the runtime's process ended: {reason}"),
        cause,
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "killed by signal 9 (SIGKILL)".to_owned(),
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => "for no known reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_come_at_once_after_a_long_life_and_ever_later_after_short_ones() {
        assert_eq!(next_pause(LONGEST_PAUSE, LIVED), Duration::ZERO);
        assert_eq!(next_pause(Duration::ZERO, Duration::ZERO), Duration::from_millis(100));
        assert_eq!(next_pause(LONGEST_PAUSE, Duration::ZERO), LONGEST_PAUSE);
    }

    #[test]
    fn a_killed_process_is_named_as_one() {
        let crash = crash(Some(ExitStatus::from_raw(9)), Some(u64::MAX));
        assert_eq!(crash.cause, Cause::RuntimeDown);
        assert!(crash.message.contains("signal 9"));
        assert_eq!(listening(r#"{"listening":"127.0.0.1:1"}"#).as_deref(), Some("127.0.0.1:1"));
    }
}
