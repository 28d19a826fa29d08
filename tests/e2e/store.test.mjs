// The commands that keep a store: counted, checked, copied, damaged and made whole again, as somebody
// would do it, beside a running Andon and without one.
import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { before, describe, test } from "node:test";
import { environment, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { ask } from "./harness/http.mjs";
import { BINARY } from "./harness/paths.mjs";
import { run } from "./harness/process.mjs";
import { generate, hoursAgo, rows } from "./harness/query.mjs";
import { until } from "./harness/wait.mjs";

const SPANS = 6_000;
const DAYS = 3;
/** Nobody answers there. */
const NO_RUNTIME = "http://127.0.0.1:9";

/** Runs `andon …` on a folder's data: `{code, stdout, stderr}`. */
function andon(folder, ...args) {
  const data = `--data=${path.join(folder, "data")}`;
  return run(BINARY, [...args, data], {
    cwd: folder,
    env: environment({ ANDON_LANG: "en" }),
  });
}

async function stats(folder) {
  const { code, stdout, stderr } = await andon(folder, "store", "stats", "--format=json");
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Numbers of a table; sums of fractions depend on their order, and on who reads them. */
function tableOf({ tables }, name) {
  return rounded(tables.find(({ table }) => table === name));
}

function rounded(value) {
  const text = JSON.stringify(value, (_, inner) =>
    typeof inner === "number" && !Number.isInteger(inner) ? Number(inner.toPrecision(9)) : inner,
  );
  return JSON.parse(text);
}

async function filled() {
  const folder = await temporaryFolder();
  await generate(folder, {
    spans: SPANS,
    days: DAYS,
    seed: 11,
    "end-ns": hoursAgo(1),
  });
  return folder;
}

async function segments(folder, table) {
  const at = path.join(folder, "data/segments", table);
  return (await readdir(at)).sort().map((name) => path.join(at, name));
}

/** Turns a bit in the middle of a file. */
async function damage(file) {
  const bytes = await readFile(file);
  bytes[Math.floor(bytes.length / 2)] ^= 8;
  await writeFile(file, bytes);
}

/** One and the same time for all questions. */
const NOW = hoursAgo(0);

/** What the overview of all time shows, by an Andon on this folder. */
async function numbers(folder) {
  const running = await startAndon({
    data: folder,
    ready: false,
    options: { runtime: NO_RUNTIME },
  });
  try {
    const asked = `from=1970-01-01T00:00:00Z&to=${NOW}&of=all&by=model&points=30&top=20`;
    const { status, json } = await ask(`${running.url}/api/v1/aggregate?${asked}`);
    assert.equal(status, 200, JSON.stringify(json));
    const { groups, total } = json;
    return rounded({ groups, total });
  } finally {
    await running.end({ keep: true });
  }
}

describe("a store that is well", () => {
  let folder;
  before(async () => {
    folder = await filled();
  });

  test("is counted the same beside a running Andon and without one", async () => {
    const alone = await stats(folder);
    assert.equal(tableOf(alone, "spans").rows, SPANS);
    assert.ok(tableOf(alone, "rollups").rows > 0);
    const running = await startAndon({
      data: folder,
      ready: false,
      options: { runtime: NO_RUNTIME },
    });
    const beside = await stats(folder);
    await running.end({ keep: true });
    for (const table of ["spans", "contents", "traces", "rollups"]) {
      assert.deepEqual(tableOf(beside, table), tableOf(alone, table), table);
    }
    const { stdout } = await andon(folder, "store", "stats", "--format=table");
    assert.match(stdout, new RegExp(`^spans +\\d+ +${SPANS} `, "m"));
  });

  test("is whole, and needs no repair", async () => {
    const { code, stdout } = await andon(folder, "store", "verify");
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^damaged: 0$/m);
    assert.match((await andon(folder, "store", "repair")).stdout, /nothing to repair/);
  });

  test("is copied while Andon runs, and comes back from the copy", async () => {
    const running = await startAndon({
      data: folder,
      ready: false,
      options: { runtime: NO_RUNTIME },
    });
    const copy = path.join(await temporaryFolder(), "monday");
    const made = await run(BINARY, ["store", "backup", copy, `--data=${running.data}`], {
      cwd: folder,
      env: environment(),
    });
    await running.end({ keep: true });
    assert.equal(made.code, 0, made.stderr);
    const other = await temporaryFolder();
    const restored = await andon(other, "store", "restore", copy);
    assert.equal(restored.code, 0, restored.stderr);
    const [{ n }] = await rows(other, "SELECT count(*) AS n FROM spans");
    assert.equal(n, SPANS);
    assert.deepEqual(await numbers(other), await numbers(folder));
    // What is there is not written over.
    assert.equal((await andon(other, "store", "restore", copy)).code, 1);
  });

  test("comes back from lines of text", async () => {
    const other = await temporaryFolder();
    const file = path.join(other, "spans.jsonl");
    // Into a file, as everybody does: there may be gigabytes.
    const line = '"$0" export --table=spans --data="$1" > "$2"';
    const data = path.join(folder, "data");
    const made = await run("sh", ["-c", line, BINARY, data, file], {
      env: environment(),
    });
    assert.equal(made.code, 0, made.stderr);
    const taken = await andon(other, "import", file);
    assert.equal(taken.code, 0, taken.stderr);
    const sum =
      "SELECT count(*) AS n, sum(duration_ns) AS ns, count(DISTINCT trace_id) AS t FROM spans";
    assert.deepEqual(await rows(other, sum), await rows(folder, sum));
    // Sums of hours are no records: they are made of these.
    const refused = await andon(folder, "export", "--table=rollups");
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /spans, contents/);
  });
});

