// Loading models, letting them go, keeping them in memory: the built-in runtime with the real model, by
// the API, on the runtimes' page, and by the button that a cold start's advice is.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startAndon } from "./harness/andon.mjs";
import { launch, openPage } from "./harness/browser.mjs";
import { delta, Fake, openai } from "./harness/fakes.mjs";
import { MODEL_NAME } from "./harness/paths.mjs";
import { until } from "./harness/wait.mjs";

const KEPT = "/api/v1/models/kept";
const OF = { runtime: "runtime", model: MODEL_NAME };
const ids = (name) => `[data-testid="${name}"]`;
/** Shorter than a test may wait, and than Andon looks ahead. */
const OPTIONS = { "keep-alive": "2s", lang: "en" };

let andon;
let browser;
before(async () => {
  [andon, browser] = await Promise.all([startAndon({ options: OPTIONS }), launch()]);
});
after(async () => {
  await browser?.close();
  await andon?.end();
});

async function model() {
  const { json } = await andon.get("/api/v1/runtimes");
  return json.runtimes[0].models.find(({ name }) => name === MODEL_NAME);
}

const isLoaded = (wanted) =>
  until(`the model is ${wanted ? "" : "not "}in memory`, async () => {
    const found = await model();
    return found && found.loaded === wanted;
  });

const keep = () => andon.get(KEPT, { method: "PUT", json: OF });
const keepNoLonger = () => andon.get(`${KEPT}?${new URLSearchParams(OF)}`, { method: "DELETE" });

describe("a model", () => {
  test("is loaded and let go when asked, and what cannot be is said", async () => {
    await isLoaded(false);
    assert.deepEqual((await andon.post("/api/v1/models/load", OF)).json, { ok: true });
    assert.equal((await model()).loaded, true);
    assert.equal((await andon.post("/api/v1/models/unload", OF)).status, 200);
    assert.equal((await model()).loaded, false);

    const refused = async (body) => {
      const { status, json } = await andon.post("/api/v1/models/load", body);
      return [status, json.error];
    };
    assert.deepEqual(await refused({ ...OF, model: "nobody" }), [
      404,
      "runtime has no model nobody",
    ]);
    assert.deepEqual(await refused({ ...OF, runtime: "elsewhere" }), [
      404,
      "no runtime named elsewhere answers",
    ]);
    assert.equal((await refused({ ...OF, more: 1 }))[0], 400);
  });

  test("that is kept stays beyond its time, and is kept after a crash too", async () => {
    const answer = await keep();
    assert.equal(answer.status, 200, answer.text);
    await isLoaded(true);
    const [kept] = await until("it is held", async () => {
      const { json } = await andon.get(KEPT);
      return json.kept[0].state === "held" && json.kept;
    });
    assert.deepEqual(kept, { ...OF, state: "held", message: null });
    // Far beyond the two seconds that the runtime keeps one that nobody keeps.
    const left = (await model()).expires_ns / 1e6 - Date.now();
    assert.ok(left > 60_000, `${left} ms`);

    await andon.kill();
    andon = await startAndon({ data: andon.folder, options: OPTIONS });
    await isLoaded(true);
    assert.equal((await keepNoLonger()).status, 200);
    assert.deepEqual((await andon.get(KEPT)).json, { kept: [] });
    await andon.post("/api/v1/models/unload", OF);
    await isLoaded(false);
  });

  test("of a runtime that loads none when asked is refused", async () => {
    const fake = await Fake.start(openai([delta("Hello."), delta(null)]));
    const other = await startAndon({ options: { runtime: fake.url } });
    try {
      const found = await until("the runtime is there", async () => {
        const { json } = await other.get("/api/v1/runtimes");
        return json.runtimes[0].models.length > 0 && json.runtimes[0];
      });
      const of = { runtime: found.name, model: found.models[0].name };
      const answer = await other.post("/api/v1/models/load", of);
      assert.equal(answer.status, 400);
      assert.match(answer.json.error, /it loads and unloads no model when asked/);
    } finally {
      await other.end();
      await fake.end();
    }
  });

  test("is kept by a click on the trace of its cold start, and let go on the runtimes' page", async () => {
    const asked = await andon.chat("Hello.");
    assert.equal(asked.status, 200, asked.text);
    await andon.traceWith(asked.json.trace_id, "gateway", "proxy", "runtime");
    const { context, page, complaints } = await openPage(browser);
    await page.goto(`${andon.url}/andon/traces/${asked.json.trace_id}`);
    const button = page.locator(ids("keep-loaded"));
    assert.equal(await button.innerText(), `Keep ${MODEL_NAME} loaded`);
    await button.click();
    await page.locator(`${ids("keep-loaded")}[aria-pressed="true"]`).waitFor();
    assert.equal(await button.innerText(), `${MODEL_NAME} is kept loaded`);
    assert.deepEqual(
      (await andon.get(KEPT)).json.kept.map(({ model }) => model),
      [MODEL_NAME],
    );

    await page.goto(`${andon.url}/andon/runtimes`);
    const row = page.locator(ids("runtime-model")).filter({ hasText: MODEL_NAME });
    await row.locator(`${ids("model-keep")}[aria-pressed="true"]`).click();
    await row.locator(`${ids("model-keep")}[aria-pressed="false"]`).waitFor();
    assert.deepEqual((await andon.get(KEPT)).json.kept, []);
    await isLoaded(true);
    await row.locator(ids("model-load")).click();
    await isLoaded(false);
    await row
      .locator(ids("model-load"))
      .filter({ hasText: /^Load$/ })
      .click();
    await page.locator(`${ids("runtime-model")}[data-loaded="true"]`).waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });
});
