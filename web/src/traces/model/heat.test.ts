import { describe, expect, it } from "vitest";
import { dragged, heat, ROWS } from "./heat";
import { summary } from "./testing";

describe("the heat strip", () => {
  it("counts traces by time and duration, errors apart", () => {
    const strip = heat(
      [
        summary(1, 0, { duration_ns: 5e6 }),
        summary(2, 0, { duration_ns: 6e6, status: "error" }),
        summary(3, 100, { duration_ns: 90e9 }),
      ],
      0,
      100_000,
      10,
    );
    expect(strip?.cells).toEqual([
      { column: 0, row: 0, count: 2, errors: 1 },
      { column: 9, row: ROWS - 1, count: 1, errors: 0 },
    ]);
    expect(strip?.most).toBe(2);
  });

  it("leaves out what lies outside the asked time and takes a single trace", () => {
    expect(heat([summary(1, 500)], 0, 1000, 10)?.cells).toEqual([]);
    expect(heat([summary(1, 500)], null, null, 10)?.cells).toHaveLength(1);
    expect(heat([], 0, 1, 10)).toBeNull();
  });

  it("turns a drag in either direction into a stretch of time within the strip", () => {
    const strip = { fromMs: 1000, toMs: 2000 };
    expect(dragged(strip, 0.75, 0.25)).toEqual({ fromMs: 1250, toMs: 1750 });
    expect(dragged(strip, -3, 9)).toEqual({ fromMs: 1000, toMs: 2000 });
  });
});
