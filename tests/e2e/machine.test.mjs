// The page of the machine and the tab of a trace that tells what the machine did: both show what was
// sampled, by the word of SQL, and lead from one to the other.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startAndon } from "./harness/andon.mjs";
import { launch, openAt } from "./harness/browser.mjs";
import { rows } from "./harness/query.mjs";
import { until } from "./harness/wait.mjs";

const MINUTE_MS = 60_000;
const SECOND_NS = 1_000_000_000n;
/** So long that a step holds several samples, and begins before there were any. */
const BEFORE_MS = 5 * MINUTE_MS;
const STEP_NS = 2n * SECOND_NS;
/** What is shown is rounded to hundredths of a core, and to three figures of bytes. */
const CORES_NEAR = 0.0051;
const BYTES_NEAR = 0.006;

const iso = (ms) => new Date(ms).toISOString();
const ids = (name) => `[data-testid="${name}"]`;

let andon;
let browser;
let traceId;
/** A stretch that is over: what it shows changes no more. */
let stretch;

const sql = (statement) => rows(andon.folder, statement);

before(async () => {
  [andon, browser] = await Promise.all([startAndon({ options: { lang: "en" } }), launch()]);
  for (const message of ["日本で一番高い山は何ですか?", "海の話を長く書いてください。"]) {
    const answer = await andon.chat(message);
    assert.equal(answer.status, 200, answer.text);
    traceId = answer.json.trace_id;
  }
  await andon.traceWith(traceId, "gateway", "runtime");
  const samples = () => sql("SELECT CAST(time_ns AS VARCHAR) AS t FROM hosts ORDER BY time_ns");
  const first = BigInt((await until("there are samples", samples))[0].t);
  // From an odd moment on, so that the first and the last step are cut.
  const fromMs = Number(first / 1_000_000n) - BEFORE_MS - 321;
  const called = Date.now();
  const enough = await until("the machine was looked at after the calls", async () => {
    const after = (await samples()).filter(({ t }) => Number(BigInt(t) / 1_000_000n) > called);
    return after.length >= 5 && after;
  });
  stretch = { fromMs, toMs: Number(BigInt(enough[3].t) / 1_000_000n) + 500 };
});
after(async () => {
  await browser?.close();
  await andon?.end();
});

const address = ({ fromMs, toMs }) => new URLSearchParams({ from: iso(fromMs), to: iso(toMs) });

/** Steps of the whole stretch; the first and the last one reach beyond it. */
const stepCount = () => {
  const length = Number(STEP_NS) / 1e6;
  return Math.ceil(stretch.toMs / length) - Math.floor(stretch.fromMs / length);
};

/** A page of Andon as a reader finds it. */
const open = (route, options) => openAt(browser, andon.url + route, options);

async function drawn(page) {
  await page.locator("[data-chart=cpu]").waitFor();
  await page.locator("main[aria-busy=false]").waitFor();
}

/** The words of a chart, step by step, as those hear them who cannot see it. */
function told(page, chart) {
  return page
    .locator(`[data-chart=${chart}] tbody tr`)
    .evaluateAll((found) =>
      found.map((row) => [...row.children].map((cell) => cell.textContent.trim())),
    );
}

/** «programs 0.52, kernel 0.10» by name. */
function figures(words) {
  return Object.fromEntries(
    words.split(", ").map((part) => part.match(/^(.+?) ([\d.].*|–)$/).slice(1)),
  );
}

/** The values of a line by step, from where it is drawn; 1 is the chart's top. */
async function drawnLine(page, chart, series) {
  const path = await page
    .locator(`[data-chart=${chart}] path[data-series=${series}]`)
    .getAttribute("d");
  const points = [...path.matchAll(/[ML]([\d.]+) ([\d.]+)/g)];
  return points.map(([, step, y]) => [Math.floor(Number(step)), 1 - Number(y) / 100]);
}

function bytes(text) {
  const units = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
  const [, value, unit] = text.match(/^([\d.,]+) (\w+)/) ?? assert.fail(text);
  return Number(value.replaceAll(",", "")) * units[unit];
}

function near(actual, expected, apart, what) {
  assert.ok(Math.abs(actual - expected) <= apart, `${what}: ${actual} is shown, not ${expected}`);
}

const nearBytes = (text, expected, what) =>
  near(bytes(text), expected, expected * BYTES_NEAR + 1, what);

const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

const within = (column = "time_ns") =>
  `${column} >= ${stretch.fromMs}000000 AND ${column} < ${stretch.toMs}000000`;

