// How far off is the time that is said to be left while a prompt is read? The real model, prompts of
// random lengths and random words (nothing cached but the instructions that all have), asked through the
// chat's gateway and through the capture, to both of which the runtime says its progress, and through the
// capture before a runtime that says nothing, where it is reckoned from earlier calls and said to be «about».
//   node bench/timeleft/run.mjs [--calls 40] [--seed N]
import { parseArgs } from "node:util";
import { startAndon } from "../../tests/e2e/harness/andon.mjs";
import { ask, Stream } from "../../tests/e2e/harness/http.mjs";
import { MODEL_NAME } from "../../tests/e2e/harness/paths.mjs";
import { random } from "../diagnosis/world.mjs";
import { Silent } from "./silent.mjs";

const { values: flags } = parseArgs({
  options: { calls: { type: "string", default: "40" }, seed: { type: "string" } },
});
const calls = Number(flags.calls);
const seed = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
const [FEWEST_WORDS, MOST_WORDS] = [250, 1_800];
const LOOK_MS = 100;
/** Calls from which the capture learns how fast prompts are read. */
const LEARNED = 5;

const numbers = random(seed);
// A number first, or the beginning could be in the cache.
const prompt = () =>
  `${numbers.whole(0, 1e9)} ${numbers.words(numbers.whole(FEWEST_WORDS, MOST_WORDS))}`;

const andon = await startAndon({ options: { lang: "en", timeout: "300s" } });
const silent = await Silent.start(andon.runtimeUrl);
const reckoning = await startAndon({ options: { lang: "en", runtime: silent.url, model: null } });

/** Looks are `{at, left}`, in ms since the call began; of those, the one half-way, and its error. */
function error(looks, from, to) {
  const half = (from + to) / 2;
  const known = looks.filter(({ at, left }) => left !== null && at > from && at < to);
  if (known.length === 0) return null;
  const distance = ({ at }) => Math.abs(at - half);
  const look = known.reduce((best, one) => (distance(one) < distance(best) ? one : best));
  // Far from half-way it is another question.
  if (distance(look) > (to - from) / 8) return null;
  return Math.abs(look.left - (to - look.at)) / (to - look.at);
}

async function throughTheGateway() {
  const begun = performance.now();
  const looks = [];
  let [from, to] = [null, null];
  const json = { message: prompt(), stream: true, num_predict: 4 };
  const stream = await Stream.open(`${andon.url}/chat`, { json });
  for (let event = await stream.next(); event; event = await stream.next()) {
    const { name, data } = event;
    const at = performance.now() - begun;
    if (name === "token") to ??= at;
    if (name !== "phase") continue;
    if (data.phase === "generate") to ??= at;
    if (data.phase !== "prompt") continue;
    from ??= at - data.phase_since_ms;
    looks.push({ at, left: data.eta_exact ? data.eta_ms : null });
  }
  return error(looks, from, to);
}

/** `exact`: whether the runtime says how far it is. */
async function throughTheCapture(andon, exact) {
  const body = JSON.stringify({
    model: MODEL_NAME,
    messages: [{ role: "user", content: prompt() }],
    options: { num_predict: 4 },
  });
  const looks = [];
  let to = null;
  const begun = performance.now();
  const read = fetch(`${andon.captureUrl}/api/chat`, { method: "POST", body }).then(async (it) => {
    for await (const piece of it.body) if (piece.length > 0) to ??= performance.now() - begun;
  });
  while (to === null) {
    const { json: live } = await andon.get("/api/v1/live");
    const call = live.calls.find(({ phase }) => phase === "prompt");
    const left = call?.eta_exact === exact ? call.eta_ms : null;
    if (call) looks.push({ at: performance.now() - begun, left });
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  await read;
  return error(looks, 0, to);
}

async function errors(call, count) {
  const all = [];
  for (let at = 0; at < count; at += 1) all.push(await call());
  return all.filter((one) => one !== null).sort((a, b) => a - b);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const at = (sorted, share) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

try {
  await ask(`${andon.url}/chat`, { json: { message: "Hello." } });
  const exact = await errors(throughTheGateway, calls);
  const told = await errors(() => throughTheCapture(andon, true), calls);
  await errors(() => throughTheCapture(reckoning, false), LEARNED);
  const about = await errors(() => throughTheCapture(reckoning, false), calls);
  console.log("| time left, half-way through the prompt | calls | off by (median) | nine of ten |");
  console.log("| --- | --- | --- | --- |");
  for (const [name, all] of [
    ["chat: the runtime says its progress", exact],
    ["capture: the runtime says its progress", told],
    ["capture, a runtime that says nothing: reckoned, «about»", about],
  ]) {
    const figures = all.length ? `${percent(at(all, 0.5))} | ${percent(at(all, 0.9))}` : "– | –";
    console.log(`| ${name} | ${all.length} of ${calls} | ${figures} |`);
  }
  console.log(`\nSeed ${seed}.`);
} finally {
  await reckoning.end();
  await silent.end();
  await andon.end();
}
