// Other programs read the files of a running Andon in place, while it writes them.
import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { environment, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { Fake, json, ollama } from "./harness/fakes.mjs";
import { ask } from "./harness/http.mjs";
import { missing, PYTHON, ROOT } from "./harness/paths.mjs";
import { Program, run } from "./harness/process.mjs";
import { answer, examples, generate, hoursAgo, rows } from "./harness/query.mjs";
import { until } from "./harness/wait.mjs";

const SCRIPT = path.join(ROOT, "tests/clients/read_segments.py");
const ENVIRONMENT = environment({ PYTHONDONTWRITEBYTECODE: "1" });
const SEALS = 25;
const CALLERS = 3;

/** Asked of `andon query` and of DuckDB in the same words. Times as text: all digits count. */
const QUESTIONS = [
  `SELECT service, count(*) AS n, CAST(min(start_ns) AS VARCHAR) AS first,
     CAST(max(start_ns) AS VARCHAR) AS last FROM spans GROUP BY service ORDER BY service`,
  `SELECT model, count(*) AS n, CAST(sum(input_tokens) AS BIGINT) AS input,
     CAST(sum(output_tokens) AS BIGINT) AS output, CAST(sum(duration_ns) AS VARCHAR) AS ns,
     count(DISTINCT trace_id) AS traces FROM spans GROUP BY model ORDER BY model`,
  `SELECT ml_app, attributes['gen_ai.operation.name'] AS operation, count(*) AS n FROM spans
     WHERE ml_app IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2`,
  `SELECT part, text, count(*) AS n FROM contents GROUP BY part, text ORDER BY part, text`,
  `SELECT label, count(*) AS n, sum(score) AS score FROM evaluations GROUP BY label ORDER BY label`,
];

/** Answers at once, with other figures for each model and prompt. */
function runtime() {
  const chat = (response, { json: { model, messages } }) =>
    json(response, {
      model,
      created_at: "2026-01-01T00:00:00Z",
      message: { role: "assistant", content: `${model} は晴れと言います。` },
      done: true,
      done_reason: "stop",
      total_duration: 3_000_000,
      load_duration: 1_000_000,
      prompt_eval_count: messages[0].content.length,
      prompt_eval_duration: 1_000_000,
      eval_count: model.length,
      eval_duration: 1_000_000,
    });
  return { ...ollama(chat), "POST /api/chat": chat };
}

/** Calls through the capture, one after the other, until it is told to stop. Returns how many. */
async function call(andon, caller, stop) {
  let count = 0;
  for (; !stop.aborted; count += 1) {
    const content = `東京の天気は? ${"あ".repeat((count * 7) % 50)}`;
    const body = {
      model: `模型-${count % 4}`,
      stream: false,
      messages: [{ role: "user", content }],
    };
    const headers = { "x-andon-app": `app-${caller}` };
    const { status } = await ask(`${andon.captureUrl}/api/chat`, { json: body, headers });
    assert.equal(status, 200);
  }
  return count;
}

/** A later span of the same trace each time: the list's own files are written anew. */
async function prolong(andon, number) {
  const event = {
    type: "action",
    name: "ask",
    trace_id: "a".repeat(32),
    span_id: (number + 1).toString(16).padStart(16, "0"),
    start_ns: Date.now() * 1e6,
    duration_ns: 1e6,
  };
  assert.equal((await andon.post("/api/v1/rum", { events: [event] })).status, 202);
}

async function askDuckdb(segments, sql) {
  const { code, stdout, stderr } = await run(PYTHON, [SCRIPT, "ask", segments, sql], {
    env: ENVIRONMENT,
  });
  assert.equal(code, 0, stderr);
  const lines = stdout.split("\n").filter(Boolean);
  return lines.map((text) => JSON.parse(text));
}

describe("other programs", { skip: missing(PYTHON) }, () => {
  test("DuckDB, pandas and Polars read whole files while Andon writes, and count the same", async () => {
    const fake = await Fake.start(runtime());
    const andon = await startAndon({ options: { runtime: fake.url, privacy: "full" } });
    const segments = path.join(andon.data, "segments");
    const watch = new Program(PYTHON, [SCRIPT, "watch", segments], { env: ENVIRONMENT });
    const stop = new AbortController();
    const callers = Array.from({ length: CALLERS }, (_, n) => call(andon, n, stop.signal));
    try {
      const last = () => JSON.parse(watch.stdout.trimEnd().split("\n").at(-1));
      let seen = 0;
      for (let number = 0; number < SEALS; number += 1) {
        await prolong(andon, number);
        const sealed = await andon.post("/api/v1/store/seal", {});
        assert.equal(sealed.status, 200, sealed.text);
        // The reader has looked in between, at something new.
        await watch.until("it has read more", () => last().files > seen);
        seen = last().files;
      }
      stop.abort();
      const calls = (await Promise.all(callers)).reduce((sum, count) => sum + count);
      assert.ok(calls > SEALS);
      const kept = "SELECT count(*) AS n FROM spans WHERE llm_kind = 'llm'";
      await until("all calls are kept", async () => {
        return (await rows(andon.folder, kept))[0].n === calls;
      });
      const vote = { trace_id: "a".repeat(32), score: 1 };
      const voted = await andon.post(`/api/v1/spans/${"1".padStart(16, "0")}/feedback`, vote);
      assert.equal(voted.status, 200, voted.text);
      assert.equal((await andon.post("/api/v1/store/seal", {})).status, 200);
      await watch.until("it has read all", () => last().rows === calls + SEALS);

      for (const sql of QUESTIONS) {
        const expected = JSON.parse(await answer(andon.folder, sql));
        assert.ok(expected.length > 0, sql);
        assert.deepEqual(await askDuckdb(segments, sql), expected, sql);
      }
      assert.equal(await watch.end(), true);
      assert.equal(watch.ended.code, 0, watch.output());
      assert.equal(watch.stderr, "");
    } finally {
      stop.abort();
      await Promise.allSettled(callers);
      await watch.end();
      await andon.end();
      await fake.end();
    }
  });

  test("the programs of docs/query.md run as they stand there", async () => {
    const folder = await temporaryFolder();
    await generate(folder, { spans: 2_000, days: 2, seed: 1, "end-ns": hoursAgo(1) });
    const programs = await examples("python");
    assert.equal(programs.length, 3);
    for (const program of programs) {
      const options = { cwd: folder, env: ENVIRONMENT };
      const { code, stdout, stderr } = await run(PYTHON, ["-c", program], options);
      assert.equal(code, 0, program + stderr);
      assert.match(stdout, /qwen3|gemma3|llama3|granite|tinyllama|gpt-oss/);
    }
  });
});
