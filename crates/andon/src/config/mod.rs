//! Configuration: defaults, `andon.toml`, `ANDON_*`, flags, in rising order. Unknown keys are
//! errors that name the nearest known one.

mod receive;
mod runtimes;
mod section;
mod store;
mod units;
pub(crate) mod values;

use std::{
    fmt::Display,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use andon_api::Password;
use andon_gateway::{CaptureConfig, ProxyConfig, Route};
use andon_model::Policy;
use andon_privacy::{Protector, SpanLimits};
use anyhow::{Context, bail};
use serde::Deserialize;

use crate::{
    cli::{ConfigAction, ConfigArgs, Settings},
    language::Language,
};

pub(crate) use self::receive::Receive;
pub(crate) use self::runtimes::{CapturePort, FurtherRuntime};
use self::values::{address, address_or_off, authority, duration, password};

const DEFAULT_FILE: &str = "andon.toml";

/// `andon.toml`, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    listen: Option<String>,
    proxy_listen: Option<String>,
    proxy: Option<String>,
    capture_listen: Option<String>,
    otlp_grpc_listen: Option<String>,
    otlp_http_listen: Option<String>,
    datadog_listen: Option<String>,
    dogstatsd_listen: Option<String>,
    runtime: Option<String>,
    runtime_listen: Option<String>,
    ollama_log: Option<String>,
    model: Option<PathBuf>,
    context_length: Option<u32>,
    keep_alive: Option<String>,
    max_threads: Option<u32>,
    lang: Option<String>,
    privacy: Option<String>,
    timeout: Option<String>,
    max_concurrent: Option<usize>,
    max_queue: Option<usize>,
    max_body_bytes: Option<usize>,
    password_file: Option<PathBuf>,
    allowed_hosts: Option<Vec<String>>,
    allowed_origins: Option<Vec<String>>,
    own_names: Option<Vec<String>>,
    routes: Option<Vec<Route>>,
    capture: CaptureTable,
    runtimes: Option<Vec<runtimes::RuntimeTable>>,
    apps: Option<Vec<runtimes::AppTable>>,
    receive: receive::ReceiveTable,
    store: Option<toml::Table>,
    limits: Option<toml::Table>,
}

/// `[capture]`: what may be copied of calls, in bytes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CaptureTable {
    max_request_bytes: Option<usize>,
    max_answer_bytes: Option<usize>,
    max_held_bytes: Option<usize>,
}

const KEYS: [&str; 33] = [
    "data",
    "listen",
    "proxy_listen",
    "proxy",
    "capture_listen",
    "otlp_grpc_listen",
    "otlp_http_listen",
    "datadog_listen",
    "dogstatsd_listen",
    "runtime",
    "runtime_listen",
    "ollama_log",
    "model",
    "context_length",
    "keep_alive",
    "max_threads",
    "lang",
    "privacy",
    "timeout",
    "max_concurrent",
    "max_queue",
    "max_body_bytes",
    "password_file",
    "allowed_hosts",
    "allowed_origins",
    "own_names",
    "routes",
    "capture",
    "runtimes",
    "apps",
    "receive",
    "store",
    "limits",
];

/// Which runtime was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RuntimeChoice {
    Auto,
    Builtin,
    /// `host:port`.
    At(String),
}

