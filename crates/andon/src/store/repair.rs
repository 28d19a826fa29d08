//! `andon store repair`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use andon_state::{Action, SetAside, StateDb};
use andon_store::Repair;
use anyhow::Context;
use serde_json::json;

use super::{args::RepairArgs, record};
use crate::{config::Config, running::existing_folder};

pub(super) fn run(args: RepairArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let folder = existing_folder(&config)?;
    let done = andon_store::repair(folder, &config.store)
        .with_context(|| format!("cannot repair the data folder {}", folder.display()))?;
    let to = &mut io::stdout().lock();
    let aside = StateDb::repair(folder)?.set_aside;
    if done.is_nothing() && aside.is_none() {
        writeln!(to, "nothing to repair")?;
        return Ok(ExitCode::SUCCESS);
    }
    report(&done, to)?;
    report_state(aside.as_ref(), to)?;
    let set_aside = done.set_aside.len() + usize::from(aside.is_some());
    record(folder, Action::Repair, &json!({ "set_aside": set_aside }))?;
    Ok(ExitCode::SUCCESS)
}

fn report(done: &Repair, to: &mut dyn Write) -> io::Result<()> {
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

fn report_state(aside: Option<&SetAside>, to: &mut dyn Write) -> io::Result<()> {
    let Some(SetAside { file, reason, now, taken_over }) = aside else { return Ok(()) };
    let (file, now) = (file.display(), now.display());
    writeln!(to, "{file}: {reason}; now {now}; rows taken over: {taken_over}")
}
