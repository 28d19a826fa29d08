import { describe, expect, it } from "vitest";
import { appendOlder, mergeNewest, MOST_ROWS } from "./merge";
import { summary } from "./testing";

const numbers = (rows: { trace_id: string }[]): number[] =>
  rows.map((row) => parseInt(row.trace_id, 16));

describe("a list of traces", () => {
  it("takes new traces on top and updates those it has", () => {
    const rows = [summary(2, 20), summary(1, 10)];
    const merged = mergeNewest(rows, [summary(3, 30), summary(2, 20, { status: "error" })], false);
    expect(numbers(merged.rows)).toEqual([3, 2, 1]);
    expect(merged.rows[1]?.status).toBe("error");
    expect(numbers([...merged.fresh].map((trace_id) => ({ trace_id })))).toEqual([3]);
  });

  it("drops a row that the newest page covers but no longer holds", () => {
    const merged = mergeNewest(
      [summary(3, 30), summary(2, 20), summary(1, 10)],
      [summary(3, 30), summary(1, 10)],
      false,
    );
    expect(numbers(merged.rows)).toEqual([3, 1]);
  });

  it("starts anew rather than show a hole", () => {
    const merged = mergeNewest([summary(1, 10)], [summary(9, 90), summary(8, 80)], false);
    expect(numbers(merged.rows)).toEqual([9, 8]);
    expect(merged.restarted).toBe(true);
  });

  it("shows a trace once, also when pages overlap, and stays within its bound", () => {
    expect(numbers(appendOlder([summary(2, 20)], [summary(2, 20), summary(1, 10)]))).toEqual([
      2, 1,
    ]);
    const many = Array.from({ length: MOST_ROWS }, (_, i) => summary(i + 1, i));
    expect(appendOlder(many, [summary(MOST_ROWS + 5, 0)])).toHaveLength(MOST_ROWS);
  });
});
