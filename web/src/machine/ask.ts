// All that the machine's page asks of the server, for one and the same stretch of time.

import { getAggregate, getMachine } from "../api/client";
import type { Aggregation, HostSample, Machine } from "../api/types";
import { rfc3339 } from "../format/time";
import type { Stretch } from "../traces/route";

/** Processes by CPU, and as many by memory. */
const TOP = 30;
/** The last look lies within these, unless Andon did not run. */
const LAST_MS = 5_000;
const LAST_POINTS = LAST_MS / 1000;

export interface MachineAnswer {
  /** The times that were asked for. */
  asked: Stretch;
  machine: Machine;
  /** The last look in the time, or the last step where the end of the time was not looked at. */
  latest: HostSample | null;
  /** What was asked of the machine meanwhile. */
  calls: Aggregation;
}

/** `points` is the greatest number of steps that the charts have room for. */
export async function askMachine(
  asked: Stretch,
  points: number,
  signal: AbortSignal,
): Promise<MachineAnswer> {
  const to = rfc3339(asked.toMs * 1e6);
  const times = { from: rfc3339(asked.fromMs * 1e6), to };
  const end = { from: rfc3339(Math.max(asked.fromMs, asked.toMs - LAST_MS) * 1e6), to };
  const [machine, last, calls] = await Promise.all([
    getMachine({ ...times, points, top: TOP }, signal),
    getMachine({ ...end, points: LAST_POINTS, top: 1 }, signal),
    getAggregate({ ...times, of: "calls", points }, signal),
  ]);
  return { asked, machine, latest: last.mean.at(-1) ?? machine.mean.at(-1) ?? null, calls };
}
