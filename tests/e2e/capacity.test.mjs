// The page of what the machine can do: it shows what the API says, asks again when something else is
// asked, and measures the machine.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startAndon, temporaryFolder } from "./harness/andon.mjs";
import { launch, openAt } from "./harness/browser.mjs";
import { ENDLESS, ENDLESSLY } from "./harness/messages.mjs";
import { MODEL_NAME } from "./harness/paths.mjs";
import { generate } from "./harness/query.mjs";
import { until } from "./harness/wait.mjs";

const PAGE = "/andon/capacity";
const ENOUGH_CALLS = 5;
const ids = (name) => `[data-testid="${name}"]`;
const count = (value) => new Intl.NumberFormat("en-GB").format(value);

let andon;
let browser;

before(async () => {
  const folder = await temporaryFolder();
  await generate(folder, { spans: 12_000, days: 7, seed: 8 });
  [andon, browser] = await Promise.all([
    startAndon({ data: folder, options: { lang: "en" } }),
    launch(),
  ]);
});
after(async () => {
  await browser?.close();
  await andon?.end();
});

/** A page of Andon as a reader finds it; `asked` are the addresses of its questions, newest last. */
async function open(route, options) {
  const asked = [];
  const prepare = (page) =>
    page.on("request", (request) => {
      const { pathname, search } = new URL(request.url());
      if (pathname.startsWith("/api/v1/capacity")) asked.push(pathname + search);
    });
  return { asked, ...(await openAt(browser, andon.url + route, { ...options, prepare })) };
}

/** All parts have the answer to what is asked. */
async function answered(page) {
  await page.locator(ids("people-answer")).waitFor();
  await page.locator(ids("check")).waitFor();
  await until("nothing is asked any more", async () => {
    return (await page.locator('[aria-busy="true"]').count()) === 0;
  });
}

/** What the server says to the page's newest question of a kind. */
async function answerTo(asked, name) {
  const path = name === "capacity" ? "/api/v1/capacity?" : `/api/v1/capacity/${name}?`;
  const url = asked.findLast((address) => address.startsWith(path));
  assert.ok(url, `${name} was not asked`);
  const { status, json, text } = await andon.get(url);
  assert.equal(status, 200, text);
  return json;
}

const cell = async (row, column) => {
  const text = await row.locator(`[data-column="${column}"]`).innerText();
  return text.replace(/\s+/g, " ").trim();
};

/** A duration in milliseconds. */
function ms(text) {
  const units = { µs: 1e-3, ms: 1, s: 1e3, min: 60e3, h: 3600e3 };
  const parts = [...text.matchAll(/([\d.,]+) (µs|ms|s|min|h)\b/g)];
  assert.ok(parts.length > 0, text);
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * units[unit], 0);
}

/** What is shown is rounded to three figures. */
function near(actual, expected, what) {
  const apart = Math.abs(expected) * 0.006 + 1e-6;
  assert.ok(Math.abs(actual - expected) <= apart, `${what}: ${actual} is shown, not ${expected}`);
}

const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

