import { describe, expect, it } from "vitest";
import { busiest, cores, heldBack, LEVELS, markedRows, rowHeight, runs, weight } from "./cores";
import { device, LINE, point } from "./testing";

const core = (id: string, shares: (number | null)[], throttled: number | null = null) =>
  device(
    "cpu",
    id,
    shares.flatMap((share, step) =>
      share === null
        ? []
        : [point(step, { utilization: share, utilization_peak: share, throttled })],
    ),
  );

describe("the cores", () => {
  it("stand in the order of their numbers, with what they did at each step", () => {
    const all = cores(LINE, [core("cpu10", [0.5]), core("cpu2", [0, null, 1]), core("cpu0", [])]);
    expect(all.map(({ number }) => number)).toEqual([2, 10]);
    expect(all[0]).toMatchObject({ values: [0, null, 1, null], mean: 0.5, peak: 1 });
    expect(cores(LINE, [device("gpu", "0", [point(0, { utilization: 1 })])])).toEqual([]);
  });

  it("are drawn as runs of one level, with gaps where nobody looked", () => {
    const all = cores(LINE, [core("cpu0", [0.01, 0.02, null, 0]), core("cpu1", [1, 1, 0.99, 0.5])]);
    const levels = runs(all);
    expect(levels[0]).toEqual([
      { row: 0, step: 0, steps: 2 },
      { row: 0, step: 3, steps: 1 },
    ]);
    expect(levels[LEVELS - 1]).toEqual([{ row: 1, step: 0, steps: 3 }]);
    expect(levels[LEVELS / 2]).toEqual([{ row: 1, step: 3, steps: 1 }]);
    expect(levels.flat()).toHaveLength(4);
    expect(weight(0)).toBeGreaterThan(0);
    expect(weight(LEVELS - 1)).toBe(1);
  });

  it("tell which one did most, and which heat held down", () => {
    const all = cores(LINE, [
      core("cpu0", [0.2, 0.9], 0),
      core("cpu1", [0.7, 0.1], 0.1),
      core("cpu2", [0.1, 0.1], 0.4),
    ]);
    expect(busiest(all, 0)).toMatchObject({ core: { number: 1 }, share: 0.7 });
    expect(busiest(all, 3)).toBeNull();
    expect(heldBack(all).map(({ number }) => number)).toEqual([2, 1]);
  });

  it("stay small where they are many", () => {
    expect(rowHeight(4) * 4).toBeLessThan(60);
    expect(rowHeight(64) * 64).toBeLessThanOrEqual(200);
    expect(rowHeight(256) * 256).toBeLessThanOrEqual(400);
    expect(markedRows(4)).toEqual([0, 1, 2, 3]);
    expect(markedRows(64)).toEqual([0, 16, 32, 48]);
    expect(markedRows(1)).toEqual([0]);
  });
});
