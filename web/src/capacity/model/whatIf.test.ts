import { describe, expect, it } from "vitest";
import { NO_QUESTION, type Question } from "./question";
import { fared } from "./testing";
import { AS_IT_WAS, change, figureOf, FIGURES, isChanged } from "./whatIf";

describe("what would be", () => {
  it("is compared figure by figure", () => {
    const values = FIGURES.map((name) => figureOf(fared(), name));
    expect(values).toEqual([1e9, 2e9, 3e9, 4e9, 5, 7, 0.5]);
  });

  it("is better with less, of times by their part", () => {
    expect(change("time", 2e9, 1e9)).toEqual({ verdict: "better", by: 0.5 });
    expect(change("time", 1e9, 3e9)).toEqual({ verdict: "worse", by: 2 });
    expect(change("calls", 75, 172)).toEqual({ verdict: "worse", by: 97 });
    expect(change("calls", 3, 2)).toEqual({ verdict: "better", by: 1 });
    const less = change("share", 0.5, 0.25);
    expect(less).toEqual({ verdict: "better", by: 0.25 });
  });

  it("is the same where the difference is too small to be one", () => {
    expect(change("time", 1e9, 1.009e9).verdict).toBe("same");
    expect(change("time", 0, 0).verdict).toBe("same");
    expect(change("calls", 4, 4).verdict).toBe("same");
    expect(change("share", 0.5, 0.504).verdict).toBe("same");
  });

  it("is asked where any setting is another one", () => {
    expect(isChanged(NO_QUESTION)).toBe(false);
    const ofPeople: Question = { ...NO_QUESTION, wait: 3, parallel: 2 };
    expect(isChanged(ofPeople)).toBe(false);
    expect(isChanged({ ...AS_IT_WAS, threads: 4 })).toBe(true);
    expect(isChanged({ ...AS_IT_WAS, keep: "-1" })).toBe(true);
  });
});
