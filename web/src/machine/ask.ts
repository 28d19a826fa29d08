// All that the machine's page asks of the server, for one and the same stretch of time.

import { getAggregate, getHosts, getMachine, getModelStays } from "../api/client";
import type { Aggregation, HostSample, KnownHost, Machine, ModelStays } from "../api/types";
import { rfc3339 } from "../format/time";
import type { Stretch } from "../traces/route";
import { filled } from "./model/devices";

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
  /** Which models were in memory; null for another machine, whose runtimes nobody asks. */
  stays: ModelStays | null;
  /** The machines that can be asked about. */
  hosts: KnownHost[];
}

/** `host` is null for the machine that Andon runs on, `points` is the greatest number of steps that the charts have room for. */
export async function askMachine(
  host: string | null,
  asked: Stretch,
  points: number,
  signal: AbortSignal,
): Promise<MachineAnswer> {
  const to = rfc3339(asked.toMs * 1e6);
  const of = host === null ? {} : { host };
  const times = { from: rfc3339(asked.fromMs * 1e6), to };
  const end = { from: rfc3339(Math.max(asked.fromMs, asked.toMs - LAST_MS) * 1e6), to };
  const [answer, last, calls, stays, hosts] = await Promise.all([
    getMachine({ ...of, ...times, points, top: TOP }, signal),
    getMachine({ ...of, ...end, points: LAST_POINTS, top: 1 }, signal),
    getAggregate({ ...times, of: "calls", points }, signal),
    host === null ? getModelStays(times, signal) : null,
    getHosts(signal),
  ]);
  const machine = { ...answer, devices: answer.devices.map(filled) };
  const latest = last.mean.at(-1) ?? machine.mean.at(-1) ?? null;
  return { asked, machine, latest, calls, stays, hosts: hosts.hosts };
}
