import { expect, it } from "vitest";
import { rowTimes } from "./rowTime";

it("names the day of all days but today", () => {
  const rowTime = rowTimes("Asia/Tokyo");
  const ns = Date.UTC(2026, 10, 25, 1, 24, 3) * 1e6;
  expect(rowTime(ns, Date.UTC(2026, 10, 25, 1, 30))).toBe("10:24:03");
  expect(rowTime(ns, Date.UTC(2026, 10, 28, 1, 30))).toBe("11-25 10:24:03");
  expect(rowTime(Number.NaN, 0)).toBe("–");
});
