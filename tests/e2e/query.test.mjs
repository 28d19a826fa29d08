// Questions in SQL: from the command line, to a folder that nobody has and to a running Andon, and
// over HTTP.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { environment, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { Fake, LAST_LINE, line, ollama } from "./harness/fakes.mjs";
import { ask } from "./harness/http.mjs";
import { BINARY } from "./harness/paths.mjs";
import { run } from "./harness/process.mjs";
import { answer, examples, generate, hoursAgo, query, rows } from "./harness/query.mjs";
import { until } from "./harness/wait.mjs";

const SPANS = 4_000;
const QUESTION = "東京の天気はどうですか? 傘は要りますか?";
/** So that the second that a sample of the machine takes falls into a call. */
const SLOW_MS = 2_500;
const ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000000000)";
const MULTIPLIED = "SELECT count(*) FROM spans a, spans b, spans c WHERE a.pid + b.pid + c.pid < 0";
/** Far below the time that a question may take, and far above what a quick one does. */
const SOON_MS = 15_000;

/** Questions with one right answer each, whatever the order of the work. */
const QUESTIONS = [
  `SELECT service, status, count(*) AS n, sum(duration_ns) AS ns, min(start_ns) AS first,
     max(start_ns) AS last FROM spans GROUP BY service, status ORDER BY service, status`,
  `SELECT model, count(*) AS n, sum(input_tokens) AS input, sum(output_tokens) AS output,
     sum(cached_tokens) AS cached, sum(ttft_ns) AS ttft FROM spans GROUP BY model ORDER BY model`,
  `SELECT part, role, count(*) AS n, sum(original_length) AS chars, min(text) AS one
     FROM contents GROUP BY part, role ORDER BY part, role`,
  `SELECT trace_id, span_id, parent_id, start_ns, attributes FROM spans
     ORDER BY start_ns, span_id LIMIT 50`,
  `SELECT count(DISTINCT trace_id) AS traces, count(DISTINCT span_id) AS spans FROM spans`,
];

const folder = { made: await temporaryFolder(), again: await temporaryFolder() };
const end = hoursAgo(2);
let runtime;
before(async () => {
  const speak = async (response, { json: { prompt } }) => {
    if (prompt.includes("傘")) await pause(SLOW_MS);
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.end(line({ response: "晴れです。", done: false }) + LAST_LINE);
  };
  runtime = await Fake.start(ollama(speak));
  const recipe = { spans: SPANS, days: 7, "end-ns": end };
  await generate(folder.made, { ...recipe, seed: 5 });
  await generate(folder.again, { ...recipe, seed: 5 });
});
after(() => runtime?.end());

/** An Andon with the runtime of this file. */
function andonWithRuntime(data, options = {}) {
  return startAndon({ data, options: { runtime: runtime.url, privacy: "full", ...options } });
}

async function answers(folder, format) {
  const found = [];
  for (const sql of QUESTIONS) found.push(await answer(folder, sql, { format }));
  return found;
}

/** Reports what a page saw, which is answered once it is kept. */
async function report(andon, number) {
  const traceId = number.toString(16).padStart(32, "0");
  const event = {
    type: "action",
    name: `見た ${number}`,
    trace_id: traceId,
    span_id: number.toString(16).padStart(16, "0"),
    start_ns: Date.now() * 1e6,
    duration_ns: 1e6,
  };
  const { status, text } = await andon.post("/api/v1/rum", { events: [event] });
  assert.equal(status, 202, text);
  return traceId;
}

/** Every segment and the manifest, by name. */
async function segments(folder) {
  const below = path.join(folder, "data/segments");
  const files = await readdir(below, { recursive: true });
  return [files.sort(), await readFile(path.join(below, "manifest.json"), "utf8")];
}

describe("andon gen", () => {
  test("the same seed and end give the same, to the last attribute", async () => {
    const all = await answers(folder.made, "json");
    assert.deepEqual(await answers(folder.again, "json"), all);
    assert.deepEqual(await rows(folder.made, "SELECT count(*) AS n FROM spans"), [{ n: SPANS }]);
    const [{ last }] = await rows(
      folder.made,
      "SELECT max(start_ns + duration_ns) AS last FROM spans",
    );
    assert.ok(BigInt(last) <= BigInt(end));
  });

  test("another seed gives another world of the same size", async () => {
    const other = await temporaryFolder();
    await generate(other, { spans: SPANS, days: 7, seed: 6, "end-ns": end });
    assert.deepEqual(await rows(other, "SELECT count(*) AS n FROM spans"), [{ n: SPANS }]);
    assert.notDeepEqual(await answers(other, "json"), await answers(folder.made, "json"));
  });
});

