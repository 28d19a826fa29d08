// Sudden ends: what was acknowledged or shown is there afterwards, nothing is left over, and two
// Andons do not get into each other's way.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { environment, startAndon } from "./harness/andon.mjs";
import { ENDLESS, ENDLESSLY, SHORT } from "./harness/messages.mjs";
import { BINARY, MODEL } from "./harness/paths.mjs";
import { freePort, run, runs } from "./harness/process.mjs";
import { until } from "./harness/wait.mjs";

const hex = (number, digits) => number.toString(16).padStart(digits, "0");

/** Sends what a page saw, one after the other, and notes what was acknowledged. */
async function acknowledge(andon, from, count, noted) {
  for (let number = from; number < from + count; number += 1) {
    const [traceId, spanId] = [hex(number, 32), hex(number, 16)];
    const event = {
      type: "action",
      name: `ask ${number}`,
      trace_id: traceId,
      span_id: spanId,
      start_ns: Date.now() * 1e6,
      duration_ns: 1e6,
    };
    const answer = await andon.post("/api/v1/rum", { events: [event] }).catch(() => null);
    if (answer?.status !== 202) return;
    noted.push([traceId, spanId]);
  }
}

describe("kill -9 of andon up", () => {
  test("during a chat: every acknowledged span is there again, no runtime is left", async () => {
    const first = await startAndon();
    const pid = await first.runtimePid();
    const answer = await first.chat(SHORT);
    const shown = await first.traceWith(answer.json.trace_id, "gateway", "proxy", "runtime");
    const vote = { trace_id: shown.trace_id, score: 1 };
    const voted = await first.post(`/api/v1/spans/${answer.json.span_id}/feedback`, vote);
    assert.equal(voted.status, 200, voted.text);

    const stream = await first.stream(ENDLESS, ENDLESSLY);
    await stream.until("token");
    const noted = [];
    // Two writers, so that the kill meets the log at work.
    const writers = [0, 1].map((n) => acknowledge(first, 1 + n * 100_000, 100_000, noted));
    await until("some are acknowledged", () => noted.length >= 40);
    await first.kill();
    await Promise.all(writers);
    await until("the runtime is gone too", async () => !(await runs(pid)));

    const { folder, flags } = first;
    // The same data and the same ports: nothing may hold them any more.
    const again = await startAndon({ data: folder, options: flags });
    try {
      const kept = await again.trace(shown.trace_id);
      assert.deepEqual(kept.spans, shown.spans);
      assert.deepEqual(kept.contents, shown.contents);
      assert.equal(kept.evaluations[0].score, 1);
      assert.ok(noted.length >= 40);
      for (const [traceId, spanId] of noted) {
        const trace = await again.trace(traceId);
        assert.equal(trace?.spans[0]?.span_id, spanId, `acknowledged ${traceId} is there`);
      }
      assert.equal((await again.chat(SHORT)).status, 200);
      assert.notEqual(await again.runtimePid(), pid);
    } finally {
      await again.end();
    }
  });

  test("again and again: each start finds all that was before", async () => {
    let data;
    const noted = [];
    for (let round = 0; round < 4; round += 1) {
      const andon = await startAndon({ data, ready: false });
      data = andon.folder;
      const before = noted.length;
      const writer = acknowledge(andon, 1 + round * 1_000_000, 100_000, noted);
      await until("some are acknowledged", () => noted.length >= before + 15);
      await andon.kill();
      await writer;
    }
    const last = await startAndon({ data, ready: false });
    try {
      for (const [traceId, spanId] of noted) {
        assert.equal((await last.trace(traceId))?.spans[0]?.span_id, spanId, traceId);
      }
    } finally {
      await last.end();
    }
  });
});

describe("an orderly end", () => {
  test("keeps everything that was answered, without waiting for it to show", async () => {
    const first = await startAndon();
    const ids = [];
    for (let number = 0; number < 5; number += 1) ids.push((await first.chat("")).json.trace_id);
    assert.equal(await first.end({ keep: true }), true);
    const again = await startAndon({ data: first.folder, ready: false });
    try {
      for (const id of ids) assert.equal((await again.trace(id))?.spans.length, 1, id);
    } finally {
      await again.end();
    }
  });
});

describe("two at once", () => {
  test("the same data folder: the second is refused, and says by whom", async () => {
    const first = await startAndon({ ready: false });
    try {
      const [listen, proxy] = [await freePort(), await freePort()];
      const args = ["up", `--data=${first.data}`, `--listen=127.0.0.1:${listen}`];
      args.push(`--proxy-listen=127.0.0.1:${proxy}`, "--runtime=builtin", `--model=${MODEL}`);
      const second = await run(BINARY, args, { cwd: first.folder, env: environment() });
      assert.equal(second.code, 1);
      assert.ok(second.stderr.includes(first.data), second.stderr);
      assert.ok(second.stderr.includes(String(first.pid)), second.stderr);
      assert.equal((await first.get("/healthz")).status, 200, "the first is not disturbed");
    } finally {
      await first.end();
    }
  });

  test("the page's port taken: said by name, with who holds it, and nothing starts", async () => {
    const first = await startAndon({ ready: false });
    try {
      const { listen } = first.flags;
      const args = ["up", `--data=${first.folder}/other`, `--listen=${listen}`];
      const options = { cwd: first.folder, env: environment() };
      const second = await run(BINARY, args, options);
      assert.equal(second.code, 1);
      assert.ok(second.stderr.includes(listen), second.stderr);
      assert.ok(second.stderr.includes(`andon (process ${first.pid})`), second.stderr);
      assert.match(second.stderr, /--listen ADDRESS/);
    } finally {
      await first.end();
    }
  });

  test("the proxy's port taken: said the same way, and the rest starts", async () => {
    const first = await startAndon({ ready: false });
    const taken = first.flags["proxy-listen"];
    const second = await startAndon({ options: { "proxy-listen": taken } });
    try {
      const said = second.program.stderr;
      assert.ok(said.includes(taken), said);
      assert.ok(said.includes(`andon (process ${first.pid})`), said);
      assert.equal((await second.chat(SHORT)).status, 200);
      // Not the first one's proxy answered.
      assert.deepEqual(await first.traces(), []);
    } finally {
      await Promise.all([first.end(), second.end()]);
    }
  });

  test("a taken port of the runtime is no matter: it takes another", async () => {
    const first = await startAndon();
    const second = await startAndon({
      options: { "runtime-listen": first.flags["runtime-listen"] },
    });
    try {
      assert.equal((await second.chat(SHORT)).status, 200);
      const at = async (andon) => (await andon.get("/api/v1/models")).json.runtime.address;
      assert.notEqual(await at(first), await at(second));
    } finally {
      await Promise.all([first.end(), second.end()]);
    }
  });
});
