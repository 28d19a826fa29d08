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

function number(span: Span, name: string): number | null {
  const value = span.attributes[name];
  return typeof value === "number" ? value : null;
}

function text(span: Span, name: string): string | null {
  const value = span.attributes[name];
  return typeof value === "string" ? value : null;
}

/** The how manyth of a question's calls this was, where it was not the only one yet. */
export function turn(span: Span): { call: number; elapsedNs: number } | null {
  const call = number(span, "andon.turn.call");
  const elapsedNs = number(span, "andon.turn.elapsed_ns");
  return call !== null && call > 1 && elapsedNs !== null ? { call, elapsedNs } : null;
}

/** The how manyth attempt of one call this was, and where the first one is. */
export function attempt(
  span: Span,
): { attempt: number; elapsedNs: number; firstTraceId: string } | null {
  const retries = number(span, "http.request.resend_count");
  const elapsedNs = number(span, "andon.call.elapsed_ns");
  const firstTraceId = text(span, "andon.call.first_trace_id");
  if (retries === null || elapsedNs === null || firstTraceId === null) return null;
  return { attempt: retries + 1, elapsedNs, firstTraceId };
}

export const p95Gap = (span: Span): number | null => number(span, "andon.stream.p95_gap_ns");
export const quantization = (span: Span): string | null => text(span, "andon.model.quantization");
/** 0 to 1; null where there is no GPU. */
export const onGpu = (span: Span): number | null => number(span, "andon.model.on_gpu") || null;
