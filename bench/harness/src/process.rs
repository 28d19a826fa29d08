//! `andon up` as a process of its own, in its own data folder and on free ports.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::http::{Connection, Request};

/// A start that takes longer has failed.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Between two attempts to connect: well below what is measured, and not a busy loop.
const LOOK_EVERY: Duration = Duration::from_micros(200);
const END_LIMIT: Duration = Duration::from_secs(15);

pub(crate) struct Andon {
    child: Child,
    pub(crate) listen: String,
    pub(crate) proxy: String,
    pub(crate) capture: String,
    pub(crate) otlp: String,
    pub(crate) datadog: String,
    log: PathBuf,
    started: Instant,
}

impl Andon {
    /// Starts it and comes back at once. `arguments` say which runtime.
    pub(crate) fn start(
        program: &Path,
        data: &Path,
        log: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let (listen, proxy, runtime) = (free_address()?, free_address()?, free_address()?);
        let (capture, otlp, datadog) = (free_address()?, free_address()?, free_address()?);
        let mut command = Command::new(program);
        command
            .args(["up", "--listen", &listen, "--proxy-listen", &proxy])
            .args(["--capture-listen", &capture])
            .args(["--otlp-grpc-listen", "off", "--otlp-http-listen", &otlp])
            .args(["--dogstatsd-listen", "off", "--datadog-listen", &datadog])
            .args(["--runtime-listen", &runtime, "--lang", "en", "--data"])
            .arg(data)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log)?);
        let started = Instant::now();
        let child =
            command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, listen, proxy, capture, otlp, datadog, log: log.to_owned(), started })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From its start to the first connection that is accepted.
    pub(crate) fn wait_for_connect(&mut self) -> Result<Duration> {
        let listen = self.listen.clone();
        self.wait_until("accepts connections", || Ok(TcpStream::connect(&listen).is_ok()))
    }

    /// From its start to the first HTTP answer of `path` that is a success.
    pub(crate) fn wait_for_answer(&mut self, path: &str) -> Result<Duration> {
        let request = Request::get(&self.listen, path);
        let listen = self.listen.clone();
        self.wait_until(path, || {
            let Ok(mut connection) = Connection::open(&listen) else { return Ok(false) };
            Ok(connection.send(&request).is_ok_and(|answer| answer.status == 200))
        })
    }

    fn wait_until(
        &mut self,
        what: &str,
        mut reached: impl FnMut() -> Result<bool>,
    ) -> Result<Duration> {
        loop {
            if reached()? {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("andon up ended with {status} before «{what}»:\n{log}");
            }
            ensure!(self.started.elapsed() < START_LIMIT, "«{what}» not within {START_LIMIT:?}");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// `GET path` as JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let mut connection = Connection::open(&self.listen)?;
        let answer = connection.send(&Request::get(&self.listen, path))?;
        ensure!(answer.status == 200, "{path}: status {}: {}", answer.status, answer.text());
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Asks it to end and waits, so that its folder can be used again.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.ask_to_end();
        Ok(())
    }

    fn ask_to_end(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself, which is as good.
            let _ = kill_process(pid, Signal::TERM);
        }
        let asked = Instant::now();
        while asked.elapsed() < END_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Andon {
    fn drop(&mut self) {
        self.ask_to_end();
    }
}

/// Ports from the kernel's own range, so never one of Andon's defaults.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Resident memory by kind, in MB (10^6 bytes).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident {
    pub(crate) total: f64,
    /// Its own data: what a heap and stacks take.
    pub(crate) anonymous: f64,
    /// Mapped files: the program itself, mostly; shared with others that map them.
    pub(crate) file: f64,
}

pub(crate) fn resident(pid: u32) -> Result<Resident> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let megabytes = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        let kibibytes: f64 = kibibytes.with_context(|| format!("no {name} in {path}"))?.parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    };
    Ok(Resident {
        total: megabytes("VmRSS:")?,
        anonymous: megabytes("RssAnon:")?,
        file: megabytes("RssFile:")?,
    })
}

/// The processes whose parent is `parent`.
pub(crate) fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may be gone by now.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The command's name may hold spaces and brackets: count from behind the last one.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        if fields.split_whitespace().nth(1).and_then(|id| id.parse().ok()) == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Bytes of all files below a folder, in MB.
pub(crate) fn folder_size(folder: &Path) -> Result<f64> {
    let mut bytes = 0.0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            bytes += folder_size(&entry.path())? * 1e6;
        } else if kind.is_file() {
            bytes += entry.metadata()?.len() as f64;
        }
    }
    Ok(bytes / 1e6)
}
