// What an agent answers, and what it reads: Andon beside Datadog's own test agent, both asked the same.
// That one is made for tests of clients; where Andon differs on purpose, the reason stands here.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { startAndon, temporaryFolder } from "./harness/andon.mjs";
import { recordedRequests, send, startTestAgent } from "./harness/datadog.mjs";
import { ask } from "./harness/http.mjs";
import { missing, PYTHON } from "./harness/paths.mjs";
import { freePort } from "./harness/process.mjs";
import { local } from "./harness/programs.mjs";

/** What the test agent lists at /info and Andon does not. */
const NOT_OFFERED = {
  "/v0.7/traces": "no client that the tests know sends it, whatever is listed",
  "/v1.0/traces": "no client that the tests know sends it, whatever is listed",
};

/** What the test agent says at /info and Andon does not. */
const NOT_SAID = {
  peer_tags: "for statistics that clients count, which Andon does not keep",
  llmobs_data_forwarding: "of the test agent alone",
  authenticated: "of the test agent alone",
};

/** Answers that differ on purpose: to whom, the test agent's status, Andon's, why. */
const DIFFERENCES = [
  {
    to: ({ path }) => /^\/(telemetry\/proxy|evp_proxy\/v\d)\/|^\/v0\.1\/pipeline_stats$/.test(path),
    statuses: [200, 202],
    why: "an agent hands these on, and Datadog's intake answers «accepted»",
  },
  {
    to: ({ path }) => path === "/v0.7/config",
    statuses: [200, 404],
    why: "an agent without remote configuration has no such path, and clients take that in silence",
  },
  {
    to: ({ path }) => path === "/dogstatsd/v2/proxy",
    statuses: [404, 200],
    why: "the test agent takes no metrics; a real one does",
  },
  {
    to: ({ name }) => name === "nothing",
    statuses: [400, 200],
    why: "clients ask so whether there is an agent",
  },
  {
    to: ({ method }) => method === "OPTIONS",
    statuses: [200, 405],
    why: "the test agent has web pages on other ports; Andon's own ask elsewhere",
  },
];

const msgpack = { "content-type": "application/msgpack" };
const json = { "content-type": "application/json" };
/** Requests of no client, or of one in trouble. */
const BY_HAND = [
  { name: "no trace", method: "PUT", path: "/v0.4/traces", headers: msgpack, body: [0x90] },
  { name: "no trace in JSON", method: "POST", path: "/v0.4/traces", headers: json, body: "[]" },
  {
    name: "no trace in rows",
    method: "POST",
    path: "/v0.5/traces",
    headers: msgpack,
    body: [0x92, 0x90, 0x90],
  },
  { name: "nothing", method: "POST", path: "/v0.4/traces", headers: msgpack },
  { name: "broken", method: "POST", path: "/v0.4/traces", headers: msgpack, body: [0x91, 0xc1] },
  { name: "half", method: "POST", path: "/v0.5/traces", headers: msgpack, body: [0x92, 0x91] },
  {
    name: "no events",
    method: "POST",
    path: "/evp_proxy/v4/api/v2/llmobs",
    headers: json,
    body: "[]",
  },
  {
    name: "statistics",
    method: "PUT",
    path: "/v0.6/stats",
    headers: msgpack,
    body: [0x81, 0xa5, ...Buffer.from("Stats"), 0x90],
  },
  {
    name: "pipelines",
    method: "POST",
    path: "/v0.1/pipeline_stats",
    headers: msgpack,
    body: [0x80],
  },
  { name: "profile", method: "POST", path: "/profiling/v1/input", body: "" },
  { name: "metrics", method: "POST", path: "/dogstatsd/v2/proxy", body: "requests:1|c" },
  { name: "configuration", method: "GET", path: "/v0.7/config" },
  { name: "head", method: "HEAD", path: "/info" },
  { name: "page", method: "OPTIONS", path: "/info" },
  { name: "get", method: "GET", path: "/v0.4/traces" },
  { name: "delete", method: "DELETE", path: "/v0.4/traces" },
  { name: "elsewhere", method: "GET", path: "/" },
].map((request) => ({ ...request, body: request.body && Buffer.from(request.body) }));

/** What is a failure to Andon though the span's own flag does not say so, and why. */
const FAILED_ALL_THE_SAME = [
  // The caller of a server that failed has no answer, whoever's fault that is.
  (span) => Number(span.meta?.["http.status_code"]) >= 500,
  // Programs note failures among the metadata of a call and end its span as if nothing were.
  (span) => Boolean(span.meta_struct?._llmobs?.meta.metadata?.error),
];

/** An object's names and the types of what they are for; lists and maps are seen as such. */
const shape = (object) =>
  Object.fromEntries(
    Object.entries(object).map(([name, value]) => [
      name,
      Array.isArray(value) ? "list" : typeof value,
    ]),
  );

const hex = (decimal) =>
  BigInt(decimal ?? 0)
    .toString(16)
    .padStart(16, "0");

