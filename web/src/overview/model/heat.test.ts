import { describe, expect, it } from "vitest";
import { cells, neighbour, rowBounds, type Cell } from "./heat";
import { heatmap, MINUTE_NS, START_NS } from "./testing";
import { timeline } from "./timeline";

const column = (minute: number, counts: number[]) => ({
  start_ns: START_NS + minute * MINUTE_NS,
  counts,
});

describe("the heat map", () => {
  const map = heatmap({
    columns: [column(0, [1, 0, 100]), column(5, [0, 10, 0]), column(99, [1])],
  });
  const all = cells(map, timeline(map));

  it("has a cell for what there is, within the asked times", () => {
    expect(all.map(({ step, row, count }) => [step, row, count])).toEqual([
      [0, 0, 1],
      [0, 2, 100],
      [5, 1, 10],
    ]);
  });

  it("shows a single call beside many, and more as more", () => {
    const [one, hundred, ten] = all.map(({ weight }) => weight);
    expect(one).toBeGreaterThan(0.2);
    expect(ten).toBeGreaterThan(one ?? 1);
    expect(hundred).toBe(1);
  });

  it("knows the durations of a row; the last one has no end", () => {
    expect(rowBounds(map, 1)).toEqual({ fromNs: 1e9, toNs: 4e9 });
    expect(rowBounds(map, 2)).toEqual({ fromNs: 4e9, toNs: null });
  });
});

describe("arrow keys", () => {
  const cell = (step: number, row: number): Cell => ({ step, row, count: 1, weight: 1 });
  const from = cell(3, 1);
  const all = [cell(0, 0), cell(2, 5), cell(2, 0), from, cell(3, 4), cell(3, 7), cell(8, 1)];
  const to = (direction: Parameters<typeof neighbour>[2]) => {
    const next = neighbour(all, from, direction);
    return next && [next.step, next.row];
  };

  it("lead to the nearest cell that has something", () => {
    expect(to("left")).toEqual([2, 0]);
    expect(to("right")).toEqual([8, 1]);
    expect(to("up")).toEqual([3, 4]);
    expect(to("down")).toBeNull();
  });
});
