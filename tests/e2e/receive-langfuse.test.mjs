// Langfuse's older SDKs, which send batches of events, as filters around chats still do: an observation
// comes in several events, and these in several requests.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { randomUUID } from "node:crypto";
import { send, startReceiver, WayOut } from "./harness/otlp.mjs";
import { LANGFUSE_2_PYTHON, missing, MODEL_NAME } from "./harness/paths.mjs";

const IMAGE = Buffer.from("\x89PNG\r\n\x1a\nrest", "latin1");
const IMAGE_KEPT =
  "[image/png, 12 bytes, sha256 f02a830cf03a1cf756c0461481db682bc9254a5a399f847494d33850c3ff7156]";
const MS = 1_000_000;

let andon;
let wayOut;
before(async () => {
  wayOut = await WayOut.start();
  andon = await startReceiver({ options: { privacy: "full" } });
});
after(async () => {
  await andon?.end();
  await wayOut?.end();
});

function given(more = {}) {
  return {
    runtime: andon.runtimeUrl,
    langfuse: andon.otlpUrl,
    public_key: "library",
    model: MODEL_NAME,
    image: IMAGE.toString("base64"),
    ...more,
  };
}

async function run(program, more) {
  const options = { input: given(), env: wayOut.environment, ...more };
  const { said, log } = await send(program, [], options);
  return { said: Object.fromEntries(said.map((line) => [line.name, line])), log };
}

const traceOf = ({ trace_id: id }) => andon.trace(id.replaceAll("-", ""));

function called(trace, name) {
  const all = trace.spans.filter((span) => span.name === name);
  assert.equal(all.length, 1, `${name}: ${trace.spans.map((span) => span.name).join(", ")}`);
  return all[0];
}

function textsOf(trace, span) {
  const own = trace.contents.filter(({ span_id: id }) => id === span.span_id);
  return own.map(({ part, role, text }) => [part, role, text]);
}

describe("Langfuse's Python SDK 2", { skip: missing(LANGFUSE_2_PYTHON) }, () => {
  let ran;
  before(async () => {
    ran = await run("langfuse_2.py", { python: LANGFUSE_2_PYTHON });
  });

  test("finds its keys good, and has nothing to complain of but a missing model", () => {
    assert.equal(ran.said.checked.good, true);
    const complaints = ran.log.split("\n").filter((line) => /^(WARNING|ERROR)/.test(line));
    assert.equal(complaints.length, 1, ran.log);
    assert.match(complaints[0], /no-such-model/);
  });

  test("a chat's filter: user, session, call and texts, though they came in two requests", async () => {
    const trace = await traceOf(ran.said.filter);
    const [root, call] = [called(trace, "filter:chat"), called(trace, "answer")];
    assert.equal(root.parent_id, null);
    assert.equal(call.parent_id, root.span_id);
    for (const span of [root, call]) {
      assert.equal(span.service, "library");
      assert.equal(span.session_id, "chat-7");
      assert.equal(span.user_id, "hana@example.com");
    }
    assert.equal(call.llm_kind, "llm");
    assert.equal(call.model, MODEL_NAME);
    assert.deepEqual([call.input_tokens, call.output_tokens], [21, 6]);
    assert.equal(call.attributes["gen_ai.request.temperature"], 0.2);
    assert.equal(call.attributes["langfuse.observation.metadata.chat"], 7);
    assert.equal(call.attributes["andon.partial"], undefined);
    assert.ok(call.duration_ns > 1_400 * MS && call.duration_ns < 10_000 * MS);
    assert.deepEqual(textsOf(trace, call), [
      ["system", "system", "短く答えてください。"],
      ["input", "user", "図書館は何曜日に休みますか。"],
      ["output", "assistant", "月曜日です。"],
    ]);
    const judged = trace.evaluations.map((one) => [
      one.evaluator,
      one.score,
      one.label,
      one.reason,
    ]);
    assert.deepEqual(judged.sort(), [
      ["thumb", 1, null, "助かりました"],
      ["topic", null, "library", null],
    ]);
    const thumb = trace.evaluations.find((one) => one.evaluator === "thumb");
    assert.equal(thumb.span_id, call.span_id);
  });

  test("decorated functions, and one that fails", async () => {
    const trace = await traceOf(ran.said.decorated);
    const [root, inner, call] = ["library", "look_up", "reply"].map((name) => called(trace, name));
    assert.equal(inner.parent_id, root.span_id);
    assert.equal(call.session_id, "s-9");
    assert.deepEqual([call.input_tokens, call.cached_tokens], [5, 2]);
    const failing = await traceOf(ran.said.failing);
    for (const name of ["fails", "within"]) assert.equal(called(failing, name).status, "error");
    assert.match(called(failing, "within").error_message, /the shelf of/);
  });

  test("a client of a model: what it was asked, answered and counted", async () => {
    const { good, missing: gone } = ran.said;
    const trace = await traceOf(good);
    const call = called(trace, "OpenAI-generation");
    assert.deepEqual(
      [call.input_tokens, call.output_tokens],
      [good.input_tokens, good.output_tokens],
    );
    assert.equal(call.attributes["gen_ai.request.seed"], 7);
    assert.ok(
      textsOf(trace, call).some(([part, , text]) => part === "output" && text === good.text),
    );
    const failed = called(await traceOf(gone), "OpenAI-generation");
    assert.equal(failed.status, "error");
    assert.equal(failed.model_requested, "no-such-model");
    assert.match(failed.error_message, /not found/);
    assert.equal(failed.output_tokens, null);
  });

  test("an image is kept as what it is, and not uploaded", async () => {
    const trace = await traceOf(ran.said.seen);
    const [[part, role, text]] = textsOf(trace, called(trace, "look"));
    assert.deepEqual([part, role], ["input", "user"]);
    assert.equal(text, `何が見えますか。\n${IMAGE_KEPT}`);
  });
});

