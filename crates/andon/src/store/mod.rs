//! `andon store …`: what the data folder holds, whether it is whole, and copies of it.

mod args;
mod audit;
mod backup;
mod forget;
mod repair;
mod stats;
mod verify;

use std::{path::Path, process::ExitCode};

use andon_model::Span;
use andon_state::{Action, Actor, Outcome, StateDb};
use anyhow::Context;

use self::args::StoreAction;
pub(crate) use self::args::StoreArgs;

pub(crate) async fn run(args: StoreArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        StoreAction::Stats(args) => stats::run(args).await,
        StoreAction::Verify(args) => verify::run(args),
        StoreAction::Repair(args) => repair::run(args),
        StoreAction::Backup(args) => backup::back_up(args).await,
        StoreAction::Restore(args) => backup::restore(args),
        StoreAction::Forget(args) => forget::run(args).await,
        StoreAction::Audit(args) => audit::run(args).await,
    }
}

/// The state of a data folder that no Andon runs on.
fn open_state(folder: &Path) -> anyhow::Result<StateDb> {
    let opened = StateDb::open(folder);
    opened.with_context(|| format!("cannot open the state in {}", folder.display()))
}

/// Writes into the audit what was done.
pub(crate) fn record(
    folder: &Path,
    action: Action,
    details: &serde_json::Value,
) -> anyhow::Result<()> {
    let state = open_state(folder)?;
    let entry = state.begin(Span::now_ns(), Actor::CommandLine, action, None)?;
    Ok(state.end(entry, Span::now_ns(), Outcome::Done, details)?)
}
