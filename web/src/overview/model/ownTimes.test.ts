import { expect, it } from "vitest";
import { fieldValue, ownStretch } from "./ownTimes";

it("what a field shows is what it means", () => {
  const ms = new Date(2026, 0, 2, 3, 4).getTime();
  expect(fieldValue(ms)).toBe("2026-01-02T03:04");
  expect(ownStretch(fieldValue(ms), fieldValue(ms + 60_000))).toEqual({
    fromMs: ms,
    toMs: ms + 60_000,
  });
});

it("an end that is not after the start is none", () => {
  expect(ownStretch("2026-01-02T03:04", "2026-01-02T03:04")).toBeNull();
  expect(ownStretch("", "2026-01-02T03:04")).toBeNull();
});