describe("Langfuse's JavaScript SDK 3", () => {
  let ran;
  before(async () => {
    ran = await run("langfuse_3.mjs");
  });

  test("one trace of all that it sends, in whatever order that comes", async () => {
    assert.equal(ran.log, "");
    const trace = await traceOf(ran.said.library);
    const [root, call] = [called(trace, "library"), called(trace, "answer")];
    assert.equal(call.parent_id, root.span_id);
    assert.deepEqual([call.input_tokens, call.output_tokens], [14, 5]);
    assert.ok(call.timings.ttft_ns > 30 * MS && call.timings.ttft_ns < call.duration_ns);
    assert.equal(call.attributes["gen_ai.request.max_tokens"], 20);
    assert.equal(call.session_id, "chat-8");
    assert.deepEqual(textsOf(trace, call), [
      ["input", "user", `何曜日に休みますか。\n${IMAGE_KEPT}`],
      ["output", "assistant", "月曜日です。"],
    ]);
    const [within, found] = [called(trace, "look up"), called(trace, "found")];
    assert.equal(found.parent_id, within.span_id);
    assert.equal(trace.evaluations[0].score, 0.5);
    const alone = await traceOf(ran.said.alone);
    assert.ok(
      alone.spans.some((span) => span.status === "error" && /is gone/.test(span.error_message)),
    );
  });

  test("neither went beyond the machine", () => assert.deepEqual(wayOut.wanted, []));
});

describe("a batch", () => {
  const post = async (at, events) => {
    const response = await fetch(`${at.otlpUrl}/api/public/ingestion`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Basic ${Buffer.from("library:sk").toString("base64")}`,
      },
      body: JSON.stringify({ batch: events }),
    });
    assert.equal(response.status, 207);
    return response.json();
  };
  const event = (type, body) => ({
    id: randomUUID(),
    type,
    timestamp: new Date().toISOString(),
    body,
  });

  test("is durable when it is acknowledged, and what began then ends after a kill", async () => {
    const options = { privacy: "full" };
    const crashed = await startReceiver({ options });
    const [traceId, id] = [randomUUID(), randomUUID()];
    const began = new Date(Date.now() - 2_000).toISOString();
    await post(crashed, [
      event("trace-create", { id: traceId, name: "chat", userId: "hana", input: "q" }),
      event("generation-create", {
        id,
        traceId,
        name: "answer",
        model: "m",
        input: "q",
        startTime: began,
      }),
    ]);
    await crashed.kill();
    const again = await startReceiver({ data: crashed.folder, options });
    try {
      const begun = await again.trace(traceId.replaceAll("-", ""));
      assert.equal(called(begun, "answer").attributes["andon.partial"], true);
      const usage = { input: 3, output: 4 };
      const endTime = new Date().toISOString();
      await post(again, [event("generation-update", { id, traceId, output: "a", endTime, usage })]);
      const trace = await again.trace(traceId.replaceAll("-", ""));
      assert.equal(trace.spans.length, 2);
      const call = called(trace, "answer");
      assert.equal(call.parent_id, called(trace, "chat").span_id);
      assert.deepEqual([call.model, call.user_id, call.output_tokens], ["m", "hana", 4]);
      assert.ok(call.duration_ns >= 2_000 * MS);
      assert.equal(call.attributes["andon.partial"], undefined);
      assert.deepEqual(
        textsOf(trace, call).map(([part, , text]) => [part, text]),
        [
          ["input", "q"],
          ["output", "a"],
        ],
      );
    } finally {
      await again.end();
    }
  });

  test("is masked like everything else", async () => {
    const strict = await startReceiver();
    try {
      const [traceId, id] = [randomUUID(), randomUUID()];
      const secret = "秘密の質問です。誰にも言わないでください。";
      const body = {
        id,
        traceId,
        name: "answer",
        model: "m",
        input: secret,
        metadata: { note: secret },
      };
      const failure = { ...body, level: "ERROR", statusMessage: `cannot answer ${secret}` };
      await post(strict, [
        event("trace-create", { id: traceId, name: "chat", input: secret, output: secret }),
        event("generation-create", { ...failure, output: secret }),
      ]);
      const { text } = await strict.get(`/api/v1/traces/${traceId.replaceAll("-", "")}`);
      assert.match(text, /"answer"/);
      assert.ok(!text.includes("誰にも言わないで"), text);
    } finally {
      await strict.end();
    }
  });
});