/// Everything, checked.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    /// `None` when it is off.
    pub(crate) proxy_listen: Option<SocketAddr>,
    /// Another proxy than Andon's own, `host:port`.
    pub(crate) proxy: Option<String>,
    /// Where calls are passed through; `None` when it is off.
    pub(crate) capture_listen: Option<SocketAddr>,
    pub(crate) receive: Receive,
    pub(crate) runtime: RuntimeChoice,
    pub(crate) runtime_listen: SocketAddr,
    /// `auto`, `off`, `journal` or a file.
    pub(crate) ollama_log: String,
    pub(crate) model: PathBuf,
    pub(crate) context_length: u32,
    pub(crate) keep_alive: String,
    pub(crate) max_threads: Option<u32>,
    pub(crate) language: Language,
    /// The language where it was chosen, for the pages.
    pub(crate) chosen_language: Option<String>,
    pub(crate) privacy: Policy,
    pub(crate) timeout: Duration,
    pub(crate) max_concurrent: usize,
    pub(crate) max_queue: usize,
    pub(crate) max_body_bytes: usize,
    pub(crate) password: Option<Password>,
    pub(crate) password_text: Option<String>,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) allowed_origins: Vec<String>,
    /// Hosts of runtimes on this machine.
    pub(crate) own_names: Vec<String>,
    pub(crate) routes: Vec<Route>,
    pub(crate) capture: CaptureConfig,
    /// Beside `runtime`.
    pub(crate) runtimes: Vec<FurtherRuntime>,
    /// Beside `capture_listen`.
    pub(crate) capture_ports: Vec<CapturePort>,
    pub(crate) store: andon_store::Config,
    /// How large one span may be.
    pub(crate) limits: SpanLimits,
    /// For `andon config show`.
    origins: Origins,
}

