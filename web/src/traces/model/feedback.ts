// What people and judges said about a span.

import type { Evaluation } from "../../api/types";

/** The latest word of each evaluator; a thumb of 0 took the earlier one back. */
export function latestWords(evaluations: readonly Evaluation[]): Evaluation[] {
  const latest = new Map<string, Evaluation>();
  for (const evaluation of evaluations) {
    const key = `${evaluation.source} ${evaluation.evaluator}`;
    const known = latest.get(key);
    if (!known || known.time_ns <= evaluation.time_ns) latest.set(key, evaluation);
  }
  return [...latest.values()]
    .filter((evaluation) => !isTakenBack(evaluation))
    .sort((a, b) => b.time_ns - a.time_ns);
}

function isTakenBack(evaluation: Evaluation): boolean {
  return evaluation.source === "human" && evaluation.score === 0;
}

/** The thumb that stands: 1, -1 or 0 for none. */
export function standingThumb(evaluations: readonly Evaluation[]): 1 | -1 | 0 {
  const word = latestWords(evaluations).find(
    (evaluation) => evaluation.source === "human" && evaluation.score !== null,
  );
  return word?.score === 1 ? 1 : word?.score === -1 ? -1 : 0;
}
