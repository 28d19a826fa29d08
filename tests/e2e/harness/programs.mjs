// Two sets of the same three programs: those of the article, run in place where they are at hand,
// and the project's own. The tests see both through one face.
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import path from "node:path";
import { environment } from "./andon.mjs";
import {
  ARTICLE,
  DD_TRACE_6_MODULES,
  DDTRACE_2_PYTHON,
  E2E,
  missing,
  MODEL,
  NODE_22,
  OWN_PROGRAMS,
  PYTHON,
} from "./paths.mjs";
import { freePort, Program, taken } from "./process.mjs";
import { until } from "./wait.mjs";

/** The article's page names its server so. */
const PLACEHOLDER = "https://ドメイン名";

/**
 * What a program is told of Datadog's agent. Where there is none, ddtrace says to one that asks for LLM
 * Observability that a key is missing, and ends it, unless the agent's way is chosen by name.
 */
export function datadog(agent) {
  if (!agent) return { DD_LLMOBS_AGENTLESS_ENABLED: "0" };
  return { DD_TRACE_AGENT_URL: local(agent), DD_AGENT_HOST: "127.0.0.1" };
}

/** Datadog's clients: `run` runs a program under one, whose version begins with `version`. */
export const DD_TRACE_5 = {
  name: "dd-trace 5",
  version: "5.",
  run: process.execPath,
  // The article's folder has no modules of its own.
  env: { NODE_PATH: path.join(E2E, "node_modules") },
  hindrance: false,
};
export const DD_TRACE_6 = {
  name: "dd-trace 6",
  version: "6.",
  run: NODE_22,
  env: { NODE_PATH: DD_TRACE_6_MODULES },
  hindrance: missing(NODE_22),
};
const python = { PYTHONDONTWRITEBYTECODE: "1", NO_PROXY: "*" };
export const DDTRACE_4 = {
  name: "ddtrace 4",
  version: "4.",
  run: PYTHON,
  env: python,
  hindrance: missing(PYTHON),
};
export const DDTRACE_2 = {
  name: "ddtrace 2",
  version: "2.",
  run: DDTRACE_2_PYTHON,
  env: python,
  hindrance: missing(DDTRACE_2_PYTHON),
};

export const article = {
  hindrance: missing(ARTICLE) || missing(PYTHON),
  /** Where the named ones stand, or in `taken` why they cannot; asked anew for each test. */
  async ports(names) {
    const ports = { gateway: 3000, proxy: 5002, runtime: 11434 };
    return { ...ports, taken: await taken(...names.map((name) => ports[name])) };
  },
  gateway: () => path.join(ARTICLE, "app.js"),
  proxy: () => [path.join(ARTICLE, "llm_proxy.py")],
  page: {
    route: "#modelSelect",
    question: "#messageInput",
    ask: "button",
    answer: "#response",
    time: "#meta",
    noQuestion: "メッセージを入力してください。",
    unreachable: "エラーが発生しました。",
    async html(gateway) {
      const html = await readFile(path.join(ARTICLE, "llm.html"), "utf8");
      if (!html.includes(PLACEHOLDER)) throw new Error("the article's page is another one");
      return html.replaceAll(PLACEHOLDER, gateway);
    },
  },
  failed: "Error communicating with Python proxy",
};

export const own = {
  hindrance: missing(PYTHON),
  async ports() {
    const [gateway, proxy, runtime] = await Promise.all([freePort(), freePort(), freePort()]);
    return { gateway, proxy, runtime, taken: false };
  },
  /** A copy: where it stands it would find the tests' own modules, whatever client is asked for. */
  async gateway(folder) {
    const copy = path.join(folder, "gateway.cjs");
    await copyFile(path.join(OWN_PROGRAMS, "gateway.cjs"), copy);
    return copy;
  },
  proxy: (at) => [path.join(OWN_PROGRAMS, "proxy.py"), `${at.proxy}`, local(at.runtime)],
  page: {
    route: "#route",
    question: "#question",
    ask: "#ask",
    answer: "#answer",
    time: "#time",
    noQuestion: "質問がありません",
    unreachable: "つながりません",
    async html(gateway) {
      const html = await readFile(path.join(OWN_PROGRAMS, "page.html"), "utf8");
      const own = 'new URLSearchParams(location.search).get("gateway")';
      return html.replace(own, JSON.stringify(gateway));
    },
  },
  failed: "the proxy failed",
};

