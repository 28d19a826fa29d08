// Makes calls slow in known ways, and sees what Andon says of them: the confusion matrix of the causes.
//   node bench/diagnosis/run.mjs [--seeds 20] [--seed N] [--only NAME,NAME] [--out FILE] [--with FILE]…
// Parameters are random, from a seed that is drawn anew for each run unless it is given. `--out` keeps every
// single result; `--with`, several times where wanted, counts those of earlier runs into the tables, and with
// `--seeds 0` nothing is run besides.
import { parseArgs } from "node:util";
import { startAndon } from "../../tests/e2e/harness/andon.mjs";
import { emptyRun, keep, readRuns } from "./kept.mjs";
import { ORDER, ordinary, SCENARIOS, whyNot } from "./scenarios.mjs";
import { causeMatrix, scenarioTable, together, totals } from "./tables.mjs";
import { random, World } from "./world.mjs";

const { values: flags } = parseArgs({
  options: {
    seeds: { type: "string", default: "20" },
    seed: { type: "string" },
    only: { type: "string" },
    out: { type: "string" },
    with: { type: "string", multiple: true, default: [] },
  },
});
const seeds = Number(flags.seeds);
const first = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
const wanted = flags.only?.split(",") ?? Object.keys(SCENARIOS);
const unknown = wanted.filter((name) => !SCENARIOS[name]);
if (unknown.length) {
  throw new Error(`no such scenario: ${unknown}; there are ${Object.keys(SCENARIOS).join(", ")}`);
}

/** Calls as most are, from which Andon learns what is usual. */
const LEARNED = 12;
/** Loads that tell how long one usually takes. */
const LOADED = 4;
/** And between two that are not, so that these do not become what is usual. */
const BETWEEN = 3;

const earlier = await readRuns(flags.with, seeds > 0 ? flags.out : undefined);
const run = emptyRun(first);

async function startWorld() {
  const world = await World.start();
  world.strict = await startAndon({
    options: { runtime: `http://127.0.0.1:${world.port}`, model: null, timeout: "2s", lang: "en" },
  });
  world.explainedBy = async (andon, id) => {
    const own = world.andon;
    world.andon = andon;
    try {
      return await world.explained(id);
    } finally {
      world.andon = own;
    }
  };
  return world;
}

/** Ordinary calls; how many have which cause. */
async function calm(world, count, numbers) {
  const said = {};
  for (let call = 0; call < count; call += 1) {
    const { cause, sentence } = await world.call(ordinary(numbers));
    said[cause] = (said[cause] ?? 0) + 1;
    if (cause !== "none") console.error(`  claimed of an ordinary call: ${sentence}`);
  }
  return said;
}

/** What was said of a scenario, held against what is right. */
function judged(name, { said, right, ns, both, says }) {
  const causes = said.causes.map(({ cause }) => cause);
  const isRight =
    right.includes(said.cause) &&
    (!both || right.every((it) => causes.includes(it))) &&
    (!says || says.test(said.sentence));
  const found = said.causes.find(({ cause }) => cause === right[0]);
  const off = ns && found ? Math.abs(found.ns - ns) / ns : null;
  console.error(
    `  ${isRight ? "right" : "WRONG"}, ${name}: ${said.sentence} (${causes.join(", ")})`,
  );
  return { name, cause: said.cause, causes, right, isRight, off, sentence: said.sentence };
}

/** All scenarios once. Nothing of a round counts before it is whole. */
async function round(world, names, at) {
  const results = [];
  const claimed = [];
  for (const [index, name] of names.entries()) {
    const numbers = random(first + (at + 1) * 1000 + index);
    results.push({ round: at + 1, ...judged(name, await SCENARIOS[name](world, numbers)) });
    // The first one after it may load, or find another's cache: it is none of the ordinary ones.
    await world.call(ordinary(numbers));
    claimed.push(await calm(world, BETWEEN, numbers));
  }
  run.results.push(...results);
  for (const [cause, count] of claimed.flatMap(Object.entries)) {
    run.ordinary[cause] = (run.ordinary[cause] ?? 0) + count;
  }
  run.rounds += 1;
}

async function measure() {
  const world = await startWorld();
  const reasons = new Map(wanted.map((name) => [name, whyNot(name, world)]));
  const names = wanted.filter((name) => !reasons.get(name));
  run.leftOut = wanted.filter((name) => reasons.get(name));
  for (const name of run.leftOut) console.error(`  left out, ${name}: ${reasons.get(name)}`);
  try {
    for (let load = 0; load < LOADED; load += 1) {
      // Not the prompts that follow: those would be known, and their cache lost with the model.
      await world.call({ ...ordinary(random(first + 500 + load)), keep_alive: "0" });
    }
    await world.call(ordinary(random(first)));
    await calm(world, LEARNED, random(first + 1));
    for (let at = 0; at < seeds; at += 1) {
      await round(world, names, at);
      if (flags.out) await keep(flags.out, run);
      console.error(`round ${at + 1} of ${seeds}, seed ${first}`);
    }
  } finally {
    await world.strict.end();
    await world.end();
  }
}

if (seeds > 0) await measure();
const all = together(seeds > 0 ? [...earlier, run] : earlier);
console.log(scenarioTable(all, Object.keys(SCENARIOS)));
console.log(`\n${causeMatrix(all, ORDER)}\n\n${totals(all)}`);
