// What is kept of prompts and answers that come by OpenTelemetry, with the policy that holds unless
// somebody changes it. Each library puts them into places of its own, and some into several.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Confessor, SECRETS } from "./harness/confessor.mjs";
import { askAll, startReceiver, WayOut } from "./harness/otlp.mjs";
import { missing, OTEL_PYTHON } from "./harness/paths.mjs";
import { found, leaves, told } from "./harness/secrets.mjs";
import { until } from "./harness/wait.mjs";

const MODEL = "gemma3:270m";
const SERVICE = "counter";

const messages = [
  { role: "system", content: SECRETS.system },
  { role: "user", content: SECRETS.question },
];
/** A turn with all that a message can hold. */
const toolTurn = (argumentsOf) => [
  { role: "system", content: SECRETS.system },
  { role: "user", content: SECRETS.question },
  {
    role: "assistant",
    content: "",
    tool_calls: [
      {
        id: "call_0",
        type: "function",
        function: { name: "find_safe", arguments: argumentsOf({ place: SECRETS.toolArguments }) },
      },
    ],
  },
  { role: "tool", tool_call_id: "call_0", content: SECRETS.toolResult },
];
const schema = {
  type: "object",
  properties: { text: { type: "string", description: SECRETS.schema } },
};
const tool = {
  type: "function",
  function: { name: "find_safe", description: SECRETS.toolDescription, parameters: schema },
};

const chat = { model: MODEL, messages };
const failing = [
  { name: "no such model", arguments: { ...chat, model: "no-such-model" } },
  { name: "an app that fails on an answer", arguments: chat, raise: SECRETS.answer },
  { name: "an app that says more", arguments: chat, dress: SECRETS.dress },
  { name: "an app that says little more", arguments: chat, dress: SECRETS.short },
];

const OPENAI = [
  { name: "a chat", arguments: { ...chat, temperature: 0.2, max_tokens: 64, seed: 7 } },
  {
    name: "a chat in pieces",
    arguments: { ...chat, stream: true, stream_options: { include_usage: true } },
  },
  {
    name: "tools",
    arguments: {
      model: MODEL,
      messages: toolTurn(JSON.stringify),
      tools: [tool],
      metadata: { note: SECRETS.metadata },
      prediction: { type: "content", content: SECRETS.prediction },
      response_format: { type: "json_schema", json_schema: { name: "answer", schema } },
    },
  },
  {
    name: "parts",
    arguments: {
      ...chat,
      messages: [{ role: "user", content: [{ type: "text", text: SECRETS.question }] }],
    },
  },
  {
    name: "a response",
    method: "responses",
    arguments: {
      model: MODEL,
      instructions: SECRETS.system,
      input: SECRETS.question,
      tools: [{ type: "function", name: "find_safe", parameters: schema }],
      metadata: { note: SECRETS.metadata },
    },
  },
  {
    name: "a completion",
    method: "completions",
    arguments: { model: MODEL, prompt: SECRETS.question, suffix: SECRETS.prediction },
  },
  {
    name: "an embedding",
    method: "embeddings",
    arguments: { model: MODEL, input: [SECRETS.question] },
  },
  ...failing,
];

const OLLAMA = [
  { name: "a chat", arguments: { ...chat, temperature: 0.2, max_tokens: 64, seed: 7 } },
  { name: "a chat in pieces", method: "chat", arguments: { ...chat, stream: true } },
  {
    name: "tools",
    method: "chat",
    arguments: {
      model: MODEL,
      messages: toolTurn((said) => said),
      tools: [tool],
      format: schema,
    },
  },
  {
    name: "a prompt",
    method: "generate",
    arguments: { model: MODEL, prompt: SECRETS.question, system: SECRETS.system },
  },
  ...failing,
];

const LIBRARIES = [
  "openai-v2",
  "openai-v2-latest",
  "openllmetry",
  "openllmetry-events",
  "openllmetry-ollama",
  "openinference",
  "openlit",
  "openlit-ollama",
  "traceloop",
  "langfuse",
];

const callsOf = (library) => (library.endsWith("-ollama") ? OLLAMA : OPENAI);

/** All of them would say the same by the second policy: these use all the ways in. */
const POLICIES = [
  { policy: "that holds unless told otherwise", options: {}, kept: 10, libraries: LIBRARIES },
  {
    policy: "none",
    options: { privacy: "none" },
    kept: 0,
    libraries: ["openllmetry-events", "openinference", "openlit-ollama"],
  },
];

for (const { policy, options, kept, libraries } of POLICIES) {
  describe(`by the policy ${policy}`, { skip: missing(OTEL_PYTHON) }, () => {
    let andon;
    let runtime;
    let wayOut;
    /** What each library's app printed, and which traces came of it. */
    let ran;

    before(async () => {
      runtime = await Confessor.start();
      wayOut = await WayOut.start();
      andon = await startReceiver({ options: { runtime: runtime.url, ...options }, ready: false });
      const from = { runtime: runtime.url, otlp: andon.otlpUrl, service: SERVICE, wayOut };
      ran = await askAll(libraries, callsOf, from);
    });
    after(async () => {
      await andon?.end();
      await runtime?.end();
      await wayOut?.end();
    });

    for (const library of libraries) {
      describe(`${library}: no answer of the API says more`, () => {
        for (const { name } of callsOf(library)) {
          test(name, async () => {
            const call = ran[library].said.find((call) => call.name === name);
            assert.ok(call, "the app came to this call");
            const trace = await until("it is there", () => andon.trace(call.trace_id));
            const spans = trace.spans.flatMap((span) => leaves(span, `span ${span.name}`));
            delete trace.spans;
            const places = [...spans, ...leaves(trace)];
            assert.deepEqual(found(SECRETS, kept, Object.fromEntries(places)), []);
          });
        }
      });
    }

    test("the list of traces and the log say no more", async () => {
      const { text } = await andon.get("/api/v1/traces");
      assert.deepEqual(found(SECRETS, kept, { list: text, log: andon.program.output() }), []);
    });

    test("something is kept of each: the test looks at the right thing", async () => {
      for (const library of libraries) {
        const { trace_id: id } = ran[library].said[0];
        const { text } = await andon.get(`/api/v1/traces/${id}`);
        for (const name of ["question", "answer"]) {
          const beginning = [...SECRETS[name]].slice(0, kept).join("");
          assert.ok(text.includes(beginning), `${library}: «${beginning}»`);
        }
      }
    });

    test("no library went beyond the machine", () => {
      assert.deepEqual(wayOut.wanted, []);
    });

    test("nothing more lies on the disk", async () => {
      await andon.end({ keep: true });
      const files = await andon.kept();
      assert.ok(
        Object.values(files).some((bytes) => bytes.length > 10_000),
        "much is kept",
      );
      const named = Object.entries(files).map(([name, bytes]) => [path.basename(name), bytes]);
      const all = { ...Object.fromEntries(named), ...(await told(andon.folder)) };
      assert.deepEqual(found(SECRETS, kept, all), []);
    });
  });
}
