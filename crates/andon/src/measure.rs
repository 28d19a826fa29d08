//! `andon measure`: what this machine does at most, of what bounds a model. For `andon up` it is a
//! process of its own: it takes memory and all cores, and nothing that answers is to fall with it.

use std::{
    io::{self, Write as _},
    process::{ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use andon_api::Measure;
use andon_capacity::Measured;
use andon_model::Span;
use anyhow::{Context, bail};
use tokio::process::Command;

use crate::{
    cli::{MeasureArgs, MeasureFormat},
    language::Language,
};

/// For each of the two.
const TIME: Duration = Duration::from_millis(800);
/// Filling the memory takes its time on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &MeasureArgs) -> anyhow::Result<ExitCode> {
    let measured = measure(args.threads)?;
    let answer = match args.format {
        MeasureFormat::Json => serde_json::to_string(&measured)?,
        MeasureFormat::Text => text(&measured, Language::choose(None)?),
    };
    writeln!(io::stdout().lock(), "{answer}")?;
    Ok(ExitCode::SUCCESS)
}

/// Asks a process of its own.
pub(crate) fn apart() -> Measure {
    Arc::new(|| Box::pin(async { ask_child().await.map_err(|error| format!("{error:#}")) }))
}

async fn ask_child() -> anyhow::Result<Measured> {
    let program = std::env::current_exe().context("this program's own file")?;
    let mut command = Command::new(program);
    command.args(["measure", "--format", "json"]);
    command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.context("it took longer than a minute")?.context("it did not start")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("what it said")
}

fn measure(threads: Option<u32>) -> anyhow::Result<Measured> {
    let threads = threads.or_else(|| andon_host::machine().cpu_count).unwrap_or(1).max(1);
    let memory_bytes_per_s = andon_host::memory_bytes_per_s(threads as usize, TIME)
        .context("too little memory is free to measure how fast it is read")?;
    Ok(Measured {
        time_ns: Span::now_ns(),
        threads,
        memory_bytes_per_s,
        operations_per_s: operations_per_s(threads),
    })
}

#[cfg(feature = "builtin-runtime")]
fn operations_per_s(threads: u32) -> Option<f64> {
    andon_runtime::operations_per_s(threads, TIME)
}

#[cfg(not(feature = "builtin-runtime"))]
fn operations_per_s(_threads: u32) -> Option<f64> {
    None
}

fn text(measured: &Measured, language: Language) -> String {
    let Measured { threads, memory_bytes_per_s, operations_per_s, .. } = measured;
    let memory = memory_bytes_per_s / 1e9;
    let mut text = match language {
        Language::Japanese => {
            format!("メモリの読み取り: {memory:.1} GB/秒({threads} スレッド)")
        }
        Language::English => format!("memory is read at {memory:.1} GB/s by {threads} threads"),
    };
    if let Some(operations) = operations_per_s {
        let billions = operations / 1e9;
        text += &match language {
            Language::Japanese => {
                format!("\n行列の積: 毎秒 {billions:.0} × 10⁹ 演算(8 ビットの重み)")
            }
            Language::English => {
                format!(
                    "\nmatrices are multiplied at {billions:.0} × 10⁹ operations/s (8-bit weights)"
                )
            }
        };
    }
    text
}
