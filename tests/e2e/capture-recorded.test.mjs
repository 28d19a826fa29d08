// What the capture makes of real answers: those of Andon's own runtime, and those that a real
// llama-server once gave, replayed.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { spanOf, startAndon } from "./harness/andon.mjs";
import { ask } from "./harness/http.mjs";
import { LLAMA_SERVER_FIXTURES, missing, MODEL_NAME } from "./harness/paths.mjs";
import { recorded, recordedNames, Replay } from "./harness/replay.mjs";
import { until } from "./harness/wait.mjs";

const SYSTEM = "You answer in one short sentence.";
const QUESTION = "日本の首都はどこですか。";
const MESSAGES = [
  { role: "system", content: SYSTEM },
  { role: "user", content: QUESTION },
];

/** The only span of the trace that an answer names, with its texts. */
async function spanFor(andon, answer, service) {
  const trace = await andon.traceWith(answer.headers["x-trace-id"], service);
  assert.equal(trace.spans.length, 1);
  return { ...spanOf(trace, service), contents: trace.contents };
}

/** The headers of a fetched answer as Node's own client has them. */
function plain(answer) {
  return { headers: Object.fromEntries(answer.headers) };
}

describe("the built-in runtime behind the capture", () => {
  let andon;
  before(async () => {
    andon = await startAndon({ options: { privacy: "full" } });
  });
  after(() => andon?.end());

  test("Ollama's chat: phases, tokens, messages", async () => {
    const json = {
      model: MODEL_NAME,
      messages: MESSAGES,
      options: { num_predict: 12, temperature: 0, num_ctx: 2048 },
      max_tokens: 12,
    };
    const answer = await ask(`${andon.captureUrl}/api/chat`, {
      json,
      headers: { "user-agent": "ollama-python/0.6.3 (x86_64 linux) Python/3.11" },
    });
    assert.equal(answer.status, 200, answer.text);
    const lines = answer.text.trim().split("\n");
    const last = JSON.parse(lines.at(-1));
    const span = await spanFor(andon, answer, "runtime");
    assert.equal(span.status, "ok");
    assert.equal(span.source, "capture");
    assert.equal(span.cause, "cold_start");
    assert.equal(span.name, `chat ${MODEL_NAME}`);
    assert.equal(span.ml_app, "ollama-python");
    assert.equal(span.output_tokens, last.eval_count);
    assert.equal(span.input_tokens, last.prompt_eval_count);
    assert.equal(span.timings.eval_ns, last.eval_duration);
    assert.equal(span.timings.load_ns, last.load_duration);
    assert.ok(span.timings.ttft_ns > span.timings.load_ns);
    assert.equal(span.attributes["gen_ai.request.max_tokens"], 12);
    assert.equal(span.attributes["andon.request.options.num_ctx"], 2048);
    assert.match(span.attributes["andon.warning"], /max_tokens has no effect/);
    const said = lines.map((line) => JSON.parse(line).message?.content ?? "").join("");
    const texts = span.contents.map(({ part, role, text }) => [part, role, text]);
    assert.deepEqual(texts, [
      ["system", "system", SYSTEM],
      ["input", "user", QUESTION],
      ["output", "assistant", said],
    ]);
  });

  test("OpenAI's chat in the caller's own trace, and an embedding", async () => {
    const parent = { trace: "4bf92f3577b34da6a3ce929d0e0e4736", span: "00f067aa0ba902b7" };
    const json = { model: MODEL_NAME, messages: MESSAGES, max_tokens: 8, stream: true };
    const answer = await ask(`${andon.captureUrl}/v1/chat/completions`, {
      json,
      headers: { traceparent: `00-${parent.trace}-${parent.span}-01`, "x-session-id": "s-1" },
    });
    assert.equal(answer.headers["x-trace-id"], parent.trace);
    const span = await spanFor(andon, answer, "runtime");
    assert.equal(span.parent_id, parent.span);
    assert.equal(span.session_id, "s-1");
    assert.equal(span.status, "ok");
    assert.ok(["stop", "length"].includes(span.finish_reason));

    const embedded = await ask(`${andon.captureUrl}/api/embed`, {
      json: { model: MODEL_NAME, input: ["one", "two"] },
    });
    assert.equal(embedded.status, 200, embedded.text);
    const embedding = await spanFor(andon, embedded, "runtime");
    assert.equal(embedding.llm_kind, "embedding");
    assert.equal(embedding.input_tokens, embedded.json.prompt_eval_count);
    assert.equal(embedding.contents.length, 2);
  });

  test("two conversations and an agent's loop, interleaved", async () => {
    const say = async (messages, extra = {}) => {
      const json = { model: MODEL_NAME, messages, stream: false, options: { num_predict: 4 } };
      const answer = await ask(`${andon.captureUrl}/api/chat`, { json: { ...json, ...extra } });
      assert.equal(answer.status, 200, answer.text);
      return spanFor(andon, answer, "runtime");
    };
    const user = (content) => ({ role: "user", content });
    const assistant = (content) => ({ role: "assistant", content });
    const tree = [user("Name a tree.")];
    const river = [user("Name a river.")];
    const task = [{ role: "system", content: "You are an agent." }, user("Read the file.")];
    const call = { function: { name: "read", arguments: { path: "a" } } };
    const step = { role: "assistant", content: "", tool_calls: [call] };
    const result = { role: "tool", content: "The file is empty." };

    const first = await say(tree);
    const other = await say(river);
    const begun = await say(task);
    const second = await say([...tree, assistant("Oak."), user("Another one.")]);
    const going = await say([...task, step, result]);
    const foreign = await say([...river, assistant("Rhine."), user("Another one.")]);

    const turn = (span) => span.attributes["andon.turn.id"];
    assert.equal(second.session_id, first.session_id);
    assert.equal(foreign.session_id, other.session_id);
    assert.equal(going.session_id, begun.session_id);
    const sessions = [first, other, begun].map((span) => span.session_id);
    assert.equal(new Set(sessions).size, 3);
    assert.notEqual(turn(second), turn(first));
    assert.equal(turn(going), turn(begun));
    assert.equal(going.attributes["andon.turn.call"], 2);
    assert.ok(going.attributes["andon.turn.elapsed_ns"] > begun.duration_ns + going.duration_ns);
    assert.equal(going.attributes["andon.prompt.shared_parts"], 2);
  });

  test("a call is seen while it runs, with its model, and ends when its client leaves", async () => {
    const controller = new AbortController();
    const json = {
      model: MODEL_NAME,
      prompt: "Count to a thousand.",
      options: { num_predict: 400 },
    };
    const answer = await fetch(`${andon.captureUrl}/api/generate`, {
      method: "POST",
      body: JSON.stringify(json),
      signal: controller.signal,
    });
    const reader = answer.body.getReader();
    await reader.read();
    const call = await until("it writes", async () =>
      (await andon.live()).find(({ phase }) => phase === "generate"),
    );
    assert.equal(call.model, MODEL_NAME);
    assert.equal(call.service, "runtime");
    controller.abort();
    await reader.read().catch(() => {});
    await andon.idle();
    const span = await spanFor(andon, plain(answer), "runtime");
    assert.equal(span.error_type, "client_gone");
    assert.ok(span.contents.some(({ part, text }) => part === "output" && text.length > 0));
  });
});

