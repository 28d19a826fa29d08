// What ends a call before its answer is whole: the timeout, a client that leaves, a full queue, the
// death of the runtime. Each is told clearly, marked in the trace, and really ends the work.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { spanOf, startAndon } from "./harness/andon.mjs";
import { ask, Stream } from "./harness/http.mjs";
import { ENDLESS, ENDLESSLY, long, SHORT } from "./harness/messages.mjs";
import { runs } from "./harness/process.mjs";
import { until } from "./harness/wait.mjs";

/** CPU time of a process in clock ticks, by the kernel. */
async function cpuTicks(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Waits until the runtime's process stops computing: a cancelled generation is really over. */
async function rests(pid) {
  let before = await cpuTicks(pid);
  let since = Date.now();
  await until("the runtime rests", async () => {
    const now = await cpuTicks(pid);
    // Some ticks are housekeeping; a generation uses a hundred a second.
    if (now - before > 4) [before, since] = [now, Date.now()];
    return Date.now() - since > 700;
  });
}

async function assertNextWorks(andon) {
  const next = await andon.chat(SHORT);
  assert.equal(next.status, 200, next.text);
  assert.ok(next.json.reply.length > 0);
}

describe("a timeout of 1.5 s", () => {
  let andon;
  before(async () => {
    andon = await startAndon({ options: { timeout: "1500ms" } });
    // Loading is another test's subject; it may itself take longer than the limit here.
    await until("the model is loaded", async () => (await andon.chat(SHORT)).status === 200);
  });
  after(() => andon?.end());

  for (const service of ["gateway", "proxy"]) {
    test(`on the ${service}: 504 with trace id and phase, and the work ends`, async () => {
      const base = service === "gateway" ? andon.url : andon.proxyUrl;
      const startedMs = Date.now();
      const json = { message: ENDLESS, ...ENDLESSLY };
      const answer = await ask(`${base}/chat`, { json });
      assert.equal(answer.status, 504, answer.text);
      assert.ok(Date.now() - startedMs >= 1_400);
      assert.equal(answer.json.code, "timeout");
      assert.equal(answer.json.phase, "generate");
      assert.match(answer.json.error, /1\.5 s.*written/);
      assert.match(answer.headers["server-timing"], /generate;dur=/);
      await andon.idle();
      await rests(await andon.runtimePid());
      const trace = await andon.traceWith(answer.json.trace_id, service, "runtime");
      for (const span of trace.spans) assert.equal(span.error_type, "timeout", span.service);
      const llm = spanOf(trace, "runtime");
      assert.equal(llm.cause, "timeout");
      assert.equal(llm.attributes["andon.error.phase"], "generate");
      assert.ok(llm.timings.eval_ns > 0, "the time up to then is kept");
      await assertNextWorks(andon);
    });
  }

  test("of a stream: an error event after the tokens that came", async () => {
    const stream = await andon.stream(ENDLESS, ENDLESSLY);
    const last = await stream.last();
    assert.equal(last.name, "error");
    assert.equal(last.data.code, "timeout");
    assert.equal(last.data.phase, "generate");
    assert.match(last.data.trace_id, /^[0-9a-f]{32}$/);
    assert.ok(stream.text().length > 0);
    await andon.idle();
  });

  test("while waiting in the queue says so", async () => {
    const first = await andon.stream(ENDLESS, ENDLESSLY);
    await first.until("token");
    const waiting = await andon.chat(SHORT);
    // Either its own limit came first, or the first call's end let it through in time.
    if (waiting.status !== 200) {
      assert.equal(waiting.status, 504, waiting.text);
      assert.equal(waiting.json.code, "timeout");
    }
    await first.last();
    await andon.idle();
  });
});

describe("one call at a time", () => {
  let andon;
  before(async () => {
    andon = await startAndon({ options: { "max-queue": "4" } });
    await andon.chat(SHORT);
  });
  after(() => andon?.end());

  test("a client that leaves mid-stream cancels the generation", async () => {
    const pid = await andon.runtimePid();
    const stream = await andon.stream(ENDLESS, ENDLESSLY);
    await stream.until("token");
    const traceId = stream.headers["x-trace-id"];
    const [call] = await andon.live();
    assert.equal(call.trace_id, traceId);
    assert.equal(call.phase, "generate");
    stream.leave();
    await andon.idle();
    await rests(pid);
    const trace = await andon.traceWith(traceId, "gateway", "proxy", "runtime");
    for (const span of trace.spans) assert.equal(span.error_type, "client_gone", span.service);
    assert.equal(spanOf(trace, "runtime").cause, "client_gone");
    const output = trace.contents.find(({ part }) => part === "output");
    assert.ok(output?.original_length > 0, "what was written up to then is accounted for");
    await assertNextWorks(andon);
  });

  test("a client that leaves without streaming cancels it too", async () => {
    const controller = new AbortController();
    const asked = fetch(`${andon.url}/chat`, {
      method: "POST",
      body: JSON.stringify({ message: ENDLESS, ...ENDLESSLY }),
      signal: controller.signal,
    });
    asked.catch(() => {});
    const call = await until("it writes", async () =>
      (await andon.live()).find(({ phase }) => phase === "generate"),
    );
    controller.abort();
    await andon.idle();
    await rests(await andon.runtimePid());
    const trace = await andon.traceWith(call.trace_id, "runtime");
    assert.equal(spanOf(trace, "runtime").error_type, "client_gone");
  });

  test("five at once: each is told its place, all are answered in order", async () => {
    const first = await andon.stream(ENDLESS, { num_predict: 100, temperature: 0 });
    await first.until("token");
    const others = [];
    for (let place = 1; place <= 4; place += 1) {
      // Each long enough for the places behind it to be told meanwhile.
      const stream = await andon.stream(ENDLESS, { num_predict: 30, temperature: 0 });
      const told = await stream.until(({ name, data }) => name === "phase" && data.queue_position);
      assert.equal(told.data.phase, "queue");
      assert.equal(told.data.queue_position, place);
      others.push(stream);
    }
    const places = (await andon.live()).map((call) => call.queue_position);
    assert.deepEqual(places, [null, 1, 2, 3, 4]);
    for (const stream of [first, ...others]) assert.equal((await stream.last()).name, "done");
    const ends = [first, ...others].map((stream) => stream.events.at(-1).data);
    // The last one waited for all the others.
    assert.ok(ends[4].timings.queue_ms > ends[2].timings.queue_ms);
    const seen = others[3].events.filter(({ name }) => name === "phase");
    const positions = seen.map(({ data }) => data.queue_position).filter(Boolean);
    assert.deepEqual([...new Set(positions)].sort(), [1, 2, 3, 4], "the line moves up");
    const trace = await andon.traceWith(ends[4].trace_id, "runtime");
    assert.ok(spanOf(trace, "runtime").timings.queue_ns > 0);
  });

  test("a full queue: 503 with Retry-After, on both ways of asking", async () => {
    const first = await andon.stream(ENDLESS, ENDLESSLY);
    await first.until("token");
    const waiting = [];
    for (let place = 0; place < 4; place += 1) waiting.push(await andon.stream(SHORT));
    for (const headers of [{}, { accept: "text/event-stream" }]) {
      const refused = await andon.chat(SHORT, {}, { headers });
      assert.equal(refused.status, 503, refused.text);
      assert.equal(refused.json.code, "queue_full");
      assert.ok(Number(refused.headers["retry-after"]) >= 1);
      assert.equal(refused.json.retry_after_s, Number(refused.headers["retry-after"]));
      const trace = await andon.traceWith(refused.json.trace_id, "gateway", "proxy");
      assert.equal(spanOf(trace, "proxy").cause, "queue_full");
    }
    for (const stream of [first, ...waiting]) stream.leave();
    await andon.idle();
    await assertNextWorks(andon);
  });

  test("a caller may have less patience than the server, not more", async () => {
    const shorter = await andon.chat(ENDLESS, { ...ENDLESSLY, timeout_ms: 700 });
    assert.equal(shorter.status, 504, shorter.text);
    assert.match(shorter.json.error, /0\.7 s/);
    const stream = await andon.stream(SHORT, { timeout_ms: 3_600_000 });
    assert.equal((await stream.until("start")).data.timeout_ms, 120_000);
    await stream.last();
    await andon.idle();
  });

  test("the phases of a long prompt are told with its numbers", async () => {
    const stream = await andon.stream(long(60), { num_predict: 2 });
    assert.equal((await stream.last()).name, "done");
    const reading = stream.events.filter(
      ({ name, data }) => name === "phase" && data.phase === "prompt" && data.prompt_total > 0,
    );
    assert.ok(reading.length > 0, "it says how far it has read");
    const { prompt_done: done, prompt_total: total } = reading.at(-1).data;
    assert.ok(done <= total && total > 400, `${done} of ${total}`);
  });

  test("the live view is told of calls as they come and go", async () => {
    const live = await Stream.open(`${andon.url}/api/v1/live`);
    const asked = await andon.stream(ENDLESS, ENDLESSLY);
    await live.until(({ data }) => data.calls.some(({ phase }) => phase === "generate"));
    asked.leave();
    await live.until(({ data }) => data.calls.length === 0);
    live.leave();
  });
});

describe("the runtime's process", () => {
  let andon;
  before(async () => {
    andon = await startAndon();
    await andon.chat(SHORT);
  });
  after(() => andon?.end());

  test("killed mid-stream: a clear error, a marked trace, and the next question works", async () => {
    const pid = await andon.runtimePid();
    const stream = await andon.stream(ENDLESS, ENDLESSLY);
    await stream.until("token");
    process.kill(pid, "SIGKILL");
    const last = await stream.last();
    assert.equal(last.name, "error");
    assert.equal(last.data.code, "runtime_down");
    const words = JSON.stringify(last.data);
    assert.match(words, /killed by signal 9/);
    const trace = await andon.traceWith(last.data.trace_id, "gateway", "proxy", "runtime");
    const llm = spanOf(trace, "runtime");
    assert.equal(llm.cause, "runtime_down");
    assert.match(llm.error_message, /killed by signal 9/);
    assert.equal(llm.pid, pid);
    await assertNextWorks(andon);
    const now = await andon.runtimePid();
    assert.notEqual(now, pid);
    assert.ok(await runs(now));
  });

  test("killed while nobody asks: the next question waits for the new one", async () => {
    const pid = await andon.runtimePid();
    process.kill(pid, "SIGKILL");
    // A question that reaches the dying process fails with it; this is about the one after.
    await until("the old one is gone", async () => (await andon.runtimePid()) !== pid);
    await assertNextWorks(andon);
    await until("/readyz is ok again", async () => (await andon.get("/readyz")).status === 200);
  });

  test("goes when Andon is asked to end", async () => {
    const pid = await andon.runtimePid();
    assert.equal(await andon.end(), true, "SIGTERM is enough");
    assert.equal(andon.program.ended.code, 0, andon.program.output());
    await until("the runtime is gone", async () => !(await runs(pid)));
  });
});
