// OTLP as it stands on the wire, also where it is wrong. No client is in between that would put it
// right: an exporter gives up a batch for one answer and tries again for another.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { temporaryFolder } from "./harness/andon.mjs";
import {
  JSON_TYPE,
  logs,
  newSpanId,
  newTraceId,
  overGrpc,
  overHttp2,
  PROTOBUF,
  said,
  span,
  TRACE_SERVICE,
  traces,
  tracesInProtobuf,
} from "./harness/export.mjs";
import { askBytes } from "./harness/http.mjs";
import { startReceiver } from "./harness/otlp.mjs";
import { read } from "./harness/protobuf.mjs";

const MIB = 1 << 20;
const PAGE = "http://shop.example";

let andon;
before(async () => {
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, "andon.toml"), `[receive]\nallowed_origins = ["${PAGE}"]\n`);
  andon = await startReceiver({ data: folder, options: { privacy: "full" } });
});
after(() => andon?.end());

const post = (route, body, headers = {}) =>
  askBytes(andon.otlpUrl + route, { method: "POST", headers, body });
const postJson = (route, json, headers = {}) =>
  post(route, JSON.stringify(json), { "content-type": JSON_TYPE, ...headers });
const postProtobuf = (route, body, headers = {}) =>
  post(route, body, { "content-type": PROTOBUF, ...headers });

/** Nothing was wrong with it, and nothing need be said. */
function assertAllKept({ status, headers, body }) {
  assert.equal(status, 200, `${body}`);
  const isJson = headers["content-type"] === JSON_TYPE;
  assert.equal(`${body}`, isJson ? "{}" : "");
}

/** `google.rpc.Status` in the encoding of its request. */
function assertRefused({ status, headers, body }, expected, type, code) {
  assert.equal(status, expected, `${body}`);
  assert.equal(headers["content-type"], type);
  if (type === JSON_TYPE) {
    const json = JSON.parse(`${body}`);
    assert.equal(json.code, code);
    assert.ok(json.message.length > 0);
  } else {
    const fields = read(body);
    assert.deepEqual(fields[1], [code]);
    assert.ok(fields[2][0].length > 0);
  }
}

const spansOf = async (traceId) => (await andon.trace(traceId))?.spans ?? [];

describe("what cannot be read is refused, in the encoding of the request", () => {
  const good = () => JSON.stringify(traces([span()]));
  const cases = [
    ["a type that is none of the two", "text/plain", {}, good, 415, JSON_TYPE],
    ["no type", undefined, {}, good, 415, JSON_TYPE],
    ["an unknown packing", JSON_TYPE, { "content-encoding": "br" }, good, 415, JSON_TYPE],
    ["the same of protobuf", PROTOBUF, { "content-encoding": "br" }, good, 415, PROTOBUF],
    ["no JSON", JSON_TYPE, {}, () => "{no", 400, JSON_TYPE],
    ["JSON of another shape", JSON_TYPE, {}, () => '{"resourceSpans": 7}', 400, JSON_TYPE],
    ["JSON as protobuf", PROTOBUF, {}, good, 400, PROTOBUF],
    ["what is no gzip", PROTOBUF, { "content-encoding": "gzip" }, good, 400, PROTOBUF],
    [
      "a gzip that breaks off",
      JSON_TYPE,
      { "content-encoding": "gzip" },
      () => gzipSync(good()).subarray(0, 90),
      400,
      JSON_TYPE,
    ],
  ];
  for (const [name, type, more, body, status, answered] of cases) {
    test(`${name}: ${status}`, async () => {
      const headers = type === undefined ? more : { "content-type": type, ...more };
      assertRefused(await post("/v1/traces", body(), headers), status, answered, 3);
    });
  }

  test("another path: 404, and another method: 405", async () => {
    assertRefused(await postJson("/v1development/profiles", {}), 404, JSON_TYPE, 5);
    assertRefused(await postJson("/", {}), 404, JSON_TYPE, 5);
    const got = await askBytes(`${andon.otlpUrl}/v1/traces`);
    assert.equal(got.status, 405);
    assert.match(got.headers.allow, /POST/);
  });
});

