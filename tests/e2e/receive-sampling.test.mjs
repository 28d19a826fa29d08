// Sampling at a receiver's door: what stays, and that the numbers over all of it are those of what came.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { temporaryFolder } from "./harness/andon.mjs";
import { JSON_TYPE, span, traces } from "./harness/export.mjs";
import { ask } from "./harness/http.mjs";
import { startReceiver } from "./harness/otlp.mjs";

const ONE_IN = 5n;
const TRACES = 2_000;
const TOKENS = 7;

const idOf = (number) => createHash("sha256").update(`${number}`).digest("hex").slice(0, 32);
/** OpenTelemetry's rule: the last seven bytes are a trace's chance. */
const isDrawn = (id) => BigInt(`0x${id.slice(18)}`) >= (1n << 56n) - (1n << 56n) / ONE_IN;

function call(traceId, more = {}) {
  const attributes = [
    { key: "gen_ai.operation.name", value: { stringValue: "chat" } },
    { key: "gen_ai.request.model", value: { stringValue: "sampled" } },
    { key: "gen_ai.usage.output_tokens", value: { intValue: TOKENS } },
  ];
  return span({ traceId, attributes, ...more });
}

let andon;
before(async () => {
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, "andon.toml"), `[receive.sampling]\none_in = ${ONE_IN}\n`);
  andon = await startReceiver({ data: folder });
});
after(() => andon?.end());

async function send(spans) {
  const body = { json: traces(spans), headers: { "content-type": JSON_TYPE } };
  const answer = await ask(`${andon.otlpUrl}/v1/traces`, body);
  // What is left out was taken all the same.
  assert.deepEqual([answer.status, answer.json], [200, {}]);
}

const total = async (q) => {
  const answer = await ask(`${andon.url}/api/v1/aggregate?of=calls&q=${encodeURIComponent(q)}`);
  return answer.json.total.figures;
};

test("one trace in five stays, errors and slow ones all do, and sums say what came", async () => {
  const ids = Array.from({ length: TRACES }, (_, at) => idOf(at));
  const failed = ids.filter((_, at) => at % 100 === 1);
  const slow = ids.filter((_, at) => at % 100 === 2);
  const spans = ids.map((id) => {
    if (failed.includes(id)) return call(id, { status: { code: 2 } });
    if (!slow.includes(id)) return call(id);
    const { startTimeUnixNano: end } = span();
    const start = `${BigInt(end) - 6_000_000_000n}`;
    return call(id, { startTimeUnixNano: start, endTimeUnixNano: end });
  });
  for (let at = 0; at < spans.length; at += 500) await send(spans.slice(at, at + 500));

  const drawn = ids.filter((id) => isDrawn(id) && !failed.includes(id) && !slow.includes(id));
  const kept = drawn.length + failed.length + slow.length;
  const status = (await ask(`${andon.url}/api/v1/status`)).json;
  assert.equal(status.spans_stored, kept);
  const door = (await ask(`${andon.url}/api/v1/intake`)).json;
  const rejected = door.doors.flatMap((protocol) => protocol.rejected);
  assert.deepEqual(rejected, [{ reason: "sampled", count: TRACES - kept }]);

  const stands = drawn.length * Number(ONE_IN) + failed.length + slow.length;
  const all = await total("model:sampled");
  assert.equal(all.count, stands);
  assert.equal(all.output_tokens, stands * TOKENS);
  assert.equal(all.errors, failed.length);
  // About as many as came: a hundredth of all is 1.1 standard deviations.
  assert.ok(Math.abs(stands - TRACES) < TRACES / 10, `${stands}`);

  const trace = (id) => ask(`${andon.url}/api/v1/traces/${id}`);
  assert.equal((await trace(drawn[0])).json.spans[0].adjusted_count, Number(ONE_IN));
  assert.equal((await trace(failed[0])).json.spans[0].adjusted_count, null);
  const dull = ids.find((id) => !isDrawn(id) && !failed.includes(id) && !slow.includes(id));
  assert.equal((await trace(dull)).status, 404);
});

test("what was summed up by the minute and the hour says the same from the disk", async () => {
  const before = await total("model:sampled");
  assert.equal((await andon.post("/api/v1/store/seal", {})).status, 200);
  const after = await total("model:sampled");
  assert.deepEqual([after.count, after.errors], [before.count, before.errors]);
  assert.equal(after.output_tokens, before.output_tokens);
});

test("an error that is kept does not quote a call of its trace that was left out", async () => {
  const traceId = Array.from({ length: 50 }, (_, at) => idOf(`left out ${at}`)).find(
    (id) => !isDrawn(id),
  );
  const secret = "the minutes of the board of 30 February";
  const asked = call(traceId);
  const messages = JSON.stringify([{ role: "user", parts: [{ type: "text", content: secret }] }]);
  asked.attributes.push({ key: "gen_ai.input.messages", value: { stringValue: messages } });
  await send([asked]);
  await send([span({ traceId, status: { code: 2, message: `no answer to: ${secret}` } })]);
  const { spans } = (await ask(`${andon.url}/api/v1/traces/${traceId}`)).json;
  assert.equal(spans.length, 1);
  assert.match(spans[0].error_message, /^no answer to: /);
  assert.ok(!spans[0].error_message.includes("the board"), spans[0].error_message);
});
