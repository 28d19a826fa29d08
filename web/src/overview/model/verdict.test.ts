import { describe, expect, it } from "vitest";
import { aggregate, figures, group } from "./testing";
import { errorShare, verdict } from "./verdict";

const calls = (more: Parameters<typeof figures>[0]) => aggregate({ total: group([], more) });

describe("the verdict", () => {
  it("names what made most calls slow and what made most of them fail", () => {
    const causes = aggregate({
      groups: [
        group(["none"], { count: 900 }),
        group([null], { count: 800 }),
        group(["unknown"], { count: 700 }),
        group(["from_a_newer_server"], { count: 600 }),
        group(["queue"], { count: 5 }),
        group(["cold_start"], { count: 7 }),
        group(["timeout"], { count: 6 }),
      ],
    });
    expect(verdict(calls({ count: 10, errors: 2 }), causes)).toMatchObject({
      errors: 2,
      errorShare: 0.2,
      slow: { cause: "cold_start", count: 7 },
      failure: { cause: "timeout", count: 6 },
    });
  });

  it("names the phase that took most of the time", () => {
    const told = verdict(calls({ load_ns: 30, eval_ns: 70 }), aggregate());
    expect(told).toMatchObject({ phase: "generate", phaseShare: 0.7, slow: null, failure: null });
    expect(verdict(calls({}), aggregate()).phase).toBeNull();
  });

  it("has no share of nothing", () => {
    expect(errorShare(figures({ count: 0 }))).toBeNull();
    expect(errorShare(figures({ count: 8, errors: 2 }))).toBe(0.25);
  });
});
