// The figures of a span that are worth a line of their own.

import type { Span } from "../../api/types";

const perSecond = (tokens: number | null, ns: number | null): number | null =>
  tokens !== null && ns !== null && ns > 0 && tokens > 0 ? tokens / (ns / 1e9) : null;

/** Tokens written per second of writing. */
export function writingSpeed(span: Span): number | null {
  return perSecond(span.output_tokens, span.timings.eval_ns);
}

/** Prompt tokens read per second; cached ones weren't read. */
export function readingSpeed(span: Span): number | null {
  if (span.input_tokens === null) return null;
  return perSecond(span.input_tokens - (span.cached_tokens ?? 0), span.timings.prompt_eval_ns);
}

/** The number of threads the runtime used, wherever it wrote it. */
export function threads(span: Span): number | null {
  for (const [name, value] of Object.entries(span.attributes)) {
    const last = name.split(".").pop();
    if ((last === "threads" || last === "num_thread") && typeof value === "number") return value;
  }
  return null;
}
