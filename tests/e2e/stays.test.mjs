// From when to when models were in memory: by the API, under the memory's curve on the machine's page,
// and around a span of a trace. The built-in runtime with the real model.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startAndon } from "./harness/andon.mjs";
import { launch, openAt } from "./harness/browser.mjs";
import { MODEL_NAME } from "./harness/paths.mjs";
import { until } from "./harness/wait.mjs";

/** Runtimes are asked every five seconds: one that stays for less would not be seen. */
const KEEP_ALIVE = "8s";
const LOOK_NS = 5e9;
const OF = { runtime: "runtime", model: MODEL_NAME };
const ids = (name) => `[data-testid="${name}"]`;

let andon;
let browser;
before(async () => {
  const options = { "keep-alive": KEEP_ALIVE, lang: "en" };
  [andon, browser] = await Promise.all([startAndon({ options }), launch()]);
});
after(async () => {
  await browser?.close();
  await andon?.end();
});

const stays = async (query = "") => {
  const answer = await andon.get(`/api/v1/models/stays${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json.stays;
};

/** A page of Andon as a reader finds it. */
const open = (route, options) => openAt(browser, andon.url + route, options);

describe("a model's stay in memory", () => {
  let traceId;

  test("is told while it lasts, and there is nothing to show before", async () => {
    const { context, page } = await open("/andon/machine");
    await page.locator("[data-chart=memory]").waitFor();
    assert.equal(await page.locator("[data-chart=stays]").count(), 0);
    await context.close();

    const began = Date.now();
    assert.equal((await andon.post("/api/v1/models/load", OF)).status, 200);
    const [stay] = await until("it was seen", async () => {
      const found = await stays();
      return found.length > 0 && found;
    });
    assert.equal(stay.model, MODEL_NAME);
    assert.equal(stay.was_seen_to_come, true);
    assert.equal(stay.to_ns, null);
    assert.equal(stay.reason, null);
    assert.ok(stay.memory_bytes > 0);
    assert.ok(stay.from_ns / 1e6 >= began - 1_000);
  });

  test("ends when its time is up, and says so", async () => {
    const asked = await andon.chat("Hello.");
    assert.equal(asked.status, 200, asked.text);
    traceId = asked.json.trace_id;
    const [stay] = await until("it is over", async () => {
      const found = await stays();
      return found[0].to_ns !== null && found;
    });
    assert.equal(stay.reason, "expired");
    assert.equal(stay.was_seen_to_go, true);
    assert.equal(stay.other_model, null);

    const { context, page, complaints } = await open("/andon/machine");
    const chart = page.locator("[data-chart=stays]");
    await chart.waitFor();
    const lane = chart.locator(ids("stay-lane"));
    assert.equal(await lane.getAttribute("data-model"), MODEL_NAME);
    const bar = lane.locator(`${ids("stay")}[data-leave=expired]`);
    assert.match(await bar.getAttribute("aria-label"), /Idle until its time was up$/);
    assert.match(await chart.locator("tbody tr").first().innerText(), /Idle until its time was up/);

    // It lies under the memory's curve on the same axis, from when to when it was seen.
    const [above, plot] = await Promise.all(
      ["memory", "stays"].map((name) => page.locator(`[data-chart=${name}] .plot`).boundingBox()),
    );
    assert.equal(plot.x, above.x);
    assert.equal(plot.width, above.width);
    assert.ok(plot.y > above.y + above.height);
    const drawn = await bar.boundingBox();
    const lasted = (stay.to_ns - stay.from_ns) / 1e6;
    const wanted = (lasted / (15 * 60_000)) * plot.width;
    assert.ok(Math.abs(drawn.width - Math.max(4, wanted)) < 2, `${drawn.width}, not ${wanted} px`);
    // What ended a moment ago still reaches to where the axis ends: the page goes on by itself.
    await until("the axis has gone on from where it ended", async () => {
      const { x, width } = await bar.boundingBox();
      return x + width < plot.x + plot.width - 2;
    });

    // The keyboard reaches it, and Escape closes what is told.
    const note = page.getByTestId("stay-note");
    assert.equal(await note.count(), 0);
    await bar.focus();
    assert.match(await note.innerText(), /MiB[^]*Idle until its time was up/);
    await page.keyboard.press("Escape");
    await note.waitFor({ state: "detached" });
    await bar.hover();
    await note.waitFor();
    await page.mouse.move(5, 5);
    await bar.blur();
    await note.waitFor({ state: "detached" });
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("is asked for by its time", async () => {
    const [stay] = await stays();
    const at = (ns) => new Date(Math.round(ns / 1e6)).toISOString();
    const before = new URLSearchParams({ to: at(stay.from_ns - LOOK_NS) });
    assert.deepEqual(await stays(`?${before}`), []);
    const within = { from: at(stay.from_ns + 1e9), to: at(stay.from_ns + 2e9) };
    const [there] = await stays(`?${new URLSearchParams(within)}`);
    assert.equal(there.from_ns, stay.from_ns);
    assert.equal(there.to_ns, null, "nothing is said of what came after the asked time");
  });

  test("lies under the curves of a trace", async () => {
    for (const [language, width] of [
      ["en", 1440],
      ["ja", 390],
    ]) {
      const { context, page, complaints } = await open(
        `/andon/traces/${traceId}?tab=infrastructure`,
        { language, viewport: { width, height: 900 }, hasTouch: width < 400 },
      );
      const around = page.getByTestId("models-around");
      await around.waitFor();
      assert.equal(await around.locator(ids("stay-lane")).count(), 1);
      await around.locator(ids("stay")).first().focus();
      await page.getByTestId("stay-note").waitFor();
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - window.innerWidth,
      );
      assert.ok(overflow <= 0, `${overflow} px stick out`);
      assert.deepEqual(complaints, []);
      await context.close();
    }
  });
});

describe("the lanes", () => {
  /** More than a test could load: what the server would say of a machine with three models. */
  function told(url) {
    const times = new URL(url).searchParams;
    const [from, to] = ["from", "to"].map((name) => Date.parse(times.get(name)) * 1e6);
    const minute = (number) => from + number * 60e9;
    const stay = (model, begin, end, more) => ({
      runtime: "ollama",
      model,
      from_ns: minute(begin),
      was_seen_to_come: true,
      to_ns: end === null ? null : minute(end),
      was_seen_to_go: end !== null,
      reason: null,
      other_model: null,
      memory_bytes: 2 ** 31,
      gpu_bytes: 2 ** 30,
      context_length: 4096,
      expires_ns: null,
      ...more,
    });
    return {
      from_ns: from,
      to_ns: to,
      is_partial: false,
      stays: [
        stay("a", 2, 5, { reason: "expired", was_seen_to_come: false }),
        stay("a", 6, 8, { reason: "evicted", other_model: "b-with-a-long-name:70b-instruct-q4" }),
        stay("b-with-a-long-name:70b-instruct-q4", 8.1, null, { expires_ns: to + 300e9 }),
        stay("c", -30, null, { expires_ns: 9e18 }),
      ],
    };
  }

  for (const [language, width, colorScheme] of [
    ["en", 1440, "light"],
    ["ja", 390, "dark"],
  ]) {
    test(`are walked by the arrow keys, at ${width} px in ${language}`, async () => {
      const { context, page, complaints } = await open("/andon/connect", {
        language,
        colorScheme,
        viewport: { width, height: 900 },
      });
      await page.route("**/api/v1/models/stays?*", (route) =>
        route.fulfill({ json: told(route.request().url()) }),
      );
      await page.goto(`${andon.url}/andon/machine`);
      const bars = page.locator(ids("stay"));
      await bars.first().waitFor();
      assert.equal(await bars.count(), 4);
      assert.equal(await page.locator(`${ids("stay")}[tabindex="0"]`).count(), 1);
      const here = () =>
        page.evaluate(() => {
          const lane = document.activeElement.closest("[data-testid=stay-lane]");
          return [lane?.dataset.model.slice(0, 1), document.activeElement.dataset.leave];
        });
      await bars.first().focus();
      const walked = [await here()];
      for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowUp"]) {
        await page.keyboard.press(key);
        walked.push(await here());
      }
      assert.deepEqual(walked, [
        ["a", "expired"],
        ["a", "evicted"],
        ["a", "evicted"],
        ["b", "here"],
        ["c", "here"],
        ["b", "here"],
      ]);
      const plot = await page.locator("[data-chart=stays] .plot").boundingBox();
      for (let row = 0; row < 3; row += 1) {
        await page.locator(ids("stay-lane")).nth(row).locator(ids("stay")).last().focus();
        const note = await page.getByTestId("stay-note").boundingBox();
        assert.ok(note.x >= plot.x - 1 && note.x + note.width <= plot.x + plot.width + 1);
      }
      // Until it is let go: the last lane's.
      const why = language === "en" ? "Stays until it is let go" : "解放されるまで保持";
      assert.ok((await page.getByTestId("stay-note").innerText()).endsWith(why));
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - window.innerWidth,
      );
      assert.ok(overflow <= 0, `${overflow} px stick out`);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }
});
