//! `andon store …`: what the data folder holds, whether it is whole, and copies of it.

mod args;
mod backup;
mod forget;
mod repair;
mod stats;
mod verify;

use std::process::ExitCode;

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
    }
}
