// Results in files, so that many rounds can be run in portions, and a run that is cut short loses no more
// than the round that it was in.
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";

/** A run before its first round. */
export function emptyRun(seed) {
  return { seed, rounds: 0, results: [], leftOut: [], ordinary: {} };
}

/** Writes all that a run has by now; whoever reads meanwhile finds the state before, or this one. */
export async function keep(file, run) {
  const fresh = `${file}.${process.pid}.new`;
  await writeFile(fresh, `${JSON.stringify(run, null, 1)}\n`);
  await rename(fresh, file);
}

/** Runs of earlier portions. None counts twice, and none is the one that is about to be written. */
export async function readRuns(files, out) {
  const whole = new Set(files.map((file) => path.resolve(file)));
  if (out && whole.has(path.resolve(out))) throw new Error(`--out ${out} would write over --with`);
  const runs = [];
  for (const file of whole) {
    const run = JSON.parse(await readFile(file, "utf8"));
    if (!Array.isArray(run.results) || !run.ordinary) {
      throw new Error(`${file} holds no results of this bench`);
    }
    const twin = runs.find(({ seed }) => seed === run.seed);
    if (twin) throw new Error(`${file} has the seed ${run.seed}, as another of these files has`);
    runs.push(run);
  }
  return runs;
}