describe("while the built-in runtime works on captured calls", () => {
  let andon;
  before(async () => {
    andon = await startAndon();
  });
  after(() => andon?.end());

  /** A long prompt, no two of which begin the same. */
  function read(name, route, more) {
    const messages = [{ role: "user", content: `${name} ${"lantern ".repeat(1_500)}` }];
    const json = { model: MODEL_NAME, messages, stream: true, ...more };
    return ask(andon.captureUrl + route, { json });
  }

  test("it says itself how far it is, of which call, and who waits", async () => {
    const first = read("first", "/api/chat", { options: { num_predict: 2 } });
    const loading = await until("it loads the model", async () =>
      (await andon.live()).find(({ phase, load_progress }) => phase === "load" && load_progress),
    );
    assert.ok(loading.load_progress <= 1, `${loading.load_progress}`);
    const second = read("second", "/v1/chat/completions", { max_tokens: 2 });
    const [ahead, behind] = await until("one is read, the other waits", async () => {
      const live = await andon.live();
      const isRead = live[0]?.phase === "prompt" && live[0].eta_ms !== null;
      return isRead && live[1]?.phase === "queue" && live;
    });
    assert.equal(behind.queue_position, 1);
    assert.ok(ahead.eta_exact && ahead.prompt_done < ahead.prompt_total, JSON.stringify(ahead));
    const told = JSON.parse((await first).text.trim().split("\n").at(-1));
    assert.equal(ahead.prompt_total, told.prompt_eval_count);
    const next = await until("its turn has come", async () => {
      const [call] = await andon.live();
      return call?.phase === "prompt" && call.prompt_done > 0 && call;
    });
    assert.deepEqual([next.span_id, next.queue_position], [behind.span_id, null]);
    assert.ok(next.eta_exact);
    const answer = await second;
    assert.ok(!answer.text.includes("andon"), "its answer has nothing of it");
  });
});