/// Name, value and origin of each setting.
type Origins = Vec<(String, String, &'static str)>;

/// Takes values in order and remembers where each came from.
struct Merge {
    origins: Origins,
}

impl Merge {
    fn take<T: std::fmt::Debug>(
        &mut self,
        name: &'static str,
        said: Option<T>,
        file: Option<T>,
        default: T,
    ) -> T {
        let (value, origin) = match (said, file) {
            (Some(value), _) => (value, "flag or environment"),
            (None, Some(value)) => (value, "andon.toml"),
            (None, None) => (default, "default"),
        };
        self.origins.push((name.to_owned(), format!("{value:?}"), origin));
        value
    }

    fn text(
        &mut self,
        name: &'static str,
        said: Option<String>,
        file: Option<String>,
        default: &str,
    ) -> String {
        self.take(name, said, file, default.to_owned())
    }
}

impl CaptureTable {
    fn merge(&self, merge: &mut Merge) -> CaptureConfig {
        let defaults = CaptureConfig::default();
        let mut take = |name, said, default| merge.take(name, None, said, default);
        CaptureConfig {
            max_request_bytes: take(
                "capture.max_request_bytes",
                self.max_request_bytes,
                defaults.max_request_bytes,
            ),
            max_answer_bytes: take(
                "capture.max_answer_bytes",
                self.max_answer_bytes,
                defaults.max_answer_bytes,
            ),
            max_held_bytes: take(
                "capture.max_held_bytes",
                self.max_held_bytes,
                defaults.max_held_bytes,
            ),
            ..defaults
        }
    }
}

impl Config {
    pub(crate) fn load(settings: Settings) -> anyhow::Result<Self> {
        let path = settings.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let path = path.display().to_string();
        let file = read_file(settings.config.as_deref())?;
        let mut merge = Merge { origins: Vec::new() };
        let defaults = ProxyConfig::default();
        let data = merge.take("data", settings.data, file.data, PathBuf::from("data"));
        let listen = merge.text("listen", settings.listen, file.listen, "127.0.0.1:3000");
        let proxy_listen =
            merge.text("proxy_listen", settings.proxy_listen, file.proxy_listen, "127.0.0.1:5002");
        let capture_listen = merge.text(
            "capture_listen",
            settings.capture_listen,
            file.capture_listen,
            "127.0.0.1:11435",
        );
        let receive = Receive::read(
            file.receive,
            (settings.otlp_grpc_listen, file.otlp_grpc_listen),
            (settings.otlp_http_listen, file.otlp_http_listen),
            (settings.datadog_listen, file.datadog_listen),
            (settings.dogstatsd_listen, file.dogstatsd_listen),
            &mut merge,
        )?;
        let runtime = merge.text("runtime", settings.runtime, file.runtime, "auto");
        let runtime_listen = merge.text(
            "runtime_listen",
            settings.runtime_listen,
            file.runtime_listen,
            "127.0.0.1:11434",
        );
        let ollama_log = merge.text("ollama_log", settings.ollama_log, file.ollama_log, "auto");
        let model = merge.take("model", settings.model, file.model, data.join("models"));
        let said_language = settings.lang.or(file.lang);
        let privacy = merge.text("privacy", settings.privacy, file.privacy, "mask:10");
        let timeout = merge.text("timeout", settings.timeout, file.timeout, "30s");
        let (runtimes, capture_ports) =
            runtimes::read(file.runtimes.unwrap_or_default(), file.apps.unwrap_or_default())?;
        let password_text = password(settings.password_file.or(file.password_file).as_deref())?;
        let config = Self {
            listen: address("listen", &listen)?,
            proxy_listen: address_or_off("proxy_listen", &proxy_listen)?,
            proxy: settings
                .proxy
                .or(file.proxy)
                .map(|proxy| authority("proxy", &proxy))
                .transpose()?,
            capture_listen: address_or_off("capture_listen", &capture_listen)?,
            receive,
            runtime: match runtime.as_str() {
                "auto" => RuntimeChoice::Auto,
                "builtin" => RuntimeChoice::Builtin,
                url => RuntimeChoice::At(authority("runtime", url)?),
            },
            runtime_listen: address("runtime_listen", &runtime_listen)?,
            ollama_log,
            model,
            context_length: merge.take(
                "context_length",
                settings.context_length,
                file.context_length,
                4096,
            ),
            keep_alive: merge.text("keep_alive", settings.keep_alive, file.keep_alive, "5m"),
            max_threads: settings.max_threads.or(file.max_threads),
            language: Language::choose(said_language.as_deref())?,
            chosen_language: said_language,
            privacy: privacy.parse().with_context(|| "privacy".to_owned())?,
            timeout: duration("timeout", &timeout)?,
            max_concurrent: merge.take(
                "max_concurrent",
                settings.max_concurrent,
                file.max_concurrent,
                defaults.max_concurrent,
            ),
            max_queue: merge.take(
                "max_queue",
                settings.max_queue,
                file.max_queue,
                defaults.max_queue,
            ),
            max_body_bytes: merge.take(
                "max_body_bytes",
                settings.max_body_bytes,
                file.max_body_bytes,
                defaults.max_body_bytes,
            ),
            password: password_text.as_deref().and_then(Password::new),
            password_text,
            allowed_hosts: merge.take(
                "allowed_hosts",
                settings.allowed_hosts,
                file.allowed_hosts,
                Vec::new(),
            ),
            allowed_origins: merge.take(
                "allowed_origins",
                settings.allowed_origins,
                file.allowed_origins,
                Vec::new(),
            ),
            own_names: merge.take("own_names", settings.own_names, file.own_names, Vec::new()),
            routes: merge.take("routes", None, file.routes, Route::defaults()),
            capture: file.capture.merge(&mut merge),
            store: store::store(file.store, &mut merge.origins).context(path.clone())?,
            limits: store::limits(file.limits, &mut merge.origins).context(path)?,
            runtimes,
            capture_ports,
            data,
            origins: Vec::new(),
        };
        let config = Self { origins: merge.origins, ..config };
        config.check()?;
        Ok(config)
    }

    /// What everything passes on its way to the store.
    pub(crate) fn protector(&self) -> Protector {
        Protector::new(self.privacy, self.language.into()).with_limits(self.limits)
    }

    fn check(&self) -> anyhow::Result<()> {
        let own = [
            Some(("listen", self.listen)),
            self.proxy_listen.map(|at| ("proxy_listen", at)),
            self.capture_listen.map(|at| ("capture_listen", at)),
        ];
        let further = self.capture_ports.iter().map(|port| (port.setting.as_str(), port.listen));
        let received = self.receive.ports();
        let all: Vec<(&str, SocketAddr)> =
            own.into_iter().flatten().chain(further).chain(received).collect();
        for (name, address) in all {
            if !address.ip().is_loopback() && self.password.is_none() {
                bail!(
                    "{name}: {address} can be reached from other machines, so a password is needed: \
                     write one to a file and give it with --password-file FILE (or set \
                     ANDON_PASSWORD), or listen on 127.0.0.1"
                );
            }
        }
        self.check_rings()?;
        if !self.runtime_listen.ip().is_loopback() {
            bail!("runtime_listen: the runtime knows no password and listens on loopback only");
        }
        for route in &self.routes {
            let taken = ["/", "/andon", "/api", "/assets", "/login", "/healthz", "/readyz"];
            if !route.path.starts_with('/') || taken.contains(&route.path.as_str()) {
                bail!("routes: {:?} is no path for a route; take one such as /chat", route.path);
            }
        }
        Ok(())
    }

    /// A runtime's address that is a capture's own would be asked for ever.
    fn check_rings(&self) -> anyhow::Result<()> {
        let main = match &self.runtime {
            RuntimeChoice::At(authority) => Some(("runtime", authority)),
            RuntimeChoice::Auto | RuntimeChoice::Builtin => None,
        };
        let further = self.runtimes.iter().map(|it| (it.name.as_str(), &it.authority));
        let ports = self.capture_ports.iter().map(|port| port.listen);
        let ports: Vec<_> =
            ports.chain(self.capture_listen).map(|address| address.to_string()).collect();
        for (name, authority) in main.into_iter().chain(further) {
            if ports.contains(&authority.replace("localhost", "127.0.0.1")) {
                bail!(
                    "{name}: {authority} is where the capture listens; calls would go round in a ring"
                );
            }
        }
        Ok(())
    }
}

fn read_file(named: Option<&Path>) -> anyhow::Result<File> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    if named.is_none() && !path.exists() {
        return Ok(File::default());
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<File> {
    let table: toml::Table = text.parse()?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        bail!("unknown key {key:?}; the nearest that Andon knows is {:?}", nearest(key, &KEYS));
    }
    Ok(table.try_into()?)
}

/// The known key with the fewest edits between.
fn nearest(key: &str, known: &[&'static str]) -> &'static str {
    known.iter().min_by_key(|known| edits(key, known)).copied().unwrap_or_default()
}

/// Levenshtein's distance, in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// `andon config show`.
pub(crate) fn show(args: &ConfigArgs) -> anyhow::Result<()> {
    let ConfigAction::Show(settings) = &args.action;
    let config = Config::load((**settings).clone())?;
    let mut out = std::io::stdout().lock();
    for (name, value, origin) in &config.origins {
        write_line(&mut out, &format_args!("{name:<26} {value:<40} {origin}"))?;
    }
    Ok(())
}

pub(crate) fn write_line(out: &mut impl std::io::Write, line: &dyn Display) -> anyhow::Result<()> {
    writeln!(out, "{line}").context("cannot write")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(settings: Settings) -> String {
        match Config::load(settings) {
            Ok(_) => panic!("accepted"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn an_unknown_key_names_its_nearest_neighbour() {
        let error = format!("{:#}", parse("lisen = \"127.0.0.1:1\"").unwrap_err());
        assert!(error.contains("\"listen\""), "{error}");
    }

    #[test]
    fn a_wrong_value_of_a_table_is_named_with_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[store]\nsql_rows = 0\n").unwrap();
        let config = Some(file.path().to_owned());
        let message = error(Settings { config, ..Settings::default() });
        let place = format!("{}: store.sql_rows: 0 must be from 1 ", file.path().display());
        assert!(message.starts_with(&place), "{message}");
    }

    #[test]
    fn an_address_beyond_loopback_needs_a_password() {
        let listen = Some("0.0.0.0:3000".to_owned());
        let message = error(Settings { listen, ..Settings::default() });
        assert!(message.contains("--password-file"), "{message}");
    }

    #[test]
    fn a_capture_of_itself_is_refused() {
        let runtime = Some("http://localhost:11435".to_owned());
        let message = error(Settings { runtime, ..Settings::default() });
        assert!(message.contains("ring"), "{message}");
    }
}
