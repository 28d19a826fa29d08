import { expect, test } from "vitest";
import type { IntakeDoor } from "../../api/types";
import { byDoor, lastSpanMs } from "./doors";

function door(protocol: IntakeDoor["protocol"], last: number | null): IntakeDoor {
  return {
    protocol,
    address: null,
    requests: 0,
    bytes: 0,
    spans: 0,
    texts: 0,
    evaluations: 0,
    metrics: 0,
    last_span_ns: last,
    rejected: [],
  };
}

test("either port of a protocol counts, and the other protocols do not", () => {
  const doors = [door("otlp_grpc", 5e6), door("otlp_http", 7e6), door("datadog", 9e6)];
  expect(lastSpanMs(doors, "otlp")).toBe(7);
  expect(lastSpanMs(doors, "datadog")).toBe(9);
  expect(lastSpanMs([door("otlp_http", null)], "otlp")).toBeNull();
});

test("recipes stand together by their doors", () => {
  const recipe = (name: string, of: string) => ({ name, title: name, door: of, lines: null });
  const groups = byDoor([recipe("a", "otlp"), recipe("b", "capture"), recipe("c", "otlp")]);
  expect(groups.map(([of, all]) => [of, all.map(({ name }) => name)])).toEqual([
    ["otlp", ["a", "c"]],
    ["capture", ["b"]],
  ]);
});
