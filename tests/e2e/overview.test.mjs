// The overview in a browser: what it shows is what the store holds, by the word of SQL, and each
// figure leads to the traces behind it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startAndon, temporaryFolder } from "./harness/andon.mjs";
import { launch, openPage } from "./harness/browser.mjs";
import { Fake, LAST_LINE, line, ollama } from "./harness/fakes.mjs";
import { generate, hoursAgo, rows } from "./harness/query.mjs";
import { until } from "./harness/wait.mjs";

const SPANS = 8_000;
const DAYS = 7;
const HOUR_MS = 3_600_000;
const CALLS = "llm_kind IN ('llm', 'embedding')";
/** Quantiles may be estimated, and are shown with three figures. */
const NEAR = 0.05;

const folder = await temporaryFolder();
const end = hoursAgo(2);
// From an odd moment on, so that steps of time are cut; whole seconds, as the address has them.
const toMs = Math.floor(Number(BigInt(end) / 1_000_000n) / 1000) * 1000 - 7_000;
const fromMs = toMs - 3 * 24 * HOUR_MS - 1_234_000;
const WITHIN = `start_ns >= ${fromMs}000000 AND start_ns < ${toMs}000000`;
const iso = (ms) => new Date(ms).toISOString();
const STRETCH = new URLSearchParams({ from: iso(fromMs), to: iso(toMs) });

let runtime;
let andon;
let browser;
before(async () => {
  const speak = (response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.end(line({ response: "晴れです。", done: false }) + LAST_LINE);
  };
  runtime = await Fake.start(ollama(speak));
  await generate(folder, { spans: SPANS, days: DAYS, seed: 8, "end-ns": end });
  andon = await startAndon({ data: folder, options: { runtime: runtime.url } });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await andon?.end();
  await runtime?.end();
});

const sql = (statement) => rows(folder, statement);

/** The overview as a reader finds it, drawn. */
async function openOverview(query, { language = "en", url = andon.url, ...options } = {}) {
  const { context, page, complaints } = await openPage(browser, {
    viewport: { width: 1440, height: 900 },
    ...options,
  });
  await page.addInitScript((chosen) => localStorage.setItem("andon.lang", chosen), language);
  await page.goto(`${url}/andon/overview${query}`);
  return { context, page, complaints };
}

const figure = (page, name) => page.locator(`[data-testid=figure][data-name=${name}]`);

async function shown(page, name) {
  return figure(page, name).locator("dd").first().innerText();
}

async function drawn(page) {
  await figure(page, "calls").waitFor();
  await page.locator("main[aria-busy=false]").waitFor();
}

const number = (text) => Number(text.replaceAll(",", ""));

/** «9.36 s», «1 min 27 s» in seconds. */
function seconds(text) {
  const units = { µs: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3_600 };
  const parts = [...text.matchAll(/([\d.,]+) (µs|ms|s|min|h)\b/g)];
  assert.ok(parts.length > 0, text);
  return parts.reduce((sum, [, value, unit]) => sum + number(value) * units[unit], 0);
}

function near(actual, expected, what) {
  const apart = Math.abs(actual - expected) / expected;
  assert.ok(apart <= NEAR, `${what}: ${actual} is shown, ${expected} is right`);
}

/** What a table shows, by the value that its rows stand for. */
function table(page, name, column) {
  const all = page.locator(`[data-testid=group-table][data-table=${name}] [data-testid=group-row]`);
  return all.evaluateAll(
    (found, wanted) =>
      Object.fromEntries(
        found.map((row) => [
          row.dataset.value ?? "",
          Number(row.querySelector(`[data-column=${wanted}]`).textContent.replaceAll(",", "")),
        ]),
      ),
    column,
  );
}

const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

