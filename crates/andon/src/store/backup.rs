//! `andon store backup` and `andon store restore`.

use std::process::ExitCode;

use andon_store::Copied;
use anyhow::Context;

use super::args::{BackupArgs, RestoreArgs};
use crate::{config::Config, running::sealed_folder};

pub(super) async fn back_up(args: BackupArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    // A running Andon writes out what it has in memory and is then left alone: the files are copied
    // from here, so that nobody can make it write elsewhere.
    let opened = sealed_folder(&config).await?;
    let copied = andon_store::backup(&config.data, &args.to)?;
    drop(opened);
    tell("copied", &copied);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let copied = andon_store::restore(&args.from, &config.data)
        .with_context(|| format!("cannot restore into {}", config.data.display()))?;
    tell("restored", &copied);
    Ok(ExitCode::SUCCESS)
}

fn tell(done: &str, copied: &Copied) {
    let Copied { segments, rows, bytes, linked } = copied;
    eprintln!("{done} {segments} segments ({rows} rows, {bytes} bytes; {linked} files as links)");
}
