import { describe, expect, it } from "vitest";
import { linePath, phaseShares, slots, stacked } from "./series";
import { aggregate, figures, point } from "./testing";
import { timeline } from "./timeline";

describe("the steps' figures", () => {
  it("stand at their step; where nothing happened there is nothing, not 0", () => {
    const line = timeline(aggregate());
    const steps = slots(line, [point(-1, { count: 9 }), point(1, { count: 3 }), point(9)]);
    expect(steps.map((at) => at?.count ?? null)).toEqual([
      null,
      3,
      null,
      null,
      null,
      null,
      null,
      null,
      null,
      1,
    ]);
  });
});

describe("the phases", () => {
  it("share the time that is known, in the order they happen", () => {
    const shares = phaseShares(figures({ eval_ns: 60, load_ns: 20, queue_ns: 0 }));
    expect(shares).toEqual([
      { phase: "load", ns: 20, share: 0.25 },
      { phase: "generate", ns: 60, share: 0.75 },
    ]);
    expect(phaseShares(figures())).toEqual([]);
  });
});

describe("stacked bars", () => {
  it("stand on each other and leave out what is nothing", () => {
    const steps = [figures({ count: 4, errors: 1 }), null, figures({ count: 2 })];
    const layers = stacked(steps, [(at) => at.errors, (at) => at.count - at.errors], 4);
    expect(layers).toEqual([
      [{ step: 0, from: 0, to: 0.25 }],
      [
        { step: 0, from: 0.25, to: 1 },
        { step: 2, from: 0, to: 0.5 },
      ],
    ]);
  });
});

describe("a line", () => {
  it("breaks where nothing happened", () => {
    expect(linePath([10, 5, null, 0, 10], 10, 100)).toBe("M0.5 0.00L1.5 50.00M3.5 100.00L4.5 0.00");
  });

  it("is seen where there is one step alone", () => {
    expect(linePath([null, 5, null], 10, 100)).toBe("M1.1 50.00H1.9");
    expect(linePath([null, null], 10, 100)).toBe("");
  });
});
