//! Commands and flags. Each flag of `andon up` is also `ANDON_…` and a key in `andon.toml`.

use std::path::PathBuf;

use andon_api::parse_time;
use andon_connect::RECIPES;
use andon_store::Table;
use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};

use crate::store::StoreArgs;

#[derive(Parser)]
#[command(name = "andon", version, about = "Observability for local LLMs", max_term_width = 100)]
pub(crate) struct Cli {
    /// What goes to the log on standard error: error, warn, info, debug, or a filter.
    #[arg(long, global = true, env = "ANDON_LOG", default_value = "warn")]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Everything: pages, gateway, proxy, runtime, store.
    Up(Box<Settings>),
    /// The API gateway alone; its spans are printed as JSON lines.
    Gateway(Box<Settings>),
    /// The LLM proxy alone; its spans are printed as JSON lines.
    Proxy(Box<Settings>),
    /// The built-in runtime alone: llama.cpp behind Ollama's API.
    Runtime(RuntimeArgs),
    /// Checks ports, runtime, disk, clock and memory, and says what to do.
    Doctor(Box<Settings>),
    /// Prints the lines to paste so that an app's calls are seen by Andon.
    Connect(ConnectArgs),
    /// Plays a story against a running Andon: cold start, long prompt, queue, timeout, errors.
    Demo(DemoArgs),
    /// Sends samples of this machine to an Andon on another one.
    Host(HostArgs),
    /// Says why a trace took its time, or failed.
    Why(WhyArgs),
    /// Measures how fast this machine reads memory and multiplies matrices: what bounds a model.
    Measure(MeasureArgs),
    /// Answers a question in SQL from what is kept; the tables are in docs/query.md.
    Query(QueryArgs),
    /// What the data folder holds, and whether it is whole.
    Store(StoreArgs),
    /// Writes what is kept of a table to standard output.
    Export(ExportArgs),
    /// Takes in JSON lines of `andon export`; what is known already is passed over.
    Import(ImportArgs),
    /// Puts made-up telemetry into the data folder, the same for the same seed.
    Gen(GenArgs),
    /// Shows the configuration and where each value comes from.
    Config(ConfigArgs),
}

