// «Why was this slow?», answered for calls to the real model whose causes are made here.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import os from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { environment, startAndon } from "./harness/andon.mjs";
import { launch, openPage } from "./harness/browser.mjs";
import { ask } from "./harness/http.mjs";
import { ENDLESS, ENDLESSLY } from "./harness/messages.mjs";
import { BINARY, MODEL_NAME } from "./harness/paths.mjs";
import { run } from "./harness/process.mjs";
import { PATIENCE_MS } from "./harness/wait.mjs";

const KEPT_MS = 4_000;
const ids = (name) => `[data-testid="${name}"]`;

let andon;
let browser;
before(async () => {
  const options = { "keep-alive": `${KEPT_MS / 1000}s`, privacy: "full", lang: "en" };
  [andon, browser] = await Promise.all([startAndon({ options }), launch()]);
  // The machine is looked at once a second: a rise needs a look before it.
  await sleep(2_500);
});
after(async () => {
  await browser?.close();
  await andon?.end();
});

/** Asks through the capture; the trace's explanation once it is stored. */
async function why(content, options = {}) {
  const body = {
    model: MODEL_NAME,
    messages: [{ role: "user", content }],
    options: { num_predict: 24, seed: 1, ...options },
    stream: false,
  };
  const answer = await ask(`${andon.captureUrl}/api/chat`, { json: body });
  assert.equal(answer.status, 200, answer.text);
  const id = answer.headers["x-trace-id"];
  const trace = await andon.traceWith(id, "runtime");
  const explained = await andon.get(`/api/v1/traces/${id}/why?lang=en`);
  assert.equal(explained.status, 200, explained.text);
  return { id, span: trace.spans[0], ...explained.json };
}

const texts = (explained) => explained.evidence.map(({ text }) => text).join("\n");

describe("the causes of the article's two answers, and of the later one", () => {
  let cold;

  test("the first call is a cold start, with the seconds and the memory's rise", async () => {
    cold = await why("Say hello.");
    assert.equal(cold.cause, "cold_start");
    assert.match(
      cold.sentence,
      /^Cold start \(first call to this model\)\. Loading the model took/,
    );
    assert.match(texts(cold), /The runtime's memory rose from .* to .* meanwhile/);
    assert.equal(cold.shares[0].phase, "load");
    assert.equal(cold.span.cause, "cold_start");
    const sum = cold.shares.reduce((all, share) => all + share.ns, 0);
    assert.ok(Math.abs(sum - cold.total_ns) <= cold.shares.length, `${sum} of ${cold.total_ns}`);
  });

  test("the second one is warm, and nothing is claimed of it", async () => {
    const warm = await why("Say hello again.");
    assert.equal(warm.cause, "none");
    assert.match(warm.sentence, /^Nothing unusual\. /);
    assert.deepEqual(warm.causes, []);
  });

  test("after the keep-alive time the model is loaded again, and that is said", async () => {
    await sleep(KEPT_MS + 1_000);
    const later = await why("Say hello once more.");
    assert.equal(later.cause, "keep_alive_expired");
    assert.match(later.sentence, /unused for \d\.\d\d s, it is kept for 4 s/);
    assert.match(later.advice[0], /A longer keep_alive/);
  });

  test("another size of context costs the cache, and is named", async () => {
    const words = "The lantern is lit when someone is needed. ".repeat(60);
    await why(words);
    const changed = await why(words, { num_ctx: 2048 });
    assert.equal(changed.cause, "options_changed");
    assert.match(changed.sentence, /^num_ctx went from its default to 2048/);
  });

  test("the page says it in its language, and shows what was measured", async () => {
    for (const lang of ["en", "ja"]) {
      const { context, page, complaints } = await openPage(browser);
      await page.addInitScript((chosen) => localStorage.setItem("andon.lang", chosen), lang);
      page.setDefaultTimeout(PATIENCE_MS);
      await page.goto(`${andon.url}/andon/traces/${cold.id}`);
      const sentence = page.locator(`${ids("why-sentence")}[data-cause="cold_start"]`);
      await sentence.waitFor();
      const said = await andon.get(`/api/v1/traces/${cold.id}/why?lang=${lang}`);
      assert.equal(await sentence.textContent(), said.json.sentence);
      await page.locator(`${ids("why-evidence")} summary`).click();
      const shown = await page.locator(`${ids("why-evidence")} li`).allInnerTexts();
      assert.deepEqual(
        shown,
        said.json.evidence.map(({ text }) => text),
      );
      assert.deepEqual(complaints, []);
      await context.close();
    }
  });

  test("the list finds traces by their cause", async () => {
    const found = await andon.traces("cause:keep_alive_expired");
    assert.equal(found.length, 1);
    assert.ok(found[0].cold_start);
  });

  test("`andon why` says the same, of a running Andon", async () => {
    const env = environment();
    const args = ["why", cold.id, `--data=${andon.data}`, "--lang=ja"];
    const text = await run(BINARY, args, { env });
    assert.equal(text.code, 0, text.stderr);
    assert.match(text.stdout, /^コールドスタートです\(このモデルへの最初の呼び出し\)。/);
    const json = await run(BINARY, [...args, "--format=json"], { env });
    assert.equal(JSON.parse(json.stdout).cause, "cold_start");
    const last = await run(BINARY, ["why", "last", `--data=${andon.data}`], { env });
    assert.equal(last.code, 0, last.stderr);
    const wrong = await run(BINARY, ["why", "yesterday", `--data=${andon.data}`], { env });
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /neither a trace's id, 32 hex digits, nor `last`/);
  });

  test("what is no language or no trace is refused", async () => {
    assert.equal((await andon.get(`/api/v1/traces/${cold.id}/why?lang=fr`)).status, 400);
    assert.equal((await andon.get(`/api/v1/traces/${"0".repeat(31)}1/why`)).status, 404);
  });
});

describe("causes that lie around a call", () => {
  test("a prompt far longer than the others is long", async () => {
    for (let call = 0; call < 5; call += 1) await why(`Count to ${call}.`);
    const long = await why("A word and another one, and so on. ".repeat(150));
    assert.equal(long.cause, "long_prompt");
    assert.match(long.sentence, /tokens were read, usually/);
  });

  test("a runtime that is busy with another call is waited for", async () => {
    const first = why(ENDLESS, { ...ENDLESSLY, num_predict: 400 });
    await sleep(300);
    const second = await why("And now me.");
    assert.equal(second.cause, "queue");
    assert.match(texts(second), new RegExp(`Another call to ${MODEL_NAME} ran at that time`));
    assert.equal(second.evidence[0].trace_id, (await first).id);
  });

  test("a program that takes the CPU is named", async () => {
    const story = () => why(ENDLESS, { ...ENDLESSLY, num_predict: 60 });
    for (let call = 0; call < 4; call += 1) await story();
    const hogs = Array.from({ length: 4 * os.availableParallelism() }, () =>
      spawn("yes", { stdio: ["ignore", "ignore", "ignore"] }),
    );
    try {
      await sleep(1_500);
      const starved = await story();
      assert.equal(starved.cause, "cpu_starved", JSON.stringify(starved));
      assert.match(starved.sentence, /most of it yes\. It came to .* tokens\/s instead of/);
      assert.match(starved.advice[0], /^Move yes elsewhere/);
    } finally {
      for (const hog of hogs) hog.kill("SIGKILL");
    }
  });
});