describe("what is not all good", () => {
  const ids = [
    ["a trace id that is too short", { traceId: "abcd" }],
    ["a trace id of zeros", { traceId: "0".repeat(32) }],
    ["a span id that is too long", { spanId: "ab".repeat(9) }],
    ["no span id", { spanId: "" }],
  ];
  for (const [name, bad] of ids) {
    test(`${name}, in JSON and protobuf: the others are kept, and it is said`, async () => {
      const spans = () => {
        const traceId = newTraceId();
        return [span({ traceId }), span({ traceId, ...bad }), span({ traceId })];
      };
      const [first, second] = [spans(), spans()];

      const inJson = await postJson("/v1/traces", traces(first));
      assert.equal(inJson.status, 200, `${inJson.body}`);
      const { partialSuccess } = JSON.parse(`${inJson.body}`);
      assert.equal(Number(partialSuccess.rejectedSpans), 1);
      assert.match(partialSuccess.errorMessage, /id/);

      const inProtobuf = await postProtobuf("/v1/traces", tracesInProtobuf(second));
      assert.equal(inProtobuf.status, 200, `${inProtobuf.body}`);
      const [partial] = read(inProtobuf.body)[1];
      assert.deepEqual(read(partial)[1], [1]);
      assert.match(`${read(partial)[2][0]}`, /id/);

      for (const sent of [first, second]) {
        assert.equal((await spansOf(sent[0].traceId)).length, 2);
      }
    });
  }

  test("nothing at all: a success", async () => {
    const empty = { resourceSpans: [{ scopeSpans: [{ spans: [] }] }, {}] };
    for (const signal of ["traces", "metrics", "logs"]) {
      assertAllKept(await postProtobuf(`/v1/${signal}`, Buffer.alloc(0)));
      assertAllKept(await postJson(`/v1/${signal}`, {}));
    }
    assertAllKept(await postJson("/v1/traces", empty));
    assertAllKept(await postProtobuf("/v1/traces", tracesInProtobuf([])));
  });
});

describe("what is right, in all its ways", () => {
  const ways = [
    ["a path of Langfuse", "/api/public/otel/v1/traces", {}],
    ["a slash behind", "/v1/traces/", {}],
    ["a charset behind the type", "/v1/traces", { "content-type": `${JSON_TYPE}; charset=utf-8` }],
    ["a type in capitals", "/v1/traces", { "content-type": "Application/JSON" }],
    ["said not to be packed", "/v1/traces", { "content-encoding": "identity" }],
  ];
  for (const [name, route, headers] of ways) {
    test(`${name}: taken`, async () => {
      const sent = span();
      assertAllKept(await postJson(route, traces([sent]), headers));
      assert.equal((await spansOf(sent.traceId)).length, 1);
    });
  }

  test("HTTP/2 from the first byte on", async () => {
    const sent = span();
    const headers = { ":path": "/v1/traces", "content-type": PROTOBUF };
    const answer = await overHttp2(andon.otlpUrl, headers, tracesInProtobuf([sent]));
    assert.equal(answer.headers[":status"], 200);
    assert.equal(answer.body.length, 0);
    assert.equal((await spansOf(sent.traceId)).length, 1);
  });

  test("either port takes either protocol", async () => {
    const [first, second] = [span(), span()];
    const call = await overGrpc(andon.otlpUrl, TRACE_SERVICE, tracesInProtobuf([first]));
    assert.equal(call.code, 0, call.text);
    const url = `${andon.otlpGrpcUrl}/v1/traces`;
    const headers = { "content-type": JSON_TYPE };
    const body = JSON.stringify(traces([second]));
    assertAllKept(await askBytes(url, { method: "POST", headers, body }));
    for (const { traceId } of [first, second]) assert.equal((await spansOf(traceId)).length, 1);
  });

  test("numbers as texts and as numbers, ids in capitals, and none is rounded", async () => {
    const traceId = newTraceId();
    const sent = span({
      traceId: traceId.toUpperCase(),
      attributes: [
        { key: "as.text", value: { intValue: "9007199254740993" } },
        { key: "as.number", value: { intValue: 64 } },
        { key: "not.a.number", value: { doubleValue: "NaN" } },
        { key: "half", value: { doubleValue: 0.5 } },
        { key: "nothing", value: {} },
      ],
      aNameNobodyKnows: { with: ["something", "below"] },
    });
    assertAllKept(await postJson("/v1/traces", traces([sent])));
    const { text } = await andon.get(`/api/v1/traces/${traceId}`);
    assert.match(text, /"as\.text":9007199254740993[,}]/);
    const [{ attributes }] = JSON.parse(text).spans;
    assert.equal(attributes["as.number"], 64);
    assert.equal(attributes.half, 0.5);
  });
});

