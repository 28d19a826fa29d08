// One axis of time: where a moment lies, and which ticks to write at it.

export interface Axis {
  /** Nanoseconds from the trace's start; below 0 = before it. */
  fromNs: number;
  toNs: number;
}

const SECOND_NS = 1e9;
/** Above a second people count in halves, quarters and sixties. */
const LONG_STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400,
];

export function axisLength(axis: Axis): number {
  return Math.max(1, axis.toNs - axis.fromNs);
}

/** Position in per cent of the axis; outside it where the moment is. */
export function position(axis: Axis, ns: number): number {
  return ((ns - axis.fromNs) / axisLength(axis)) * 100;
}

function tickStep(lengthNs: number, most: number): number {
  const least = lengthNs / Math.max(1, most);
  if (least > 0.5 * SECOND_NS) {
    const step = LONG_STEPS_S.find((seconds) => seconds * SECOND_NS >= least);
    return (step ?? Math.ceil(least / SECOND_NS / 86_400) * 86_400) * SECOND_NS;
  }
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((value) => value * power >= least) ?? 10;
  return factor * power;
}

/** Moments to mark, multiples of a round step, at most about `most`. */
export function ticks(axis: Axis, most: number): number[] {
  const step = tickStep(axisLength(axis), most);
  const result: number[] = [];
  for (
    let i = Math.ceil(axis.fromNs / step);
    i * step < axis.toNs && result.length <= most;
    i += 1
  ) {
    result.push(i * step);
  }
  return result;
}
