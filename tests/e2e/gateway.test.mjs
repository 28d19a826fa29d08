// Gateway and proxy as the original application had them: routes, bodies, statuses, ids, streams;
// and every kind of bad input, each with its own error and a span that shows it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { spanOf, startAndon } from "./harness/andon.mjs";
import { ask } from "./harness/http.mjs";
import { long, SHORT } from "./harness/messages.mjs";
import { MODEL_NAME } from "./harness/paths.mjs";
import { until } from "./harness/wait.mjs";

const HEX_32 = /^[0-9a-f]{32}$/;
const ROUTES = { "/chat": "tinyllama:latest", "/granite": "granite3.2:2b" };
const MAX_BODY = 1 << 20;

let andon;
before(async () => {
  andon = await startAndon();
});
after(() => andon?.end());

const bases = () => ({ gateway: andon.url, proxy: andon.proxyUrl });

/** The one span of `service` in the trace that an answer names. */
async function spanBehind(answer, service) {
  const trace = await andon.traceWith(answer.headers["x-trace-id"], service);
  return spanOf(trace, service);
}

function assertTimings(timings) {
  for (const name of ["queue_ms", "load_ms", "prompt_ms", "ttft_ms", "generate_ms", "andon_ms"]) {
    assert.equal(typeof timings[name], "number", name);
    assert.ok(timings[name] >= 0, `${name} ${timings[name]}`);
  }
  assert.ok(timings.total_ms >= timings.generate_ms);
}

function assertServerTiming(headers) {
  const names = (headers["server-timing"] ?? "").split(", ").map((part) => part.split(";dur=")[0]);
  assert.deepEqual(names, ["queue", "load", "prompt", "generate", "andon"]);
}

describe("the original's routes", () => {
  for (const service of ["gateway", "proxy"]) {
    for (const [route, model] of Object.entries(ROUTES)) {
      test(`POST ${route} on the ${service} answers as JSON`, async () => {
        const base = bases()[service];
        const answer = await ask(base + route, { json: { message: SHORT } });
        assert.equal(answer.status, 200, answer.text);
        const body = answer.json;
        assert.ok(body.reply.length > 0);
        assert.ok(body.eval_count > 0 && body.prompt_eval_count > 0);
        assert.equal(typeof body.duration_ms, "number");
        // The original gave nanoseconds under this name.
        assert.ok(body.duration_ms <= body.timings.total_ms + 1, `${body.duration_ms}`);
        assert.equal(body.model_requested, model);
        assert.equal(body.model, MODEL_NAME);
        assert.ok(body.note.includes(model), "another model answered, and that is said");
        assert.match(body.trace_id, HEX_32);
        assert.equal(answer.headers["x-trace-id"], body.trace_id);
        assert.equal(answer.headers["x-request-id"], body.request_id);
        assertServerTiming(answer.headers);
        assertTimings(body.timings);
        const span = await spanBehind(answer, service);
        assert.equal(span.name, `POST ${route}`);
        assert.equal(span.status, "ok");
        assert.equal(span.http_status, 200);
      });

      test(`POST ${route} on the ${service} streams`, async () => {
        const stream = await andon.stream(SHORT, {}, { base: bases()[service], route });
        assert.equal(stream.status, 200);
        assert.match(stream.headers["content-type"], /^text\/event-stream/);
        assertServerTiming(stream.headers);
        const done = await stream.last();
        assert.equal(done.name, "done", JSON.stringify(done));
        const names = stream.events.map(({ name }) => name);
        assert.equal(names[0], "start");
        assert.ok(names.indexOf("phase") < names.indexOf("token"));
        assert.equal(stream.text(), done.data.reply, "the pieces are the whole");
        assert.equal(stream.events[0].data.trace_id, done.data.trace_id);
        assert.equal(stream.events[0].data.timeout_ms, 120_000);
        const phases = stream.events.filter(({ name }) => name === "phase");
        assert.ok(phases.some(({ data }) => data.phase === "generate" && data.tokens > 0));
        assertTimings(done.data.timings);
        assert.equal(stream.headers["x-trace-id"], done.data.trace_id);
      });
    }
  }

  test("the proxy takes the original's {prompt} too", async () => {
    const answer = await ask(`${andon.proxyUrl}/chat`, { json: { prompt: SHORT } });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.json.reply.length > 0);
  });

  test("the proxy's limit of 40 tokens holds unless the caller asks for more", async () => {
    const message = `${"ABC ".repeat(10)}を続けてください`;
    const cut = await andon.chat(message, { temperature: 0 });
    assert.equal(cut.json.eval_count, 40);
    assert.equal(cut.json.finish_reason, "length");
    const longer = await andon.chat(message, { temperature: 0, num_predict: 60 });
    assert.equal(longer.json.eval_count, 60);
  });

  test("a follow-up knows the conversation", async () => {
    const messages = [
      { role: "user", content: "私の名前は田中です。" },
      { role: "assistant", content: "田中さん、こんにちは。" },
    ];
    const answer = await andon.chat("私の名前は何ですか?", { messages, temperature: 0 });
    assert.equal(answer.status, 200, answer.text);
    const alone = await andon.chat("私の名前は何ですか?", { temperature: 0 });
    assert.ok(answer.json.prompt_eval_count > alone.json.prompt_eval_count);
    const trace = await andon.traceWith(answer.json.trace_id, "runtime");
    const input = trace.contents.filter(({ part }) => part === "input");
    assert.deepEqual(
      input.map(({ role }) => role),
      ["user", "assistant", "user"],
    );
  });
});

