// Does what the simulation says come true? The real model behind the capture: calls are recorded with one
// setting, another one is asked about, and then the same calls are made once more with that setting. And
// people who ask one question after the other: how long do they wait, foretold and in truth.
//   node bench/capacity/run.mjs [--calls 60] [--people 4] [--seed N]
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { startAndon } from "../../tests/e2e/harness/andon.mjs";
import { ask } from "../../tests/e2e/harness/http.mjs";
import { MODEL_NAME } from "../../tests/e2e/harness/paths.mjs";
import { until } from "../../tests/e2e/harness/wait.mjs";
import { random } from "../diagnosis/world.mjs";

const { values: flags } = parseArgs({
  options: {
    calls: { type: "string", default: "60" },
    people: { type: "string", default: "4" },
    seed: { type: "string" },
  },
});
const seed = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
const [SHORT_S, LONG_S] = [2, 30];
const MEAN_PAUSE_S = 3;
const THINK_S = 3;
const PLAYED_S = 180;

const exponential = (numbers, mean) => -mean * Math.log(1 - numbers.between(0, 1));
const question = (numbers) => ({
  content: `${numbers.whole(0, 1e9)} ${numbers.words(numbers.whole(20, 400))}`,
  tokens: numbers.whole(8, 96),
});

function start(keepAliveS) {
  return startAndon({ options: { lang: "en", "keep-alive": `${keepAliveS}s`, timeout: "300s" } });
}

async function call(andon, { content, tokens }, headers) {
  const options = { num_predict: tokens, seed: 1 };
  const messages = [{ role: "user", content }];
  const json = { model: MODEL_NAME, stream: false, messages, options };
  return ask(`${andon.captureUrl}/api/chat`, { json, headers });
}

async function recorded(andon, least, params = "") {
  return until("all calls are stored", async () => {
    const { json } = await andon.get(`/api/v1/capacity/what-if${params}`);
    return (json.recorded?.calls ?? 0) >= least && json;
  });
}

/** The same calls at the same times. */
async function play(andon, calls) {
  const begun = performance.now();
  const answers = calls.map(async ({ atS, ...asked }) => {
    await sleep(atS * 1000 - (performance.now() - begun));
    await call(andon, asked);
  });
  await Promise.all(answers);
}

function calls(count) {
  const numbers = random(seed);
  let atS = 0;
  return Array.from({ length: count }, () => {
    atS += exponential(numbers, MEAN_PAUSE_S);
    return { atS, ...question(numbers) };
  });
}

const off = (told, real) => `${(100 * (told / real - 1)).toFixed(1)} %`;
const seconds = (ns) => `${(ns / 1e9).toFixed(2)} s`;
const rows = [];
function row(what, told, real, write = seconds) {
  rows.push(`| ${what} | ${write(told)} | ${write(real)} | ${off(told, real)} |`);
}

async function keepAlive() {
  const asked = calls(Number(flags.calls));
  const short = await start(SHORT_S);
  let told;
  try {
    await play(short, asked);
    told = await recorded(short, asked.length, `?keep_alive=${LONG_S}s`);
  } finally {
    await short.end();
  }
  const andon = await start(LONG_S);
  let real;
  try {
    await play(andon, asked);
    real = (await recorded(andon, asked.length)).recorded;
  } finally {
    await andon.end();
  }
  const { as_it_is: same, recorded: was, then } = told;
  const whole = (count) => String(count);
  row("as it is: whole answer, median", same.total_ns.p50, was.total_ns.p50);
  row("as it is: whole answer, 95 %", same.total_ns.p95, was.total_ns.p95);
  row("as it is: loads", same.loads, was.loads, whole);
  row(`kept for ${LONG_S} s: whole answer, median`, then.total_ns.p50, real.total_ns.p50);
  row(`kept for ${LONG_S} s: whole answer, 95 %`, then.total_ns.p95, real.total_ns.p95);
  row(`kept for ${LONG_S} s: loads`, then.loads, real.loads, whole);
  row("before the change, as recorded (median)", was.total_ns.p50, real.total_ns.p50);
}

async function people() {
  const count = Number(flags.people);
  const andon = await start(300);
  try {
    const learned = calls(30).map((asked) => ({ ...asked, atS: 0 }));
    for (const asked of learned) await call(andon, asked);
    await recorded(andon, learned.length);
    const from = Date.now();
    const { json: told } = await andon.get(`/api/v1/capacity/people?think_s=${THINK_S}&wait_s=5`);
    const firsts = [];
    const end = performance.now() + PLAYED_S * 1000;
    const person = async (_, place) => {
      const numbers = random(seed + 1 + place);
      while (performance.now() < end) {
        await sleep(exponential(numbers, THINK_S) * 1000);
        await call(andon, question(numbers));
        firsts.push(1);
      }
    };
    await Promise.all(Array.from({ length: count }, person));
    const { json: after } = await andon.get(`/api/v1/capacity/what-if?from=${from}000000`);
    const { first_ns: real } = after.recorded;
    const point = told.points.reduce((best, it) =>
      Math.abs(it.people - count) < Math.abs(best.people - count) ? it : best,
    );
    const of = `${count} people (foretold for ${point.people})`;
    row(`${of}: first token, median`, point.first_p50_ns, real.p50);
    const perMinute = (firsts.length * 60) / PLAYED_S;
    const tenths = (number) => number.toFixed(1);
    row(`${of}: answers a minute`, point.answers_per_minute, perMinute, tenths);
    rows.push(`| enough for, if nine of ten begin within 5 s | ${told.most} | | |`);
  } finally {
    await andon.end();
  }
}

await keepAlive();
await people();
console.log("| what | foretold | in truth | off by |\n| --- | --- | --- | --- |");
console.log(rows.join("\n"));
console.log(`\nSeed ${seed}.`);
