//! `andon query "SELECT …"`: asks the Andon that holds the data folder, or opens the folder itself
//! when none does.

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use andon_gateway::http_client;
use andon_store::{EmbeddedStore, Format, Holder, SqlError, Store, StoreError};
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
/// How long another question that has the folder, or an Andon that is about to listen, is waited
/// for.
const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(20);

pub(crate) async fn run(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let format = args.format.unwrap_or(match std::io::stdout().is_terminal() {
        true => QueryFormat::Table,
        false => QueryFormat::Json,
    });
    let end = Instant::now() + PATIENCE;
    loop {
        let holder = andon_store::holder(&config.data);
        if let Some(Holder { address: Some(address), .. }) = &holder {
            return ask(address, &args.sql, format).await;
        }
        if holder.is_none()
            && let Some(store) = open(&config)?
        {
            return answer(&store, &args.sql, format).await;
        }
        if Instant::now() >= end {
            let pid = holder.and_then(|holder| holder.pid);
            let who = pid.map(|pid| format!(" by process {pid}")).unwrap_or_default();
            let folder = config.data.display();
            bail!("the data folder {folder} is in use{who} and nobody there can be asked");
        }
        tokio::time::sleep(STEP).await;
    }
}

/// `None` where somebody else was faster.
fn open(config: &Config) -> anyhow::Result<Option<EmbeddedStore>> {
    let folder = &config.data;
    if !folder.is_dir() {
        bail!("there is no data folder {}; name it with --data", folder.display());
    }
    match EmbeddedStore::open(folder, andon_store::Config::default()) {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::Locked { .. }) => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("cannot open the data folder {}", folder.display()))
        }
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
    print(format, &bytes, is_partial)
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