describe("the overview of a time", () => {
  let view;
  before(async () => {
    view = await openOverview(`?${STRETCH}`);
    await drawn(view.page);
  });
  after(() => view?.context.close());

  test("has the figures that SQL has", async () => {
    const { page } = view;
    const [told] = await sql(`SELECT count(*) AS calls,
        sum(CASE WHEN status = 'error' THEN 1 ELSE 0 END) AS errors,
        sum(input_tokens) AS input, sum(output_tokens) AS output
      FROM spans WHERE ${CALLS} AND ${WITHIN}`);
    assert.ok(told.calls > 100 && told.errors > 0, "there is something to count");
    assert.equal(number(await shown(page, "calls")), told.calls);
    assert.equal(number(await shown(page, "errors")), told.errors);
    for (const name of ["input", "output"]) {
      const exact = await figure(page, name).getAttribute("title");
      assert.equal(number(exact.replace(/ tokens?$/, "")), told[name], name);
    }
    const verdict = await page.getByTestId("verdict").innerText();
    assert.match(verdict, new RegExp(`^${told.errors} of ${told.calls.toLocaleString("en")} `));
  });

  test("has durations and first tokens as they are spread", async () => {
    const { page } = view;
    for (const [name, column, share] of [
      ["p50", "duration_ns", 0.5],
      ["p95", "duration_ns", 0.95],
      ["ttft", "ttft_ns", 0.95],
    ]) {
      const all = await sql(`SELECT ${column} AS ns FROM spans
        WHERE ${CALLS} AND ${WITHIN} AND ${column} IS NOT NULL ORDER BY ns`);
      // The nearest rank.
      const right = all[Math.ceil(share * all.length) - 1].ns / 1e9;
      near(seconds(await shown(page, name)), right, name);
    }
  });

  test("tells where the time went", async () => {
    const [told] = await sql(`SELECT sum(queue_ns) AS queue, sum(load_ns) AS load,
        sum(prompt_eval_ns) AS prompt, sum(eval_ns) AS generate
      FROM spans WHERE ${CALLS} AND ${WITHIN}`);
    const sum = Object.values(told).reduce((total, ns) => total + ns, 0);
    for (const [phase, ns] of Object.entries(told)) {
      const key = view.page.locator(`[data-testid=phase-share][data-phase=${phase}] b`);
      const percent = Number((await key.innerText()).replace(" %", ""));
      assert.ok(Math.abs(percent - (ns / sum) * 100) <= 0.51, `${phase}: ${percent}`);
    }
  });

  test("has each call once in the chart, the heat map and the tables", async () => {
    const { page } = view;
    const calls = number(await shown(page, "calls"));
    const cells = page.getByTestId("heat-cell");
    const counts = await cells.evaluateAll((all) => all.map(({ dataset }) => +dataset.count));
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      calls,
    );
    const steps = await page.locator("[data-chart=calls] tbody td").allTextContents();
    const inSteps = steps.map((text) => number(/^([\d,]+) calls/.exec(text)[1]));
    assert.equal(
      inSteps.reduce((sum, count) => sum + count, 0),
      calls,
    );

    const grouped = async (by, where) => {
      const all = await sql(`SELECT ${by} AS value, count(*) AS n FROM spans
        WHERE ${where} AND ${WITHIN} GROUP BY ${by} ORDER BY n DESC`);
      return Object.fromEntries(all.map(({ value, n }) => [value ?? "", n]));
    };
    const expected = {
      models: await grouped("model", CALLS),
      causes: await grouped("cause", CALLS),
      services: await grouped("service", "parent_id IS NULL"),
    };
    for (const [name, right] of Object.entries(expected)) {
      const column = name === "services" ? "requests" : "calls";
      const found = await table(page, name, column);
      assert.ok(Object.keys(found).length > 1, name);
      for (const [value, count] of Object.entries(found)) {
        assert.equal(count, right[value], `${name}: ${value}`);
      }
    }
    const causes = await table(page, "causes", "calls");
    assert.equal(Object.keys(causes).length, Object.keys(expected.causes).length);
  });

  test("can be filtered, and says what a filter lacks", async () => {
    const { page, complaints } = view;
    const errors = await shown(page, "errors");
    const input = page.getByTestId("filter-input");
    await input.fill("status:error");
    await input.press("Enter");
    await page.waitForURL(/q=status%3Aerror/);
    await until("only errors are counted", async () => (await shown(page, "calls")) === errors);
    assert.equal(new URL(page.url()).searchParams.get("from"), iso(fromMs));
    assert.deepEqual(complaints, []);

    await input.fill('"open');
    await input.press("Enter");
    await page.locator("#filter-wrong").waitFor();
    // The browser itself notes an answer of 400.
    complaints.length = 0;
    await page.goBack();
    await page.goBack();
    await drawn(page);
    assert.equal(new URL(page.url()).search, `?${STRETCH}`);
  });

  test("nothing was complained about", () => assert.deepEqual(view.complaints, []));
});

