//! `andon doctor`: looks at everything that can be wrong before it is, and says what to do.

use std::{io::Write, net::SocketAddr, process::ExitCode};

use andon_gateway::{detect, http_client, list_models};
use andon_host::ClockState;

use crate::{
    cli::Settings,
    config::{Config, RuntimeChoice},
    language::Language,
    runtime,
};

/// Below this much free disk the store may have to refuse.
const LITTLE_DISK: u64 = 1 << 30;
/// Below this much free memory even a small model may not fit.
const LITTLE_MEMORY: u64 = 700 << 20;

enum Verdict {
    Good,
    Warning,
    Bad,
}

struct Findings {
    lang: Language,
    bad: bool,
}

impl Findings {
    fn say(&mut self, verdict: Verdict, what: &str, text: &str) {
        let mark = match verdict {
            Verdict::Good => "ok  ",
            Verdict::Warning => "warn",
            Verdict::Bad => {
                self.bad = true;
                "BAD "
            }
        };
        let _ = writeln!(std::io::stdout().lock(), "{mark}  {what:<9} {text}");
    }

    fn pick<'a>(&self, ja: &'a str, en: &'a str) -> &'a str {
        self.lang.pick(ja, en)
    }
}

pub(crate) async fn run(settings: Box<Settings>) -> anyhow::Result<ExitCode> {
    let config = Config::load(*settings)?;
    let mut findings = Findings { lang: config.language, bad: false };
    let running = ports(&mut findings, &config);
    runtime(&mut findings, &config, running).await;
    further_runtimes(&mut findings, &config).await;
    disk(&mut findings, &config);
    memory(&mut findings);
    clock(&mut findings);
    Ok(if findings.bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns whether an Andon runs already.
fn ports(findings: &mut Findings, config: &Config) -> bool {
    let own = [
        ("listen", Some(config.listen)),
        ("proxy", config.proxy_listen),
        ("capture", config.capture_listen),
    ];
    let own = own.into_iter().filter_map(|(name, at)| Some((name, at?)));
    let further = config.capture_ports.iter().map(|port| ("capture", port.listen));
    let mut running = false;
    for (name, address) in own.chain(further) {
        running |= port(findings, name, address, Verdict::Bad);
    }
    // Another collector may be the one that apps of this machine send to: all else starts without it.
    for (setting, address) in config.receive.ports() {
        let name = setting.trim_end_matches("_listen").replace('_', " ");
        if setting == "dogstatsd_listen" {
            datagrams(findings, &name, address);
        } else {
            port(findings, &name, address, Verdict::Warning);
        }
    }
    running
}

/// Whether Andon runs at an address. `taken`: how bad it is that another program does.
fn port(findings: &mut Findings, name: &str, address: SocketAddr, taken: Verdict) -> bool {
    if std::net::TcpListener::bind(address).is_ok() {
        let text = format!("{address} {}", findings.pick("は空いています", "is free"));
        findings.say(Verdict::Good, name, &text);
        return false;
    }
    let holder = andon_host::port_holder(address);
    let is_andon = holder.as_ref().is_some_and(|(_, program)| program == "andon");
    let who = holder.map_or_else(
        || findings.pick("別のプログラム", "another program").to_owned(),
        |(pid, program)| format!("{program} ({pid})"),
    );
    let (verdict, advice) = if is_andon {
        (Verdict::Good, findings.pick("Andon が動いています", "Andon runs there"))
    } else {
        let advice = findings
            .pick("止めるか、別のアドレスにしてください", "end it, or choose another address");
        (taken, advice)
    };
    findings.say(verdict, name, &format!("{address}: {who} — {advice}"));
    is_andon
}

/// Who holds a port of UDP is not looked for.
fn datagrams(findings: &mut Findings, name: &str, address: SocketAddr) {
    let (verdict, text) = if std::net::UdpSocket::bind(address).is_ok() {
        (Verdict::Good, findings.pick("は空いています", "is free"))
    } else {
        (Verdict::Warning, findings.pick("は使われています", "is taken"))
    };
    findings.say(verdict, name, &format!("{address} {text}"));
}

/// Those of `[[runtimes]]`. One that is down is no fault of this machine: it is taken up when it comes.
async fn further_runtimes(findings: &mut Findings, config: &Config) {
    let client = http_client();
    for further in &config.runtimes {
        let (verdict, text) = match detect(&client, &further.authority).await {
            Ok(info) => {
                let version = info.version.unwrap_or_default();
                let address = &further.authority;
                let text = format!("{}: {} {version} http://{address}", further.name, info.product);
                (Verdict::Good, text)
            }
            Err(error) => (Verdict::Warning, format!("{}: {error}", further.name)),
        };
        findings.say(verdict, "runtime", &text);
    }
}

async fn runtime(findings: &mut Findings, config: &Config, andon_runs: bool) {
    let client = http_client();
    let found = match &config.runtime {
        RuntimeChoice::At(authority) => detect(&client, authority).await.ok(),
        RuntimeChoice::Auto | RuntimeChoice::Builtin => runtime::find(&client).await,
    };
    if let Some(info) = found {
        let models = list_models(&client, &info).await.unwrap_or_default();
        let text = format!("{} http://{} — {}", info.name, info.authority, models.len());
        let text = format!("{text} {}", findings.pick("モデル", "models"));
        let verdict = if models.is_empty() { Verdict::Warning } else { Verdict::Good };
        findings.say(verdict, "runtime", &text);
        return;
    }
    if let RuntimeChoice::At(authority) = &config.runtime {
        let text = format!("{authority}: {}", findings.pick("応答がありません", "nobody answers"));
        findings.say(Verdict::Bad, "runtime", &text);
    } else if !cfg!(feature = "builtin-runtime") {
        let text = findings.pick(
            "見つかりません。Ollama を起動するか、cmake と libclang を入れてビルドし直してください",
            "none found; start Ollama, or install cmake and libclang and build again",
        );
        findings.say(Verdict::Bad, "runtime", text);
    } else if !andon_runs {
        let text = findings.pick("内蔵ランタイムを使います", "the built-in one will be used");
        findings.say(Verdict::Good, "runtime", text);
        model(findings, config);
    }
}

fn model(findings: &mut Findings, config: &Config) {
    let path = &config.model;
    let is_gguf = |path: &std::path::Path| path.extension().is_some_and(|end| end == "gguf");
    let there = is_gguf(path) && path.is_file()
        || std::fs::read_dir(path)
            .is_ok_and(|entries| entries.flatten().any(|entry| is_gguf(&entry.path())));
    if there {
        findings.say(Verdict::Good, "model", &path.display().to_string());
    } else {
        let advice = findings.pick(
            "GGUF がありません。`make model` か --model FILE.gguf",
            "no GGUF there; run `make model` or give --model FILE.gguf",
        );
        let text = format!("{}: {advice}", path.display());
        findings.say(Verdict::Warning, "model", &text);
    }
}

fn disk(findings: &mut Findings, config: &Config) {
    let existing = config.data.ancestors().find(|folder| folder.exists());
    let folder = existing.filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    match andon_host::disk_free(folder) {
        Ok(space) => {
            let text = format!(
                "{}: {:.1} GB {}",
                config.data.display(),
                space.free as f64 / 1e9,
                findings.pick("空き", "free")
            );
            let little = space.free < LITTLE_DISK;
            findings.say(if little { Verdict::Warning } else { Verdict::Good }, "disk", &text);
        }
        Err(error) => findings.say(Verdict::Bad, "disk", &error.to_string()),
    }
}

fn memory(findings: &mut Findings) {
    let machine = andon_host::machine();
    let (Some(total), Some(available)) = (machine.memory_total, machine.memory_available) else {
        return;
    };
    let text = format!(
        "{:.1} / {:.1} GB {}",
        available as f64 / 1e9,
        total as f64 / 1e9,
        findings.pick("空き", "free")
    );
    let little = available < LITTLE_MEMORY;
    findings.say(if little { Verdict::Warning } else { Verdict::Good }, "memory", &text);
}

fn clock(findings: &mut Findings) {
    match andon_host::clock_check() {
        ClockState::Implausible { unix_s } => {
            let advice = findings.pick("時計を合わせてください", "set the clock");
            let text = format!("{unix_s} s since 1970 — {advice}");
            findings.say(Verdict::Bad, "clock", &text);
        }
        // One look cannot see a jump.
        ClockState::Good
        | ClockState::AheadOfMonotonic { .. }
        | ClockState::BehindMonotonic { .. } => {
            let text = findings.pick("妥当です", "plausible");
            findings.say(Verdict::Good, "clock", text);
        }
    }
}
