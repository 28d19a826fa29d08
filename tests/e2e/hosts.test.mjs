// Another machine sends samples of itself: they are asked about by its name, and nothing is lost or there
// twice while the Andon that takes them is killed and comes back.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { environment, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { BINARY } from "./harness/paths.mjs";
import { freePort, Program } from "./harness/process.mjs";
import { until } from "./harness/wait.mjs";

const PASSWORD = "lamp-secret";
const HOST = "gpu-box";
let andon;
let box;

const known = async () => {
  const { json } = await andon.get("/api/v1/hosts");
  return json.hosts.find(({ name }) => name === HOST);
};

async function start(options, data) {
  const password = path.join(data, "password");
  const started = await startAndon({
    data,
    options: { runtime: "http://127.0.0.1:1", lang: "en", "password-file": password, ...options },
    ready: false,
  });
  started.headers = { authorization: `Bearer ${PASSWORD}` };
  return started;
}

before(async () => {
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, "password"), PASSWORD);
  andon = await start({ listen: `127.0.0.1:${await freePort()}` }, folder);
});
after(async () => {
  await box?.end();
  await andon?.end();
});

function forward(extra = []) {
  const args = ["host", `--forward=${andon.flags.listen}`, `--name=${HOST}`, "--lang=en", ...extra];
  const password = path.join(andon.folder, "password");
  args.push(`--password-file=${password}`);
  return new Program(BINARY, args, { cwd: andon.folder, env: environment() });
}

test("a machine that sends samples is known by its name, beside the one that Andon runs on", async () => {
  box = forward();
  const seen = await until("its samples have come", known);
  assert.match(box.stdout, /samples of gpu-box go to 127\.0\.0\.1/);
  assert.ok(seen.cpu_count >= 1 && seen.memory_total_bytes > 2 ** 26);
  assert.ok(Math.abs(seen.clock_ahead_ns) < 5e9, `${seen.clock_ahead_ns}`);
  const { json } = await andon.get("/api/v1/hosts");
  assert.deepEqual(
    json.hosts.map(({ name }) => name),
    [null, HOST],
  );
  const machine = await until("there are some of both", async () => {
    const [here, there] = await Promise.all(
      ["", `?host=${HOST}`].map((query) => andon.get(`/api/v1/machine${query}`)),
    );
    return here.json.mean.length > 0 && there.json.mean.length > 0 && there.json;
  });
  assert.ok(machine.processes.some(({ name }) => name === "andon"));
  assert.ok(machine.devices.some(({ kind, id }) => kind === "cpu" && id === "cpu0"));
  const nobody = await andon.get("/api/v1/machine?host=nobody");
  assert.deepEqual(nobody.json.mean, []);
});

test("while nobody takes them looks wait, and none is lost or there twice", async () => {
  await andon.kill();
  await until("it has noticed", () => box.stderr.includes("looks could not be sent"));
  andon = await start({ listen: andon.flags.listen }, andon.folder);
  const since = Date.now();
  // Known after a restart before anything has come.
  assert.ok(await known());
  await until("what has waited has come", async () => {
    const last = Number(BigInt((await known()).last_seen_ns) / 1_000_000n);
    return last > since + 2_000;
  });
  const sql = `SELECT CAST(time_ns AS VARCHAR) AS t FROM hosts WHERE host = '${HOST}' ORDER BY t`;
  const { json: found } = await andon.post("/api/v1/query", { sql });
  const times = found.map(({ t }) => Number(BigInt(t) / 1_000_000n));
  const pauses = times.slice(1).map((time, at) => time - times[at]);
  assert.ok(times.length >= 5, `${times.length}`);
  assert.ok(Math.min(...pauses) > 200, `twice: ${pauses}`);
  assert.ok(Math.max(...pauses) < 2_500, `lost: ${pauses}`);
});

test("a clock that is set back loses nothing", async () => {
  const send = async (ms) => {
    const time = `${ms}000000`;
    const json = `{"host":"moody","sent_ns":${time},"looks":[{"host":{"time_ns":${time}}}]}`;
    const headers = { "content-type": "application/json" };
    return andon.get("/api/v1/hosts/samples", { method: "POST", body: json, headers });
  };
  const now = Date.now();
  for (const [ms, taken] of [
    [now + 3_600_000, 1],
    [now + 3_600_000, 0],
    [now, 1],
    [now + 1_000, 1],
  ]) {
    const answer = await send(ms);
    assert.deepEqual([answer.status, answer.json.taken], [200, taken], answer.text);
  }
});

test("what makes no sense is refused with what is wrong", async () => {
  const time = `${Date.now()}000000`;
  const body = (host, looks) => `{"host":"${host}","sent_ns":${time},"looks":${looks}}`;
  for (const [json, wrong] of [
    ["{", /body:/],
    [body("", "[]"), /host:/],
    [body("a", '[{"host":{"time_ns":5}},{"host":{"time_ns":5}}]'), /looks\[1\]/],
    [body("a", '[{"host":{"time_ns":-1}}]'), /body:/],
  ]) {
    const answer = await andon.get("/api/v1/hosts/samples", {
      method: "POST",
      body: json,
      headers: { "content-type": "application/json" },
    });
    assert.equal(answer.status, 400, json);
    assert.match(answer.json.error, wrong);
  }
});

test("with a wrong password it ends and says why", async () => {
  const wrong = path.join(andon.folder, "wrong");
  await writeFile(wrong, "wrong");
  const args = ["host", `--forward=${andon.flags.listen}`, `--password-file=${wrong}`];
  const other = new Program(BINARY, args, { cwd: andon.folder, env: environment() });
  const { code } = await other.exit;
  assert.equal(code, 1, other.stderr);
  assert.match(other.stderr, /password is needed/);
});
