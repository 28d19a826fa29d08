// Answers for tests, of which a test names only what it is about.

import type {
  CacheState,
  CapacityCell,
  CapacityReply,
  CurvePoint,
  Fared,
  ModelCapacity,
  People,
  PeoplePoint,
} from "../../api/types";

export const START_NS = 1_796_000_000_000 * 1e6;
export const STEP_NS = 1_000e9;

export const curvePoint = (step: number, more: Partial<CurvePoint> = {}): CurvePoint => ({
  time_ns: START_NS + step * STEP_NS,
  calls: 1,
  written_per_s: null,
  read_per_s: null,
  loads: 0,
  load_ns: 0,
  queue_ns: 0,
  ...more,
});

export const cell = (
  prompt_from: number,
  cache: CacheState,
  calls: number,
  readMs: number,
  written: number | null,
): CapacityCell => ({
  prompt_from,
  prompt_below: prompt_from * 4 || 128,
  cache,
  calls,
  read_ns: { p50: readMs * 1e6, p95: readMs * 2e6 },
  work_ns: { p50: 1e9, p95: 2e9 },
  read_per_s: null,
  written_per_s: written === null ? null : { p50: written, p95: written },
});

export const model = (name: string, more: Partial<ModelCapacity> = {}): ModelCapacity => ({
  model: name,
  calls: 100,
  curve: [],
  cells: [],
  bound: null,
  size_bytes: null,
  written_per_s: null,
  read_per_s: null,
  ...more,
});

export const capacity = (
  models: ModelCapacity[],
  more: Partial<CapacityReply> = {},
): CapacityReply => ({
  from_ns: START_NS,
  to_ns: START_NS + 10 * STEP_NS,
  step_ns: STEP_NS,
  runtimes: ["ollama"],
  runtime: "ollama",
  calls: models.reduce((sum, { calls }) => sum + calls, 0),
  is_partial: false,
  models,
  measured: null,
  ...more,
});

export const MEASURED = {
  time_ns: START_NS,
  threads: 2,
  memory_bytes_per_s: 3e10,
  operations_per_s: 8e10,
};

export const peoplePoint = (people: number, p90S: number): PeoplePoint => ({
  people,
  first_p50_ns: (p90S * 1e9) / 2,
  first_p90_ns: p90S * 1e9,
  total_p50_ns: p90S * 1e9 + 1e9,
  answers_per_minute: people / 2,
  busy: Math.min(1, people / 20),
});

export const people = (points: PeoplePoint[], more: Partial<People> = {}): People => ({
  most: null,
  or_more: false,
  lack: null,
  wait_s: 10,
  think_s: 147,
  think_from: "recorded",
  parallel: 2,
  points,
  ...more,
});

export const fared = (more: Partial<Fared> = {}): Fared => ({
  calls: 100,
  first_ns: { p50: 1e9, p95: 2e9 },
  total_ns: { p50: 3e9, p95: 4e9 },
  loads: 5,
  waited: 7,
  busy: 0.5,
  ...more,
});
