// Programs that trace themselves with OpenTelemetry's own SDKs, by every way there is.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { send, startReceiver } from "./harness/otlp.mjs";
import { missing, OTEL_PYTHON } from "./harness/paths.mjs";
import { hoursAgo } from "./harness/query.mjs";

const MS = 1_000_000;

let andon;
before(async () => {
  andon = await startReceiver({ options: { privacy: "full" } });
});
after(() => andon?.end());

const CLIENTS = [
  ["orders.py", "grpc", "none"],
  ["orders.py", "grpc", "gzip"],
  ["orders.py", "grpc", "deflate"],
  ["orders.py", "http", "none"],
  ["orders.py", "http", "gzip"],
  ["orders.py", "http", "deflate"],
  ["orders.mjs", "json", "none"],
  ["orders.mjs", "json", "gzip"],
  ["orders.mjs", "proto", "none"],
  ["orders.mjs", "proto", "gzip"],
  ["orders.mjs", "grpc", "none"],
  ["orders.mjs", "grpc", "gzip"],
];

/** A trace whose large numbers are texts: JavaScript would round nanoseconds. */
async function exactTrace(traceId) {
  const { status, text } = await andon.get(`/api/v1/traces/${traceId}`);
  assert.equal(status, 200, text);
  return JSON.parse(text.replace(/:(\d{16,})/g, ':"$1"'));
}

describe("an app with OpenTelemetry's SDK", () => {
  for (const [program, protocol, compression] of CLIENTS) {
    const skip = program.endsWith(".py") && missing(OTEL_PYTHON);
    test(`${program} over ${protocol}, packed: ${compression}`, { skip }, async () => {
      const start = `${BigInt(hoursAgo(0)) + 123_457n}`;
      const after = (ms) => `${BigInt(start) + BigInt(ms * MS)}`;
      const url = protocol === "grpc" ? andon.otlpGrpcUrl : andon.otlpUrl;
      const { said, log } = await send(program, [protocol, compression, url, start]);
      assert.equal(log, "", "the client has nothing to complain of");
      const [{ trace_id: traceId, spans: ids }] = said;
      // All of it was acknowledged: there is nothing to wait for.
      const trace = await exactTrace(traceId);
      assert.equal(trace.spans.length, 3);
      const by = Object.fromEntries(trace.spans.map((span) => [span.name, span]));
      const [order, payment, parcel] = ["注文を受ける", "支払い", "発送"].map((name) => by[name]);

      for (const span of trace.spans) {
        assert.equal(span.span_id, ids[span.name]);
        assert.equal(span.service, "注文");
        assert.equal(span.env, "試験");
        assert.equal(span.version, "1.2");
        assert.equal(span.attributes["otel.scope.name"], "orders");
        assert.equal(span.attributes["otel.scope.version"], "7.8");
      }
      assert.equal(order.parent_id, null);
      assert.equal(payment.parent_id, order.span_id);
      assert.equal(parcel.parent_id, order.span_id);
      assert.deepEqual(
        [order, payment, parcel].map(({ kind }) => kind),
        ["server", "client", "producer"],
      );
      assert.deepEqual(
        [order, payment, parcel].map(({ duration_ns: took }) => took / MS),
        [250, 100, 80],
      );
      assert.deepEqual(
        [order, payment, parcel].map(({ start_ns: at }) => at),
        [after(0), after(50), after(160)],
      );

      assert.equal(order.attributes["顧客"], "青木");
      assert.equal(order.attributes["注文.数"], 3);
      assert.equal(order.attributes["注文.番号"], "9007199254740991");
      assert.equal(order.attributes["注文.比率"], 0.5);
      assert.equal(order.attributes["注文.急ぎ"], true);
      assert.deepEqual(JSON.parse(order.attributes["注文.品"]), ["寿司", "茶"]);
      assert.equal(order.http_method, "POST");
      assert.equal(order.http_route, "/orders/{id}");
      assert.equal(order.http_status, 201);
      assert.equal(order.attributes["event.0.name"], "在庫を見た");
      assert.equal(order.attributes["event.0.time_ns"], after(20));
      assert.equal(order.attributes["event.0.棚"], "二番");
      assert.equal(order.attributes["event.0.残り"], 4);
      assert.equal(payment.attributes["link.0.trace_id"], "aaaa".padEnd(32, "0"));
      assert.equal(payment.attributes["link.0.span_id"], "bbbb".padEnd(16, "0"));

      assert.deepEqual(
        [order, payment, parcel].map(({ status }) => status),
        ["ok", "unset", "error"],
      );
      const type = program.endsWith(".py") ? "ValueError" : "RangeError";
      assert.equal(parcel.error_type, type);
      assert.equal(parcel.error_message, "住所がありません");
      assert.equal(parcel.attributes["event.0.name"], "exception");
      assert.equal(parcel.attributes["event.0.exception.type"], type);
      assert.equal(parcel.attributes["event.0.exception.message"], "住所がありません");
      assert.match(parcel.attributes["event.0.exception.stacktrace"], /住所がありません/);
      for (const span of [order, payment]) {
        assert.equal(span.error_type, null);
        assert.equal(span.error_message, null);
      }
    });
  }
});
