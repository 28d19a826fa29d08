import { describe, expect, it } from "vitest";
import { countScale, durationScale, stepLabel, timeMarks } from "./marks";

const HOUR_MS = 3_600_000;
/** By the clock of whoever runs the test. */
const at = (day: number, hour: number, minute = 0, second = 0): number =>
  new Date(2026, 10, day, hour, minute, second).getTime();

describe("marks of time", () => {
  it("are round by the reader's clock, and midnight is a day", () => {
    const marks = timeMarks({ fromMs: at(24, 10, 15), stepMs: 15 * 60_000, count: 96 }, 5);
    expect(marks.map(({ label }) => label)).toEqual(["12:00", "18:00", "11-25", "06:00"]);
    expect(marks[0]?.share).toBeCloseTo(1.75 / 24);
  });

  it("name days where there are many, and seconds where there are few", () => {
    const days = timeMarks({ fromMs: at(1, 6), stepMs: 12 * HOUR_MS, count: 40 }, 5);
    expect(days.map(({ label }) => label)).toEqual(["11-02", "11-07", "11-12", "11-17"]);
    const seconds = timeMarks({ fromMs: at(24, 10, 15, 1), stepMs: 1000, count: 20 }, 5);
    expect(seconds.map(({ label }) => label)).toEqual([
      "10:15:05",
      "10:15:10",
      "10:15:15",
      "10:15:20",
    ]);
  });

  it("are never many more than there is room for, and lie within the axis", () => {
    for (const length of [1000, 60_000, HOUR_MS, 86_400_000, 30 * 86_400_000, 4e11]) {
      const marks = timeMarks({ fromMs: at(24, 3, 7, 11), stepMs: length / 100, count: 100 }, 6);
      expect(marks.length).toBeLessThanOrEqual(7);
      for (const { share } of marks) {
        expect(share).toBeGreaterThanOrEqual(0);
        expect(share).toBeLessThan(1);
      }
    }
  });
});

describe("a step in words", () => {
  it("names the day once, the second day where it ends there, and seconds where it has some", () => {
    expect(stepLabel(at(24, 10, 15), at(24, 10, 30))).toBe("11-24 10:15–10:30");
    expect(stepLabel(at(24, 12), at(25, 0))).toBe("11-24 12:00–11-25 00:00");
    expect(stepLabel(at(24, 10, 15), at(24, 10, 15, 5))).toBe("11-24 10:15:00–10:15:05");
  });
});

describe("scales", () => {
  it("count in whole, round steps up to at least the greatest", () => {
    expect(countScale(66)).toEqual({ top: 100, marks: [50, 100] });
    expect(countScale(24)).toEqual({ top: 30, marks: [10, 20, 30] });
    expect(countScale(1)).toEqual({ top: 1, marks: [1] });
    expect(countScale(0).marks).toEqual([]);
  });

  it("mark durations as clocks do", () => {
    const scale = durationScale(54.5e9);
    expect(scale.marks.map((ns) => ns / 1e9)).toEqual([30, 60]);
    for (const most of [1, 999, 1e6, 7.3e8, 1e9, 5e9, 9.9e10, 3.6e12, 1e15]) {
      const { top, marks } = durationScale(most);
      expect(top).toBeGreaterThanOrEqual(most * 0.999);
      expect(marks.length).toBeGreaterThan(0);
      expect(marks.length).toBeLessThanOrEqual(4);
    }
  });
});