describe("beside Datadog's test agent", { skip: missing(PYTHON) }, () => {
  let folder;
  let andon;
  let theirs;
  let door;
  /** Of each request: itself, the test agent's answer, Andon's. */
  const answered = [];

  before(async () => {
    folder = await temporaryFolder();
    const port = await freePort();
    door = local(port);
    const options = { "datadog-listen": `127.0.0.1:${port}`, runtime: "http://127.0.0.1:1" };
    [andon, theirs] = await Promise.all([
      startAndon({ options, ready: false }),
      startTestAgent(folder),
    ]);
    const recorded = await recordedRequests();
    const sessions = [
      ...recorded.map((request) => [request, "recorded"]),
      ...BY_HAND.map((request) => [request, "by-hand"]),
    ];
    for (const [request, session] of sessions) {
      const [their, our] = await Promise.all([
        send(theirs.url, request, session),
        send(door, request, session),
      ]);
      answered.push({ request, their, our });
    }
  });
  after(async () => {
    await theirs?.end();
    await andon?.end();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  test("the statuses of all answers are the same", () => {
    const used = new Set();
    for (const { request, their, our } of answered) {
      const difference = DIFFERENCES.find(({ to }) => to(request));
      const expected = difference?.statuses ?? [their.status, their.status];
      if (difference) used.add(difference);
      const what = `${request.name}: ${request.method} ${request.path}`;
      assert.deepEqual([their.status, our.status], expected, `${what}: ${our.text}`);
    }
    assert.deepEqual(
      DIFFERENCES.filter((difference) => !used.has(difference)),
      [],
    );
  });

  test("what is JSON there is JSON here, of the same shape", () => {
    const both = answered.filter(
      ({ their, our }) => their.json && their.status === 200 && our.status === 200,
    );
    const traces = both.filter(({ request }) => request.path.endsWith("/traces"));
    assert.ok(traces.length >= 6, `${traces.length} answers to traces`);
    for (const { request, our, their } of traces) {
      assert.match(our.headers["content-type"], /^application\/json\b/, request.name);
      assert.deepEqual(shape(our.json), shape(their.json), request.name);
      // A client keeps of each service what it is told; everything is kept here.
      for (const rate of Object.values(our.json.rate_by_service)) assert.equal(rate, 1);
    }
  });

  test("what is offered holds all that clients may look for", async () => {
    const their = await theirs.info();
    const answer = await ask(`${door}/info`);
    assert.match(answer.headers["content-type"], /^application\/json\b/);
    const our = answer.json;
    const unoffered = their.endpoints.filter((path) => !our.endpoints.includes(path));
    assert.deepEqual(unoffered.sort(), Object.keys(NOT_OFFERED).sort());
    const said = shape(their);
    for (const name of Object.keys(NOT_SAID)) {
      assert.ok(name in said && !(name in our), `${name} is no difference any more`);
      delete said[name];
    }
    for (const [name, type] of Object.entries(said)) assert.equal(shape(our)[name], type, name);
    // A client that finds less than it asks for sends nothing, or something older.
    const asked = answered.filter(({ request }) => !BY_HAND.includes(request) && request.body);
    for (const { request } of asked) {
      const isOffered = our.endpoints.some((path) => request.path.startsWith(path));
      assert.ok(isOffered, request.path);
    }
  });

  test("the same spans are read", async () => {
    const spans = await theirs.spans("recorded");
    const traces = byTrace(spans);
    assert.ok(traces.size >= 6 && spans.length >= 60, `${spans.length} in ${traces.size}`);
    for (const [id, expected] of traces) {
      const { spans: found } = await andon.trace(id);
      const our = found.map((span) => ({
        id: span.span_id,
        parent: span.parent_id ?? hex(0),
        name: span.name,
        service: span.service,
        resource: span.resource,
        start: span.start_ns,
        duration: span.duration_ns,
        failed: span.status === "error",
      }));
      const their = expected.map((span) => ({
        id: hex(span.span_id),
        parent: hex(span.parent_id),
        name: span.name,
        service: span.service,
        resource: span.resource,
        start: span.start,
        duration: span.duration,
        failed: Boolean(span.error) || FAILED_ALL_THE_SAME.some((failed) => failed(span)),
      }));
      assert.deepEqual(sorted(our), sorted(their));
    }
  });

  test("the same calls are read from LLM Observability", async () => {
    const events = await theirs.llmSpans("recorded");
    const traces = new Map();
    for (const [id, spans] of byTrace(await theirs.spans("recorded"))) {
      for (const { span_id } of spans) traces.set(span_id, id);
    }
    assert.ok(events.length >= 16, `${events.length} events`);
    for (const event of events) {
      const trace = await andon.trace(traces.get(event.span_id));
      const span = trace.spans.find(({ span_id }) => span_id === hex(event.span_id));
      const tags = Object.fromEntries(
        event.tags.map((tag) => [tag.slice(0, tag.indexOf(":")), tag.slice(tag.indexOf(":") + 1)]),
      );
      const our = {
        name: span.name,
        kind: span.llm_kind,
        model: span.model,
        provider: span.provider,
        app: span.ml_app,
        session: span.session_id,
        input: span.input_tokens,
        output: span.output_tokens,
        failed: span.status === "error",
      };
      const their = {
        name: event.name,
        kind: event.meta.span?.kind ?? event.meta["span.kind"],
        // Of a workflow the client takes neither, so that programs say them among their metadata.
        model: event.meta.model_name ?? event.meta.metadata?.model ?? null,
        provider: event.meta.model_provider ?? event.meta.metadata?.provider ?? null,
        app: tags.ml_app,
        session: event.session_id ?? null,
        input: event.metrics.input_tokens ?? null,
        output: event.metrics.output_tokens ?? null,
        failed: event.status === "error" || Boolean(event.meta.metadata?.error),
      };
      assert.deepEqual(our, their);
    }
  });
});

/** Spans by the whole id of their trace, whose upper half only one of them says. */
function byTrace(spans) {
  const upper = new Map();
  for (const { trace_id, meta } of spans) {
    if (meta?.["_dd.p.tid"]) upper.set(trace_id, meta["_dd.p.tid"]);
  }
  const traces = new Map();
  for (const span of spans) {
    const id = upper.get(span.trace_id) + hex(span.trace_id);
    traces.set(id, [...(traces.get(id) ?? []), span]);
  }
  return traces;
}

function sorted(spans) {
  return spans.sort((one, other) => (one.id < other.id ? -1 : 1));
}
