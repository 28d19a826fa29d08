//! `andon store verify`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use andon_state::StateCheck;
use andon_store::{Fault, Verification, verify};

use super::args::VerifyArgs;
use crate::{config::Config, running::existing_folder};

pub(super) fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let folder = existing_folder(&config)?;
    let found = verify(folder)?;
    let state = andon_state::check(folder)?;
    let to = &mut io::stdout().lock();
    report(&found, to)?;
    report_state(state.as_ref(), to)?;
    let is_whole = found.is_whole() && state.is_none_or(|state| state.faults.is_empty());
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

fn report_state(state: Option<&StateCheck>, to: &mut dyn Write) -> io::Result<()> {
    let Some(StateCheck { file, rows, faults }) = state else { return Ok(()) };
    for fault in faults {
        writeln!(to, "damaged: {}: {fault}", file.display())?;
    }
    writeln!(to, "settings, notes and audit: {rows} rows")
}
