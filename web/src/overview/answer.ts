/**
 * The shapes of the answers that the overview is drawn from. Times are UTC nanoseconds as numbers:
 * they lie above 2^53, where a number is off by less than a microsecond. Unknown is null.
 */

export interface Distribution {
  mean_ns: number;
  p50_ns: number;
  p90_ns: number;
  p95_ns: number;
  p99_ns: number;
  max_ns: number;
}

export interface Figures {
  count: number;
  errors: number;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens: number | null;
  cost: number | null;
  /** The phases, added up over all calls. */
  queue_ns: number | null;
  load_ns: number | null;
  prompt_eval_ns: number | null;
  eval_ns: number | null;
  tokens_per_s: number | null;
  duration: Distribution | null;
  ttft: Distribution | null;
}

export interface Point {
  /** A multiple of the answer's step. */
  start_ns: number;
  figures: Figures;
}

export interface Group {
  /** One value for each thing that was grouped by. */
  by: (string | null)[];
  figures: Figures;
  /** Ascending; only those that have something. */
  points: Point[];
}

export interface Aggregate {
  from_ns: number;
  to_ns: number;
  step_ns: number | null;
  groups: Group[];
  others: Group | null;
  total: Group;
  is_partial: boolean;
}

export interface HeatColumn {
  start_ns: number;
  /** One number for each row, quickest first. */
  counts: number[];
}

export interface Heatmap {
  from_ns: number;
  to_ns: number;
  step_ns: number;
  /** Durations between which the rows lie: one more than there are rows, rising. */
  edges_ns: number[];
  /** Only those that have something. */
  columns: HeatColumn[];
  is_partial: boolean;
}

/** Which spans are counted. */
export type Of = "calls" | "roots" | "all";

interface Question {
  from: string;
  to: string;
  q: string;
  of: Of;
}

export interface AggregateQuery extends Question {
  by?: string;
  points?: number;
  top?: number;
  order?: "count" | "errors" | "duration" | "tokens";
}

export interface HeatmapQuery extends Question {
  points: number;
  rows: number;
}
