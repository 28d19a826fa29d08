// Another machine with a GPU sends samples of itself: the page of the machine shows its parts and leads to it
// and back, and a span that ran there is told by that machine and not by the one that Andon runs on.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ask } from "./harness/http.mjs";
import { startReceiver } from "./harness/otlp.mjs";
import { launch, openAt } from "./harness/browser.mjs";
import { until } from "./harness/wait.mjs";

const HOST = "gpu-box";
const SILENT = "old-box";
/** An old way to write 127.0.0.1, which nobody knows for an address of this machine. */
const ELSEWHERE = "127.1";
const GPU = "NVIDIA GeForce RTX 4090";
const GIB = 2 ** 30;
const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
/** Whole numbers of this size are written as they are, near enough for a time. */
const ns = (ms) => ms * 1e6;
const ids = (name) => `[data-testid="${name}"]`;
const CORES = [0.05, 0.1, 0.98, 0];

let andon;
let browser;
/** A time that is over, so that what it shows changes no more. */
let stretch;

function look(at, second) {
  // For some seconds the driver told nothing: no figure of that time is 0.
  const gpu = second >= 30 && second < 40 ? null : 0.8;
  return {
    host: {
      time_ns: ns(at),
      cpu_count: CORES.length,
      cpu_busy_cores: 1.13,
      memory_total_bytes: 32 * GIB,
      memory_used_bytes: 8 * GIB,
    },
    processes: [
      {
        time_ns: ns(at),
        pid: 77,
        started_ns: ns(stretch.fromMs),
        name: "llama-server",
        command: "llama-server -m model.gguf",
        role: "runtime",
        cpu_cores: 1,
        rss_bytes: GIB,
        threads: 5,
        gpu_memory_bytes: 9 * GIB,
        major_faults_per_s: 42,
      },
    ],
    devices: [
      ...CORES.map((utilization, core) => ({
        kind: "cpu",
        id: `cpu${core}`,
        utilization,
        throttled: core === 2 && second % 2 === 0,
      })),
      {
        kind: "gpu",
        id: "GPU-0b5c",
        name: GPU,
        utilization: gpu,
        memory_used_bytes: 18 * GIB,
        memory_total_bytes: 24 * GIB,
        power_w: gpu && 310,
        power_limit_w: 450,
        temperature_c: 66,
        throttled: second % 4 === 0,
      },
      { kind: "temperature", id: "k10temp/temp1", name: "Tctl", temperature_c: 71 },
      { kind: "temperature", id: "nvme/temp1", name: "Composite", temperature_c: 41 },
      { kind: "energy", id: "intel-rapl:0", name: "package-0", power_w: 61 },
    ].map((device) => ({ time_ns: ns(at), ...device })),
  };
}

async function send(host, looks, sentMs) {
  const json = { host, sent_ns: ns(sentMs), looks };
  const answer = await andon.post("/api/v1/hosts/samples", json);
  assert.equal(answer.status, 200, answer.text);
}

before(async () => {
  [andon, browser] = await Promise.all([
    startReceiver({ options: { lang: "en", runtime: `http://${ELSEWHERE}:1` }, ready: false }),
    launch(),
  ]);
  const toMs = Date.now() - 1_000;
  stretch = { fromMs: toMs - 120_000, toMs };
  const looks = Array.from({ length: 120 }, (_, at) => look(stretch.fromMs + at * 1_000, at));
  await send(HOST, looks, Date.now());
  // Ten minutes ago by a clock that is five seconds behind.
  const old = { host: { time_ns: ns(toMs - 600_000), cpu_count: 2 } };
  await send(SILENT, [old], Date.now() - 5_000);

  const span = {
    traceId: TRACE_ID,
    spanId: "00f067aa0ba902b7",
    name: "chat",
    kind: 1,
    startTimeUnixNano: `${stretch.fromMs + 60_000}000000`,
    endTimeUnixNano: `${stretch.fromMs + 70_000}000000`,
    attributes: [
      { key: "gen_ai.operation.name", value: { stringValue: "chat" } },
      { key: "gen_ai.request.model", value: { stringValue: "tiny" } },
    ],
  };
  const attributes = [
    { key: "service.name", value: { stringValue: "app" } },
    { key: "host.name", value: { stringValue: HOST } },
  ];
  const sent = await ask(`${andon.otlpUrl}/v1/traces`, {
    json: { resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans: [span] }] }] },
  });
  assert.equal(sent.status, 200, sent.text);
  await andon.traceWith(TRACE_ID, "app");
});
after(async () => {
  await browser?.close();
  await andon?.end();
});

