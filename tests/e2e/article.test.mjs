// The programs that Andon started from, unchanged: a page, an Express gateway, a Flask proxy; each
// with Andon in the place of the others. The article's run where they are at hand (never copied
// here), the project's own with the same calls always. Their Datadog tracers find no agent, and
// that must not disturb anything.
//
// This file and receive-datadog alone use the ports 3000, 5002 and 11434, which the article's programs
// name.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { spanOf, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { launch, openPage } from "./harness/browser.mjs";
import { ask, Stream } from "./harness/http.mjs";
import { SHORT } from "./harness/messages.mjs";
import { MODEL_NAME } from "./harness/paths.mjs";
import {
  article,
  ChatPage,
  local,
  ollamaStore,
  own,
  servePage,
  startGateway,
  startProxy,
} from "./harness/programs.mjs";
import { until } from "./harness/wait.mjs";

const HEX_32 = /^[0-9a-f]{32}$/;
/** How long the runtime keeps an idle model; five minutes (300) in the article. */
const KEPT_S = Number(process.env.ANDON_TEST_KEEP_ALIVE_S ?? 4);
const NOTICE = "*11文字目以降を非表示にしています*";

let browser;
let folder;
before(async () => {
  [browser, folder] = await Promise.all([launch(), temporaryFolder()]);
});
after(async () => {
  await browser?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/**
 * A test with a set of programs: skipped where they cannot run, or find no place at the ports that
 * `needed` names. `work` gets the ports, and a function for everything that it starts; that is
 * ended after it, the last first.
 */
function programTest(name, programs, needed, work) {
  test(name, { skip: programs.hindrance }, async (t) => {
    const ports = await programs.ports(needed);
    if (ports.taken) return t.skip(ports.taken);
    const started = [];
    const ended = (thing, end = () => thing.end()) => {
      started.unshift(end);
      return thing;
    };
    try {
      await work(ended, ports);
    } finally {
      for (const end of started) await end().catch((error) => t.diagnostic(error.message));
    }
  });
}

let storeMade;
const store = () => (storeMade ??= ollamaStore(folder));

function assertReply(json) {
  assert.ok(json.reply.length > 0);
  assert.ok(json.eval_count > 0 && json.prompt_eval_count > 0, JSON.stringify(json));
  assert.equal(typeof json.duration_ms, "number");
}

/** Opens a set's page, which may load nothing from outside. */
async function openChat(programs, ended, url, html) {
  const { context, page, complaints } = await openPage(browser);
  ended(context, () => context.close());
  await page.route(
    ({ hostname }) => hostname !== "127.0.0.1",
    (route) => route.abort(),
  );
  if (html) {
    const fulfil = { contentType: "text/html; charset=utf-8", body: html };
    await page.route(url, (route) => route.fulfill(fulfil));
  }
  await page.goto(url);
  const chat = new ChatPage(page, programs.page);
  // What was not to be loaded from outside is complained about, and only that.
  chat.complaints = () => complaints.filter((text) => !text.includes("ERR_FAILED"));
  return chat;
}

function testsOf(programs) {
  /** The article's page asks on Andon's gateway, from its own origin or another. */
  async function pageOnGateway(andon, chat) {
    const empty = await chat.ask("");
    assert.equal(empty.said, programs.page.noQuestion);
    for (const [route, by] of [
      ["/chat", "Enter"],
      ["/granite", "click"],
    ]) {
      const { said, response } = await chat.ask(SHORT, { route, by });
      assert.equal(response.status, 200);
      assert.equal(said, response.json.reply);
      assert.match(await until("the page tells the time", () => chat.time()), /\d+ ?ms/);
      assertReply(response.json);
      assert.equal(response.json.model, MODEL_NAME);
      const trace = await andon.traceWith(response.json.trace_id, "gateway", "proxy", "runtime");
      assert.equal(spanOf(trace, "gateway").name, `POST ${route}`);
      assert.equal(spanOf(trace, "gateway").status, "ok");
    }
    assert.deepEqual(chat.complaints(), []);
  }

  programTest("the page on Andon's gateway", programs, [], async (ended) => {
    const andon = ended(await startAndon());
    // Same origin: as if Andon served it.
    const html = await programs.page.html(andon.url);
    const chat = await openChat(programs, ended, `${andon.url}/llm.html`, html);
    await pageOnGateway(andon, chat);
    // From a small web server on another port of this machine.
    const served = ended(await servePage(html), () => served.close());
    const other = await openChat(programs, ended, served.url);
    await pageOnGateway(andon, other);
    // Andon goes away under the open page.
    await andon.end();
    await other.page.fill(programs.page.question, SHORT);
    await other.page.press(programs.page.question, "Enter");
    const answer = other.page.locator(programs.page.answer);
    await until("the page says that nobody answers", async () => {
      return (await answer.textContent()) === programs.page.unreachable;
    });
  });

  programTest(
    "the Express gateway before Andon's proxy",
    programs,
    ["gateway", "proxy"],
    async (ended, ports) => {
      const andon = ended(
        await startAndon({ options: { "proxy-listen": `127.0.0.1:${ports.proxy}` } }),
      );
      const gateway = ended(await startGateway(programs, ports, folder));
      const url = `${local(ports.gateway)}/chat`;

      const answer = await ask(url, { json: { message: SHORT } });
      assert.equal(answer.status, 200, answer.text + gateway.output());
      assertReply(answer.json);
      assert.equal(answer.json.model_requested, "tinyllama:latest");
      assert.equal(answer.json.model, MODEL_NAME);
      assert.match(answer.json.trace_id, HEX_32);
      const trace = await andon.traceWith(answer.json.trace_id, "proxy", "runtime");
      const proxy = spanOf(trace, "proxy");
      assert.ok(proxy.parent_id, "dd-trace's span is the parent, though nobody sent it");
      assert.equal(spanOf(trace, "runtime").parent_id, proxy.span_id);

      const traceId = "0af7651916cd43dd8448eb211c80319c";
      const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
      const joined = await ask(url, { json: { message: SHORT }, headers });
      assert.equal(joined.json.trace_id, traceId, "the trace goes on through dd-trace");

      const empty = await ask(url, { json: { message: "" } });
      assert.equal(empty.status, 400);
      assert.deepEqual(empty.json, { error: "No message provided" });

      // An error of Andon's proxy arrives whole, as the detail.
      const tooMuch = await ask(url, { json: { message: "国境の長いトンネル。".repeat(1500) } });
      assert.equal(tooMuch.status, 500);
      assert.equal(tooMuch.json.error, programs.failed);
      assert.equal(tooMuch.json.detail.code, "context_exceeded", tooMuch.text);
      const failed = await andon.traceWith(tooMuch.json.detail.trace_id, "proxy");
      assert.equal(spanOf(failed, "proxy").error_type, "context_exceeded");

      await andon.end({ keep: true });
      const gone = await ask(url, { json: { message: SHORT } });
      assert.equal(gone.status, 500);
      assert.equal(gone.json.error, programs.failed);
      assert.equal(gateway.ended, null, gateway.output());
    },
  );

  programTest(
    "the Flask proxy behind Andon's gateway and before Andon's runtime",
    programs,
    ["proxy", "runtime"],
    async (ended, ports) => {
      const flask = ended(await startProxy(programs, ports, folder));
      const andon = ended(
        await startAndon({
          options: {
            proxy: `127.0.0.1:${ports.proxy}`,
            "proxy-listen": "off",
            "runtime-listen": `127.0.0.1:${ports.runtime}`,
          },
          env: { OLLAMA_MODELS: await store() },
        }),
      );

      const message = `${SHORT} 一言で教えてください。`;
      const answer = await andon.chat(message);
      assert.equal(answer.status, 200, answer.text + flask.output());
      assertReply(answer.json);
      const trace = await andon.traceWith(answer.json.trace_id, "gateway");
      const span = spanOf(trace, "gateway");
      assert.equal(span.status, "ok");
      assert.equal(span.input_tokens, answer.json.prompt_eval_count);
      assert.equal(span.output_tokens, answer.json.eval_count);
      // Nobody behind records the texts: the gateway does, as the policy allows.
      const input = trace.contents.find(({ part }) => part === "input");
      assert.equal(input.text, message.slice(0, 10) + NOTICE);
      assert.ok(trace.contents.some(({ part }) => part === "output"));

      const stream = await Stream.open(`${andon.url}/chat`, { json: { message } });
      const done = await stream.last();
      assert.equal(done.name, "done", JSON.stringify(done));
      assert.equal(stream.text(), done.data.reply, "a proxy without streams answers in one piece");

      // A model that no store has: the runtime's first one stands in here too.
      const granite = await andon.post("/granite", { message });
      assert.equal(granite.status, 200, granite.text);
      assertReply(granite.json);

      // What the runtime refuses, the proxy says in its own words.
      const tooMuch = await andon.chat("国境の長いトンネル。".repeat(1500));
      assert.equal(tooMuch.status, 500);
      assert.equal(tooMuch.json.error, "Error communicating with Python proxy");
      assert.match(tooMuch.json.detail.error, /context/);
      const failed = await andon.traceWith(tooMuch.json.trace_id, "gateway");
      assert.equal(spanOf(failed, "gateway").status, "error");
      assert.ok(!JSON.stringify(failed).includes("トンネル。国境"), "no more of it than allowed");

      assert.equal(flask.ended, null, flask.output());
      await flask.end();
      const gone = await andon.chat(message);
      assert.equal(gone.status, 500);
      assert.equal(gone.json.error, "Error communicating with Python proxy");
      assert.match(gone.json.trace_id, HEX_32);
    },
  );

  programTest(
    "all three before Andon's runtime, Andon's chat beside them",
    programs,
    ["gateway", "proxy", "runtime"],
    async (ended, ports) => {
      const andon = ended(
        await startAndon({
          options: { "runtime-listen": `127.0.0.1:${ports.runtime}` },
          env: { OLLAMA_MODELS: await store() },
        }),
      );
      const flask = ended(await startProxy(programs, ports, folder));
      const gateway = ended(await startGateway(programs, ports, folder));
      const url = local(ports.gateway);
      const html = await programs.page.html(url);
      const chat = await openChat(programs, ended, `${url}/llm.html`, html);
      const { said, response } = await chat.ask(SHORT);
      assert.equal(response.status, 200, gateway.output() + flask.output());
      assert.equal(said, response.json.reply);
      assertReply(response.json);
      const beside = await andon.chat(SHORT);
      assert.equal(beside.status, 200, beside.text);
      assert.equal(beside.json.model, "tinyllama:latest", "the store has what the route names");
      assert.equal(beside.json.note ?? null, null);
    },
  );

  programTest(
    "all three before Andon's capture: why the first answer, the second and a later one took so long",
    programs,
    ["gateway", "proxy", "runtime"],
    async (ended, ports) => {
      const andon = ended(
        await startAndon({
          options: {
            "capture-listen": `127.0.0.1:${ports.runtime}`,
            "keep-alive": `${KEPT_S}s`,
            lang: "en",
          },
          env: { OLLAMA_MODELS: await store() },
        }),
      );
      ended(await startProxy(programs, ports, folder));
      ended(await startGateway(programs, ports, folder));
      let asked = 0;
      const why = async () => {
        const answer = await ask(`${local(ports.gateway)}/chat`, { json: { message: SHORT } });
        assert.equal(answer.status, 200, answer.text);
        asked += 1;
        const [trace] = await until("its trace is stored", async () => {
          const traces = await andon.traces("name:generate");
          return traces.length === asked && traces;
        });
        return (await andon.get(`/api/v1/traces/${trace.trace_id}/why?lang=en`)).json;
      };
      // The machine is looked at once a second: a rise needs a look before it.
      await sleep(2_500);
      const cold = await why();
      assert.equal(cold.cause, "cold_start");
      assert.match(cold.sentence, /^Cold start .*Loading the model took [\d.]+ m?s of [\d.]+ m?s/);
      const evidence = cold.evidence.map(({ text }) => text).join(" ");
      assert.match(evidence, /The runtime's memory rose from .* to .* meanwhile/);
      const warm = await why();
      assert.equal(warm.cause, "none", warm.sentence);
      await sleep(KEPT_S * 1_000 + 1_500);
      const later = await why();
      assert.equal(later.cause, "keep_alive_expired");
      assert.match(later.sentence, /The model had left memory: unused for .*, it is kept for /);
    },
  );
}

// Side by side: most of the time goes into starting and ending Python and Node.
describe("programs of others", { concurrency: 2 }, () => {
  describe("the article's", { concurrency: 1 }, () => testsOf(article));
  describe("the project's own", { concurrency: 1 }, () => testsOf(own));
});
