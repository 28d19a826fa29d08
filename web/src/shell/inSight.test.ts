import { describe, expect, it } from "vitest";
import { scrollFor } from "./inSight";

describe("a row that is wider than its box", () => {
  const box = { width: 200, left: 0 };

  it("stays where the chosen one is seen", () => {
    expect(scrollFor(box, { from: 60, width: 50 })).toBe(0);
    expect(scrollFor({ width: 200, left: 30 }, { from: 100, width: 50 })).toBe(30);
  });

  it("moves as little as shows the chosen one and a bit of its neighbour", () => {
    expect(scrollFor(box, { from: 180, width: 50 })).toBe(58);
    expect(scrollFor({ width: 200, left: 150 }, { from: 100, width: 50 })).toBe(72);
    expect(scrollFor({ width: 200, left: 150 }, { from: 0, width: 50 })).toBe(0);
  });
});
