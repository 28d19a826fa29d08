// Runtimes of other people: those that speak another dialect, and those that fail in every way.
// The servers are small programs of this test; what matters is what Andon makes of them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { spanOf, startAndon } from "./harness/andon.mjs";
import { delta, Fake, json, LAST_LINE, line, ollama, openai } from "./harness/fakes.mjs";
import { SHORT } from "./harness/messages.mjs";
import { LLAMA_SERVER_FIXTURES, missing } from "./harness/paths.mjs";
import { freePort } from "./harness/process.mjs";
import { until } from "./harness/wait.mjs";

const HEAD = { "content-type": "application/x-ndjson" };

/** Runs `body` with a fake runtime and an Andon in front of it; both are ended whatever happens. */
async function withRuntime(routes, options, body) {
  const fake = await Fake.start(routes);
  let andon;
  try {
    andon = await startAndon({ options: { runtime: fake.url, ...options } });
    await body(andon, fake);
  } finally {
    await andon?.end();
    await fake.end();
  }
}

async function failedLlm(andon, traceId) {
  const trace = await andon.traceWith(traceId, "gateway", "proxy", "ollama");
  for (const span of trace.spans) assert.equal(span.status, "error", span.service);
  return spanOf(trace, "ollama");
}

describe("runtimes that fail", () => {
  test("one that is not there: said at once, and taken up when it comes", async () => {
    const port = await freePort();
    const options = { runtime: `http://127.0.0.1:${port}` };
    const andon = await startAndon({ options, ready: false });
    let fake;
    try {
      const ready = await andon.get("/readyz");
      assert.equal(ready.status, 503);
      assert.match(ready.text, /runtime/);
      const answer = await until("it knows that nobody is there", async () => {
        const asked = await andon.chat(SHORT);
        return asked.json.code === "runtime_down" && asked;
      });
      assert.equal(answer.status, 500);
      assert.ok(answer.text.includes(`127.0.0.1:${port}`), answer.text);
      const trace = await andon.traceWith(answer.json.trace_id, "gateway", "proxy");
      assert.equal(spanOf(trace, "proxy").cause, "runtime_down");
      const models = (await andon.get("/api/v1/models")).json;
      assert.equal(models.runtime.healthy, false);
      assert.ok(models.runtime.message.includes(`127.0.0.1:${port}`));

      const speak = (response) => response.writeHead(200, HEAD).end(LAST_LINE);
      fake = await Fake.start(ollama(speak), { port });
      await until("/readyz is ok", async () => (await andon.get("/readyz")).status === 200);
      assert.equal((await andon.chat(SHORT)).status, 200);
    } finally {
      await andon.end();
      await fake?.end();
    }
  });

  test("one that dies mid-stream", async () => {
    const die = (response) => {
      response.writeHead(200, HEAD);
      response.write(line({ response: "東京", done: false }), () => response.destroy());
    };
    await withRuntime(ollama(die), {}, async (andon) => {
      const stream = await andon.stream(SHORT);
      const last = await stream.last();
      assert.equal(last.name, "error");
      assert.equal(last.data.code, "stream_broken");
      assert.equal(stream.text(), "東京", "what came is passed on");
      const llm = await failedLlm(andon, last.data.trace_id);
      assert.match(llm.error_message, /broke off/);
      const whole = await andon.chat(SHORT);
      assert.equal(whole.status, 500);
      assert.equal(whole.json.code, "stream_broken");
      assert.equal(whole.json.error, "Error communicating with Python proxy");
      assert.match(whole.json.detail.error, /broke off/);
    });
  });

  test("one that ends its stream without a last line", async () => {
    const stop = (response) =>
      response.writeHead(200, HEAD).end(line({ response: "東", done: false }));
    await withRuntime(ollama(stop), {}, async (andon) => {
      const answer = await andon.chat(SHORT);
      assert.equal(answer.json.code, "stream_broken");
      assert.match(answer.json.detail.error, /no final line/);
    });
  });

  test("one that sends half a JSON line", async () => {
    const half = (response) => response.writeHead(200, HEAD).end('{"model":"tiny","respon');
    await withRuntime(ollama(half), {}, async (andon) => {
      const stream = await andon.stream(SHORT);
      const last = await stream.last();
      assert.equal(last.name, "error");
      assert.match(JSON.stringify(last.data), /not JSON/);
      await failedLlm(andon, last.data.trace_id);
    });
  });

  test("one that hangs: left after the timeout, its connection closed", async () => {
    const hang = (response) => response.writeHead(200, HEAD).write(line({ response: "東" }));
    await withRuntime(ollama(hang), { timeout: "1s" }, async (andon, fake) => {
      const answer = await andon.chat(SHORT);
      assert.equal(answer.status, 504, answer.text);
      assert.equal(answer.json.phase, "generate");
      await until("the connection is closed", () => fake.open === 0);
      const llm = await failedLlm(andon, answer.json.trace_id);
      assert.equal(llm.error_type, "timeout");
    });
  });

  test("one that never answers at all, not even with a head", async () => {
    await withRuntime(
      ollama(() => {}),
      { timeout: "1s" },
      async (andon, fake) => {
        const answer = await andon.chat(SHORT);
        assert.equal(answer.status, 504, answer.text);
        await until("the connection is closed", () => fake.open === 0);
      },
    );
  });

  test("one that answers 500 with text: its words reach the caller, not its quotes the disk", async () => {
    const secret = "暗証番号は四二四二です。誰にも言わないでください。";
    const fail = (response, { json: body }) => {
      response.writeHead(500, { "content-type": "text/plain" });
      response.end(`llama runner exploded near: ${body.prompt}`);
    };
    await withRuntime(ollama(fail), {}, async (andon) => {
      const answer = await andon.chat(secret);
      assert.equal(answer.status, 500);
      assert.equal(answer.json.code, "runtime_failed");
      assert.match(answer.json.detail.error, /llama runner exploded/);
      const llm = await failedLlm(andon, answer.json.trace_id);
      assert.match(llm.error_message, /llama runner exploded/);
      assert.ok(!llm.error_message.includes("四二四二"), llm.error_message);
      const bytes = Buffer.concat(Object.values(await andon.kept()));
      assert.ok(!bytes.includes("四二四二"));
    });
  });

  test("one that is out of memory, and one that is busy, by their own words", async () => {
    const answers = [
      [500, "model requires more system memory (9.0 GiB) than is available", 500, "out_of_memory"],
      [503, "server busy, please try again.  maximum pending requests exceeded", 503, "queue_full"],
    ];
    const next = (response) => {
      const [status, error] = answers[turn];
      json(response, { error }, status);
    };
    let turn = 0;
    await withRuntime(ollama(next), {}, async (andon) => {
      for (; turn < answers.length; turn += 1) {
        const [, words, status, code] = answers[turn];
        const answer = await andon.chat(SHORT);
        assert.equal(answer.status, status, answer.text);
        assert.equal(answer.json.code, code);
        assert.ok(answer.text.includes(words.slice(0, 20)));
      }
    });
  });
});

