// Datadog's own stand-in for an agent, and requests that its clients once sent.
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { environment } from "./andon.mjs";
import { ask } from "./http.mjs";
import { DATADOG_BODIES, DATADOG_FIXTURES, PYTHON } from "./paths.mjs";
import { freePort, Program } from "./process.mjs";

/** Heads of one connection only; the body's length is set anew. */
const OF_ONE_CONNECTION = new Set(["host", "connection", "content-length", "transfer-encoding"]);

/** The folders of recordings that Andon's door for Datadog's clients is meant for. */
const RECORDINGS = ["article-apps", "llmobs-kinds", "llmobs-kinds-py3"];

const MSGPACK = "application/msgpack";
const LLM_SPANS = "/evp_proxy/v2/api/v2/llmobs";
const EVALUATIONS = "/evp_proxy/v2/api/intake/llm-obs/v2/eval-metric";

/** The same bodies, for where no recordings are: `[file, path, type]`. */
const BODIES = [
  ["article-python.v04.msgpack", "/v0.4/traces", MSGPACK],
  ["article-node.v04.msgpack", "/v0.4/traces", MSGPACK],
  ["ddtrace-4.16.v04.msgpack", "/v0.4/traces", MSGPACK],
  ["ddtrace-3.10-llmobs.json", LLM_SPANS, "application/json"],
  ["ddtrace-3.10.v05.msgpack", "/v0.5/traces", MSGPACK],
  ["ddtrace-3.10-evaluations.json", EVALUATIONS, "application/json"],
  ["ddtrace-4.16-evaluations.json", EVALUATIONS, "application/json"],
];

/** What clients sent: `{name, method, path, headers, body}` each. */
export async function recordedRequests() {
  const all = existsSync(DATADOG_FIXTURES) ? await recordings() : await bodies();
  // One after another as they are sent here, an evaluation would wait in vain for the span it is about.
  const late = ({ path }) => path.endsWith("/eval-metric");
  return [...all.filter((one) => !late(one)), ...all.filter(late)];
}

async function recordings() {
  const all = [];
  for (const folder of RECORDINGS) {
    const files = await readdir(path.join(DATADOG_FIXTURES, folder));
    for (const file of files.filter((file) => file.endsWith(".headers.json")).sort()) {
      const name = path.join(folder, file.replace(/\.headers\.json$/, ""));
      const at = path.join(DATADOG_FIXTURES, name);
      const said = JSON.parse(await readFile(`${at}.headers.json`, "utf8"));
      const kept = ([name]) => !OF_ONE_CONNECTION.has(name.toLowerCase());
      const headers = Object.fromEntries(Object.entries(said.headers).filter(kept));
      const body = said.method === "GET" ? undefined : await readFile(`${at}.body.bin`);
      all.push({ name, method: said.method, path: said.path, headers, body });
    }
  }
  return all;
}

function bodies() {
  const read = async ([name, at, type]) => {
    const body = await readFile(path.join(DATADOG_BODIES, name));
    return { name, method: "POST", path: at, headers: { "content-type": type }, body };
  };
  return Promise.all(BODIES.map(read));
}

/** Sends a request to one that stands for an agent; `session` keeps apart what the test agent was told. */
export function send(url, { method, path, headers = {}, body }, session) {
  const all = { ...headers, "x-datadog-test-session-token": session };
  if (body) all["content-length"] = body.length;
  return ask(url + path, { method, headers: all, body });
}

/** Starts the test agent, which hands nothing on, and waits until it answers. */
export async function startTestAgent(cwd) {
  const [port, otlpHttp, otlpGrpc] = await Promise.all([freePort(), freePort(), freePort()]);
  const args = [
    ["--port", port],
    ["--otlp-http-port", otlpHttp],
    ["--otlp-grpc-port", otlpGrpc],
    // What the environment says of a real one is not for it.
    ["--agent-url", ""],
    ["--dd-api-key", ""],
    ["--disable-llmobs-data-forwarding"],
  ];
  const command = ["-m", "ddapm_test_agent.agent", ...args.flat().map(String)];
  const program = new Program(PYTHON, command, { cwd, env: environment() });
  const agent = new TestAgent(program, `http://127.0.0.1:${port}`);
  try {
    await program.until("it answers", async () => (await agent.info()).version);
    return agent;
  } catch (error) {
    await program.end();
    throw error;
  }
}

class TestAgent {
  constructor(program, url) {
    Object.assign(this, { program, url });
  }

  async info() {
    return (await ask(`${this.url}/info`)).json;
  }

  /** All spans of a session as it read them, whatever form they came in; ids are texts. */
  async spans(session) {
    const answer = await ask(`${this.url}/test/session/traces?test_session_token=${session}`);
    // Half of all ids are larger than what a number of JavaScript holds.
    const text = answer.text.replaceAll(/("(?:trace|span|parent)_id": )(\d+)/g, '$1"$2"');
    return JSON.parse(text).flat();
  }

  /** All spans of LLM Observability of a session, whether they came as events or inside of spans. */
  async llmSpans(session) {
    const at = `${this.url}/test/session/requests?test_session_token=${session}`;
    const requests = (await ask(at)).json.filter(({ url }) => /\/llmobs(\?|$)/.test(url));
    const events = requests.flatMap(({ body }) => JSON.parse(Buffer.from(body, "base64")));
    return events.flatMap(({ spans }) => spans);
  }

  end() {
    return this.program.end();
  }
}
