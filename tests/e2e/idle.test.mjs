// An Andon that nobody asks anything takes next to nothing of the machine: a loop that never pauses would
// take a whole core from the model, and nothing else would show it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startAndon } from "./harness/andon.mjs";

const TICKS_PER_S = 100;
const WATCHED_S = 4;
/** Samples, looks at the runtime and the store's housekeeping take a hundredth of a core. */
const MOST_CORES = 0.25;

async function ticks(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

for (const runtime of ["builtin", "http://127.0.0.1:1"]) {
  test(`an idle Andon rests, its runtime being ${runtime}`, async () => {
    const andon = await startAndon({ options: { runtime }, ready: runtime === "builtin" });
    try {
      // The start is not over when it listens: what was learned before is learned anew.
      await sleep(1_500);
      const before = await ticks(andon.pid);
      await sleep(WATCHED_S * 1_000);
      const cores = ((await ticks(andon.pid)) - before) / TICKS_PER_S / WATCHED_S;
      assert.ok(cores < MOST_CORES, `${cores} cores`);
    } finally {
      await andon.end();
    }
  });
}
