// An Andon that receives OTLP, the programs that send it some, and a way out that leads nowhere.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import path from "node:path";
import { environment, startAndon } from "./andon.mjs";
import { OTEL_PYTHON, OWN_PROGRAMS } from "./paths.mjs";
import { freePort } from "./process.mjs";
import { within } from "./wait.mjs";

/** Importing one of the larger libraries takes seconds on a busy machine. */
const PROGRAM_MS = 120_000;

/** Starts an Andon with receivers on free ports; the rest as `startAndon` has it. */
export async function startReceiver({ options = {}, ...rest } = {}) {
  const [grpc, http] = await Promise.all([freePort(), freePort()]);
  const receivers = {
    "otlp-grpc-listen": `127.0.0.1:${grpc}`,
    "otlp-http-listen": `127.0.0.1:${http}`,
  };
  return startAndon({ ...rest, options: { ...receivers, ...options } });
}

/** A proxy to the world that lets nobody out, and notes who wanted to go where. */
export class WayOut {
  wanted = [];

  static async start() {
    const way = new WayOut();
    way.server = createServer((request, response) => {
      way.wanted.push(request.url);
      response.writeHead(403).end();
    });
    way.server.on("connect", (request, socket) => {
      way.wanted.push(request.url);
      socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    });
    await new Promise((resolve) => way.server.listen(0, "127.0.0.1", resolve));
    way.url = `http://127.0.0.1:${way.server.address().port}`;
    return way;
  }

  /** What a program's environment says so that it goes out by here alone. */
  get environment() {
    const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
    return {
      ...Object.fromEntries(proxies.map((name) => [name, this.url])),
      NO_PROXY: "127.0.0.1",
      no_proxy: "127.0.0.1",
    };
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

/**
 * Runs a program of own-programs/receive to its end. `input` goes to its standard input as JSON,
 * and each line of JSON that it prints is one of `said`.
 */
export async function send(
  program,
  args = [],
  { input = null, env = {}, python = OTEL_PYTHON } = {},
) {
  const command = program.endsWith(".py") ? python : process.execPath;
  const child = spawn(command, [path.join(OWN_PROGRAMS, "receive", program), ...args], {
    env: environment({ PYTHONDONTWRITEBYTECODE: "1", ...env }),
    stdio: ["pipe", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify(input));
  const ended = new Promise((resolve) => child.once("close", resolve));
  let code;
  try {
    code = await within(`${program} ${args.join(" ")}`, ended, PROGRAM_MS);
  } finally {
    child.kill("SIGKILL");
  }
  assert.equal(code, 0, `${program} ${args.join(" ")}: ${stdout}${stderr}`);
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  return { said: lines.map((line) => JSON.parse(line)), log: stderr };
}

/**
 * The app of own-programs/receive/ask.py under each of these libraries, as many at a time as a
 * small machine has cores; `callsOf` gives what each asks. What each printed, by library.
 */
export async function askAll(libraries, callsOf, { runtime, otlp, service, wayOut }) {
  const ran = {};
  const waiting = [...libraries];
  const worker = async () => {
    for (let library = waiting.shift(); library; library = waiting.shift()) {
      const input = { runtime, otlp, service, calls: callsOf(library) };
      ran[library] = await send("ask.py", [library], { input, env: wayOut.environment });
    }
  };
  await Promise.all([worker(), worker()]);
  return ran;
}
