// llama.cpp's own server, kvprof before it, the network before that, and Andon before all; beside them llmwatch,
// on the server's log.
import { appendFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { environment } from "../../../tests/e2e/harness/andon.mjs";
import { ask } from "../../../tests/e2e/harness/http.mjs";
import { freePort, Program, run } from "../../../tests/e2e/harness/process.mjs";
import { World } from "../world.mjs";

/** Its own log and HTTP, called from Python, where it comes ready built. */
const SERVER = `
import sys, threading, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_parallel = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
params.n_ctx, params.cpuparams.n_threads = 4096 * params.n_parallel, 2
# What llmwatch reads is told at this level only.
params.verbosity = 4
# Else it keeps the prompts of earlier conversations aside, and none is lost.
params.cache_ram_mib = 0
server = xllamacpp.Server(params)
threading.Event().wait()
`;
/** llmwatch warns on a screen alone, so it gets one. */
const SCREEN = `import pty, sys; pty.spawn(["sh", "-c", "stty rows 60 cols 200; exec " + sys.argv[1]])`;
const ESCAPES = /\u001b\[[0-9;?]*[a-zA-Z]|\u001b[()][A-Z0-9]/g;

/** llmwatch twice: its screen, and its events. */
class Llmwatch {
  #lines = [];
  #rest = "";

  constructor(bin, log, folder) {
    const env = environment({ LLMWATCH_NO_UPDATE_CHECK: "1", TERM: "xterm", HOME: folder });
    const command = `${bin}/ollama-llmwatch --no-color --no-history --log ${log}`;
    this.screen = new Program(`${bin}/python`, ["-c", SCREEN, command], { cwd: folder, env });
    this.events = new Program("sh", ["-c", `exec ${command} --json`], { cwd: folder, env });
    this.screen.child.stdout.on("data", (text) => this.#look(text));
  }

  #look(text) {
    const lines = (this.#rest + text).replaceAll(ESCAPES, "\n").split(/[\r\n]+/);
    this.#rest = lines.pop();
    this.#lines.push(...lines.map((line) => line.trim()).filter((line) => line.startsWith("! ")));
  }

  mark() {
    return { lines: this.#lines.length, events: this.events.stdout.length };
  }

  since({ lines, events }) {
    const told = this.events.stdout.slice(events).split("\n").filter(Boolean);
    return {
      warnings: [...new Set(this.#lines.slice(lines))],
      events: told.map((line) => JSON.parse(line)),
    };
  }

  async end() {
    await Promise.all([this.screen.end(), this.events.end()]);
  }
}

export class LlamaWorld extends World {
  /** Where the tools are, and how many answers the server gives at a time; told to `start`. */
  bin;
  slots;

  get door() {
    return this.tapPort;
  }

  async startRuntime() {
    const { bin, slots } = this;
    this.log = path.join(this.folder, "server.log");
    this.traces = path.join(this.folder, "traces");
    // By this name Andon knows a process as a model's server.
    const script = path.join(this.folder, "llama-server");
    await writeFile(script, SERVER);
    appendFileSync(this.log, "");
    await this.dropFile();
    const args = [`${bin}/python`, script, this.model, this.port, slots].join(" ");
    const env = environment();
    this.runtime = new Program("sh", ["-c", `exec ${args} 2>> ${this.log}`], { env });
    await this.group?.add(this.runtime.pid);
    await this.runtime.until("the server answers", async () => {
      return (await ask(`http://127.0.0.1:${this.port}/health`)).status === 200;
    });
    this.tapPort = await freePort();
    const listen = ["--listen", `127.0.0.1:${this.tapPort}`, "--trace-dir", this.traces];
    const tap = ["tap", "--upstream", `http://127.0.0.1:${this.port}`, ...listen, "--quiet"];
    this.tap = new Program(`${bin}/kvprof`, tap, { cwd: this.folder, env });
    await this.tap.until("kvprof listens", async () => {
      return (await ask(`http://127.0.0.1:${this.tapPort}/health`)).status === 200;
    });
    this.llmwatch = new Llmwatch(bin, this.log, this.folder);
  }

  request({ content, tokens = 24, system, stream = false }) {
    const messages = [{ role: "user", content }];
    if (system) messages.unshift({ role: "system", content: system });
    const body = { messages, stream, max_tokens: tokens, seed: 1 };
    return { path: "/v1/chat/completions", body };
  }

  /** The server has its slots from the start. */
  async withTwoSlots(during) {
    return during();
  }

  /** It was loaded when the server started, and stays. */
  async holdModel() {}

  /** What kvprof says of all requests; it asks the server for that, which has to be there. */
  async kvprof() {
    const { bin, slots } = this;
    let runtime = this.runtime;
    if (runtime.ended) {
      const script = path.join(this.folder, "llama-server");
      const args = [script, this.model, String(this.port), String(slots)];
      runtime = new Program(`${bin}/python`, args, { env: environment() });
      await runtime.until("a server answers kvprof", async () => {
        return (await ask(`http://127.0.0.1:${this.port}/health`)).status === 200;
      });
    }
    const from = ["--upstream", `http://127.0.0.1:${this.port}`, "--trace-dir", this.traces];
    const args = ["analyze", ...from, "--server-log", this.log, "--json"];
    const { stdout, stderr } = await run(`${bin}/kvprof`, args, { cwd: this.folder });
    if (runtime !== this.runtime) await runtime.end();
    if (!stdout.startsWith("[")) throw new Error(`kvprof: ${stdout}${stderr}`);
    return JSON.parse(stdout);
  }

  /** For kvprof alone it comes back, when all is over. */
  async restartRuntime() {
    await this.runtime.exit;
  }

  async end() {
    await this.llmwatch.end();
    await this.tap.end();
    await super.end();
  }
}
