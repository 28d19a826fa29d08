import { describe, expect, it } from "vitest";
import { position, ticks } from "./axis";

describe("the axis of time", () => {
  it("marks round steps of any size", () => {
    expect(ticks({ fromNs: 0, toNs: 29.6e9 }, 6).map((ns) => ns / 1e9)).toEqual([
      0, 5, 10, 15, 20, 25,
    ]);
    expect(ticks({ fromNs: 0, toNs: 3.2e6 }, 4).map((ns) => ns / 1e6)).toEqual([0, 1, 2, 3]);
    expect(ticks({ fromNs: 0, toNs: 400e9 }, 5).map((ns) => ns / 1e9)).toEqual([0, 120, 240, 360]);
  });

  it("counts from the start of the trace, also where it shows the time before", () => {
    expect(ticks({ fromNs: -1.5e9, toNs: 3e9 }, 5).map((ns) => ns / 1e9)).toEqual([-1, 0, 1, 2]);
  });

  it("never writes more than it was asked for, whatever the length", () => {
    for (const toNs of [1, 999, 1e6, 7.3e8, 1e9, 9.9e10, 1e14, 1e18]) {
      const marks = ticks({ fromNs: 0, toNs }, 6);
      expect(marks.length).toBeGreaterThan(0);
      expect(marks.length).toBeLessThanOrEqual(7);
    }
  });

  it("puts moments in per cent", () => {
    expect(position({ fromNs: -10, toNs: 10 }, 0)).toBe(50);
    expect(position({ fromNs: 0, toNs: 0 }, 0)).toBe(0);
  });
});