/// What a role is told. `None` leaves it to `andon.toml`, then to the default.
#[derive(Args, Clone, Default)]
pub(crate) struct Settings {
    /// Configuration file [default: andon.toml, if there is one]
    #[arg(long, env = "ANDON_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for everything that is kept [default: data]
    #[arg(long, env = "ANDON_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Chat page, dashboard and API [default: 127.0.0.1:3000]
    #[arg(long, env = "ANDON_LISTEN", value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// LLM proxy, or off [default: 127.0.0.1:5002]
    #[arg(long, env = "ANDON_PROXY_LISTEN", value_name = "ADDRESS")]
    pub(crate) proxy_listen: Option<String>,
    /// Another proxy that the gateway hands questions to, as host:port [default: Andon's own]
    #[arg(long, env = "ANDON_PROXY", value_name = "HOST:PORT")]
    pub(crate) proxy: Option<String>,
    /// Where apps reach the runtime through Andon, or off [default: 127.0.0.1:11435]
    #[arg(long, env = "ANDON_CAPTURE_LISTEN", value_name = "ADDRESS")]
    pub(crate) capture_listen: Option<String>,
    /// OpenTelemetry over gRPC, or off [default: 127.0.0.1:4317]
    #[arg(long, env = "ANDON_OTLP_GRPC_LISTEN", value_name = "ADDRESS")]
    pub(crate) otlp_grpc_listen: Option<String>,
    /// OpenTelemetry over HTTP, or off [default: 127.0.0.1:4318]
    #[arg(long, env = "ANDON_OTLP_HTTP_LISTEN", value_name = "ADDRESS")]
    pub(crate) otlp_http_listen: Option<String>,
    /// Datadog's clients, in the place of an agent, or off [default: 127.0.0.1:8126]
    #[arg(long, env = "ANDON_DATADOG_LISTEN", value_name = "ADDRESS")]
    pub(crate) datadog_listen: Option<String>,
    /// DogStatsD over UDP, or off [default: 127.0.0.1:8125]
    #[arg(long, env = "ANDON_DOGSTATSD_LISTEN", value_name = "ADDRESS")]
    pub(crate) dogstatsd_listen: Option<String>,
    /// auto, builtin, or the address of a runtime [default: auto]
    #[arg(long, env = "ANDON_RUNTIME", value_name = "auto|builtin|URL")]
    pub(crate) runtime: Option<String>,
    /// Where the built-in runtime listens [default: 127.0.0.1:11434, or any free port]
    #[arg(long, env = "ANDON_RUNTIME_LISTEN", value_name = "ADDRESS")]
    pub(crate) runtime_listen: Option<String>,
    /// Ollama's own log, which tells how far a prompt is read: a file, journal, or off [default: auto]
    #[arg(long, env = "ANDON_OLLAMA_LOG", value_name = "FILE")]
    pub(crate) ollama_log: Option<String>,
    /// GGUF file, or a folder of them, for the built-in runtime [default: DATA/models]
    #[arg(long, env = "ANDON_MODEL", value_name = "PATH")]
    pub(crate) model: Option<PathBuf>,
    /// Tokens that the built-in runtime holds in a context [default: 4096]
    #[arg(long, env = "ANDON_CONTEXT_LENGTH", value_name = "TOKENS")]
    pub(crate) context_length: Option<u32>,
    /// How long the built-in runtime keeps an idle model: seconds, 10m, -1 for ever [default: 5m]
    #[arg(long, env = "ANDON_KEEP_ALIVE", value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) keep_alive: Option<String>,
    /// Most threads of the built-in runtime; fewer are used on a busy machine [default: all cores]
    #[arg(long, env = "ANDON_MAX_THREADS", value_name = "N")]
    pub(crate) max_threads: Option<u32>,
    /// Language of messages and of the notice in masked texts: ja or en [default: the locale's]
    #[arg(long, env = "ANDON_LANG", value_name = "ja|en")]
    pub(crate) lang: Option<String>,
    /// What is kept of prompts and answers: full, mask:N or none [default: mask:10]
    #[arg(long, env = "ANDON_PRIVACY", value_name = "POLICY")]
    pub(crate) privacy: Option<String>,
    /// From a question's arrival to the end of its answer, such as 30s or 2m [default: 30s]
    #[arg(long, env = "ANDON_TIMEOUT", value_name = "TIME")]
    pub(crate) timeout: Option<String>,
    /// Questions that the runtime gets at a time [default: 1]
    #[arg(long, env = "ANDON_MAX_CONCURRENT", value_name = "N")]
    pub(crate) max_concurrent: Option<usize>,
    /// Questions that may wait for their turn [default: 64]
    #[arg(long, env = "ANDON_MAX_QUEUE", value_name = "N")]
    pub(crate) max_queue: Option<usize>,
    /// Largest request body in bytes [default: 1048576]
    #[arg(long, env = "ANDON_MAX_BODY_BYTES", value_name = "BYTES")]
    pub(crate) max_body_bytes: Option<usize>,
    /// File with the password that pages and API ask for; needed beyond loopback
    #[arg(long, env = "ANDON_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Further host names under which Andon may be asked
    #[arg(long, env = "ANDON_ALLOWED_HOSTS", value_name = "NAME", value_delimiter = ',')]
    pub(crate) allowed_hosts: Option<Vec<String>>,
    /// Further origins whose pages may ask, such as https://chat.example
    #[arg(long, env = "ANDON_ALLOWED_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) allowed_origins: Option<Vec<String>>,
    /// What runtimes on this machine are called that cannot be told by looking: a container's name
    #[arg(long, env = "ANDON_OWN_NAMES", value_name = "NAME", value_delimiter = ',')]
    pub(crate) own_names: Option<Vec<String>>,
}

#[derive(Args)]
pub(crate) struct RuntimeArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:11434", value_name = "ADDRESS")]
    pub(crate) listen: String,
    /// Take any free port where that one is taken
    #[arg(long)]
    pub(crate) any_port: bool,
    /// GGUF file or folder; several times for several
    #[arg(long, env = "ANDON_MODEL", value_name = "PATH")]
    pub(crate) model: Vec<PathBuf>,
    /// Root of Ollama's own store of models; only read
    #[arg(long, env = "OLLAMA_MODELS", value_name = "DIR")]
    pub(crate) ollama_models: Option<PathBuf>,
    /// Name that the first model answers for where there is no such model; several times for several
    #[arg(long, value_name = "NAME")]
    pub(crate) stand_in_for: Vec<String>,
    #[arg(long, default_value_t = 4096, value_name = "TOKENS")]
    pub(crate) context_length: u32,
    /// Seconds, 10m, or -1 for ever
    #[arg(long, default_value = "5m", value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) keep_alive: String,
    #[arg(long, value_name = "N")]
    pub(crate) max_threads: Option<u32>,
    /// End when standard input ends, as it does when the parent dies
    #[arg(long)]
    pub(crate) exit_with_parent: bool,
}

