import { describe, expect, it } from "vitest";
import { modelCall, phaseExtent } from "./llm";
import { id, span, timings } from "./testing";
import { buildTree } from "./tree";

describe("the call to the model", () => {
  it("is the span that says so", () => {
    const tree = buildTree([
      span(1, null, { timings: timings({ load_ns: 5 }), duration_ns: 900 }),
      span(2, 1, { llm_kind: "llm", duration_ns: 10 }),
    ]);
    expect(modelCall(tree)?.span.span_id).toBe(id(2));
  });

  it("is the innermost span with timings where none says so", () => {
    const tree = buildTree([
      span(1, null, { timings: timings({ load_ns: 5 }) }),
      span(2, 1, { timings: timings({ load_ns: 5 }) }),
      span(3, 2),
    ]);
    expect(modelCall(tree)?.span.span_id).toBe(id(2));
    expect(modelCall(buildTree([span(1, null)]))).toBeNull();
  });

  it("says when each of its phases ran", () => {
    const tree = buildTree([
      span(1, null, { start_ns: 100 }),
      span(2, 1, {
        start_ns: 110,
        llm_kind: "llm",
        timings: timings({ queue_ns: 5, load_ns: 20, eval_ns: 3 }),
      }),
    ]);
    const call = modelCall(tree);
    expect(call && phaseExtent(call, "load")).toEqual({ fromNs: 15, toNs: 35 });
    expect(call && phaseExtent(call, "generate")).toEqual({ fromNs: 35, toNs: 38 });
    expect(call && phaseExtent(call, "prompt")).toBeNull();
  });
});