describe("what comes in several pieces, or twice", () => {
  const textsOf = async (traceId) => (await andon.trace(traceId)).contents.map(({ text }) => text);

  test("the same spans twice are there once", async () => {
    const sent = span();
    for (let time = 0; time < 2; time += 1) {
      assertAllKept(await postJson("/v1/traces", traces([sent])));
    }
    assert.equal((await spansOf(sent.traceId)).length, 1);
  });

  test("messages before and behind their span, in requests of their own", async () => {
    const of = span({ name: "chat" });
    const records = [
      said(of, "gen_ai.system.message", "短く"),
      said(of, "gen_ai.user.message", "空は?"),
      said(of, "gen_ai.user.message", "海は?"),
      said(of, "gen_ai.user.message", "山は?"),
    ];
    // An exporter cuts its batches where it likes.
    assertAllKept(await postJson("/v1/logs", logs(records.slice(0, 2))));
    assertAllKept(await postJson("/v1/logs", logs(records.slice(2, 3))));
    assertAllKept(await postJson("/v1/traces", traces([of])));
    assertAllKept(await postJson("/v1/logs", logs(records.slice(3))));
    assert.deepEqual(
      (await textsOf(of.traceId)).sort(),
      ["短く", "空は?", "海は?", "山は?"].sort(),
    );
  });

  test("what was logged during a span, in requests of their own, and once more", async () => {
    const of = span();
    const record = (text) => ({ ...said(of, "", ""), body: { stringValue: text } });
    const all = [logs([record("一")]), logs([record("二")])];
    assertAllKept(await postJson("/v1/traces", traces([of])));
    for (const one of all) assertAllKept(await postJson("/v1/logs", one));
    assert.deepEqual((await textsOf(of.traceId)).sort(), ["一", "二"].sort());
    for (const one of all) assertAllKept(await postJson("/v1/logs", one));
    assert.deepEqual((await textsOf(of.traceId)).sort(), ["一", "二"].sort());
  });
});

describe("pages of the web", () => {
  const preflight = (origin) =>
    askBytes(`${andon.otlpUrl}/v1/traces`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,traceparent",
      },
    });

  test("one that may send is told so", async () => {
    const { status, headers } = await preflight(PAGE);
    assert.ok(status < 300, `${status}`);
    assert.equal(headers["access-control-allow-origin"], PAGE);
    assert.match(headers["access-control-allow-headers"], /content-type/);
    assert.match(headers["access-control-allow-headers"], /traceparent/);
    const sent = span();
    const answer = await postJson("/v1/traces", traces([sent]), { origin: PAGE });
    assertAllKept(answer);
    assert.equal(answer.headers["access-control-allow-origin"], PAGE);
    assert.equal((await spansOf(sent.traceId)).length, 1);
  });

  test("another is refused, and what it sends all the same is not kept", async () => {
    for (const origin of ["http://evil.example", `${PAGE}.evil.example`, "null"]) {
      const { status, headers } = await preflight(origin);
      assert.ok(status >= 400, `${origin}: ${status}`);
      assert.equal(headers["access-control-allow-origin"], undefined);
      const sent = span();
      const answer = await postJson("/v1/traces", traces([sent]), { origin });
      assert.equal(answer.status, 403);
      assert.equal(answer.headers["access-control-allow-origin"], undefined);
      assert.equal(await andon.trace(sent.traceId), null);
    }
  });

  test("a name that somebody else gave to this machine does not open the door", async () => {
    const sent = span();
    const answer = await postJson("/v1/traces", traces([sent]), { host: "evil.example" });
    assert.equal(answer.status, 403, `${answer.body}`);
    assert.equal(await andon.trace(sent.traceId), null);
  });
});

describe("what is too large", () => {
  const zeros = Buffer.alloc(64 * MIB + 1);
  const bombs = [
    ["as it is", zeros, {}],
    ["of unknown length", zeros, { "transfer-encoding": "chunked" }],
    ["packed by gzip", gzipSync(zeros, { level: 1 }), { "content-encoding": "gzip" }],
    ["packed by deflate", deflateSync(zeros, { level: 1 }), { "content-encoding": "deflate" }],
  ];
  for (const [name, body, headers] of bombs) {
    test(`${name}: 413`, async () => {
      assertRefused(await postProtobuf("/v1/traces", body, headers), 413, PROTOBUF, 8);
    });
  }

  test("over gRPC: final, and Andon goes on", async () => {
    const refused = await overGrpc(andon.otlpGrpcUrl, TRACE_SERVICE, gzipSync(zeros), {
      "grpc-encoding": "gzip",
    });
    assert.notEqual(refused.code, 0);
    const unknown = await overGrpc(andon.otlpGrpcUrl, "/some.Other/Export", Buffer.alloc(0));
    assert.equal(unknown.code, 12);
    assertAllKept(await postJson("/v1/traces", traces([span()])));
    assert.equal(andon.program.ended, null);
  });
});

test("what was acknowledged is there after `kill -9` right behind the answer", async () => {
  const first = await startReceiver();
  const of = span({ name: "chat", spanId: newSpanId() });
  const headers = { "content-type": PROTOBUF };
  const request = { method: "POST", headers, body: tracesInProtobuf([of]) };
  const { status } = await askBytes(`${first.otlpUrl}/v1/traces`, request);
  await first.kill();
  assert.equal(status, 200);
  const second = await startReceiver({ data: first.folder, ready: false });
  try {
    const trace = await second.trace(of.traceId);
    assert.equal(trace?.spans[0].span_id, of.spanId);
  } finally {
    await second.end();
  }
});
