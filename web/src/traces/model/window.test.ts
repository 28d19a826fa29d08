import { describe, expect, it } from "vitest";
import { seenRows } from "./window";

describe("the rows in view", () => {
  it("are few of 10,000", () => {
    const seen = seenRows(100_000, 900, 26, 10_000);
    expect(seen.end - seen.first).toBeLessThan(70);
    expect(seen.first).toBeLessThanOrEqual(3846);
    expect(seen.end).toBeGreaterThanOrEqual(3881);
  });

  it("stay within the list at its ends and when it is out of view", () => {
    expect(seenRows(-500, 900, 26, 5)).toEqual({ first: 0, end: 5 });
    expect(seenRows(1e9, 900, 26, 5)).toEqual({ first: 5, end: 5 });
    expect(seenRows(-1e9, 900, 26, 5)).toEqual({ first: 0, end: 0 });
  });
});
