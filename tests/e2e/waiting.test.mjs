// What a call waits for, said while it waits: by the API, on the list and on the chat page. The model
// is real, and so are the waits.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startAndon } from "./harness/andon.mjs";
import { launch, openPage } from "./harness/browser.mjs";
import { ask } from "./harness/http.mjs";
import { ENDLESS, ENDLESSLY, long } from "./harness/messages.mjs";
import { MODEL_NAME } from "./harness/paths.mjs";
import { until } from "./harness/wait.mjs";

const SENTENCES = 150;
const ids = (name) => `[data-testid="${name}"]`;

let andon;
let browser;
before(async () => {
  [andon, browser] = await Promise.all([startAndon({ options: { lang: "en" } }), launch()]);
});
after(async () => {
  await browser?.close();
  await andon?.end();
});

function call(content, options = {}) {
  const json = {
    model: MODEL_NAME,
    messages: [{ role: "user", content }],
    options: { num_predict: 8, ...options },
    stream: false,
  };
  return ask(`${andon.captureUrl}/api/chat`, { json });
}

/** The first call that waits for this, as it runs. */
function waiting(cause, lang = "en") {
  return until(`a call is said to wait: ${cause}`, async () => {
    const { json } = await andon.get(`/api/v1/live?lang=${lang}`);
    return json.calls.find((one) => one.waiting?.cause === cause);
  });
}

async function open(path, lang) {
  const { context, page, complaints } = await openPage(browser);
  await page.addInitScript((chosen) => localStorage.setItem("andon.lang", chosen), lang);
  await page.goto(`${andon.url}${path}`);
  return { context, page, complaints };
}

describe("while a call runs", () => {
  test("one that is quick waits for nothing", async () => {
    assert.equal((await call("Hello.")).status, 200);
    assert.deepEqual((await andon.get("/api/v1/live")).json, { calls: [] });
    const refused = await andon.get("/api/v1/live?lang=fr");
    assert.equal(refused.status, 400);
    assert.match(refused.text, /lang: \\"fr\\" is neither ja nor en/);
  });

  test("a long prompt is read, and that nothing of it was cached is said", async () => {
    const asked = call(`1. ${long(SENTENCES)}`);
    const found = await waiting("long_prompt");
    assert.equal(found.phase, "prompt");
    // The runtime itself says how many they are.
    const told = /^([\d,]+) tokens are to be read.*nothing was cached\.$/;
    assert.match(found.waiting.sentence, told);
    const total = Number(told.exec(found.waiting.sentence)[1].replaceAll(",", ""));
    const trace = await andon.traceWith((await asked).headers["x-trace-id"], "runtime");
    const span = trace.spans.find(({ llm_kind }) => llm_kind === "llm");
    assert.equal(total, span.input_tokens - span.cached_tokens);
  });

  test("who waits for another call's end hears which; the list says it too", async () => {
    const { context, page, complaints } = await open("/andon/", "ja");
    const first = call(ENDLESS, { ...ENDLESSLY, num_predict: 250 });
    await until("the first one writes", async () => {
      const { json } = await andon.get("/api/v1/live");
      return json.calls.some(({ phase }) => phase === "generate");
    });
    const second = call("And now me.");
    const found = await waiting("queue", "ja");
    assert.equal(found.waiting.sentence, `先に ${MODEL_NAME} への別の呼び出しに答えています。`);
    const said = page.locator(`${ids("live-why")}[data-cause="queue"]`);
    assert.equal(await said.textContent(), found.waiting.sentence);
    await Promise.all([first, second]);
    await said.waitFor({ state: "detached" });
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("the chat page says it beneath its clock, in its language", async () => {
    const { context, page, complaints } = await open("/", "ja");
    await page.locator(ids("message-input")).fill(`2. ${long(SENTENCES)}`);
    await page.keyboard.press("Enter");
    const reason = page.locator(ids("wait-reason")).filter({ hasText: /トークンを読んでいます/ });
    await reason.waitFor();
    assert.match(await reason.textContent(), /^[\d,]+ トークンを読んでいます/);
    assert.deepEqual(complaints, []);
    await context.close();
  });
});
