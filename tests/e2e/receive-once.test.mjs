// A call that Andon's capture sees and an SDK tells of as well: both are there, and it counts once.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ask } from "./harness/http.mjs";
import { askAll, startReceiver, WayOut } from "./harness/otlp.mjs";
import { missing, MODEL_NAME, OTEL_PYTHON } from "./harness/paths.mjs";
import { until } from "./harness/wait.mjs";

const SERVICE = "told-twice";
const messages = [
  { role: "user", content: "図書館は月曜日に休みます。この文を繰り返してください。" },
];
const LIBRARIES = [
  "openai-v2",
  "openllmetry",
  "openllmetry-ollama",
  "openinference",
  "openlit",
  "langfuse",
];

describe("a call through the capture, told by", { skip: missing(OTEL_PYTHON) }, () => {
  let andon;
  let wayOut;
  let ran;
  before(async () => {
    wayOut = await WayOut.start();
    andon = await startReceiver({ options: { privacy: "full" } });
    const from = { runtime: andon.captureUrl, otlp: andon.otlpUrl, service: SERVICE, wayOut };
    // Each asks something of its own, so that no two calls look the same.
    const callsOf = (library) => [
      {
        name: library,
        arguments: {
          model: MODEL_NAME,
          messages: [...messages, { role: "user", content: library.repeat(3) }],
          temperature: 0,
          max_tokens: 12,
        },
      },
    ];
    ran = await askAll(LIBRARIES, callsOf, from);
  });
  after(async () => {
    await andon?.end();
    await wayOut?.end();
  });

  for (const library of LIBRARIES) {
    test(library, async () => {
      const [told] = ran[library].said;
      const trace = await until("the app's span", () => andon.trace(told.trace_id));
      const span = trace.spans.find((span) => span.attributes["andon.counted_in"] !== undefined);
      assert.ok(span, JSON.stringify(trace.spans));
      assert.deepEqual([span.input_tokens, span.output_tokens], [null, null]);
      // What it said itself is there to be read.
      assert.equal(span.attributes["gen_ai.usage.input_tokens"], told.input_tokens);
      assert.equal(span.attributes["gen_ai.usage.output_tokens"], told.output_tokens);
    });
  }

  test("all of them together count once", async () => {
    const question =
      "SELECT source, sum(input_tokens) AS input, sum(output_tokens) AS output FROM spans " +
      "WHERE llm_kind = 'llm' GROUP BY source";
    const { json } = await ask(`${andon.url}/api/v1/query`, { json: { sql: question } });
    const of = (source) => json.find((row) => row.source === source) ?? {};
    const told = Object.values(ran).map(({ said: [call] }) => call);
    const sum = (name) => told.reduce((all, call) => all + call[name], 0);
    assert.deepEqual(
      [of("capture").input, of("capture").output],
      [sum("input_tokens"), sum("output_tokens")],
    );
    assert.deepEqual([of("otlp").input ?? null, of("otlp").output ?? null], [null, null]);
  });
});
