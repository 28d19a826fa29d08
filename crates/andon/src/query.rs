//! `andon query "SELECT …"`: asks the Andon that holds the data folder, or opens the folder itself
//! when none does.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use andon_gateway::http_client;
use andon_store::{EmbeddedStore, Format, Holder, SqlError, Store};
use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::json;

use crate::{
    cli::{QueryArgs, QueryFormat},
    config::Config,
};

/// Status that says the arguments were wrong, as clap's own.
const WRONG_USAGE: u8 = 2;

pub(crate) async fn run(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let format = args.format.unwrap_or(match std::io::stdout().is_terminal() {
        true => QueryFormat::Table,
        false => QueryFormat::Json,
    });
    match andon_store::holder(&config.data) {
        Some(Holder { address: Some(address), .. }) => ask(&address, &args.sql, format).await,
        Some(Holder { pid, .. }) => bail!(
            "the data folder {} is in use{} and nobody there can be asked",
            config.data.display(),
            pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
        ),
        None => answer(&config, &args.sql, format).await,
    }
}

/// Asks a running Andon.
async fn ask(address: &str, sql: &str, format: QueryFormat) -> anyhow::Result<ExitCode> {
    let name = match format {
        QueryFormat::Table => "table",
        QueryFormat::Json => "json",
        QueryFormat::Csv => "csv",
    };
    let mut request = Request::post(format!("http://{address}/api/v1/query"))
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(password) = std::env::var("ANDON_PASSWORD").ok().filter(|text| !text.is_empty()) {
        request = request.header(header::AUTHORIZATION, format!("Bearer {password}"));
    }
    let body = json!({"sql": sql, "format": name}).to_string();
    let request = request.body(Full::new(Bytes::from(body)))?;
    let response = http_client()
        .request(request)
        .await
        .with_context(|| format!("the Andon at {address} does not answer"))?;
    let status = response.status();
    let is_partial = response.headers().contains_key("x-andon-partial");
    let bytes = response.into_body().collect().await.context("the answer broke off")?.to_bytes();
    if !status.is_success() {
        let error: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let message = error["error"].as_str().unwrap_or("the answer makes no sense");
        eprintln!("andon: {message}");
        return Ok(ExitCode::from(if status.as_u16() == 400 { WRONG_USAGE } else { 1 }));
    }
    std::io::stdout().write_all(&bytes)?;
    end(format, is_partial)
}

/// Opens the folder for one question.
async fn answer(config: &Config, sql: &str, format: QueryFormat) -> anyhow::Result<ExitCode> {
    let folder = &config.data;
    if !folder.is_dir() {
        bail!("there is no data folder {}; name it with --data", folder.display());
    }
    let store = EmbeddedStore::open(folder, andon_store::Config::default())
        .with_context(|| format!("cannot open the data folder {}", folder.display()))?;
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
            answer.write(format_of, std::io::stdout().lock())?;
            end(format, answer.is_partial)
        }
        Err(error) => {
            eprintln!("andon: {error}");
            let is_wrong = matches!(error, SqlError::Invalid(_));
            Ok(ExitCode::from(if is_wrong { WRONG_USAGE } else { 1 }))
        }
    }
}

fn end(format: QueryFormat, is_partial: bool) -> anyhow::Result<ExitCode> {
    if format == QueryFormat::Json {
        std::io::stdout().write_all(b"\n")?;
    }
    if is_partial {
        eprintln!("andon: there are more rows than one answer may have; the rest is left out");
    }
    Ok(ExitCode::SUCCESS)
}
