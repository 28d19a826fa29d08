//! Who takes part: twenty services and eight models, with how fast they are.

use crate::random::scatter;

/// A service, by its row in [`SERVICES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Browser,
    Gateway,
    Proxy,
    Ollama,
    LlamaServer,
    Vllm,
    Runtime,
    SupportAgent,
    ResearchAgent,
    KnowledgeIndex,
    ShopWeb,
    Edge,
    Catalog,
    Cart,
    Checkout,
    Payments,
    Accounts,
    Notifier,
    Postgres,
    Redis,
}

pub(crate) struct ServiceRow {
    pub(crate) service: Service,
    pub(crate) name: &'static str,
    hosts: &'static [&'static str],
    pub(crate) language: &'static str,
    /// A new version so often; never with 0, where nobody tells a version.
    deploy_days: u64,
}

const ANDON: &[&str] = &["andon-1"];
const GPU: &[&str] = &["gpu-1", "gpu-2"];
const AI: &[&str] = &["ai-1", "ai-2", "ai-3"];
const WEB: &[&str] = &["web-1", "web-2", "web-3", "web-4", "web-5"];
const APP: &[&str] = &["app-1", "app-2", "app-3", "app-4", "app-5", "app-6", "app-7", "app-8"];
const DATA: &[&str] = &["db-1", "db-2"];

const fn row(
    service: Service,
    name: &'static str,
    hosts: &'static [&'static str],
    language: &'static str,
    deploy_days: u64,
) -> ServiceRow {
    ServiceRow { service, name, hosts, language, deploy_days }
}

pub(crate) const SERVICES: [ServiceRow; 20] = [
    row(Service::Browser, "browser", &[], "javascript", 0),
    row(Service::Gateway, "gateway", ANDON, "rust", 0),
    row(Service::Proxy, "proxy", ANDON, "rust", 0),
    row(Service::Ollama, "ollama", GPU, "go", 0),
    row(Service::LlamaServer, "llama-server", &["gpu-2"], "cpp", 0),
    row(Service::Vllm, "vllm", &["gpu-3"], "python", 0),
    row(Service::Runtime, "runtime", ANDON, "rust", 0),
    row(Service::SupportAgent, "support-agent", AI, "python", 2),
    row(Service::ResearchAgent, "research-agent", AI, "python", 4),
    row(Service::KnowledgeIndex, "knowledge-index", AI, "python", 9),
    row(Service::ShopWeb, "shop-web", WEB, "nodejs", 2),
    row(Service::Edge, "edge", WEB, "go", 7),
    row(Service::Catalog, "catalog", APP, "jvm", 5),
    row(Service::Cart, "cart", APP, "go", 4),
    row(Service::Checkout, "checkout", APP, "jvm", 3),
    row(Service::Payments, "payments", APP, "dotnet", 6),
    row(Service::Accounts, "accounts", APP, "ruby", 5),
    row(Service::Notifier, "notifier", APP, "python", 4),
    row(Service::Postgres, "postgres", DATA, "c", 0),
    row(Service::Redis, "redis", DATA, "c", 0),
];

impl Service {
    pub(crate) fn row(self) -> &'static ServiceRow {
        &SERVICES[self as usize]
    }
}

impl ServiceRow {
    /// The version that ran on this day since 1970.
    pub(crate) fn version(&self, day: u64) -> Option<String> {
        let deploy = self.deploy(day)?;
        Some(format!("{}.{}.{}", 1 + deploy / 2_000, deploy / 40 % 50, deploy % 40))
    }

    fn deploy(&self, day: u64) -> Option<u64> {
        (day + self.service as u64).checked_div(self.deploy_days)
    }

    /// One of its hosts, and its process there, which is another with each version.
    pub(crate) fn process(&self, draw: u64, day: u64) -> Option<(&'static str, u32)> {
        let place = draw % (self.hosts.len() as u64).max(1);
        let host = self.hosts.get(place as usize)?;
        let started = self.deploy(day).unwrap_or(0);
        let process = scatter((self.service as u64) << 40 | place << 32 | started);
        Some((host, 300 + (process % 90_000) as u32))
    }
}

