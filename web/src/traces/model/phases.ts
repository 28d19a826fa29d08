// Where the time of a call to a model went, as stretches that can be drawn one after the other.

import type { Timings } from "../../api/types";

export const PHASES = ["queue", "load", "prompt", "generate"] as const;
export type Phase = (typeof PHASES)[number];
export type Part = Phase | "other";

/** A part by the name that the server gives it; what this page does not know is `other`. */
export function knownPart(name: string): Part {
  return PHASES.find((phase) => phase === name) ?? "other";
}

export interface Stretch {
  part: Part;
  startNs: number;
  durationNs: number;
}

export function phaseNs(timings: Timings, phase: Phase): number | null {
  const columns = {
    queue: timings.queue_ns,
    load: timings.load_ns,
    prompt: timings.prompt_eval_ns,
    generate: timings.eval_ns,
  };
  return columns[phase] ?? null;
}

export function hasPhases(timings: Timings): boolean {
  return PHASES.some((phase) => (phaseNs(timings, phase) ?? 0) > 0);
}

/**
 * The phases in the order they happen, from the start of the call, and what is left as `other`.
 * A runtime counts on a clock of its own: where its phases exceed the span, they are scaled to fit.
 */
export function stretches(timings: Timings, durationNs: number): Stretch[] {
  const known = PHASES.map((part) => ({ part, ns: Math.max(0, phaseNs(timings, part) ?? 0) }));
  const sum = known.reduce((total, phase) => total + phase.ns, 0);
  const scale = sum > durationNs && sum > 0 ? durationNs / sum : 1;
  const result: Stretch[] = [];
  let at = 0;
  for (const { part, ns } of known) {
    if (ns === 0) continue;
    result.push({ part, startNs: at, durationNs: ns * scale });
    at += ns * scale;
  }
  if (durationNs - at > 0) result.push({ part: "other", startNs: at, durationNs: durationNs - at });
  return result;
}
