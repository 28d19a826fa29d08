//! The Andon that holds the data folder, for the commands that ask it rather than the folder; and the
//! folder itself, when nobody holds it.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use andon_gateway::{HttpClient, http_client};
use andon_store::{EmbeddedStore, Holder, Store, StoreError};
use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};

use crate::config::Config;

/// Status that says the arguments were wrong, as clap's own.
pub(crate) const WRONG_USAGE: u8 = 2;

/// How long another command that has the folder, or an Andon that is about to listen, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(20);

/// Where a data folder can be asked.
pub(crate) enum Reached {
    Running(Box<Running>),
    Folder(Box<EmbeddedStore>),
}

/// A running Andon that can be asked.
pub(crate) struct Running {
    address: String,
    client: HttpClient,
    password: Option<String>,
}

/// What it said.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Running {
    /// `password`: that of `ANDON_PASSWORD` where none is given.
    pub(crate) fn at(address: &str, password: Option<String>) -> Self {
        let told = || std::env::var("ANDON_PASSWORD").ok().filter(|text| !text.is_empty());
        let password = password.or_else(told);
        Self { address: address.to_owned(), client: http_client(), password }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Reply> {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<Reply> {
        self.ask(Method::POST, path, body).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<Reply> {
        let address = &self.address;
        let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
        if let Some(password) = &self.password {
            request = request.header(header::AUTHORIZATION, format!("Bearer {password}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(serde_json::Value::to_string).unwrap_or_default();
        let response = self
            .client
            .request(request.body(Full::new(Bytes::from(body)))?)
            .await
            .with_context(|| format!("the Andon at {address} does not answer"))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.context("the answer broke off")?.to_bytes();
        Ok(Reply { status: head.status, headers: head.headers, body })
    }
}

impl Reply {
    /// What a refusal says, and the exit status that belongs to it; `None` when it is an answer.
    pub(crate) fn refusal(&self) -> Option<(String, ExitCode)> {
        if self.status.is_success() {
            return None;
        }
        let error: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = error["error"].as_str().unwrap_or("the answer makes no sense").to_owned();
        let is_usage = self.status == StatusCode::BAD_REQUEST;
        Some((message, ExitCode::from(if is_usage { WRONG_USAGE } else { 1 })))
    }

    /// The answer; a refusal is an error.
    pub(crate) fn into_answer(self) -> anyhow::Result<Bytes> {
        match self.refusal() {
            Some((message, _)) => bail!(message),
            None => Ok(self.body),
        }
    }
}

/// The data folder, which is to be there already.
pub(crate) fn existing_folder(config: &Config) -> anyhow::Result<&Path> {
    let folder = &config.data;
    if !folder.is_dir() {
        bail!("there is no data folder {}; name it with --data", folder.display());
    }
    Ok(folder)
}

/// Finds the Andon that holds the data folder, or opens the folder, which is to be there already.
/// Waits a little for another command to let go of it, and for an Andon that is about to listen.
pub(crate) async fn reach(config: &Config) -> anyhow::Result<Reached> {
    let end = Instant::now() + PATIENCE;
    loop {
        let holder = andon_store::holder(&config.data);
        if let Some(Holder { address: Some(address), .. }) = holder {
            return Ok(Reached::Running(Box::new(Running::at(&address, None))));
        }
        if holder.is_none()
            && let Some(store) = open(config)?
        {
            return Ok(Reached::Folder(Box::new(store)));
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
    let folder = existing_folder(config)?;
    match EmbeddedStore::open(folder, config.store.clone()) {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::Locked { .. }) => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("cannot open the data folder {}", folder.display()))
        }
    }
}

/// Sees to it that everything that was recorded until now is in segments. Where the folder is not in
/// use, the store that holds it from here on.
pub(crate) async fn sealed_folder(config: &Config) -> anyhow::Result<Option<Box<EmbeddedStore>>> {
    match reach(config).await? {
        Reached::Running(running) => {
            let sealed = running.post("/api/v1/store/seal", None).await?.into_answer();
            sealed.context("the running Andon cannot write out what it has in memory")?;
            Ok(None)
        }
        Reached::Folder(store) => {
            store.seal()?;
            Ok(Some(store))
        }
    }
}
