//! `andon store repair`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use andon_store::Repair;
use anyhow::Context;

use super::args::RepairArgs;
use crate::{config::Config, running::existing_folder};

pub(super) fn run(args: RepairArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let folder = existing_folder(&config)?;
    let done = andon_store::repair(folder, &config.store)
        .with_context(|| format!("cannot repair the data folder {}", folder.display()))?;
    report(&done, &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn report(done: &Repair, to: &mut dyn Write) -> io::Result<()> {
    if done.is_nothing() {
        return writeln!(to, "nothing to repair");
    }
    if done.is_manifest_rebuilt {
        writeln!(to, "the list of segments was made anew from the segments")?;
    }
    for aside in &done.set_aside {
        let fate = aside.now.as_ref().map_or("left out".to_owned(), |now| format!("now {now}"));
        writeln!(to, "{}: {}; {fate}", aside.file, aside.wrong)?;
    }
    if done.log_places > 0 {
        writeln!(to, "damaged places in the log: {}; the rest is in segments", done.log_places)?;
    }
    if done.rollups_made > 0 {
        writeln!(to, "sums of hours made anew: {}", done.rollups_made)?;
    }
    writeln!(to, "rows of the list of traces made anew: {}", done.traces_made)
}
