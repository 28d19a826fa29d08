// Scales of the machine's charts: what is counted in powers of two is marked in them.

import { countScale, type Scale } from "../../overview/model/marks";

const MOST_MARKS = 3;
/** Nearer to the top than this part of a step, a mark's label would lie on that of the top. */
const NEAR_TOP = 0.4;
/** Below this a disk or a network is quiet, and its curve stays flat. */
const LEAST_RATE = 64 * 1024;

function binaryStep(most: number): number {
  return 2 ** Math.ceil(Math.log2(most / MOST_MARKS));
}

/** Up to exactly what there is: all cores, all memory. */
export function wholeScale(total: number): Scale {
  if (total <= 0) return { top: 1, marks: [] };
  const step = binaryStep(total);
  const marks: number[] = [];
  for (let mark = step; mark < total - step * NEAR_TOP; mark += step) marks.push(mark);
  return { top: total, marks: [...marks, total] };
}

/** Bytes a second, from 0 to at least `most`. */
export function rateScale(most: number): Scale {
  const step = binaryStep(Math.max(most, LEAST_RATE));
  const count = Math.ceil(Math.max(most, LEAST_RATE) / step - 1e-9);
  return { top: count * step, marks: Array.from({ length: count }, (_, at) => (at + 1) * step) };
}

/** Up to what holds it, with round marks below; up to the greatest where nothing does, or it is passed. */
export function heldScale(limit: number, most: number): Scale {
  if (limit <= 0 || most > limit) return countScale(most);
  const { marks } = countScale(limit);
  const [step = limit] = marks;
  return { top: limit, marks: [...marks.filter((mark) => mark < limit - step * NEAR_TOP), limit] };
}

export const SHARE_SCALE: Scale = { top: 1, marks: [0.5, 1] };
