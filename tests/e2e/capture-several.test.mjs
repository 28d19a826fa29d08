// Several runtimes at once, each with a port of the capture, its own facts and its own health; and
// apps that have a port to themselves.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { environment, spanOf, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { launch, openPage } from "./harness/browser.mjs";
import { delta, Fake, json, LAST_LINE, ollama, openai } from "./harness/fakes.mjs";
import { ask } from "./harness/http.mjs";
import { freePort, Program } from "./harness/process.mjs";
import { BINARY } from "./harness/paths.mjs";
import { until } from "./harness/wait.mjs";

const EXPIRES = "2026-11-25T12:00:00.5+09:00";
const METRICS = `# HELP vllm:num_requests_running Number of requests
vllm:num_requests_running{engine="0",model_name="some-model"} 2.0
vllm:num_requests_waiting{engine="0",model_name="some-model"} 1.0
vllm:kv_cache_usage_perc{engine="0",model_name="some-model"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="some-model"} 1000.0
vllm:prefix_cache_hits_total{engine="0",model_name="some-model"} 400.0
vllm:request_queue_time_seconds_sum{engine="0"} 3.0
vllm:request_queue_time_seconds_count{engine="0"} 2.0
`;

/** An Ollama of before `/api/tags` told the context's length, with a model half on the GPU. */
function olderOllama() {
  const generate = (response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.end(LAST_LINE);
  };
  const routes = ollama(generate, { contextLength: null });
  const loaded = {
    name: "tiny:latest",
    size: 1_000,
    size_vram: 500,
    context_length: 4_096,
    expires_at: EXPIRES,
  };
  return {
    ...routes,
    "GET /api/ps": (response) => json(response, { models: [loaded] }),
    "POST /api/show": (response, { json: { model } }) => {
      assert.equal(model, "tiny:latest");
      json(response, { model_info: { "tiny.context_length": 32_768 } });
    },
  };
}

function vllm() {
  const model = { id: "some-model", object: "model", owned_by: "vllm", max_model_len: 8_192 };
  return {
    ...openai([delta("Hi"), delta(null, { finish_reason: "stop" })]),
    "GET /v1/models": (response) => json(response, { object: "list", data: [model] }),
    "GET /version": (response) => json(response, { version: "0.20.0" }),
    "GET /metrics": (response) => response.end(METRICS),
  };
}

const served = { main: null, box: null };
const urls = {};
let latePort;
let folder;
let andon;
before(async () => {
  served.main = await Fake.start(olderOllama());
  served.box = await Fake.start(vllm());
  latePort = await freePort();
  for (const name of ["box", "late", "web"]) urls[name] = `http://127.0.0.1:${await freePort()}`;
  const listen = (name) => new URL(urls[name]).host;
  folder = await temporaryFolder();
  await writeFile(
    path.join(folder, "andon.toml"),
    `[[runtimes]]
name = "gpu-box"
url = "${served.box.url}"
capture_listen = "${listen("box")}"

[[runtimes]]
name = "late"
url = "http://127.0.0.1:${latePort}"
capture_listen = "${listen("late")}"

[[apps]]
name = "open-webui"
capture_listen = "${listen("web")}"
runtime = "gpu-box"
`,
  );
  andon = await startAndon({ data: folder, options: { runtime: served.main.url } });
  await until("each has been looked at", async () => {
    const all = await runtimes();
    return all[0].models[0]?.context_length && all[1].load.running !== null;
  });
});
after(async () => {
  await andon?.end();
  await Promise.all(Object.values(served).map((fake) => fake?.end()));
});

const CHAT = { model: "some-model", stream: true, messages: [{ role: "user", content: "Hello" }] };

async function runtimes() {
  return (await andon.get("/api/v1/runtimes")).json.runtimes;
}

test("each port leads to its runtime, whose name is the service", async () => {
  const generate = await ask(`${andon.captureUrl}/api/generate`, {
    json: { model: "tiny", prompt: "Hello" },
  });
  assert.equal(generate.text, LAST_LINE);
  const main = spanOf(await andon.traceWith(generate.headers["x-trace-id"], "ollama"), "ollama");
  assert.deepEqual([main.service, main.provider, main.model], ["ollama", "ollama", "tiny:latest"]);
  assert.equal(main.context_length, 4_096);
  assert.equal(main.attributes["andon.model.on_gpu"], 0.5);

  const chat = await ask(`${urls.box}/v1/chat/completions`, { json: CHAT });
  assert.match(chat.text, /Hi/);
  const box = spanOf(await andon.traceWith(chat.headers["x-trace-id"], "gpu-box"), "gpu-box");
  assert.deepEqual([box.service, box.provider, box.ml_app], ["gpu-box", "vllm", null]);
  assert.equal(box.context_length, 8_192);
});

test("an app with a port to itself is known by it", async () => {
  const headers = { "user-agent": "python-requests/2.32" };
  const chat = await ask(`${urls.web}/v1/chat/completions`, { json: CHAT, headers });
  const span = spanOf(await andon.traceWith(chat.headers["x-trace-id"], "gpu-box"), "gpu-box");
  assert.deepEqual([span.service, span.ml_app], ["gpu-box", "open-webui"]);
});

