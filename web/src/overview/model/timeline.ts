// The steps of time that the charts share. The server counts steps from 1970 on, so the first and
// the last one reach beyond the asked times.

import type { Stretch } from "../../traces/route";

export interface Timeline {
  /** Where the first step begins, in milliseconds since 1970. */
  fromMs: number;
  stepMs: number;
  /** Number of steps; at least one. */
  count: number;
}

/** A server whose steps are finer than was asked for must not make the page draw without end. */
const MOST_STEPS = 1000;

export function timeline(answer: {
  from_ns: number;
  to_ns: number;
  step_ns: number | null;
}): Timeline {
  const { from_ns, to_ns } = answer;
  const stepNs = answer.step_ns !== null && answer.step_ns > 0 ? answer.step_ns : to_ns - from_ns;
  if (stepNs <= 0) return { fromMs: from_ns / 1e6, stepMs: 1, count: 1 };
  const first = Math.floor(from_ns / stepNs);
  const count = Math.ceil(to_ns / stepNs) - first;
  return {
    fromMs: (first * stepNs) / 1e6,
    stepMs: stepNs / 1e6,
    count: Math.min(MOST_STEPS, Math.max(1, count)),
  };
}

/** Which step begins at a moment; null outside of all. */
export function stepAt(line: Timeline, startNs: number): number | null {
  // Starts are multiples of the step, but written as numbers that hold them only nearly.
  const step = Math.round((startNs / 1e6 - line.fromMs) / line.stepMs);
  return step >= 0 && step < line.count ? step : null;
}

export function stepStretch(line: Timeline, first: number, last = first): Stretch {
  const [from, to] = first <= last ? [first, last] : [last, first];
  return {
    fromMs: Math.floor(line.fromMs + from * line.stepMs),
    toMs: Math.ceil(line.fromMs + (to + 1) * line.stepMs),
  };
}

/** All of the axis. */
export const lineStretch = (line: Timeline): Stretch => ({
  fromMs: line.fromMs,
  toMs: line.fromMs + line.count * line.stepMs,
});

/** The step under a place (0 to 1) of the chart's width. */
export function stepUnder(line: Timeline, share: number): number {
  return Math.min(line.count - 1, Math.max(0, Math.floor(share * line.count)));
}

/** A stretch cut to the times that were asked for, whose first and last step reach beyond them. */
export function within(stretch: Stretch, asked: Stretch): Stretch {
  const fromMs = Math.max(stretch.fromMs, Math.floor(asked.fromMs));
  const toMs = Math.min(stretch.toMs, Math.ceil(asked.toMs));
  return fromMs < toMs ? { fromMs, toMs } : stretch;
}
