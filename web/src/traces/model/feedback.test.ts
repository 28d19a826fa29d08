import { expect, it } from "vitest";
import type { Evaluation } from "../../api/types";
import { latestWords, standingThumb } from "./feedback";
import { id, TRACE } from "./testing";

const thumb = (time_ns: number, score: number, more: Partial<Evaluation> = {}): Evaluation => ({
  trace_id: TRACE,
  span_id: id(1),
  time_ns,
  evaluator: "thumb",
  version: null,
  metric_type: "score",
  score,
  label: null,
  reason: null,
  source: "human",
  duration_ns: null,
  ...more,
});

it("the latest thumb stands, in whatever order they came", () => {
  expect(standingThumb([thumb(2, -1), thumb(1, 1)])).toBe(-1);
  expect(standingThumb([])).toBe(0);
});

it("a thumb that was taken back is gone; other words stay", () => {
  const all = [thumb(1, 1), thumb(2, 0), thumb(1, 0, { evaluator: "relevance", source: "judge" })];
  expect(standingThumb(all)).toBe(0);
  expect(latestWords(all).map((word) => word.evaluator)).toEqual(["relevance"]);
});
