// What is seen of a captured call while it runs, where the runtime itself says nothing: how far the
// prompt should be, learned from earlier calls, and the place behind others.
import assert from "node:assert/strict";
import { appendFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { startAndon, temporaryFolder } from "./harness/andon.mjs";
import { launch, openPage } from "./harness/browser.mjs";
import { Fake, json, ollama } from "./harness/fakes.mjs";
import { ask } from "./harness/http.mjs";
import { until } from "./harness/wait.mjs";

const WORD = "lantern ";
const NS_A_TOKEN = 10_000_000;

/** An Ollama of before it told of its cache, which reads 100 tokens a second, a token a word. */
class SlowOllama {
  /** Calls that are held back until they are let go. */
  held = [];
  holds = false;
  loaded = true;

  async start() {
    const routes = ollama();
    const list = routes["GET /api/ps"];
    this.fake = await Fake.start({
      ...routes,
      "GET /api/ps": (response) => (this.loaded ? list(response) : json(response, { models: [] })),
      "POST /api/chat": (response, { json: asked }) => {
        const words = asked.messages.map(({ content }) => content.split(" ").length - 1);
        const tokens = words.reduce((sum, count) => sum + count, 0);
        const answer = () =>
          json(response, {
            model: "tiny:latest",
            message: { role: "assistant", content: "Yes." },
            done: true,
            done_reason: "stop",
            total_duration: 50_000_000,
            load_duration: this.loaded ? 1_000_000 : 20_000_000_000,
            prompt_eval_count: tokens,
            prompt_eval_duration: tokens * NS_A_TOKEN,
            eval_count: 2,
            eval_duration: 20_000_000,
          });
        if (this.holds) this.held.push(answer);
        else answer();
      },
    });
    return this;
  }

  letGo() {
    this.holds = false;
    for (const answer of this.held.splice(0)) answer();
  }
}

let runtime;
let andon;
let log;
before(async () => {
  runtime = await new SlowOllama().start();
  log = path.join(await temporaryFolder(), "server.log");
  await writeFile(log, 'time=2026-01-01 level=INFO msg="Listening"\n');
  andon = await startAndon({ options: { runtime: runtime.fake.url, "ollama-log": log } });
});
after(async () => {
  await andon?.end();
  await runtime?.fake.end();
});

/** A prompt of so many tokens that shares nothing with another one. */
function say(tokens, name, { stream = false } = {}) {
  const content = `${name} ${WORD.repeat(tokens - 1)}`;
  const body = { model: "tiny", messages: [{ role: "user", content }], stream };
  return ask(`${andon.captureUrl}/api/chat`, { json: body });
}

async function live(count) {
  return until(`${count} calls run`, async () => {
    const calls = await andon.live();
    return calls.length === count && calls;
  });
}

/** What the list of traces shows of the only call that runs. */
async function assertShown(words) {
  const browser = await launch();
  try {
    const { page } = await openPage(browser, { locale: "en-GB" });
    await page.goto(`${andon.url}/andon/`);
    if ((await page.locator("html").getAttribute("lang")) !== "en") {
      await page.getByTestId("lang-switch").click();
    }
    const row = page.getByTestId("live-row");
    await row.waitFor();
    assert.match((await row.innerText()).replace(/\s+/g, " "), words);
  } finally {
    await browser.close();
  }
}

test("how far a prompt should be is learned from earlier ones, and marked as such", async () => {
  for (let number = 0; number < 12; number += 1) {
    const answer = await say(40 + 30 * number, `warm${number}`);
    await andon.traceWith(answer.headers["x-trace-id"], "ollama");
  }
  runtime.holds = true;
  // 2,000 tokens at 100 a second: 20 s.
  const held = say(2_000, "held", { stream: true });
  const call = await until("the forecast is there", async () => {
    const [seen] = await andon.live();
    return seen?.prompt_total && seen;
  });
  assert.deepEqual([call.phase, call.eta_exact, call.model], ["prompt", false, "tiny"]);
  assert.ok(Math.abs(call.prompt_total - 2_000) < 200, `${call.prompt_total} tokens`);
  assert.ok(call.eta_ms > 14_000 && call.eta_ms < 21_000, `${call.eta_ms} ms left`);
  const later = await until("it goes on", async () => {
    const [seen] = await andon.live();
    return seen.prompt_done > call.prompt_done && seen;
  });
  assert.ok(later.eta_ms < call.eta_ms);
  await assertShown(/about \d+ s left · about [\d,]+ of [\d,]+ tokens/);
  runtime.letGo();
  assert.equal((await held).status, 200);
});

test("a call behind others has a place, which comes nearer", async () => {
  runtime.holds = true;
  const calls = [say(50, "one")];
  await until("the runtime has it", () => runtime.held.length === 1);
  calls.push(say(50, "two"));
  await until("the runtime has both", () => runtime.held.length === 2);
  calls.push(say(50, "three"));
  await until("the runtime has all", () => runtime.held.length === 3);
  const places = (all) => all.map(({ phase, queue_position: place }) => [phase, place]);
  assert.deepEqual(places(await live(3)), [
    ["prompt", null],
    ["queue", 1],
    ["queue", 2],
  ]);
  runtime.held.shift()();
  assert.deepEqual(places(await live(2)), [
    ["prompt", null],
    ["queue", 1],
  ]);
  runtime.letGo();
  await Promise.all(calls);
});

test("a load that should take its time is seen as one", async () => {
  runtime.loaded = false;
  const unloaded = async () => {
    const { runtimes } = (await andon.get("/api/v1/runtimes")).json;
    return runtimes[0].models[0].loaded === false;
  };
  await until("Andon has seen that the model is gone", unloaded);
  const first = await say(100, "cold");
  await andon.traceWith(first.headers["x-trace-id"], "ollama");
  runtime.holds = true;
  const held = say(100, "again");
  const call = await until("it loads", async () => {
    const [seen] = await andon.live();
    return seen?.phase === "load" && seen;
  });
  assert.ok(call.load_progress > 0 && call.load_progress < 0.5, `${call.load_progress}`);
  assert.ok(call.eta_ms > 10_000 && call.eta_ms < 20_000, `${call.eta_ms}`);
  runtime.letGo();
  await held;
});

test("what Ollama's own log says of a prompt is taken instead of a guess", async () => {
  runtime.loaded = true;
  runtime.holds = true;
  const held = say(2_000, "logged", { stream: true });
  await until("the runtime has it", () => runtime.held.length === 1);
  const slot = (name, text) => `slot ${name}: id  0 | task 7 | ${text}\n`;
  await appendFile(
    log,
    slot("  operator()", "new prompt, n_ctx_slot = 4096, n_keep = 4, task.n_tokens = 2007") +
      slot("  operator()", "cached n_tokens = 7, memory_seq_rm [7, end)") +
      slot(
        "print_timing",
        "prompt processing, n_tokens =    996, progress = 0.50, t = 9.96 s / 100.00 tokens per second",
      ),
  );
  const call = await until("the log is read", async () => {
    const [seen] = await andon.live();
    return seen.prompt_total === 2_007 && seen.prompt_done > 7 && seen;
  });
  const { prompt_done: done, prompt_cached: cached, eta_exact: exact } = call;
  assert.deepEqual([done, cached, exact], [1_003, 7, true]);
  runtime.letGo();
  await held;
});
