// What is kept of prompts and answers, looked for in every byte of the data folder.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { spanOf, startAndon } from "./harness/andon.mjs";
import { Fake, LAST_LINE, line, ollama } from "./harness/fakes.mjs";
import { ask } from "./harness/http.mjs";
import { SHORT } from "./harness/messages.mjs";
import { until } from "./harness/wait.mjs";

const NOTICE = "*11文字目以降を非表示にしています*";
/** Every stretch of it is as secret as the whole. */
const SECRET = "経営会議の議事録です。来期は大阪の工場を閉鎖し、従業員三百名を配置転換します。";
/** What may be on the disk of it. */
const KEPT = [...SECRET].slice(0, 10).join("");

/** Pieces that would betray the secret, none of which lies within the part that is kept. */
function betrayals() {
  const hidden = [...SECRET].slice(10);
  const pieces = [];
  for (let at = 0; at + 5 <= hidden.length; at += 1) pieces.push(hidden.slice(at, at + 5).join(""));
  return pieces;
}

/** The pieces of the secret that stand anywhere in the data folder, as text or escaped. */
async function found(andon) {
  const files = Object.entries(await andon.kept());
  assert.ok(files.length > 0, "something is kept at all");
  const forms = (piece) => [
    Buffer.from(piece),
    Buffer.from(JSON.stringify(piece).replace(/[^\x20-\x7e]/g, escaped)),
    Buffer.from(piece, "utf16le"),
  ];
  return betrayals().flatMap((piece) =>
    files
      .filter(([, bytes]) => forms(piece).some((form) => bytes.includes(form)))
      .map(([name]) => `${piece} in ${name}`),
  );
}

function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The trace with its contents, once it is whole. */
async function recorded(andon, traceId, runtime = "runtime") {
  const trace = await andon.traceWith(traceId, "gateway", "proxy", runtime);
  const part = (name) => trace.contents.filter((content) => content.part === name);
  return { trace, input: part("input"), output: part("output"), system: part("system") };
}

describe("by default", () => {
  let andon;
  before(async () => {
    andon = await startAndon();
  });
  after(() => andon?.end());

  test("ten characters are kept, then the notice, as the original had it", async () => {
    const answer = await andon.chat(SECRET, { num_predict: 12 });
    assert.equal(answer.status, 200, answer.text);
    const { input, output } = await recorded(andon, answer.json.trace_id);
    assert.equal(input[0].text, KEPT + NOTICE);
    assert.equal(input[0].kept_length, 10);
    assert.equal(input[0].original_length, [...SECRET].length);
    assert.equal(input[0].policy, "mask:10");
    const reply = [...answer.json.reply];
    if (reply.length > 10) assert.equal(output[0].text, reply.slice(0, 10).join("") + NOTICE);
    else assert.equal(output[0].text, answer.json.reply);
  });

  test("nothing of a secret lies on the disk, whatever way it came in", async () => {
    const messages = [
      { role: "user", content: SECRET },
      { role: "assistant", content: SECRET },
    ];
    await andon.chat(SECRET, { num_predict: 5, messages, system: SECRET });
    await ask(`${andon.proxyUrl}/chat`, { json: { prompt: SECRET, num_predict: 5 } });
    // In requests that fail: too long, not JSON, of the wrong type, a model of that name.
    await andon.chat(SECRET.repeat(300));
    await ask(`${andon.url}/chat`, { body: `{"message": ${SECRET}}` });
    await andon.chat(SHORT, { session_id: { secret: SECRET } });
    await ask(`${andon.url}/chat`, { body: Buffer.from(`{"message":"${SECRET}`, "utf16le") });
    const stream = await andon.stream(SECRET, { num_predict: 400 });
    await stream.until("token");
    stream.leave();
    await andon.idle();
    await until("all of it is recorded", async () => (await andon.traces()).length >= 8);
    assert.deepEqual(await found(andon), []);
  });

  test("errors do not quote the question in the trace", async () => {
    const answer = await andon.chat(SECRET.repeat(300));
    assert.equal(answer.json.code, "context_exceeded");
    const trace = await andon.traceWith(answer.json.trace_id, "gateway", "proxy", "runtime");
    const text = JSON.stringify(trace.spans);
    for (const piece of betrayals()) assert.ok(!text.includes(piece), piece);
  });

  test("one conversation can be kept out: lengths stay, no text", async () => {
    const answer = await andon.chat(SECRET, { num_predict: 5, privacy: "none", system: SECRET });
    const { trace, input, output, system } = await recorded(andon, answer.json.trace_id);
    for (const content of trace.contents) assert.equal(content.text, "");
    assert.equal(input[0].original_length, [...SECRET].length);
    assert.equal(input[0].policy, "none");
    assert.equal(output.length, 1);
    assert.equal(system.length, 1);
    assert.ok(spanOf(trace, "runtime").input_tokens > 0);
  });

  test("a caller cannot ask for more than the policy allows", async () => {
    const answer = await andon.chat(SECRET, { num_predict: 5, privacy: "full" });
    const { input } = await recorded(andon, answer.json.trace_id);
    assert.equal(input[0].text, KEPT + NOTICE);
    assert.deepEqual(await found(andon), []);
  });

  test("the log on standard error holds no text either", () => {
    const said = andon.program.output();
    for (const piece of [KEPT, ...betrayals()]) assert.ok(!said.includes(piece), said);
  });
});

describe("by choice", () => {
  const cases = {
    full: (text) => assert.equal(text, SECRET),
    "mask:3": (text) => assert.equal(text, "経営会*4文字目以降を非表示にしています*"),
    none: (text) => assert.equal(text, ""),
  };
  for (const [privacy, check] of Object.entries(cases)) {
    test(`--privacy ${privacy}`, async () => {
      // The policy is the subject, not the model: a small program answers at once.
      const answers = (response) => response.end(line({ response: SECRET }) + LAST_LINE);
      const runtime = await Fake.start(ollama(answers));
      const andon = await startAndon({ options: { privacy, runtime: runtime.url } });
      try {
        const answer = await andon.chat(SECRET);
        assert.equal(answer.json.reply, SECRET, "the caller gets all of it");
        const { input, output } = await recorded(andon, answer.json.trace_id, "ollama");
        check(input[0].text);
        check(output[0].text);
        assert.equal((await andon.get("/api/v1/models")).json.privacy, privacy);
        // Also the other way round: this is how one knows that the search above can find anything.
        const pieces = await found(andon);
        if (privacy === "full") assert.ok(pieces.length > 0);
        else assert.deepEqual(pieces, []);
      } finally {
        await andon.end();
        await runtime.end();
      }
    });
  }

  test("a policy that does not exist is refused at the start", async () => {
    await assert.rejects(startAndon({ options: { privacy: "some" } }), /privacy.*mask:N/s);
  });
});
