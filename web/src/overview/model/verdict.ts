// The answer first: what the figures come to, as facts. The sentence is the language's business.

import { isFailure, knownCause, type CauseName } from "../../traces/model/causes";
import type { Phase } from "../../traces/model/phases";
import type { Aggregation, Figures } from "../../api/types";
import { phaseShares } from "./series";

export interface Verdict {
  count: number;
  errors: number;
  /** 0 to 1. */
  errorShare: number;
  /** The phase that took most of the time; null where no phase is known. */
  phase: Phase | null;
  phaseShare: number;
  /** What made calls slow most often; null where nothing did. */
  slow: { cause: CauseName; count: number } | null;
  /** What made calls fail most often. */
  failure: { cause: CauseName; count: number } | null;
}

export function errorShare(figures: Figures): number | null {
  return figures.count > 0 ? figures.errors / figures.count : null;
}

function mostFrequent(causes: Aggregation, failures: boolean): Verdict["slow"] {
  let best: Verdict["slow"] = null;
  for (const group of causes.groups) {
    const cause = knownCause(group.by[0]);
    if (!cause || cause === "none" || cause === "unknown") continue;
    if (isFailure(cause) !== failures) continue;
    if (!best || group.figures.count > best.count) best = { cause, count: group.figures.count };
  }
  return best;
}

export function verdict(calls: Aggregation, causes: Aggregation): Verdict {
  const { figures } = calls.total;
  const longest = phaseShares(figures).reduce<{ phase: Phase | null; share: number }>(
    (most, part) => (part.share > most.share ? part : most),
    { phase: null, share: 0 },
  );
  return {
    count: figures.count,
    errors: figures.errors,
    errorShare: errorShare(figures) ?? 0,
    phase: longest.phase,
    phaseShare: longest.share,
    slow: mostFrequent(causes, false),
    failure: mostFrequent(causes, true),
  };
}