const open = (route, options) => openAt(browser, andon.url + route, options);

const iso = (ms) => new Date(ms).toISOString();
const address = (host) =>
  `/andon/machine?${new URLSearchParams({ host, from: iso(stretch.fromMs), to: iso(stretch.toMs) })}`;

/** The rows of a chart's table: what they are of, and the words. */
const told = (chart) =>
  chart
    .locator("tbody tr")
    .evaluateAll((found) =>
      found.map((row) => [...row.children].map((cell) => cell.textContent.trim())),
    );

const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

describe("a machine with a GPU", () => {
  test("shows what its parts did, and a gap where nobody told", async () => {
    const { context, page, complaints } = await open(address(HOST));
    const card = page.getByTestId("gpu-0");
    await card.getByRole("heading", { name: GPU }).waitFor();
    assert.match(await card.locator("header small").innerText(), /clock down 25 % of the time/);
    const words = async (chart) => (await told(card.locator(`[data-chart=${chart}]`))).at(-1)[1];
    assert.equal(await words("gpuUse"), "mean 80 %, peak 80 %");
    assert.equal(await words("gpuMemory"), "used 18.0 GiB");
    assert.equal(await words("gpuPower"), "drawn 310 W, limit 450 W");
    assert.equal(await words("gpuTemperature"), "mean 66 °C, peak 66 °C");
    const use = await card.locator("[data-chart=gpuUse] path[data-series=peak]").getAttribute("d");
    assert.equal(use.match(/M/g).length, 2, `the line has no gap: ${use}`);

    const cores = page.locator("[data-chart=cores]");
    assert.deepEqual(await told(cores), [
      ["core 0", "mean 5 %, peak 5 %"],
      ["core 1", "mean 10 %, peak 10 %"],
      ["core 2", "mean 98 %, peak 98 %"],
      ["core 3", "mean 0 %, peak 0 %"],
    ]);
    const hot = await cores.locator("path[data-level='9']").getAttribute("d");
    assert.match(hot, /^M\d+ 2\./, "the third row is the hot one");
    assert.match(await page.getByTestId("cores-held").innerText(), /core 2 for 50 % of the time/);

    const last = async (chart) => (await told(page.locator(`[data-chart=${chart}]`))).at(-1)[1];
    assert.equal(await last("temperatures"), "Tctl 71 °C, Composite 41 °C");
    assert.equal(await last("energy"), "package-0 61 W");
    const row = page.locator(`${ids("process")}[data-pid="77"]`);
    assert.equal(await row.locator("[data-column=gpu]").innerText(), "9.00 GiB");
    assert.equal(await row.locator("[data-column=faults]").innerText(), "42");
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("is reached by the picker, and so is Andon's own again", async () => {
    const { context, page, complaints } = await open("/andon/machine");
    const picker = page.getByTestId("machine-picker");
    await picker.waitFor();
    await page.locator("[data-chart=cpu]").waitFor();
    assert.equal(await page.locator("[data-testid^=gpu-]").count(), 0, "no empty card");
    const names = await picker.locator("option").allInnerTexts();
    assert.deepEqual(names.slice(0, 2), ["This machine", HOST]);
    assert.match(names[2], /^old-box \(last heard of .*\d\d:\d\d:\d\d\)$/);

    await picker.selectOption(HOST);
    await page.waitForURL(`**/andon/machine?host=${HOST}`);
    await page.getByTestId("gpu-0").waitFor();
    await page.locator(`${ids("range")}[data-range="1h"]`).click();
    await page.waitForURL(`**/andon/machine?host=${HOST}&range=1h`);
    await picker.selectOption(SILENT);
    await page.getByTestId("machine-silent").waitFor();
    const clock = await page.getByTestId("machine-clock").innerText();
    assert.match(clock, /old-box is [45]\.\d+ s behind/);
    await picker.selectOption({ label: "This machine" });
    await page.waitForURL("**/andon/machine?range=1h");
    await until("the GPU is gone", async () => (await page.getByTestId("gpu-0").count()) === 0);

    await page.goto(`${andon.url}/andon/machine?host=nobody`);
    await page.getByText("Nothing came from nobody in this time").waitFor();
    assert.equal(await picker.inputValue(), "nobody");
    assert.deepEqual(complaints, []);
    await context.close();
  });
});

describe("a span that ran there", () => {
  test("is told by that machine, which is asked once", async () => {
    const { context, page, complaints } = await open(
      `/andon/traces/${TRACE_ID}?tab=infrastructure`,
    );
    const asked = [];
    page.on("request", (request) => {
      if (request.url().includes(`/host?host=${HOST}`)) asked.push(request.url());
    });
    await page.reload();
    await page.getByTestId("other-machine").filter({ hasText: HOST }).first().waitFor();
    const figure = (name) =>
      page.locator(`${ids("infrastructure-row")}[data-name=${name}] .figure`).innerText();
    assert.match(await figure("cpu"), /1\.13 cores/);
    assert.match(await figure("gpuUse"), /80 %/);
    assert.match(await figure("gpuMemory"), /18\.0 GiB/);
    assert.match(await figure("gpuPower"), /310 W/);
    // So are the curves under the waterfall, for the model ran there.
    const told = page.getByTestId("other-machine").filter({ hasText: HOST });
    await until("both say whose they are", async () => (await told.count()) === 2);
    await page.getByTestId("tab-processes").click();
    await page.getByTestId("process-row").filter({ hasText: "llama-server" }).waitFor();
    await page.getByTestId("tab-infrastructure").click();
    assert.equal(asked.length, 1);
    await page.getByTestId("machine-link").click();
    await page.waitForURL(`**/andon/machine?host=${HOST}&from=*`);
    await page.getByTestId("gpu-0").waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });
});

describe("a runtime on a machine that tells nothing", () => {
  test("is named, and Andon's own machine is not taken for it", async () => {
    const answer = await ask(`${andon.captureUrl}/api/chat`, {
      json: { model: "tiny", messages: [{ role: "user", content: "Hello" }] },
    });
    assert.equal(answer.status, 502, "nobody is there");
    const id = answer.headers["x-trace-id"];
    const trace = await andon.traceWith(id, "ollama");
    const [{ span_id }] = trace.spans;
    assert.deepEqual(trace.runs_on, [{ span_id, address: ELSEWHERE, host: null }]);
    const { context, page, complaints } = await open(`/andon/traces/${id}?tab=processes`);
    const told = page.getByTestId("silent-machine").filter({ hasText: ELSEWHERE });
    await until("lanes and tab say so", async () => (await told.count()) === 2);
    assert.deepEqual(complaints, []);
    await context.close();
  });
});

describe("every reader", () => {
  for (const [language, title] of [
    ["ja", "コアごと"],
    ["en", "Each core"],
  ]) {
    test(`at 390 px, ${language}: nothing sticks out`, async () => {
      const { context, page, complaints } = await open(address(HOST), {
        language,
        viewport: { width: 390, height: 844 },
        hasTouch: true,
        colorScheme: language === "ja" ? "dark" : "light",
      });
      await page.locator("[data-chart=cores]").getByText(title).first().waitFor();
      assert.ok((await overflow(page)) <= 0, "the machine");
      await page.goto(`${andon.url}/andon/traces/${TRACE_ID}?tab=infrastructure`);
      await page.getByTestId("other-machine").first().waitFor();
      assert.ok((await overflow(page)) <= 0, "the tab");
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }
});