/// A model on the runtime that has it.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// What some people call it when they ask for it.
    pub(crate) alias: &'static str,
    pub(crate) runtime: Service,
    pub(crate) digest: &'static str,
    pub(crate) quantization: &'static str,
    pub(crate) context_length: u64,
    /// Time to read a token of a prompt, and to write one of an answer.
    pub(crate) read_ns: u64,
    pub(crate) write_ns: u64,
    pub(crate) load_ns: u64,
    /// Per cent of it that is in the memory of a GPU.
    pub(crate) on_gpu: u64,
    /// Thinks before it answers.
    pub(crate) thinks: bool,
    /// What the house charges per million tokens read and written, and in which currency.
    pub(crate) price: Option<(u64, u64, &'static str)>,
    /// How often it is asked, in comparison.
    pub(crate) weight: u64,
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// The models that chat, and last the one that embeds.
pub(crate) const MODELS: [Model; 8] = [
    Model {
        name: "gemma3:270m",
        alias: "gemma3:270m",
        runtime: Service::Runtime,
        digest: "735af2139dc652bf01112746474883d79a52fa1c19038265d363e3d42556f7a2",
        quantization: "Q8_0",
        context_length: 32_768,
        read_ns: 450 * US,
        write_ns: 9 * MS,
        load_ns: 380 * MS,
        on_gpu: 0,
        thinks: false,
        price: None,
        weight: 14,
    },
    Model {
        name: "tinyllama:latest",
        alias: "tinyllama",
        runtime: Service::Ollama,
        digest: "2644915ede352ea7bdfaff0bfac0be74c719d5d5202acb63a6fb095b52f394a4",
        quantization: "Q4_0",
        context_length: 2_048,
        read_ns: 180 * US,
        write_ns: 7 * MS,
        load_ns: 900 * MS,
        on_gpu: 100,
        thinks: false,
        price: None,
        weight: 18,
    },
    Model {
        name: "granite3.2:2b",
        alias: "granite3.2:2b",
        runtime: Service::Ollama,
        digest: "9d79a41f2f755eb9a1b3b5ee3d1b3e1b8d1ee2d0a8d1f1c6d59e8d6b3b3f2a10",
        quantization: "Q4_K_M",
        context_length: 8_192,
        read_ns: 260 * US,
        write_ns: 11 * MS,
        load_ns: 1_900 * MS,
        on_gpu: 100,
        thinks: false,
        price: None,
        weight: 16,
    },
    Model {
        name: "llama3.2:3b",
        alias: "llama3.2",
        runtime: Service::Ollama,
        digest: "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
        quantization: "Q4_K_M",
        context_length: 8_192,
        read_ns: 310 * US,
        write_ns: 13 * MS,
        load_ns: 2_300 * MS,
        on_gpu: 100,
        thinks: false,
        price: None,
        weight: 20,
    },
    Model {
        name: "qwen3:8b",
        alias: "qwen3",
        runtime: Service::LlamaServer,
        digest: "500a1f067a9f782620b40bee6f7b0c89e17ae61f686b92c24933e4ca4b2b8b41",
        quantization: "Q4_K_M",
        context_length: 16_384,
        read_ns: 520 * US,
        write_ns: 22 * MS,
        load_ns: 4_800 * MS,
        on_gpu: 100,
        thinks: true,
        price: Some((20, 60, "JPY")),
        weight: 18,
    },
    Model {
        name: "gemma3:12b",
        alias: "gemma3:12b",
        runtime: Service::LlamaServer,
        digest: "f4031aab637d1ffa37b42570452ae0e4fad0314754d17ded67322e4b95836f8a",
        quantization: "Q4_K_M",
        context_length: 16_384,
        read_ns: 900 * US,
        write_ns: 34 * MS,
        load_ns: 7_500 * MS,
        on_gpu: 78,
        thinks: false,
        price: Some((30, 90, "JPY")),
        weight: 8,
    },
    Model {
        name: "openai/gpt-oss-20b",
        alias: "gpt-oss-20b",
        runtime: Service::Vllm,
        digest: "d666934289eb1a2a4c1d6c1f7e0c3c2c5a0f2c0e6cb6a64a3d7a9f3d4f8b7e25",
        quantization: "MXFP4",
        context_length: 65_536,
        read_ns: 90 * US,
        write_ns: 9 * MS,
        load_ns: 38_000 * MS,
        on_gpu: 100,
        thinks: true,
        price: Some((40, 160, "JPY")),
        weight: 12,
    },
    Model {
        name: "nomic-embed-text:latest",
        alias: "nomic-embed-text",
        runtime: Service::Ollama,
        digest: "0a109f422b47e3a30ba2b10eca18548e944e8a23073ee3f3e947efcf3c45e59f",
        quantization: "F16",
        context_length: 2_048,
        read_ns: 60 * US,
        write_ns: 0,
        load_ns: 600 * MS,
        on_gpu: 100,
        thinks: false,
        price: None,
        weight: 0,
    },
];

/// Row of the model that embeds.
pub(crate) const EMBEDDING: usize = 7;

impl Model {
    pub(crate) fn provider(&self) -> &'static str {
        match self.runtime {
            Service::Runtime => "andon",
            other => other.row().name,
        }
    }

    /// Speaks Ollama's API, and not OpenAI's.
    pub(crate) fn speaks_ollama(&self) -> bool {
        matches!(self.runtime, Service::Ollama | Service::Runtime)
    }

    pub(crate) fn address(&self) -> &'static str {
        match self.runtime {
            Service::LlamaServer => "127.0.0.1:8080",
            Service::Vllm => "127.0.0.1:8000",
            Service::Runtime => "127.0.0.1:49152",
            _ => "127.0.0.1:11434",
        }
    }

    pub(crate) fn runtime_version(&self) -> &'static str {
        match self.runtime {
            Service::LlamaServer => "b6915",
            Service::Vllm => "0.11.0",
            Service::Runtime => "0.1.0",
            _ => "0.12.6",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_where_their_services_look_for_them() {
        for (place, row) in SERVICES.iter().enumerate() {
            assert_eq!(row.service as usize, place, "{}", row.name);
        }
    }

    #[test]
    fn a_version_lasts_for_some_days_and_then_has_new_processes() {
        let row = Service::Checkout.row();
        let versions: Vec<_> = (20_000..20_030).map(|day| row.version(day)).collect();
        let changes = versions.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!((9..=10).contains(&changes), "{versions:?}");
        assert_eq!(row.process(3, 20_000), row.process(3, 20_000));
        assert_ne!(row.process(3, 20_000), row.process(3, 20_006));
    }
}
