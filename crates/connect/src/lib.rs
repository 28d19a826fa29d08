//! The lines to paste so that an app is seen: its address changed, or its instrumentation pointed here.
//! The command line and the page that says so take them from this one list.

mod apps;
mod sdks;

/// In which language comments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Japanese,
    English,
}

impl Language {
    fn pick(self, ja: &'static str, en: &'static str) -> &'static str {
        match self {
            Self::Japanese => ja,
            Self::English => en,
        }
    }
}

/// Where Andon can be reached, as `host:port`, and what an app is to name.
#[derive(Debug, Clone)]
pub struct Place {
    /// The capture.
    pub capture: String,
    pub otlp_http: String,
    pub datadog: String,
    pub model: String,
    /// Beyond this machine, Andon's password is needed in the place of an API key.
    pub needs_key: bool,
    pub language: Language,
}

/// By which door an app's telemetry comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Capture,
    Otlp,
    Datadog,
}

impl Door {
    pub fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Otlp => "otlp",
            Self::Datadog => "datadog",
        }
    }
}

/// How one app, language or framework is connected.
#[derive(Clone, Copy)]
pub struct Recipe {
    /// As it is said on the command line.
    pub name: &'static str,
    /// As it is called by people.
    pub title: &'static str,
    pub door: Door,
    lines: fn(&Place) -> String,
}

impl Recipe {
    pub fn lines(&self, place: &Place) -> String {
        (self.lines)(place)
    }
}

/// All that are known, those without code to change first.
pub const RECIPES: [Recipe; 19] = [
    Recipe::of("claude-code", "Claude Code", Door::Capture, apps::claude_code),
    Recipe::of("codex", "Codex", Door::Capture, apps::codex),
    Recipe::of("opencode", "OpenCode", Door::Capture, apps::opencode),
    Recipe::of("open-webui", "Open WebUI", Door::Capture, apps::open_webui),
    Recipe::of("continue", "Continue", Door::Capture, apps::continue_),
    Recipe::of("curl", "curl", Door::Otlp, sdks::curl),
    Recipe::of("python-opentelemetry", "Python · OpenTelemetry", Door::Otlp, sdks::python),
    Recipe::of("node-opentelemetry", "Node.js · OpenTelemetry", Door::Otlp, sdks::node),
    Recipe::of("python-ddtrace", "Python · ddtrace", Door::Datadog, sdks::python_ddtrace),
    Recipe::of("node-ddtrace", "Node.js · dd-trace", Door::Datadog, sdks::node_ddtrace),
    Recipe::of("openllmetry", "OpenLLMetry", Door::Otlp, sdks::openllmetry),
    Recipe::of("openinference", "OpenInference", Door::Otlp, sdks::openinference),
    Recipe::of("openlit", "OpenLIT", Door::Otlp, sdks::openlit),
    Recipe::of("langfuse", "Langfuse SDK", Door::Otlp, sdks::langfuse),
    Recipe::of("langchain", "LangChain", Door::Otlp, sdks::langchain),
    Recipe::of("llamaindex", "LlamaIndex", Door::Otlp, sdks::llamaindex),
    Recipe::of("litellm", "LiteLLM", Door::Otlp, sdks::litellm),
    Recipe::of("vercel-ai-sdk", "Vercel AI SDK", Door::Otlp, sdks::vercel),
    Recipe::of("collector", "OpenTelemetry Collector", Door::Otlp, sdks::collector),
];

impl Recipe {
    const fn of(
        name: &'static str,
        title: &'static str,
        door: Door,
        lines: fn(&Place) -> String,
    ) -> Self {
        Self { name, title, door, lines }
    }

    pub fn named(name: &str) -> Option<&'static Self> {
        RECIPES.iter().find(|recipe| recipe.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(language: Language, needs_key: bool) -> Place {
        Place {
            capture: "127.0.0.1:11435".to_owned(),
            otlp_http: "127.0.0.1:4318".to_owned(),
            datadog: "127.0.0.1:8126".to_owned(),
            model: "qwen3:4b".to_owned(),
            needs_key,
            language,
        }
    }

    #[test]
    fn every_recipe_names_its_door_and_asks_for_a_key_only_where_one_is_needed() {
        for recipe in &RECIPES {
            for language in [Language::Japanese, Language::English] {
                let lines = recipe.lines(&place(language, false));
                let address = match recipe.door {
                    Door::Capture => "127.0.0.1:11435",
                    Door::Otlp => "127.0.0.1:4318",
                    Door::Datadog => "8126",
                };
                assert!(lines.contains(address), "{lines}");
                assert!(!lines.contains("ANDON_PASSWORD"), "{lines}");
                let lines = recipe.lines(&place(language, true));
                // The agent's protocol has no place for a key.
                let has_key = lines.contains("ANDON_PASSWORD");
                let has_none = matches!(recipe.name, "continue");
                assert_eq!(has_key, recipe.door != Door::Datadog && !has_none, "{lines}");
            }
        }
    }

    #[test]
    fn names_are_there_once() {
        for (at, recipe) in RECIPES.iter().enumerate() {
            assert!(RECIPES[at + 1..].iter().all(|other| other.name != recipe.name));
            assert_eq!(Recipe::named(recipe.name).map(|it| it.title), Some(recipe.title));
        }
    }

    #[test]
    fn what_is_pasted_into_a_file_is_of_its_format() {
        let of = |name| Recipe::named(name).unwrap().lines(&place(Language::Japanese, true));
        let codex: toml::Table = of("codex").parse().unwrap();
        assert_eq!(codex["model_providers"]["andon"]["env_key"].as_str(), Some("ANDON_PASSWORD"));
        let opencode: serde_json::Value = serde_json::from_str(&of("opencode")).unwrap();
        assert_eq!(opencode["provider"]["andon"]["models"]["qwen3:4b"]["name"], "qwen3:4b");
    }
}
