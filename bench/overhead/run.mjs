// What does Andon take from a model's tokens a second? One runtime, the same answer again and again: once
// asked directly while Andon stands still (SIGSTOP), once through the capture while it records, samples the
// machine, and a page asks for what runs, in turn, which of the two first by lot.
//   node bench/overhead/run.mjs [--pairs 40] [--tokens 128] [--seed N]
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { environment, startAndon, temporaryFolder } from "../../tests/e2e/harness/andon.mjs";
import { ask } from "../../tests/e2e/harness/http.mjs";
import { BINARY, MODEL, MODEL_NAME } from "../../tests/e2e/harness/paths.mjs";
import { freePort, Program } from "../../tests/e2e/harness/process.mjs";
import { random } from "../diagnosis/world.mjs";

const { values: flags } = parseArgs({
  options: {
    pairs: { type: "string", default: "40" },
    tokens: { type: "string", default: "128" },
    seed: { type: "string" },
  },
});
const seed = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
const tokens = Number(flags.tokens);
const numbers = random(seed);
const CONTENT = `${"ABC ".repeat(10).trim()} 1 2 3 を続けてください`;
/** For what was stopped to wake and to settle. */
const SETTLE_MS = 300;
const RESAMPLED = 2_000;

const port = await freePort();
const folder = await temporaryFolder();
const args = ["runtime", `--listen=127.0.0.1:${port}`, `--model=${MODEL}`, "--keep-alive=-1"];
const runtime = new Program(BINARY, args, { cwd: folder, env: environment() });
const runtimeUrl = `http://127.0.0.1:${port}`;
await runtime.until("the runtime answers", async () => {
  return (await ask(`${runtimeUrl}/api/version`)).status === 200;
});
const andon = await startAndon({ options: { runtime: runtimeUrl, model: null, lang: "en" } });

async function perSecond(url) {
  const options = { num_predict: tokens, seed: 1, temperature: 0 };
  const messages = [{ role: "user", content: CONTENT }];
  const json = { model: MODEL_NAME, stream: true, messages, options };
  const { text } = await ask(`${url}/api/chat`, { json });
  const last = JSON.parse(text.trim().split("\n").at(-1));
  return (last.eval_count * 1e9) / last.eval_duration;
}

/** As an open page does. */
let isWatched = false;
async function watch() {
  for (;;) {
    if (isWatched) await andon.get("/api/v1/live").catch(() => {});
    await sleep(500);
  }
}
watch();

const measure = {
  async off() {
    andon.program.signal("SIGSTOP");
    await sleep(SETTLE_MS);
    const rate = await perSecond(runtimeUrl);
    andon.program.signal("SIGCONT");
    return rate;
  },
  async on() {
    isWatched = true;
    await sleep(SETTLE_MS);
    const rate = await perSecond(andon.captureUrl);
    isWatched = false;
    return rate;
  },
};

const ratios = [];
const rates = { on: [], off: [] };
try {
  for (let warm = 0; warm < 3; warm += 1) {
    await measure.off();
    await measure.on();
  }
  for (let pair = 0; pair < Number(flags.pairs); pair += 1) {
    const order = numbers.whole(0, 1) ? ["on", "off"] : ["off", "on"];
    const of = {};
    for (const way of order) of[way] = await measure[way]();
    rates.on.push(of.on);
    rates.off.push(of.off);
    ratios.push(of.on / of.off);
  }
} finally {
  andon.program.signal("SIGCONT");
  await andon.end();
  await runtime.end();
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
/** Medians of samples with replacement: between which of them 95 % lie. */
function interval(values) {
  const draw = () => values[numbers.whole(0, values.length - 1)];
  const medians = Array.from({ length: RESAMPLED }, () => median(values.map(draw)));
  const sorted = medians.toSorted((a, b) => a - b);
  return [sorted[Math.floor(RESAMPLED * 0.025)], sorted[Math.floor(RESAMPLED * 0.975)]];
}
const [least, most] = interval(ratios);
const percent = (ratio) => `${((ratio - 1) * 100).toFixed(2)} %`;
console.log(
  [
    `| pairs | tokens/s off (median) | on (median) | on against off (median of pairs) | 95 % of it lie between |`,
    `| --- | --- | --- | --- | --- |`,
    `| ${ratios.length} of ${tokens} tokens | ${median(rates.off).toFixed(1)} | ${median(rates.on).toFixed(1)} | ${percent(median(ratios))} | ${percent(least)} and ${percent(most)} |`,
    "",
    `Seed ${seed}. Wanted: no more than 1 % less.`,
  ].join("\n"),
);
process.exit(0);
