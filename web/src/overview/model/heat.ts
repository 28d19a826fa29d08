// The heat map: how many calls took how long, over time.

import type { HeatMap } from "../../api/types";
import { stepAt, type Timeline } from "./timeline";

export interface Cell {
  step: number;
  /** 0 = quickest. */
  row: number;
  count: number;
  /** 0 to 1: how many, beside the fullest cell. */
  weight: number;
}

/** A cell with one call must still be seen beside one with thousands. */
const LEAST_WEIGHT = 0.22;

/** The cells that have something, column by column, quickest first. */
export function cells(map: HeatMap, line: Timeline): Cell[] {
  const rows = rowCount(map);
  const found: Cell[] = [];
  let most = 0;
  for (const column of map.columns) {
    const step = stepAt(line, column.start_ns);
    if (step === null) continue;
    column.counts.slice(0, rows).forEach((count, row) => {
      if (count > 0) found.push({ step, row, count, weight: 0 });
      most = Math.max(most, count);
    });
  }
  const weigh = (count: number): number =>
    LEAST_WEIGHT + (1 - LEAST_WEIGHT) * (Math.log1p(count) / Math.log1p(Math.max(1, most)));
  return found.map((cell) => ({ ...cell, weight: weigh(cell.count) }));
}

export function rowCount(map: HeatMap): number {
  return Math.max(0, map.edges_ns.length - 1);
}

/** The durations of a row; the last one has no end, for calls longer than the scale are in it. */
export function rowBounds(map: HeatMap, row: number): { fromNs: number; toNs: number | null } {
  const last = row >= rowCount(map) - 1;
  return { fromNs: map.edges_ns[row] ?? 0, toNs: last ? null : (map.edges_ns[row + 1] ?? null) };
}

export type Direction = "left" | "right" | "up" | "down";

/** The cell that an arrow key leads to: the nearest one in that direction that has something. */
export function neighbour(all: readonly Cell[], at: Cell, direction: Direction): Cell | null {
  const across = direction === "left" || direction === "right";
  const sign = direction === "right" || direction === "up" ? 1 : -1;
  let best: Cell | null = null;
  let bestCost = Infinity;
  for (const cell of all) {
    const along = sign * (across ? cell.step - at.step : cell.row - at.row);
    const aside = Math.abs(across ? cell.row - at.row : cell.step - at.step);
    // Up and down stay in their column; left and right take the nearest column, then row.
    if (along <= 0 || (!across && aside > 0)) continue;
    const cost = along * 1000 + aside;
    if (cost < bestCost) [best, bestCost] = [cell, cost];
  }
  return best;
}
