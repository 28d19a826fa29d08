// The same slow calls before two tools that look at a model's server from elsewhere: kvprof records what passes
// on its way, and reads the server's log; llmwatch reads that log alone. Andon stands before both, and all
// three are held against what was done. The server is llama.cpp's own, in a process of Python.
//   bench/diagnosis_peers.sh, or
//   node bench/diagnosis/peers.mjs --venv VENV [--seeds 1] [--seed N] [--only NAME,NAME] [--out FILE]
// Every scenario has a server and tools of its own, and a dozen ordinary calls before it.
import path from "node:path";
import { parseArgs } from "node:util";
import { emptyRun, keep } from "./kept.mjs";
import { LlamaWorld } from "./peers/world.mjs";
import { kvprofSays, llmwatchSays } from "./peers/says.mjs";
import { ordinary, SCENARIOS, whyNot } from "./scenarios.mjs";
import { random } from "./world.mjs";

/** Those that llama.cpp's server can be brought to: it holds the one model that it was started with. */
const POSSIBLE = [
  "normal",
  "long prompt",
  "system prompt changed",
  "cache taken by another conversation",
  "long answer",
  "CPU hog",
  "queue",
  "parallel answers",
  "throttled",
  "memory pressure",
  "runtime paused",
  "slow network",
  "slow first byte of the runtime's answer",
  "runtime killed",
  "client gone",
  "client gone while the prompt is read",
];
/** With two answers at a time, as a server is started for more than one user. */
const TWO_SLOTS = ["parallel answers"];
const LEARNED = 12;

const { values: flags } = parseArgs({
  options: {
    venv: { type: "string" },
    seeds: { type: "string", default: "1" },
    seed: { type: "string" },
    only: { type: "string" },
    out: { type: "string" },
  },
});
if (!flags.venv)
  throw new Error("--venv: where xllamacpp, kvprof and ollama-llmwatch are installed");
const bin = path.resolve(flags.venv, "bin");
const first = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
const names = flags.only?.split(",") ?? POSSIBLE;
const run = emptyRun(first);

async function measured(name, numbers) {
  const world = await LlamaWorld.start({}, { bin, slots: TWO_SLOTS.includes(name) ? 2 : 1 });
  try {
    const reason = whyNot(name, world);
    if (reason) return console.error(`  left out, ${name}: ${reason}`);
    for (let call = 0; call < LEARNED; call += 1) await world.call(ordinary(numbers));
    const since = world.llmwatch.mark();
    const { said, right } = await SCENARIOS[name](world, numbers);
    const kvprof = kvprofSays(await world.kvprof(), said.number);
    const llmwatch = llmwatchSays(world.llmwatch.since(since));
    const andon = { cause: said.cause, text: said.sentence };
    return { name, right, andon, kvprof, llmwatch };
  } finally {
    await world.end();
  }
}

const cell = ({ cause, text }, right) => {
  const quoted = text.replaceAll("|", "/").replaceAll(/\s+/g, " ");
  return `${right.includes(cause) ? `**${cause}**` : cause}${quoted ? `: ${quoted}` : ""}`;
};

for (let round = 0; round < Number(flags.seeds); round += 1) {
  for (const [at, name] of names.entries()) {
    const result = await measured(name, random(first + (round + 1) * 1000 + at));
    if (!result) continue;
    run.results.push({ round: round + 1, ...result });
    console.error(`  ${name}: ${JSON.stringify(result)}`);
    if (flags.out) await keep(flags.out, run);
  }
  run.rounds += 1;
}
const tools = ["andon", "kvprof", "llmwatch"];
console.log(`| injected | right | ${tools.join(" | ")} |\n| --- | --- | --- | --- | --- |`);
for (const result of run.results) {
  const cells = tools.map((tool) => cell(result[tool], result.right));
  console.log(`| ${result.name} | ${result.right.join(", ")} | ${cells.join(" | ")} |`);
}
const hits = (tool) =>
  run.results.filter((result) => result.right.includes(result[tool].cause)).length;
console.log(
  `\n${tools.map((tool) => `${tool} ${hits(tool)} of ${run.results.length}`).join(", ")}.`,
);
console.log(`Seed ${first}.`);
