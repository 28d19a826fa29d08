// A machine that is known by OpenTelemetry's system metrics alone: it is shown and asked about as one that
// `andon host` runs on, and what nobody said of it is absent.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { environment } from "./harness/andon.mjs";
import { startReceiver } from "./harness/otlp.mjs";
import { BINARY, missing, OTEL_PYTHON, OWN_PROGRAMS } from "./harness/paths.mjs";
import { Program } from "./harness/process.mjs";
import { until } from "./harness/wait.mjs";

const HOST = "otel-box";
const BOTH = "both-box";
const skip = missing(OTEL_PYTHON);

let andon;
const programs = [];
before(async () => {
  andon = await startReceiver({ options: { runtime: "http://127.0.0.1:1" }, ready: false });
});
after(async () => {
  await Promise.all(programs.map((program) => program.end()));
  await andon?.end();
});

/** An app on a machine of this name. */
function measure(host, { protocol = "http", service = "measures" } = {}) {
  const url = protocol === "grpc" ? andon.otlpGrpcUrl : andon.otlpUrl;
  const script = path.join(OWN_PROGRAMS, "receive/measures.py");
  const env = environment({ PYTHONDONTWRITEBYTECODE: "1", NO_PROXY: "127.0.0.1" });
  const program = new Program(OTEL_PYTHON, [script, protocol, url, host, service], { env });
  programs.push(program);
  return program;
}

async function known(host) {
  const { json } = await andon.get("/api/v1/hosts");
  return json.hosts.find(({ name }) => name === host);
}

/** Samples of a machine in the order of time. */
async function samples(host) {
  const sql = `SELECT CAST(time_ns AS VARCHAR) AS t, cpu_busy_cores AS busy, load_1m AS load,
    memory_used_bytes AS used FROM hosts WHERE host = '${host}' ORDER BY time_ns`;
  const { status, json, text } = await andon.post("/api/v1/query", { sql });
  assert.equal(status, 200, text);
  // What is not known is left out of a row.
  return json.map(({ t, load = null, ...row }) => ({
    ...row,
    load,
    ms: Number(BigInt(t) / 1_000_000n),
  }));
}

/** CPU seconds of this machine since it began, in the modes that the instrumentation tells of. */
async function cpuSeconds() {
  const [line] = (await readFile("/proc/stat", "utf8")).split("\n");
  const [user, , system, , , irq] = line.split(/\s+/).slice(1).map(Number);
  return (user + system + irq) / 100;
}

async function memory() {
  const text = await readFile("/proc/meminfo", "utf8");
  const bytes = (name) => Number(text.match(new RegExp(`^${name}: *(\\d+)`, "m"))[1]) * 1024;
  const cached = bytes("Cached") + bytes("SReclaimable");
  return { total: bytes("MemTotal"), used: bytes("MemTotal") - bytes("MemAvailable"), cached };
}

function about(value, wanted, tolerance, what) {
  assert.ok(Math.abs(value - wanted) <= tolerance, `${what}: ${value}, and not about ${wanted}`);
}

test("a machine that sends its metrics is known by its name", { skip }, async () => {
  const app = measure(HOST);
  const seen = await app.until("its samples have come", () => known(HOST));
  assert.equal(seen.cpu_count, os.cpus().length);
  about(seen.memory_total_bytes, (await memory()).total, 4096, "all memory");
  assert.deepEqual([seen.address, seen.clock_ahead_ns], [null, null]);
  const { json } = await andon.get("/api/v1/hosts");
  assert.deepEqual(
    json.hosts.map(({ name }) => name),
    [null, HOST],
  );
});

