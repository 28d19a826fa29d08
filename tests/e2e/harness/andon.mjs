// A real Andon with a data folder of its own, on free ports, ended with the test.
import { rmSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { ask, Stream } from "./http.mjs";
import { BINARY, MODEL } from "./paths.mjs";
import { freePort, Program } from "./process.mjs";
import { until } from "./wait.mjs";

/** Far above what anything needs here, so that a busy machine does not time a test out. */
const TIMEOUT = "120s";

/** The tests' environment without anything that would configure Andon. */
export function environment(extra = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("ANDON_"));
  return { ...Object.fromEntries(kept), ...extra };
}

const folders = [];
process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that goes when the tests of this file have ended. */
export async function temporaryFolder() {
  const folder = await mkdtemp(path.join(os.tmpdir(), "andon-e2e-"));
  folders.push(folder);
  return folder;
}

/**
 * Starts `andon up` and waits until it takes work.
 *   options  flags by name, as `{timeout: "1s"}`; `null` leaves a default flag of the tests out
 *   data     a folder to go on with; a new one unless told otherwise
 *   ready    false: only until it listens (a runtime that never comes)
 */
export async function startAndon({ options = {}, env = {}, data, ready = true } = {}) {
  const folder = data ?? (await temporaryFolder());
  const [listen, proxy, capture, runtime] = await Promise.all(Array.from({ length: 4 }, freePort));
  const flags = {
    data: path.join(folder, "data"),
    listen: `127.0.0.1:${listen}`,
    "proxy-listen": `127.0.0.1:${proxy}`,
    "capture-listen": `127.0.0.1:${capture}`,
    "runtime-listen": `127.0.0.1:${runtime}`,
    // Receivers are for the tests that send: two Andons side by side would want the same ports.
    "otlp-grpc-listen": "off",
    "otlp-http-listen": "off",
    "datadog-listen": "off",
    "dogstatsd-listen": "off",
    runtime: "builtin",
    model: MODEL,
    lang: "ja",
    timeout: TIMEOUT,
    ...options,
  };
  const args = Object.entries(flags)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `--${name}=${value}`);
  // The folder is the working directory too: no andon.toml of anybody is read.
  const program = new Program(BINARY, ["up", ...args], { cwd: folder, env: environment(env) });
  const andon = new Andon(program, folder, flags);
  try {
    await program.until("it listens", () => program.stderr.includes("/andon/"));
    if (ready) {
      await program.until("/readyz is ok", async () => {
        const answer = await andon.get("/readyz");
        if (answer.status !== 200) throw new Error(answer.text);
        return true;
      });
    }
  } catch (error) {
    await andon.end();
    throw error;
  }
  return andon;
}

export class Andon {
  constructor(program, folder, flags) {
    Object.assign(this, { program, folder, flags });
    this.url = `http://${flags.listen}`;
    this.proxyUrl = `http://${flags["proxy-listen"]}`;
    this.captureUrl = `http://${flags["capture-listen"]}`;
    this.runtimeUrl = `http://${flags["runtime-listen"]}`;
    this.otlpGrpcUrl = `http://${flags["otlp-grpc-listen"]}`;
    this.otlpUrl = `http://${flags["otlp-http-listen"]}`;
    this.headers = {};
  }

  get pid() {
    return this.program.pid;
  }

  get data() {
    return this.flags.data;
  }

  get(route, options = {}) {
    return ask(this.url + route, { ...options, headers: { ...this.headers, ...options.headers } });
  }

  post(route, json, options = {}) {
    return this.get(route, { ...options, json });
  }

  /** Asks in one piece. */
  chat(message, extra = {}, options = {}) {
    return this.post("/chat", { message, ...extra }, options);
  }

  /** Asks for a stream. */
  stream(message, extra = {}, { route = "/chat", base = this.url, headers = {} } = {}) {
    return Stream.open(base + route, {
      json: { message, ...extra },
      headers: { ...this.headers, ...headers },
    });
  }

  async live() {
    return (await this.get("/api/v1/live")).json.calls;
  }

  /** Waits until no call runs any more: what was cancelled is really gone. */
  idle() {
    return until("no call runs", async () => (await this.live()).length === 0);
  }

  async trace(traceId) {
    const answer = await this.get(`/api/v1/traces/${traceId}`);
    return answer.status === 200 ? answer.json : null;
  }

  /** The trace once it holds spans of all these services. */
  traceWith(traceId, ...services) {
    return until(`trace ${traceId} has spans of ${services.join(", ")}`, async () => {
      const trace = await this.trace(traceId);
      const seen = trace?.spans.map((span) => span.service) ?? [];
      if (services.every((service) => seen.includes(service))) return trace;
      throw new Error(`it has ${seen.join(", ") || "none"}`);
    });
  }

  async traces(q = "") {
    return (await this.get(`/api/v1/traces?q=${encodeURIComponent(q)}`)).json.traces;
  }

  /** The process of the built-in runtime, seen as a child of this Andon. */
  async runtimePid() {
    const children = await childrenOf(this.pid);
    return children[0] ?? null;
  }

  /** Every byte below the data folder, by file. */
  async kept() {
    const files = await readdir(this.data, { recursive: true, withFileTypes: true });
    const read = files
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const name = path.join(entry.parentPath ?? entry.path, entry.name);
        return [name, await readFile(name)];
      });
    return Object.fromEntries(await Promise.all(read));
  }

  /** `kill -9`, as the kernel does it. */
  async kill() {
    this.program.signal("SIGKILL");
    await this.program.exit;
  }

  /** Ends it; the folder goes too, unless it is needed further. */
  async end({ keep = false } = {}) {
    const gently = await this.program.end();
    if (!keep) await rm(this.folder, { recursive: true, force: true });
    return gently;
  }
}

async function childrenOf(pid) {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = tasks.map((task) =>
    readFile(`/proc/${pid}/task/${task}/children`, "utf8").catch(() => ""),
  );
  const pids = (await Promise.all(lists)).join(" ").split(/\s+/).filter(Boolean);
  return pids.map(Number);
}

/** The span of a service in a trace. */
export function spanOf(trace, service) {
  const span = trace.spans.find((candidate) => candidate.service === service);
  if (!span) throw new Error(`no span of ${service} in ${JSON.stringify(trace.spans)}`);
  return span;
}