#[derive(Args)]
pub(crate) struct ConnectArgs {
    /// App, language or framework
    #[arg(value_parser = PossibleValuesParser::new(RECIPES.map(|recipe| recipe.name)))]
    pub(crate) app: String,
    /// Model to name in the lines [default: the first one of the running Andon]
    #[arg(long, value_name = "NAME")]
    pub(crate) for_model: Option<String>,
    #[command(flatten)]
    pub(crate) settings: Box<Settings>,
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Address of a running Andon
    #[arg(long, env = "ANDON_LISTEN", default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
    pub(crate) address: String,
    #[arg(long, env = "ANDON_LANG", value_name = "ja|en")]
    pub(crate) lang: Option<String>,
}

#[derive(Args)]
pub(crate) struct WhyArgs {
    /// Its id, 32 hex digits, or `last` for the newest one
    pub(crate) trace: String,
    #[arg(long, default_value = "text")]
    pub(crate) format: WhyFormat,
    #[command(flatten)]
    pub(crate) settings: Box<Settings>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhyFormat {
    Text,
    Json,
}

#[derive(Args)]
pub(crate) struct HostArgs {
    /// Where the other Andon listens, as host:port
    #[arg(long, env = "ANDON_FORWARD", value_name = "HOST:PORT")]
    pub(crate) forward: String,
    /// What this machine is called, as its spans name their host [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// File with the other Andon's password [default: ANDON_PASSWORD]
    #[arg(long, env = "ANDON_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    #[arg(long, env = "ANDON_LANG", value_name = "ja|en")]
    pub(crate) lang: Option<String>,
}

#[derive(Args)]
pub(crate) struct MeasureArgs {
    /// Threads that measure together [default: the machine's cores]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    #[arg(long, default_value = "text")]
    pub(crate) format: MeasureFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeasureFormat {
    Text,
    Json,
}

#[derive(Args)]
pub(crate) struct QueryArgs {
    /// One statement that reads, such as "SELECT model, count(*) FROM spans GROUP BY model"
    pub(crate) sql: String,
    /// [default: table on a terminal, else json]
    #[arg(long)]
    pub(crate) format: Option<QueryFormat>,
    #[command(flatten)]
    pub(crate) settings: Box<Settings>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryFormat {
    Table,
    Json,
    Csv,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// spans, contents, evaluations, traces, hosts, processes, metrics, devices or model_events
    #[arg(long, default_value = "spans", value_name = "TABLE", value_parser = table)]
    pub(crate) table: Table,
    #[arg(long, default_value = "jsonl")]
    pub(crate) format: ExportFormat,
    /// Rows at or after this: UTC nanoseconds or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) from: Option<u64>,
    /// Rows before this
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) to: Option<u64>,
    #[command(flatten)]
    pub(crate) settings: Box<Settings>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportFormat {
    Jsonl,
    Parquet,
}

fn table(name: &str) -> Result<Table, String> {
    let tables = || Table::ALL.into_iter().filter(|table| *table != Table::Rollups);
    let known = tables().find(|table| table.name() == name);
    known.ok_or_else(|| {
        format!("there are {}", tables().map(Table::name).collect::<Vec<_>>().join(", "))
    })
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// Files of spans, texts and evaluations, an object a line
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: Box<Settings>,
}

#[derive(Args)]
pub(crate) struct GenArgs {
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub(crate) spans: u64,
    /// Days before the end over which they are spread
    #[arg(long, default_value_t = 7, value_name = "D")]
    pub(crate) days: u32,
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// Texts of prompts and answers [default: a fifth of the spans]
    #[arg(long, value_name = "N")]
    pub(crate) contents: Option<u64>,
    /// When they end, in nanoseconds since 1970 [default: now]
    #[arg(long, value_name = "NS")]
    pub(crate) end_ns: Option<u64>,
    #[command(flatten)]
    pub(crate) settings: Box<Settings>,
}

#[derive(Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Subcommand)]
pub(crate) enum ConfigAction {
    /// Prints every value and where it comes from.
    Show(Box<Settings>),
}