describe("a store that is damaged", () => {
  test("names the file, is served without it, and is made whole by a repair", async () => {
    const folder = await filled();
    const [file] = await segments(folder, "spans");
    const lost = (await rows(folder, "SELECT count(*) AS n FROM spans"))[0].n;
    await damage(file);
    const found = await andon(folder, "store", "verify");
    assert.equal(found.code, 1);
    assert.ok(found.stdout.includes(`damaged: ${file}: `), found.stdout);
    const done = await andon(folder, "store", "repair");
    assert.equal(done.code, 0, done.stderr);
    assert.ok(done.stdout.includes(file), done.stdout);
    assert.equal((await andon(folder, "store", "verify")).code, 0);
    const left = (await rows(folder, "SELECT count(*) AS n FROM spans"))[0].n;
    assert.ok(left < lost && left > 0, `${left} of ${lost}`);
    const aside = await readdir(path.join(folder, "data/set-aside"));
    assert.equal(aside.length, 1);
  });

  test("has the same numbers when sums of hours are lost, at once and by a repair", async () => {
    const folder = await filled();
    const before = await numbers(folder);
    assert.equal(before.total.figures.count, SPANS);
    const [file, ...others] = await segments(folder, "rollups");
    assert.ok(others.length > 0);
    await damage(file);
    const done = await andon(folder, "store", "repair");
    assert.match(done.stdout, /sums of hours made anew: \d+/);
    assert.deepEqual(await numbers(folder), before);
    // Gone altogether, with nobody to repair it: answered from the spans until they are made anew.
    for (const file of await segments(folder, "rollups")) await rm(file);
    assert.deepEqual(await numbers(folder), before);
    const running = await startAndon({
      data: folder,
      ready: false,
      options: { runtime: NO_RUNTIME },
    });
    await until("sums of hours are there again", async () => {
      const { json } = await running.get("/api/v1/store");
      return tableOf(json, "rollups").rows > 0 && (await segments(folder, "rollups")).length > 0;
    });
    await running.end({ keep: true });
    assert.deepEqual(await numbers(folder), before);
    assert.equal((await andon(folder, "store", "verify")).code, 0);
  });

  test("says of a wrong question what is wrong with it", async () => {
    const folder = await temporaryFolder();
    const running = await startAndon({
      data: folder,
      ready: false,
      options: { runtime: NO_RUNTIME },
    });
    for (const [asked, says] of [
      ["aggregate?by=colour", /by: .*colour.*model/],
      ["aggregate?by=model,cause,service", /by: at most 2/],
      ["aggregate?points=1000000", /points: 1000000/],
      ["aggregate?of=some", /some/],
      ["aggregate?q=status:odd", /q: position 7/],
      ["aggregate?q=@plan", /q: position 0.*@user\.plan:pro/],
      ["aggregate?from=tomorrow", /from: .*RFC 3339/],
      ["aggregate?from=2&to=1", /from: it is after to/],
      ["heatmap?rows=0", /rows: 0/],
    ]) {
      const { status, json } = await running.get(`/api/v1/${asked}`);
      assert.equal(status, 400, asked);
      assert.match(json.error, says);
    }
    const { json } = await running.get(
      "/api/v1/aggregate?points=10&from=0&to=18446744073709551615",
    );
    assert.equal(json.total.figures.count, 0);
    await running.end();
  });
});