export function local(port) {
  return `http://127.0.0.1:${port}`;
}

/** Starts the Express gateway of a set, under a client, and waits until it answers. */
export async function startGateway(programs, ports, cwd, { client = DD_TRACE_5, env = {} } = {}) {
  const all = environment({
    ...datadog(ports.agent),
    ...client.env,
    ...env,
    PORT: `${ports.gateway}`,
    PROXY: local(ports.proxy),
  });
  const script = await programs.gateway(cwd);
  return started(new Program(client.run, [script], { cwd, env: all }), ports.gateway);
}

/** Starts the Flask proxy of a set, under a client, and waits until it answers. */
export async function startProxy(programs, ports, cwd, { client = DDTRACE_4, env = {} } = {}) {
  const all = environment({ ...datadog(ports.agent), ...client.env, ...env });
  const program = new Program(client.run, programs.proxy(ports), { cwd, env: all });
  return started(program, ports.proxy);
}

async function started(program, port) {
  try {
    await program.until(`it listens on ${port}`, () => connects(port));
    return program;
  } catch (error) {
    await program.end();
    throw error;
  }
}

function connects(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/**
 * A store as Ollama keeps one, in which the real model has the name that the Flask proxies ask for.
 * They send no limit that Ollama's API knows, so the store's settings hold the answers short.
 */
export async function ollamaStore(folder) {
  const root = path.join(folder, "ollama");
  const [weights] = (await readFile(`${MODEL}.sha256`, "utf8")).split(/\s/);
  const limits = JSON.stringify({ temperature: 0, num_predict: 60 });
  const settings = createHash("sha256").update(limits).digest("hex");
  const place = path.join(root, "manifests/registry.example/library/tinyllama");
  await mkdir(place, { recursive: true });
  await mkdir(path.join(root, "blobs"), { recursive: true });
  await symlink(MODEL, path.join(root, `blobs/sha256-${weights}`));
  await writeFile(path.join(root, `blobs/sha256-${settings}`), limits);
  const layer = (kind, sum) => ({
    mediaType: `application/vnd.ollama.image.${kind}`,
    digest: `sha256:${sum}`,
    size: 1,
  });
  const layers = [layer("model", weights), layer("params", settings)];
  await writeFile(path.join(place, "latest"), JSON.stringify({ schemaVersion: 2, layers }));
  return root;
}

/** Serves one page, as a small web server beside Andon would. */
export async function servePage(html) {
  const server = createServer((request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(request.url === "/" ? html : "");
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The chat page of a set in a browser's page: asking, and what it then shows. */
export class ChatPage {
  constructor(page, elements) {
    Object.assign(this, { page, elements });
  }

  /** Asks, and waits until something is said. Returns it, with the answer that came over HTTP. */
  async ask(message, { route = "/chat", by = "Enter" } = {}) {
    const { page, elements } = this;
    await page.selectOption(elements.route, route);
    await page.fill(elements.question, message);
    const answered = message ? this.#answered(route) : null;
    if (by === "Enter") await page.press(elements.question, "Enter");
    else await page.click(elements.ask);
    const response = await answered;
    await until("the page says something", () => this.#text(elements.answer));
    return { said: await this.#text(elements.answer), response };
  }

  time() {
    return this.#text(this.elements.time);
  }

  async #answered(route) {
    const isAnswer = (request) =>
      request.method() === "POST" && new URL(request.url()).pathname === route;
    const request = await this.page.waitForEvent("requestfinished", {
      predicate: isAnswer,
      timeout: 120_000,
    });
    const response = await request.response();
    return { status: response.status(), json: await response.json() };
  }

  #text(selector) {
    return this.page.locator(selector).textContent();
  }
}
