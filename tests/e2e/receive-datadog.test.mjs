// Programs that were instrumented for Datadog, with Andon where they expect the agent: the article's
// and the project's own, and LLM Observability, under the current clients and under older ones.
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { environment, spanOf, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { ask } from "./harness/http.mjs";
import { SHORT } from "./harness/messages.mjs";
import { missing, PYTHON, ROOT } from "./harness/paths.mjs";
import { freePort, run } from "./harness/process.mjs";
import {
  article,
  datadog,
  DD_TRACE_5,
  DD_TRACE_6,
  DDTRACE_2,
  DDTRACE_4,
  local,
  ollamaStore,
  own,
  startGateway,
  startProxy,
} from "./harness/programs.mjs";
import { until } from "./harness/wait.mjs";

const NOTICE = "*11文字目以降を非表示にしています*";
/** What clients write when something did not arrive; one of them always counts what was dropped. */
const COMPLAINTS =
  /failed to send|error sending|dropping|dropped (?!by trace processors: 0\.)|could not|unable to|connection refused|ECONN/i;
const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";

let folder;
before(async () => {
  folder = await temporaryFolder();
});
after(async () => {
  if (folder) await rm(folder, { recursive: true, force: true });
});

let storeMade;
const store = () => (storeMade ??= ollamaStore(folder));

/** Runs `work` with a function for what it starts; that is ended after it, the last first. */
async function withPrograms(t, work) {
  const started = [];
  const ended = (thing) => {
    started.unshift(() => thing.end());
    return thing;
  };
  try {
    await work(ended);
  } finally {
    for (const end of started) await end().catch((error) => t.diagnostic(error.message));
  }
}

async function receiver(options = {}, env = {}) {
  const agent = await freePort();
  const andon = await startAndon({
    options: { "datadog-listen": `127.0.0.1:${agent}`, ...options },
    env,
  });
  return { andon, agent };
}

/** The spans from the root to one, by their ids. */
function wayTo(trace, span) {
  const way = [];
  for (let at = span; at; at = trace.spans.find((other) => other.span_id === at.parent_id)) {
    way.unshift(`${at.service} ${at.name}`);
  }
  return way;
}

function named(trace, name) {
  const found = trace.spans.filter((span) => span.name === name);
  assert.equal(found.length, 1, `${name} in ${trace.spans.map((span) => span.name).join(", ")}`);
  return found[0];
}

function traceNamed(andon, traceId, ...names) {
  return until(`trace ${traceId} has ${names.join(", ")}`, async () => {
    const trace = await andon.trace(traceId);
    const seen = trace?.spans.map((span) => span.name) ?? [];
    if (names.every((name) => seen.includes(name))) return trace;
    throw new Error(`it has ${seen.join(", ") || "none"}`);
  });
}

const SETS = [
  ["the article's", article, ["granite-ai-node_app2", "llm-worker"], "/chat_request"],
  ["the project's own", own, ["own-gateway", "own-proxy"], "ask /chat"],
];
/** The current ones of both languages together, and the older ones. */
const PAIRS = [
  [DD_TRACE_6, DDTRACE_4],
  [DD_TRACE_5, DDTRACE_2],
];
const everySet = SETS.flatMap((set) => PAIRS.map((pair) => [...set, ...pair]));

for (const [which, programs, services, workflow, node, python] of everySet) {
  const name = `${which} programs are one trace under ${node.name} and ${python.name}`;
  const skip = programs.hindrance || node.hindrance || python.hindrance;
  test(name, { skip }, async (t) => {
    const ports = await programs.ports(["gateway", "proxy", "runtime"]);
    if (ports.taken) return t.skip(ports.taken);
    await withPrograms(t, async (ended) => {
      const runtime = { "runtime-listen": `127.0.0.1:${ports.runtime}` };
      const { andon, agent } = await receiver(runtime, { OLLAMA_MODELS: await store() });
      ended(andon);
      const at = { ...ports, agent };
      // What a client could not send it says there, and nowhere else.
      const env = { DD_TRACE_DEBUG: "true" };
      const flask = ended(await startProxy(programs, at, folder, { client: python, env }));
      const gateway = ended(await startGateway(programs, at, folder, { client: node, env }));
      const headers = { traceparent: `00-${TRACE_ID}-${CALLER}-01` };
      const message = `${SHORT} 一言で教えてください。`;
      const url = `${local(ports.gateway)}/chat`;
      const answer = await ask(url, { json: { message }, headers });
      assert.equal(answer.status, 200, answer.text + gateway.output() + flask.output());

      const [express, worker] = services;
      const trace = await traceNamed(andon, TRACE_ID, "express.request", workflow);
      const way = wayTo(trace, named(trace, "requests.request"));
      assert.equal(way[0], `${express} express.request`);
      assert.ok(way.includes(`${express} http.request`), way.join(" → "));
      assert.ok(way.includes(`${worker} flask.request`), way.join(" → "));
      assert.equal(named(trace, "express.request").parent_id, CALLER);
      assert.equal(named(trace, "express.request").http_route, "/chat");
      assert.equal(named(trace, "express.request").resource, "POST /chat");
      assert.equal(named(trace, "express.request").source, "datadog");
      for (const [client, name] of [
        [node, "express.request"],
        [python, "flask.request"],
      ]) {
        const version = named(trace, name).attributes["telemetry.sdk.version"];
        assert.ok(version.startsWith(client.version), `${name} by ${version}`);
      }

      const call = named(trace, workflow);
      assert.equal(call.llm_kind, "workflow");
      assert.equal(call.model_requested, "tinyllama:latest");
      assert.equal(call.input_tokens, answer.json.prompt_eval_count);
      assert.equal(call.output_tokens, answer.json.eval_count);
      const texts = trace.contents.filter(({ span_id }) => span_id === call.span_id);
      const input = texts.find(({ part }) => part === "input");
      // The program cut it itself; here it is not cut once more.
      assert.equal(input.text, message.slice(0, 10) + NOTICE);

      // What failed is seen as a failure, though the program only notes it.
      const failing = "0af7651916cd43dd8448eb211c803100";
      const long = "国境の長いトンネル。".repeat(1500);
      const failed = await ask(url, {
        json: { message: long },
        headers: { traceparent: `00-${failing}-${CALLER}-01` },
      });
      assert.equal(failed.status, 500, failed.text);
      const broken = await traceNamed(andon, failing, "express.request", "flask.request");
      const noted = broken.spans.find((span) => span.llm_kind === "workflow");
      assert.equal(noted.status, "error");
      assert.ok(noted.error_message, JSON.stringify(noted));
      assert.ok(!JSON.stringify(broken).includes("トンネル。国境"), "no more of it than allowed");

      assert.equal(flask.ended, null, flask.output());
      assert.equal(gateway.ended, null, gateway.output());
      await flask.end();
      await gateway.end();
      for (const program of [flask, gateway]) assert.doesNotMatch(program.output(), COMPLAINTS);
    });
  });
}

describe("LLM Observability", () => {
  /** Runs a program of tests/clients under a client to its end. */
  async function output(client, script, agent, more) {
    const env = environment({
      ...datadog(agent),
      ...client.env,
      DD_TRACE_DEBUG: "true",
      ...more,
    });
    const args = [path.join(ROOT, "tests/clients", script)];
    const ended = await run(client.run, args, { cwd: folder, env });
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    return ended;
  }

  /** The ids that it printed, where nothing went wrong. */
  async function ids(client, script, agent, more = {}) {
    const ended = await output(client, script, agent, more);
    assert.doesNotMatch(ended.stdout + ended.stderr, COMPLAINTS);
    return JSON.parse(ended.stdout.split("\n").find((line) => /^\{".*\}$/.test(line)));
  }

  /** The trace of the span with this id, which one service sent. */
  function traceOf(andon, service, spanId) {
    return until(`a trace of ${service}`, async () => {
      for (const { trace_id } of await andon.traces(`service:${service}`)) {
        const trace = await andon.trace(trace_id);
        if (trace.spans.some((span) => span.span_id === spanId)) return trace;
      }
      return null;
    });
  }

  const hex = (decimal) => BigInt(decimal).toString(16).padStart(16, "0");

  for (const client of [DDTRACE_4, DDTRACE_2]) {
    const where = client === DDTRACE_4 ? "inside the spans" : "beside the spans";
    test(`by ${client.name}, ${where}`, { skip: client.hindrance }, async (t) => {
      await withPrograms(t, async (ended) => {
        const { andon, agent } = await receiver();
        ended(andon);
        const exported = await ids(client, "datadog_client.py", agent);
        const id = hex(exported.span_id);
        const trace = await until("both halves", async () => {
          const trace = await traceOf(andon, "client", id);
          // Events alone know the model, and spans alone the process.
          const call = trace.spans.find((span) => span.span_id === id);
          return call.model && call.pid && trace.spans.length >= 6 && trace;
        });
        assert.equal(trace.spans.length, 6);
        const call = named(trace, "generate");
        assert.equal(call.span_id, id);
        assert.ok(call.attributes["telemetry.sdk.version"].startsWith(client.version));
        assert.equal(call.llm_kind, "llm");
        assert.equal(call.model, "granite3.2:2b");
        assert.equal(call.ml_app, "client-bot");
        assert.equal(call.input_tokens, 31);
        assert.equal(call.output_tokens, 12);
        assert.equal(call.attributes["dd.llmobs.trace_id"] ?? call.trace_id, exported.trace_id);
        const texts = trace.contents.filter(({ span_id }) => span_id === call.span_id);
        assert.deepEqual(texts.map(({ part }) => part).sort(), ["input", "output", "system"]);
        for (const { text } of trace.contents) assert.ok(!text.includes("山田"), text);
        const broken = named(trace, "broken");
        assert.equal(broken.status, "error");
        assert.ok(!JSON.stringify(trace).includes("山田"), "neither in errors nor in stacks");
        for (const [file, bytes] of Object.entries(await andon.kept())) {
          assert.ok(!bytes.includes("山田"), file);
        }
        // Version 2 sends evaluations to Datadog itself, never to an agent.
        if (client === DDTRACE_2) return;
        const judged = await until("its evaluations", async () => {
          const { evaluations } = await andon.trace(call.trace_id);
          return evaluations.length === 3 && evaluations;
        });
        for (const { span_id } of judged) assert.equal(span_id, call.span_id);
        assert.deepEqual(judged.map(({ evaluator }) => evaluator).sort(), [
          "quality",
          "relevance",
          "toxicity",
        ]);
      });
    });
  }

  test("by a socket of the file system", { skip: missing(PYTHON) }, async (t) => {
    await withPrograms(t, async (ended) => {
      const socket = path.join(folder, "apm.socket");
      const config = path.join(folder, "sockets.toml");
      await writeFile(config, `[receive]\ndatadog_socket = ${JSON.stringify(socket)}\n`);
      // What was left by one that was killed is no hindrance.
      const { andon } = await receiver({ config, "datadog-listen": "off" });
      andon.program.signal("SIGKILL");
      await andon.end();
      const again = ended((await receiver({ config, "datadog-listen": "off" })).andon);
      const url = `unix://${socket}`;
      const there = { DD_TRACE_AGENT_URL: url };
      const exported = await ids(DDTRACE_4, "datadog_client.py", null, there);
      const trace = await traceOf(again, "client", hex(exported.span_id));
      assert.equal(named(trace, "generate").llm_kind, "llm");
    });
  });

  for (const client of [DD_TRACE_6, DD_TRACE_5]) {
    test(`by ${client.name}, beside the spans`, { skip: client.hindrance }, async (t) => {
      await withPrograms(t, async (ended) => {
        const { andon, agent } = await receiver();
        ended(andon);
        const exported = await ids(client, "datadog_client.cjs", agent);
        const trace = await until("both halves", async () => {
          const trace = await andon.trace(exported.trace);
          const call = trace?.spans.find((span) => span.name === "ask");
          // The event alone knows the model, and the span alone the process.
          return call?.model && call.pid && trace;
        });
        assert.equal(trace.spans.length, 2);
        const call = spanOf(
          { spans: trace.spans.filter(({ name }) => name === "ask") },
          "node-client",
        );
        assert.equal(call.span_id, hex(exported.span));
        assert.ok(call.attributes["telemetry.sdk.version"].startsWith(client.version));
        assert.equal(call.llm_kind, "llm");
        assert.equal(call.input_tokens, 7);
        assert.equal(call.parent_id, named(trace, "outer").span_id);
        assert.equal(call.attributes["dd.tags.plan"], "free");
        const texts = trace.contents.filter(({ span_id }) => span_id === call.span_id);
        assert.equal(texts.length, 2);
        assert.ok(texts.some(({ text }) => text.endsWith(NOTICE)));
        const [judged] = await until("its evaluation", async () => {
          const { evaluations } = await andon.trace(exported.trace);
          return evaluations.length > 0 && evaluations;
        });
        assert.equal(judged.score, 0.5);
        assert.equal(judged.span_id, call.span_id);
        // Its client sends the span only when this is answered; then it is stored where it belongs, once.
        const sql = `SELECT trace_id FROM evaluations WHERE trace_id = '${exported.trace}'`;
        const { json: rows } = await andon.post("/api/v1/query", { sql });
        assert.equal(rows.length, 1);
      });
    });
  }

  // Without this a client that says it in other words would never fail a test.
  describe("refused, it complains", { concurrency: true }, () => {
    for (const [client, script] of [
      [DD_TRACE_6, "datadog_client.cjs"],
      [DD_TRACE_5, "datadog_client.cjs"],
      [DDTRACE_4, "datadog_client.py"],
      [DDTRACE_2, "datadog_client.py"],
    ]) {
      test(client.name, { skip: client.hindrance }, async () => {
        const refusing = createServer((request, response) => {
          const endpoints = ["/v0.4/traces", "/v0.5/traces", "/evp_proxy/v2/"];
          response.statusCode = request.url === "/info" ? 200 : 400;
          request.resume().on("end", () => response.end(JSON.stringify({ endpoints })));
        });
        await new Promise((resolve) => refusing.listen(0, "127.0.0.1", resolve));
        try {
          const { stdout, stderr } = await output(client, script, refusing.address().port);
          assert.match(stdout + stderr, COMPLAINTS);
        } finally {
          refusing.closeAllConnections();
          refusing.close();
        }
      });
    }
  });
});