describe("what is to be forgotten", () => {
  const user = (name) => `SELECT count(*) AS n FROM spans WHERE user_id = '${name}'`;

  /** Lines of spans of two users, taken in. */
  async function ofTwo() {
    const folder = await temporaryFolder();
    const line = (name, number) => {
      const id = number.toString(16).padStart(16, "0");
      const times = { start_ns: number * 1_000, duration_ns: 10 };
      const ids = {
        trace_id: `a5a5a5a5a5a5a5a5${id}`,
        span_id: id,
        user_id: name,
      };
      return JSON.stringify({
        ...ids,
        ...times,
        service: "shop",
        name: "GET /",
      });
    };
    const names = Array.from({ length: 40 }, (_, number) => (number % 4 === 0 ? "ann" : "bob"));
    const file = path.join(folder, "spans.jsonl");
    await writeFile(file, names.map((name, number) => line(name, number + 1)).join("\n"));
    const taken = await andon(folder, "import", file);
    assert.equal(taken.code, 0, taken.stderr);
    return folder;
  }

  test("goes without Andon, and only when it is said twice", async () => {
    const folder = await ofTwo();
    const refused = await andon(folder, "store", "forget", "--user=ann");
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /--yes/);
    assert.equal((await andon(folder, "store", "forget", "--yes")).code, 2);
    assert.equal((await andon(folder, "store", "forget", "--user=", "--yes")).code, 2);
    assert.equal((await rows(folder, user("ann")))[0].n, 10);
    const done = await andon(folder, "store", "forget", "--user=ann", "--yes");
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /^removed: 10 traces \(10 spans, 0 texts, 0 evaluations\)/);
    assert.match(done.stdout, /Backups/);
    assert.equal((await rows(folder, user("ann")))[0].n, 0);
    assert.equal((await rows(folder, user("bob")))[0].n, 30);
    assert.equal((await andon(folder, "store", "verify")).code, 0);
  });

  test("goes beside a running Andon, from the list as well", async () => {
    const folder = await ofTwo();
    const running = await startAndon({
      data: folder,
      ready: false,
      options: { runtime: NO_RUNTIME },
    });
    const post = (body) => ask(`${running.url}/api/v1/store/forget`, { json: body });
    const preview = await post({ user: "ann", preview: true });
    assert.equal(preview.status, 200, JSON.stringify(preview.json));
    assert.deepEqual([preview.json.is_preview, preview.json.removed.traces], [true, 10]);
    const listed = async () => (await running.get("/api/v1/traces")).json.total_matched;
    assert.equal(await listed(), 40);
    const done = await andon(folder, "store", "forget", "--user=ann", "--yes");
    assert.equal(done.code, 0, done.stderr);
    assert.equal(await listed(), 30);
    for (const body of [{}, { user: "ann", session: "s" }, { user: "" }, { name: "ann" }]) {
      assert.equal((await post(body)).status, 400, JSON.stringify(body));
    }
    await running.end();
  });
});
