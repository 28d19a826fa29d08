// Each logical CPU over time, as a strip of warmer and colder cells: one hot core among many idle
// ones does not show in their sum.

import type { DeviceUse } from "../../api/types";
import type { Timeline } from "../../overview/model/timeline";
import { meanOf, mostOf, slotsOf } from "./curves";
import { throttledShare } from "./devices";

export interface Core {
  /** As the kernel counts them, from 0 on; null where its name has no number. */
  number: number | null;
  id: string;
  /** Mean share of each step, 0 to 1; null where nobody looked. */
  values: (number | null)[];
  mean: number | null;
  peak: number | null;
  /** Share of the time in which heat held its clock down. */
  throttled: number | null;
}

/** In the order of their numbers, where `cpu10` does not come before `cpu2`. */
export function cores(line: Timeline, devices: readonly DeviceUse[]): Core[] {
  return devices
    .filter(({ kind }) => kind === "cpu")
    .map((device) => {
      const slots = slotsOf(line, device.points);
      const digits = /\d+$/.exec(device.id)?.[0];
      return {
        number: digits === undefined ? null : Number(digits),
        id: device.id,
        values: slots.map((at) => at?.utilization ?? null),
        mean: meanOf(device.points.map((at) => at.utilization)),
        peak: mostOf(device.points.map((at) => at.utilization_peak)),
        throttled: throttledShare(device),
      };
    })
    .filter(({ values }) => mostOf(values) !== null)
    .sort((a, b) => (a.number ?? Infinity) - (b.number ?? Infinity) || a.id.localeCompare(b.id));
}

/** More shades than these are not told apart. */
export const LEVELS = 10;
/** An idle core is not the same as one that nobody looked at. */
const LEAST_WEIGHT = 0.07;

/** How much of the colour a level has, 0 to 1. */
export function weight(level: number): number {
  return LEAST_WEIGHT + ((1 - LEAST_WEIGHT) * level) / (LEVELS - 1);
}

export interface Run {
  row: number;
  step: number;
  steps: number;
}

/**
 * The cells by level. Neighbours of one level are one run: 64 cores over 180 steps would be more
 * than ten thousand cells.
 */
export function runs(all: readonly Core[]): Run[][] {
  const levels = Array.from({ length: LEVELS }, (): Run[] => []);
  all.forEach(({ values }, row) => {
    let open: { level: number; run: Run } | null = null;
    values.forEach((value, step) => {
      if (value === null) {
        open = null;
        return;
      }
      const level = Math.min(LEVELS - 1, Math.max(0, Math.floor(value * LEVELS)));
      if (open?.level === level) {
        open.run.steps += 1;
        return;
      }
      open = { level, run: { row, step, steps: 1 } };
      levels[level]?.push(open.run);
    });
  });
  return levels;
}

const MOST_PX = 160;
const LEAST_ROW_PX = 1.5;
const MOST_ROW_PX = 12;

/** Height of a core's row: few are easy to read, and many fit nevertheless. */
export function rowHeight(count: number): number {
  return Math.min(MOST_ROW_PX, Math.max(LEAST_ROW_PX, MOST_PX / Math.max(1, count)));
}

const MOST_MARKS = 4;

/** Rows that are marked by their number, from the top: all of a few, and each so many of more. */
export function markedRows(count: number): number[] {
  const every = 2 ** Math.ceil(Math.log2(Math.max(1, count / MOST_MARKS)));
  return Array.from({ length: Math.ceil(count / every) }, (_, at) => at * every);
}

/** The one that did most in a step. */
export function busiest(all: readonly Core[], step: number): { core: Core; share: number } | null {
  let most: { core: Core; share: number } | null = null;
  for (const core of all) {
    const share = core.values[step] ?? null;
    if (share !== null && share > (most?.share ?? -1)) most = { core, share };
  }
  return most;
}

/** Those that heat held down, most first. */
export function heldBack(all: readonly Core[]): Core[] {
  return all
    .filter(({ throttled }) => (throttled ?? 0) > 0)
    .sort((a, b) => (b.throttled ?? 0) - (a.throttled ?? 0));
}
