// How long the loaded traces took, over time: a grid of counts.

import type { TraceSummary } from "../../api/types";

/** Upper bounds of the rows in milliseconds, lowest row first; the last row has none. */
export const ROW_BOUNDS_MS = [30, 100, 300, 1000, 3000, 10_000, 30_000];
export const ROWS = ROW_BOUNDS_MS.length + 1;

export interface Cell {
  column: number;
  /** 0 = quickest. */
  row: number;
  count: number;
  errors: number;
}

export interface Heat {
  fromMs: number;
  toMs: number;
  cells: Cell[];
  most: number;
}

function rowOf(durationNs: number): number {
  const row = ROW_BOUNDS_MS.findIndex((bound) => durationNs / 1e6 <= bound);
  return row < 0 ? ROWS - 1 : row;
}

/** `fromMs`/`toMs` null: from the earliest trace, to the latest. */
export function heat(
  traces: readonly TraceSummary[],
  fromMs: number | null,
  toMs: number | null,
  columns: number,
): Heat | null {
  if (traces.length === 0) return null;
  let first = fromMs ?? Infinity;
  let last = toMs ?? -Infinity;
  for (const trace of traces) {
    const at = trace.start_ns / 1e6;
    if (fromMs === null) first = Math.min(first, at);
    if (toMs === null) last = Math.max(last, at);
  }
  // One trace alone, or all at one moment, still needs a width.
  if (last - first < columns) last = first + columns;
  const cells = new Map<number, Cell>();
  for (const trace of traces) {
    const share = (trace.start_ns / 1e6 - first) / (last - first);
    if (share < 0 || share > 1) continue;
    const column = Math.min(columns - 1, Math.floor(share * columns));
    const row = rowOf(trace.duration_ns);
    const key = column * ROWS + row;
    const cell = cells.get(key) ?? { column, row, count: 0, errors: 0 };
    cell.count += 1;
    if (trace.status === "error") cell.errors += 1;
    cells.set(key, cell);
  }
  const most = [...cells.values()].reduce((max, cell) => Math.max(max, cell.count), 0);
  return { fromMs: first, toMs: last, cells: [...cells.values()], most };
}

/** The stretch between two places (0 to 1) of the strip, whichever came first. */
export function dragged(
  strip: { fromMs: number; toMs: number },
  a: number,
  b: number,
): { fromMs: number; toMs: number } {
  const at = (share: number): number =>
    strip.fromMs + Math.min(1, Math.max(0, share)) * (strip.toMs - strip.fromMs);
  return { fromMs: Math.floor(at(Math.min(a, b))), toMs: Math.ceil(at(Math.max(a, b))) };
}