describe("andon query", () => {
  test("answers the same from a folder that nobody has and through the Andon that has it", async () => {
    const before = {};
    for (const format of ["json", "csv", "table"]) {
      before[format] = await answers(folder.again, format);
    }
    const andon = await andonWithRuntime(folder.again);
    try {
      for (const format of ["json", "csv", "table"]) {
        assert.deepEqual(await answers(folder.again, format), before[format], format);
      }
    } finally {
      await andon.end({ keep: true });
    }
    assert.deepEqual(await answers(folder.again, "json"), before.json);
  });

  test("finds the folder below the working directory, as the default names it", async () => {
    const count = () =>
      run(BINARY, ["query", "SELECT count(name) AS n FROM spans", "--format=json"], {
        cwd: folder.again,
        env: environment(),
      });
    const expected = { code: 0, signal: null, stdout: `[{"n":${SPANS}}]\n`, stderr: "" };
    assert.deepEqual(await count(), expected);
    const andon = await andonWithRuntime(folder.again, { data: null });
    try {
      assert.deepEqual(await count(), expected);
    } finally {
      await andon.end({ keep: true });
    }
  });

  test("several at once wait for each other where nobody has the folder", async () => {
    const sql = "SELECT count(*) AS n FROM spans";
    const asked = Array.from({ length: 4 }, () => rows(folder.made, sql));
    for (const found of await Promise.all(asked)) assert.deepEqual(found, [{ n: SPANS }]);
  });

  test("writes each format as it is meant", async () => {
    const one = `SELECT 'a,"b"' AS text, 1.5 AS number, NULL AS nothing, true AS flag,
      9007199254740993 AS large, '東京' AS place`;
    const json = await answer(folder.made, one);
    const expected = '[{"text":"a,\\"b\\"","number":1.5,"flag":true,"large":9007199254740993,';
    assert.equal(json, `${expected}"place":"東京"}]\n`);
    const csv = await answer(folder.made, one, { format: "csv" });
    const names = "text,number,nothing,flag,large,place";
    assert.equal(csv, `${names}\n"a,""b""",1.5,,true,9007199254740993,東京\n`);
    const table = await answer(folder.made, one, { format: "table" });
    assert.match(table, /\| text +\| number \| nothing \|/);
    assert.match(table, /\| 東京 /);

    const whole = "SELECT * FROM spans ORDER BY start_ns LIMIT 3";
    const [first] = await rows(folder.made, whole);
    const lines = (await answer(folder.made, whole, { format: "csv" })).trimEnd().split("\n");
    assert.equal(lines.length, 4);
    const attributes = JSON.stringify(first.attributes).replaceAll('"', '""');
    // Behind them is one column more, of which nothing is known.
    assert.ok(lines[1].endsWith(`,"${attributes}",`), lines[1]);
    assert.match(await answer(folder.made, whole, { format: "table" }), /\| attributes +\|/);

    const none = "SELECT name, start_ns FROM spans WHERE false";
    assert.equal(await answer(folder.made, none), "[]\n");
    assert.equal(await answer(folder.made, none, { format: "csv" }), "name,start_ns\n");
  });

  test("a reader that has seen enough is no failure", async () => {
    const script = `"$0" query "SELECT * FROM spans" --format=csv --data=data | head -n 2
      exit "\${PIPESTATUS[0]}"`;
    const options = { cwd: folder.made, env: environment() };
    const { code, stdout, stderr } = await run("bash", ["-c", script, BINARY], options);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(stdout.trimEnd().split("\n").length, 2);
  });

  test("mistakes are named, with status 2; whatever else fails has status 1", async () => {
    const mistakes = [
      ["SELECT nme FROM spans", /nme/],
      ["SELECT * FROM span", /span/],
      ["SELECT count(* FROM spans", /Expected|found/],
      ["SELECT unheard_of(1)", /unheard_of/],
      ["SELECT * FROM traces", /traces/],
      ["SELECT 1; SELECT 2", /single/],
      ["", /./],
    ];
    const check = async () => {
      for (const [sql, said] of mistakes) {
        const { code, stdout, stderr } = await query(folder.made, sql);
        assert.equal(code, 2, `${sql}: ${stderr}`);
        assert.match(stderr, /^andon: /);
        assert.match(stderr, said);
        assert.equal(stdout, "");
      }
    };
    await check();
    const nowhere = await query(await temporaryFolder(), "SELECT 1");
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /no data folder/);
    const andon = await andonWithRuntime(folder.made);
    try {
      await check();
      for (const [sql, said] of mistakes) {
        const { status, json } = await andon.post("/api/v1/query", { sql });
        assert.equal(status, 400, sql);
        assert.equal(json.code, "bad_request");
        assert.match(json.error, said);
      }
      const { status, json } = await andon.post("/api/v1/query", { sql: "SELECT 1", fomat: "csv" });
      assert.equal(status, 400);
      assert.match(json.error, /fomat/);
    } finally {
      await andon.end({ keep: true });
    }
  });

  test("nothing can be written, and no other file be read", async () => {
    const copied = path.join(folder.made, "copied.csv");
    const statements = [
      "INSERT INTO spans SELECT * FROM spans",
      "UPDATE spans SET service = 'mine'",
      "DELETE FROM spans",
      "DROP TABLE spans",
      "CREATE TABLE mine AS SELECT 1 AS n",
      "CREATE VIEW mine AS SELECT 1 AS n",
      "SET datafusion.execution.batch_size = 1",
      `COPY spans TO '${copied}'`,
      `CREATE EXTERNAL TABLE mine STORED AS CSV LOCATION '${copied}'`,
      "SELECT * FROM '/etc/passwd'",
      "EXPLAIN ANALYZE INSERT INTO spans SELECT * FROM spans",
    ];
    const kept = await segments(folder.made);
    for (const sql of statements) {
      const { code, stderr } = await query(folder.made, sql);
      assert.equal(code, 2, `${sql}: ${stderr}`);
    }
    assert.deepEqual(await segments(folder.made), kept);
    const andon = await andonWithRuntime(folder.made);
    try {
      for (const sql of statements) {
        assert.equal((await andon.post("/api/v1/query", { sql })).status, 400, sql);
      }
      const [{ n }] = await rows(folder.made, "SELECT count(*) AS n FROM spans");
      assert.equal(n, SPANS);
    } finally {
      await andon.end({ keep: true });
    }
    assert.ok(!(await readdir(folder.made)).includes("copied.csv"));
  });
});

