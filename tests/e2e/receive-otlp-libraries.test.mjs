// One call of a model, instrumented by one library after another: whatever words each has for it,
// the span that comes of it is the same. Where a library leaves something out, the table says so.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { askAll, startReceiver, WayOut } from "./harness/otlp.mjs";
import { missing, MODEL_NAME, OTEL_PYTHON } from "./harness/paths.mjs";

const SERVICE = "library";
const PARAMETERS = { temperature: 0.2, max_tokens: 24, seed: 7 };
const SYSTEM = "あなたは簡潔に答える司書です。";
const QUESTION = "図書館は月曜日に休みます。この文を繰り返してください。";
const messages = [
  { role: "system", content: SYSTEM },
  { role: "user", content: QUESTION },
];
const CALLS = [
  { name: "good", arguments: { model: MODEL_NAME, messages, ...PARAMETERS } },
  { name: "missing", arguments: { model: "no-such-model", messages, ...PARAMETERS } },
];

/**
 * What each library does not say of a call that went well (`lacks`) and of one that failed
 * (`lacksOfFailed`), and what it calls the failure.
 */
const OPENAI = { provider: "openai", error: /NotFoundError$/, lacks: [], lacksOfFailed: [] };
const OLLAMA = { ...OPENAI, provider: "ollama", error: /ResponseError$/ };
const LIBRARIES = {
  "openai-v2": OPENAI,
  "openai-v2-latest": OPENAI,
  openllmetry: { ...OPENAI, lacks: ["seed"] },
  "openllmetry-events": { ...OPENAI, lacks: ["seed"] },
  "openllmetry-ollama": {
    ...OLLAMA,
    lacks: ["seed", "temperature", "max_tokens", "finish_reason"],
  },
  openinference: OPENAI,
  openlit: { ...OPENAI, lacksOfFailed: ["texts"] },
  // What a failed call was for is said by nothing but the name of its span.
  "openlit-ollama": {
    ...OLLAMA,
    lacks: ["max_tokens"],
    lacksOfFailed: ["texts", "model_requested", "provider"],
  },
  traceloop: { ...OPENAI, lacks: ["seed"] },
  // Sends neither the app's own span nor whose API it was, and calls every failure one.
  langfuse: {
    ...OPENAI,
    provider: null,
    error: /^error$/,
    lacks: ["finish_reason"],
    hasNoParent: true,
  },
};

const isCall = (span) => span.llm_kind !== null || /^chat /.test(span.name);

/** The call's span among the app's own and those of HTTP. */
function callOf(trace) {
  const calls = trace.spans.filter(isCall);
  assert.equal(calls.length, 1, trace.spans.map(({ name }) => name).join(", "));
  return calls[0];
}

function textsOf(trace, span) {
  const own = trace.contents.filter(({ span_id: id }) => id === span.span_id);
  return own.map(({ part, role, text }) => [part, role, text]);
}

/** What two libraries should agree about. */
function said(trace) {
  const span = callOf(trace);
  const parameter = (name) => span.attributes[`gen_ai.request.${name}`] ?? null;
  return {
    llm_kind: span.llm_kind,
    provider: span.provider,
    model: span.model,
    model_requested: span.model_requested,
    input_tokens: span.input_tokens,
    output_tokens: span.output_tokens,
    finish_reason: span.finish_reason,
    temperature: parameter("temperature"),
    max_tokens: parameter("max_tokens"),
    seed: parameter("seed"),
    texts: textsOf(trace, span),
  };
}

function without(expected, lacks) {
  const nothing = (name) => (name === "texts" ? [] : null);
  return { ...expected, ...Object.fromEntries(lacks.map((name) => [name, nothing(name)])) };
}

describe("one call, instrumented by", { skip: missing(OTEL_PYTHON) }, () => {
  let andon;
  let wayOut;
  let ran;
  before(async () => {
    wayOut = await WayOut.start();
    andon = await startReceiver({ options: { privacy: "full" } });
    const from = { runtime: andon.runtimeUrl, otlp: andon.otlpUrl, service: SERVICE, wayOut };
    ran = await askAll(Object.keys(LIBRARIES), () => CALLS, from);
  });
  after(async () => {
    await andon?.end();
    await wayOut?.end();
  });

  for (const [library, { provider, error, lacks, lacksOfFailed, hasNoParent }] of Object.entries(
    LIBRARIES,
  )) {
    test(library, async (t) => {
      const [good, failed] = ran[library].said;
      assert.equal(good.error, undefined);
      assert.match(failed.error, /no-such-model/);
      const asked = [
        ["system", "system", SYSTEM],
        ["input", "user", QUESTION],
      ];

      await t.test("that answers: what was asked, answered and counted", async () => {
        const trace = await andon.trace(good.trace_id);
        assert.ok(trace, "all of it was acknowledged before the app ended");
        const expected = {
          llm_kind: "llm",
          provider,
          model: MODEL_NAME,
          model_requested: MODEL_NAME,
          input_tokens: good.input_tokens,
          output_tokens: good.output_tokens,
          finish_reason: good.finish_reason,
          ...PARAMETERS,
          texts: [...asked, ["output", "assistant", good.text]],
        };
        assert.deepEqual(said(trace), without(expected, lacks));
        const span = callOf(trace);
        assert.notEqual(span.status, "error");
        assert.equal(span.error_type, null);
        assert.equal(span.service, SERVICE);
        assert.ok(span.duration_ns > 1_000_000, "as long as a model takes");
      });

      await t.test("that answers: its place in the trace and in the list", async () => {
        const trace = await andon.trace(good.trace_id);
        const span = callOf(trace);
        const app = trace.spans.find(({ name }) => name === "good");
        assert.equal(app === undefined, hasNoParent === true);
        assert.equal(span.parent_id, app?.span_id ?? span.parent_id);
        const row = (await andon.traces()).find(({ trace_id: id }) => id === good.trace_id);
        assert.notEqual(row.status, "error");
        assert.equal(row.input_tokens, good.input_tokens);
        assert.equal(row.output_tokens, good.output_tokens);
      });

      await t.test("that fails: the model that was missing, and why", async () => {
        const trace = await andon.trace(failed.trace_id);
        const span = callOf(trace);
        assert.equal(span.status, "error");
        assert.match(span.error_type, error);
        assert.match(span.error_message, /model 'no-such-model' not found/);
        const { llm_kind, provider: whose, model_requested, texts } = said(trace);
        const expected = {
          llm_kind: "llm",
          provider,
          model_requested: "no-such-model",
          texts: asked,
        };
        assert.deepEqual(
          { llm_kind, provider: whose, model_requested, texts },
          without(expected, lacksOfFailed),
        );
        assert.equal(span.output_tokens, null, "nothing was answered");
        const row = (await andon.traces()).find(({ trace_id: id }) => id === failed.trace_id);
        assert.equal(row.status, "error");
      });
    });
  }

  test("none of them went beyond the machine", () => assert.deepEqual(wayOut.wanted, []));
});
