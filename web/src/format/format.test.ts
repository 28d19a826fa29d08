import { describe, expect, it } from "vitest";
import * as format from "./format";
import { dateTime, daysAgo, timeOfDay } from "./time";

describe("duration", () => {
  it.each([
    [0, "0 ms"],
    [0.84, "840 µs"],
    [0.9996, "1.00 ms"],
    [12.44, "12.4 ms"],
    [99.97, "100 ms"],
    [999.6, "1.00 s"],
    [1240, "1.24 s"],
    [29_600, "29.6 s"],
    [59_960, "1 min 00 s"],
    [87_000, "1 min 27 s"],
    [7_499_000, "2 h 05 min"],
  ])("%d ms is %s", (ms, text) => {
    expect(format.duration(ms, "en")).toBe(text);
  });

  it("speaks Japanese", () => {
    expect(format.duration(22_400, "ja")).toBe("22.4 秒");
    expect(format.duration(87_000, "ja")).toBe("1 分 27 秒");
  });

  it("drops what is nothing from a round mark of an axis", () => {
    const marks = [5e9, 60e9, 90e9, 7_200e9, 1.5e9, 3e8, null];
    const told = ["5 s", "1 min", "1 min 30 s", "2 h", "1.5 s", "300 ms", "–"];
    expect(marks.map((ns) => format.durationMark(ns, "en"))).toEqual(told);
    expect(format.durationMark(1_800e9, "ja")).toBe("30 分");
  });

  it("shows unknown as a dash, not as 0", () => {
    expect(format.duration(null, "en")).toBe("–");
    expect(format.durationNs(undefined, "ja")).toBe("–");
    expect(format.tokens(Number.NaN, "ja")).toBe("–");
  });
});

describe("other units", () => {
  it("counts memory in binary units", () => {
    expect(format.bytes(253_000_000, "en")).toBe("241 MiB");
    expect(format.bytes(512, "en")).toBe("512 B");
    expect(format.bytes(3.1 * 1024 ** 3, "ja")).toBe("3.10 GiB");
    expect(format.bytes(1023.9 * 1024, "en")).toBe("1.00 MiB");
  });

  it("groups thousands and names tokens", () => {
    expect(format.tokens(14_906, "ja")).toBe("14,906 トークン");
    expect(format.tokens(1, "en")).toBe("1 token");
    expect(format.tokensPerSecond(8.234, "ja")).toBe("8.2 トークン/秒");
  });

  it("shortens large counts, and only these", () => {
    expect(format.shortCount(9_999, "en")).toBe("9,999");
    expect(format.shortCount(12_345, "en")).toBe("12.3K");
    expect(format.shortCount(1_234_567, "en")).toBe("1.23M");
    expect(format.shortCount(123_456, "ja")).toBe("12.3万");
    expect(format.shortCount(null, "ja")).toBe("–");
  });

  it("never claims 0 % of something small", () => {
    expect(format.percent(0.004, "en")).toBe("0.4 %");
    expect(format.percent(0.41, "ja")).toBe("41 %");
  });

  it("keeps a running clock from going backwards or jumping in width", () => {
    expect(format.clock(-5, "en")).toBe("0.0 s");
    expect(format.clock(59_999, "en")).toBe("59.9 s");
    expect(format.clock(61_000, "ja")).toBe("1 分 01 秒");
  });
});

describe("times", () => {
  const ns = Date.UTC(2026, 10, 25, 1, 24, 3, 120) * 1e6;

  it("names the zone", () => {
    expect(dateTime(ns, "ja", "Asia/Tokyo")).toBe("2026-11-25 10:24:03.120 JST");
    expect(dateTime(ns, "en", "UTC")).toBe("2026-11-25 01:24:03.120 UTC");
    expect(timeOfDay(ns, "Asia/Tokyo")).toBe("10:24:03");
  });

  it("counts days by the calendar, not by 24 hours", () => {
    const late = new Date(2026, 10, 24, 23, 59).getTime();
    const early = new Date(2026, 10, 25, 0, 1).getTime();
    expect(daysAgo(late, early)).toBe(1);
    expect(daysAgo(early, early)).toBe(0);
  });
});
