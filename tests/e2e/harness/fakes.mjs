// Runtimes and proxies that misbehave on purpose, and small honest ones of other dialects.
import http from "node:http";

/** An HTTP server on a free port of loopback. `routes`: "METHOD /path" to a handler. */
export class Fake {
  /** Every request that came, with its body. */
  requests = [];
  /** How many calls are open. */
  open = 0;

  static async start(routes, { port = 0 } = {}) {
    const fake = new Fake();
    fake.server = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString("utf8");
      const seen = { method: request.method, path: request.url, headers: request.headers, body };
      fake.requests.push(seen);
      fake.open += 1;
      response.once("close", () => (fake.open -= 1));
      const handler = routes[`${request.method} ${request.url}`];
      if (!handler) return json(response, { error: "no such path" }, 404);
      return handler(response, { ...seen, json: body ? JSON.parse(body) : undefined });
    });
    await new Promise((resolve) => fake.server.listen(port, "127.0.0.1", resolve));
    const { port: taken } = fake.server.address();
    fake.authority = `127.0.0.1:${taken}`;
    fake.url = `http://${fake.authority}`;
    return fake;
  }

  /** The requests to a path, oldest first. */
  asked(path) {
    return this.requests.filter((request) => request.path === path);
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

export function json(response, value, status = 200) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

const NAME = "tiny:latest";

export function line(fields) {
  return `${JSON.stringify({ model: NAME, created_at: "2026-01-01T00:00:00Z", ...fields })}\n`;
}

export const LAST_LINE = line({
  response: "",
  done: true,
  done_reason: "stop",
  total_duration: 90_000_000,
  load_duration: 30_000_000,
  prompt_eval_count: 12,
  prompt_eval_duration: 10_000_000,
  eval_count: 3,
  eval_duration: 40_000_000,
});

/** Ollama's API with one model; `generate` answers POST /api/generate. */
export function ollama(generate, { loaded = true, contextLength = 8_192 } = {}) {
  const model = {
    name: NAME,
    model: NAME,
    size: 1_000,
    digest: "d".repeat(64),
    details: {
      family: "tiny",
      parameter_size: "1M",
      quantization_level: "Q4_K_M",
      context_length: contextLength,
    },
  };
  return {
    "GET /api/version": (response) => json(response, { version: "0.33.4" }),
    "GET /api/tags": (response) => json(response, { models: [model] }),
    "GET /api/ps": (response) => json(response, { models: loaded ? [model] : [] }),
    "POST /api/generate": generate,
  };
}

export function sse(...chunks) {
  return chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("");
}

/** An OpenAI-compatible server with one model, which streams `chunks`. */
export function openai(chunks) {
  const models = { object: "list", data: [{ id: "some-model", object: "model", owned_by: "me" }] };
  return {
    "GET /v1/models": (response) => json(response, models),
    "POST /v1/chat/completions": (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(`${sse(...chunks)}data: [DONE]\n\n`);
    },
  };
}

export function delta(content, more = {}) {
  const choices = [{ index: 0, delta: content === null ? {} : { content }, ...more }];
  return { id: "c-1", object: "chat.completion.chunk", model: "some-model", choices };
}
