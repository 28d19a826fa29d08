// The machine's data for one time, kept up to date while somebody looks.

import { Asked } from "../overview/asked.svelte";
import { endedTimes, type MachineRoute } from "../traces/route";
import { askMachine, type MachineAnswer } from "./ask";

const HOUR_MS = 3_600_000;
/** How often a time of this length or shorter is asked for anew; a long one moves slowly. */
const REFRESHES: [lengthMs: number, everyMs: number][] = [
  [HOUR_MS / 4, 2_000],
  [HOUR_MS, 10_000],
];
const SLOW_MS = 30_000;

/** Null for a time that is over: it changes no more. */
export function refreshEveryMs(route: MachineRoute, nowMs: number): number | null {
  const { fromMs, toMs } = endedTimes(route, nowMs);
  if (route.stretch && toMs < nowMs) return null;
  return REFRESHES.find(([lengthMs]) => toMs - fromMs <= lengthMs)?.[1] ?? SLOW_MS;
}

export interface Shown extends MachineAnswer {
  /** What was asked for; the address may be ahead of it. */
  route: MachineRoute;
}

export class MachineData extends Asked<MachineRoute, MachineAnswer> {
  protected override ask(
    route: MachineRoute,
    points: number,
    signal: AbortSignal,
  ): Promise<MachineAnswer> {
    return askMachine(route.host, endedTimes(route, Date.now()), points, signal);
  }

  /** Looks again and again while the page is seen; returns how to end it. */
  follow(route: MachineRoute): () => void {
    const everyMs = refreshEveryMs(route, Date.now());
    if (everyMs === null) return () => undefined;
    const look = (): void => this.refreshWhileSeen();
    const timer = setInterval(look, everyMs);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }
}
