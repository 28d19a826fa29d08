//! `andon store verify`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use andon_store::{Fault, Verification, verify};

use super::args::VerifyArgs;
use crate::{config::Config, running::existing_folder};

pub(super) fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let found = verify(existing_folder(&config)?)?;
    report(&found, &mut io::stdout().lock())?;
    Ok(if found.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Names what is damaged, then what was looked at.
pub(super) fn report(found: &Verification, to: &mut dyn Write) -> io::Result<()> {
    for damaged in &found.damaged {
        writeln!(to, "damaged: {}: {}", damaged.file, damaged.wrong)?;
    }
    for Fault { file, offset, bytes, .. } in &found.unfinished {
        writeln!(
            to,
            "unfinished: {file}: {bytes} bytes from byte {offset} on; a crash cut them short"
        )?;
    }
    let Verification { segments, rows, bytes, log_files, frames, damaged, .. } = found;
    writeln!(to, "segments: {segments} whole ({rows} rows, {bytes} bytes)")?;
    writeln!(to, "log files: {log_files} ({frames} frames)")?;
    writeln!(to, "damaged: {}", damaged.len())
}
