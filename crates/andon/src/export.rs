//! `andon export`: a table on standard output, for other programs or another Andon.

use std::{
    io::{self, BufWriter, IsTerminal},
    process::ExitCode,
};

use andon_store::Selection;
use anyhow::bail;

use crate::{
    cli::{ExportArgs, ExportFormat},
    config::Config,
    running::sealed_folder,
};

pub(crate) async fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let format = match args.format {
        ExportFormat::Jsonl => andon_store::ExportFormat::JsonLines,
        ExportFormat::Parquet if io::stdout().is_terminal() => {
            bail!("Parquet is not for terminals; send it to a file: > spans.parquet")
        }
        ExportFormat::Parquet => andon_store::ExportFormat::Parquet,
    };
    let (from_ns, to_ns) = (args.from.unwrap_or(0), args.to.unwrap_or(u64::MAX));
    let selection = Selection { table: args.table, from_ns, to_ns };
    let _held = sealed_folder(&config).await?;
    let mut to = BufWriter::new(io::stdout());
    let rows = andon_store::export(&config.data, selection, format, &mut to)?;
    eprintln!("{rows} rows of {}", args.table.name());
    Ok(ExitCode::SUCCESS)
}
