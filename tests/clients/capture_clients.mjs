// Clients of npm, each with its list of calls, against one address; see capture_clients.py.
//   capture_clients.mjs CLIENT URL
import { createRequire } from "node:module";

const require = createRequire(new URL("../e2e/", import.meta.url));
const { Ollama } = require("ollama");
const { OpenAI } = require("openai");

const MODEL = "tinyllama";
const MESSAGES = [
  { role: "system", content: "You are terse." },
  { role: "user", content: "なぜ空は青いの?" },
];
const parameters = { type: "object", properties: { city: { type: "string" } } };
const TOOL = { type: "function", function: { name: "get_weather", description: "W", parameters } };
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

function ollamaCalls(host) {
  const client = new Ollama({ host });
  const chat = (more) => client.chat({ model: MODEL, messages: MESSAGES, ...more });
  return {
    chat: () => chat({ options: { temperature: 0.2, num_predict: 64 } }),
    "chat streamed": () => chat({ stream: true }),
    tools: () => chat({ tools: [TOOL] }),
    "an image": () =>
      chat({ messages: [{ role: "user", content: "see", images: [PIXEL] }], format: "json" }),
    generate: () => client.generate({ model: MODEL, prompt: "hi", think: false }),
    "generate streamed": () => client.generate({ model: MODEL, prompt: "hi", stream: true }),
    embed: () => client.embed({ model: MODEL, input: ["a", "b"] }),
    list: () => client.list(),
    ps: () => client.ps(),
    show: () => client.show({ model: MODEL }),
    "an unknown model": () => chat({ model: "missing-model" }),
  };
}

function openaiCalls(url) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "local", maxRetries: 0 });
  const chat = (more) =>
    client.chat.completions.create({ model: MODEL, messages: MESSAGES, ...more });
  const usage = { include_usage: true };
  return {
    chat: () => chat({ temperature: 0.2, max_tokens: 64 }),
    "with usage": () => chat({ stream: true, stream_options: usage }),
    tools: () => chat({ tools: [TOOL] }),
    embeddings: () => client.embeddings.create({ model: MODEL, input: ["a", "b"] }),
    responses: () => client.responses.create({ model: MODEL, input: "hi" }),
    models: () => client.models.list(),
    "a busy one": () => chat({ model: "busy-model" }),
  };
}

/** A stream as the list of its pieces, anything else as it is. */
async function plain(got) {
  if (typeof got?.[Symbol.asyncIterator] !== "function" || Array.isArray(got.data)) return got;
  const pieces = [];
  for await (const piece of got) pieces.push(piece);
  return pieces;
}

const [, , which, url] = process.argv;
const calls = { ollama: ollamaCalls, openai: openaiCalls }[which](url);
for (const [call, run] of Object.entries(calls)) {
  let got;
  try {
    got = await plain(await run());
  } catch (error) {
    got = { error: error.name, status: error.status ?? error.status_code, message: error.message };
  }
  console.log(JSON.stringify({ call, got }));
}
