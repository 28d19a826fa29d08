// Where things are, seen from the repository's root.
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
export const BINARY =
  process.env.ANDON_TESTED ??
  path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target", "debug/andon");
export const MODEL = path.join(ROOT, "data/models/gemma-3-270m-q4_k_m.gguf");
export const MODEL_NAME = "gemma3:270m";
export const PYTHON = path.join(ROOT, ".cache/venv/bin/python");
/** The same with the libraries that send OpenTelemetry; they want other versions than the rest. */
export const OTEL_PYTHON = path.join(ROOT, ".cache/venv-otel/bin/python");
/** The same with a ddtrace that cannot be installed beside the current one. */
export const DDTRACE_2_PYTHON = path.join(ROOT, ".cache/venv-ddtrace-2/bin/python");
/** The same with Langfuse's last SDK that sends batches, which cannot be beside the current one. */
export const LANGFUSE_2_PYTHON = path.join(ROOT, ".cache/venv-langfuse-2/bin/python");
/** The original application's programs, where they are at hand. They are run in place. */
export const ARTICLE = path.resolve(ROOT, "../shared/article");
/** Recorded answers of a real llama-server, where they are at hand. */
export const LLAMA_SERVER_FIXTURES = path.resolve(ROOT, "../shared/fixtures/llama-server");
/** Recorded requests of real clients of Ollama, where they are at hand. */
export const OLLAMA_FIXTURES = path.resolve(ROOT, "../shared/fixtures/ollama");
/** Recorded requests of Datadog's clients with their heads, where they are at hand; their bodies. */
export const DATADOG_FIXTURES = path.resolve(ROOT, "../shared/fixtures/datadog");
export const DATADOG_BODIES = path.join(ROOT, "crates/receive/tests/fixtures/datadog");
export const OWN_PROGRAMS = path.join(ROOT, "tests/e2e/own-programs");
export const E2E = path.join(ROOT, "tests/e2e");
/** The current dd-trace, and the Node that it wants. */
export const DD_TRACE_6_MODULES = path.join(E2E, "dd-trace-6/node_modules");
export const NODE_22 = path.join(DD_TRACE_6_MODULES, `node-linux-${process.arch}/bin/node`);

/** `false`, or why a test that needs `folder` is skipped. */
export function missing(folder) {
  return existsSync(folder) ? false : `${path.relative(ROOT, folder)} is not there`;
}