test("what its samples say is what the kernel says", { skip }, async () => {
  const count = async (least) =>
    until(`${least} samples are there`, async () => {
      const all = await samples(HOST);
      return all.length >= least && all;
    });
  const first = (await count((await samples(HOST)).length + 1)).at(-1);
  const [begin, beginMs] = [await cpuSeconds(), Date.now()];
  const before = (await samples(HOST)).length;
  const all = await count(before + 5);
  const [end, endMs] = [await cpuSeconds(), Date.now()];
  const during = all.slice(before);
  const mean = during.reduce((sum, { busy }) => sum + busy, 0) / during.length;
  about(mean, ((end - begin) * 1000) / (endMs - beginMs), 0.4, "busy cores");
  const { total, used, cached } = await memory();
  about(all.at(-1).used, used, total / 20, "memory");
  assert.ok(first.ms > Date.now() - 60_000);
  const pauses = all.slice(1).map(({ ms }, at) => ms - all[at].ms);
  assert.ok(Math.min(...pauses) >= 900, `twice: ${pauses}`);

  const { json: machine } = await andon.get(`/api/v1/machine?host=${HOST}`);
  assert.ok(machine.mean.length > 0);
  const point = machine.mean.at(-1);
  assert.ok(point.cpu_busy_cores > 0 && point.cpu_busy_cores <= os.cpus().length);
  about(point.memory_cached_bytes, cached, total / 10, "cache");
  // Of these it says nothing.
  const untold = ["load_1m", "cpu_pressure", "io_stall", "oom_kills", "major_faults_per_s"];
  for (const name of untold) {
    assert.equal(point[name], null, name);
  }
  assert.deepEqual([machine.processes, machine.devices], [[], []]);
});

test(
  "its metrics are kept as such too, and a trace of it has its samples beside it",
  { skip },
  async () => {
    const sql = `SELECT count(*) AS points FROM metrics WHERE host = '${HOST}'
    AND name = 'system.cpu.time' AND service = 'measures'`;
    const { json: metrics } = await andon.post("/api/v1/query", { sql });
    assert.ok(Number(metrics[0].points) > 0);
    const traceId = "5b8efff798038103d269b633813fc60c";
    const now = BigInt(Date.now()) * 1_000_000n;
    const span = {
      traceId,
      spanId: "eee19b7ec3c1b174",
      name: "call",
      startTimeUnixNano: `${now - 1_000_000_000n}`,
      endTimeUnixNano: `${now}`,
    };
    const attributes = [{ key: "host.name", value: { stringValue: HOST } }];
    const body = { resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans: [span] }] }] };
    const sent = await fetch(`${andon.otlpUrl}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    assert.equal(sent.status, 200, await sent.text());
    const { json: around } = await andon.get(`/api/v1/traces/${traceId}/host?host=${HOST}`);
    assert.equal(around.host, HOST);
    assert.ok(around.samples.length > 0);
  },
);

test("a machine that `andon host` runs on has its samples alone", { skip }, async () => {
  const app = measure(BOTH, { protocol: "grpc" });
  await app.until("its samples have come", async () => (await samples(BOTH)).length >= 2);
  const args = ["host", `--forward=${andon.flags.listen}`, `--name=${BOTH}`, "--lang=en"];
  const host = new Program(BINARY, args, { cwd: andon.folder, env: environment() });
  programs.push(host);
  // The metrics have no load.
  const own = await host.until("it has sent some", async () => {
    const found = (await samples(BOTH)).filter(({ load }) => load !== null);
    return found.length >= 5 && found;
  });
  const others = (await samples(BOTH)).filter(({ load }) => load === null);
  assert.ok(others.length >= 2);
  const [last, first] = [others.at(-1).ms, own[0].ms];
  assert.ok(last < first + 1_500, `one of ${last - first} ms later`);
  assert.notEqual((await known(BOTH)).clock_ahead_ns, null);
});

test("the machine that Andon runs on is not there twice", { skip }, async () => {
  const app = measure(os.hostname(), { service: "neighbour" });
  const sql = "SELECT count(DISTINCT time_ns) AS looks FROM metrics WHERE service = 'neighbour'";
  await app.until("three looks have come", async () => {
    const { json } = await andon.post("/api/v1/query", { sql });
    return Number(json[0].looks) >= 3;
  });
  const { json } = await andon.get("/api/v1/hosts");
  assert.deepEqual(
    json.hosts.map(({ name }) => name),
    [null, BOTH, HOST],
  );
});