describe("what the machine can do", () => {
  let view;
  before(async () => {
    view = await open(PAGE);
    await answered(view.page);
  });
  after(() => view?.context.close());

  test("is told first, of a week's calls to the runtime with most of them", async () => {
    const { page, asked } = view;
    const [capacity, people] = await Promise.all([
      answerTo(asked, "capacity"),
      answerTo(asked, "people"),
    ]);
    const verdict = await page.getByTestId("verdict").innerText();
    assert.ok(people.most > 0);
    assert.ok(verdict.includes(`Enough for ${count(people.most)} people`), verdict);
    assert.ok(verdict.includes(`From ${count(capacity.calls)} calls.`), verdict);
    assert.equal(await page.getByTestId("runtime").inputValue(), capacity.runtimes[0]);
    assert.equal(capacity.runtime, capacity.runtimes[0]);
    const week = 7 * 86_400e9;
    const length = capacity.to_ns - capacity.from_ns;
    assert.ok(length >= week && length < week + 3600e9, `${length} ns`);
  });

  test("has a line and a row for each model", async () => {
    const { page, asked } = view;
    const { models, from_ns, step_ns } = await answerTo(asked, "capacity");
    assert.ok(models.length >= 2);
    const rows = page.locator(ids("model-row"));
    assert.equal(await rows.count(), models.length);
    const first = Math.floor(from_ns / step_ns);
    const tops = [];
    for (const [at, { model, calls, curve }] of models.entries()) {
      const row = rows.nth(at);
      assert.equal(await row.getAttribute("data-model"), model);
      assert.equal(await cell(row, "calls"), count(calls));
      const loads = curve.reduce((sum, point) => sum + point.loads, 0);
      assert.equal(await cell(row, "loads"), count(loads));
      const speeds = curve.map(({ written_per_s }) => written_per_s).filter((value) => value);
      const shown = Number(await cell(row, "written"));
      assert.ok(Math.min(...speeds) - 0.1 <= shown && shown <= Math.max(...speeds) + 0.1);

      const path = await page
        .locator(`[data-chart=speed] path[data-series="${model}"]`)
        .getAttribute("d");
      const points = [...path.matchAll(/[ML]([\d.]+) ([\d.]+)/g)];
      const known = curve.filter(({ written_per_s }) => written_per_s !== null);
      assert.equal(points.length, known.length);
      known.forEach((point, index) => {
        const [, x, y] = points[index];
        assert.equal(Math.floor(Number(x)), Math.round(point.time_ns / step_ns) - first);
        // All lines have one scale.
        if (y !== "100.00") tops.push(point.written_per_s / (1 - Number(y) / 100));
      });
    }
    for (const top of tops) near(top, tops[0], "the chart's top");
    await page.locator(`${ids("speed-choice")}[data-speed=read]`).click();
    await page.waitForURL("**?speed=read");
    await page.getByText("Reading, tokens/s").first().waitFor();
    const shown = await page
      .locator(`${ids("speed-key")} b`)
      .first()
      .innerText();
    assert.equal(shown, await cell(rows.first(), "read"));
    await page.locator(`${ids("speed-choice")}[data-speed=written]`).click();
  });

  test("shows how it is for so many people", async () => {
    const { page, asked } = view;
    const people = await answerTo(asked, "people");
    const point = people.points.find((of) => of.people === people.most);
    const figure = (name) =>
      page.locator(`${ids("people-figure")}[data-name=${name}] dd`).innerText();
    near(ms(await figure("first50")), point.first_p50_ns / 1e6, "p50");
    near(ms(await figure("first90")), point.first_p90_ns / 1e6, "p90");
    assert.equal(await figure("busy"), `${Math.round(point.busy * 100)} %`);
    const told = page.locator("[data-chart=people] tbody tr");
    assert.deepEqual(
      await told.locator("th").allInnerTexts(),
      people.points.map((of) => count(of.people)),
    );
    // Recorded, not made up here.
    const pause = await page
      .getByLabel("Pause before the next question")
      .getAttribute("placeholder");
    assert.equal(pause, `as recorded: ${count(Math.round(people.think_s))}`);
  });

  test("says what was, what is simulated, and how far that is off", async () => {
    const { page, asked } = view;
    const { recorded, as_it_is, check } = await answerTo(asked, "what-if");
    const row = (name) => page.locator(`${ids("what-if-row")}[data-name=${name}]`);
    for (const [column, fared] of Object.entries({ recorded, "as-it-is": as_it_is })) {
      near(ms(await cell(row("firstP95"), column)), fared.first_ns.p95 / 1e6, `${column} p95`);
      near(ms(await cell(row("totalP50"), column)), fared.total_ns.p50 / 1e6, `${column} p50`);
      assert.equal(await cell(row("loads"), column), count(fared.loads));
      assert.equal(await cell(row("waited"), column), count(fared.waited));
    }
    assert.equal(await row("loads").locator("[data-column=then]").count(), 0, "nothing is asked");
    const words = await page.getByTestId("check").innerText();
    assert.ok(words.includes(`On ${count(check.held_back_calls)} calls`), words);
    assert.ok(words.includes(`learned from ${count(check.learned_calls)}`), words);
    // As many digits as the page writes: one below a per cent.
    const [, off = "0", way] = words.match(/middle answer was ([\d.]+) % too (short|long)/) ?? [];
    if (!way) assert.match(words, /middle answer was as long as measured/);
    const told = Number(off) * (way === "short" ? -1 : 1);
    const rounded = off.includes(".") ? 0.05 : 0.5;
    assert.ok(Math.abs(told - check.total_p50_error * 100) <= rounded + 1e-9, words);
  });

  test("compares two models only where both have enough calls", async () => {
    const { page, asked } = view;
    const { models } = await answerTo(asked, "capacity");
    const [one, other] = models;
    const rows = await page.locator(ids("compare-row")).all();
    let compared = 0;
    for (const row of rows) {
      const [from, cache] = [
        await row.getAttribute("data-from"),
        await row.getAttribute("data-cache"),
      ];
      const of = ({ cells }) =>
        cells.find((found) => String(found.prompt_from) === from && found.cache === cache);
      const [a, b] = [of(one), of(other)];
      assert.equal(await cell(row, "calls-one"), count(a?.calls ?? 0));
      assert.equal(await cell(row, "calls-other"), count(b?.calls ?? 0));
      if (Math.min(a?.calls ?? 0, b?.calls ?? 0) < ENOUGH_CALLS) {
        await row.getByText("not enough data").waitFor();
        assert.equal(await row.locator("[data-ahead]").count(), 0);
        continue;
      }
      compared += 1;
      const [left, right] = [await cell(row, "first-one"), await cell(row, "first-other")];
      near(ms(left), a.read_ns.p50 / 1e6, "A");
      near(ms(right), b.read_ns.p50 / 1e6, "B");
      const isAhead = (text) => text.includes("sooner");
      const apart = Math.abs(a.read_ns.p50 / b.read_ns.p50 - 1);
      assert.equal(isAhead(left) && isAhead(right), false);
      if (apart > 0.06) assert.equal(isAhead(left), a.read_ns.p50 < b.read_ns.p50);
    }
    assert.ok(compared > 0);
    await page.getByTestId("ask-one").selectOption(other.model);
    await until("they have changed places", async () => {
      return (await page.getByTestId("ask-other").inputValue()) === one.model;
    });
    assert.match(page.url(), /[?&]one=/);
    assert.deepEqual(view.complaints, []);
  });
});

