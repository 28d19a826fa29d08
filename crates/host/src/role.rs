//! Which process is the model's runtime: told by its command, because a runtime that Andon did not
//! start has no pid that anyone could hand over.

/// Andon itself.
pub const ROLE_ANDON: &str = "andon";

/// A process that runs a model, or the server that starts those.
pub const ROLE_RUNTIME: &str = "runtime";

/// Programs that are a runtime however they were started.
const RUNTIME_PROGRAMS: [&str; 3] = ["llama-server", "llama-box", "ollama_llama_server"];

/// Programs that are one with these first arguments only; `ollama run` is a client.
const RUNTIME_COMMANDS: [(&str, &str); 5] = [
    ("ollama", "serve"),
    ("ollama", "start"),
    ("ollama", "runner"),
    ("vllm", "serve"),
    ("andon", "runtime"),
];

/// vLLM's workers give themselves titles such as `VLLM::EngineCore`.
const VLLM_TITLE: &str = "VLLM::";

const VLLM_MODULE: &str = "vllm.entrypoints";

/// Arguments looked at after the program: an interpreter's flags may stand before the script.
const MAX_INTERPRETER_ARGUMENTS: usize = 8;

/// Whether a process of this name can be a runtime at all: saves reading the command line of
/// every process on the machine. (The kernel keeps 15 bytes of a name.)
pub(crate) fn may_be_runtime(name: &str) -> bool {
    ["ollama", "llama-", "vllm", "VLLM", "python", "andon"]
        .iter()
        .any(|beginning| name.starts_with(beginning))
}

pub(crate) fn is_runtime(arguments: &[String]) -> bool {
    let Some(program) = arguments.first() else { return false };
    if program.starts_with(VLLM_TITLE) {
        return true;
    }
    if base_name(program).starts_with("python") {
        return is_python_runtime(&arguments[1..]);
    }
    is_runtime_program(program, arguments.get(1))
}

fn is_runtime_program(program: &str, first: Option<&String>) -> bool {
    let program = base_name(program);
    if RUNTIME_PROGRAMS.contains(&program) {
        return true;
    }
    RUNTIME_COMMANDS
        .iter()
        .any(|(name, argument)| program == *name && first.is_some_and(|first| first == argument))
}

/// `python -m vllm.entrypoints…` and `python /usr/bin/vllm serve …`.
fn is_python_runtime(arguments: &[String]) -> bool {
    let mut rest = arguments.iter().take(MAX_INTERPRETER_ARGUMENTS);
    while let Some(argument) = rest.next() {
        if argument == "-m" {
            return rest.next().is_some_and(|module| module.starts_with(VLLM_MODULE));
        }
        if !argument.starts_with('-') {
            return is_runtime_program(argument, rest.next());
        }
    }
    false
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(line: &str) -> bool {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        is_runtime(&arguments)
    }

    #[test]
    fn runtimes_are_known_by_their_command() {
        for line in [
            "/usr/local/bin/ollama serve",
            "/usr/bin/ollama runner --model /m --port 1",
            "/usr/lib/ollama/llama-server --model /m",
            "llama-server -m a.gguf",
            "python3 -m vllm.entrypoints.openai.api_server --model m",
            "/usr/bin/python3.11 -u /opt/venv/bin/vllm serve m",
            "vllm serve m",
            "VLLM::EngineCore",
            "/opt/andon runtime --model a.gguf",
        ] {
            assert!(judged(line), "{line}");
        }
    }

    #[test]
    fn clients_and_namesakes_are_not() {
        for line in [
            "ollama run tinyllama",
            "ollama",
            "vim llama-server",
            "python3 app.py serve",
            "python3 -m http.server",
            "andon up",
            "tail -f /var/log/ollama",
        ] {
            assert!(!judged(line), "{line}");
        }
        assert!(!is_runtime(&[]));
    }
}
