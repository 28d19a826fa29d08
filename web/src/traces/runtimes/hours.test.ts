import { describe, expect, it } from "vitest";
import type { KeptHours } from "../../api/types";
import { runtimes as en } from "../../i18n/en/runtimes";
import { runtimes as ja } from "../../i18n/ja/runtimes";
import { browserZone, dayWords, formOf, hoursWords } from "./hours";

const ZONE = "Asia/Tokyo";
const WORK: KeptHours = { from: "08:00", to: "18:30", days: [1, 2, 3, 4, 5], time_zone: ZONE };

describe("days in words", () => {
  it.each([
    [[], "every day", "毎日"],
    [[7, 6, 5, 4, 3, 2, 1], "every day", "毎日"],
    [[1, 2, 3, 4, 5], "Mon–Fri", "月〜金"],
    [[6, 7], "Sat, Sun", "土・日"],
    [[3, 1], "Mon, Wed", "月・水"],
    [[1, 2, 3, 5, 7], "Mon–Wed, Fri, Sun", "月〜水・金・日"],
    [[4], "Thu", "木"],
  ])("%j are %s", (days, english, japanese) => {
    expect(dayWords(days, en.hours)).toBe(english);
    expect(dayWords(days, ja.hours)).toBe(japanese);
  });

  it("are all where the server names none", () => {
    expect(dayWords(undefined, en.hours)).toBe("every day");
  });
});

describe("hours in words", () => {
  const told = (hours: KeptHours | null) => [
    hoursWords(hours, en.hours, ZONE),
    hoursWords(hours, ja.hours, ZONE),
  ];

  it("are as people write them in each language", () => {
    expect(told(WORK)).toEqual(["Mon–Fri 08:00–18:30", "月〜金 8:00–18:30"]);
    expect(told(null)).toEqual(["always", "常時"]);
    expect(hoursWords(undefined, en.hours)).toBe("always");
  });

  it("say that they end on the next day, or never within one", () => {
    const night = { ...WORK, from: "22:00", to: "06:00", days: [5] };
    expect(told(night)).toEqual(["Fri 22:00–06:00 next day", "金 22:00–翌 6:00"]);
    const whole = { ...WORK, from: "00:00", to: "00:00", days: [6, 7] };
    expect(told(whole)).toEqual(["Sat, Sun all day", "土・日 終日"]);
    expect(told({ ...WORK, to: "00:00", days: [] })).toEqual([
      "every day 08:00–00:00 next day",
      "毎日 8:00–翌 0:00",
    ]);
  });

  it("name the place where it is another one", () => {
    expect(hoursWords(WORK, en.hours, "UTC")).toBe("Mon–Fri 08:00–18:30 (Asia/Tokyo)");
  });
});

describe("the form", () => {
  it("begins with the days of work by the reader's clock", () => {
    expect(formOf(null)).toMatchObject({ days: [1, 2, 3, 4, 5], time_zone: browserZone() });
  });

  it("goes on with what is kept, by the clock that it was said by", () => {
    expect(formOf({ ...WORK, days: [5, 1], time_zone: "Europe/Rome" })).toEqual({
      ...WORK,
      days: [1, 5],
      time_zone: "Europe/Rome",
    });
    expect(formOf({ from: "08:00", to: "09:00", time_zone: ZONE }).days).toHaveLength(7);
  });
});