describe("the way to the traces", () => {
  test("a cell of the heat map opens those of its time that took as long", async () => {
    const { context, page, complaints } = await openOverview(`?${STRETCH}`);
    await drawn(page);
    const cells = page.getByTestId("heat-cell");
    const all = await cells.evaluateAll((found) =>
      found.map(({ dataset }) => ({ row: +dataset.cell.split(" ")[1], count: +dataset.count })),
    );
    const inside = all.filter(({ row }) => row > 0);
    const fullest = inside.reduce((most, cell) => (cell.count > most.count ? cell : most));
    await cells.nth(all.indexOf(fullest)).click();
    await page.waitForURL("**/andon/traces?*");
    const { searchParams } = new URL(page.url());
    const [from, to] = ["from", "to"].map((name) => Date.parse(searchParams.get(name)));
    assert.ok(fromMs <= from && from < to && to <= toMs, page.url());
    assert.match(searchParams.get("q"), /^duration:>=[\d.]+m?s$/);
    await page.getByTestId("trace-row").first().waitFor();

    const q = searchParams.get("q");
    const least = seconds(q.replace(/^duration:>=([\d.]+)(m?s)$/, "$1 $2"));
    const query = new URLSearchParams({ q, from: iso(from), to: iso(to), limit: "200" });
    const { traces } = (await andon.get(`/api/v1/traces?${query}`)).json;
    const known = traces.map(({ trace_id: id }) => id);
    const seen = page.getByTestId("trace-row");
    for (const id of await seen.evaluateAll((found) => found.map((row) => row.dataset.traceId))) {
      assert.ok(known.includes(id), id);
    }
    for (const { duration_ns: ns } of traces) assert.ok(ns / 1e9 >= least);

    await page.goBack();
    await drawn(page);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("a drag opens those of its time, and on a chart it narrows the overview", async () => {
    const { context, page, complaints } = await openOverview(`?${STRETCH}`);
    await drawn(page);
    const drag = async (target) => {
      await target.scrollIntoViewIfNeeded();
      const box = await target.boundingBox();
      const y = box.y + box.height * 0.6;
      await page.mouse.move(box.x + box.width * 0.4, y);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.6, y, { steps: 6 });
      await page.mouse.up();
    };
    const before = number(await shown(page, "calls"));
    await drag(page.locator("[data-chart=calls]"));
    await until("the address has another stretch", () => page.url().includes("/overview?from="));
    await until("fewer calls are counted", async () => number(await shown(page, "calls")) < before);
    await page.goBack();
    await until("all are back", async () => number(await shown(page, "calls")) === before);
    await drag(page.getByTestId("heat-map"));
    await page.waitForURL("**/andon/traces?from=*");
    await page.getByTestId("trace-row").first().waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("the keyboard reaches it too", async () => {
    const { context, page } = await openOverview(`?${STRETCH}`);
    await drawn(page);
    const focused = () => page.evaluate(() => document.activeElement?.dataset.cell ?? "");
    for (let steps = 0; steps < 60 && (await focused()) === ""; steps += 1) {
      await page.keyboard.press("Tab");
    }
    const first = await focused();
    assert.notEqual(first, "", "Tab does not reach the heat map");
    await page.keyboard.press("ArrowLeft");
    assert.notEqual(await focused(), first);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/andon/traces?*");
    await context.close();
  });

  test("rows of the tables open their own traces", async () => {
    const { context, page, complaints } = await openOverview("?range=30d");
    await drawn(page);
    const links = (name) => page.locator(`[data-testid=group-table][data-table=${name}] a`);
    const services = await links("services").count();
    assert.ok(services > 1);
    for (const [name, place, filter] of [
      ["models", 0, /^model:".+"$/],
      ["causes", 0, /^cause:[a-z_]+$/],
      ...Array.from({ length: services }, (_, place) => ["services", place, /^service:".+"$/]),
    ]) {
      await drawn(page);
      await links(name).nth(place).click();
      await page.waitForURL("**/andon/traces?*");
      const { searchParams } = new URL(page.url());
      assert.match(searchParams.get("q"), filter);
      assert.ok(searchParams.has("from"), "the list has no 30 days");
      await page.getByTestId("trace-row").first().waitFor();
      await page.goBack();
    }
    assert.deepEqual(complaints, []);
    await context.close();
  });
});

describe("the overview up to now", () => {
  test("keeps its range in the address and takes in what is stored", async () => {
    const { context, page, complaints } = await openOverview("");
    await drawn(page);
    await page.locator("[data-testid=range][data-range='30d']").click();
    await page.waitForURL("**/andon/overview?range=30d");
    const [{ n }] = await sql(`SELECT count(*) AS n FROM spans WHERE ${CALLS}`);
    await until("all is counted", async () => number(await shown(page, "calls")) === n);
    await page.locator("[data-testid=range][data-range='24h']").click();
    await page.waitForURL("**/andon/overview");
    await drawn(page);
    const before = number(await shown(page, "calls"));
    assert.equal((await andon.chat("東京の天気は?")).status, 200);
    await until("the call is counted", async () => number(await shown(page, "calls")) > before);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("shows a time of one's own", async () => {
    const { context, page, complaints } = await openOverview(`?${STRETCH}`, {
      timezoneId: "Asia/Tokyo",
    });
    await drawn(page);
    await page.getByTestId("range-own").click();
    const [from, to] = ["From", "To"].map((name) => page.getByLabel(name, { exact: true }));
    const local = (ms) => iso(ms + 9 * HOUR_MS).slice(0, 16);
    assert.equal(await from.inputValue(), local(fromMs));
    await from.fill(local(toMs - 10 * HOUR_MS));
    await to.fill(local(toMs));
    await page.getByTestId("range-apply").click();
    const minute = 60_000;
    const expected = iso(Math.floor((toMs - 10 * HOUR_MS) / minute) * minute);
    await until("the address has it", () => page.url().includes(encodeURIComponent(expected)));
    assert.deepEqual(complaints, []);
    await context.close();
  });
});

describe("every reader", () => {
  for (const [language, title] of [
    ["ja", "概要"],
    ["en", "Overview"],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      test(`at 390 px, ${language}, ${colorScheme}: nothing sticks out`, async () => {
        const viewport = { width: 390, height: 844 };
        const options = { language, viewport, colorScheme, hasTouch: true };
        const { context, page, complaints } = await openOverview(`?${STRETCH}`, options);
        await drawn(page);
        assert.ok((await overflow(page)) <= 0, "the overview");
        const here = page.locator("nav [aria-current=page]");
        assert.equal(await here.innerText(), title);
        await page.getByTestId("range-own").tap();
        await page.getByTestId("range-apply").waitFor();
        assert.ok((await overflow(page)) <= 0, "with the fields for times");
        assert.deepEqual(complaints, []);
        await context.close();
      });
    }
  }

  test("is told what to do where there is nothing, and when it fails", async () => {
    const empty = await startAndon({ options: { runtime: runtime.url } });
    try {
      const { context, page, complaints } = await openOverview("", { url: empty.url });
      const address = page.getByTestId("capture-address");
      await address.waitFor();
      assert.equal(await address.innerText(), empty.captureUrl);
      assert.ok((await overflow(page)) <= 0);
      assert.deepEqual(complaints, []);
      await context.close();
    } finally {
      await empty.end();
    }

    const { context, page } = await openPage(browser);
    await page.route("**/api/v1/aggregate?*", (route) => route.abort());
    await page.goto(`${andon.url}/andon/overview?${STRETCH}`);
    const alert = page.getByRole("alert");
    await alert.waitFor();
    await page.unroute("**/api/v1/aggregate?*");
    await alert.getByRole("button").click();
    await drawn(page);
    await context.close();
  });
});
