//! `andon query "SELECT …"`: asks the Andon that holds the data folder, or opens the folder itself
//! when none does.

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    process::ExitCode,
};

use andon_store::{EmbeddedStore, Format, SqlError, Store};
use serde_json::json;

use crate::{
    cli::{QueryArgs, QueryFormat},
    config::Config,
    running::{Reached, Running, WRONG_USAGE, reach},
};

pub(crate) async fn run(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let format = args.format.unwrap_or(match std::io::stdout().is_terminal() {
        true => QueryFormat::Table,
        false => QueryFormat::Json,
    });
    match reach(&config).await? {
        Reached::Running(running) => ask(&running, &args.sql, format).await,
        Reached::Folder(store) => answer(&store, &args.sql, format).await,
    }
}

/// Asks a running Andon.
async fn ask(running: &Running, sql: &str, format: QueryFormat) -> anyhow::Result<ExitCode> {
    let name = match format {
        QueryFormat::Table => "table",
        QueryFormat::Json => "json",
        QueryFormat::Csv => "csv",
    };
    let reply = running.post("/api/v1/query", Some(&json!({"sql": sql, "format": name}))).await?;
    if let Some((message, status)) = reply.refusal() {
        eprintln!("andon: {message}");
        return Ok(status);
    }
    print(format, &reply.body, reply.headers.contains_key("x-andon-partial"))
}

async fn answer(store: &EmbeddedStore, sql: &str, format: QueryFormat) -> anyhow::Result<ExitCode> {
    let answer = match store.sql(sql) {
        Ok(answering) => answering.await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => {
            let format_of = match format {
                QueryFormat::Table => Format::Table,
                QueryFormat::Json => Format::Json,
                QueryFormat::Csv => Format::Csv,
            };
            let mut bytes = Vec::new();
            answer.write(format_of, &mut bytes)?;
            print(format, &bytes, answer.is_partial)
        }
        Err(error) => {
            eprintln!("andon: {error}");
            let is_wrong = matches!(error, SqlError::Invalid(_));
            Ok(ExitCode::from(if is_wrong { WRONG_USAGE } else { 1 }))
        }
    }
}

fn print(format: QueryFormat, bytes: &[u8], is_partial: bool) -> anyhow::Result<ExitCode> {
    let mut to = io::stdout().lock();
    let end: &[u8] = if format == QueryFormat::Json { b"\n" } else { b"" };
    match to.write_all(bytes).and_then(|()| to.write_all(end)).and_then(|()| to.flush()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        written => written?,
    }
    if is_partial {
        eprintln!("andon: there are more rows than one answer may have; the rest is left out");
    }
    Ok(ExitCode::SUCCESS)
}