describe("a running Andon", () => {
  let andon;
  before(async () => (andon = await andonWithRuntime(folder.made)));
  after(() => andon?.end({ keep: true }));

  const found = async (sql) => {
    const { status, text, json } = await andon.post("/api/v1/query", { sql });
    assert.equal(status, 200, text);
    return json;
  };

  test("has in its next answer what was acknowledged before, in memory or in a segment", async () => {
    for (let number = 1; number <= 30; number += 1) {
      const traceId = await report(andon, number);
      const mine = await found(`SELECT name, service FROM spans WHERE trace_id = '${traceId}'`);
      assert.deepEqual(mine, [{ name: `見た ${number}`, service: "browser" }]);
      const [{ n }] = await found("SELECT count(*) AS n FROM spans");
      assert.equal(n, SPANS + number, "each span once");
      if (number % 10 === 0) {
        const sealed = await andon.post("/api/v1/store/seal", {});
        assert.deepEqual([sealed.status, sealed.json], [200, { ok: true }]);
      }
    }
    const ids = [0x1f, 3, 17].map((id) => `'${id.toString(16).padStart(32, "0")}'`).join(", ");
    const some = `SELECT name FROM spans WHERE trace_id IN (${ids}) ORDER BY start_ns`;
    assert.deepEqual(await found(some), [{ name: "見た 3" }, { name: "見た 17" }]);
    for (const nothing of ["f".repeat(32), "00", "not an id", "", "傘"]) {
      const sql = `SELECT count(*) AS n FROM spans WHERE trace_id = '${nothing}'`;
      assert.deepEqual(await found(sql), [{ n: 0 }], nothing);
    }
  });

  test("finds Japanese texts, before and after they are sealed", async () => {
    const asked = await andon.chat(QUESTION);
    assert.equal(asked.status, 200, asked.text);
    const { trace_id: traceId } = asked.json;
    await andon.traceWith(traceId, "gateway", "proxy", "ollama");
    const sql = `SELECT part, text FROM contents JOIN spans USING (trace_id, span_id)
      WHERE llm_kind = 'llm' AND spans.trace_id = '${traceId}'
        AND (text LIKE '%傘は要り%' OR text = '晴れです。') ORDER BY part`;
    const texts = [
      { part: "input", text: QUESTION },
      { part: "output", text: "晴れです。" },
    ];
    assert.deepEqual(await found(sql), texts);
    assert.equal((await andon.post("/api/v1/store/seal", {})).status, 200);
    assert.deepEqual(await found(sql), texts);
    assert.deepEqual(await rows(folder.made, sql), texts);
    const csv = await answer(folder.made, sql, { format: "csv" });
    assert.equal(csv, `part,text\ninput,${QUESTION}\noutput,晴れです。\n`);
  });

  test("a client that leaves makes room, and long questions keep nobody waiting", async () => {
    const quick = () => andon.post("/api/v1/query", { sql: "SELECT 1 AS n" });
    const left = new AbortController();
    const long = async (sql) => {
      const body = JSON.stringify({ sql });
      const headers = { "content-type": "application/json" };
      const options = { method: "POST", headers, body, signal: left.signal };
      try {
        // A quick one may have the last place just now.
        while ((await fetch(`${andon.url}/api/v1/query`, options)).status === 503);
        assert.fail(`${sql} was answered`);
      } catch (error) {
        assert.equal(error.name, "AbortError");
      }
    };
    const waiting = [ENDLESS, MULTIPLIED, ENDLESS].map(long);
    try {
      for (let number = 0; number < 10; number += 1) {
        const began = Date.now();
        assert.equal((await quick()).status, 200);
        assert.ok(Date.now() - began < SOON_MS);
      }
      assert.equal((await andon.get("/healthz")).status, 200);
      waiting.push(long(MULTIPLIED));
      const refused = await until("all places are taken", async () => {
        const asked = await quick();
        return asked.status === 503 && asked;
      });
      assert.match(refused.json.error, /4 questions/);
      const turnedAway = await query(folder.made, "SELECT 1 AS n");
      assert.equal(turnedAway.code, 1);
      assert.match(turnedAway.stderr, /4 questions/);
    } finally {
      left.abort();
    }
    await Promise.all(waiting);
    await until("there is room again", async () => (await quick()).status === 200, SOON_MS);
    const together = await Promise.all([quick(), quick(), quick(), quick()]);
    for (const { status } of together) assert.equal(status, 200);
  });

  test("a question that takes too long is ended, and says so", async () => {
    const late = andon.post("/api/v1/query", { sql: MULTIPLIED });
    const { code, stdout, stderr } = await query(folder.made, ENDLESS);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /longer than 30000 ms/);
    const { status, json } = await late;
    assert.equal(status, 422);
    assert.equal(json.code, "too_much");
  });

  test("an answer with too many rows is cut, and says so", async () => {
    const sql = "SELECT value FROM generate_series(1, 100001)";
    const asked = await ask(`${andon.url}/api/v1/query`, { json: { sql } });
    assert.equal(asked.status, 200);
    assert.equal(asked.headers["x-andon-partial"], "true");
    assert.equal(asked.json.length, 100_000);
    const { code, stderr } = await query(folder.made, sql);
    assert.equal(code, 0);
    assert.match(stderr, /more rows/);
  });

  test("every example of docs/query.md gives rows", async () => {
    const asked = await andon.chat(QUESTION);
    const { trace_id: traceId, span_id: spanId } = asked.json;
    const vote = { trace_id: traceId, score: 1 };
    assert.equal((await andon.post(`/api/v1/spans/${spanId}/feedback`, vote)).status, 200);
    await andon.traceWith(traceId, "gateway", "proxy", "ollama");
    const all = await examples("sql");
    assert.ok(all.length >= 10);
    for (const sql of all) assert.ok((await rows(folder.made, sql)).length > 0, sql);
  });
});