describe("answers of a real llama-server", { skip: missing(LLAMA_SERVER_FIXTURES) }, () => {
  let andon;
  let replay;
  before(async () => {
    replay = await Replay.start();
    andon = await startAndon({ options: { runtime: replay.url, privacy: "full" } });
  });
  after(async () => {
    await andon?.end();
    await replay?.end();
  });

  /** Sends a recorded request, and compares what came with what was sent. */
  async function play(name) {
    const call = await recorded(name);
    const { method, path, body } = call.request;
    replay.next = call;
    const headers = { "content-type": "application/json" };
    const answer = await fetch(andon.captureUrl + path, {
      method,
      headers,
      body: body || undefined,
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    assert.equal(answer.status, call.response.status);
    assert.ok(bytes.equals(call.body), `${name}: the same bytes`);
    assert.equal(replay.seen.at(-1).body.toString(), body ?? "");
    return { ...plain(answer), bytes };
  }

  async function spanOfCall(name) {
    return spanFor(andon, await play(name), "llama-server");
  }

  test("a stream with progress and timings", async () => {
    const span = await spanOfCall("008-chat-stream-progress-timings");
    assert.equal(span.status, "ok");
    assert.equal(span.input_tokens, 747);
    assert.equal(span.cached_tokens, 0);
    assert.equal(span.output_tokens, 12);
    assert.equal(Math.round(span.timings.prompt_eval_ns / 1e8), 18);
    assert.ok(span.timings.ttft_ns > 0 && span.timings.stall_ns > 0);
    assert.ok(span.attributes["andon.stream.p95_gap_ns"] <= span.timings.stall_ns);
    assert.equal(span.attributes["andon.timings.measured"], undefined);
  });

  test("its slots, busy and idle, and who waits for one", async () => {
    const load = async () => (await andon.get("/api/v1/runtimes")).json.runtimes[0];
    const idle = await until("it was asked", async () => {
      const runtime = await load();
      return runtime.load.slots !== null && runtime;
    });
    assert.deepEqual([idle.load.slots, idle.load.running, idle.load.waiting], [2, 0, null]);
    const [model] = idle.models;
    assert.deepEqual([model.quantization, model.loaded_context_length], ["Q4_K - Medium", 2048]);

    replay.idle["/slots"] = await recorded("033-slots-busy");
    replay.idle["/metrics"] = await recorded("035-metrics-busy");
    const busy = await until("it was asked again", async () => {
      const runtime = await load();
      return runtime.load.running > 0 && runtime.load;
    });
    assert.deepEqual([busy.slots, busy.running, busy.waiting], [2, 2, 1]);
    assert.ok(Math.abs(busy.cache_hits - 810 / (810 + 1861)) < 1e-9, `${busy.cache_hits}`);
  });

  test("how far the prompt is read shows while it is read", async () => {
    const call = await recorded("008-chat-stream-progress-timings");
    replay.next = call;
    replay.pace = 1;
    const options = { method: "POST", body: call.request.body };
    const asked = fetch(andon.captureUrl + call.request.path, options);
    const seen = await until("it reads", async () =>
      (await andon.live()).find((live) => live.phase === "prompt" && live.prompt_done > 1),
    );
    assert.equal(seen.prompt_total, 747);
    assert.ok(seen.prompt_done < 747 && seen.eta_exact && seen.eta_ms > 0);
    await (await asked).arrayBuffer();
    replay.pace = 0.1;
  });

  test("a reused prompt, and one whose cache was lost", async () => {
    await spanOfCall("008-chat-stream-progress-timings");
    const reused = await spanOfCall("009-chat-cached-prefix");
    assert.deepEqual([reused.cached_tokens, reused.input_tokens], [729, 748]);
    const share = (span) =>
      span.attributes["andon.prompt.shared_bytes"] / span.attributes["andon.prompt.bytes"];
    assert.ok(share(reused) > 0.9, `${share(reused)} was there before`);
    assert.equal(reused.cause, "none");
    const lost = await spanOfCall("010-chat-prefix-lost");
    assert.deepEqual([lost.cached_tokens, lost.input_tokens], [1, 773]);
    assert.equal(lost.attributes["andon.prompt.parted_at"], "system");
    assert.deepEqual([share(lost), lost.cause], [0, "prompt_cache_lost"]);
  });

  test("Anthropic's messages, whole and streamed", async () => {
    const whole = await spanOfCall("016-messages");
    assert.deepEqual(
      [whole.input_tokens, whole.cached_tokens, whole.output_tokens, whole.finish_reason],
      [43, 1, 12, "length"],
    );
    assert.deepEqual(
      whole.contents.map(({ part, text }) => [part, text]),
      [
        ["system", "You are kind."],
        ["input", "hello"],
        ["output", "hello<|im_end|>\n<|im_"],
      ],
    );
    const streamed = await spanOfCall("017-messages-stream");
    assert.equal(streamed.status, "ok");
    assert.equal(streamed.attributes["andon.timings.measured"], "outside");
    assert.equal(streamed.contents.at(-1).text, "<|im_end|>\nuser\nassistant\n<");
  });

  test("responses, whole and streamed", async () => {
    for (const name of ["019-responses", "020-responses-stream"]) {
      const span = await spanOfCall(name);
      assert.equal(span.status, "ok", name);
      assert.ok(span.input_tokens > 0 && span.output_tokens > 0, name);
      assert.ok(
        span.contents.some(({ part }) => part === "output"),
        name,
      );
    }
  });

  test("its own completion, and OpenAI's", async () => {
    for (const name of ["013-completion", "014-completion-stream", "015-v1-completions"]) {
      const span = await spanOfCall(name);
      assert.equal(span.status, "ok", name);
      assert.ok(span.timings.prompt_eval_ns > 0 && span.timings.eval_ns > 0, name);
      assert.ok(
        span.contents.some(({ part }) => part === "output"),
        name,
      );
    }
  });

  test("refusals are told apart", async () => {
    const tooLong = await spanOfCall("028-too-long");
    assert.deepEqual([tooLong.error_type, tooLong.http_status], ["context_exceeded", 400]);
    const wrong = await spanOfCall("026-wrong-type");
    assert.equal(wrong.status, "error");
    const bad = await spanOfCall("024-bad-json");
    assert.equal(bad.attributes["andon.capture.opaque"], "request");
    const unknown = await spanOfCall("027-unknown-path");
    assert.equal(unknown.http_status, 404);
    assert.equal(unknown.llm_kind, null);
    const none = await play("034-slots-none-free");
    assert.ok(none.bytes.length > 0);
  });

  // Last, because a prompt that came before is no new one.
  test("all of them come through as they were", async () => {
    for (const name of await recordedNames()) {
      const { response } = await recorded(name);
      if (response.client_left_after_chunks === null) await play(name);
    }
  });

  test("a client that leaves is seen at the server at once", async () => {
    const call = await recorded("029-client-leaves");
    replay.next = call;
    const controller = new AbortController();
    const answer = await fetch(andon.captureUrl + call.request.path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: call.request.body,
      signal: controller.signal,
    });
    const reader = answer.body.getReader();
    await reader.read();
    controller.abort();
    await reader.read().catch(() => {});
    await until("the server sees it", () => replay.seen.at(-1).closed);
    const span = await spanFor(andon, plain(answer), "llama-server");
    assert.equal(span.error_type, "client_gone");
  });
});
