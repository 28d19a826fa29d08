import { describe, expect, it } from "vitest";
import { aggregate, MINUTE_NS, START_NS } from "./testing";
import { stepAt, stepStretch, stepUnder, timeline, within } from "./timeline";

const START_MS = START_NS / 1e6;

describe("the steps of time", () => {
  it("count from 1970, so the first and the last reach beyond what was asked", () => {
    const line = timeline(
      aggregate({ from_ns: START_NS + 20e9, to_ns: START_NS + 3 * MINUTE_NS + 20e9 }),
    );
    expect(line).toEqual({ fromMs: START_MS, stepMs: 60_000, count: 4 });
  });

  it("take each start that the server writes, and no other", () => {
    const line = timeline(aggregate());
    const starts = Array.from({ length: 10 }, (_, step) => START_NS + step * MINUTE_NS);
    expect(starts.map((start) => stepAt(line, start))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(stepAt(line, START_NS - MINUTE_NS)).toBeNull();
    expect(stepAt(line, START_NS + 10 * MINUTE_NS)).toBeNull();
  });

  it("hold for steps below a second, whose starts are no exact numbers", () => {
    const line = timeline({ from_ns: START_NS, to_ns: START_NS + 1e9, step_ns: 1e7 });
    expect(line.count).toBe(100);
    const steps = Array.from({ length: 100 }, (_, step) => stepAt(line, START_NS + step * 1e7));
    expect(steps).toEqual(Array.from({ length: 100 }, (_, step) => step));
  });

  it("are one where there are none, and bounded where they are too fine", () => {
    expect(timeline(aggregate({ step_ns: null })).count).toBeLessThanOrEqual(2);
    expect(timeline({ from_ns: 5, to_ns: 5, step_ns: null }).count).toBe(1);
    expect(timeline(aggregate({ step_ns: 1000 })).count).toBe(1000);
  });

  it("become a stretch, in whichever direction they were dragged over", () => {
    const line = timeline(aggregate());
    const stretch = { fromMs: START_MS + 120_000, toMs: START_MS + 300_000 };
    expect(stepStretch(line, 2, 4)).toEqual(stretch);
    expect(stepStretch(line, 4, 2)).toEqual(stretch);
  });

  it("lie under places, also under those just outside of the chart", () => {
    const line = timeline(aggregate());
    expect([-0.1, 0, 0.05, 0.95, 1, 1.2].map((share) => stepUnder(line, share))).toEqual([
      0, 0, 0, 9, 9, 9,
    ]);
  });

  it("are cut to the asked times", () => {
    const asked = { fromMs: 100, toMs: 250 };
    expect(within({ fromMs: 0, toMs: 200 }, asked)).toEqual({ fromMs: 100, toMs: 200 });
    expect(within({ fromMs: 200, toMs: 400 }, asked)).toEqual({ fromMs: 200, toMs: 250 });
  });
});