describe("the machine over a time", () => {
  let view;
  before(async () => {
    view = await open(`/andon/machine?${address(stretch)}`);
    await drawn(view.page);
  });
  after(() => view?.context.close());

  test("has curves that SQL has too", async () => {
    const { page } = view;
    const steps = await sql(`SELECT time_ns / ${STEP_NS} AS step, count(*) AS looks,
        max(cpu_count) AS cores, avg(cpu_busy_cores) AS busy, max(cpu_busy_cores) AS peak,
        avg(cpu_system_cores) AS kernel, avg(cpu_steal_cores) AS stolen,
        avg(memory_used_bytes) AS used, avg(cpu_pressure) AS pressure,
        avg(disk_write_bytes_per_s) AS written
      FROM hosts WHERE ${within()} GROUP BY 1 ORDER BY 1`);
    assert.ok(BEFORE_MS / 2_000 < stepCount() && stepCount() <= 181, "steps of two seconds");
    assert.ok(steps.length >= 3 && steps.some(({ looks }) => looks > 1), "several samples a step");
    assert.ok(
      steps.some(({ busy }) => busy > 0.1),
      "the calls took some of the CPU",
    );
    const [cpu, memory, disk] = await Promise.all(
      ["cpu", "memory", "disk"].map((chart) => told(page, chart)),
    );
    assert.equal(cpu.length, steps.length, "only steps in which somebody looked have a figure");
    steps.forEach((step, at) => {
      const [when, words] = cpu[at];
      const began = iso(Number(BigInt(step.step) * STEP_NS) / 1e6);
      assert.ok(when.includes(began.slice(11, 19)), `${when} is not ${began}`);
      const shown = figures(words);
      near(Number(shown.peak), step.peak, CORES_NEAR, `the peak at ${when}`);
      near(Number(shown.kernel), step.kernel, CORES_NEAR, `the kernel at ${when}`);
      const programs = step.busy - step.kernel - step.stolen;
      near(Number(shown.programs), programs, CORES_NEAR, `programs at ${when}`);
      nearBytes(figures(memory[at][1]).used, step.used, `memory at ${when}`);
      nearBytes(figures(disk[at][1]).written, step.written, `the disk at ${when}`);
    });

    // And they are drawn as they are told.
    const first = Math.floor((stretch.fromMs * 1e6) / Number(STEP_NS));
    const { cores } = steps[0];
    const peaks = await drawnLine(page, "cpu", "peak");
    assert.deepEqual(
      peaks.map(([step]) => step),
      steps.map(({ step }) => step - first),
    );
    steps.forEach(({ peak }, at) => near(peaks[at][1], Math.min(1, peak / cores), 0.001, "peak"));
    if (steps[0].pressure !== undefined) {
      const line = await drawnLine(page, "pressure", "cpu");
      steps.forEach(({ pressure }, at) => near(line[at][1], pressure, 0.001, "the pressure"));
    }
    const calls = (await told(page, "calls")).map(([, words]) => Number.parseInt(words, 10));
    const [{ n }] = await sql(`SELECT count(*) AS n FROM spans
      WHERE llm_kind = 'llm' AND ${within("start_ns")}`);
    assert.ok(n >= 2);
    assert.equal(
      calls.reduce((sum, count) => sum + count, 0),
      n,
    );
    assert.deepEqual(view.complaints, []);
  });

  test("says how it was in the end", async () => {
    const { page } = view;
    const [last] = await sql(`SELECT cpu_count, cpu_busy_cores, memory_used_bytes, load_1m
      FROM hosts WHERE ${within()} ORDER BY time_ns DESC LIMIT 1`);
    const fact = (name) =>
      page
        .locator(`${ids("fact")}[data-name=${name}] dd`)
        .first()
        .innerText();
    const busy = Math.min(1, last.cpu_busy_cores / last.cpu_count);
    near(Number((await fact("cpu")).replace(" %", "")), busy * 100, 0.51, "CPU");
    nearBytes(await fact("memory"), last.memory_used_bytes, "memory");
    assert.equal(await fact("load"), last.load_1m.toFixed(2));
    assert.equal(await fact("cores"), String(last.cpu_count));
  });

  test("lists Andon and its runtime, with what they used", async () => {
    const { page } = view;
    const table = page.getByTestId("processes");
    const more = table.locator("button[aria-expanded=false]");
    if ((await more.count()) > 0) await more.click();
    for (const [role, pid] of [
      ["andon", andon.pid],
      ["runtime", await andon.runtimePid()],
    ]) {
      const [used] = await sql(`SELECT max(cpu_cores) AS cpu, max(rss_bytes) AS memory,
          max(threads) AS threads FROM processes WHERE pid = ${pid} AND ${within()}`);
      const row = table.locator(`${ids("process")}[data-role=${role}][data-pid="${pid}"]`);
      const cell = (column) => row.locator(`[data-column=${column}]`).innerText();
      near(Number(await cell("cpu-peak")), used.cpu, CORES_NEAR, `${role}'s CPU`);
      nearBytes(await cell("memory"), used.memory, `${role}'s memory`);
      assert.equal(await cell("threads"), String(used.threads));
    }
    await page.locator(`${ids("order")}[data-order=memory]`).click();
    const held = await table.locator("td[data-column=memory]").allInnerTexts();
    const sizes = held.map(bytes);
    assert.ok(sizes.length > 1);
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => b - a),
    );
  });

  test("has one hover through all charts, and no step of nothing is 0", async () => {
    const { page } = view;
    const plot = page.locator("[data-chart=memory] svg");
    await plot.scrollIntoViewIfNeeded();
    const box = await plot.boundingBox();
    const y = box.y + box.height / 2;
    await page.mouse.move(box.x + box.width * 0.2, y);
    const readings = page.locator("[data-chart] .reading");
    await until("all charts tell the step", async () => (await readings.count()) >= 5);
    for (const words of await readings.allInnerTexts()) assert.match(words, / · –$/);
    await page.mouse.move(box.x + box.width * (1 - 1.5 / stepCount()), y);
    await page.locator("[data-chart=cpu] .reading", { hasText: /[\d.]+ of \d/ }).waitFor();
    await page.mouse.move(5, 5);
  });

  test("is narrowed by a drag, and leads to the traces of its time", async () => {
    const { page } = view;
    const wide = await told(page, "cpu");
    const box = await page.locator("[data-chart=cpu] svg").boundingBox();
    // From just before the first sample to before the last ones.
    const samples = wide.length / stepCount();
    const at = (share) => box.x + box.width * share;
    await page.mouse.move(at(1 - samples - 0.03), box.y + 30);
    await page.mouse.down();
    await page.mouse.move(at(1 - samples / 2), box.y + 30, { steps: 6 });
    await page.mouse.up();
    await until("the address has another stretch", () => {
      const from = new URL(page.url()).searchParams.get("from");
      return Date.parse(from) > stretch.fromMs + BEFORE_MS / 2;
    });
    await drawn(page);
    const { searchParams } = new URL(page.url());
    const length = Date.parse(searchParams.get("to")) - Date.parse(searchParams.get("from"));
    assert.ok(length < MINUTE_MS, `${length} ms`);
    // Each second is a step of its own now.
    const seconds = await sql(`SELECT DISTINCT time_ns / ${SECOND_NS} AS s FROM hosts
      WHERE time_ns >= ${Date.parse(searchParams.get("from"))}000000
        AND time_ns < ${Date.parse(searchParams.get("to"))}000000 ORDER BY s`);
    const clock = (s) => iso(s * 1_000).slice(11, 19);
    await until("just these seconds are told", async () => {
      const times = (await told(page, "cpu")).map(([when]) => when.slice(6));
      assert.deepEqual(
        times,
        seconds.map(({ s }) => `${clock(s)}–${clock(s + 1)}`),
      );
      return times.length > 0;
    });
    await page.goBack();
    await until("all are back", async () => {
      assert.deepEqual(await told(page, "cpu"), wide);
      return true;
    });

    await page.getByTestId("traces-link").click();
    await page.waitForURL("**/andon/traces?*");
    assert.equal(new URL(page.url()).search, `?${address(stretch)}`);
    await page.locator(`${ids("trace-row")}[data-trace-id="${traceId}"]`).waitFor();
    assert.deepEqual(view.complaints, []);
  });
});

