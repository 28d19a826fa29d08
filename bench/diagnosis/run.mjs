// Makes calls slow in known ways, and sees what Andon says of them: the confusion matrix of the causes.
//   node bench/diagnosis/run.mjs [--seeds 20] [--seed N] [--only NAME,NAME]
// Parameters are random, from a seed that is drawn anew for each run unless it is given.
import { parseArgs } from "node:util";
import { writeFile } from "node:fs/promises";
import { MODEL_NAME } from "../../tests/e2e/harness/paths.mjs";
import { startAndon } from "../../tests/e2e/harness/andon.mjs";
import { IN_A_GROUP, ordinary, SCENARIOS } from "./scenarios.mjs";
import { random, World } from "./world.mjs";

const { values: flags } = parseArgs({
  options: {
    seeds: { type: "string", default: "20" },
    seed: { type: "string" },
    only: { type: "string" },
    out: { type: "string" },
  },
});
const seeds = Number(flags.seeds);
const first = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
const wanted = flags.only?.split(",") ?? Object.keys(SCENARIOS);

/** Calls as most are, from which Andon learns what is usual. */
const LEARNED = 12;
/** Loads that tell how long one usually takes. */
const LOADED = 4;
/** And between two that are not, so that these do not become what is usual. */
const BETWEEN = 3;

const world = await World.start();
world.modelName = MODEL_NAME;
const isPossible = (name) => world.group || !IN_A_GROUP.includes(name);
const names = wanted.filter(isPossible);
const leftOut = wanted.filter((name) => !isPossible(name));
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

const results = [];
const claimed = { right: 0, all: 0 };

async function calm(count, numbers) {
  for (let call = 0; call < count; call += 1) {
    const said = await world.call(ordinary(numbers));
    claimed.all += 1;
    claimed.right += said.cause === "none" ? 1 : 0;
    if (said.cause !== "none") console.error(`  claimed of a normal call: ${said.sentence}`);
  }
}

function note(name, { said, right, ns, both, says }) {
  const causes = said.causes.map(({ cause }) => cause);
  const isRight =
    right.includes(said.cause) &&
    (!both || right.every((it) => causes.includes(it))) &&
    (!says || says.test(said.sentence));
  const found = said.causes.find(({ cause }) => cause === right[0]);
  const off = ns && found ? Math.abs(found.ns - ns) / ns : null;
  results.push({ name, cause: said.cause, right: right[0], isRight, off });
  if (!isRight) console.error(`  ${name}: ${said.sentence} (${causes.join(", ")})`);
}

try {
  for (let load = 0; load < LOADED; load += 1) {
    await world.call({ ...ordinary(random(first + load)), keep_alive: "0" });
  }
  await world.call(ordinary(random(first)));
  await calm(LEARNED, random(first + 1));
  claimed.right = claimed.all = 0;
  for (let round = 0; round < seeds; round += 1) {
    for (const [at, name] of names.entries()) {
      const numbers = random(first + (round + 1) * 1000 + at);
      note(name, await SCENARIOS[name](world, numbers));
      // The first one after it may load, or find another's cache: it is none of the normal ones.
      await world.call(ordinary(numbers));
      await calm(BETWEEN, numbers);
    }
    console.error(`round ${round + 1} of ${seeds}`);
  }
} finally {
  await world.strict.end();
  await world.end();
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const percent = (part, all) => `${((100 * part) / all).toFixed(1)} %`;
const lines = [
  "| injected | right | said otherwise | off by (median, worst) |",
  "| --- | --- | --- | --- |",
];
for (const name of names) {
  const of = results.filter((result) => result.name === name);
  const wrong = {};
  for (const { cause } of of.filter((it) => !it.isRight)) wrong[cause] = (wrong[cause] ?? 0) + 1;
  const off = of.flatMap((it) => (it.off === null ? [] : [it.off]));
  const error = off.length ? `${percent(median(off), 1)}, ${percent(Math.max(...off), 1)}` : "";
  const others = Object.entries(wrong)
    .map((entry) => entry.join(" "))
    .join(", ");
  const right = of.filter((it) => it.isRight).length;
  lines.push(`| ${name} | ${right} of ${of.length} | ${others} | ${error} |`);
}
for (const name of leftOut) lines.push(`| ${name} | | not possible here | |`);
const injected = results.filter(({ right: cause }) => cause !== "none");
const right = injected.filter((it) => it.isRight).length;
lines.push(
  "",
  `Main cause right: ${percent(right, injected.length)} of ${injected.length} (wanted 95 %).`,
  `Nothing claimed of ${percent(claimed.right, claimed.all)} of ${claimed.all} normal calls (wanted 98 %).`,
  `Seed ${first}.`,
);
console.log(lines.join("\n"));
if (flags.out) await writeFile(flags.out, JSON.stringify({ seed: first, results, claimed }));