describe("ids and traces", () => {
  test("x-request-id, session and user are kept through all spans", async () => {
    const headers = { "x-request-id": "order-42", "x-user-id": "hanako" };
    const answer = await andon.chat(SHORT, { session_id: "session-7" }, { headers });
    assert.equal(answer.headers["x-request-id"], "order-42");
    assert.equal(answer.json.request_id, "order-42");
    const trace = await andon.traceWith(answer.json.trace_id, "gateway", "proxy", "runtime");
    for (const span of trace.spans) {
      assert.equal(span.request_id, "order-42", span.service);
      assert.equal(span.session_id, "session-7", span.service);
      assert.equal(span.user_id, "hanako", span.service);
    }
  });

  test("a traceparent is joined, and the spans form one tree below it", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const parent = "00f067aa0ba902b7";
    const headers = { traceparent: `00-${traceId}-${parent}-01` };
    const answer = await andon.chat(SHORT, {}, { headers });
    assert.equal(answer.headers["x-trace-id"], traceId);
    const trace = await andon.traceWith(traceId, "gateway", "proxy", "runtime");
    const [gateway, proxy, runtime] = ["gateway", "proxy", "runtime"].map((service) =>
      spanOf(trace, service),
    );
    assert.equal(gateway.parent_id, parent);
    assert.equal(proxy.parent_id, gateway.span_id);
    assert.equal(runtime.parent_id, proxy.span_id);
    assert.equal(runtime.llm_kind, "llm");
    assert.ok(runtime.timings.eval_ns > 0 && runtime.timings.ttft_ns > 0);
    assert.ok(runtime.attributes["andon.runtime.threads"] >= 1);
    // Each within the one around it, with a little room for two clocks.
    for (const [inner, outer] of [
      [proxy, gateway],
      [runtime, proxy],
    ]) {
      assert.ok(inner.start_ns >= outer.start_ns - 1e6, `${inner.service} begins within`);
      assert.ok(inner.duration_ns <= outer.duration_ns, `${inner.service} is shorter`);
    }
  });

  test("a broken traceparent begins a trace of its own", async () => {
    const answer = await andon.chat(SHORT, {}, { headers: { traceparent: "00-zz-1-01" } });
    assert.equal(answer.status, 200);
    assert.match(answer.headers["x-trace-id"], HEX_32);
  });

  test("what the page saw becomes the browser's span, at the top of the tree", async () => {
    const [traceId, spanId] = ["a".repeat(32), "b".repeat(16)];
    const headers = { traceparent: `00-${traceId}-${spanId}-01` };
    const startedMs = Date.now();
    await andon.chat(SHORT, {}, { headers });
    const event = {
      type: "action",
      name: "ask",
      trace_id: traceId,
      span_id: spanId,
      start_ns: startedMs * 1e6,
      duration_ns: (Date.now() - startedMs) * 1e6,
      status: "ok",
      attributes: { first_token_ms: 12.5 },
    };
    const taken = await andon.post("/api/v1/rum", { events: [event] });
    assert.equal(taken.status, 202, taken.text);
    // Acknowledged means there: no waiting.
    const trace = await andon.trace(traceId);
    assert.equal(spanOf(trace, "browser").span_id, spanId);
    const whole = await andon.traceWith(traceId, "gateway");
    assert.equal(spanOf(whole, "gateway").parent_id, spanId);
  });
});

/** What is wrong, how it is sent, and what must come back from gateway and proxy alike. */
const BAD = [
  ["an empty message", { json: { message: "" } }, 400, "no_message", "No message provided"],
  ["no message", { json: {} }, 400, "no_message", "No message provided"],
  ["blanks alone", { json: { message: " \n　" } }, 400, "no_message", "No message provided"],
  ["no body", { method: "POST" }, 400, "no_message", "No message provided"],
  ["not JSON", { body: '{"message": hunter2}' }, 400, "bad_json", /not JSON.*line 1/],
  ["an array", { json: ["hunter2"] }, 400, "bad_field", /object.*array/],
  ["a message of the wrong type", { json: { message: 7 } }, 400, "bad_field", /message.*string/],
  [
    "a temperature beyond sense",
    { json: { message: "hunter2", temperature: 99 } },
    400,
    "bad_field",
    /temperature/,
  ],
  [
    "a turn without a role",
    { json: { message: "hunter2", messages: [{ content: "x" }] } },
    400,
    "bad_field",
    /messages\[0\]/,
  ],
  [
    "invalid UTF-8",
    { body: Buffer.from('{"message":"hunter2 \xff\xfe"}', "latin1") },
    400,
    "bad_utf8",
    /UTF-8 at byte 20/,
  ],
  ["more than 1 MiB", { body: "x".repeat(MAX_BODY + 1) }, 413, "too_large", /1048576 bytes/],
];

