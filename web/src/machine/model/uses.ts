// The processes of a time as rows of a table.

import type { ProcessUse } from "../../api/types";
import { rowTimes } from "../../traces/list/rowTime";

export const ORDERS = ["cpu", "memory"] as const;
export type Order = (typeof ORDERS)[number];

/** Most first. */
export function sortedUses(processes: readonly ProcessUse[], order: Order): ProcessUse[] {
  const byCpu = (a: ProcessUse, b: ProcessUse): number =>
    b.cpu_cores - a.cpu_cores || b.cpu_cores_peak - a.cpu_cores_peak;
  const byMemory = (a: ProcessUse, b: ProcessUse): number => b.rss_bytes_peak - a.rss_bytes_peak;
  const [first, second] = order === "cpu" ? [byCpu, byMemory] : [byMemory, byCpu];
  return [...processes].sort((a, b) => first(a, b) || second(a, b));
}

/** Less is written as nothing. */
const LEAST_FAULTS_PER_S = 0.5;

/** Columns that only some machines have something for. */
export function extraColumns(processes: readonly ProcessUse[]): { gpu: boolean; faults: boolean } {
  return {
    gpu: processes.some((use) => (use.gpu_memory_bytes_peak ?? 0) > 0),
    faults: processes.some((use) => (use.major_faults_per_s_peak ?? 0) >= LEAST_FAULTS_PER_S),
  };
}

/** «10:24:03 – 10:39:02», with the day where it is another one. */
export function seen(
  use: Pick<ProcessUse, "first_seen_ns" | "last_seen_ns">,
  nowMs: number,
  timeZone?: string,
): [string, string] {
  const time = rowTimes(timeZone);
  const [from, to] = [time(use.first_seen_ns, nowMs), time(use.last_seen_ns, nowMs)];
  const day = from.slice(0, -8);
  return [from, day !== "" && to.startsWith(day) ? to.slice(-8) : to];
}
