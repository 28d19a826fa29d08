//! Flags of `andon store`.

use std::path::PathBuf;

use andon_model::TraceId;
use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

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
    /// Removes everything of one user, session or trace, while Andon runs or not.
    #[command(mut_group("Whose", |whose| whose.required(true)))]
    Forget(ForgetArgs),
    /// Lists what was removed, repaired, restored or taken in, newest first.
    Audit(AuditArgs),
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

#[derive(Args)]
pub(super) struct ForgetArgs {
    #[command(flatten)]
    pub(super) whose: Whose,
    /// Do not ask; needed where nobody can be asked
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) settings: Box<Settings>,
}

#[derive(Args)]
#[group(required = false, multiple = false)]
pub(super) struct Whose {
    /// Traces with a span of this user
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) user: Option<String>,
    /// Traces with a span of this session
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) session: Option<String>,
    #[arg(long, value_name = "ID")]
    pub(super) trace: Option<TraceId>,
}

#[derive(Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    pub(super) whose: Option<Whose>,
    /// So many entries
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) limit: u16,
    /// [default: table on a terminal, else json]
    #[arg(long)]
    pub(super) format: Option<ReportFormat>,
    #[command(flatten)]
    pub(super) settings: Box<Settings>,
}

/// For people or for programs.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportFormat {
    Table,
    Json,
}
