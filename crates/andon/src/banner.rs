//! The first lines: what was found, what is listened on, what to open.

use std::time::Duration;

use andon_gateway::{HttpClient, RuntimeCatalog, RuntimeKind, list_models};
use andon_host::Machine;

use crate::{config::Config, language::Language};

/// How long to look before saying that no runtime was found yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Said as soon as the ports are taken.
pub(crate) fn listening(config: &Config) {
    let lang = config.language;
    eprintln!("{}", lang.pick("行灯 Andon が動いています。", "Andon is running."));
    let open = lang.pick("  チャット          ", "  chat              ");
    eprintln!("{open}http://{}/", config.listen);
    let dashboard = lang.pick("  ダッシュボード    ", "  dashboard         ");
    eprintln!("{dashboard}http://{}/andon/", config.listen);
    if let Some(proxy) = config.proxy_listen {
        eprintln!("{}http://{proxy}", lang.pick("  LLM プロキシ      ", "  LLM proxy         "));
    }
    if let Some(capture) = config.capture_listen {
        eprintln!("{}http://{capture}", lang.pick("  アプリの接続先    ", "  apps connect to   "));
    }
    for (name, address) in [
        ("OTLP/gRPC", config.receive.otlp_grpc),
        ("OTLP/HTTP", config.receive.otlp_http),
        ("Datadog", config.receive.datadog),
        ("DogStatsD (UDP)", config.receive.dogstatsd),
    ] {
        if let Some(address) = address {
            let scheme = if name.contains("UDP") { "" } else { "http://" };
            eprintln!("  {name:<18}{scheme}{address}");
        }
    }
    for port in &config.capture_ports {
        let runtime = port.runtime.as_deref().unwrap_or("runtime");
        let app = port.app.as_ref().map(|app| format!(" ({app})")).unwrap_or_default();
        eprintln!("                    http://{} → {runtime}{app}", port.listen);
    }
    let kept = match lang {
        Language::Japanese => {
            format!("  記録              {}(方針 {})", config.data.display(), config.privacy)
        }
        Language::English => {
            format!("  kept in           {} (policy {})", config.data.display(), config.privacy)
        }
    };
    eprintln!("{kept}");
    if !andon_api::has_real_pages() {
        eprintln!(
            "{}",
            lang.pick(
                "  注意: ページなしでビルドされています。`make web` のあとビルドし直してください。",
                "  note: built without the pages; run `make web` and build again."
            )
        );
    }
}

/// Said once the runtime is known.
pub(crate) async fn found(
    config: Config,
    machine: Machine,
    catalog: RuntimeCatalog,
    client: HttpClient,
) {
    let lang = config.language;
    memory_line(lang, &machine);
    let began = std::time::Instant::now();
    let info = loop {
        let state = catalog.target().state();
        if let Some(info) = state.ready {
            break info;
        }
        if began.elapsed() > PATIENCE {
            let reason = state.reason.unwrap_or_default();
            eprintln!(
                "{}{reason}",
                lang.pick("  ランタイム        まだありません: ", "  runtime           none yet: ")
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let name = match info.kind {
        RuntimeKind::Builtin => lang.pick("内蔵 (llama.cpp)", "built in (llama.cpp)").to_owned(),
        RuntimeKind::Ollama | RuntimeKind::Openai => info.product.to_owned(),
    };
    let heading = lang.pick("  ランタイム        ", "  runtime           ");
    eprintln!("{heading}{name}, http://{}", info.authority);
    let models = list_models(&client, &info).await.unwrap_or_default();
    let heading = lang.pick("  モデル            ", "  models            ");
    if models.is_empty() {
        eprintln!("{heading}{}", no_model(lang, info.kind));
        return;
    }
    let names: Vec<_> = models.iter().take(8).map(|model| model.name.as_str()).collect();
    eprintln!("{heading}{}", names.join(", "));
}

fn memory_line(lang: Language, machine: &Machine) {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    if let (Some(total), Some(available)) = (machine.memory_total, machine.memory_available) {
        let cpus = machine.cpu_count.unwrap_or(0);
        eprintln!(
            "{}",
            match lang {
                Language::Japanese => format!(
                    "  マシン            {cpus} コア、メモリ {:.1} GB(空き {:.1} GB)",
                    gigabytes(total),
                    gigabytes(available)
                ),
                Language::English => format!(
                    "  machine           {cpus} cores, {:.1} GB memory ({:.1} GB free)",
                    gigabytes(total),
                    gigabytes(available)
                ),
            }
        );
    }
}

fn no_model(lang: Language, kind: RuntimeKind) -> &'static str {
    match kind {
        RuntimeKind::Builtin => lang.pick(
            "ありません。`make model` で取得するか、--model FILE.gguf で指定してください。",
            "none. Fetch one with `make model`, or name one with --model FILE.gguf.",
        ),
        RuntimeKind::Ollama => lang.pick(
            "ありません。例: ollama pull gemma3:1b",
            "none. For example: ollama pull gemma3:1b",
        ),
        RuntimeKind::Openai => lang.pick("一覧が空です。", "its list is empty."),
    }
}
