//! `andon host --forward ADDRESS`: samples this machine for an Andon on another one.
//!
//! A look is kept until the other side has it on its disk; while nobody answers the last quarter of an
//! hour is kept, and what is older is counted as lost.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    net::{IpAddr, UdpSocket},
    process::ExitCode,
    time::Duration,
};

use andon_api::{HostLook, HostLooks};
use andon_host::{RuntimePids, Sample};
use andon_model::Span;
use anyhow::{Context, bail};

use crate::{
    cli::HostArgs,
    config::values::password,
    language::Language,
    listen::end_asked,
    running::Running,
    runtime::{USUAL, server_of},
};

/// Looks that wait at most.
const MOST_WAITING: usize = 900;
/// And that are sent at once.
const MOST_AT_ONCE: usize = 60;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An Andon that takes no longer than this for a disk's sake.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: HostArgs) -> anyhow::Result<ExitCode> {
    let language = Language::choose(args.lang.as_deref())?;
    let name = args.name.or_else(|| andon_host::machine().host_name);
    let name = name.context("this machine has no name; give it one with --name")?;
    let password = password(args.password_file.as_deref())?;
    let andon = Running::at(args.forward.trim_start_matches("http://"), password);
    let runtimes = RuntimePids::default();
    let config = andon_host::Config { runtime_pids: runtimes.clone(), ..Default::default() };
    // As many as come while an answer is waited for.
    let mut samples = andon_host::spawn(config, 64)?;
    let mut sender = Sender::new(name, andon);
    tokio::spawn(find_runtimes(runtimes));
    let (address, host) = (sender.andon.address().to_owned(), sender.host.clone());
    let begun = match language {
        Language::Japanese => format!("{host} のサンプルを {address} へ送ります(Ctrl-C で終了)"),
        Language::English => format!("samples of {host} go to {address} until Ctrl-C"),
    };
    writeln!(io::stdout().lock(), "{begun}")?;
    let end = end_asked();
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            sample = samples.recv() => match sample {
                Some(Sample { host: Some(host), processes, devices, .. }) => {
                    sender.keep(HostLook { host, processes, devices });
                }
                _ => bail!("this machine cannot be sampled: it has no /proc"),
            },
            () = sender.is_due(), if !sender.waiting.is_empty() => sender.send().await?,
        }
    }
    sender.send().await?;
    Ok(ExitCode::SUCCESS)
}

/// Looks now and then for who serves where runtimes usually listen: it is one, whatever it is called.
async fn find_runtimes(runtimes: RuntimePids) {
    loop {
        let look = || USUAL.into_iter().filter_map(server_of).collect::<Vec<_>>();
        if let Ok(found) = tokio::task::spawn_blocking(look).await {
            runtimes.set(&found);
        }
        tokio::time::sleep(LONGEST_PAUSE).await;
    }
}

/// Looks on their way.
struct Sender {
    host: String,
    andon: Running,
    waiting: VecDeque<HostLook>,
    lost: u64,
    /// After a failure.
    pause: Duration,
    not_before: tokio::time::Instant,
}

impl Sender {
    fn new(host: String, andon: Running) -> Self {
        let not_before = tokio::time::Instant::now();
        let (waiting, lost, pause) = (VecDeque::new(), 0, FIRST_PAUSE);
        Self { host, andon, waiting, lost, pause, not_before }
    }

    fn keep(&mut self, look: HostLook) {
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
            self.lost += 1;
            if self.lost.is_power_of_two() {
                tracing::warn!(
                    lost = self.lost,
                    "looks at this machine are lost: nobody takes them"
                );
            }
        }
        self.waiting.push_back(look);
    }

    async fn is_due(&self) {
        tokio::time::sleep_until(self.not_before).await;
    }

    /// Sends what waits; an error is one that trying again does not mend.
    async fn send(&mut self) -> anyhow::Result<()> {
        while !self.waiting.is_empty() {
            let looks: Vec<_> = self.waiting.iter().take(MOST_AT_ONCE).cloned().collect();
            let sent = looks.len();
            let body = HostLooks {
                host: self.host.clone(),
                address: own_address(self.andon.address()),
                sent_ns: Span::now_ns(),
                looks,
            };
            let body = serde_json::to_value(&body)?;
            let asked = self.andon.post("/api/v1/hosts/samples", Some(&body));
            let failure = match tokio::time::timeout(LIMIT, asked).await {
                Ok(Ok(reply)) => match reply.refusal() {
                    None => None,
                    // Not there yet, or its disk is full: later.
                    Some((message, _)) if reply.status.is_server_error() => Some(message),
                    Some((message, _)) => bail!("{}: {message}", self.andon.address()),
                },
                Ok(Err(error)) => Some(format!("{error:#}")),
                Err(_) => Some("no answer in time".to_owned()),
            };
            if let Some(message) = failure {
                tracing::warn!(message, waiting = self.waiting.len(), "looks could not be sent");
                self.not_before = tokio::time::Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                return Ok(());
            }
            self.pause = FIRST_PAUSE;
            self.waiting.drain(..sent);
        }
        Ok(())
    }
}

/// By which address this machine reaches the other one: calls to a runtime here have it. Nothing is sent
/// for it.
fn own_address(andon: &str) -> Option<IpAddr> {
    let any = if andon.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(andon).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use andon_model::HostSample;

    use super::*;

    #[test]
    fn what_nobody_takes_is_bounded_and_the_oldest_goes_first() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _within = runtime.enter();
        let mut sender = Sender::new("box".to_owned(), Running::at("127.0.0.1:1", None));
        for time_ns in 0..MOST_WAITING as u64 + 3 {
            let host = HostSample { time_ns, ..HostSample::default() };
            sender.keep(HostLook { host, processes: Vec::new(), devices: Vec::new() });
        }
        assert_eq!((sender.waiting.len(), sender.lost), (MOST_WAITING, 3));
        assert_eq!(sender.waiting.front().unwrap().host.time_ns, 3);
    }

    #[test]
    fn our_own_address_is_that_of_the_way() {
        assert_eq!(own_address("127.0.0.1:9"), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(own_address("no such address"), None);
    }
}