describe("bad input", () => {
  for (const service of ["gateway", "proxy"]) {
    for (const [name, request, status, code, message] of BAD) {
      test(`${name} on the ${service}: ${status} ${code}`, async () => {
        const answer = await ask(`${bases()[service]}/chat`, { method: "POST", ...request });
        assert.equal(answer.status, status, answer.text);
        assert.equal(answer.json.code, code);
        if (typeof message === "string") assert.equal(answer.json.error, message);
        else assert.match(answer.json.error, message);
        assert.equal(answer.json.trace_id, answer.headers["x-trace-id"]);
        assertServerTiming(answer.headers);
        assert.ok(!answer.json.error.includes("hunter2"), "the input is not quoted");
        const span = await spanBehind(answer, service);
        assert.equal(span.status, "error");
        assert.equal(span.error_type, code);
        assert.equal(span.http_status, status);
        assert.ok(span.error_message.length > 0);
        assert.ok(!JSON.stringify(span).includes("hunter2"), "nor is it kept");
      });
    }

    test(`an unknown route on the ${service}: 404 with a span`, async () => {
      const answer = await ask(`${bases()[service]}/nowhere`, { json: { message: "x" } });
      assert.equal(answer.status, 404, answer.text);
      assert.equal(answer.json.code, "not_found");
      assert.equal((await spanBehind(answer, service)).http_status, 404);
    });

    test(`GET /chat on the ${service}: 405 with Allow and a span`, async () => {
      const answer = await ask(`${bases()[service]}/chat`);
      assert.equal(answer.status, 405, answer.text);
      assert.equal(answer.headers.allow, "POST");
      assert.equal(answer.json.code, "method_not_allowed");
      assert.equal((await spanBehind(answer, service)).http_method, "GET");
    });
  }

  test("exactly 1 MiB is read", async () => {
    const json = JSON.stringify({ message: "" });
    const answer = await ask(`${andon.url}/chat`, { body: json.padEnd(MAX_BODY, " ") });
    assert.equal(answer.json.code, "no_message");
  });

  test("a model that is not there is named, on both ways of asking", async () => {
    for (const base of [andon.url, andon.proxyUrl]) {
      const answer = await ask(`${base}/chat`, { json: { message: SHORT, model: "nowhere:7b" } });
      assert.equal(answer.status, 500, answer.text);
      assert.equal(answer.json.code, "model_missing");
      assert.match(JSON.stringify(answer.json), /nowhere:7b.*not found/);
      const span = await spanBehind(answer, "runtime");
      assert.equal(span.cause, "model_missing");
      assert.equal(span.status, "error");
    }
    const stream = await andon.stream(SHORT, { model: "nowhere:7b" });
    const error = await stream.last();
    assert.equal(error.name, "error");
    assert.equal(error.data.code, "model_missing");
  });

  test("more tokens than the context holds: 400 with both numbers", async () => {
    const answer = await andon.chat(long(1200));
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.json.code, "context_exceeded");
    assert.match(answer.json.error, /\d{4,}.*4096/);
    assert.ok(!answer.json.error.includes("雪国"));
    const span = await spanBehind(answer, "runtime");
    assert.equal(span.cause, "context_exceeded");
    const next = await andon.chat(SHORT);
    assert.equal(next.status, 200, "the next one is answered");
  });

  test("errors are found in the list by what they were", async () => {
    const found = await until("the list has the error", async () => {
      const traces = await andon.traces("status:error");
      return traces.find(({ error_type }) => error_type === "context_exceeded");
    });
    assert.equal(found.status, "error");
    assert.equal(found.http_status, 400);
  });

  test("the API's own parameters are checked in words", async () => {
    const cases = [
      ["/api/v1/traces?from=yesterday", 400, /RFC 3339/],
      ["/api/v1/traces?cursor=x", 400, /cursor/],
      ["/api/v1/traces/xyz", 400, /trace_id/],
      [`/api/v1/traces/${"1".repeat(32)}`, 404, /not found/],
      [`/api/v1/traces/${"1".repeat(32)}/host`, 404, /not found/],
    ];
    for (const [route, status, message] of cases) {
      const answer = await andon.get(route);
      assert.equal(answer.status, status, route + answer.text);
      assert.match(answer.json.error, message);
    }
    const vote = { trace_id: "1".repeat(32), score: 5 };
    assert.equal((await andon.post(`/api/v1/spans/${"2".repeat(16)}/feedback`, vote)).status, 400);
    assert.equal((await andon.post("/api/v1/rum", { events: 3 })).status, 400);
  });
});
