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

const keep = (hours) => andon.get(KEPT, { method: "PUT", json: { ...OF, hours } });
const kept = async () => (await andon.get(KEPT)).json.kept;
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
    assert.deepEqual(kept, { ...OF, hours: null, state: "held", message: null });
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

describe("the hours at which a model is kept", () => {
  test("that cannot be read are named", async () => {
    const hours = { from: "08:00", to: "18:30", days: [1], time_zone: "Mars" };
    const refused = async (wrong) => {
      const { status, json } = await keep({ ...hours, ...wrong });
      return [status, json.error];
    };
    const [status, error] = await refused({});
    assert.equal(status, 400);
    assert.match(error, /^(body: )?hours\.time_zone: "Mars" is neither /);
    assert.match(
      (await refused({ time_zone: "UTC", from: "8" }))[1],
      /^(body: )?hours\.from: "8" /,
    );
    assert.match((await refused({ time_zone: "UTC", days: [8] }))[1], /^(body: )?hours\.days: 8 /);
    assert.deepEqual(await kept(), []);
  });

  test("are respected: outside of them the model goes when its time is up", async () => {
    await andon.post("/api/v1/models/unload", OF);
    // The hour that begins in eleven, so that it is not now whenever this runs.
    const clock = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
    const hours = { from: clock(11), to: clock(12), days: [], time_zone: "UTC" };
    const answer = await keep(hours);
    assert.equal(answer.status, 200, answer.text);
    await until("it rests", async () => (await kept())[0].state === "resting");
    assert.deepEqual(await kept(), [{ ...OF, hours, state: "resting", message: null }]);
    assert.equal((await andon.post("/api/v1/models/load", OF)).status, 200);
    await isLoaded(true);
    await isLoaded(false);
    assert.equal((await kept())[0].state, "resting");
    // Now is one of these, and the model comes back by itself.
    assert.equal((await keep({ ...hours, from: clock(-1), to: clock(1) })).status, 200);
    await isLoaded(true);
    await keepNoLonger();
    await andon.post("/api/v1/models/unload", OF);
    await isLoaded(false);
  });

  // An hour that is not now.
  const zone = "Asia/Tokyo";
  const isMorning = new Date().toLocaleTimeString("en-GB", { timeZone: zone }) < "12";
  const [from, to] = isMorning ? ["19:00", "20:30"] : ["01:00", "02:30"];
  const short = (time) => time.replace(/^0/, "");
  for (const [language, words, always, resting] of [
    ["en", `Mon, Wed ${from}–${to}`, "always", "not its hour"],
    ["ja", `月・水 ${short(from)}–${short(to)}`, "常時", "時間外"],
  ]) {
    test(`are set by the keyboard and told on the page, in ${language}`, async () => {
      await keep();
      await isLoaded(true);
      const { context, page, complaints } = await openPage(browser, {
        timezoneId: zone,
        viewport: language === "en" ? { width: 1280, height: 900 } : { width: 390, height: 844 },
      });
      await page.addInitScript((chosen) => localStorage.setItem("andon.lang", chosen), language);
      await page.goto(`${andon.url}/andon/runtimes`);
      const control = page.locator(ids("model-hours"));
      const told = async () => (await control.innerText()).split("\n").at(-1).trim();
      await control.waitFor();
      assert.equal(await told(), always);
      await control.press("Enter");
      const form = page.getByTestId("hours-form");
      await form.waitFor();
      assert.equal(
        await page.evaluate(() => document.activeElement.dataset.testid),
        "hours-from",
        "one goes on in the form",
      );
      await page.keyboard.press("Escape");
      await form.waitFor({ state: "detached" });
      assert.equal(await control.evaluate((it) => it === document.activeElement), true);

      await control.press("Enter");
      await page.getByTestId("hours-from").fill(from);
      await page.getByTestId("hours-to").fill(to);
      assert.match(await page.getByTestId("hours-zone").innerText(), new RegExp(zone));
      const day = (number) => page.locator(`${ids("hours-day")}[data-day="${number}"]`);
      for (const number of [1, 2, 3, 4, 5]) await day(number).press("Space");
      assert.equal(await page.getByTestId("hours-save").isDisabled(), true, "no day is no hours");
      for (const number of [1, 3]) await day(number).press("Space");
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - window.innerWidth,
      );
      assert.ok(overflow <= 0, `${overflow} px stick out`);
      await page.getByTestId("hours-save").press("Enter");
      await form.waitFor({ state: "detached" });
      await until("the hours are told", async () => (await told()) === words);
      assert.equal(await control.evaluate((it) => it === document.activeElement), true);
      const [{ hours }] = await kept();
      assert.deepEqual(hours, { from, to, days: [1, 3], time_zone: zone });

      await page.reload();
      await control.waitFor();
      assert.equal(await told(), words);
      const [{ state }] = await until("it is not its hour", async () => {
        const now = await kept();
        return now[0].state === "resting" && now;
      });
      assert.equal(state, "resting");
      await page.getByText(resting, { exact: true }).waitFor();
      await control.click();
      await page.getByTestId("hours-always").click();
      await until("it is kept always", async () => (await told()) === always);
      assert.equal((await kept())[0].hours, null);
      await control.click();
      await form.waitFor();
      await page.getByTestId("model-keep").click();
      await form.waitFor({ state: "detached" });
      assert.deepEqual(await kept(), []);
      assert.deepEqual(complaints, []);
      await context.close();
      await andon.post("/api/v1/models/unload", OF);
      await isLoaded(false);
    });
  }

  test("that the server refuses stay in the form, and it is said why", async () => {
    await keep();
    const { context, page } = await openPage(browser);
    await page.route("**/api/v1/models/kept", (route) =>
      route.request().method() === "PUT"
        ? route.fulfill({ status: 400, json: { error: "hours.days: no", code: "bad_request" } })
        : route.continue(),
    );
    await page.goto(`${andon.url}/andon/runtimes`);
    await page.locator(ids("model-hours")).click();
    await page.getByTestId("hours-save").click();
    await page.getByRole("alert").filter({ hasText: "hours.days: no" }).waitFor();
    assert.equal(await page.getByTestId("hours-form").isVisible(), true);
    await context.close();
    await keepNoLonger();
  });
});
