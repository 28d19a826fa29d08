// The machine at one moment, as facts; the words are the language's business.

import type { HostSample, Machine } from "../../api/types";

export interface Pressures {
  cpu: number | null;
  memory: number | null;
  disk: number | null;
}

export function pressures(at: HostSample): Pressures {
  return { cpu: at.cpu_pressure, memory: at.memory_pressure, disk: at.io_pressure };
}

/** 0 to 1: two clocks make a busy second read as a little more than all of the CPU. */
export function busyShare(at: HostSample): number | null {
  return at.cpu_count > 0 ? Math.min(1, at.cpu_busy_cores / at.cpu_count) : null;
}

export interface Kills {
  count: number;
  /** Where the last step with one begins. */
  lastNs: number;
}

/** Processes that were ended for want of memory; null where there were none, or nobody tells. */
export function oomKills(machine: Machine): Kills | null {
  const steps = machine.mean.filter((at) => (at.oom_kills ?? 0) > 0);
  const last = steps.at(-1);
  if (!last) return null;
  return {
    count: steps.reduce((sum, at) => sum + (at.oom_kills ?? 0), 0),
    lastNs: last.time_ns,
  };
}
