// What the charts draw, one entry for each step of time, in the order of the steps.

import { PHASES, type Phase } from "../../traces/model/phases";
import type { Figures, Point } from "../../api/types";
import { stepAt, type Timeline } from "./timeline";

/** The figures of each step; null where nothing happened. */
export function slots(line: Timeline, points: readonly Point[]): (Figures | null)[] {
  const result = new Array<Figures | null>(line.count).fill(null);
  for (const point of points) {
    const step = stepAt(line, point.start_ns);
    if (step !== null) result[step] = point.figures;
  }
  return result;
}

const PHASE_COLUMNS = {
  queue: "queue_ns",
  load: "load_ns",
  prompt: "prompt_eval_ns",
  generate: "eval_ns",
} as const satisfies Record<Phase, keyof Figures>;

/** Null where nobody knows. */
export function phaseSum(figures: Figures, phase: Phase): number | null {
  return figures[PHASE_COLUMNS[phase]];
}

export interface Share {
  phase: Phase;
  ns: number;
  /** 0 to 1 of all phases together. */
  share: number;
}

/** The phases that took time, and how much of it, in the order they happen. */
export function phaseShares(figures: Figures): Share[] {
  const known = PHASES.map((phase) => ({ phase, ns: phaseSum(figures, phase) ?? 0 }));
  const sum = known.reduce((total, { ns }) => total + ns, 0);
  return known.filter(({ ns }) => ns > 0).map((part) => ({ ...part, share: part.ns / sum }));
}

export interface Bar {
  step: number;
  /** From the bottom, 0 to 1 of the height. */
  from: number;
  to: number;
}

/** Layers of bars that stand on each other; `parts` gives each layer's value at a step. */
export function stacked(
  figures: readonly (Figures | null)[],
  parts: readonly ((figures: Figures) => number)[],
  top: number,
): Bar[][] {
  const layers = parts.map((): Bar[] => []);
  figures.forEach((at, step) => {
    if (!at) return;
    let from = 0;
    parts.forEach((part, layer) => {
      const to = from + part(at) / top;
      if (to > from) layers[layer]?.push({ step, from, to });
      from = to;
    });
  });
  return layers;
}

/**
 * A line through the middle of its steps, as a path on a grid of one unit a step and `height`. It
 * breaks where nothing happened; a step between two such breaks is a short line, or it would not
 * be seen.
 */
export function linePath(values: readonly (number | null)[], top: number, height: number): string {
  const y = (value: number): string => (height * (1 - value / top)).toFixed(2);
  let path = "";
  values.forEach((value, step) => {
    if (value === null) return;
    const before = (values[step - 1] ?? null) !== null;
    const after = (values[step + 1] ?? null) !== null;
    if (before) path += `L${step + 0.5} ${y(value)}`;
    else if (after) path += `M${step + 0.5} ${y(value)}`;
    else path += `M${step + 0.1} ${y(value)}H${step + 0.9}`;
  });
  return path;
}

export function greatest(values: readonly (number | null)[]): number {
  return values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
}
