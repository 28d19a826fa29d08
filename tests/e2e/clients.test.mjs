// Clients that others wrote, against `andon runtime` alone.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { environment, temporaryFolder } from "./harness/andon.mjs";
import { ask } from "./harness/http.mjs";
import { SHORT } from "./harness/messages.mjs";
import { BINARY, missing, MODEL, MODEL_NAME, PYTHON, ROOT } from "./harness/paths.mjs";
import { freePort, Program, run } from "./harness/process.mjs";

/** All checks of a client together; seconds where the machine is free. */
const CLIENT_MS = 220_000;

let cwd;
let runtime;
let url;
before(async () => {
  cwd = await temporaryFolder();
  const args = ["runtime", `--listen=127.0.0.1:${await freePort()}`, `--model=${MODEL}`];
  runtime = new Program(BINARY, args, { cwd, env: environment() });
  const said = await runtime.until("it says where it listens", () => runtime.stdout.includes("\n"));
  assert.ok(said);
  url = `http://${JSON.parse(runtime.stdout).listening}`;
});
after(async () => {
  await runtime?.end();
  if (cwd) await rm(cwd, { recursive: true, force: true });
});

test("the ollama package of PyPI", { skip: missing(PYTHON) }, async (t) => {
  const script = path.join(ROOT, "tests/clients/ollama_client.py");
  const client = await run(PYTHON, [script, url, MODEL_NAME, String(runtime.pid)], {
    // A proxy is for the world outside.
    env: environment({ NO_PROXY: "127.0.0.1", PYTHONDONTWRITEBYTECODE: "1" }),
    patienceMs: CLIENT_MS,
  });
  const checks = client.stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  for (const { name, ok, error } of checks) {
    await t.test(name.replaceAll("_", " "), () => assert.ok(ok, error));
  }
  assert.ok(checks.length > 0, client.stderr);
  assert.equal(client.code, 0, client.stderr);
  assert.equal(runtime.ended, null, runtime.output());
});

describe("errors of the runtime, in the shape of the API spoken", () => {
  const cases = [
    ["no body", "/api/generate", undefined, 400, /missing request body/],
    ["not JSON", "/api/generate", "{", 400, /./],
    ["a wrong type", "/api/generate", '{"model": 7}', 400, /model/],
    ["an unknown model", "/api/chat", '{"model":"x","messages":[]}', 404, /not found/],
    ["pull", "/api/pull", '{"model":"x"}', 501, /./],
  ];
  for (const [name, route, body, status, words] of cases) {
    test(`${name}: ${status}`, async () => {
      const answer = await ask(url + route, { method: "POST", body });
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.json.error, words);
    });
  }

  test("/v1 has OpenAI's shape", async () => {
    const json = { model: "x", messages: [{ role: "user", content: "x" }] };
    const answer = await ask(`${url}/v1/chat/completions`, { json });
    assert.equal(answer.status, 404, answer.text);
    assert.match(answer.json.error.message, /not found/);
  });

  test("/v1/chat/completions answers", async () => {
    const json = { model: MODEL_NAME, messages: [{ role: "user", content: SHORT }], max_tokens: 9 };
    const answer = await ask(`${url}/v1/chat/completions`, { json });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.json.choices[0].message.content.length > 0);
    assert.ok(answer.json.usage.completion_tokens > 0);
  });
});
