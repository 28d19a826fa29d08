import { expect, it } from "vitest";
import { entrySpan } from "./entry";
import { id, span } from "./testing";
import { buildTree } from "./tree";

it("a trace is named by the first request to a server, else by its root", () => {
  const spans = [
    span(1, null, { service: "browser" }),
    span(2, 1, { kind: "server" }),
    span(3, 2, { kind: "server" }),
  ];
  expect(entrySpan(buildTree(spans))?.span.span_id).toBe(id(2));
  expect(entrySpan(buildTree(spans.slice(0, 1)))?.span.span_id).toBe(id(1));
  expect(entrySpan(buildTree([]))).toBeNull();
});
