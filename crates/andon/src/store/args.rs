//! Flags of `andon store`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::Settings;

#[derive(Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(super) action: StoreAction,
}

#[derive(Subcommand)]
pub(super) enum StoreAction {
    /// Rows, files and bytes of each table.
    Stats(StatsArgs),
    /// Reads every file and names the damaged ones; changes nothing.
    Verify(VerifyArgs),
    /// Sets damaged files aside and makes anew what can be; Andon must not be running.
    Repair(RepairArgs),
    /// Copies everything that is recorded into a new or empty folder, while Andon runs or not.
    Backup(BackupArgs),
    /// Takes a backup back into a data folder that holds no records.
    Restore(RestoreArgs),
}

#[derive(Args)]
pub(super) struct StatsArgs {
    /// [default: table on a terminal, else json]
    #[arg(long)]
    pub(super) format: Option<ReportFormat>,
    #[command(flatten)]
    pub(super) settings: Box<Settings>,
}

#[derive(Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub(super) settings: Box<Settings>,
}

#[derive(Args)]
pub(super) struct RepairArgs {
    #[command(flatten)]
    pub(super) settings: Box<Settings>,
}

#[derive(Args)]
pub(super) struct BackupArgs {
    /// Where to; on the same disk the copy takes no room of its own
    #[arg(value_name = "DIR")]
    pub(super) to: PathBuf,
    #[command(flatten)]
    pub(super) settings: Box<Settings>,
}

#[derive(Args)]
pub(super) struct RestoreArgs {
    /// A folder that `andon store backup` filled
    #[arg(value_name = "DIR")]
    pub(super) from: PathBuf,
    #[command(flatten)]
    pub(super) settings: Box<Settings>,
}

/// For people or for programs.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportFormat {
    Table,
    Json,
}