describe("something else is asked", () => {
  test("of people: the answer is another one, in the address too", async () => {
    const { context, page, complaints, asked } = await open(PAGE);
    await answered(page);
    const before = await answerTo(asked, "people");
    const most = () => page.getByTestId("people-answer").getAttribute("data-most");
    await page.getByLabel("Nine of ten answers begin within").fill("1.5");
    await page.getByLabel("Pause before the next question").fill("30");
    await page.waitForURL(/[?&]wait=1\.5&pause=30$/);
    await until("it is enough for fewer", async () => Number(await most()) < before.most);
    await answered(page);
    const then = await answerTo(asked, "people");
    assert.deepEqual([then.wait_s, then.think_s, then.think_from], [1.5, 30, "asked"]);
    assert.equal(await most(), String(then.most));
    await page.getByText("Pause of 30 s, as asked").waitFor();
    const capacities = asked.filter((address) => address.startsWith("/api/v1/capacity?"));
    assert.equal(capacities.length, 1, "what it does not touch is not asked again");

    // A link reproduces the view.
    await page.reload();
    await answered(page);
    assert.equal(await page.getByLabel("Pause before the next question").inputValue(), "30");
    assert.equal(await most(), String(then.most));

    // What cannot be asked is not asked.
    const already = asked.length;
    const field = page.getByLabel("Nine of ten answers begin within");
    await field.fill("0");
    await page.getByRole("alert").getByText("0.1 to 600").waitFor();
    await field.press("Tab");
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    await field.fill("");
    await page.waitForURL(/\?pause=30$/);
    await until("the usual limit holds", async () => (await most()) !== String(then.most));
    assert.equal(asked.length, already + 1);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("of the setting: a third column tells what would be", async () => {
    const { context, page, complaints, asked } = await open(PAGE);
    await answered(page);
    await page.getByLabel("Keep a model after each call").selectOption("5m");
    const loads = page.locator(`${ids("what-if-row")}[data-name=loads]`);
    await loads.locator("[data-column=then]").waitFor();
    const { as_it_is, then } = await answerTo(asked, "what-if");
    assert.ok(then.loads > as_it_is.loads, "a shorter time loads more often");
    const words = await cell(loads, "then");
    assert.equal(words, `${count(then.loads - as_it_is.loads)} more (worse) ${count(then.loads)}`);
    const first = page.locator(`${ids("what-if-row")}[data-name=firstP95] [data-column=then]`);
    near(ms(await first.locator("b").innerText()), then.first_ns.p95 / 1e6, "then");

    await page.getByLabel("Threads of each call").fill("7");
    const lack = page.getByTestId("lack");
    await lack.waitFor();
    assert.match(await lack.innerText(), /^Not enough data: .*threads/);
    assert.equal((await answerTo(asked, "what-if")).lack, "threads");
    await page.getByTestId("as-it-was").click();
    await lack.waitFor({ state: "detached" });
    assert.equal(new URL(page.url()).search, "");
    assert.deepEqual(complaints, []);
    await context.close();
  });
});

describe("the machine", () => {
  test("is measured when asked, and then each model has a bound", async () => {
    const { context, page, asked } = await open(`${PAGE}?runtime=runtime`);
    await answered(page);
    const row = page.locator(`${ids("model-row")}[data-model="${MODEL_NAME}"]`);
    assert.equal(await cell(row, "reached"), "not measured");
    const button = page.getByTestId("measure");
    assert.equal(await button.innerText(), "Measure now");

    // Both would be slower: not while a call runs.
    const stream = await andon.stream(ENDLESS, ENDLESSLY);
    await until("a call runs", async () => (await andon.live()).length > 0);
    await button.click();
    await page.getByRole("alert").getByText("A call runs now").waitFor();
    stream.leave();
    await andon.idle();

    await button.click();
    await page.getByText("Measuring …").waitFor();
    await page.locator(`${ids("measured")}[data-time]`).waitFor();
    await answered(page);
    assert.equal(await page.getByRole("alert").count(), 0, "the refusal is gone");
    assert.equal(await button.innerText(), "Measure again");
    const { measured, models } = await answerTo(asked, "capacity");
    assert.equal(
      await page.getByTestId("measured").getAttribute("data-time"),
      `${measured.time_ns}`,
    );
    const { bound, written_per_s } = models.find(({ model }) => model === MODEL_NAME);
    near(Number(await cell(row, "most")), bound.written_per_s, "the bound");
    const share = (value) => `${Math.round(value * 100)} %`;
    const usual = share(written_per_s.p50 / bound.written_per_s);
    assert.equal(await cell(row, "reached"), `${usual} best calls ${share(bound.written_share)}`);
    assert.match(
      await page.getByTestId("verdict").innerText(),
      new RegExp(`writes .*, ${usual} of`),
    );
    await context.close();
  });
});

describe("every reader", () => {
  for (const [language, title, colorScheme] of [
    ["ja", "余力", "dark"],
    ["en", "Capacity", "light"],
  ]) {
    test(`at 390 px, ${language}: nothing sticks out, and every field has a name`, async () => {
      const { context, page, complaints } = await open(`${PAGE}?keep=2h`, {
        language,
        colorScheme,
        viewport: { width: 390, height: 844 },
        hasTouch: true,
      });
      await answered(page);
      assert.ok((await overflow(page)) <= 0);
      assert.equal(await page.locator("header nav [aria-current=page]").innerText(), title);
      assert.equal(await page.locator("h1").innerText(), title);
      const unnamed = await page
        .locator("input:visible, select:visible")
        .evaluateAll(
          (found) =>
            found.filter((field) => !field.labels?.length && !field.getAttribute("aria-label"))
              .length,
        );
      assert.equal(unnamed, 0);
      const clipped = await page
        .locator("main table:not(.aside table)")
        .evaluateAll(
          (found) =>
            found.filter((table) => table.scrollWidth > table.parentElement.clientWidth + 1).length,
        );
      assert.equal(clipped, 0, "a table is wider than its place");
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  test("is told what to do where there are no calls, and when it fails", async () => {
    const times = "from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z";
    const { context, page, complaints } = await open(`${PAGE}?${times}`);
    await page.getByText("No calls in this time").waitFor();
    await page.getByTestId("capture-address").waitFor();
    assert.deepEqual(complaints, []);
    await page.route("**/api/v1/capacity?*", (route) => route.abort());
    await page.locator(`${ids("range")}[data-range="30d"]`).click();
    const alert = page.getByRole("alert");
    await alert.waitFor();
    await page.unroute("**/api/v1/capacity?*");
    await alert.getByRole("button").click();
    await answered(page);

    await page.goto(`${andon.url}${PAGE}?runtime=nobody`);
    await page.getByText("No calls to nobody in this time").waitFor();
    await page.getByText("Look at the one with most calls").click();
    await answered(page);
    await context.close();
  });
});
