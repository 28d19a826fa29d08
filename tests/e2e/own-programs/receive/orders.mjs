// The order of orders.py, traced by OpenTelemetry's SDK for Node.
//   orders.mjs json|proto|grpc none|gzip URL START_NS
import {
  diag,
  DiagLogLevel,
  SpanKind,
  SpanStatusCode,
  trace,
  ROOT_CONTEXT,
} from "@opentelemetry/api";
import { OTLPTraceExporter as Grpc } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as Json } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as Proto } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [protocol, compression, url, startNs] = process.argv.slice(2);
const complain = (...said) => console.error(...said);
diag.setLogger(
  { error: complain, warn: complain, info: complain, debug: complain, verbose: complain },
  DiagLogLevel.WARN,
);

const Exporter = { json: Json, proto: Proto, grpc: Grpc }[protocol];
const exporter = new Exporter({
  url: protocol === "grpc" ? url : `${url}/v1/traces`,
  compression,
});
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({
    "service.name": "注文",
    "deployment.environment.name": "試験",
    "service.version": "1.2",
  }),
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
const tracer = provider.getTracer("orders", "7.8");

/** Seconds and nanoseconds, as the SDK writes a time. */
function at(ms) {
  const ns = BigInt(startNs) + BigInt(ms) * 1_000_000n;
  return [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)];
}

const order = tracer.startSpan(
  "注文を受ける",
  {
    kind: SpanKind.SERVER,
    startTime: at(0),
    attributes: {
      顧客: "青木",
      "注文.数": 3,
      "注文.番号": Number.MAX_SAFE_INTEGER,
      "注文.比率": 0.5,
      "注文.急ぎ": true,
      "注文.品": ["寿司", "茶"],
      "http.request.method": "POST",
      "http.route": "/orders/{id}",
      "http.response.status_code": 201,
    },
  },
  ROOT_CONTEXT,
);
order.addEvent("在庫を見た", { 棚: "二番", 残り: 4 }, at(20));
const inside = trace.setSpan(ROOT_CONTEXT, order);
const earlier = {
  traceId: "aaaa".padEnd(32, "0"),
  spanId: "bbbb".padEnd(16, "0"),
  traceFlags: 1,
  isRemote: true,
};
const payment = tracer.startSpan(
  "支払い",
  {
    kind: SpanKind.CLIENT,
    startTime: at(50),
    links: [{ context: earlier, attributes: { 訳: "前回" } }],
  },
  inside,
);
payment.end(at(150));
const parcel = tracer.startSpan("発送", { kind: SpanKind.PRODUCER, startTime: at(160) }, inside);
const failure = new RangeError("住所がありません");
parcel.recordException(failure, at(170));
parcel.setStatus({ code: SpanStatusCode.ERROR, message: failure.message });
parcel.end(at(240));
order.setStatus({ code: SpanStatusCode.OK });
order.end(at(250));
await provider.shutdown();

const spans = [order, payment, parcel].map((span) => [span.name, span.spanContext().spanId]);
console.log(
  JSON.stringify({ trace_id: order.spanContext().traceId, spans: Object.fromEntries(spans) }),
);
