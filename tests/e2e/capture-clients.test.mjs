// Clients that others wrote, once straight to a runtime and once through the capture: both sides
// must see the same.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { environment, startAndon } from "./harness/andon.mjs";
import { Dialects } from "./harness/dialects.mjs";
import { missing, PYTHON, ROOT } from "./harness/paths.mjs";
import { run } from "./harness/process.mjs";
import { until } from "./harness/wait.mjs";

const CLIENT_MS = 120_000;
const python = (client) => [PYTHON, ["tests/clients/capture_clients.py", client]];
const node = (client) => [process.execPath, ["tests/clients/capture_clients.mjs", client]];

/** Of one connection, or naming the address. */
const OWN = new Set(["host", "connection", "transfer-encoding", "content-length"]);

let runtime;
let andon;
before(async () => {
  runtime = await Dialects.start();
  andon = await startAndon({ options: { runtime: runtime.url, privacy: "full" } });
});
after(async () => {
  await andon?.end();
  await runtime?.end();
});

/** What the client's user saw, call by call, and what the runtime got. */
async function play([program, [script, client]], url) {
  runtime.seen = [];
  const ran = await run(program, [path.join(ROOT, script), client, url], {
    env: environment({
      NO_PROXY: "127.0.0.1",
      no_proxy: "127.0.0.1",
      PYTHONDONTWRITEBYTECODE: "1",
    }),
    patienceMs: CLIENT_MS,
  });
  assert.equal(ran.code, 0, ran.stderr);
  const said = ran.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { said, seen: runtime.seen };
}

function comparable({ method, path: target, headers, body }) {
  const kept = Object.entries(headers).filter(([name]) => !OWN.has(name));
  return { method, target, body, headers: Object.fromEntries(kept.sort()) };
}

describe("clients through the capture", () => {
  const clients = {
    "ollama of PyPI": python("ollama"),
    "openai of PyPI": python("openai"),
    "anthropic of PyPI": python("anthropic"),
    "ollama of npm": node("ollama"),
    "openai of npm": node("openai"),
  };
  for (const [name, command] of Object.entries(clients)) {
    test(name, { skip: missing(command[0]) }, async () => {
      const direct = await play(command, runtime.url);
      const through = await play(command, andon.captureUrl);
      assert.ok(direct.said.length > 5);
      for (const [at, expected] of direct.said.entries()) {
        assert.deepEqual(through.said[at], expected, expected.call);
      }
      assert.deepEqual(through.seen.map(comparable), direct.seen.map(comparable));
    });
  }

  test("every call to a model left its span, as what it was", async () => {
    const traces = await until("the last span is there", async () => {
      const all = await andon.traces();
      return all.length > 40 && all;
    });
    const named = (name) => traces.filter((trace) => trace.name === name);
    assert.ok(named("embeddings tinyllama").every((trace) => trace.status === "ok"));
    const missingModel = traces.filter((trace) => trace.model_requested === "missing-model");
    assert.ok(missingModel.length >= 4);
    assert.ok(missingModel.every((trace) => trace.error_type === "model_missing"));
    const busy = traces.filter((trace) => trace.model_requested === "busy-model");
    assert.ok(busy.every((trace) => trace.error_type === "queue_full"));
    const good = traces.filter((trace) => trace.name === "chat tinyllama");
    const bad = good.filter((trace) => trace.status !== "ok").map((trace) => trace.trace_id);
    assert.deepEqual(bad, []);

    const spans = [];
    for (const { trace_id: id } of traces) {
      const trace = await andon.trace(id);
      spans.push({ ...trace.spans[0], contents: trace.contents });
    }
    const retried = spans.filter((span) => span.attributes["http.request.resend_count"] === 1);
    assert.equal(retried.length, 1, "the second attempt of one call");
    const first = spans.find(
      ({ trace_id: id }) => id === retried[0].attributes["andon.call.first_trace_id"],
    );
    assert.equal(first?.error_type, "queue_full", "the first one was turned away");
    const apart = retried[0].start_ns - first.start_ns;
    assert.ok(retried[0].attributes["andon.call.elapsed_ns"] > apart);
    const called = spans.filter((span) =>
      span.contents.some(({ role, text }) => role === "call" && text.includes("大阪")),
    );
    assert.ok(called.length >= 8, `${called.length} tool calls`);
    const pictures = spans.filter((span) =>
      span.contents.some(({ text }) => /\[image\/png, 70 bytes, sha256 [0-9a-f]{64}\]/.test(text)),
    );
    assert.ok(pictures.length >= 4, `${pictures.length} pictures`);
    const apps = new Set(spans.map((span) => span.ml_app));
    for (const app of ["ollama-python", "openai", "anthropic"]) {
      assert.ok(
        [...apps].some((seen) => seen?.startsWith(app)),
        `${app} in ${[...apps]}`,
      );
    }
    const kept = JSON.stringify(spans);
    assert.ok(!kept.includes("iVBORw0KGgo"), "no picture's bytes");
  });
});
