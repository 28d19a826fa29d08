// Two models side by side, by length of the prompt and by what of it was cached: only calls that are
// alike are compared.

import type { CacheState, CapacityCell, ModelCapacity } from "../../api/types";

/** Fewer calls in one of them make no verdict. */
export const ENOUGH_CALLS = 5;
/** Nearer to each other than this they are the same. */
const LEAST_APART = 0.05;
const CACHE_ORDER: CacheState[] = ["none", "part", "most"];

export type Side = "one" | "other";

/** Which side is ahead and by which part of the other's figure; null where neither is. */
export type Ahead = { side: Side; by: number } | null;

export interface Row {
  from: number;
  below: number | null;
  cache: CacheState;
  one: CapacityCell | null;
  other: CapacityCell | null;
  isEnough: boolean;
  /** Whose first token comes sooner. */
  sooner: Ahead;
  /** Which writes faster. */
  faster: Ahead;
}

/** The named ones, or those with most calls; null where there are no two. */
export function pair(
  models: readonly ModelCapacity[],
  names: { one: string | null; other: string | null },
): Record<Side, ModelCapacity> | null {
  const named = (name: string | null): ModelCapacity | undefined =>
    models.find(({ model }) => model === name);
  const kept = named(names.other);
  const one = named(names.one) ?? models.find((model) => model !== kept);
  const other = kept && kept !== one ? kept : models.find((model) => model !== one);
  return one && other ? { one, other } : null;
}

function less(one: number | undefined, other: number | undefined): Ahead {
  if (one === undefined || other === undefined || Math.max(one, other) <= 0) return null;
  const by = 1 - Math.min(one, other) / Math.max(one, other);
  return by < LEAST_APART ? null : { side: one < other ? "one" : "other", by };
}

function more(one: number | undefined, other: number | undefined): Ahead {
  if (one === undefined || other === undefined || Math.min(one, other) <= 0) return null;
  const by = Math.max(one, other) / Math.min(one, other) - 1;
  return by < LEAST_APART ? null : { side: one > other ? "one" : "other", by };
}

const keyOf = ({ prompt_from, cache }: CapacityCell): string => `${prompt_from} ${cache}`;

export function rows(one: ModelCapacity, other: ModelCapacity): Row[] {
  const cells = (of: ModelCapacity): Map<string, CapacityCell> =>
    new Map(of.cells.map((cell) => [keyOf(cell), cell]));
  const [left, right] = [cells(one), cells(other)];
  const all = new Map([...right, ...left]);
  return [...all]
    .map(([key, { prompt_from, prompt_below, cache }]) => {
      const [a, b] = [left.get(key) ?? null, right.get(key) ?? null];
      const isEnough = Math.min(a?.calls ?? 0, b?.calls ?? 0) >= ENOUGH_CALLS;
      return {
        from: prompt_from,
        below: prompt_below,
        cache,
        one: a,
        other: b,
        isEnough,
        sooner: isEnough ? less(a?.read_ns.p50, b?.read_ns.p50) : null,
        faster: isEnough ? more(a?.written_per_s?.p50, b?.written_per_s?.p50) : null,
      };
    })
    .sort((a, b) => a.from - b.from || CACHE_ORDER.indexOf(a.cache) - CACHE_ORDER.indexOf(b.cache));
}

export interface Tally {
  /** Rows with enough calls. */
  of: number;
  sooner: Record<Side, number>;
  faster: Record<Side, number>;
}

/** In how many rows each is ahead. */
export function tally(all: readonly Row[]): Tally {
  const ahead = (of: "sooner" | "faster", side: Side): number =>
    all.filter((row) => row[of]?.side === side).length;
  const both = (of: "sooner" | "faster"): Record<Side, number> => ({
    one: ahead(of, "one"),
    other: ahead(of, "other"),
  });
  return {
    of: all.filter(({ isEnough }) => isEnough).length,
    sooner: both("sooner"),
    faster: both("faster"),
  };
}
