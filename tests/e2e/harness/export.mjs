// Requests of OTLP, written by hand: the same spans and records in JSON and in protobuf.
import { randomBytes } from "node:crypto";
import http2 from "node:http2";
import { fixed64, message, nested, number } from "./protobuf.mjs";
import { hoursAgo } from "./query.mjs";
import { within } from "./wait.mjs";

export const PROTOBUF = "application/x-protobuf";
export const JSON_TYPE = "application/json";

export const newTraceId = () => randomBytes(16).toString("hex");
export const newSpanId = () => randomBytes(8).toString("hex");

/** A span as JSON has it; give what should differ. */
export function span(more = {}) {
  const start = hoursAgo(0);
  return {
    traceId: newTraceId(),
    spanId: newSpanId(),
    name: "written by hand",
    kind: 1,
    startTimeUnixNano: start,
    endTimeUnixNano: `${BigInt(start) + 5_000_000n}`,
    ...more,
  };
}

const service = { attributes: [{ key: "service.name", value: { stringValue: "by-hand" } }] };

export function traces(spans) {
  return { resourceSpans: [{ resource: service, scopeSpans: [{ spans }] }] };
}

export function logs(logRecords) {
  return { resourceLogs: [{ resource: service, scopeLogs: [{ logRecords }] }] };
}

/** A message of a call as a log record of its span, as instrumentations write them. */
export function said({ traceId, spanId }, eventName, content) {
  const body = { kvlistValue: { values: [{ key: "content", value: { stringValue: content } }] } };
  return { traceId, spanId, eventName, observedTimeUnixNano: hoursAgo(0), body };
}

/** The same spans in protobuf. */
export function tracesInProtobuf(spans) {
  const named = message(nested(1, "service.name"), nested(2, nested(1, "by-hand")));
  const all = spans.map((span) =>
    nested(
      2,
      message(
        nested(1, Buffer.from(span.traceId, "hex")),
        nested(2, Buffer.from(span.spanId, "hex")),
        nested(5, span.name),
        number(6, span.kind),
        fixed64(7, span.startTimeUnixNano),
        fixed64(8, span.endTimeUnixNano),
      ),
    ),
  );
  return nested(1, message(nested(1, nested(1, named)), nested(2, message(...all))));
}

/** One request over HTTP/2 from the first byte on: `{headers, body, trailers}`. */
export async function overHttp2(url, headers, body) {
  const session = http2.connect(url);
  try {
    const failed = new Promise((_, reject) => session.once("error", reject));
    const stream = session.request({ ":method": "POST", ...headers });
    const answered = new Promise((resolve, reject) => {
      const [chunks, answer] = [[], { trailers: {} }];
      stream.on("response", (head) => (answer.headers = head));
      stream.on("trailers", (trailers) => (answer.trailers = trailers));
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("end", () => resolve({ ...answer, body: Buffer.concat(chunks) }));
      stream.on("error", reject);
    });
    stream.end(body);
    return await within(`the answer of ${url}`, Promise.race([answered, failed]));
  } finally {
    session.destroy();
  }
}

/** A call of gRPC with this message, as `{code, text, body}`. */
export async function overGrpc(url, method, bytes, headers = {}) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  const answer = await overHttp2(
    url,
    { ":path": method, "content-type": "application/grpc", te: "trailers", ...headers },
    message(head, bytes),
  );
  const end = { ...answer.headers, ...answer.trailers };
  return { code: Number(end["grpc-status"]), text: end["grpc-message"], body: answer.body, end };
}

export const TRACE_SERVICE = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