test("apps, users and conversations are taken from the headers that apps send", async () => {
  const told = async (headers) => {
    const chat = await ask(`${urls.box}/v1/chat/completions`, { json: CHAT, headers });
    const span = spanOf(await andon.traceWith(chat.headers["x-trace-id"], "gpu-box"), "gpu-box");
    return [span.ml_app, span.user_id, span.session_id];
  };
  const openWebui = { "x-openwebui-user-id": "u1", "x-openwebui-chat-id": "c1", "x-title": "Chat" };
  assert.deepEqual(await told(openWebui), ["Chat", "u1", "c1"]);
  const agent = { "user-agent": "codex_cli_rs/0.99 (Debian)", session_id: "s1" };
  assert.deepEqual(await told(agent), ["codex", null, "s1"]);
  const own = { "x-andon-app": "nightly job", "x-title": "Chat", "x-session-id": "s2" };
  assert.deepEqual(await told({ ...own, "user-agent": "curl/8" }), ["nightly job", null, "s2"]);
});

test("what each runtime says of itself, its models and its work", async () => {
  const [main, box] = await runtimes();
  assert.deepEqual(main.capture, [{ address: andon.flags["capture-listen"], app: null }]);
  assert.deepEqual([main.name, main.product, main.healthy], ["ollama", "ollama", true]);
  const [model] = main.models;
  assert.deepEqual([model.context_length, model.loaded_context_length], [32_768, 4_096]);
  assert.deepEqual([model.memory_bytes, model.gpu_bytes], [1_000, 500]);
  assert.equal(model.expires_ns / 1e6, Date.parse(EXPIRES));
  assert.equal(served.main.asked("/api/show").length, 1, "a model is asked for once");

  assert.deepEqual([box.name, box.product, box.version], ["gpu-box", "vllm", "0.20.0"]);
  assert.deepEqual(
    box.capture.map(({ app }) => app),
    [null, "open-webui"],
  );
  const { running, waiting, cache_used, cache_hits, queue_ms, slots } = box.load;
  assert.deepEqual([running, waiting, cache_used, slots], [2, 1, 0.25, null]);
  assert.deepEqual([cache_hits, queue_ms], [0.4, 1_500]);
});

test("the page shows them all, and leads to their traces", async () => {
  const browser = await launch();
  try {
    const { page, complaints } = await openPage(browser, { locale: "en-GB" });
    await page.goto(`${andon.url}/andon/`);
    await page.getByRole("link", { name: /Runtimes|ランタイム/ }).click();
    await page.waitForURL("**/andon/runtimes");
    const card = (name) => page.locator(`[data-testid=runtime][data-name="${name}"]`);
    await card("ollama").waitFor();
    assert.equal(await card("ollama").getAttribute("data-healthy"), "true");
    assert.equal(await card("late").getAttribute("data-healthy"), "false");
    const words = async (name) => (await card(name).innerText()).replace(/\s+/g, " ");
    assert.match(await words("ollama"), /tiny:latest.*Q4_K_M.*4,096.*32,768.*50 %/);
    assert.match(await words("gpu-box"), /vllm 0\.20\.0/);
    assert.ok((await words("gpu-box")).includes(urls.web), await words("gpu-box"));
    assert.match(await words("gpu-box"), /open-webui/);
    assert.match(await words("late"), /Nobody answers|応答がありません/);
    await card("gpu-box").getByRole("link").click();
    await page.waitForURL("**/andon/traces?q=service%3Agpu-box");
    await page.getByTestId("trace-row").first().waitFor();
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
});

test("one that is down is said to be, by its name, and taken up when it comes", async () => {
  const refused = await ask(`${urls.late}/api/generate`, { json: { model: "m", prompt: "x" } });
  assert.equal(refused.status, 502);
  const trace = await andon.traceWith(refused.headers["x-trace-id"], "late");
  assert.deepEqual(
    [spanOf(trace, "late").error_type, spanOf(trace, "late").cause],
    ["runtime_down", "runtime_down"],
  );
  const down = (await runtimes()).find(({ name }) => name === "late");
  assert.deepEqual([down.healthy, down.address], [false, `127.0.0.1:${latePort}`]);
  assert.match(down.message, /nobody answers/);

  served.late = await Fake.start(olderOllama(), { port: latePort });
  const up = await until(
    "it is taken up",
    async () => (await runtimes()).find(({ name, healthy }) => name === "late" && healthy),
    20_000,
  );
  assert.equal(up.product, "ollama");
  const answer = await ask(`${urls.late}/api/generate`, { json: { model: "tiny", prompt: "x" } });
  assert.equal(answer.text, LAST_LINE);
});

test("the doctor looks at them all", async () => {
  const args = ["doctor", "--data", path.join(folder, "elsewhere"), "--lang", "en"];
  const program = new Program(BINARY, args, { cwd: folder, env: environment() });
  await program.exit;
  assert.match(program.stdout, /ok +runtime +gpu-box: vllm 0\.20\.0/);
  assert.match(program.stdout, /ok +capture +127\.0\.0\.1:\d+: andon \(\d+\)/);
});

test("a mistake in the file is named with its place", async () => {
  const wrong = await temporaryFolder();
  const cases = [
    ['[[runtimes]]\nname = "a"\nurl = "ftp://x"\n', /runtimes\.a\.url/],
    ['[[apps]]\nname = "a"\ncapture_listen = "127.0.0.1:1"\nruntime = "b"\n', /apps\.a\.runtime/],
    ['[[apps]]\nname = "a"\ncapture_listen = "0.0.0.0:1"\n', /apps\.a\.capture_listen.*password/s],
  ];
  for (const [text, message] of cases) {
    await writeFile(path.join(wrong, "andon.toml"), text);
    const program = new Program(BINARY, ["up"], { cwd: wrong, env: environment() });
    assert.notEqual((await program.exit).code, 0);
    assert.match(program.stderr, message);
  }
});
