// Tokens as a span told them. Where its call counts with another span, its columns are empty, so that
// nothing adds them up twice, and its attributes have them.

import type { Span } from "../../api/types";

export interface ToldTokens {
  input: number | null;
  output: number | null;
  cached: number | null;
  reasoning: number | null;
  /** The call counts with another span. */
  elsewhere: boolean;
}

export function toldTokens(span: Span): ToldTokens {
  const told = (name: string): number | null => {
    const value = span.attributes[`gen_ai.usage.${name}`];
    return typeof value === "number" ? value : null;
  };
  return {
    input: span.input_tokens ?? told("input_tokens"),
    output: span.output_tokens ?? told("output_tokens"),
    cached: span.cached_tokens ?? told("cache_read.input_tokens"),
    reasoning: span.reasoning_tokens ?? told("reasoning.output_tokens"),
    elsewhere: span.attributes["andon.counted_in"] !== undefined,
  };
}
