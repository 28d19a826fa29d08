// Answers for tests, of which a test names only what it is about.

import type { Aggregation, Distribution, Figures, Group, HeatMap, Point } from "../../api/types";

export const MINUTE_NS = 60e9;
/** A round moment, beyond 2^53 as all of today's are. */
export const START_NS = Date.UTC(2026, 10, 25, 1, 0) * 1e6;

export const spread = (p50_ns: number, p95_ns: number): Distribution => ({
  mean_ns: p50_ns,
  p50_ns,
  p90_ns: p95_ns,
  p95_ns,
  p99_ns: p95_ns,
  max_ns: p95_ns,
});

export const figures = (more: Partial<Figures> = {}): Figures => ({
  count: 1,
  errors: 0,
  input_tokens: null,
  output_tokens: null,
  cached_tokens: null,
  reasoning_tokens: null,
  cost: null,
  queue_ns: null,
  load_ns: null,
  prompt_eval_ns: null,
  eval_ns: null,
  tokens_per_s: null,
  duration: null,
  ttft: null,
  ...more,
});

export const point = (minute: number, more: Partial<Figures> = {}): Point => ({
  start_ns: START_NS + minute * MINUTE_NS,
  figures: figures(more),
});

export const group = (by: (string | null)[], more: Partial<Figures> = {}): Group => ({
  by,
  figures: figures(more),
  points: [],
});

export const aggregate = (more: Partial<Aggregation> = {}): Aggregation => ({
  from_ns: START_NS,
  to_ns: START_NS + 10 * MINUTE_NS,
  step_ns: MINUTE_NS,
  groups: [],
  others: null,
  total: group([]),
  is_partial: false,
  ...more,
});

export const heatmap = (more: Partial<HeatMap> = {}): HeatMap => ({
  from_ns: START_NS,
  to_ns: START_NS + 10 * MINUTE_NS,
  step_ns: MINUTE_NS,
  edges_ns: [0, 1e9, 4e9, 16e9],
  columns: [],
  is_partial: false,
  ...more,
});
