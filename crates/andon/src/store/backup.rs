//! `andon store backup` and `andon store restore`.

use std::process::ExitCode;

use andon_state::{Action, StateError};
use andon_store::Copied;
use anyhow::{Context, bail};

use super::{
    args::{BackupArgs, RestoreArgs},
    record,
};
use crate::{config::Config, running::sealed_folder};

pub(super) async fn back_up(args: BackupArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    // A running Andon writes out what it has in memory and is then left alone: the files are copied
    // from here, so that nobody can make it write elsewhere.
    let opened = sealed_folder(&config).await?;
    let copied = andon_store::backup(&config.data, &args.to)?;
    andon_state::backup(&config.data, &args.to)
        .context("the records are copied; notes and audit are not")?;
    drop(opened);
    tell("copied", &copied);
    Ok(ExitCode::SUCCESS)
}

/// Looks before it begins: half a backup taken back would be neither the old nor the new.
pub(super) fn restore(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let folder = &config.data;
    let place = || format!("cannot restore into {}", folder.display());
    if let Some(found) = andon_state::check(&args.from)?
        && let Some(reason) = found.faults.first()
    {
        bail!("{} is damaged: {reason}", found.file.display());
    }
    if andon_state::holds_anything(folder).with_context(place)? {
        let file = folder.join(andon_state::STATE_FILE).display().to_string();
        let reason = "holds notes or an audit already";
        return Err(StateError::Unfit { file, reason }).with_context(place);
    }
    let copied = andon_store::restore(&args.from, folder).with_context(place)?;
    andon_state::restore(&args.from, folder).with_context(place)?;
    record(folder, Action::Restore, &serde_json::json!({ "rows": copied.rows }))?;
    tell("restored", &copied);
    Ok(ExitCode::SUCCESS)
}

fn tell(done: &str, copied: &Copied) {
    let Copied { segments, rows, bytes, linked } = copied;
    eprintln!("{done} {segments} segments ({rows} rows, {bytes} bytes; {linked} files as links)");
}