describe("the machine up to now", () => {
  test("goes on by itself, and keeps its range in the address", async () => {
    const { context, page, complaints } = await open("/andon/machine");
    await drawn(page);
    const last = async () => (await told(page, "cpu")).at(-1).join(" ");
    const before = await last();
    await until("it has gone on", async () => (await last()) !== before);
    await page.locator(`${ids("range")}[data-range="24h"]`).click();
    await page.waitForURL("**/andon/machine?range=24h");
    await until("a step is ten minutes long", async () => {
      return /:\d0–\d\d:\d0 /.test(`${await last()} `);
    });
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("says that nobody looked, and that it failed", async () => {
    const year = address({ fromMs: Date.UTC(2020, 0, 1), toMs: Date.UTC(2020, 0, 2) });
    const { context, page, complaints } = await open(`/andon/machine?${year}`);
    await page.getByText("The machine was not looked at in this time").waitFor();
    await page.getByText(/running since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/).waitFor();
    assert.deepEqual(complaints, []);
    await page.route("**/api/v1/machine?*", (route) => route.abort());
    await page.locator(`${ids("range")}[data-range="1h"]`).click();
    const alert = page.getByRole("alert");
    await alert.waitFor();
    await page.unroute("**/api/v1/machine?*");
    await alert.getByRole("button").click();
    await drawn(page);
    await context.close();
  });
});

describe("what the machine did during a trace", () => {
  test("is told by a tab of each span, which leads to the machine at that time", async () => {
    const { context, page, complaints } = await open(`/andon/traces/${traceId}`);
    await page.getByTestId("tab-infrastructure").click();
    await page.waitForURL("**?tab=infrastructure*");
    const trace = await andon.trace(traceId);
    const selected = trace.spans.find(({ service }) => service === "runtime");
    const [start, end] = [selected.start_ns, selected.start_ns + selected.duration_ns];
    const [told] = await sql(`SELECT avg(cpu_busy_cores) AS mean, max(cpu_busy_cores) AS peak,
        count(*) AS n FROM hosts WHERE time_ns >= ${start} AND time_ns <= ${end} + 1000000000`);
    assert.ok(told.n > 0);
    const row = page.locator(`${ids("infrastructure-row")}[data-name=cpu]`);
    await row.waitFor();
    const words = (await row.locator(".figure").innerText()).replace(/\s+/g, " ");
    const [, mean, peak] = words.match(/^([\d.]+) cores? peak ([\d.]+) cores?$/);
    near(Number(mean), told.mean, CORES_NEAR, "the mean");
    near(Number(peak), told.peak, CORES_NEAR, "the peak");
    assert.match(await row.locator("path.line").getAttribute("d"), /^M[-\d.]+ [-\d.]+(V|L)/);
    const extent = await row.locator("rect.extent").getAttribute("width");
    assert.ok(Number(extent) > 0, "the span is marked");

    // Whatever is told has a row, and the rest is named.
    const [sums] = await sql(`SELECT max(swap_used_bytes) AS swap, max(cpu_throttled) AS throttled
      FROM hosts`);
    if (sums.swap === 0) await page.getByTestId("calm").filter({ hasText: "Swap used" }).waitFor();
    if (sums.throttled === undefined) {
      await page.getByTestId("untold").filter({ hasText: "CPU held back" }).waitFor();
    }

    await page.getByTestId("tab-infrastructure").press("ArrowRight");
    await page
      .locator(`${ids("process-row")}[data-role=runtime]`)
      .first()
      .waitFor();
    await page.getByTestId("tab-processes").press("ArrowLeft");

    await page.getByTestId("machine-link").click();
    await page.waitForURL("**/andon/machine?*");
    await drawn(page);
    const { searchParams } = new URL(page.url());
    const starts = trace.spans.map((span) => span.start_ns / 1e6);
    near(Date.parse(searchParams.get("from")), Math.min(...starts) - 5 * MINUTE_MS, 2, "from");
    assert.ok((await page.locator("[data-chart=cpu] tbody tr").count()) > 0, "it has samples");
    assert.deepEqual(complaints, []);
    await context.close();
  });
});

describe("every reader", () => {
  for (const [language, title, tab] of [
    ["ja", "マシン", "インフラ"],
    ["en", "Machine", "Infrastructure"],
  ]) {
    test(`at 390 px, ${language}: nothing sticks out, and one sees where one is`, async () => {
      const options = { language, viewport: { width: 390, height: 844 }, hasTouch: true };
      const colorScheme = language === "ja" ? "dark" : "light";
      const { context, page, complaints } = await open("/andon/machine", {
        ...options,
        colorScheme,
      });
      await drawn(page);
      assert.ok((await overflow(page)) <= 0, "the machine");
      const nav = page.locator("header nav");
      const isSeen = async () => {
        const [box, here] = await Promise.all([
          nav.boundingBox(),
          nav.locator("[aria-current=page]").boundingBox(),
        ]);
        return here.x >= box.x - 1 && here.x + here.width <= box.x + box.width + 1;
      };
      assert.equal(await nav.locator("[aria-current=page]").innerText(), title);
      assert.ok(await isSeen(), "the page's name is out of sight");
      await page.goto(`${andon.url}/andon/connect`);
      await nav.locator("[aria-current=page]").waitFor();
      await until("the last page's name is in sight", isSeen);

      await page.goto(`${andon.url}/andon/traces/${traceId}?tab=infrastructure`);
      await page.getByTestId("infrastructure-row").first().waitFor();
      assert.equal(await page.getByTestId("tab-infrastructure").innerText(), tab);
      assert.ok((await overflow(page)) <= 0, "the tab");
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }
});
