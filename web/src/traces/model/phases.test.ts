import { describe, expect, it } from "vitest";
import { hasPhases, stretches } from "./phases";
import { timings } from "./testing";

describe("the phases of a call", () => {
  it("follow each other and leave the rest as other", () => {
    expect(stretches(timings({ load_ns: 20, prompt_eval_ns: 5, eval_ns: 10 }), 40)).toEqual([
      { part: "load", startNs: 0, durationNs: 20 },
      { part: "prompt", startNs: 20, durationNs: 5 },
      { part: "generate", startNs: 25, durationNs: 10 },
      { part: "other", startNs: 35, durationNs: 5 },
    ]);
  });

  it("never draw beyond their span", () => {
    const drawn = stretches(timings({ queue_ns: 30, eval_ns: 90 }), 60);
    expect(drawn.map((s) => s.durationNs)).toEqual([15, 45]);
  });

  it("are none where nothing is known", () => {
    expect(hasPhases(timings({}))).toBe(false);
    expect(hasPhases(timings({ load_ns: 0 }))).toBe(false);
    expect(stretches(timings({}), 7)).toEqual([{ part: "other", startNs: 0, durationNs: 7 }]);
    expect(stretches(timings({}), 0)).toEqual([]);
  });
});