describe("runtimes of other dialects", () => {
  test("an Ollama: its own figures, its load seen while it loads", async () => {
    const loading = ollama(
      (response) => {
        // Ollama holds its head back until the first token, so the list alone tells of the load.
        setTimeout(() => {
          response.writeHead(200, HEAD);
          response.end(
            line({ response: "はい", done: false }) + LAST_LINE.replace("30000000", "2500000000"),
          );
        }, 600);
      },
      { loaded: false },
    );
    await withRuntime(loading, {}, async (andon, fake) => {
      const stream = await andon.stream(SHORT, { temperature: 0.5, num_predict: 7 });
      const { data } = await stream.last();
      assert.equal(data.reply, "はい");
      assert.equal(data.cold_start, true);
      const phases = stream.events.filter(({ name }) => name === "phase");
      assert.ok(phases.some(({ data: { phase } }) => phase === "load"));
      const [asked] = fake.asked("/api/generate");
      const body = JSON.parse(asked.body);
      assert.deepEqual(body.options, { num_predict: 7, temperature: 0.5 });
      assert.match(asked.headers.traceparent, new RegExp(`^00-${data.trace_id}-`));
      const llm = spanOf(await andon.traceWith(data.trace_id, "ollama"), "ollama");
      assert.equal(llm.timings.load_ns, 2_500_000_000);
      assert.equal(llm.cause, "cold_start");
      assert.equal(llm.input_tokens, 12);
      assert.equal(llm.model_digest, "d".repeat(64));
    });
  });

  test("an OpenAI-compatible server", async () => {
    const chunks = [
      delta("東"),
      delta("京"),
      delta(null, { finish_reason: "stop" }),
      { choices: [], usage: { prompt_tokens: 9, completion_tokens: 2 } },
    ];
    await withRuntime(openai(chunks), {}, async (andon, fake) => {
      const messages = [
        { role: "user", content: "日本" },
        { role: "assistant", content: "はい" },
      ];
      const answer = await andon.chat("首都は?", { messages, system: "短く答えて" });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.json.reply, "東京");
      assert.equal(answer.json.prompt_eval_count, 9);
      assert.equal(answer.json.eval_count, 2);
      const body = JSON.parse(fake.asked("/v1/chat/completions")[0].body);
      assert.deepEqual(
        body.messages.map(({ role }) => role),
        ["system", "user", "assistant", "user"],
      );
      assert.equal(body.stream_options.include_usage, true);
      const trace = await andon.traceWith(answer.json.trace_id, "openai-compatible");
      assert.equal(
        spanOf(trace, "openai-compatible").attributes["andon.timings.measured"],
        "outside",
      );
    });
  });

  const noFixtures = missing(LLAMA_SERVER_FIXTURES);
  test(
    "a llama-server: its recorded answers, with progress and timings",
    { skip: noFixtures },
    async () => {
      const body = (name) => readFile(path.join(LLAMA_SERVER_FIXTURES, `${name}.body.bin`));
      const [models, props, stream] = await Promise.all(
        ["002-models", "003-props", "008-chat-stream-progress-timings"].map(body),
      );
      const send = (type, bytes) => (response) =>
        response.writeHead(200, { "content-type": type }).end(bytes);
      const routes = {
        "GET /v1/models": send("application/json", models),
        "GET /props": send("application/json", props),
        "POST /v1/chat/completions": send("text/event-stream", stream),
      };
      await withRuntime(routes, {}, async (andon, fake) => {
        const facts = (await andon.get("/api/v1/models")).json;
        assert.equal(facts.runtime.name, "llama-server");
        const asked = await andon.stream(SHORT);
        const { data } = await asked.last();
        assert.ok(data.reply.length > 0);
        assert.equal(JSON.parse(fake.asked("/v1/chat/completions")[0].body).return_progress, true);
        const llm = spanOf(await andon.traceWith(data.trace_id, "llama-server"), "llama-server");
        assert.ok(llm.timings.prompt_eval_ns > 1e9, "its own timing of the prompt");
        assert.equal(llm.cached_tokens, 0);
      });
    },
  );

  test("a server that streams what a llama-server would: progress becomes phases", async () => {
    const progress = (processed) => ({
      ...delta(null),
      prompt_progress: { total: 90, cache: 10, processed, time_ms: 5 },
    });
    const finish = {
      ...delta(null, { finish_reason: "stop" }),
      timings: { cache_n: 10, prompt_n: 80, prompt_ms: 25.5, predicted_n: 2, predicted_ms: 8.25 },
    };
    const settings = { default_generation_settings: {}, build_info: "b1" };
    const routes = {
      ...openai([progress(10), progress(90), delta("京"), finish]),
      "GET /props": (response) => json(response, settings),
    };
    await withRuntime(routes, {}, async (andon) => {
      const stream = await andon.stream(SHORT);
      const { data } = await stream.last();
      assert.equal(data.timings.prompt_ms, 25.5);
      assert.equal(data.timings.generate_ms, 8.25);
      const told = stream.events.filter(({ data: { prompt_total } }) => prompt_total === 90);
      assert.ok(told.some(({ data: { prompt_cached } }) => prompt_cached === 10));
    });
  });

  test("something that is no runtime is told as such", async () => {
    const routes = { "GET /": (response) => response.end("hello") };
    const fake = await Fake.start(routes);
    const andon = await startAndon({ options: { runtime: fake.url }, ready: false });
    try {
      await until("it says what is wrong", async () =>
        (await andon.get("/readyz")).text.includes("neither as Ollama nor"),
      );
      assert.equal((await andon.chat(SHORT)).json.code, "runtime_down");
    } finally {
      await andon.end();
      await fake.end();
    }
  });
});

