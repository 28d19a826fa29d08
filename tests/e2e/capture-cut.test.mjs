// Prompts that are longer than the context. A stand-in for Ollama cuts them without saying so: what
// does not fit is left out from the oldest message on, the system text and the last message stay. The
// built-in runtime refuses them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAndon } from "./harness/andon.mjs";
import { Fake, json, ollama } from "./harness/fakes.mjs";
import { ask } from "./harness/http.mjs";
import { until } from "./harness/wait.mjs";

const CONTEXT = 2_048;
const PROMPTS = 100;

/** Reproducible draws: a linear congruential generator, as in Numerical Recipes. */
function dice(seed) {
  let state = seed >>> 0;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

const WORDS = "the runtime reads a prompt and nobody knows how long it will take to answer".split(
  " ",
);
const PHRASES = ["国境の長いトンネルを抜けると", "雪国であった。", "夜の底が白くなった。"];

/** `words` words, of which a share is Japanese. */
function text(draw, words) {
  const japanese = draw(4);
  return Array.from({ length: words }, () =>
    draw(10) < japanese ? PHRASES[draw(PHRASES.length)] : WORDS[draw(WORDS.length)],
  ).join(" ");
}

/** A stand-in for a tokenizer: pieces of up to four letters; of other scripts, seven of ten. */
function tokensOf(content) {
  let tokens = 0;
  for (const word of content.split(" ")) {
    const characters = [...word];
    const ascii = characters.filter((character) => character < "\u0080").length;
    tokens += Math.ceil(ascii / 4) + (characters.length - ascii) * 0.7;
  }
  return tokens + 4;
}

const lengthOf = (messages) =>
  Math.round(messages.reduce((sum, { content }) => sum + tokensOf(content), 3));

/** What is left of the messages: Ollama's rule. */
function fitting(messages, context) {
  const system = messages.filter(({ role }) => role === "system");
  let others = messages.filter(({ role }) => role !== "system");
  while (others.length > 1 && lengthOf([...system, ...others]) > context) others = others.slice(1);
  return [...system, ...others];
}

let fake;
let andon;
before(async () => {
  const chat = (response, { json: asked }) => {
    const read = fitting(asked.messages, asked.options.num_ctx);
    json(response, {
      model: "tiny:latest",
      created_at: "2026-01-01T00:00:00Z",
      message: { role: "assistant", content: "Yes." },
      done: true,
      done_reason: "stop",
      total_duration: 50_000_000,
      load_duration: 1_000_000,
      prompt_eval_count: lengthOf(read),
      prompt_eval_duration: 10_000_000,
      eval_count: 2,
      eval_duration: 20_000_000,
    });
  };
  fake = await Fake.start({ ...ollama(), "POST /api/chat": chat });
  andon = await startAndon({ options: { runtime: fake.url } });
});
after(async () => {
  await andon?.end();
  await fake?.end();
});

async function say(messages) {
  const options = { num_ctx: CONTEXT, num_predict: 64 };
  const answer = await ask(`${andon.captureUrl}/api/chat`, {
    json: { model: "tiny:latest", messages, options, stream: false },
  });
  assert.equal(answer.status, 200, answer.text);
  return answer.headers["x-trace-id"];
}

async function spanOf(traceId) {
  const trace = await until("the trace is there", () => andon.trace(traceId));
  return trace.spans[0];
}

test(`${PROMPTS} prompts around the limit: cut ones are found, whole ones are not`, async () => {
  const draw = dice(7);
  // What an app says before its conversations get long.
  for (let warm = 0; warm < 12; warm += 1) {
    await say([{ role: "user", content: text(draw, 10 + draw(250)) }]);
  }
  const told = { found: 0, missed: [], false: [], whole: 0 };
  const ids = [];
  for (let number = 0; number < PROMPTS; number += 1) {
    const wanted = CONTEXT * (0.6 + draw(90) / 100);
    const messages = [{ role: "system", content: text(draw, 20) }];
    while (lengthOf(messages) < wanted) {
      const role = messages.length % 2 === 1 ? "user" : "assistant";
      messages.push({ role, content: text(draw, 60 + draw(120)) });
    }
    const cut = fitting(messages, CONTEXT).length < messages.length;
    ids.push({ id: await say(messages), cut, lost: lengthOf(messages) - CONTEXT });
  }
  for (const { id, cut, lost } of ids) {
    const span = await spanOf(id);
    const says = span.cause === "prompt_cut";
    if (cut && says) told.found += 1;
    if (cut && !says) told.missed.push(lost);
    if (!cut) told.whole += 1;
    if (!cut && says) told.false.push(lost);
  }
  const cuts = told.found + told.missed.length;
  assert.ok(cuts > 25 && told.whole > 25, `${cuts} cut and ${told.whole} whole`);
  const words = `found ${told.found} of ${cuts}, missed ${told.missed}, false ${told.false}`;
  assert.ok(told.found >= 0.98 * cuts, words);
  assert.ok(told.false.length <= 0.01 * told.whole, words);
});

test("the span says how much was lost and what to set", async () => {
  const draw = dice(11);
  const messages = Array.from({ length: 9 }, (_, at) => ({
    role: at % 2 === 0 ? "user" : "assistant",
    content: text(draw, 250),
  }));
  const lost = lengthOf(messages) - lengthOf(fitting(messages, CONTEXT));
  const { attributes } = await spanOf(await say(messages));
  const said = attributes["andon.prompt.cut_tokens"];
  assert.ok(Math.abs(said - lost) < 0.1 * lost, `${said} for ${lost}`);
  assert.equal(attributes["andon.prompt.limit"], CONTEXT);
  assert.ok(attributes["andon.prompt.enough_context"] >= lengthOf(messages) + 64);
});

const SHORT = 256;

test(`${PROMPTS} prompts around the limit of the built-in runtime: the long ones are refused`, async () => {
  const builtin = await startAndon();
  try {
    const draw = dice(13);
    const asked = [];
    for (let number = 0; number < PROMPTS; number += 1) {
      const json = {
        model: "gemma-3-270m-q4_k_m",
        prompt: `${number} ${text(draw, 80 + draw(200))}`,
        raw: true,
        stream: false,
        options: { num_ctx: SHORT, num_predict: 1, temperature: 0 },
      };
      const answer = await ask(`${builtin.captureUrl}/api/generate`, { json });
      asked.push({ id: answer.headers["x-trace-id"], status: answer.status, text: answer.text });
    }
    const told = { whole: 0, long: 0 };
    for (const { id, status, text: said } of asked) {
      const [span] = (await builtin.traceWith(id, "runtime")).spans;
      if (status === 200) {
        told.whole += 1;
        assert.equal(span.status, "ok", said);
        assert.notEqual(span.cause, "prompt_cut", "nothing is cut here");
        assert.ok(span.input_tokens < SHORT);
      } else {
        told.long += 1;
        assert.deepEqual([status, span.status], [400, "error"], said);
        assert.deepEqual([span.error_type, span.cause], ["context_exceeded", "context_exceeded"]);
      }
    }
    assert.ok(told.whole > 25 && told.long > 25, JSON.stringify(told));
  } finally {
    await builtin.end();
  }
});
