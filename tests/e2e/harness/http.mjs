// HTTP as it stands on the wire: any header, any body, and streams that can be left in the middle.
import http from "node:http";
import { createParser } from "./sse.mjs";
import { PATIENCE_MS, within } from "./wait.mjs";

/** Without keep-alive: a test's next request must not meet a connection that just went away. */
const agent = new http.Agent({ keepAlive: false });

function open(url, { method, headers = {}, body }) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent }, (response) =>
      resolve({ request, response }),
    );
    request.once("error", reject);
    // As bytes: Node writes a string body together with the head, in one encoding for both.
    request.end(typeof body === "string" ? Buffer.from(body) : body);
  });
}

/** One request and its whole answer as it came: `{status, headers, body}`. */
export async function askBytes(url, options = {}) {
  const { patienceMs = PATIENCE_MS, method = "GET", headers = {}, body } = options;
  const answered = open(url, { method, headers, body }).then(async ({ response }) => {
    const chunks = [];
    for await (const chunk of response) chunks.push(chunk);
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
  });
  return within(`${method} ${url}`, answered, patienceMs);
}

/** One request and its whole answer: `{status, headers, text, json}`. */
export async function ask(url, options = {}) {
  const { json, ...rest } = options;
  const headers = { ...rest.headers };
  let body = rest.body;
  if (json !== undefined) {
    body = JSON.stringify(json);
    headers["content-type"] ??= "application/json";
  }
  const method = rest.method ?? (body === undefined ? "GET" : "POST");
  const answer = await askBytes(url, { ...rest, method, headers, body });
  const text = answer.body.toString("utf8");
  return { status: answer.status, headers: answer.headers, text, json: parsed(text) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A streamed answer, read event by event. */
export class Stream {
  #queue = [];
  #waiting = null;
  #over = false;

  /** All events that came so far, in order. */
  events = [];

  static async open(url, { json, headers = {}, patienceMs = PATIENCE_MS } = {}) {
    const options = {
      method: json === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream", ...headers },
      body: json === undefined ? undefined : JSON.stringify(json),
    };
    const { request, response } = await within(
      `the head of ${url}`,
      open(url, options),
      patienceMs,
    );
    return new Stream(url, request, response, patienceMs);
  }

  constructor(url, request, response, patienceMs) {
    Object.assign(this, { url, request, patienceMs });
    this.status = response.statusCode;
    this.headers = response.headers;
    const parser = createParser((event) => this.#push(event));
    response.setEncoding("utf8");
    response.on("data", parser);
    const over = () => {
      this.#over = true;
      this.#waiting?.();
    };
    response.on("end", over);
    response.on("error", over);
    response.on("close", over);
    request.on("error", over);
  }

  #push(event) {
    this.events.push(event);
    this.#queue.push(event);
    this.#waiting?.();
  }

  /** The next event, or `null` at the end of the stream. */
  async next() {
    while (this.#queue.length === 0) {
      if (this.#over) return null;
      const more = new Promise((resolve) => (this.#waiting = resolve));
      await within(`the next event of ${this.url}`, more, this.patienceMs);
    }
    return this.#queue.shift();
  }

  /** Reads on to an event that `wanted` accepts (a name, or a function); fails at the end. */
  async until(wanted) {
    const accepts = typeof wanted === "string" ? (event) => event.name === wanted : wanted;
    for (;;) {
      const event = await this.next();
      if (event === null) {
        const seen = this.events.map(({ name }) => name).join(" ");
        throw new Error(`${this.url} ended without the event that was waited for; came: ${seen}`);
      }
      if (accepts(event)) return event;
    }
  }

  /** Reads to the end and gives the last event. */
  async last() {
    while ((await this.next()) !== null);
    return this.events.at(-1) ?? null;
  }

  /** Leaves, as a closed browser tab does. */
  leave() {
    this.request.destroy();
  }

  text() {
    const tokens = this.events.filter(({ name }) => name === "token");
    return tokens.map(({ data }) => data.text).join("");
  }
}