describe("a foreign proxy behind the gateway", () => {
  test("one with the original's four fields: they pass, Andon's come beside them", async () => {
    const original = { reply: "東京です。", eval_count: 4, prompt_eval_count: 9, duration_ms: 52 };
    const proxy = await Fake.start({ "POST /chat": (response) => json(response, original) });
    const options = { proxy: proxy.authority, "proxy-listen": "off" };
    const andon = await startAndon({ options });
    try {
      const answer = await andon.chat(SHORT, { session_id: "s-1" });
      assert.equal(answer.status, 200, answer.text);
      for (const [name, value] of Object.entries(original)) assert.equal(answer.json[name], value);
      assert.equal(answer.json.trace_id, answer.headers["x-trace-id"]);
      const [asked] = proxy.asked("/chat");
      assert.equal(JSON.parse(asked.body).message, SHORT, "the body goes on as it came");
      const span = spanOf(await andon.traceWith(answer.json.trace_id, "gateway"), "gateway");
      assert.equal(asked.headers.traceparent, `00-${span.trace_id}-${span.span_id}-01`);
      assert.equal(span.input_tokens, 9);
      assert.equal(span.output_tokens, 4);

      const stream = await andon.stream(SHORT);
      const done = await stream.last();
      assert.deepEqual(
        stream.events.map(({ name }) => name),
        ["start", "token", "done"],
      );
      assert.equal(stream.text(), original.reply);
      assert.equal(done.data.reply, original.reply);
    } finally {
      await andon.end();
      await proxy.end();
    }
  });

  test("one that fails and quotes the question: back to the caller, not onto the disk", async () => {
    const secret = "暗証番号は四二四二です。誰にも言わないでください。";
    const fail = (response, { json: { message } }) =>
      json(response, { error: `model said no to: ${message}`, prompt: message, output: "" }, 500);
    const proxy = await Fake.start({ "POST /chat": fail });
    const options = { proxy: proxy.authority, "proxy-listen": "off" };
    const andon = await startAndon({ options });
    try {
      const answer = await andon.chat(secret);
      assert.equal(answer.status, 500);
      assert.equal(answer.json.error, "Error communicating with Python proxy");
      assert.equal(answer.json.detail.prompt, secret, "as the original had it");
      const trace = await andon.traceWith(answer.json.trace_id, "gateway");
      const { error_message: message } = spanOf(trace, "gateway");
      assert.match(message, /model said no to/);
      assert.ok(!message.includes("四二四二"), message);
      const bytes = Buffer.concat(Object.values(await andon.kept()));
      assert.ok(!bytes.includes("四二四二"));
    } finally {
      await andon.end();
      await proxy.end();
    }
  });

  test("one that answers text instead of JSON: the original's 500, its text as detail", async () => {
    const routes = {
      "POST /chat": (response) => response.writeHead(502).end("<h1>Bad Gateway</h1>"),
    };
    const proxy = await Fake.start(routes);
    const options = { proxy: proxy.authority, "proxy-listen": "off" };
    const andon = await startAndon({ options });
    try {
      const answer = await andon.chat(SHORT);
      assert.equal(answer.status, 500);
      assert.equal(answer.json.error, "Error communicating with Python proxy");
      assert.match(answer.json.detail, /Bad Gateway/);
      const trace = await andon.traceWith(answer.json.trace_id, "gateway");
      assert.equal(spanOf(trace, "gateway").error_type, "proxy_failed");
    } finally {
      await andon.end();
      await proxy.end();
    }
  });

  test("one that is not there", async () => {
    const port = await freePort();
    const options = { proxy: `127.0.0.1:${port}`, "proxy-listen": "off" };
    const andon = await startAndon({ options });
    try {
      const answer = await andon.chat(SHORT);
      assert.equal(answer.status, 500);
      assert.equal(answer.json.error, "Error communicating with Python proxy");
      assert.ok(answer.json.detail.includes(`127.0.0.1:${port}`), answer.text);
    } finally {
      await andon.end();
    }
  });
});
