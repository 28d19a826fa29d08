// What goes through the capture comes out as it went in, whatever it is, and every way that a call
// can end is a status of its own.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { spanOf, startAndon } from "./harness/andon.mjs";
import { LAST_LINE, line, ollama } from "./harness/fakes.mjs";
import { ask } from "./harness/http.mjs";
import { missing, OLLAMA_FIXTURES } from "./harness/paths.mjs";
import { freePort } from "./harness/process.mjs";
import { until } from "./harness/wait.mjs";

const NDJSON = { "content-type": "application/x-ndjson" };
const BIG = 96 << 20;

/** A runtime whose next answer each test writes itself: `(request, response) => …`. */
class Scripted {
  answer = null;
  open = 0;

  static async start() {
    const scripted = new Scripted();
    const usual = ollama();
    scripted.server = http.createServer((request, response) => {
      const own = usual[`${request.method} ${request.url}`];
      if (own && request.method === "GET") return own(response);
      scripted.open += 1;
      response.once("close", () => (scripted.open -= 1));
      return scripted.answer(request, response);
    });
    await new Promise((resolve) => scripted.server.listen(0, "127.0.0.1", resolve));
    scripted.url = `http://127.0.0.1:${scripted.server.address().port}`;
    return scripted;
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

let runtime;
let andon;
before(async () => {
  runtime = await Scripted.start();
  andon = await startAndon({ options: { runtime: runtime.url, privacy: "full" } });
});
after(async () => {
  await andon?.end();
  await runtime?.end();
});

/** A question to the capture. */
function generate(json = { model: "tiny", prompt: "hello" }) {
  return ask(`${andon.captureUrl}/api/generate`, { json });
}

async function spanFor(answer) {
  const trace = await andon.traceWith(answer.headers["x-trace-id"], "ollama");
  return { ...spanOf(trace, "ollama"), contents: trace.contents };
}

describe("passing through", () => {
  const clients = ["ollama-py", "ollama-js", "openai-py", "openai-js"];
  for (const client of clients) {
    const folder = path.join(OLLAMA_FIXTURES, client);
    test(`every recorded request of ${client}`, { skip: missing(folder) }, async () => {
      const files = (await readdir(folder)).filter((file) => file.endsWith(".headers.json")).sort();
      assert.ok(files.length > 0);
      for (const file of files) {
        const head = JSON.parse(await readFile(path.join(folder, file), "utf8"));
        const bodyFile = path.join(folder, file.replace(".headers.", ".body."));
        const body = await readFile(bodyFile).catch(() => Buffer.alloc(0));
        await sameOnBothSides(head, body);
      }
    });
  }

  /** Sends a request as recorded, and compares what reached the runtime. */
  async function sameOnBothSides({ method, path: target, headers }, body) {
    let seen;
    runtime.answer = async (request, response) => {
      seen = { ...request, method: request.method, url: request.url, raw: request.rawHeaders };
      seen.body = await readAll(request);
      response.writeHead(200, { "content-type": "application/json" }).end('{"done":true}');
    };
    const dropped = new Set(["host", "connection", "content-length", "transfer-encoding", "te"]);
    const kept = headers.filter(([name]) => !dropped.has(name.toLowerCase()));
    const options = { method, headers: [...kept.flat(), "host", "localhost:11435"] };
    if (body.length > 0) options.headers.push("content-length", String(body.length));
    const answer = await new Promise((resolve, reject) => {
      const request = http.request(andon.captureUrl + target, options, (response) =>
        readAll(response).then(resolve, reject),
      );
      request.once("error", reject);
      request.end(body);
    });
    if (!seen) return; // What Andon's own fake answers: /api/tags and the like.
    assert.equal(answer.toString(), '{"done":true}');
    assert.deepEqual([seen.method, seen.url], [method, target]);
    assert.ok(seen.body.equals(body), target);
    const pairs = [];
    for (let at = 0; at < seen.raw.length; at += 2) pairs.push([seen.raw[at], seen.raw[at + 1]]);
    const lower = (all) => all.map(([name, value]) => [name.toLowerCase(), value]);
    const arrived = lower(pairs).filter(([name]) => !dropped.has(name));
    assert.deepEqual(arrived.sort(), lower(kept).sort(), target);
    assert.equal(new Map(lower(pairs)).get("host"), new URL(runtime.url).host);
  }

  test("HEAD, and DELETE with a body", async () => {
    runtime.answer = async (request, response) => {
      const body = await readAll(request);
      response.writeHead(200, { "x-method": request.method, "content-length": "2" });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    const head = await ask(`${andon.captureUrl}/x`, { method: "HEAD" });
    assert.deepEqual([head.status, head.headers["content-length"]], [200, "2"]);
    const headers = { "content-length": "2" };
    const options = { method: "DELETE", body: "{}", headers };
    const gone = await ask(`${andon.captureUrl}/api/delete`, options);
    assert.deepEqual([gone.headers["x-method"], gone.text], ["DELETE", "{}"]);
    const span = await spanFor(gone);
    assert.deepEqual([span.name, span.llm_kind], ["DELETE /api/delete", null]);
  });

  test("a body that waits for 100-continue", async () => {
    runtime.answer = async (request, response) => {
      assert.equal(request.headers.expect, undefined);
      response.end(await readAll(request));
    };
    const text = await new Promise((resolve, reject) => {
      const headers = { expect: "100-continue", "content-length": "5" };
      const options = { method: "POST", headers };
      const request = http.request(`${andon.captureUrl}/api/create`, options, (response) =>
        readAll(response).then((body) => resolve(body.toString()), reject),
      );
      request.once("continue", () => request.end("hello"));
      request.once("error", reject);
      request.flushHeaders();
    });
    assert.equal(text, "hello");
  });

  test("a large upload and a large answer, not held in memory", async () => {
    const piece = Buffer.alloc(1 << 20, 7);
    const sum = createHash("sha256");
    for (let sent = 0; sent < BIG; sent += piece.length) sum.update(piece);
    const expected = sum.digest("hex");
    runtime.answer = async (request, response) => {
      const hash = createHash("sha256");
      for await (const chunk of request) hash.update(chunk);
      response.writeHead(201, { "x-sha256": hash.digest("hex") });
      for (let sent = 0; sent < BIG; sent += piece.length) {
        if (!response.write(piece)) await new Promise((go) => response.once("drain", go));
      }
      response.end();
    };
    const before = await peakMemory();
    const came = await new Promise((resolve, reject) => {
      const options = { method: "POST", headers: { "content-length": String(BIG) } };
      const url = `${andon.captureUrl}/api/blobs/sha256:0`;
      const request = http.request(url, options, async (response) => {
        const hash = createHash("sha256");
        for await (const chunk of response) hash.update(chunk);
        resolve({ sent: response.headers["x-sha256"], got: hash.digest("hex") });
      });
      request.once("error", reject);
      (async () => {
        for (let sent = 0; sent < BIG; sent += piece.length) {
          if (!request.write(piece)) await new Promise((go) => request.once("drain", go));
        }
        request.end();
      })();
    });
    assert.deepEqual(came, { sent: expected, got: expected });
    const grown = (await peakMemory()) - before;
    assert.ok(grown < BIG / 4, `the peak grew by ${grown} bytes`);
  });

  async function peakMemory() {
    const status = await readFile(`/proc/${andon.pid}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+)/.exec(status)[1]) * 1024;
  }

  test("pipelined requests are answered in order", async () => {
    runtime.answer = (request, response) => response.end(request.url);
    const one = (target) => `GET ${target} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
    const socket = net.connect(Number(new URL(andon.captureUrl).port), "127.0.0.1");
    socket.write(one("/first") + one("/second") + one("/third"));
    let text = "";
    socket.on("data", (chunk) => (text += chunk));
    await until("three answers", () => /first[^]*second[^]*third$/.test(text));
    socket.destroy();
  });

  test("an encoded answer goes on as it is, and is read all the same", async () => {
    runtime.answer = (request, response) => {
      response.writeHead(200, { ...NDJSON, "content-encoding": "gzip" });
      response.end(gzipSync(line({ response: "hi", done: false }) + LAST_LINE));
    };
    const options = { method: "POST", body: '{"model":"tiny","prompt":"x"}' };
    const answer = await fetch(`${andon.captureUrl}/api/generate`, options);
    assert.equal(answer.headers.get("content-encoding"), "gzip");
    assert.ok((await answer.text()).endsWith(LAST_LINE));
    const span = await spanFor({ headers: Object.fromEntries(answer.headers) });
    assert.deepEqual([span.status, span.output_tokens], ["ok", 3]);
    assert.equal(span.contents.at(-1).text, "hi");
  });

  test("pieces are not held back", async () => {
    let more;
    runtime.answer = (request, response) => {
      response.writeHead(200, NDJSON);
      response.write(line({ response: "a", done: false }));
      more = () => response.end(LAST_LINE);
    };
    const options = { method: "POST", body: '{"model":"tiny","prompt":"x"}' };
    const answer = await fetch(`${andon.captureUrl}/api/generate`, options);
    const reader = answer.body.getReader();
    const first = await reader.read();
    assert.match(Buffer.from(first.value).toString(), /"response":"a"/);
    more();
    while (!(await reader.read()).done);
  });

  test("a client that does not read holds the runtime back", async () => {
    let written = 0;
    let stopped = false;
    runtime.answer = (request, response) => {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      const piece = Buffer.alloc(256 << 10, 1);
      const go = () => {
        let goesOn = !stopped;
        while (goesOn) {
          goesOn = response.write(piece);
          written += piece.length;
        }
        response.once("drain", go);
      };
      go();
    };
    const socket = net.connect(Number(new URL(andon.captureUrl).port), "127.0.0.1");
    socket.pause();
    socket.write("GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let last = -1;
    await until("the runtime waits", async () => {
      const still = written === last && written > 0;
      last = written;
      if (!still) await pause(300);
      return still;
    });
    assert.ok(written < 64 << 20, `${written} bytes were taken for a client that reads none`);
    stopped = true;
    socket.destroy();
    await until("the runtime is left", () => runtime.open === 0);
  });
});

describe("every end is a status of its own", () => {
  const ends = [
    ["answered", (r) => r.writeHead(200, NDJSON).end(LAST_LINE), "ok", null],
    [
      "an error within the stream",
      (r) => r.writeHead(200, NDJSON).end('{"response":"a"}\n{"error":"out of memory"}\n'),
      "error",
      "out_of_memory",
    ],
    [
      "a quiet end without the last line",
      (r) => r.writeHead(200, NDJSON).end(line({ response: "a", done: false })),
      "error",
      "stream_unfinished",
    ],
    [
      "a broken connection",
      (r) => {
        r.writeHead(200, NDJSON);
        r.write(line({ response: "a", done: false }), () => r.destroy());
      },
      "error",
      "stream_broken",
    ],
    [
      "an unknown model",
      (r) => r.writeHead(404).end('{"error":"model \'x\' not found"}'),
      "error",
      "model_missing",
    ],
    [
      "a full queue",
      (r) => r.writeHead(503).end('{"error":"server busy, please try again"}'),
      "error",
      "queue_full",
    ],
    ["a plain failure", (r) => r.writeHead(500).end("oops"), "error", "runtime_failed"],
    ["a refusal", (r) => r.writeHead(400).end('{"error":"bad"}'), "error", "request_refused"],
  ];
  for (const [name, write, status, errorType] of ends) {
    test(`${name}: ${errorType ?? status}`, async () => {
      runtime.answer = (request, response) => write(response);
      const trace = "a".repeat(16) + createHash("md5").update(name).digest("hex").slice(0, 16);
      await ask(`${andon.captureUrl}/api/generate`, {
        json: { model: "tiny", prompt: "hello" },
        headers: { traceparent: `00-${trace}-00f067aa0ba902b7-01` },
      }).catch(() => {});
      const span = await spanFor({ headers: { "x-trace-id": trace } });
      assert.deepEqual([span.status, span.error_type], [status, errorType]);
      if (name === "a plain failure") assert.equal(span.error_message, "oops");
    });
  }

  test("a client that leaves before the answer: the runtime is left at once", async () => {
    runtime.answer = () => {};
    const trace = "b".repeat(32);
    const request = http.request(`${andon.captureUrl}/api/generate`, {
      method: "POST",
      headers: { traceparent: `00-${trace}-00f067aa0ba902b7-01` },
    });
    request.on("error", () => {});
    request.end('{"model":"tiny","prompt":"x"}');
    await until("the runtime has it", () => runtime.open === 1);
    request.destroy();
    await until("the runtime is left", () => runtime.open === 0);
    const span = await spanFor({ headers: { "x-trace-id": trace } });
    assert.deepEqual([span.error_type, span.model_requested], ["client_gone", "tiny"]);
  });

  test("a runtime that is not there: Andon says that it is Andon, in the API's form", async () => {
    const lone = await startAndon({
      options: { runtime: `http://127.0.0.1:${await freePort()}` },
      ready: false,
    });
    try {
      const shapes = {
        "/api/chat": (body) => body.error,
        "/v1/chat/completions": (body) => body.error.message,
        "/v1/messages": (body) => body.type === "error" && body.error.message,
      };
      for (const [target, message] of Object.entries(shapes)) {
        const answer = await ask(lone.captureUrl + target, { json: { model: "m", messages: [] } });
        assert.equal(answer.status, 502);
        assert.equal(answer.headers["x-andon-error"], "runtime_down");
        assert.match(message(answer.json), /cannot be reached/);
      }
    } finally {
      await lone.end();
    }
  });

  test("a strange name for this machine is turned away", async () => {
    const headers = { host: "evil.example" };
    const answer = await ask(`${andon.captureUrl}/api/chat`, { headers, json: {} });
    assert.deepEqual([answer.status, answer.headers["x-andon-error"]], [403, "forbidden"]);
  });
});

test("texts are masked before they reach the disk, wherever they hide", async () => {
  const secret = "SECRET-4711-とても内密";
  const text = `A harmless beginning, and then ${secret}.`;
  const careful = await startAndon({ options: { runtime: runtime.url } });
  try {
    const call = { function: { name: "look", arguments: { what: text } } };
    const json = {
      model: "tiny",
      messages: [
        { role: "system", content: text },
        { role: "user", content: text },
        { role: "assistant", content: text, thinking: text, tool_calls: [call] },
        { role: "tool", content: text },
      ],
      tools: [{ type: "function", function: { name: "look", description: text } }],
      options: { stop: [text] },
      format: { type: "object", description: text },
    };
    const answers = [
      (r) => r.writeHead(200, NDJSON).end(line({ message: { content: text } }) + LAST_LINE),
      (r) => r.writeHead(200, NDJSON).end(`${JSON.stringify({ error: `cannot: ${text}` })}\n`),
      (r) => r.writeHead(400).end(JSON.stringify({ error: `bad prompt ${text}` })),
    ];
    for (const write of answers) {
      runtime.answer = (request, response) => write(response);
      const answer = await ask(`${careful.captureUrl}/api/chat?key=${"SECRET-4711"}`, { json });
      const trace = await careful.traceWith(answer.headers["x-trace-id"], "ollama");
      assert.ok(trace.contents.length >= 6, "the texts are there, masked");
      const shown = JSON.stringify(trace);
      assert.ok(!shown.includes("SECRET-4711") && !shown.includes("内密"), shown);
    }
    for (const [file, bytes] of Object.entries(await careful.kept())) {
      for (const part of ["SECRET-4711", "とても内密"]) {
        assert.ok(!bytes.includes(part), `${part} in ${file}`);
      }
    }
    assert.ok(!careful.program.stderr.includes("SECRET-4711"));
  } finally {
    await careful.end();
  }
});

describe("what cannot be read goes through, and makes a poorer span", () => {
  const bodies = {
    "not JSON": "{",
    "not UTF-8": Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
    "another type": '{"model":7,"prompt":{"a":1},"messages":"no","options":[1],"images":7}',
    empty: "",
  };
  for (const [name, body] of Object.entries(bodies)) {
    test(`a request that is ${name}`, async () => {
      let came;
      runtime.answer = async (request, response) => {
        came = await readAll(request);
        response.writeHead(200, NDJSON).end(LAST_LINE);
      };
      const answer = await ask(`${andon.captureUrl}/api/generate`, { method: "POST", body });
      assert.equal(answer.text, LAST_LINE);
      assert.ok(came.equals(Buffer.from(body)));
      assert.equal((await spanFor(answer)).status, "ok");
    });
  }

  test("a line of 50 MB and garbage between the lines", async () => {
    const long = `{"response":"${"x".repeat(50 << 20)}","done":false}\n`;
    runtime.answer = (request, response) => {
      response.writeHead(200, NDJSON);
      response.end(`garbage\n{"a":\n${line({ response: "a", done: false })}${long}${LAST_LINE}`);
    };
    const answer = await generate();
    assert.ok(answer.text.length > 50 << 20);
    const span = await spanFor(answer);
    assert.deepEqual([span.status, span.output_tokens], ["ok", 3]);
    assert.equal(span.attributes["andon.capture.cut"], "too long");
    assert.equal(span.attributes["andon.capture.unreadable"], 2);
  });

  test("an answer that is reset at each of its bytes", async () => {
    const whole = line({ response: "a", done: false }) + LAST_LINE;
    for (let cut = 0; cut < whole.length; cut += 7) {
      runtime.answer = (request, response) => {
        response.writeHead(200, { ...NDJSON, "content-length": String(whole.length) });
        if (cut === 0) response.flushHeaders();
        response.write(whole.slice(0, cut), () => setImmediate(() => response.destroy()));
      };
      await assert.rejects(generate(), `cut at ${cut}`);
    }
    runtime.answer = (request, response) => response.writeHead(200, NDJSON).end(LAST_LINE);
    assert.equal((await generate()).status, 200);
    assert.equal((await andon.get("/api/v1/status")).json.dropped.unreadable, 0);
  });
});
