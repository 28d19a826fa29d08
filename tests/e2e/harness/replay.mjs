// A server that answers as a real llama-server did: the same heads, the same pieces, at the same
// pace or faster.
import { readFile, readdir } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { LLAMA_SERVER_FIXTURES } from "./paths.mjs";

/** Headers of one connection only. */
const HOP_BY_HOP = new Set(["transfer-encoding", "keep-alive", "connection"]);

/** One recorded call: `{name, request, response, body}`. */
export async function recorded(name) {
  const file = (kind) => path.join(LLAMA_SERVER_FIXTURES, `${name}.${kind}`);
  const [request, response, body] = await Promise.all([
    readFile(file("request.json"), "utf8"),
    readFile(file("response.json"), "utf8"),
    readFile(file("body.bin")),
  ]);
  return { name, request: JSON.parse(request), response: JSON.parse(response), body };
}

/** The names of all recorded calls, in order. */
export async function recordedNames() {
  const files = await readdir(LLAMA_SERVER_FIXTURES);
  const suffix = ".request.json";
  return files
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length))
    .sort();
}

export class Replay {
  /** The call that the next request is answered with; the others find the server as it was idle. */
  next = null;
  /** The requests for `next`: `{method, url, headers, body, closed}`. */
  seen = [];

  /** `pace`: 1 as recorded, 0.1 ten times as fast. */
  static async start({ pace = 0.1 } = {}) {
    const replay = new Replay();
    replay.pace = pace;
    const [models, props, slots] = await Promise.all(
      ["002-models", "003-props", "004-slots-idle"].map(recorded),
    );
    replay.idle = { "/v1/models": models, "/props": props, "/slots": slots };
    replay.server = http.createServer((request, response) => replay.#serve(request, response));
    await new Promise((resolve) => replay.server.listen(0, "127.0.0.1", resolve));
    replay.url = `http://127.0.0.1:${replay.server.address().port}`;
    return replay;
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const call = this.next?.request.path === request.url ? this.next : this.idle[request.url];
    if (!call) {
      response.writeHead(404).end();
      return;
    }
    const entry = { method: request.method, url: request.url, headers: request.headers, body };
    if (call === this.next) this.seen.push(entry);
    response.once("close", () => (entry.closed = true));
    await this.#answer(call, response);
  }

  async #answer({ response: was, body }, response) {
    await pause(was.headers_ms * this.pace);
    response.sendDate = false;
    for (const [name, value] of was.headers) {
      if (!HOP_BY_HOP.has(name.toLowerCase())) response.setHeader(name, value);
    }
    response.writeHead(was.status);
    response.flushHeaders();
    let [at, sent] = [was.headers_ms, 0];
    for (const [ms, bytes] of was.chunks) {
      if (ms > at) await pause((ms - at) * this.pace);
      at = Math.max(at, ms);
      if (response.destroyed) return;
      response.write(body.subarray(sent, sent + bytes));
      sent += bytes;
    }
    if (was.client_left_after_chunks === null) response.end();
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
