// How fast each model was: over time for the chart, and in one row for the table.

import type { CapacityReply, CurvePoint, ModelCapacity } from "../../api/types";
import { stepAt, type Timeline } from "../../overview/model/timeline";
import type { Speed } from "./question";

/** As many lines as can be told apart, and none in the violet that loading has. */
const COLOURS = ["--svc-1", "--svc-2", "--svc-4", "--svc-5", "--svc-6"];
export const MOST_LINES = COLOURS.length;

export interface ModelLine {
  model: string;
  colour: string;
  /** One for each step of time; null where it was not called. */
  points: (CurvePoint | null)[];
}

/** The colour of the model at a place in the order of calls; null for one that is not drawn. */
export function modelColour(at: number): string | null {
  const name = COLOURS[at];
  return name ? `var(${name})` : null;
}

export const speedOf = (point: CurvePoint, speed: Speed): number | null =>
  speed === "written" ? point.written_per_s : point.read_per_s;

export function modelLines(line: Timeline, models: readonly ModelCapacity[]): ModelLine[] {
  return models.slice(0, MOST_LINES).map(({ model, curve }, at) => {
    const points = new Array<CurvePoint | null>(line.count).fill(null);
    for (const point of curve) {
      const step = stepAt(line, point.time_ns);
      if (step !== null) points[step] = point;
    }
    return { model, colour: modelColour(at) ?? "", points };
  });
}

export const speeds = ({ points }: ModelLine, speed: Speed): (number | null)[] =>
  points.map((point) => point && speedOf(point, speed));

/** What happened in a step beside the speed. */
export interface Step {
  calls: number;
  /** Models that were loaded, and how long that took in all. */
  loaded: { model: string; ns: number }[];
  /** The longest wait for others. */
  queueNs: number;
}

export function stepFacts(lines: readonly ModelLine[], step: number): Step | null {
  const facts: Step = { calls: 0, loaded: [], queueNs: 0 };
  for (const { model, points } of lines) {
    const point = points[step];
    if (!point) continue;
    facts.calls += point.calls;
    facts.queueNs = Math.max(facts.queueNs, point.queue_ns);
    if (point.loads > 0) facts.loaded.push({ model, ns: point.load_ns });
  }
  return facts.calls > 0 ? facts : null;
}

/** Why nothing is said of how fast a model can be at most. */
export type NoBound = "unmeasured" | "size" | "gpu";

export interface ModelRow {
  model: string;
  colour: string | null;
  calls: number;
  /** Tokens a second, the middle of the calls. */
  written: number | null;
  read: number | null;
  loads: number;
  bound: {
    most: number;
    /** What the middle one of the calls has of it, 0 to 1. */
    usual: number | null;
    /** What one call in twenty surpasses. */
    best: number | null;
  } | null;
  lack: NoBound | null;
}

export function modelRows({ models, measured }: CapacityReply): ModelRow[] {
  return models.map((of, at) => {
    const { model, calls, curve, bound, size_bytes } = of;
    const written = of.written_per_s?.p50 ?? null;
    return {
      model,
      colour: modelColour(at),
      calls,
      written,
      read: of.read_per_s?.p50 ?? null,
      loads: curve.reduce((sum, { loads }) => sum + loads, 0),
      bound: bound && {
        most: bound.written_per_s,
        usual: written === null ? null : written / bound.written_per_s,
        best: bound.written_share,
      },
      lack: bound ? null : !measured ? "unmeasured" : size_bytes === null ? "size" : "gpu",
    };
  });
}
